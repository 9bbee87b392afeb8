"""Going over the blocks of one tensor, once or more, until its figures are known.

What is counted depends on the dtype:

- Up to 16 bits: how often each pattern occurs. From that every figure follows exactly.
- Few values: they are sorted.
- float32: moments, and how often each upper half occurs. The upper half has 8 of the 24
  significant bits, so a quantile lies within 1/128 of itself; the edges of the histogram
  are moved to where upper halves begin, and its counts are exact. Up to `EXACT_BYTES`, on
  demand, or where the values lie so close together that an edge would move by more than a
  quarter of a bin, a second pass counts evenly spaced bins and finds the quantiles exactly.
- float64, larger integers, and magnitudes of complex numbers: moments, then three passes
  that count 16 bits each until the quantiles are known exactly (`rank_search`).
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any, Protocol, TypeAlias

import numpy as np

from inspector_app.analysis import distribution as d
from inspector_app.analysis.distribution import Distribution, Moments, of_sorted
from inspector_app.analysis.rank_search import (
    PATTERNS,
    RankSearch,
    float_of_key32,
    float_of_key64,
)
from inspector_app.checkpoint.values import BlockBuffer, Elements

Array: TypeAlias = Any

EXACT_BYTES = 8 << 20
SORTED_AT_MOST = 1 << 14
_SORTED_BLOCKS = 16
_INTEGERS = ("int", "uint", "bool", "bits", "quantized")
_UPPER_HALF_ERROR = 2.0**-7
_MOVED_AT_MOST = 0.25


class Pass(Protocol):
    """One way over the blocks.

    Attributes:
        blocks: how many there are.
    """

    blocks: int

    def new_part(self) -> Any:
        """What one thread counts in."""

    def take(self, part: Any, number: int, buffer: BlockBuffer) -> None:
        """Count block `number` in `part`."""

    def finish(self, parts: list[Any]) -> Distribution | Pass:
        """The figures, or the pass that is needed next."""


def first_pass(elements: Elements, exact: bool) -> Pass:
    """The pass to begin with.

    Args:
        exact: a second pass over float32 however many there are.
    """
    count = math.prod(elements.plan.shape)
    if count <= SORTED_AT_MOST and len(elements.plan) <= _SORTED_BLOCKS:
        return _Sorting(elements)
    if elements.bits <= 16 and elements.channels is None:
        return _Patterns(elements)
    if elements.dtype.name == "float32" or elements.quantizer is not None:
        return _Upper32(elements, exact or 4 * count <= EXACT_BYTES)
    return _Moments64(elements)


def is_integer(elements: Elements) -> bool:
    return elements.dtype.kind in _INTEGERS and elements.quantizer is None


def float64_of(values: Array) -> Array:
    """A copy as float64; of complex numbers the magnitude, NaN where either part is."""
    with np.errstate(all="ignore"):  # signalling NaNs
        if values.dtype.kind != "c":
            return values.astype(np.float64)
        wide = values.astype(np.complex128)
        magnitudes = np.abs(wide)
    magnitudes[np.isnan(wide.real) | np.isnan(wide.imag)] = np.nan
    return magnitudes


class _Sorting:
    """All values at once, in memory."""

    def __init__(self, elements: Elements) -> None:
        self._elements = elements
        self.blocks = 1

    def new_part(self) -> list[Array]:
        return []

    def take(self, part: list[Array], number: int, buffer: BlockBuffer) -> None:
        for block in range(len(self._elements.plan)):
            values = self._elements.block_values(block, buffer)
            # Integers are kept: float64 does not hold all of 64 bits.
            part.append(values.copy() if is_integer(self._elements) else float64_of(values))

    def finish(self, parts: list[list[Array]]) -> Distribution:
        blocks = [block for part in parts for block in part]
        values = np.concatenate(blocks) if blocks else np.zeros(0)
        integers = is_integer(self._elements)
        ends = None
        if integers and len(values):
            ends = int(values.min()), int(values.max())
        values = values.astype(np.float64)
        values.sort()
        finite = values[np.searchsorted(values, -math.inf, "right") :]
        finite = finite[: np.searchsorted(finite, math.inf, "left")]
        nans = int(np.isnan(values).sum())
        return of_sorted(
            finite,
            repeats=self._elements.repeats,
            nans=nans,
            infinities=len(values) - len(finite) - nans,
            integers=integers,
            ends=ends,
        )


class _Counts:
    """How often patterns occur, counted by one thread."""

    def __init__(self) -> None:
        from inspector_app.analysis import kernels

        self._tables = np.zeros((kernels.TABLES, PATTERNS), np.uint32)
        self._total = np.zeros(PATTERNS, np.int64)
        self._counted = 0

    def tables_for(self, count: int) -> Array:
        """The tables to count so many patterns in."""
        if self._counted + count >= 1 << 32:
            self.sum()
        self._counted += count
        return self._tables

    def sum(self) -> Array:
        """The counts up to now, int64."""
        from inspector_app.analysis import kernels

        kernels.fold(self._tables, self._total)
        self._counted = 0
        return self._total


class _PatternOrder:
    """The codes of a dtype in the order of their values."""

    def __init__(self, table: Array) -> None:
        order = np.argsort(table, kind="stable")
        finite = np.isfinite(table[order])
        self.codes = order[finite]
        self.values = table[self.codes]
        self.nans = np.flatnonzero(np.isnan(table))
        self.infinities = np.flatnonzero(np.isinf(table))


class _Patterns:
    """How often each pattern occurs, for elements of at most 16 bits."""

    def __init__(self, elements: Elements) -> None:
        self._elements = elements
        self.blocks = len(elements.plan)

    def new_part(self) -> _Counts:
        return _Counts()

    def take(self, part: _Counts, number: int, buffer: BlockBuffer) -> None:
        from inspector_app.analysis import kernels

        codes = self._elements.block_codes(number, buffer).reshape(-1)
        count = kernels.count8 if codes.itemsize == 1 else kernels.count16
        count(codes, part.tables_for(len(codes)))

    def finish(self, parts: list[_Counts]) -> Distribution:
        from inspector_app.analysis import kernels

        counts = sum(part.sum() for part in parts)
        order = _order_of(self._elements)
        places, found = np.empty((2, len(order.codes)), np.int64)
        used = kernels.present(counts, order.codes, places, found)
        return of_sorted(
            order.values[places[:used]],
            found[:used],
            repeats=self._elements.repeats,
            nans=int(counts[order.nans].sum()),
            infinities=int(counts[order.infinities].sum()),
            integers=is_integer(self._elements),
        )


_ORDERS: dict[tuple[object, ...], _PatternOrder] = {}


def _order_of(elements: Elements) -> _PatternOrder:
    # Of quantized tensors each has its own.
    if elements.quantizer is not None:
        return _PatternOrder(elements.table())
    key = elements.dtype.name, elements.negative
    if key not in _ORDERS:
        _ORDERS[key] = _PatternOrder(elements.table())
    return _ORDERS[key]


class _Part32:
    def __init__(self) -> None:
        from inspector_app.analysis import kernels

        self.counts = _Counts()
        self.state = kernels.new_state()
        self.room = np.empty(1 << 12, np.float32)


class _Upper32:
    """Moments of float32, and how often each upper half occurs."""

    def __init__(self, elements: Elements, exact: bool) -> None:
        self._elements = elements
        self._exact = exact
        self.blocks = len(elements.plan)

    def new_part(self) -> _Part32:
        return _Part32()

    def take(self, part: _Part32, number: int, buffer: BlockBuffer) -> None:
        from inspector_app.analysis import kernels

        values = self._elements.block_values(number, buffer)
        kernels.moments32(values, part.counts.tables_for(len(values)), part.state, part.room)

    def finish(self, parts: list[_Part32]) -> Distribution | Pass:
        sums = _Sums([part.state for part in parts])
        counts = sum(part.counts.sum() for part in parts)
        repeats = self._elements.repeats
        if not sums.count:
            return d.empty(sums.nans * repeats, sums.infinities * repeats)
        upper = _UpperHalves(counts)
        near = upper.near_zeros(sums.zeros)
        edges = d.histogram_edges(sums.least, sums.most, False)
        if sums.least == sums.most:
            quantiles = dict.fromkeys(d.QUANTILES, float(sums.most))
            return sums.distribution(repeats, near, quantiles, edges, np.array([sums.count]))
        moved = upper.moved(edges)
        if self._exact or moved is None:
            return _Refining32(self._elements, sums, upper, near, edges)
        return sums.distribution(
            repeats,
            near,
            upper.quantiles(sums, repeats),
            moved,
            upper.binned(moved),
            error=_UPPER_HALF_ERROR,
        )


class _Sums:
    """What the threads' states add up to."""

    def __init__(self, states: list[Array], scale: float = 1.0) -> None:
        from inspector_app.analysis import kernels as k

        self.count = sum(int(state[k.COUNT]) for state in states)
        self.nans = sum(int(state[k.NANS]) for state in states)
        self.infinities = sum(int(state[k.INFINITIES]) for state in states)
        self.zeros = sum(int(state[k.ZEROS]) for state in states)
        self.near_zeros = sum(int(state[k.NEAR_ZEROS]) for state in states)
        self.least: float | int = min((float(state[k.LEAST]) for state in states), default=0.0)
        self.most: float | int = max((float(state[k.MOST]) for state in states), default=0.0)
        mean = squares = absolute = 0.0
        before = 0
        for state in states:
            here = int(state[k.COUNT])
            if here:
                apart = float(state[k.MEAN]) - mean
                share = here / (before + here)
                squares += float(state[k.SQUARES]) + apart * apart * before * share
                mean += apart * share
                absolute += float(state[k.ABSOLUTE])
                before += here
        self.moments = Moments(self.count, mean, squares, absolute, scale)

    def distribution(
        self,
        repeats: int,
        near_zeros: int,
        quantiles: dict[float, float],
        edges: Array,
        counts: Array,
        error: float = 0.0,
    ) -> Distribution:
        return Distribution(
            self.count * repeats,
            self.nans * repeats,
            self.infinities * repeats,
            self.zeros * repeats,
            near_zeros * repeats,
            self.least,
            self.most,
            *self.moments.figures(repeats),
            quantiles,
            edges,
            d.repeated(counts, repeats),
            error,
        )


class _UpperHalves:
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

    def quantiles(self, sums: _Sums, repeats: int) -> dict[float, float]:
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


class _PartRefining:
    def __init__(self, tables: int, bins: int) -> None:
        from inspector_app.analysis import kernels

        self.tables = np.zeros((tables, PATTERNS), np.int64)
        self.counts = np.zeros(bins, np.int64)
        self.state = kernels.new_state()
        self.top = np.zeros(PATTERNS, np.int64)


class _Refining32:
    """The lower halves of the quantiles, and an even histogram."""

    def __init__(
        self, elements: Elements, sums: _Sums, upper: _UpperHalves, near: int, edges: Array
    ) -> None:
        self._elements = elements
        self._sums = sums
        self._near = near
        self._edges = edges
        self._ranks = d.ranks(sums.count, elements.repeats)
        self._search = RankSearch(_both(self._ranks), upper.counts)
        self._slots = np.zeros(PATTERNS, np.uint8)
        for number, prefix in enumerate(self._search.prefixes):
            half = prefix & 0x7FFF if prefix >= 0x8000 else 0xFFFF - prefix
            self._slots[half] = number + 1
        self.blocks = len(elements.plan)

    def new_part(self) -> _PartRefining:
        return _PartRefining(len(self._search.prefixes), len(self._edges) - 1)

    def take(self, part: _PartRefining, number: int, buffer: BlockBuffer) -> None:
        from inspector_app.analysis import kernels

        values = self._elements.block_values(number, buffer)
        kernels.refine32(values.view(np.uint32), self._slots, part.tables)
        kernels.bin_counts(values, self._edges, d.bins_per_unit(self._edges), part.counts)

    def finish(self, parts: list[_PartRefining]) -> Distribution:
        tables = sum(part.tables for part in parts)
        for number, prefix in enumerate(self._search.prefixes):
            if prefix < 0x8000:
                tables[number] = tables[number, ::-1].copy()
        self._search.narrow(tables)
        return self._sums.distribution(
            self._elements.repeats,
            self._near,
            _quantiles(self._ranks, self._search, float_of_key32),
            self._edges,
            sum(part.counts for part in parts),
        )


class _Part64:
    def __init__(self) -> None:
        from inspector_app.analysis import kernels

        self.top = np.zeros(PATTERNS, np.int64)
        self.state = kernels.new_state()
        self.ends: tuple[int, int] | None = None


class _Moments64:
    """Moments as float64, and the top 16 bits of each key."""

    def __init__(self, elements: Elements) -> None:
        self._elements = elements
        self.blocks = len(elements.plan)

    def new_part(self) -> _Part64:
        return _Part64()

    def take(self, part: _Part64, number: int, buffer: BlockBuffer) -> None:
        from inspector_app.analysis import kernels

        values = self._elements.block_values(number, buffer)
        if values.dtype.kind in "iu":
            ends = int(values.min()), int(values.max())
            known = part.ends or ends
            part.ends = min(known[0], ends[0]), max(known[1], ends[1])
        kernels.moments64(float64_of(values), 1.0, d.NEAR_ZERO, part.top, part.state)

    def finish(self, parts: list[_Part64]) -> Distribution | Pass:
        sums = _Sums([part.state for part in parts])
        repeats = self._elements.repeats
        if not sums.count:
            return d.empty(sums.nans * repeats, sums.infinities * repeats)
        ends = [part.ends for part in parts if part.ends is not None]
        if ends:
            sums.least, sums.most = min(end[0] for end in ends), max(end[1] for end in ends)
        edges = d.histogram_edges(sums.least, sums.most, is_integer(self._elements))
        ranks = d.ranks(sums.count, repeats)
        search = RankSearch(_both(ranks), sum(part.top for part in parts))
        return _Refining64(self._elements, sums, ranks, search, edges)


class _Refining64:
    """The next 16 bits of the quantiles' keys; on the first of three ways an even histogram.

    Where squares would have left the range of float64, that way takes the moments again,
    of values that are scaled.
    """

    def __init__(
        self,
        elements: Elements,
        sums: _Sums,
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
        self._prefixes = np.array(search.prefixes, np.uint64)
        self._marks = np.zeros(PATTERNS, np.uint8)
        self._marks[[prefix >> (32 - shift) for prefix in search.prefixes]] = 1
        self.blocks = len(elements.plan)

    def new_part(self) -> _PartRefining:
        return _PartRefining(len(self._prefixes), len(self._edges) - 1)

    def take(self, part: _PartRefining, number: int, buffer: BlockBuffer) -> None:
        from inspector_app.analysis import kernels

        values = float64_of(self._elements.block_values(number, buffer))
        kernels.refine64(values, self._shift, self._marks, self._prefixes, part.tables)
        if self._counts is None:
            per_unit = d.bins_per_unit(self._edges)
            kernels.bin_counts(values, self._edges, per_unit, part.counts)
            if self._scale != 1:
                kernels.moments64(values, self._scale, d.NEAR_ZERO, part.top, part.state)

    def finish(self, parts: list[_PartRefining]) -> Distribution | Pass:
        self._search.narrow(sum(part.tables for part in parts))
        counts = self._counts
        if counts is None:
            counts = sum(part.counts for part in parts)
            if self._scale != 1:
                scaled = _Sums([part.state for part in parts], self._scale)
                self._sums.moments = scaled.moments
        if self._shift:
            return _Refining64(
                self._elements,
                self._sums,
                self._ranks,
                self._search,
                self._edges,
                self._shift - 16,
                counts,
            )
        return self._sums.distribution(
            self._elements.repeats,
            self._sums.near_zeros,
            _quantiles(self._ranks, self._search, float_of_key64),
            self._edges,
            counts,
        )


def _both(ranks: dict[float, tuple[int, int, float]]) -> set[int]:
    return {rank for below, above, _ in ranks.values() for rank in (below, above)}


def _quantiles(
    ranks: dict[float, tuple[int, int, float]], search: RankSearch, value: Any
) -> dict[float, float]:
    return {
        fraction: d.between(value(search.key(below)), value(search.key(above)), weight)
        for fraction, (below, above, weight) in ranks.items()
    }
