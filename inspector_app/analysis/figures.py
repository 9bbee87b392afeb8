"""A tensor's figures without its histogram: what is kept of each of 100,000 tensors."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a window has figures, and not what it takes to find them
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


def together(one: Figures, other: Figures) -> Figures:
    """The figures of all values of two tensors that have figures.

    Means and squared distances are combined as Chan, Golub and LeVeque (1979) do, so that
    values close together far from 0 do not cancel.
    """
    nans, infinities = one.nans + other.nans, one.infinities + other.infinities
    if not one.count or not other.count:
        known = one if one.count else other
        return replace(known, nans=nans, infinities=infinities, l2=known.l2 if known.count else 0.0)
    count = one.count + other.count
    share = other.count / count
    apart = other.mean - one.mean
    squares = _squares(one) + _squares(other) + apart * apart * share * _float(one.count)
    return Figures(
        count,
        nans,
        infinities,
        one.zeros + other.zeros,
        min(one.least, other.least),
        max(one.most, other.most),
        one.mean + apart * share,
        math.sqrt(squares / _float(count - 1)),
        math.hypot(one.l2, other.l2),
    )


def _squares(figures: Figures) -> float:
    if figures.count < 2:
        return 0.0
    return figures.std * figures.std * _float(figures.count - 1)


def _float(count: int) -> float:
    # A view may claim to repeat its values more often than float64 can say.
    return float(min(count, 10**300))
