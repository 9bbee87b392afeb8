"""The histograms of two tensors over common edges."""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from inspector_app.analysis import distribution as d
from inspector_app.analysis.decimate import STEP_SECONDS
from inspector_app.analysis.passes import Patterns
from inspector_app.analysis.passes64 import float64_of, is_integer
from inspector_app.analysis.pattern_counts import order_of, together
from inspector_app.checkpoint.model import TensorInfo
from inspector_app.checkpoint.values import BlockBuffer, ValueReader

Array: TypeAlias = Any
Readers: TypeAlias = tuple[ValueReader, ValueReader]


@dataclass(frozen=True, slots=True, eq=False)
class PairHistograms:
    """Both sides over the same edges; of complex numbers the magnitudes.

    Attributes:
        edges: float64, as `distribution.histogram_edges` has them for the values of both.
        a, b: counts of the finite values between them.
        a_others, b_others: how many are NaN or infinite.
    """

    edges: Array
    a: Array
    b: Array
    a_others: int
    b_others: int


def histograms(
    readers: Readers, a: TensorInfo, b: TensorInfo
) -> Generator[PairHistograms | None, None, None]:
    """The histograms of A and B over common edges. Their shapes may differ.

    Raises:
        CheckpointError: the values cannot be read.
    """
    sides = [_Side(reader, tensor) for reader, tensor in zip(readers, (a, b), strict=True)]
    for side in sides:
        yield from side.finding_ends()
    least = min(side.least for side in sides)
    most = max(side.most for side in sides)
    if least > most:
        none = np.zeros(0, np.int64)
        yield PairHistograms(np.zeros(0), none, none, sides[0].others, sides[1].others)
        return
    whole = all(is_integer(side.elements) for side in sides)
    edges = d.histogram_edges(int(least) if whole else least, int(most) if whole else most, whole)
    for side in sides:
        yield from side.counting(edges)
    one, two = sides
    yield PairHistograms(edges, one.counts, two.counts, one.others, two.others)


class _Side:
    """The ends of one side's values, and how many lie between edges."""

    def __init__(self, reader: ValueReader, tensor: TensorInfo) -> None:
        self._reader, self._tensor = reader, tensor
        self.elements = reader.elements(tensor)
        self.least, self.most = math.inf, -math.inf
        self.others = 0
        self.counts: Array = np.zeros(0, np.int64)
        # Of at most 16 bits all is known from how often each pattern occurs.
        self._few = self.elements.bits <= 16 and self.elements.channels is None
        self._known: tuple[Array, Array] = np.zeros(0), np.zeros(0, np.int64)

    def finding_ends(self) -> Generator[None, None, None]:
        if self._few:
            yield from self._counting_patterns()
            return
        for values in _pausing(self._blocks()):
            if values is None:
                yield
                continue
            with np.errstate(all="ignore"):
                finite = np.isfinite(values)
                if not finite.all():
                    values = values[finite]
                    self.others += len(finite) - len(values)
            if len(values):
                self.least = min(self.least, float(values.min()))
                self.most = max(self.most, float(values.max()))
        self.others *= self.elements.repeats
        self._reader.check_unchanged(self._tensor)

    def _counting_patterns(self) -> Generator[None, None, None]:
        counting = Patterns(self.elements)
        part, buffer = counting.new_part(), BlockBuffer()
        paused = time.monotonic()
        for number in range(counting.blocks):
            counting.take(part, number, buffer)
            if time.monotonic() - paused > STEP_SECONDS:
                yield
                paused = time.monotonic()
        self._reader.check_unchanged(self._tensor)
        order = order_of(self.elements)
        with together([part]) as counts:
            often = counts[order.codes]
            self.others = (int(counts.sum()) - int(often.sum())) * self.elements.repeats
        found = np.flatnonzero(often)
        self._known = order.values[found], often[found]
        if len(found):
            self.least, self.most = (float(self._known[0][end]) for end in (0, -1))

    def counting(self, edges: Array) -> Generator[None, None, None]:
        if self._few:
            self.counts = d.binned(*self._known, edges)
        else:
            from inspector_app.analysis import kernels

            counts = np.zeros(len(edges) - 1, np.int64)
            for values in _pausing(self._blocks()):
                if values is None:
                    yield
                else:
                    kernels.bin_counts(values, edges, d.bins_per_unit(edges), counts)
            self.counts = counts
        self.counts = d.repeated(self.counts, self.elements.repeats)

    def _blocks(self) -> Generator[Array, None, None]:
        buffer = BlockBuffer()
        for number in range(len(self.elements.plan)):
            values = self.elements.block_values(number, buffer)
            yield values if values.dtype == np.float32 else float64_of(values)


def _pausing(blocks: Generator[Array, None, None]) -> Generator[Array | None, None, None]:
    """The blocks, and None between them where others should have their turn."""
    paused = time.monotonic()
    for values in blocks:
        yield values
        if time.monotonic() - paused > STEP_SECONDS:
            yield None
            paused = time.monotonic()
