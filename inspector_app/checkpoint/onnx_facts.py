"""What an ONNX model says about itself, and how that stands in its tree."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from inspector_app.checkpoint.model import Kind, Node
from inspector_app.checkpoint.onnx_tensors import DATA_TYPES, TensorReader
from inspector_app.checkpoint.protobuf import BYTES, VARINT, WireReader, signed

MODEL = "__model__"

# TypeProto: the field of each kind of type.
_TENSOR, _SEQUENCE, _MAP, _OPAQUE, _SPARSE, _OPTIONAL = 1, 4, 5, 7, 8, 9
_KINDS = {_SEQUENCE: "sequence", _MAP: "map", _OPAQUE: "opaque", _OPTIONAL: "optional"}
_DEEPEST_TYPE = 8
_MOST_DIMENSIONS = 100


@dataclass(slots=True)
class ModelFacts:
    """What a ModelProto says beside its tensors.

    Attributes:
        fields: ir_version, producer_name and other single fields.
        opsets: the version of each operator set, by domain.
        properties: metadata_props.
        graph_name: of the main graph.
        inputs, outputs: name and type, as ``float32[batch, 3]``.
        operators: how often each is used, by name, with its domain if that is not ONNX's.
    """

    fields: dict[str, str | int] = field(default_factory=dict)
    opsets: dict[str, int] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)
    graph_name: str = ""
    inputs: list[tuple[str, str]] = field(default_factory=list)
    outputs: list[tuple[str, str]] = field(default_factory=list)
    operators: dict[str, int] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        return not (self.fields or self.opsets or self.outputs or self.operators)

    def metadata(self) -> dict[str, str]:
        """All but inputs, outputs and operators, as text."""
        facts = {key: str(value) for key, value in self.fields.items()}
        if self.opsets:
            facts["opset_import"] = ", ".join(f"{name} {n}" for name, n in self.opsets.items())
        if self.graph_name:
            facts["graph"] = self.graph_name
        for key, text in self.properties.items():
            facts[f"metadata_props/{key}"] = text
        return facts

    def _most_used_first(self) -> list[tuple[str, int]]:
        return sorted(self.operators.items(), key=lambda row: -row[1])

    def tree(self) -> Node:
        """The ``__model__`` of the tree."""
        model = Node(MODEL, Kind.MAPPING, "dict")
        graph = _mapping("graph", model, ())
        graph.children = [
            Node("name", Kind.SCALAR, "str", self.graph_name, graph),
            _mapping("inputs", graph, self.inputs),
            _mapping("outputs", graph, self.outputs),
            _mapping("operators", graph, self._most_used_first()),
        ]
        model.children = [
            *_mapping("", model, self.fields.items(), model).children,
            _mapping("opset_import", model, self.opsets.items()),
            _mapping("metadata_props", model, self.properties.items()),
            graph,
        ]
        return model


def _mapping(
    key: str, parent: Node, rows: Iterable[tuple[str, str | int]], of: Node | None = None
) -> Node:
    node = Node(key, Kind.MAPPING, "dict", None, parent)
    node.children = [
        Node(name, Kind.SCALAR, type(value).__name__, value, of or node) for name, value in rows
    ]
    return node


class TypeReader:
    """Makes text of the types of inputs and outputs."""

    def __init__(self, wire: WireReader, texts: TensorReader) -> None:
        self._wire = wire
        self._texts = texts

    def value_info(self, start: int, end: int) -> tuple[str, str]:
        """The name and the type that a ValueInfoProto gives."""
        name = text = ""
        for number, kind, at, length in self._wire.fields(start, end):
            if kind == BYTES and number == 1:
                name = self._texts.text(at, length)
            elif kind == BYTES and number == 2:
                text = self._type(at, at + length, _DEEPEST_TYPE)
        return name, text

    def _type(self, start: int, end: int, depth: int) -> str:
        text = "unknown"
        for number, kind, at, length in self._wire.fields(start, end):
            if kind != BYTES:
                continue
            if number in (_TENSOR, _SPARSE):
                text = self._tensor(at, at + length)
                if number == _SPARSE:
                    text = f"sparse {text}"
            elif number in _KINDS:
                text = _KINDS[number]
                inner = self._inner(number, at, at + length, depth)
                if inner:
                    text = f"{text} of {inner}"
        return text

    def _inner(self, outer: int, start: int, end: int, depth: int) -> str:
        """What a sequence, a map or an optional holds."""
        place = {_SEQUENCE: 1, _OPTIONAL: 1, _MAP: 2}.get(outer)
        for number, kind, at, length in self._wire.fields(start, end):
            if kind == BYTES and number == place:
                return self._type(at, at + length, depth - 1) if depth else "…"
        return ""

    def _tensor(self, start: int, end: int) -> str:
        dtype = "unknown"
        shape = ""
        for number, kind, at, length in self._wire.fields(start, end):
            if kind == VARINT and number == 1:
                dtype = DATA_TYPES[at][0] if at in DATA_TYPES else f"onnx_{at}"
            elif kind == BYTES and number == 2:
                shape = f"[{', '.join(self._dimensions(at, at + length))}]"
        return dtype + shape

    def _dimensions(self, start: int, end: int) -> list[str]:
        """Sizes, names of sizes, and ``?`` for what is not said."""
        found: list[str] = []
        for number, kind, at, length in self._wire.fields(start, end):
            if kind != BYTES or number != 1:
                continue
            if len(found) >= _MOST_DIMENSIONS:
                return [*found, "…"]
            text = "?"
            for inner, inner_kind, inner_at, inner_length in self._wire.fields(at, at + length):
                if inner == 1 and inner_kind == VARINT:
                    text = str(signed(inner_at))
                elif inner == 2 and inner_kind == BYTES:
                    text = self._texts.text(inner_at, min(inner_length, 200)) or "?"
            found.append(text)
        return found
