"""How often each 16-bit pattern occurs, and which number each pattern is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np

from inspector_app.analysis.rank_search import PATTERNS
from inspector_app.checkpoint.values import Elements

Array: TypeAlias = Any


class Counts:
    """How often patterns occur, counted by one thread.

    The tables are used again by the next tensor: memory that is new has to be made zero by
    the system, which takes longer than to count a million values.
    """

    def __init__(self) -> None:
        from inspector_app.analysis import kernels

        self._tables = _taken(_TABLES, lambda: np.zeros((kernels.TABLES, PATTERNS), np.uint32))
        self._counted = 0
        self._earlier: Array | None = None

    def tables_for(self, count: int) -> Array:
        """The tables to count so many patterns in."""
        if self._counted + count >= 1 << 32:
            # One count could leave 32 bits.
            earlier = np.zeros(PATTERNS, np.int64) if self._earlier is None else self._earlier
            self._move_to(earlier)
            self._earlier = earlier
        self._counted += count
        return self._tables

    def _move_to(self, total: Array) -> None:
        from inspector_app.analysis import kernels

        kernels.fold(self._tables, total)
        self._counted = 0

    def give_to(self, total: Array) -> None:
        """Add the counts to `total`, int64, and end this object's use."""
        self._move_to(total)
        if self._earlier is not None:
            total += self._earlier
        _TABLES.append(self._tables)
        del self._tables


@contextmanager
def together(parts: Sequence[Counts]) -> Iterator[Array]:
    """The counts of all `parts`, int64, to be used within the context alone."""
    total = _taken(_TOTALS, lambda: np.zeros(PATTERNS, np.int64))
    for part in parts:
        part.give_to(total)
    yield total
    total.fill(0)
    _TOTALS.append(total)


# All zero and waiting for use. A thread takes the last one or makes another.
_TABLES: list[Array] = []
_TOTALS: list[Array] = []


def _taken(kept: list[Array], make: Callable[[], Array]) -> Array:
    try:
        return kept.pop()
    except IndexError:
        return make()


class PatternOrder:
    """The codes of a dtype in the order of their values."""

    def __init__(self, table: Array) -> None:
        order = np.argsort(table, kind="stable")
        finite = np.isfinite(table[order])
        self.codes = order[finite]
        self.values = table[self.codes]
        self.nans = np.flatnonzero(np.isnan(table))
        self.infinities = np.flatnonzero(np.isinf(table))


_ORDERS: dict[tuple[object, ...], PatternOrder] = {}


def order_of(elements: Elements) -> PatternOrder:
    # Of quantized tensors each has its own.
    if elements.quantizer is not None:
        return PatternOrder(elements.table())
    key = elements.dtype.name, elements.negative
    if key not in _ORDERS:
        _ORDERS[key] = PatternOrder(elements.table())
    return _ORDERS[key]
