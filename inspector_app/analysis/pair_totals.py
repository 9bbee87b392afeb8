"""What the sums over the pairs of two tensors' values come to: totals, and the figures."""

from __future__ import annotations

import math
from typing import NamedTuple

from inspector_app.analysis import distribution
from inspector_app.analysis.comparison import EXACT, Metrics, Tolerance


class Totals(NamedTuple):
    """Sums over the pairs of finite values, and counts over all pairs.

    Attributes:
        finite: pairs that are finite on both sides.
        differing, beyond, flips, nans, infinities: as `Metrics` has them.
        most, absolute: the greatest |b − a| and their sum.
        apart, a, b, product: sums of (b − a)², a², b² and a·b.
        largest: the greatest magnitudes of a and b, where their squares may be out of range.
        scales: powers of two by which b − a, a and b were multiplied for all sums.
    """

    finite: int
    differing: int
    beyond: int
    flips: int
    nans: int
    infinities: int
    most: float
    absolute: float
    apart: float
    a: float
    b: float
    product: float
    largest: tuple[float, float] = (1.0, 1.0)
    scales: tuple[float, float, float] = (1.0, 1.0, 1.0)


def scales_for(totals: Totals) -> tuple[float, float, float]:
    """The scales that the sums need for b − a, a and b; those they have if these do."""
    a, b = totals.largest
    if math.isinf(totals.most):
        apart = distribution.scale_for(max(a, b)) / 2
    else:
        apart = distribution.scale_for(totals.most)
    return apart, distribution.scale_for(a), distribution.scale_for(b)


def metrics_of(
    totals: Totals, count: int, repeats: int, tolerance: Tolerance, first: int
) -> Metrics:
    """The figures of `count` elements, of which the totals have each `repeats` times."""
    most = mean = rel_l2 = cosine = None
    if totals.finite:
        apart_scale, a_scale, _ = totals.scales
        most = totals.most
        mean = totals.absolute / totals.finite / apart_scale
        if totals.a:
            # The quotient of two scales may leave the range where the figure does not.
            rel_l2 = math.sqrt(totals.apart) / math.sqrt(totals.a) * a_scale / apart_scale
        elif not totals.b:
            rel_l2 = 0.0
        if totals.a and totals.b:
            cosine = totals.product / (math.sqrt(totals.a) * math.sqrt(totals.b))
            cosine = max(-1.0, min(1.0, cosine))
    beyond = totals.differing if tolerance == EXACT else totals.beyond
    return Metrics(
        count,
        most,
        mean,
        rel_l2,
        cosine,
        totals.differing * repeats,
        beyond * repeats,
        totals.flips * repeats,
        totals.nans * repeats,
        totals.infinities * repeats,
        first,
    )
