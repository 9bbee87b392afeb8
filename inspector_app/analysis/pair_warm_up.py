"""Compile the kernels of pairs before they are needed, as `warm_up` does those of statistics."""

from __future__ import annotations

import numpy as np

from inspector_app.analysis import pair_kernels as k
from inspector_app.analysis.kernels import TABLES
from inspector_app.analysis.rank_search import PATTERNS


def warm_up_pairs() -> None:
    """Call every kernel once with the types that comparing calls it with."""
    counts, sums = np.zeros(k.COUNTS, np.int64), np.zeros(k.SUMS)
    rest = 0.0, 0.0, counts, sums
    words = np.zeros(8, np.uint64)
    k.equal_words(words, words)
    half = np.arange(8, dtype=np.uint16)
    k.pairs16(half, half, True, *rest)
    single, double = np.ones(8, np.float32), np.ones(8)
    k.pairs32(single.view(np.uint32), single.view(np.uint32), *rest)
    k.pairs64(double.view(np.uint64), double.view(np.uint64), *rest)
    codes = np.zeros(8, np.uint8)
    k.joint8(codes, codes, np.zeros((TABLES, PATTERNS), np.uint32))
    for long in (np.int64, np.uint64):
        k.pairs_of_long(np.zeros(8, long), np.zeros(8, long), *rest)
    for small in (np.int32, np.int16, np.uint32, np.uint16):
        k.pairs_of_integers(np.zeros(8, small), np.zeros(8, small), *rest)
    for parts in (single, double):
        bits = parts.view(f"u{parts.itemsize}")
        k.pairs_of_complex(parts, parts, (bits, bits), *rest)
    pieces = single, single, (np.zeros(8, np.uint16), np.zeros(8, np.uint16))
    k.pairs_of_complex(*pieces, *rest)
    for number in (1, 2):
        k.scaled_sums(double, double, number, (1.0, 1.0, 1.0), sums)


if __name__ == "__main__":
    warm_up_pairs()
