"""`show --textconv`: a checkpoint as lines that `git diff` can compare.

A line for each tensor and each value, in the file's order, with a checksum of the values, and
nothing that another copy of the file would not have: not its name, nor where bytes lie in it.
The checksum is a CRC-32 of the elements as they lie in memory; that of the archive where it
covers just these, so that a zip is not read; else they are read.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from inspector_app.analysis.pair_status import checksums_count, content_of
from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.model import Checkpoint, Kind, Node, TensorInfo
from inspector_app.checkpoint.text import plain
from inspector_app.checkpoint.values import ValueReader, open_values
from inspector_app.terminal.show_rows import is_inline, scalar_text, sizes_text, spelled

_CONTAINERS = (Kind.MAPPING, Kind.SEQUENCE, Kind.OBJECT, Kind.MODULE)
_LONGEST_NAME = 1_000
_LINES_AT_ONCE = 5_000


def textconv_parts(checkpoint: Checkpoint) -> Iterator[str]:
    """The lines, some at a time."""
    trusted = checksums_count(checkpoint)
    lines = [f"format: {checkpoint.format}"]
    todo: list[tuple[Node, str]] = [(checkpoint.root, "")]
    with open_values(checkpoint) as reader:
        while todo:
            node, name = todo.pop()
            if isinstance(node, TensorInfo):
                lines.append(f"{name or '(root)'}  {_tensor(node, reader, trusted)}")
            elif node.kind not in _CONTAINERS or is_inline(node) or not node.children:
                lines.append(f"{name or '(root)'}: {_value(node)}")
            if not is_inline(node):
                prefix = f"{name[-_LONGEST_NAME:]}/" if name else ""
                todo += [(child, prefix + _key(child)) for child in reversed(node.children)]
            if len(lines) >= _LINES_AT_ONCE:
                yield "\n".join(lines) + "\n"
                lines.clear()
    lines += [f"global: {plain(entry.name)}" for entry in checkpoint.globals if not entry.allowed]
    lines += [f"problem: {plain(each.where)} {each.message}" for each in checkpoint.problems]
    if lines:
        yield "\n".join(lines) + "\n"


def _key(node: Node) -> str:
    return plain(str(node.key), _LONGEST_NAME) or "''"


def _value(node: Node) -> str:
    """What a row of `show` says, and a checksum where that is not all."""
    text = spelled(node)
    items: Iterable[Any] = ()
    if isinstance(node.value, (str, bytes)):
        items = (node.value,)
    elif is_inline(node):
        items = node.value if isinstance(node.value, (list, tuple)) else ()
        items = items or [child.value for child in node.children]
    if "…" not in text:
        return text
    found = 0
    for item in items:
        whole = item if isinstance(item, str) else scalar_text(item)
        data = item if isinstance(item, bytes) else whole.encode("utf-8", "surrogatepass")
        found = zlib.crc32(data + b"\0", found)
    return f"{text} crc32 {found:08x}"


def _tensor(tensor: TensorInfo, reader: ValueReader, trusted: bool) -> str:
    words = [sizes_text(tensor.shape), plain(tensor.dtype, 20)]
    if tensor.layout != "strided":
        words.append(plain(tensor.layout, 20))
    if tensor.device != "cpu":
        words.append(plain(tensor.device, 20))
    if tensor.requires_grad:
        words.append("requires_grad")
    if tensor.details.quantizer is not None and tensor.details.quantizer.scale is not None:
        quantizer = tensor.details.quantizer
        words.append(f"scale {quantizer.scale!r} zero_point {quantizer.zero_point!r}")
    if tensor.storage is not None:
        words.append(_checksum(tensor, reader, trusted))
    return " ".join(words)


def _checksum(tensor: TensorInfo, reader: ValueReader, trusted: bool) -> str:
    content = content_of(tensor) if trusted else None
    if content is not None and not content.big_endian:
        return f"crc32 {content.crc32:08x}"
    found = 0
    try:
        for block in reader.blocks(tensor, raw=True):
            found = zlib.crc32(block.tobytes(), found)
    except CheckpointError as error:
        return f"({error.message})"
    return f"crc32 {found:08x}"
