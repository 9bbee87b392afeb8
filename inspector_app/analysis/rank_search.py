"""Exact values at given ranks, found 16 bits at a time from counts alone.

Numbers become unsigned keys in their order. A first pass counts the top 16 bits of all
keys; those say in which 65,536th of the keys each rank lies. The next pass counts the
next 16 bits of the keys there, and so on, until the whole key is known: one more pass for
float32, three for float64, and memory for a table a rank, however many values are equal.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = Any
PATTERNS = 1 << 16


class RankSearch:
    """Looks for the keys at some ranks.

    Args:
        ranks: from 0, among all keys that are counted.
        counts: how often each top 16 bits occur, in the keys' order.

    Attributes:
        prefixes: of the keys that are looked for, as far as they are known; sorted.
    """

    def __init__(self, ranks: Iterable[int], counts: Array) -> None:
        # By rank: the key's known beginning, and its rank among the keys with that beginning.
        self._found = {rank: _next(0, rank, counts) for rank in set(ranks)}
        self._settle()

    def _settle(self) -> None:
        self.prefixes = sorted({prefix for prefix, _ in self._found.values()})

    def narrow(self, tables: Array) -> None:
        """Take the counts of the next 16 bits, a table for each of `prefixes`."""
        place = {prefix: number for number, prefix in enumerate(self.prefixes)}
        self._found = {
            rank: _next(prefix, within, tables[place[prefix]])
            for rank, (prefix, within) in self._found.items()
        }
        self._settle()

    def key(self, rank: int) -> int:
        """The key at `rank`, as far as it is known."""
        return self._found[rank][0]


def _next(prefix: int, rank: int, counts: Array) -> tuple[int, int]:
    after = np.cumsum(counts)
    place = int(np.searchsorted(after, rank, side="right"))
    before = int(after[place - 1]) if place else 0
    return prefix << 16 | place, rank - before


def float_of_key64(key: int) -> float:
    """The number that has this key (see `kernels`)."""
    bits = key ^ (1 << 63) if key >> 63 else key ^ ((1 << 64) - 1)
    return float(np.array([bits], np.uint64).view(np.float64)[0])


def float_of_key32(key: int) -> float:
    """The number that has this key."""
    bits = key ^ (1 << 31) if key >> 31 else key ^ ((1 << 32) - 1)
    return float(np.array([bits], np.uint32).view(np.float32)[0])
