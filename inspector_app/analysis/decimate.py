"""A plane of a tensor made small enough to look at, at any size of the tensor.

Each cell of the small picture stands for a rectangle of values: the one of the greatest
magnitude, with its sign, or their mean. A NaN anywhere in the rectangle makes the cell NaN,
so that one bad value among a billion is seen.

`decimating` first yields a picture of samples, which reads a few MB, and then what it has
read so far, until every value was.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from inspector_app.analysis.slices import Plane
from inspector_app.checkpoint.model import TensorInfo
from inspector_app.checkpoint.values import ValueReader

Array: TypeAlias = Any

MAX_ABS, MEAN = "max-abs", "mean"
CHUNK_ELEMENTS = 1 << 20
SAMPLED_BYTES = 12 << 20
_SAMPLED_PIECES = 40  # in each direction, where whole rows are too long
_PIECE = 64  # elements of each
_FOLDED = 1024  # numpy reduces short rows slowly: several are taken as one
_NEWS_SECONDS = 0.15
STEP_SECONDS = 0.02  # a yield lets others go first, which takes time as well


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A small picture of a plane.

    Attributes:
        values: a float array; cell ``[i, j]`` stands for rows ``row_edges[i]`` to
            ``row_edges[i + 1]`` and so for columns.
        least, most: the extremes of each cell; equal to `values` for means.
        row_edges, column_edges: places in the plane.
        done: the share of the values that was read, 1.0 at the end.
    """

    values: Array
    least: Array
    most: Array
    row_edges: Array
    column_edges: Array
    done: float

    def transposed(self) -> Picture:
        """Rows for columns."""
        return Picture(
            self.values.T, self.least.T, self.most.T, self.column_edges, self.row_edges, self.done
        )


def as_floats(values: Array) -> Array:
    """Values of any dtype as float32, or float64 where that would lose the range or the
    digits; complex numbers by magnitude.

    bfloat16 and the 8-bit kinds go through their bits, which unlike ml_dtypes' conversion
    lets other threads run.
    """
    kind, size = values.dtype.kind, values.dtype.itemsize
    if kind == "c":
        magnitude: Array = np.abs(values)
        return magnitude
    if kind == "f" and values.dtype.isbuiltin == 1:
        return values.astype(np.float32, copy=False) if size <= 4 else values
    if kind in "iub" and values.dtype.isbuiltin == 1:
        return values.astype(np.float32 if size <= 2 else np.float64)
    if values.dtype.name == "bfloat16":
        return (values.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    if size == 1:
        codes: Array = np.arange(256, dtype=np.uint8)
        table = codes.view(values.dtype).astype(np.float32)
        return np.take(table, np.ascontiguousarray(values).view(np.uint8))
    return values.astype(np.float64)


def read_plane(
    reader: ValueReader, tensor: TensorInfo, plane: Plane, rows: slice, columns: slice, raw: bool
) -> Array:
    """Values of a part of a plane, as rows × columns, in the tensor's own dtype."""
    values = reader.read(tensor, plane.window(rows, columns), raw)
    if 0 <= plane.column_axis < plane.row_axis:
        values = values.T
    return values.reshape(len(plane.rows[rows]), len(plane.columns[columns]))


def edges(count: int, cells: int) -> Array:
    """Where each of at most `cells` parts of `count` begins, and the end."""
    cells = min(cells, count)
    return np.array([index * count // max(cells, 1) for index in range(cells + 1)], np.int64)


def decimating(
    reader: ValueReader,
    tensor: TensorInfo,
    plane: Plane,
    height: int,
    width: int,
    how: str = MAX_ABS,
    raw: bool = False,
) -> Generator[Picture | None, None, None]:
    """Make a picture of at most `height` × `width` cells.

    Yields None where there is nothing new: a step takes tens of milliseconds. The last
    picture has ``done == 1``.

    Raises:
        CheckpointError: the values cannot be read.
    """
    elements = reader.elements(tensor, raw)
    row_step = elements.stride[plane.row_axis] if plane.row_axis >= 0 else 0
    column_step = elements.stride[plane.column_axis] if plane.column_axis >= 0 else 0
    # The axis that varies slowest in the file must be the outer, or each chunk would pass
    # over the whole file.
    if plane.row_axis >= 0 and row_step * abs(plane.rows.step) < column_step * abs(
        plane.columns.step
    ):
        for picture in decimating(reader, tensor, plane.swapped(), width, height, how, raw):
            yield picture and picture.transposed()
        return
    work = _Decimation(reader, tensor, plane, height, width, how, raw)
    itemsize = max(elements.bits // 8, 1)
    total = len(plane.rows) * len(plane.columns)
    if total * itemsize > 2 * SAMPLED_BYTES:
        with np.errstate(all="ignore"):
            first = work.sampled(itemsize)
        yield first
    yield from work.chunks(total)


class _Decimation:
    def __init__(
        self,
        reader: ValueReader,
        tensor: TensorInfo,
        plane: Plane,
        height: int,
        width: int,
        how: str,
        raw: bool,
    ) -> None:
        self._reader, self._tensor, self._plane, self._raw = reader, tensor, plane, raw
        self._how = how
        self.rows = edges(len(plane.rows), height)
        self.columns = edges(len(plane.columns), width)
        shape = len(self.rows) - 1, len(self.columns) - 1
        self._least: Array = np.full(shape, np.inf)
        self._most: Array = np.full(shape, -np.inf)
        self._sums: Array = np.zeros(shape)
        self._background: Array | None = None

    def _read(self, rows: slice, columns: slice) -> Array:
        values = read_plane(self._reader, self._tensor, self._plane, rows, columns, self._raw)
        return as_floats(values)

    # --- a first look

    def sampled(self, itemsize: int) -> Picture:
        """A picture of samples: whole rows if they are short, else pieces of some rows."""
        height, width = len(self.rows) - 1, len(self.columns) - 1
        row_bytes = len(self._plane.columns) * itemsize
        sampled_rows = min(height, SAMPLED_BYTES // max(row_bytes, 1), 400)
        if sampled_rows < min(height, 16):
            sampled_rows = min(height, _SAMPLED_PIECES)
            pieces = min(width, _SAMPLED_PIECES)
        else:
            pieces = 0
        chosen = np.linspace(0, height - 1, sampled_rows).round().astype(int)
        found = []
        for cell in chosen:
            row = int(self.rows[cell] + self.rows[cell + 1]) // 2
            at = slice(row, row + 1)
            if not pieces:
                found.append(self._cells(self._read(at, slice(None)), self.columns[:-1])[0])
                continue
            some = np.linspace(0, width - 1, pieces).round().astype(int)
            line = []
            for place in some:
                start, stop = int(self.columns[place]), int(self.columns[place + 1])
                values = self._read(at, slice(start, min(stop, start + _PIECE)))
                line.append(self._cells(values, np.zeros(1, np.int64))[0, 0])
            found.append(np.array(line)[_nearest(some, width)])
        self._background = np.stack(found)[_nearest(chosen, height)]
        return self._picture(np.zeros(height, bool), 0.0)

    def _cells(self, values: Array, starts: Array) -> Array:
        """Rows of values reduced to the columns that begin at `starts`."""
        if self._how == MEAN:
            sizes = np.diff([*starts, values.shape[1]])
            return np.add.reduceat(values, starts, axis=1, dtype=np.float64) / sizes
        return _farther(
            np.minimum.reduceat(values, starts, axis=1),
            np.maximum.reduceat(values, starts, axis=1),
        )

    # --- every value

    def chunks(self, total: int) -> Generator[Picture | None, None, None]:
        """Read everything, in the order of the file."""
        row_count, column_count = len(self._plane.rows), len(self._plane.columns)
        finished: Array = np.zeros(len(self.rows) - 1, bool)
        if not total:
            yield self._picture(finished, 1.0)
            return
        wide = min(column_count, CHUNK_ELEMENTS)
        tall = max(CHUNK_ELEMENTS // wide, 1)
        last = stepped = time.monotonic()
        for top in range(0, row_count, tall):
            bottom = min(top + tall, row_count)
            for left in range(0, column_count, wide):
                with np.errstate(all="ignore"):
                    self._take(top, bottom, left, min(left + wide, column_count))
                now = time.monotonic()
                if now - last > _NEWS_SECONDS:
                    finished[: int(np.searchsorted(self.rows, top, side="right")) - 1] = True
                    done = (top * column_count + left * (bottom - top)) / total
                    yield self._picture(finished, min(done, 0.999))
                    last = stepped = time.monotonic()
                elif now - stepped > STEP_SECONDS:
                    yield None
                    stepped = time.monotonic()
        finished[:] = True
        yield self._picture(finished, 1.0)

    def _take(self, top: int, bottom: int, left: int, right: int) -> None:
        values = self._read(slice(top, bottom), slice(left, right))
        first_row = int(np.searchsorted(self.rows, top, side="right")) - 1
        last_row = int(np.searchsorted(self.rows, bottom, side="left"))
        first = int(np.searchsorted(self.columns, left, side="right")) - 1
        last = int(np.searchsorted(self.columns, right, side="left"))
        starts = np.maximum(self.columns[first:last], left) - left
        part = slice(first_row, last_row), slice(first, last)
        bounds = np.clip(self.rows[first_row : last_row + 1], top, bottom) - top
        pieces = [values[bounds[i] : bounds[i + 1]] for i in range(len(bounds) - 1)]
        if self._how == MEAN:
            sums = np.stack([_by_rows(np.add, piece) for piece in pieces])
            self._sums[part] += np.add.reduceat(sums, starts, axis=1)
            return
        least = np.stack([_by_rows(np.minimum, piece) for piece in pieces])
        most = np.stack([_by_rows(np.maximum, piece) for piece in pieces])
        self._least[part] = np.minimum(
            self._least[part], np.minimum.reduceat(least, starts, axis=1)
        )
        self._most[part] = np.maximum(self._most[part], np.maximum.reduceat(most, starts, axis=1))

    def _picture(self, finished: Array, done: float) -> Picture:
        with np.errstate(all="ignore"):
            if self._how == MEAN:
                sizes = np.outer(np.diff(self.rows), np.diff(self.columns))
                least = most = values = self._sums / sizes
            else:
                least, most = self._least.copy(), self._most.copy()
                values = _farther(least, most)
        if done < 1:
            behind = self._background
            shown = np.full(values.shape, np.nan) if behind is None else behind
            values = np.where(finished[:, None], values, shown)
            least = np.where(finished[:, None], least, values)
            most = np.where(finished[:, None], most, values)
        return Picture(values, least, most, self.rows, self.columns, done)


def _farther(least: Array, most: Array) -> Array:
    """Of both extremes the one farther from 0; NaN if there is one."""
    return np.where(-least > most, least, most)


def _by_rows(reduce: Any, values: Array) -> Array:
    """All rows as one; sums in float64."""
    dtype = np.float64 if reduce is np.add else None
    rows, columns = values.shape
    together = min(rows, _FOLDED // max(columns, 1))
    if together > 1 and values.flags.c_contiguous:
        whole = rows // together * together
        folded = values[:whole].reshape(-1, together * columns)
        one: Array = reduce.reduce(folded, axis=0, dtype=dtype).reshape(together, columns)
        one = reduce.reduce(one, axis=0)
        if whole == rows:
            return one
        return reduce(one, reduce.reduce(values[whole:], axis=0, dtype=dtype))
    return reduce.reduce(values, axis=0, dtype=dtype)


def _nearest(chosen: Array, count: int) -> Array:
    """For each of `count` places the number of the nearest chosen one."""
    middles = (chosen[1:] + chosen[:-1]) / 2
    return np.searchsorted(middles, np.arange(count))
