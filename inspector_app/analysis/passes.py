"""Going over the blocks of one tensor, once or more, until its figures are known.

What is counted depends on the dtype:

- Up to 16 bits: how often each pattern occurs. From that every figure follows exactly.
- Few values: they are sorted.
- float32: moments, and how often each upper half occurs. The upper half has 8 of the 24
  significant bits, so a quantile lies within 1/128 of itself; the edges of the histogram
  are moved to where upper halves begin, and its counts are exact. Up to `EXACT_BYTES`, or on
  demand, a second pass finds the quantiles exactly. Where the values lie so close together
  that an edge would move by more than a quarter of a bin, it counts even bins as well.
- float64, larger integers, and magnitudes of complex numbers: moments, then three passes
  that count 16 bits each until the quantiles are known exactly (`rank_search`).
"""

from __future__ import annotations

import math
from typing import Any, Protocol, TypeAlias

import numpy as np

from inspector_app.analysis.distribution import Distribution, of_sorted
from inspector_app.analysis.passes32 import UpperHalves32
from inspector_app.analysis.passes64 import Moments64, float64_of, is_integer
from inspector_app.analysis.pattern_counts import Counts, order_of, together
from inspector_app.checkpoint.values import BlockBuffer, Elements

Array: TypeAlias = Any

EXACT_BYTES = 1 << 20
SORTED_AT_MOST = 1 << 14
_SORTED_BLOCKS = 16


class Pass(Protocol):
    """One way over the blocks.

    Attributes:
        blocks: how many there are.
        interpreted: see `block_work.Pass`.
    """

    blocks: int
    interpreted: bool

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
        return Sorting(elements)
    if elements.bits <= 16 and elements.channels is None:
        return Patterns(elements)
    if elements.dtype.name == "float32" or elements.quantizer is not None:
        return UpperHalves32(elements, exact or 4 * count <= EXACT_BYTES)
    return Moments64(elements)


class Sorting:
    """All values at once, in memory."""

    interpreted = True

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


class Patterns:
    """How often each pattern occurs, for elements of at most 16 bits."""

    interpreted = False

    def __init__(self, elements: Elements) -> None:
        self._elements = elements
        self.blocks = len(elements.plan)

    def new_part(self) -> Counts:
        return Counts()

    def take(self, part: Counts, number: int, buffer: BlockBuffer) -> None:
        from inspector_app.analysis import kernels

        codes = self._elements.block_codes(number, buffer).reshape(-1)
        count = kernels.count8 if codes.itemsize == 1 else kernels.count16
        count(codes, part.tables_for(len(codes)))

    def finish(self, parts: list[Counts]) -> Distribution:
        from inspector_app.analysis import kernels

        order = order_of(self._elements)
        places, found = np.empty((2, len(order.codes)), np.int64)
        with together(parts) as counts:
            used = kernels.present(counts, order.codes, places, found)
            nans = int(counts[order.nans].sum())
            infinities = int(counts[order.infinities].sum())
        return of_sorted(
            order.values[places[:used]],
            found[:used],
            repeats=self._elements.repeats,
            nans=nans,
            infinities=infinities,
            integers=is_integer(self._elements),
        )
