"""What numbers look like: the figures, and how they follow from values and their counts.

Definitions. All figures but `nans` and `infinities` are over the finite values; `count`
is how many those are, and the sum of the histogram. The standard deviation divides by
N − 1 as torch does; what is undefined (the mean of nothing, the deviation of one value) is
NaN. A quantile lies linearly between the two values next to its rank, as in
``torch.quantile``. Sums are taken in float64.

The histogram has `BINS` equal bins from the least to the greatest value; each has its lower
edge, and the last both. Of integers a bin has equally many each, from half below the least
to at least half above the greatest, so that none is split. Where all values are equal there
is one bin of no width; of no values there is none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = Any

BINS = 64
_PARTS = np.arange(BINS + 1) / BINS
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
# The upper half of a float32 tells whether it is below this one.
NEAR_ZERO = 2.0**-20
# Squares of larger or smaller float64 leave the range of float64.
_SQUARED_AT_MOST = 2.0**480
_SQUARED_AT_LEAST = 2.0**-480


@dataclass(frozen=True, slots=True, eq=False)
class Distribution:
    """The figures of some numbers; the module docstring has the definitions.

    Attributes:
        count: finite values.
        nans, infinities: those that are not.
        zeros: 0 and −0.
        near_zeros: of a magnitude below `NEAR_ZERO`, zeros included.
        least, most: integers for integers.
        mean, std, l1, l2: of the finite values; the norms are the sum of magnitudes and the
            root of the sum of squares.
        quantiles: of `QUANTILES`, by the fraction.
        edges, counts: of the histogram, float64 and int64.
        exact: every figure is; else the quantiles are within `quantile_error`.
        quantile_error: how far a quantile may be off, relative to the values next to its rank.
    """

    count: int
    nans: int
    infinities: int
    zeros: int
    near_zeros: int
    least: float | int
    most: float | int
    mean: float
    std: float
    l1: float
    l2: float
    quantiles: dict[float, float]
    edges: Array
    counts: Array
    quantile_error: float = 0.0

    @property
    def exact(self) -> bool:
        return self.quantile_error == 0

    @property
    def constant(self) -> bool:
        """All values are finite and equal."""
        return self.count > 0 and self.least == self.most and not self.nans + self.infinities

    @property
    def all_zero(self) -> bool:
        return self.constant and self.zeros == self.count


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums over finite values, each counted once.

    Attributes:
        squares: the sum of squared distances from the mean.
        absolute: the sum of magnitudes.
        scale: a power of two that the values were multiplied by for these.
    """

    count: int
    mean: float
    squares: float
    absolute: float
    scale: float = 1.0

    def figures(self, repeats: int) -> tuple[float, float, float, float]:
        """Mean, standard deviation, L1 and L2 norm, if each value occurs `repeats` times."""
        count = self.count * repeats
        if not count:
            return math.nan, math.nan, 0.0, 0.0
        squares = self.squares * repeats
        std = math.sqrt(squares / (count - 1)) if count > 1 else math.nan
        l2 = math.sqrt(squares + count * self.mean * self.mean)
        back = 1 / self.scale
        return self.mean * back, std * back, self.absolute * repeats * back, l2 * back


def scale_for(magnitude: float) -> float:
    """A power of two by which values up to `magnitude` can be squared and summed."""
    if magnitude == 0 or _SQUARED_AT_LEAST < magnitude < _SQUARED_AT_MOST:
        return 1.0
    exponent = math.frexp(magnitude)[1]
    return math.ldexp(1.0, max(min(-exponent, 1000), -1000))


def ranks(count: int, repeats: int = 1) -> dict[float, tuple[int, int, float]]:
    """Of each quantile the two ranks it lies between, and how far it is from the first.

    Ranks count from 0 among values of which each occurs `repeats` times in fact.
    """
    found = {}
    for fraction in QUANTILES:
        place = fraction * (count * repeats - 1)
        below = math.floor(place)
        above = min(below + 1, count * repeats - 1)
        found[fraction] = below // repeats, above // repeats, place - below
    return found


def between(below: float, above: float, weight: float) -> float:
    """The value at `weight` of the way, without overflow, as ``torch.lerp`` rounds it."""
    apart = above - below
    if math.isinf(apart):
        return below * (1 - weight) + above * weight
    return below + weight * apart if weight < 0.5 else above - apart * (1 - weight)


def histogram_edges(least: float | int, most: float | int, integers: bool) -> Array:
    """The edges for finite values from `least` to `most`."""
    if least == most:
        return np.array([float(least)] * 2)
    if integers:
        whole, end = int(least), int(most)
        width = -(-(end - whole + 1) // BINS)
        bins = -(-(end - whole + 1) // width)
        exact = [float(whole + width * place) - 0.5 for place in range(bins + 1)]
        # Beyond 2^52 halves are lost, and the ends must still hold all values.
        exact[0], exact[-1] = min(exact[0], float(whole)), max(exact[-1], float(end))
        return np.array(exact)
    edges = float(least) * (1 - _PARTS) + float(most) * _PARTS
    edges[0], edges[-1] = least, most
    # Rounding must not turn the order round where there are hardly numbers between.
    return np.minimum(np.maximum.accumulate(edges), edges[-1])


def bins_per_unit(edges: Array) -> float:
    """How many bins there are for each unit, about: where to look for a value's bin."""
    width = float(edges[-1]) - float(edges[0])
    return (len(edges) - 1) / width if 0 < width < math.inf else 0.0


def binned(values: Array, counts: Array | None, edges: Array) -> Array:
    """How many of the sorted `values` lie in each bin; each occurs as often as `counts` says."""
    places = values.searchsorted(edges)
    places[0], places[-1] = 0, len(values)
    if counts is not None:
        places = np.concatenate([[0], counts.cumsum()])[places]
    return places[1:] - places[:-1]


def of_sorted(
    values: Array,
    counts: Array | None = None,
    *,
    repeats: int = 1,
    nans: int = 0,
    infinities: int = 0,
    integers: bool = False,
    ends: tuple[int, int] | None = None,
) -> Distribution:
    """The figures of finite float64 `values` in ascending order.

    Args:
        counts: int64, how often each occurs; once if None.
        repeats: how often all of them occur.
        nans, infinities: how many there are beside them, each `repeats` times as well.
        ends: the least and the greatest of integers that float64 may round.
    """
    count = len(values) if counts is None else int(counts.sum())
    nans, infinities = nans * repeats, infinities * repeats
    if not count:
        return empty(nans, infinities)
    least: float | int = float(values[0])
    most: float | int = float(values[-1])
    if integers:
        least, most = ends or (int(least), int(most))
    edges = histogram_edges(least, most, integers)
    around = values.searchsorted(_AROUND_ZERO).tolist()
    before = around if counts is None else [int(counts[:place].sum()) for place in around]
    near_start, zero_start, zero_end, near_end = before
    return Distribution(
        count * repeats,
        nans,
        infinities,
        (zero_end - zero_start) * repeats,
        (near_end - near_start) * repeats,
        least,
        most,
        *_moments(values, counts, count).figures(repeats),
        _quantiles(values, counts, count, repeats),
        edges,
        repeated(binned(values, counts, edges), repeats),
    )


# Where those within `NEAR_ZERO` and the zeros begin and end, in float64.
_AROUND_ZERO = np.array([math.nextafter(-NEAR_ZERO, 0), 0.0, 5e-324, NEAR_ZERO])


def _moments(values: Array, counts: Array | None, count: int) -> Moments:
    scale = scale_for(max(abs(float(values[0])), abs(float(values[-1]))))
    scaled = values if scale == 1 else values * scale
    weights = np.ones(count) if counts is None else counts.astype(np.float64)
    # From the middle, or sums of values close together far from 0 would cancel.
    middle = float(scaled[len(scaled) // 2])
    apart = scaled - middle
    shift = float(apart @ weights) / count
    apart -= shift
    squares, absolute = float(apart * apart @ weights), float(np.abs(scaled) @ weights)
    return Moments(count, middle + shift, squares, absolute, scale)


def _quantiles(values: Array, counts: Array | None, count: int, repeats: int) -> dict[float, float]:
    wanted = ranks(count, repeats)
    places = [rank for below, above, _ in wanted.values() for rank in (below, above)]
    if counts is not None:
        places = counts.cumsum().searchsorted(places, side="right")
    found = iter(values[places].tolist())
    return {
        fraction: between(next(found), next(found), weight)
        for fraction, (_, _, weight) in wanted.items()
    }


def empty(nans: int = 0, infinities: int = 0) -> Distribution:
    """The figures where no value is finite."""
    nothing = dict.fromkeys(QUANTILES, math.nan)
    undefined = (math.nan,) * 4
    none = np.zeros(0), np.zeros(0, np.int64)
    return Distribution(0, nans, infinities, 0, 0, *undefined, 0.0, 0.0, nothing, *none)


def repeated(counts: Array, repeats: int) -> Array:
    """`counts` times `repeats`; as Python integers where 64 bits would not do."""
    if int(counts.sum()) * repeats < 1 << 63:
        return counts * repeats
    return np.array([int(count) * repeats for count in counts], dtype=object)
