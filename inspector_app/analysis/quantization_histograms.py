"""How the values of one weight lie before and after quantization, and their errors."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeAlias

import numpy as np

from inspector_app.analysis.quantization_apart import GridHistograms, Histogram
from inspector_app.analysis.quantization_passes import (
    Ends,
    Errors,
    Ranging,
    settings_of,
)
from inspector_app.analysis.quantization_rows import Rows
from inspector_app.analysis.quantization_schemes import Scheme, Spread
from inspector_app.checkpoint.model import TensorInfo
from inspector_app.checkpoint.values import BlockBuffer, ValueReader

Array: TypeAlias = Any

_INTEGERS = 256  # of 8 bits


def finding_histograms(
    reader: ValueReader, tensor: TensorInfo, scheme: Scheme, bins: int = 128
) -> Generator[float, None, GridHistograms]:
    """Count; yields the share that is done, after each block.

    Raises:
        CheckpointError: the values cannot be read.
    """
    rows = Rows(reader, tensor)
    buffer = BlockBuffer()
    steps = max(3 * rows.blocks, 1)
    ranging = Ranging(rows)
    ends = ranging.new_part()
    least, most = np.inf, -np.inf
    for number in range(rows.blocks):
        ranging.take(ends, number, buffer)
        values = _finite(_floats(rows.read(number, buffer), rows.half))
        least = min(least, values.min(initial=np.inf))
        most = max(most, values.max(initial=-np.inf))
        yield (number + 1) / steps
    errors = Errors(rows, [scheme], ends)
    part = errors.new_part()
    for number in range(rows.blocks):
        errors.take(part, number, buffer)
        yield (rows.blocks + number + 1) / steps
    largest = errors.finish([part]).sums[scheme.name].most
    if least > most:
        least = most = 0.0
    counting = _Counting(least - largest, most + largest, largest, bins)
    setting = settings_of([scheme])[0]
    for number in range(rows.blocks):
        block = _floats(rows.read(number, buffer), rows.half)
        counting.take(block, ends.part(rows.piece(number).row, len(block)), ends.whole, setting)
        yield (2 * rows.blocks + number + 1) / steps
    reader.check_unchanged(tensor)
    return counting.histograms(scheme.spread == Spread.TENSOR)


class _Counting:
    def __init__(self, least: float, most: float, largest: float, bins: int) -> None:
        self._edges = _edges(least, most, bins)
        self._error_edges = _edges(-largest, largest, bins)
        self._original: Array = np.zeros(bins, np.int64)
        self._made: Array = np.zeros(bins, np.int64)
        self._errors: Array = np.zeros(bins, np.int64)
        self._used: Array = np.zeros(_INTEGERS, np.bool_)

    def take(self, values: Array, ends: Ends, whole: Array, setting: Array) -> None:
        """Count the rows of a block."""
        from inspector_app.analysis import kernels as counting
        from inspector_app.analysis import quantization_kernels as kernels

        special = ~np.isfinite(values)
        values[special] = 0.0
        made = np.empty_like(values)
        kernels.quantize(values, ends.lows, ends.highs, whole, setting, made)
        values[special] = np.nan
        values[np.isnan(made)] = np.nan
        made[special] = np.nan
        for given, edges, counts in (
            (values, self._edges, self._original),
            (made, self._edges, self._made),
            (values - made, self._error_edges, self._errors),
        ):
            per_unit = len(counts) / (edges[-1] - edges[0])
            counting.bin_counts(given.reshape(-1), edges, per_unit, counts)
        if setting[kernels.KIND] == kernels.TENSOR:
            least, most = setting[kernels.LEAST], setting[kernels.MOST]
            scale, zero = kernels.scale_and_zero(
                whole[0], whole[1], setting[kernels.AFFINE], least, most
            )
            numbers = np.rint(_finite(made) / scale) + (zero - least)
            self._used |= np.bincount(numbers.astype(np.int64), minlength=_INTEGERS) > 0

    def histograms(self, one_grid: bool) -> GridHistograms:
        return GridHistograms(
            _histogram(self._edges, self._original),
            _histogram(self._edges, self._made),
            _histogram(self._error_edges, self._errors),
            int(self._used.sum()) if one_grid else None,
        )


def _edges(least: float, most: float, bins: int) -> Array:
    if not most > least:
        around = abs(least) / 2 or 0.5
        least, most = least - around, most + around
    return np.linspace(least, most, bins + 1)


def _histogram(edges: Array, counts: Array) -> Histogram:
    return Histogram(tuple(edges.tolist()), tuple(counts.tolist()))


def _floats(block: Array, half: bool) -> Array:
    """The values of a block as float64, in memory of its own."""
    if block.dtype != np.uint16:
        return block.astype(np.float64)
    if half:
        return block.view(np.float16).astype(np.float64)
    return (block.astype(np.uint32) << 16).view(np.float32).astype(np.float64)


def _finite(values: Array) -> Array:
    return values[np.isfinite(values)]
