"""What is shown of one pair of tensors: histograms, points, the elements that differ.

Each is a plain generator that yields None where there is nothing new, after some tens of
milliseconds at most, and its result last; close it to cancel. They read no more at once than
a block of each side. The map of differences is made by `decimate.decimating` with
`difference_reader.DifferenceReader`.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from inspector_app.analysis.comparison import EXACT
from inspector_app.analysis.decimate import STEP_SECONDS
from inspector_app.analysis.pair_blocks import PairBlocks, PairBuffers, values_of
from inspector_app.analysis.pair_histograms import PairHistograms, histograms
from inspector_app.analysis.pair_measures import ByValue
from inspector_app.analysis.pair_parts import Part
from inspector_app.analysis.pair_passes import Comparing
from inspector_app.analysis.passes64 import float64_of
from inspector_app.checkpoint.model import TensorInfo
from inspector_app.checkpoint.value_layout import Block
from inspector_app.checkpoint.values import BLOCK_BYTES, BlockBuffer, Elements, ValueReader, stored

Array: TypeAlias = Any
Readers: TypeAlias = tuple[ValueReader, ValueReader]

__all__ = [
    "MOST_POINTS",
    "Difference",
    "PairHistograms",
    "Points",
    "first_differences",
    "histograms",
    "scatter",
]

MOST_POINTS = 20_000
# Elements next to each other that one reading takes, where not all are taken.
_RUN = 8


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Values of the same elements in A and in B; of complex numbers the magnitudes.

    Attributes:
        a, b: float64.
        of: how many elements there are: more than points if these are a sample.
    """

    a: Array
    b: Array
    of: int


def scatter(
    readers: Readers, a: TensorInfo, b: TensorInfo, most: int = MOST_POINTS
) -> Generator[Points | None, None, None]:
    """At most `most` elements, evenly taken, always the same ones.

    Where not all are taken they are read in short runs, so that of a large tensor a few
    thousand blocks of the file are touched and no more.

    Raises:
        CheckpointError: the values cannot be read, or the two have other numbers of them.
    """
    pairs = PairBlocks(
        *(reader.elements(side) for reader, side in zip(readers, (a, b), strict=True))
    )
    sizes = tuple(axis.size for axis in pairs.axes)
    count = prod(sizes)
    found: list[tuple[Array, Array]] = []
    if count <= most:
        measure, buffers = ByValue(pairs, EXACT), PairBuffers()
        for number in range(len(pairs)):
            x, y = measure.values(number, *pairs.codes(number, buffers))
            found.append((np.abs(x), np.abs(y)) if x.dtype.kind == "c" else (x, y))
            yield None
    else:
        yield from _sampling(pairs, sizes, most, found)
    for reader, side in zip(readers, (a, b), strict=True):
        reader.check_unchanged(side)
    x, y = (np.concatenate([part[side] for part in found] or [[]]) for side in (0, 1))
    yield Points(x, y, pairs.a.count)


def _sampling(
    pairs: PairBlocks, sizes: tuple[int, ...], most: int, found: list[tuple[Array, Array]]
) -> Generator[None, None, None]:
    """Read runs of elements that lie at even distances."""
    buffers = BlockBuffer(), BlockBuffer()
    runs = max(most // min(_RUN, sizes[-1]), 1)
    count = prod(sizes)
    paused = time.monotonic()
    for number in range(runs):
        # From the middle of each stretch.
        place = (2 * number + 1) * count // (2 * runs)
        index = [0] * len(sizes)
        for axis in range(len(sizes) - 1, -1, -1):
            place, index[axis] = divmod(place, sizes[axis])
        length = min(_RUN, sizes[-1], most)
        index[-1] = min(index[-1], sizes[-1] - length)
        sides = [
            _run(elements, pairs, side, tuple(index), length, buffer)
            for elements, side, buffer in zip((pairs.a, pairs.b), "ab", buffers, strict=True)
        ]
        found.append((sides[0], sides[1]))
        if time.monotonic() - paused > STEP_SECONDS:
            yield
            paused = time.monotonic()


def _run(
    elements: Elements,
    pairs: PairBlocks,
    side: str,
    index: tuple[int, ...],
    length: int,
    buffer: BlockBuffer,
) -> Array:
    """Elements along the last axis, as float64."""
    steps = tuple(getattr(axis, side) for axis in pairs.axes)
    start = elements.offset + sum(i * step for i, step in zip(index, steps, strict=True))
    shape = (*(1 for _ in index[1:]), length)
    extent = (length - 1) * steps[-1] + 1
    if extent * elements.bits > BLOCK_BYTES * 8:
        apart = [(*index[:-1], index[-1] + i) for i in range(length)]
        return np.concatenate([_run(elements, pairs, side, each, 1, buffer) for each in apart])
    codes = elements.codes(Block(start, index, shape, extent), steps, buffer)
    values = values_of(elements, codes, index, shape)
    return float64_of(values.reshape(-1))


class Difference(NamedTuple):
    """One element that differs.

    Attributes:
        place: the index, in the shape of the values (`Elements.shape`).
        a, b: int, float, complex or bool; dequantized if quantized.
        a_code, b_code: their bits, which tell −0 from 0 and NaNs from each other.
    """

    place: tuple[int, ...]
    a: Any
    b: Any
    a_code: int
    b_code: int


def first_differences(
    readers: Readers, a: TensorInfo, b: TensorInfo, most: int = 100, first: int = 0
) -> Generator[list[Difference] | None, None, None]:
    """The first elements whose bits differ, in row-major order.

    Args:
        first: no element before this row-major index differs (`Metrics.first`).

    Raises:
        CheckpointError: the values cannot be read, or the two have other numbers of them.
    """
    work = Comparing(readers, Part(stored(a), stored(b), True), EXACT, True)
    pairs, buffers = work.pairs, PairBuffers()
    found: list[tuple[int, Difference]] = []
    paused = time.monotonic()
    for number in range(len(pairs)):
        if time.monotonic() - paused > STEP_SECONDS:
            yield None
            paused = time.monotonic()
        if len(found) == most and pairs.first_index(number) > found[-1][0]:
            if pairs.in_rows:
                break
            continue
        if pairs.in_rows and number + 1 < len(pairs) and pairs.first_index(number + 1) <= first:
            continue
        chosen = work.differing(number, buffers)
        if chosen is None:
            continue
        places = np.flatnonzero(chosen)
        indices = pairs.row_indices(number, places)
        if len(places) > most:
            least = np.argpartition(indices, most)[:most]
            places, indices = places[least], indices[least]
        found += _read_out(pairs, number, places, indices, buffers)
        found = sorted(found, key=lambda each: each[0])[:most]
    for reader, side in zip(readers, (a, b), strict=True):
        reader.check_unchanged(side)
    yield [difference for _, difference in found]


def _read_out(
    pairs: PairBlocks, number: int, places: Array, indices: Array, buffers: PairBuffers
) -> list[tuple[int, Difference]]:
    """Some elements of a block."""
    sides = []
    for name, elements in (("a", pairs.a), ("b", pairs.b)):
        codes = pairs.codes_of(name, number, buffers)
        values = values_of(elements, codes, *pairs.place(number))
        chosen = values.reshape(-1)[places]
        if chosen.dtype.isbuiltin != 1:
            chosen = chosen.astype(np.float32)
        some = codes.reshape(-1)[places]
        bits = [int.from_bytes(code.tobytes(), "little") for code in some]
        sides.append(list(zip(chosen.tolist(), bits, strict=True)))
    found = []
    for row, (x, x_bits), (y, y_bits) in zip(indices.tolist(), *sides, strict=True):
        index = []
        rest = row
        for size in reversed(pairs.a.shape):
            rest, at = divmod(rest, size)
            index.append(at)
        found.append((row, Difference(tuple(reversed(index)), x, y, x_bits, y_bits)))
    return found
