"""Going over the blocks of one pair of views: which differ, and by how much.

Bits are compared first, at several times the speed of any sum. As long as all blocks are
equal nothing else is known of them; only if some block differs are the equal ones read once
more, from A alone, for the norms they are part of.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import numpy as np

from inspector_app.analysis.comparison import EXACT, Tolerance
from inspector_app.analysis.pair_blocks import PairBlocks, PairBuffers, resolved
from inspector_app.analysis.pair_measures import ByValue, Measure, Rescaled, measure_for
from inspector_app.analysis.pair_parts import Part, PartOutcome
from inspector_app.analysis.pair_totals import metrics_of, scales_for
from inspector_app.checkpoint.values import Elements, ValueReader, stored

Array: TypeAlias = Any

_FIRST_LOOK = 1 << 12
# Below, numpy is fast enough, and numba need not be imported for it.
_COMPILED_FROM = 1 << 16


def equal_bits(a: Array, b: Array) -> bool:
    """Whether two arrays of one dtype and size, each in one piece, have the same bytes."""
    one, two = a.reshape(-1).view(np.uint8), b.reshape(-1).view(np.uint8)
    # What differs usually differs everywhere.
    if not (one[:_FIRST_LOOK] == two[:_FIRST_LOOK]).all():
        return False
    whole = len(one) // 8 * 8
    if not (one[whole:] == two[whole:]).all():
        return False
    words = one[:whole].view(np.uint64), two[:whole].view(np.uint64)
    if len(one) < _COMPILED_FROM:
        return bool((words[0] == words[1]).all())
    from inspector_app.analysis import pair_kernels

    return pair_kernels.equal_words(*words)


class Pass(Protocol):
    """One way over the blocks.

    Attributes:
        blocks: how many there are.
        over: the outcome is known without the rest of them.
    """

    blocks: int
    over: bool

    def take(self, part: PassPart, number: int, buffers: PairBuffers) -> None:
        """Compare block `number`, counted from 0, and note in `part` what is found.

        Raises:
            CheckpointError: it cannot be read.
        """

    def finish(self, parts: list[PassPart]) -> PartOutcome | Pass:
        """What was found, or the pass that is needed next."""


class PassPart:
    """What one thread has found out.

    Attributes:
        measured: a part of the measure; None until a block differs.
        equal: the blocks that have the same bits.
        differs: some block has not.
        first: the least row-major index of an element that differs, or -1.
    """

    def __init__(self) -> None:
        self.measured: Any = None
        self.equal: list[int] = []
        self.differs = False
        self.first = -1


class Comparing:
    """All blocks of both sides."""

    def __init__(
        self,
        readers: tuple[ValueReader, ValueReader],
        views: Part,
        tolerance: Tolerance,
        metrics: bool,
    ) -> None:
        a, b = readers[0].elements(views.a), readers[1].elements(views.b)
        self.pairs = PairBlocks(a, b)
        self.tolerance = tolerance
        # Where equal codes mean equal values; else every block must be measured.
        self._alike = _mean_the_same(a, b)
        measured = metrics or tolerance != EXACT or not self._alike
        self.measure = measure_for(self.pairs, tolerance) if measured else None
        bits = [(stored(view).details.conj, stored(view).details.neg) for view in views[:2]]
        self._lazy = bits if self._alike and bits[0] != bits[1] else None
        self.blocks = len(self.pairs)
        self.over = False

    def side(self, name: str, number: int, buffers: PairBuffers) -> Array:
        """The codes of one side, ``a`` or ``b``, of block `number`."""
        codes = self.pairs.codes_of(name, number, buffers)
        if self._lazy is None:
            return codes
        conjugate, negative = self._lazy[name == "b"]
        flat = resolved(codes.reshape(-1), self.pairs.a.dtype, conjugate, negative)
        return flat.reshape(codes.shape)

    def take(self, part: PassPart, number: int, buffers: PairBuffers) -> None:
        a, b = self.side("a", number, buffers), self.side("b", number, buffers)
        if self._alike and equal_bits(a, b):
            part.equal.append(number)
            return
        part.differs = True
        if self.measure is None:
            self.over = True
            return
        if part.measured is None:
            part.measured = self.measure.new_part()
        self.measure.take(part.measured, number, a, b)
        if part.first < 0 or self.pairs.first_index(number) < part.first:
            chosen = self.measure.differs(number, a, b)
            if chosen.any():
                index = self.pairs.least_index(number, chosen)
                part.first = index if part.first < 0 else min(index, part.first)

    def differing(self, number: int, buffers: PairBuffers) -> Array | None:
        """Of each element of block `number`, flat, whether it differs; None if none does."""
        assert self.measure is not None
        a, b = self.side("a", number, buffers), self.side("b", number, buffers)
        if self._alike and equal_bits(a, b):
            return None
        chosen = self.measure.differs(number, a, b)
        return chosen if chosen.any() else None

    def finish(self, parts: list[PassPart]) -> PartOutcome | Pass:
        if not any(part.differs for part in parts):
            return PartOutcome(True, True)
        if self.measure is None:
            return PartOutcome(False, False)
        equal = sorted(number for part in parts for number in part.equal)
        if equal:
            return Rest(self, self.measure, equal, parts)
        return self.measured(self.measure, parts, parts)

    def measured(
        self, measure: Measure, parts: list[PassPart], measured: list[PassPart]
    ) -> PartOutcome | Pass:
        """What follows from the parts of the first pass, and from all that were measured."""
        totals = measure.totals([part.measured for part in measured if part.measured is not None])
        if scales_for(totals) != totals.scales:
            return Again(self, Rescaled(ByValue(self.pairs, self.tolerance), totals), parts)
        first = min((part.first for part in parts if part.first >= 0), default=-1)
        count, repeats = self.pairs.a.count, self.pairs.repeats
        metrics = metrics_of(totals, count, repeats, self.tolerance, first)
        return PartOutcome(not metrics.differing, not metrics.beyond, metrics)


class Rest:
    """The blocks that have the same bits, of a tensor that differs elsewhere."""

    over = False

    def __init__(
        self, before: Comparing, measure: Measure, equal: list[int], parts: list[PassPart]
    ) -> None:
        self._before = before
        self._measure = measure
        self._equal = equal
        self._parts = parts
        self.blocks = len(equal)

    def take(self, part: PassPart, number: int, buffers: PairBuffers) -> None:
        if part.measured is None:
            part.measured = self._measure.new_part()
        place = self._equal[number]
        codes = self._before.side("a", place, buffers)
        self._measure.take(part.measured, place, codes, codes)

    def finish(self, parts: list[PassPart]) -> PartOutcome | Pass:
        return self._before.measured(self._measure, self._parts, self._parts + parts)


class Again:
    """All blocks once more, where squares left the range of float64."""

    over = False

    def __init__(self, before: Comparing, measure: Rescaled, parts: list[PassPart]) -> None:
        self._before = before
        self._measure = measure
        self._parts = parts
        self.blocks = before.blocks

    def take(self, part: PassPart, number: int, buffers: PairBuffers) -> None:
        if part.measured is None:
            part.measured = self._measure.new_part()
        sides = [self._before.side(name, number, buffers) for name in ("a", "b")]
        self._measure.take(part.measured, number, *sides)

    def finish(self, parts: list[PassPart]) -> PartOutcome | Pass:
        return self._before.measured(self._measure, self._parts, parts)


def _mean_the_same(a: Elements, b: Elements) -> bool:
    """Whether equal codes of the two stand for equal values."""
    if a.dtype.name != b.dtype.name or a.quantizer is None or b.quantizer is None:
        return a.dtype.name == b.dtype.name and a.quantizer is b.quantizer is None
    if a.channels is None or b.channels is None:
        return a.channels is b.channels is None and repr(a.quantizer) == repr(b.quantizer)
    return (
        a.channels.axis == b.channels.axis
        and _equal_arrays(a.channels.scales, b.channels.scales)
        and _equal_arrays(a.channels.zero_points, b.channels.zero_points)
    )


def _equal_arrays(a: Array, b: Array) -> bool:
    return bool(a.dtype == b.dtype and a.shape == b.shape and equal_bits(a, b))
