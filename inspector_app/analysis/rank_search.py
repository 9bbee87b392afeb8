"""Exact values at given ranks, found 16 bits at a time from counts alone.

Numbers become unsigned keys in their order. A first pass counts the top 16 bits of all
keys; those say in which 65,536th of the keys each rank lies. The next pass counts the
next 16 bits of the keys there, and so on, until the whole key is known: one more pass for
float32, three for float64, and memory for a table a rank, however many values are equal.
Where the first pass leaves few candidates, the next gathers and sorts them instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np

from inspector_app.checkpoint.errors import UnreadableFile

Array: TypeAlias = Any
PATTERNS = 1 << 16
GATHERED_AT_MOST = 1 << 18


class RankSearch:
    """Looks for the keys at some ranks.

    Args:
        ranks: from 0, among all keys that are counted.
        counts: how often each top 16 bits occur, in the keys' order.

    Its methods raise `UnreadableFile` where a later pass finds other numbers than an earlier
    one: then the file was written to between them.

    Attributes:
        prefixes: of the keys that are looked for, as far as they are known; sorted.
        candidates: how many keys begin with one of the first prefixes.
    """

    def __init__(self, ranks: Iterable[int], counts: Array) -> None:
        # By rank: the key's known beginning, and its rank among the keys with that beginning.
        after = np.cumsum(counts)
        self._found = {rank: _next(0, rank, after) for rank in set(ranks)}
        self._settle()
        sizes = counts[self.prefixes]
        self.candidates = int(sizes.sum())
        self._starts = dict(zip(self.prefixes, (np.cumsum(sizes) - sizes).tolist(), strict=True))

    def _settle(self) -> None:
        self.prefixes = sorted({prefix for prefix, _ in self._found.values()})

    def narrow(self, tables: Array) -> None:
        """Take the counts of the next 16 bits, a table for each of `prefixes`."""
        after = dict(zip(self.prefixes, np.cumsum(tables, axis=1), strict=True))
        self._found = {
            rank: _next(prefix, within, after[prefix])
            for rank, (prefix, within) in self._found.items()
        }
        self._settle()

    def key(self, rank: int) -> int:
        """The key at `rank`, as far as it is known."""
        return self._found[rank][0]

    def pick(self, candidates: Array, rank: int) -> float:
        """The number at `rank`, of all candidates in ascending order."""
        prefix, within = self._found[rank]
        place = self._starts[prefix] + within
        if place >= len(candidates):
            raise UnreadableFile("file-changed")
        return float(candidates[place])


def _next(prefix: int, rank: int, after: Array) -> tuple[int, int]:
    place = int(after.searchsorted(rank, side="right"))
    if place == len(after):
        raise UnreadableFile("file-changed")
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
