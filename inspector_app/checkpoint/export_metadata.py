"""What torch.export's JSON says about tensors and graphs.

Source: ``torch/_export/serde/schema.py`` of torch 2.13 (schema version 8): `PayloadConfig`,
`TensorMeta`, `ExportedProgram`. Enumerations are written as numbers, unions as objects with
one member.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from inspector_app.checkpoint import json_document
from inspector_app.checkpoint.model import Kind, Node

# class ScalarType
_DTYPES = {
    1: "uint8",
    2: "int8",
    3: "int16",
    4: "int32",
    5: "int64",
    6: "float16",
    7: "float32",
    8: "float64",
    9: "complex32",
    10: "complex64",
    11: "complex128",
    12: "bool",
    13: "bfloat16",
    28: "uint16",
    29: "float8_e4m3fn",
    30: "float8_e5m2",
    31: "float8_e4m3fnuz",
    32: "float8_e5m2fnuz",
    33: "float8_e8m0fnu",
    34: "uint32",
    35: "uint64",
}
# class Layout
_LAYOUTS = {
    1: "sparse_coo",
    2: "sparse_csr",
    3: "sparse_csc",
    4: "sparse_bsr",
    5: "sparse_bsc",
    7: "strided",
}
_SYMBOL = re.compile(r"Symbol\('([^']{1,40})'[^()]{0,80}\)")
_MOST_SHOWN = 2_000
_MOST_DIMENSIONS = 64
_MOST_BITS = 63


@dataclass(frozen=True, slots=True)
class TensorMeta:
    """A tensor as the JSON describes it; fields as in `model.TensorInfo`."""

    dtype: str
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    storage_offset: int
    device: str
    requires_grad: bool
    layout: str


def tensor_meta(value: Any) -> TensorMeta | str:
    """The description in `value`, or why it is none."""
    number = value.get("dtype") if type(value) is dict else None
    dtype = _DTYPES.get(number) if type(number) is int else None
    if dtype is None:
        return "its dtype is unknown"
    layout = value.get("layout")
    shape = _integers(value.get("sizes"))
    stride = _integers(value.get("strides"))
    offset = _integer(value.get("storage_offset"))
    if shape is None or stride is None or offset is None or len(shape) != len(stride):
        return "its sizes, strides and offset are no numbers"
    return TensorMeta(
        dtype,
        shape,
        stride,
        offset,
        _device(value.get("device")),
        value.get("requires_grad") is True,
        _LAYOUTS.get(layout, "strided") if type(layout) is int else "strided",
    )


def _integers(values: Any) -> tuple[int, ...] | None:
    if type(values) is not list or len(values) > _MOST_DIMENSIONS:
        return None
    numbers = tuple(number for value in values if (number := _integer(value)) is not None)
    return numbers if len(numbers) == len(values) else None


def _integer(value: Any) -> int | None:
    number = json_document.mapping(value).get("as_int")
    return number if type(number) is int and 0 <= number < 1 << _MOST_BITS else None


def _device(value: Any) -> str:
    kind = json_document.text(value, "type") or "cpu"
    index = json_document.mapping(value).get("index")
    return f"{kind}:{index}" if type(index) is int else kind


def graph_node(document: Any, parent: Node) -> Node:
    """A mapping of what the graph takes, gives and computes, in words and counts."""
    graph = json_document.mapping(document, "graph_module", "graph")
    signature = json_document.mapping(document, "graph_module", "signature")
    values = json_document.mapping(graph, "tensor_values")
    node = Node("graph", Kind.MAPPING, "torch.export.Graph", parent=parent)
    parts: list[tuple[str, list[tuple[str, Any]]]] = [
        ("inputs", list(_arguments(json_document.array(signature, "input_specs"), values))),
        ("outputs", list(_arguments(json_document.array(signature, "output_specs"), values))),
        ("operators", _operators(graph)),
        ("range_constraints", _ranges(document)),
    ]
    children = []
    for key, pairs in parts:
        part = Node(key, Kind.MAPPING, "dict", parent=node)
        part.children = [
            Node(name, Kind.SCALAR, type(value).__name__, value, part) for name, value in pairs
        ]
        children.append(part)
    node.children = children
    return node


def facts(document: Any) -> Iterator[tuple[str, str]]:
    """What a program states about itself."""
    version = json_document.mapping(document, "schema_version")
    major, minor = version.get("major"), version.get("minor")
    if type(major) is int and type(minor) is int:
        yield "schema_version", f"{major}.{minor}"
    torch_version = json_document.text(document, "torch_version")
    if torch_version:
        yield "torch_version", torch_version
    for name, number in json_document.mapping(document, "opset_version").items():
        if type(number) is int:
            yield f"opset_version/{name}", str(number)


def state_names(document: Any) -> list[str]:
    """The state_dict keys that the graph's signature refers to, in its order."""
    names = []
    for spec in json_document.array(document, "graph_module", "signature", "input_specs"):
        names.append(json_document.text(json_document.mapping(spec, "parameter"), "parameter_name"))
        buffer = json_document.mapping(spec, "buffer")
        if buffer.get("persistent") is not False:
            names.append(json_document.text(buffer, "buffer_name"))
    return [name for name in names if name]


def _arguments(specs: list[Any], values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for spec in specs[:_MOST_SHOWN]:
        for form in ("user_input", "user_output"):
            argument = json_document.mapping(spec, form, "arg")
            for kind, content in argument.items():
                name = json_document.text(content, "name") or json_document.text(content, "as_name")
                described = _described(values[name]) if name in values else kind[3:]
                if not name and type(content) in (int, float, bool, str):
                    described = f"{kind[3:]} {content}"
                yield name or kind[3:], described


def _described(meta: Any) -> str:
    """A tensor with its symbolic sizes: ``float32 [s77, 4]``."""
    number = json_document.mapping(meta).get("dtype")
    dtype = _DTYPES.get(number, "tensor") if type(number) is int else "tensor"
    sizes = ", ".join(map(_size, json_document.array(meta, "sizes")[:_MOST_DIMENSIONS]))
    return f"{dtype} [{sizes}]"


def _size(value: Any) -> str:
    number = _integer(value)
    if number is not None:
        return str(number)
    expression = json_document.text(json_document.mapping(value, "as_expr"), "expr_str")
    return _SYMBOL.sub(r"\1", expression[:500]) or "?"


def _operators(graph: dict[str, Any]) -> list[tuple[str, Any]]:
    targets = (json_document.text(call, "target") for call in json_document.array(graph, "nodes"))
    return list(Counter(target for target in targets if target).most_common(_MOST_SHOWN))


def _ranges(document: Any) -> list[tuple[str, Any]]:
    ranges = []
    for name, bounds in json_document.mapping(document, "range_constraints").items():
        low, high = (json_document.mapping(bounds).get(key) for key in ("min_val", "max_val"))
        shown = [str(end) if type(end) is int else "" for end in (low, high)]
        ranges.append((name, f"{shown[0]} … {shown[1]}".strip()))
    return ranges[:_MOST_SHOWN]
