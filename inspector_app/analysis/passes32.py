"""Measuring float32: moments and upper halves on the first way, the rest on a second."""

from __future__ import annotations

import math
from functools import cache
from typing import Any, TypeAlias

import numpy as np

from inspector_app.analysis import distribution as d
from inspector_app.analysis.distribution import Distribution
from inspector_app.analysis.pattern_counts import Counts, together
from inspector_app.analysis.rank_search import (
    GATHERED_AT_MOST,
    PATTERNS,
    RankSearch,
    float_of_key32,
)
from inspector_app.analysis.sums import RefiningPart, Sums, all_gathered, both_of, quantiles_from
from inspector_app.checkpoint.values import BlockBuffer, Elements

Array: TypeAlias = Any

_UPPER_HALF_ERROR = 2.0**-7
_MOVED_AT_MOST = 0.25


class Part32:
    def __init__(self) -> None:
        from inspector_app.analysis import kernels

        self.counts = Counts()
        self.state = kernels.new_state()
        self.room = np.empty(1 << 12, np.float32)


class UpperHalves32:
    """Moments of float32, and how often each upper half occurs."""

    interpreted = False

    def __init__(self, elements: Elements, exact: bool) -> None:
        self._elements = elements
        self._exact = exact
        self.blocks = len(elements.plan)

    def new_part(self) -> Part32:
        return Part32()

    def take(self, part: Part32, number: int, buffer: BlockBuffer) -> None:
        from inspector_app.analysis import kernels

        values = self._elements.block_values(number, buffer)
        kernels.moments32(values, part.counts.tables_for(len(values)), part.state, part.room)

    def finish(self, parts: list[Part32]) -> Distribution | Refining32:
        sums = Sums([part.state for part in parts])
        with together([part.counts for part in parts]) as counts:
            upper = UpperHalves(counts)
        repeats = self._elements.repeats
        if not sums.count:
            return d.empty(sums.nans * repeats, sums.infinities * repeats)
        near = upper.near_zeros(sums.zeros)
        edges = d.histogram_edges(sums.least, sums.most, False)
        if sums.least == sums.most:
            quantiles = dict.fromkeys(d.QUANTILES, float(sums.most))
            return sums.distribution(repeats, near, quantiles, edges, np.array([sums.count]))
        moved = upper.moved(edges)
        if moved is None:
            return Refining32(self._elements, sums, upper, near, edges)
        if self._exact:
            binned = upper.binned(moved)
            return Refining32(self._elements, sums, upper, near, moved, binned)
        return sums.distribution(
            repeats,
            near,
            upper.quantiles(sums, repeats),
            moved,
            upper.binned(moved),
            error=_UPPER_HALF_ERROR,
        )


class UpperHalves:
    """How often each upper half of finite float32 occurs, in the order of the numbers.

    Attributes:
        counts: by the top 16 bits of the key.
        ends: of each of them the least float32 that is greater than all of its numbers, but
            for −0, which is equal to 0 in the next one.
    """

    def __init__(self, counts: Array) -> None:
        ordered = np.concatenate([counts[:0x7FFF:-1], counts[:0x8000]])
        # What is not finite has the largest exponent: 0x7F80 and on in the upper half.
        ordered[:0x80] = 0
        ordered[0xFF80:] = 0
        self.counts = ordered
        self.ends = _upper_ends()
        self._after = np.cumsum(ordered)

    def near_zeros(self, zeros: int) -> int:
        """How many numbers are within `NEAR_ZERO`, which is where an upper half begins."""
        edge = int(np.array([d.NEAR_ZERO], np.float32).view(np.uint32)[0]) >> 16
        inside = int(self.counts[0x8000 - edge : 0x8000 + edge].sum())
        return max(inside, zeros)

    def moved(self, edges: Array) -> Array | None:
        """`edges` where upper halves end; None if one had to move too far."""
        usable = _usable_ends()
        inner = edges[1:-1]
        right = np.clip(np.searchsorted(usable, inner), 1, len(usable) - 1)
        left = right - 1
        nearer = np.where(inner - usable[left] < usable[right] - inner, left, right)
        chosen = usable[nearer]
        width = (edges[-1] - edges[0]) / (len(edges) - 1)
        if np.any(np.abs(chosen - inner) > _MOVED_AT_MOST * width):
            return None
        return np.concatenate([edges[:1], chosen, edges[-1:]])

    def binned(self, edges: Array) -> Array:
        """How many numbers lie between edges that `moved` gave."""
        below = self._after[np.searchsorted(self.ends, edges[1:-1])]
        return np.diff(np.concatenate([[0], below, [self._after[-1]]]))

    def quantiles(self, sums: Sums, repeats: int) -> dict[float, float]:
        """Estimates within the upper half that holds them."""

        def at(rank: int) -> float:
            place = int(np.searchsorted(self._after, rank, side="right"))
            # Place 0 is no finite number's.
            begin = max(float(self.ends[place - 1]), sums.least)
            end = min(float(self.ends[place]), sums.most)
            if place in (0x7FFF, 0x8000) and sums.zeros:
                return 0.0
            share = (rank - int(self._after[place - 1]) + 0.5) / int(self.counts[place])
            return begin + (end - begin) * share

        return {
            fraction: d.between(at(below), at(above), weight)
            for fraction, (below, above, weight) in d.ranks(sums.count, repeats).items()
        }


@cache
def _upper_ends() -> Array:
    keys = np.arange(1, PATTERNS + 1, dtype=np.uint64) << np.uint64(16)
    ends = np.empty(PATTERNS, np.uint32)
    negative = keys <= 1 << 31
    ends[negative] = ~keys[negative].astype(np.uint32)
    ends[~negative] = keys[~negative].astype(np.uint32) & np.uint32(0x7FFFFFFF)
    with np.errstate(invalid="ignore"):  # some are NaN yet
        values = ends.view(np.float32).astype(np.float64)
    # Beyond the finite ones the order must still hold, for searches.
    values[:0x80] = -math.inf
    values[0xFF7F:] = math.inf
    values[0x7FFF] = 0.0
    return values


@cache
def _usable_ends() -> Array:
    """Those that edges may be moved to: none between −0 and 0, which are equal."""
    ends = _upper_ends()
    return ends[np.isfinite(ends) & (np.arange(PATTERNS) != 0x7FFF)]


class Refining32:
    """The lower halves of the quantiles, and an even histogram if there is none yet."""

    interpreted = False

    def __init__(
        self,
        elements: Elements,
        sums: Sums,
        upper: UpperHalves,
        near: int,
        edges: Array,
        counts: Array | None = None,
    ) -> None:
        self._elements = elements
        self._sums = sums
        self._near = near
        self._edges = edges
        self._counts = counts
        self._ranks = d.ranks(sums.count, elements.repeats)
        self._search = RankSearch(both_of(self._ranks), upper.counts)
        self._gathers = self._search.candidates <= GATHERED_AT_MOST
        self._slots = np.zeros(PATTERNS, np.uint8)
        for number, prefix in enumerate(self._search.prefixes):
            half = prefix & 0x7FFF if prefix >= 0x8000 else 0xFFFF - prefix
            self._slots[half] = number + 1
        self.blocks = len(elements.plan)

    def new_part(self) -> RefiningPart:
        return RefiningPart(self._search, len(self._edges) - 1, np.float32)

    def take(self, part: RefiningPart, number: int, buffer: BlockBuffer) -> None:
        from inspector_app.analysis import kernels

        values = self._elements.block_values(number, buffer)
        if self._gathers:
            part.gathered = kernels.gather32(values, self._slots, part.room, part.gathered)
        else:
            kernels.refine32(values.view(np.uint32), self._slots, part.tables)
        if self._counts is None:
            kernels.bin_counts(values, self._edges, d.bins_per_unit(self._edges), part.counts)

    def finish(self, parts: list[RefiningPart]) -> Distribution:
        counts = self._counts
        if counts is None:
            counts = sum(part.counts for part in parts)
        if self._gathers:
            candidates = all_gathered(parts)
            quantiles = quantiles_from(
                self._ranks, lambda rank: self._search.pick(candidates, rank)
            )
        else:
            tables: Array = sum(part.tables for part in parts)
            for number, prefix in enumerate(self._search.prefixes):
                if prefix < 0x8000:
                    tables[number] = tables[number, ::-1].copy()
            self._search.narrow(tables)
            quantiles = quantiles_from(
                self._ranks, lambda rank: float_of_key32(self._search.key(rank))
            )
        return self._sums.distribution(
            self._elements.repeats, self._near, quantiles, self._edges, counts
        )
