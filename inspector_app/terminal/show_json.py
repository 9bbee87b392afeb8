"""`show --json`: the structure of a checkpoint as one JSON object.

The tensors' rows are written by hand: a file has up to a million of them, and
`json.dumps` of as many dicts takes four times as long.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from inspector_app.checkpoint.model import Checkpoint, Node, PathElement, TensorInfo

SCHEMA = 1
_ROWS_AT_ONCE = 10_000  # the objects of a million tensors would take 300 MB together
# Only ASCII leaves here: a lone surrogate of a hostile key is escaped, not an error.
_quote = json.encoder.encode_basestring_ascii
# Python refuses to print longer integers; no real size is near.
_PRINTABLE_BITS = 2000


def json_parts(checkpoint: Checkpoint) -> Iterator[str]:
    """The object's text, in pieces, with a newline at its end."""
    head = _dump(
        {
            "schema": SCHEMA,
            "path": checkpoint.path,
            "format": checkpoint.format,
            "file_bytes": checkpoint.file_bytes,
            "sections": [
                {"path": _plain_path(section.path), "kind": section.kind}
                for section in checkpoint.sections
            ],
        }
    )
    tail = _dump(
        {
            "globals": [
                {"name": entry.name, "use": list(entry.use), "allowed": entry.allowed}
                for entry in checkpoint.globals
            ],
            "problems": [
                {"code": problem.code, "message": problem.message, "where": problem.where}
                for problem in checkpoint.problems
            ],
        }
    )
    yield head[:-1] + ',"tensors":['
    yield from _tensor_rows(checkpoint)
    yield "]," + tail[1:] + "\n"


def _tensor_rows(checkpoint: Checkpoint) -> Iterator[str]:
    """The tensors' objects with commas between them, many at a time."""
    sharded = any(file for file, _ in checkpoint.storages)
    quote = _quote
    places: dict[Node, tuple[str, str]] = {}
    views: dict[tuple[object, ...], tuple[str, str]] = {}
    rows: list[str] = []
    separator = ""
    for tensor in checkpoint.tensors:
        if tensor.parent is None:
            path = name = ""
        else:
            place = places.get(tensor.parent)
            if place is None:
                place = places[tensor.parent] = _place(tensor.parent)
            key = tensor.key
            element = quote(key) if type(key) is str else _element(key)
            path = place[0] + element
            name = place[1] + (element[1:-1] if element[0] == '"' else element)
        # What many tensors have in common is formatted once.
        if tensor.children:
            view = _view(tensor)
        else:
            common = (tensor.shape, tensor.dtype, tensor.stride)
            known = views.get(common)
            view = views[common] = known or _view(tensor)
        storage = tensor.storage
        offset = tensor.storage_offset
        rows.append(
            f'{{"path":[{path}],"name":"{name}",{view[0]},'
            f'"storage":{"null" if storage is None else quote(storage.key)},'
            f'"storage_offset":{"null" if offset is None else _number(offset)},'
            f'"device":{quote(tensor.device)},'
            f'"requires_grad":{"true" if tensor.requires_grad else "false"},'
            f'"layout":{quote(tensor.layout)},"nbytes":{view[1]}'
            f"{_file(tensor) if sharded else ''}}}"
        )
        if len(rows) == _ROWS_AT_ONCE:
            yield separator + ",".join(rows)
            separator = ","
            rows.clear()
    yield separator * bool(rows) + ",".join(rows)


def _file(tensor: TensorInfo) -> str:
    return f',"file":{"null" if tensor.storage is None else _quote(tensor.storage.file)}'


def _place(node: Node) -> tuple[str, str]:
    """What the path and the name of a child of `node` begin with, as JSON."""
    path = node.path
    if not path:
        return "", ""
    names = "".join(_quote(f"{key}")[1:-1] + "/" for key in path)
    return ",".join(_element(key) for key in path) + ",", names


def _element(key: object) -> str:
    return _number(key) if type(key) is int else _quote(f"{key}")


def _view(tensor: TensorInfo) -> tuple[str, str]:
    """Shape, dtype and stride; and the number of bytes."""
    stride = tensor.stride
    return (
        f'"shape":[{",".join(map(_number, tensor.shape))}],"dtype":{_quote(tensor.dtype)},'
        f'"stride":{"null" if stride is None else "[" + ",".join(map(_number, stride)) + "]"}'
    ), _number(tensor.nbytes)


def _number(value: int) -> str:
    """An integer as JSON has it; null for one that only a hostile file can name."""
    return str(value) if value.bit_length() <= _PRINTABLE_BITS else "null"


def _dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _plain_path(path: Sequence[PathElement]) -> list[PathElement]:
    return [key if type(key) is int else f"{key}" for key in path]
