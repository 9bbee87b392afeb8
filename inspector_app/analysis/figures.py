"""A tensor's figures without its histogram: what is kept of each of 100,000 tensors."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from inspector_app.analysis.distribution import Distribution
from inspector_app.analysis.stats import TensorStats


@dataclass(frozen=True, slots=True)
class Figures:
    """What `distribution.Distribution` says, as far as it fits in a row of a table.

    Attributes:
        count: finite values.
        nans, infinities: those that are not.
        zeros: 0 and −0.
        least, most: of the finite values; NaN if there is none.
        mean, std, l2: of the finite values; NaN where undefined.
        error: why there are no figures, in a sentence, or "".
    """

    count: int
    nans: int
    infinities: int
    zeros: int
    least: float | int
    most: float | int
    mean: float
    std: float
    l2: float
    error: str = ""

    @property
    def values(self) -> int:
        """All values, finite or not."""
        return self.count + self.nans + self.infinities

    @property
    def constant(self) -> bool:
        """All values are finite and equal."""
        return self.count > 0 and self.least == self.most and self.count == self.values

    @property
    def all_zero(self) -> bool:
        """Every value is 0 or −0."""
        return self.constant and self.zeros == self.count

    @property
    def magnitude(self) -> float | int:
        """The largest magnitude of a finite value; 0 if there is none."""
        return max(abs(self.least), abs(self.most)) if self.count else 0


def figures_of(stats: TensorStats) -> Figures:
    """The figures of one tensor; where it has none, why."""
    if stats.values is None:
        nan = math.nan
        error = stats.error.message if stats.error is not None else "it has no values"
        return Figures(0, 0, 0, 0, nan, nan, nan, nan, nan, error)
    return figures_of_distribution(stats.values)


def figures_of_distribution(values: Distribution) -> Figures:
    """The figures of some numbers."""
    return Figures(
        values.count,
        values.nans,
        values.infinities,
        values.zeros,
        values.least,
        values.most,
        values.mean,
        values.std,
        values.l2,
    )


def together(parts: Iterable[Figures]) -> Figures | None:
    """The figures of all values of `parts`; None if none of them has figures.

    Means and squared distances are combined pairwise (Chan, Golub and LeVeque 1979), so that
    values close together far from 0 do not cancel.
    """
    count = nans = infinities = zeros = 0
    least: float | int = math.inf
    most: float | int = -math.inf
    mean = squares = l2 = 0.0
    any_figures = False
    for part in parts:
        if part.error:
            continue
        any_figures = True
        nans += part.nans
        infinities += part.infinities
        zeros += part.zeros
        if not part.count:
            continue
        least, most = min(least, part.least), max(most, part.most)
        whole = count + part.count
        share = part.count / whole
        apart = part.mean - mean
        own = part.std * part.std * _float(part.count - 1) if part.count > 1 else 0.0
        squares += own + apart * apart * share * _float(count)
        mean += apart * share
        l2 = math.hypot(l2, part.l2)
        count = whole
    if not any_figures:
        return None
    if not count:
        nan = math.nan
        return Figures(0, nans, infinities, zeros, nan, nan, nan, nan, 0.0)
    std = math.sqrt(squares / _float(count - 1)) if count > 1 else math.nan
    return Figures(count, nans, infinities, zeros, least, most, mean, std, l2)


def _float(count: int) -> float:
    # A view may claim to repeat its values more often than float64 can say.
    return float(min(count, 10**300))
