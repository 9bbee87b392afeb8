"""The figures of pairs of at most 8 bits, from how often each pair of codes occurs."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from inspector_app.analysis.comparison import Tolerance
from inspector_app.analysis.pair_blocks import bits_of, differing_codes
from inspector_app.analysis.pair_totals import Totals
from inspector_app.analysis.pattern_counts import Counts, together
from inspector_app.checkpoint.values import Elements

Array: TypeAlias = Any


class Joint:
    """How often each pair of codes occurs, of at most 8 bits each."""

    def __init__(self, a: Elements, b: Elements, plain: bool, tolerance: Tolerance) -> None:
        self._a, self._b = a, b
        self._same_dtype = a.dtype.name == b.dtype.name
        self._plain = plain
        self._tolerance = tolerance

    def new_part(self) -> Counts:
        return Counts()

    def take(self, part: Counts, number: int, a: Array, b: Array) -> None:
        from inspector_app.analysis import pair_kernels as k

        k.joint8(a.reshape(-1), b.reshape(-1), part.tables_for(a.size))

    def differs(self, number: int, a: Array, b: Array) -> Array:
        one, two = a.reshape(-1), b.reshape(-1)
        found = one != two if self._same_dtype else np.zeros(len(one), bool)
        if not self._plain:
            values = _table(self._a, False)[one], _table(self._b, False)[two]
            found |= differing_codes(bits_of(values[0]), bits_of(values[1]))
        return found

    def totals(self, parts: list[Counts]) -> Totals:
        with together(parts) as counts:
            found = np.flatnonzero(counts)
            often = counts[found]
        codes = found & 0xFF, found >> 8
        a = _table(self._a, self._plain)[codes[0]]
        b = _table(self._b, self._plain)[codes[1]]
        differs = codes[0] != codes[1] if self._same_dtype else np.zeros(len(found), bool)
        if not self._plain:
            differs |= bits_of(a) != bits_of(b)
        return _weighted(a, b, often, differs, self._tolerance)


def _table(elements: Elements, plain: bool) -> Array:
    table = elements.table()
    # A lazy negative has been resolved, or is on both sides, where it changes nothing.
    return -table if plain and elements.negative and elements.dtype.kind != "bool" else table


def _weighted(a: Array, b: Array, often: Array, differs: Array, tolerance: Tolerance) -> Totals:
    """The totals of float64 values that occur in pairs, each as often as `often` says."""

    def count(chosen: Array) -> int:
        return int(often[chosen].sum())

    nans = np.isnan(a) != np.isnan(b)
    infinities = (np.isinf(a) | np.isinf(b)) & (a != b)
    flips = ((a > 0) & (b < 0)) | ((a < 0) & (b > 0))
    finite = np.isfinite(a) & np.isfinite(b)
    x, y, weights = a[finite], b[finite], often[finite].astype(np.float64)
    apart = np.abs(y - x)
    beyond = nans | infinities
    beyond[finite] = apart > tolerance.atol + tolerance.rtol * np.abs(x)
    return Totals(
        count(finite),
        count(differs),
        count(beyond),
        count(flips),
        count(nans),
        count(infinities),
        float(apart.max(initial=0.0)),
        float(apart @ weights),
        float(apart * apart @ weights),
        float(x * x @ weights),
        float(y * y @ weights),
        float(x * y @ weights),
    )
