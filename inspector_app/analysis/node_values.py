"""Plain values out of the tree of a file: entries by key, items of a sequence, single numbers.

Whatever a file made is looked at entry by entry; nothing of it is hashed or compared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.model import ArrayInfo, Checkpoint, Kind, Node, TensorInfo
from inspector_app.checkpoint.plain_objects import numpy_value
from inspector_app.checkpoint.values import ValueReader, open_values

Number = int | float
MOST_ENTRIES = 4_096
# A float holds it; what counts steps or epochs is far below.
_INTEGER_BITS = 63


def entries(node: Node | None, most: int = MOST_ENTRIES) -> dict[str, Node]:
    """The children of `node` with textual keys, the first of many; of equal keys the last."""
    if node is None:
        return {}
    return {child.key: child for child in node.children[:most] if isinstance(child.key, str)}


def entry(node: Node | None, *keys: str) -> Node | None:
    """The node at `keys` below `node`, or None."""
    for key in keys:
        node = entries(node).get(key)
    return node


def items(node: Node | None) -> Sequence[Any]:
    """The items of a sequence: values where they are scalars, else nodes."""
    if node is None or node.kind != Kind.SEQUENCE:
        return ()
    if isinstance(node.value, (list, tuple)):
        return node.value
    return [child.value if child.kind == Kind.SCALAR else child for child in node.children]


def number_of(value: Any) -> Number | None:
    """`value` if it is a number of a size that a count or a metric has; never a bool."""
    if type(value) is int:
        return value if value.bit_length() <= _INTEGER_BITS else None
    return value if isinstance(value, float) else None


def numbers(node: Node | None) -> tuple[Number, ...]:
    """The numbers of a sequence; () if anything else is in it."""
    found = [number_of(value) for value in items(node)]
    return tuple(value for value in found if value is not None) if None not in found else ()


class SingleValues:
    """Reads numbers that are kept as tensors or arrays of one element, as ``step`` and losses are.

    The file is opened when the first tensor is asked for; close it after use.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._reader: ValueReader | None = None

    def number(self, node: Node | None) -> Number | None:
        """The number that `node` holds: a scalar, a tensor or an array of one element.

        None where it holds none, or where its bytes cannot be read.
        """
        if node is None:
            return None
        if node.kind == Kind.SCALAR:
            return number_of(node.value)
        if isinstance(node.value, ArrayInfo) and math.prod(node.value.shape) == 1:
            return number_of(numpy_value(node.value.dtype, node.value.data))
        if isinstance(node, TensorInfo) and is_single(node):
            return self._of_tensor(node)
        return None

    def _of_tensor(self, tensor: TensorInfo) -> Number | None:
        if self._reader is None:
            self._reader = open_values(self._checkpoint)
        try:
            value = self._reader.read(tensor).reshape(-1)[0]
        except CheckpointError:
            return None  # what is wrong with its bytes is among the file's problems
        number = value.item() if hasattr(value, "item") else value
        return number_of(number if type(number) is int else _real(number))

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None


def is_single(tensor: TensorInfo) -> bool:
    """It has one element, and is dense."""
    return tensor.layout == "strided" and tensor.storage is not None and tensor.numel == 1


def _real(value: Any) -> Any:
    """The extension floats of ml_dtypes as floats; complex numbers and bools are none."""
    if isinstance(value, (bool, complex)):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
