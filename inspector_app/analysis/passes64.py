"""Measuring float64, larger integers and magnitudes: moments, then 16 bits at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from inspector_app.analysis import distribution as d
from inspector_app.analysis.distribution import Distribution
from inspector_app.analysis.rank_search import (
    GATHERED_AT_MOST,
    PATTERNS,
    RankSearch,
    float_of_key64,
)
from inspector_app.analysis.sums import RefiningPart, Sums, all_gathered, both_of, quantiles_from
from inspector_app.checkpoint.values import BlockBuffer, Elements

Array: TypeAlias = Any

_INTEGERS = ("int", "uint", "bool", "bits", "quantized")


def float64_of(values: Array) -> Array:
    """A copy as float64; of complex numbers the magnitude, NaN where either part is."""
    with np.errstate(all="ignore"):  # signalling NaNs
        if values.dtype.kind != "c":
            return values.astype(np.float64)
        wide = values.astype(np.complex128)
        magnitudes = np.abs(wide)
    magnitudes[np.isnan(wide.real) | np.isnan(wide.imag)] = np.nan
    return magnitudes


def is_integer(elements: Elements) -> bool:
    return elements.dtype.kind in _INTEGERS and elements.quantizer is None


class Part64:
    def __init__(self) -> None:
        from inspector_app.analysis import kernels

        self.top = np.zeros(PATTERNS, np.int64)
        self.state = kernels.new_state()
        self.ends: tuple[int, int] | None = None


class Moments64:
    """Moments as float64, and the top 16 bits of each key."""

    interpreted = False

    def __init__(self, elements: Elements) -> None:
        self._elements = elements
        self.blocks = len(elements.plan)

    def new_part(self) -> Part64:
        return Part64()

    def take(self, part: Part64, number: int, buffer: BlockBuffer) -> None:
        from inspector_app.analysis import kernels

        values = self._elements.block_values(number, buffer)
        if values.dtype.kind in "iu":
            ends = int(values.min()), int(values.max())
            known = part.ends or ends
            part.ends = min(known[0], ends[0]), max(known[1], ends[1])
        kernels.moments64(float64_of(values), 1.0, d.NEAR_ZERO, part.top, part.state)

    def finish(self, parts: list[Part64]) -> Distribution | Refining64:
        sums = Sums([part.state for part in parts])
        repeats = self._elements.repeats
        if not sums.count:
            return d.empty(sums.nans * repeats, sums.infinities * repeats)
        ends = [part.ends for part in parts if part.ends is not None]
        if ends:
            sums.least, sums.most = min(end[0] for end in ends), max(end[1] for end in ends)
        edges = d.histogram_edges(sums.least, sums.most, is_integer(self._elements))
        ranks = d.ranks(sums.count, repeats)
        search = RankSearch(both_of(ranks), sum(part.top for part in parts))
        return Refining64(self._elements, sums, ranks, search, edges)


class Refining64:
    """The next 16 bits of the quantiles' keys; on the first of three ways an even histogram.

    Where squares would have left the range of float64, that way takes the moments again,
    of values that are scaled.
    """

    interpreted = False

    def __init__(
        self,
        elements: Elements,
        sums: Sums,
        ranks: dict[float, tuple[int, int, float]],
        search: RankSearch,
        edges: Array,
        shift: int = 32,
        counts: Array | None = None,
    ) -> None:
        self._elements = elements
        self._sums = sums
        self._ranks = ranks
        self._search = search
        self._edges = edges
        self._shift = shift
        self._counts = counts
        self._scale = d.scale_for(float(max(abs(sums.least), abs(sums.most))))
        self._gathers = search.candidates <= GATHERED_AT_MOST
        self._prefixes = np.array(search.prefixes, np.uint64)
        self._marks = np.zeros(PATTERNS, np.uint8)
        self._marks[[prefix >> (32 - shift) for prefix in search.prefixes]] = 1
        self.blocks = len(elements.plan)

    def new_part(self) -> RefiningPart:
        return RefiningPart(self._search, len(self._edges) - 1, np.float64)

    def take(self, part: RefiningPart, number: int, buffer: BlockBuffer) -> None:
        from inspector_app.analysis import kernels

        values = float64_of(self._elements.block_values(number, buffer))
        if self._gathers:
            part.gathered = kernels.gather64(values, self._marks, part.room, part.gathered)
        else:
            kernels.refine64(values, self._shift, self._marks, self._prefixes, part.tables)
        if self._counts is None:
            per_unit = d.bins_per_unit(self._edges)
            kernels.bin_counts(values, self._edges, per_unit, part.counts)
            if self._scale != 1:
                kernels.moments64(values, self._scale, d.NEAR_ZERO, part.top, part.state)

    def finish(self, parts: list[RefiningPart]) -> Distribution | Refining64:
        counts = self._counts
        if counts is None:
            counts = sum(part.counts for part in parts)
            if self._scale != 1:
                scaled = Sums([part.state for part in parts], self._scale)
                self._sums.moments = scaled.moments
        if self._gathers:
            candidates = all_gathered(parts)
            return self._found(counts, lambda rank: self._search.pick(candidates, rank))
        self._search.narrow(sum(part.tables for part in parts))
        if not self._shift:
            return self._found(counts, lambda rank: float_of_key64(self._search.key(rank)))
        return Refining64(
            self._elements,
            self._sums,
            self._ranks,
            self._search,
            self._edges,
            self._shift - 16,
            counts,
        )

    def _found(self, counts: Array, value: Callable[[int], float]) -> Distribution:
        return self._sums.distribution(
            self._elements.repeats,
            self._sums.near_zeros,
            quantiles_from(self._ranks, value),
            self._edges,
            counts,
        )
