"""A tensor as a .npy file, written in tiles: however it lies in memory order, and at any size.

A transposed tensor lies in the file column by column, and a .npy file has it row by row. To
read it a few rows at a time would pass over the whole file for each few. So a tile is about
as long in the order of the file as in that of the rows: what is read, and what is written,
are runs of some KiB, each byte once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from math import prod
from typing import Any, BinaryIO, TypeAlias

import numpy as np

from inspector_app.analysis.chunks import windows
from inspector_app.analysis.decimate import STEP_SECONDS, as_floats
from inspector_app.checkpoint.model import TensorInfo
from inspector_app.checkpoint.values import ValueReader

Array: TypeAlias = Any

TILE_BYTES = 16 << 20
READ_ELEMENTS = 1 << 19  # of a tile at once: some milliseconds


def npy_dtype(values: Array) -> Any:
    """What .npy files have for the dtype of `values`: numpy's own, float32 for ml_dtypes'."""
    return values.dtype if values.dtype.isbuiltin == 1 else np.dtype(np.float32)


def saving_npy(
    reader: ValueReader, tensor: TensorInfo, path: str, raw: bool = False
) -> Generator[float, None, str]:
    """Write the tensor to a .npy file; yields the share that is done, returns the dtype.

    The file appears whole or not at all: closing the generator leaves nothing behind.

    Raises:
        CheckpointError: the values cannot be read.
        OSError: the file cannot be written.
    """
    elements = reader.elements(tensor, raw)
    shape = elements.shape
    nothing = reader.read(tensor, [slice(0, 0)] * len(shape), raw)
    dtype = npy_dtype(nothing).newbyteorder("<")
    folder, name = os.path.split(os.path.abspath(path))
    # Not tempfile's: its files may be read by nobody else.
    temporary = os.path.join(folder, f".{name[:80]}.{os.urandom(4).hex()}.part")
    try:
        with open(temporary, "xb") as file:
            header = {
                "descr": np.lib.format.dtype_to_descr(dtype),
                "fortran_order": False,
                "shape": shape,
            }
            np.lib.format.write_array_header_1_0(file, header)
            work = _Saving(reader, tensor, raw, file, shape, elements.stride, dtype)
            yield from work.tiles()
        os.replace(temporary, path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
    return str(dtype.name)


def tile_shape(shape: Sequence[int], stride: Sequence[int], most: int) -> tuple[int, ...]:
    """A part of `shape`, of at most `most` elements, with long runs in both orders.

    Args:
        stride: in the file; the order to write in is that of the axes.
    """
    reading = sorted(range(len(shape)), key=lambda axis: (stride[axis], -axis))
    writing = range(len(shape) - 1, -1, -1)
    sizes = [1] * len(shape)
    while True:
        growing = [found for order in (reading, writing) if (found := _run(order, sizes, shape))]
        if not growing:
            return tuple(sizes)
        _, axis = min(growing)
        size = sizes[axis]
        grown = min(2 * size, shape[axis], most * size // prod(sizes))
        if grown <= size:
            return tuple(sizes)
        sizes[axis] = grown


def _run(
    order: Sequence[int], sizes: Sequence[int], shape: Sequence[int]
) -> tuple[int, int] | None:
    """How many elements follow each other in this order, and the axis that ends them."""
    run = 1
    for axis in order:
        run *= sizes[axis]
        if sizes[axis] < shape[axis]:
            return run, axis
    return None


class _Saving:
    def __init__(
        self,
        reader: ValueReader,
        tensor: TensorInfo,
        raw: bool,
        file: BinaryIO,
        shape: tuple[int, ...],
        stride: tuple[int, ...],
        dtype: Any,
    ) -> None:
        self._reader, self._tensor, self._raw = reader, tensor, raw
        self._file, self._start = file, file.tell()
        self._shape, self._dtype = shape, dtype
        self._tile = tile_shape(shape, stride, max(TILE_BYTES // dtype.itemsize, 1))
        self._order = sorted(range(len(shape)), key=lambda axis: -stride[axis])
        self._done = 0
        self._stepped = time.monotonic()

    def tiles(self) -> Generator[float, None, None]:
        """Read and write one tile after the other, in the order of the file."""
        if 0 in self._shape:
            return
        parts = [-(-size // step) for size, step in zip(self._shape, self._tile, strict=True)]
        for number in range(prod(parts)):
            first = [0] * len(parts)
            for axis in reversed(self._order):
                number, part = divmod(number, parts[axis])
                first[axis] = part * self._tile[axis]
            sizes = [
                min(step, size - start)
                for step, size, start in zip(self._tile, self._shape, first, strict=True)
            ]
            values: Array = np.empty(sizes, self._dtype)
            yield from self._read(values, first)
            yield from self._write(values, first)

    def _read(self, values: Array, first: Sequence[int]) -> Iterator[float]:
        for part in windows(values.shape, self._order, READ_ELEMENTS):
            chosen = [
                slice(start + some.start, start + some.stop)
                for start, some in zip(first, part, strict=True)
            ]
            found = self._reader.read(self._tensor, chosen, self._raw)
            if found.dtype.isbuiltin != 1:
                found = as_floats(found)
            values[part] = found
            self._done += found.size
            yield from self._steps()

    def _write(self, values: Array, first: Sequence[int]) -> Iterator[float]:
        """Write a tile: a run for each place in the axes that it has not whole."""
        axis = values.ndim
        while axis and values.shape[axis - 1] == self._shape[axis - 1]:
            axis -= 1
        outer = max(axis - 1, 0)
        steps = [prod(self._shape[each + 1 :]) for each in range(values.ndim)]
        place = sum(start * step for start, step in zip(first, steps, strict=True))
        places: Array = np.array(place, np.int64)
        for size, step in zip(values.shape[:outer], steps[:outer], strict=True):
            places = np.add.outer(places, np.arange(size, dtype=np.int64) * step)
        itemsize = values.itemsize
        runs = values.reshape(places.size, -1)
        for row, run in zip(places.ravel().tolist(), runs, strict=True):
            self._file.seek(self._start + row * itemsize)
            self._file.write(run.data)
            yield from self._steps()

    def _steps(self) -> Iterator[float]:
        if time.monotonic() - self._stepped > STEP_SECONDS:
            yield self._done / prod(self._shape)
            self._stepped = time.monotonic()
