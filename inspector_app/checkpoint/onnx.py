"""ONNX models: the initializers, and what the model says about itself.

Source: ``onnx.proto`` of ONNX 1.23. The file is one ModelProto; it is walked on the wire
(`protobuf`), so the weights are jumped over and the ``onnx`` package is not needed.

The tree's root holds the initializers of the main graph by name, so that their paths
compare with a state_dict's keys. Beside them, in names that no exporter gives a tensor:

- ``__nodes__``: tensors inside the graph's nodes: of a Constant its ``value``, of If and
  Loop the subgraph's initializers, and so on inwards. A node is called by its name, else
  by its first output;
- ``__functions__``, ``__training__``: the same for functions and training graphs;
- ``__model__``: versions, opsets, producer, metadata_props, and the graph's name, inputs
  (without initializers), outputs and operators with their counts, subgraphs included.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from typing import NamedTuple

from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.errors import BrokenFile, Problem
from inspector_app.checkpoint.external_data import ExternalFiles
from inspector_app.checkpoint.limits import Limits
from inspector_app.checkpoint.model import (
    Checkpoint,
    Progress,
    StorageRef,
    TensorInfo,
)
from inspector_app.checkpoint.onnx_facts import ModelFacts, TypeReader
from inspector_app.checkpoint.onnx_quantization import DEQUANTIZE, INTEGER_OPERATORS, Use, link
from inspector_app.checkpoint.onnx_recognition import MODEL_FIELDS, TEXT_FIELDS, recognise
from inspector_app.checkpoint.onnx_scopes import Scope
from inspector_app.checkpoint.onnx_tensors import TensorReader
from inspector_app.checkpoint.protobuf import BYTES, VARINT, WireReader, signed
from inspector_app.checkpoint.sections import model_section

_GRAPH, _OPSET, _PROPS, _TRAINING, _FUNCTIONS = 7, 8, 14, 20, 25
# GraphProto
_NODE, _NAME, _INITIALIZER, _INPUT, _OUTPUT, _SPARSE_INITIALIZER = 1, 2, 5, 11, 12, 15

# The ir_version from which on a model has to name its opsets.
_OPSETS_SINCE = 3
_FUNCTION_NODE = 7
_TRAINING_GRAPHS = {1: "initialization", 2: "algorithm"}

_MOST_ROWS = 100_000
_MOST_PROBLEMS = 1_000
# A TensorProto can be two bytes long and costs 700 here. Above a few, only as many are
# kept as a file of this length can have with names and values.
_FEW = 10_000
_SMALLEST_TENSOR = 48
_STEP = 500
_SMALL_ATTRIBUTE = 64
_MOST_INPUTS = 8


__all__ = ["read", "recognise"]


class _Graph(NamedTuple):
    """A GraphProto or FunctionProto still to be walked."""

    start: int
    end: int
    scope: Scope
    node_field: int = _NODE


def read(source: ByteSource, limits: Limits) -> Generator[Progress, None, Checkpoint]:
    """The structure of the ONNX model `source`.

    Raises:
        BrokenFile: nothing of it can be shown.
        UnreadableFile: the operating system reports an error.
    """
    reader = _Reader(source, limits)
    yield from reader.model()
    return reader.checkpoint()


class _Reader:
    def __init__(self, source: ByteSource, limits: Limits) -> None:
        self.source = source
        self.limits = limits
        self.problems: list[Problem] = []
        self.reports = 0
        self.wire = WireReader(source)
        self.most_tensors = min(limits.tensors, max(_FEW, source.size // _SMALLEST_TENSOR))
        self.external = ExternalFiles(source.path, self.report)
        self.read_tensor = TensorReader(self.wire, self.external, limits, self.report)
        self.read_type = TypeReader(self.wire, self.read_tensor)
        self.facts = ModelFacts()
        self.root = Scope("")
        self.functions = Scope("__functions__", self.root)
        self.training_graphs = Scope("__training__", self.root)
        self.initializers: list[TensorInfo] = []
        self.inner_tensors: list[TensorInfo] = []
        self.storages: dict[tuple[str, str], StorageRef] = {}
        self.waiting: deque[_Graph] = deque()
        self.cut: set[str] = set()
        self.dull_attributes: set[bytes] = set()
        self.uses: list[Use] = []

    def model(self) -> Generator[Progress, None, None]:
        size = self.source.size
        fields = self.wire.fields(0, size, self.limits.tensors)
        for walked, (number, kind, at, length) in enumerate(fields, 1):
            if MODEL_FIELDS.get(number, (kind,))[0] != kind:
                self.broken(at, f"field {number} of the model has wire type {kind}")
            elif number == _GRAPH:
                yield from self.graph(_Graph(at, at + length, self.root), True)
            elif number == _OPSET:
                self.opset(at, at + length)
            elif number == _PROPS:
                if self.has_room("metadata_props", len(self.facts.properties)):
                    key, value = self.read_tensor.pair(at, at + length)
                    self.facts.properties[key] = value
            elif number == _FUNCTIONS:
                self.function(at, at + length)
            elif number == _TRAINING:
                self.training(at, at + length)
            elif number in TEXT_FIELDS:
                text = self.read_tensor.text(at, length, self.limits.text_bytes)
                self.facts.fields[MODEL_FIELDS[number][1]] = text
            elif number in MODEL_FIELDS and kind == VARINT:
                self.facts.fields[MODEL_FIELDS[number][1]] = signed(at)
            if walked % _STEP == 0:
                yield Progress("model", at, size)
        while self.waiting:
            yield from self.graph(self.waiting.popleft(), False)
        link(self.uses, {str(tensor.key): tensor for tensor in self.initializers})
        for offset, reason in self.wire.faults:
            self.broken(offset, reason)
        version = self.facts.fields.get("ir_version")
        if not self.facts.opsets and type(version) is int and version >= _OPSETS_SINCE:
            # Nearly the last field that is written: a model without was cut before it.
            self.report(Problem("missing-record", "", {"record": "opset_import"}))
        if not self.initializers and self.facts.empty:
            raise BrokenFile("broken", self.source.path, reason="the model has no field")

    def graph(self, graph: _Graph, main: bool) -> Generator[Progress, None, None]:
        wire = self.wire
        start, end, scope, node_field = graph
        due = wire.steps + _STEP
        for number, kind, at, length in wire.fields(start, end, self.source.size):
            if kind != BYTES:
                continue
            if number == node_field:
                self.node(at, at + length, scope)
            elif node_field != _NODE:
                pass
            elif number == _INITIALIZER:
                self.keep(scope, self.read_tensor.tensor(at, at + length), rename=False)
            elif number == _SPARSE_INITIALIZER:
                self.keep(scope, self.read_tensor.sparse(at, at + length), rename=False)
            elif main and number == _NAME:
                self.facts.graph_name = self.read_tensor.text(at, length)
            elif main and number in (_INPUT, _OUTPUT):
                rows = self.facts.inputs if number == _INPUT else self.facts.outputs
                if self.has_room("inputs and outputs", len(rows)):
                    rows.append(self.read_type.value_info(at, at + length))
            if wire.steps >= due:
                due = wire.steps + _STEP
                yield Progress("graph", at, self.source.size)
            if len(self.initializers) + len(self.inner_tensors) >= self.most_tensors:
                self.cut_at("tensors", self.most_tensors)
                return
            if self.reports > _MOST_ROWS:
                self.cut_at("problems", _MOST_ROWS)
                return

    def node(self, start: int, end: int, scope: Scope) -> None:
        """A NodeProto: its operator is counted, tensors and graphs in its attributes kept."""
        name = output = operator = domain = ""
        attributes: list[tuple[int, int]] = []
        for number, kind, at, length in self.wire.fields(start, end):
            if kind != BYTES:
                continue
            if number == 5:
                attributes.append((at, at + length))
            elif number == 4:
                operator = self.read_tensor.text(at, length)
            elif number == 3:
                name = self.read_tensor.text(at, length)
            elif number == 2 and not output:
                output = self.read_tensor.text(at, length)
            elif number == 7:
                domain = self.read_tensor.text(at, length)
        reads_integers = operator == DEQUANTIZE or operator in INTEGER_OPERATORS
        if reads_integers and scope is self.root and self.has_room("nodes", len(self.uses)):
            self.uses.append(self.use(start, end, operator))
        if domain not in ("", "ai.onnx"):
            operator = f"{domain}.{operator}"
        operators = self.facts.operators
        if operator in operators or self.has_room("operators", len(operators)):
            operators[operator] = operators.get(operator, 0) + 1
        if attributes:
            if scope.nodes is None:
                scope.nodes = Scope("__nodes__", scope)
            inner = Scope(name or output or operator, scope.nodes)
            for place in attributes:
                self.attribute(*place, inner)

    def use(self, start: int, end: int, operator: str) -> Use:
        """A NodeProto that reads integers: its inputs, and its attribute ``axis``."""
        inputs = []
        axis = None
        for number, kind, at, length in self.wire.fields(start, end):
            if kind == BYTES and number == 1:
                inputs.append(self.read_tensor.text(at, length))
            elif kind == BYTES and number == 5:
                name = ""
                value = None
                for field, wire_kind, place, size in self.wire.fields(at, at + length):
                    if wire_kind == BYTES and field == 1:
                        name = self.read_tensor.text(place, size)
                    elif wire_kind == VARINT and field == 3:
                        value = signed(place)
                if name == "axis":
                    axis = value
        return Use(operator, tuple(inputs[:_MOST_INPUTS]), axis)

    def attribute(self, start: int, end: int, scope: Scope) -> None:
        """An AttributeProto: only tensors and graphs are looked at."""
        # Most are an axis or a kernel size, the same in a thousand nodes.
        data = self.wire.read(start, end - start) if end - start <= _SMALL_ATTRIBUTE else b""
        if data in self.dull_attributes:
            return
        name = ""
        found: list[tuple[int, int, int]] = []
        for number, kind, at, length in self.wire.fields(start, end):
            if kind == BYTES and number == 1:
                name = self.read_tensor.text(at, length)
            elif kind == BYTES and number in (5, 6, 10, 11, 22, 23):
                found.append((number, at, at + length))
        if data and not found and len(self.dull_attributes) < _MOST_ROWS:
            self.dull_attributes.add(data)
        for index, (number, at, after) in enumerate(found):
            key = name if number in (5, 6, 22) else f"{name}.{index}"
            if number in (6, 11):
                self.wait(_Graph(at, after, Scope(key, scope)))
            elif number in (5, 10):
                self.keep(scope, self.read_tensor.tensor(at, after, key))
            else:
                self.keep(scope, self.read_tensor.sparse(at, after, key))

    def function(self, start: int, end: int) -> None:
        """A FunctionProto: its nodes are walked as a graph's are."""
        name = domain = ""
        for number, kind, at, length in self.wire.fields(start, end, self.source.size):
            if kind == BYTES and number == 1:
                name = self.read_tensor.text(at, length)
            elif kind == BYTES and number == 10:
                domain = self.read_tensor.text(at, length)
        scope = Scope(f"{domain}.{name}" if domain else name, self.functions)
        self.wait(_Graph(start, end, scope, _FUNCTION_NODE))

    def training(self, start: int, end: int) -> None:
        """A TrainingInfoProto."""
        for number, kind, at, length in self.wire.fields(start, end):
            if kind == BYTES and number in _TRAINING_GRAPHS:
                scope = Scope(_TRAINING_GRAPHS[number], self.training_graphs)
                self.wait(_Graph(at, at + length, scope))

    def wait(self, graph: _Graph) -> None:
        if graph.scope.depth >= self.limits.depth:
            self.cut_at("nested graphs", self.limits.depth)
        elif self.has_room("nested graphs", len(self.waiting)):
            self.waiting.append(graph)

    def opset(self, start: int, end: int) -> None:
        domain = ""
        version = 0
        for number, kind, at, length in self.wire.fields(start, end):
            if kind == BYTES and number == 1:
                domain = self.read_tensor.text(at, length)
            elif kind == VARINT and number == 2:
                version = signed(at)
        if self.has_room("opsets", len(self.facts.opsets)):
            self.facts.opsets[domain or "ai.onnx"] = version

    def keep(self, scope: Scope, tensor: TensorInfo, rename: bool = True) -> None:
        if not rename and scope.has(str(tensor.key)):
            self.report(Problem("duplicate-key", str(tensor.key)))
        scope.add(tensor, rename)
        (self.initializers if scope is self.root else self.inner_tensors).append(tensor)
        for part in (tensor, *tensor.inner_tensors()):
            storage = part.storage
            if storage is None:
                continue
            shared = self.storages.get((storage.file, storage.key))
            if shared is not None and storage.file:
                part.storage = shared
                continue
            if shared is not None or not storage.key:
                # Names of tensors in the model are no keys: nothing keeps them distinct.
                storage.key = f"{storage.key} #{len(self.storages)}".strip()
            self.storages[storage.file, storage.key] = storage

    def has_room(self, what: str, count: int) -> bool:
        if count >= _MOST_ROWS:
            self.cut_at(what, _MOST_ROWS)
        return count < _MOST_ROWS

    def cut_at(self, what: str, limit: int) -> None:
        if what not in self.cut:
            self.cut.add(what)
            self.problems.append(Problem("tree-limit", what, {"limit": limit}))

    def broken(self, offset: int, reason: str) -> None:
        self.report(Problem("bad-protobuf", "", {"offset": offset, "reason": reason}))

    def report(self, problem: Problem) -> None:
        self.reports += 1
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(problem)
        elif len(self.problems) == _MOST_PROBLEMS:
            self.problems.append(Problem("more-problems", "", {"limit": _MOST_PROBLEMS}))

    def checkpoint(self) -> Checkpoint:
        tensors = self.initializers + self.inner_tensors
        self.root.put_mappings_last()
        facts = self.facts
        names = {tensor.key for tensor in self.initializers}
        facts.inputs = [row for row in facts.inputs if row[0] not in names]
        root = self.root.node()
        self.root.add(facts.tree())
        sizes = self.external.sizes
        checkpoint = Checkpoint(
            path=self.source.path,
            format="onnx",
            file_bytes=self.source.size + sum(sizes.values()),
            root=root,
            tensors=tensors,
            sections=model_section(root),
            problems=self.problems,
            metadata=facts.metadata(),
            storages=self.storages,
            files=[self.source.path, *sizes],
            modified_ns=self.source.modified_ns,
        )
        checkpoint.stamps |= self.external.stamps
        return checkpoint
