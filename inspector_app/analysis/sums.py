"""Moments that threads took apart, added up; and the quantiles of searched ranks."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from inspector_app.analysis import distribution as d
from inspector_app.analysis.distribution import Distribution, Moments
from inspector_app.analysis.rank_search import PATTERNS, RankSearch

Array: TypeAlias = Any


class Sums:
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


class RefiningPart:
    def __init__(self, tables: int, bins: int) -> None:
        from inspector_app.analysis import kernels

        self.tables = np.zeros((tables, PATTERNS), np.int64)
        self.counts = np.zeros(bins, np.int64)
        self.state = kernels.new_state()
        self.top = np.zeros(PATTERNS, np.int64)


def both_of(ranks: dict[float, tuple[int, int, float]]) -> set[int]:
    return {rank for below, above, _ in ranks.values() for rank in (below, above)}


def quantiles_from(
    ranks: dict[float, tuple[int, int, float]], search: RankSearch, value: Any
) -> dict[float, float]:
    return {
        fraction: d.between(value(search.key(below)), value(search.key(above)), weight)
        for fraction, (below, above, weight) in ranks.items()
    }
