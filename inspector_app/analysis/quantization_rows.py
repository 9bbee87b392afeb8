"""A weight as rows, one for each channel of axis 0, and the blocks to read them in.

Where the rows lie one after the other in the storage, whole rows are read, or pieces of long
ones; other views (channels last, transposed) are read in their logical order, some rows at a
time.
"""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from inspector_app.checkpoint.model import TensorInfo, contiguous_stride
from inspector_app.checkpoint.value_layout import Block
from inspector_app.checkpoint.values import BLOCK_BYTES, BlockBuffer, Elements, ValueReader

Array: TypeAlias = Any

# Of other views: enough that a transposed matrix is not read over and over again.
_GATHERED_BYTES = 1 << 23
_DENSE = ("float32", "float16", "bfloat16", "float64")


class Piece(NamedTuple):
    """Which part of the rows a block has: some whole rows, or a part of one."""

    row: int
    rows: int
    column: int
    columns: int


class Rows:
    """How to read a tensor's rows.

    Attributes:
        count, length: how many rows there are, and values in each.
        blocks: how many blocks.
        whole: no row is cut.
        codes: the blocks are 16-bit codes (`half` if of float16), else values.
    """

    def __init__(self, reader: ValueReader, tensor: TensorInfo) -> None:
        self._reader, self._tensor = reader, tensor
        self._elements = reader.elements(tensor)
        shape = self._elements.shape
        self.count = shape[0] if shape else 1
        self.length = prod(shape[1:])
        self._dense = (
            self._elements.dtype.name in _DENSE
            and not self._elements.negative
            and self._elements.quantizer is None
            and _is_contiguous(self._elements)
        )
        self.codes = self._dense and self._elements.bits == 16
        self.half = self._elements.dtype.name == "float16"
        capacity = (BLOCK_BYTES if self._dense else _GATHERED_BYTES) * 8 // self._elements.bits
        # Pieces of a row hold whole groups.
        self._columns = self.length
        if self._dense and self.length > capacity:
            self._columns = capacity
        self._rows = max(1, capacity // max(self.length, 1))
        self._pieces = -(-self.length // self._columns) if self.length else 0
        self.blocks = -(-self.count // self._rows) * self._pieces
        self.whole = self._pieces <= 1

    @property
    def elements(self) -> Elements:
        return self._elements

    def piece(self, number: int) -> Piece:
        """Which part block `number` is."""
        row, part = divmod(number, self._pieces)
        row *= self._rows
        column = part * self._columns
        return Piece(
            row,
            min(self._rows, self.count - row),
            column,
            min(self._columns, self.length - column),
        )

    def read(self, number: int, buffer: BlockBuffer) -> Array:
        """Block `number`: uint16 codes, float32 or float64, of (rows, columns).

        It may be overwritten, and is when `buffer` is used again.

        Raises:
            CheckpointError: it cannot be read.
        """
        row, rows, column, columns = self.piece(number)
        if not self._dense:
            values = self._reader.read(self._tensor, (slice(row, row + rows),))
            single = np.float64 if values.dtype == np.float64 else np.float32
            return np.ascontiguousarray(values, single).reshape(rows, columns)
        start = self._elements.offset + row * self.length + column
        count = rows * columns
        block = Block(start, (row, column), (count,), count)
        codes = self._elements.codes(block, (1,), buffer).reshape(rows, columns)
        if self.codes:
            return codes
        return codes.view(np.float64 if self._elements.bits == 64 else np.float32)


def _is_contiguous(elements: Elements) -> bool:
    """The values lie in the order of their indices, without gaps."""
    shape, stride = elements.shape, elements.stride
    return all(
        size == 1 or step == usual
        for size, step, usual in zip(shape, stride, contiguous_stride(shape), strict=True)
    )
