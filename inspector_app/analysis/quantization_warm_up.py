"""Compile the kernels of previews before they are needed, as `warm_up` does those of statistics."""

from __future__ import annotations

import numpy as np

from inspector_app.analysis import quantization_kernels as k
from inspector_app.analysis.quantization_passes import ends_of, settings_of
from inspector_app.analysis.quantization_schemes import SCHEMES


def warm_up_quantization() -> None:
    """Call every kernel once with the types that previewing calls it with."""
    settings = settings_of(SCHEMES)
    sums, counted = np.zeros((len(SCHEMES), k.SUMS)), np.zeros(k.COUNTED)
    whole = np.array([0.0, 1.0])
    codes = np.full((1, 32), 0x3F80, np.uint16)
    ends = ends_of(codes, False)
    given = ends.special, ends.lows, ends.highs, whole, settings, sums, counted
    k.measure16(codes, False, *given, np.empty(32, np.float32))
    for dtype in (np.float32, np.float64):
        values = np.ones((1, 32), dtype)
        ends = ends_of(values, False)
        given = ends.special, ends.lows, ends.highs, whole, settings, sums, counted
        pair = np.empty(2, dtype)
        unsigned, signed = f"u{values.itemsize}", f"i{values.itemsize}"
        k.measure(
            values, values.view(unsigned), values.view(signed), pair, pair.view(unsigned), *given
        )
    k.measure_counted(np.ones(1), np.ones(1, np.int64), whole, settings, sums, counted)
    for number in range(len(SCHEMES)):
        k.quantize(
            np.ones((1, 32)), whole[:1], whole[1:], whole, settings[number], np.empty((1, 32))
        )


if __name__ == "__main__":
    warm_up_quantization()
