"""Compile the kernels before they are needed: ``python -m inspector_app.analysis.warm_up``.

Compiling takes seconds in which the interpreter is held. A window lets a process of its own
do that, and finds the compiled forms in the cache afterwards.
"""

from __future__ import annotations

import numpy as np

from inspector_app.analysis import kernels
from inspector_app.analysis.rank_search import PATTERNS


def warm_up() -> None:
    """Call every kernel once with the types that measuring calls it with."""
    tables = np.zeros((kernels.TABLES, PATTERNS), np.uint32)
    long, marks = np.zeros(PATTERNS, np.int64), np.zeros(PATTERNS, np.uint8)
    single, double = np.ones(8, np.float32), np.ones(8)
    kernels.count8(np.zeros(8, np.uint8), tables)
    kernels.count16(np.zeros(8, np.uint16), tables)
    kernels.fold(tables, long)
    places, found = np.empty((2, PATTERNS), np.int64)
    kernels.present(long, np.arange(PATTERNS), places, found)
    kernels.moments32(single, tables, kernels.new_state(), np.empty(8, np.float32))
    kernels.moments64(double, 1.0, 1.0, long, kernels.new_state())
    refined = np.zeros((1, PATTERNS), np.int64)
    kernels.refine32(single.view(np.uint32), marks, refined)
    kernels.refine64(double, 0, marks, np.zeros(1, np.uint64), refined)
    kernels.gather32(single, marks, single, 0)
    kernels.gather64(double, marks, double, 0)
    edges = np.array([0.0, 1.0])
    kernels.bin_counts(single, edges, 1.0, np.zeros(1, np.int64))
    kernels.bin_counts(double, edges, 1.0, np.zeros(1, np.int64))


if __name__ == "__main__":
    warm_up()
