"""Going over the rows of one weight until its errors under each scheme are known.

A row is read once and stays in the cache while every scheme goes over it. What shares one
scale over the whole tensor needs its ends first: where there are more blocks than one a pass
before finds those, but not for 16 bits: of them each pattern is counted, and the errors of
schemes of a whole tensor and of casts follow from the counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import nextafter
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from inspector_app.analysis.pattern_counts import Counts, order_of, together
from inspector_app.analysis.quantization_figures import ErrorSums
from inspector_app.analysis.quantization_rows import Rows
from inspector_app.analysis.quantization_schemes import Scheme, Spread
from inspector_app.checkpoint.values import BlockBuffer

Array: TypeAlias = Any

# Of fewer 16-bit values the patterns are not counted: there are as many patterns.
_COUNTED = 1 << 16
# Of fewer values the compiled loops take less time than calling them.
_FEW = 1 << 12
_CODE_OF_INFINITY = {True: 0x7C00, False: 0x7F80}  # float16, bfloat16
_NEVER = 1e308


class _Float(NamedTuple):
    """A kind of float. torch: c10/util/Half.h, BFloat16.h, Float8_e5m2.h, Float8_e4m3fn.h.

    Attributes:
        digits: binary digits, the leading one included.
        exponent: of the least normal number.
        bound: the greatest float64 that does not become infinite. Half way between the
            greatest number and what would follow it rounds to even, which is beyond.
        clip: beyond it all becomes `most`.
    """

    digits: int
    exponent: int
    bound: float
    clip: float = _NEVER
    most: float = _NEVER


_FLOATS = {
    "float16": _Float(11, -14, nextafter(65520.0, 0.0)),
    "bfloat16": _Float(8, -126, nextafter(2.0**128 - 2.0**119, 0.0)),
    "float8_e5m2": _Float(3, -14, nextafter(61440.0, 0.0)),
    "float8_e4m3fn": _Float(4, -6, _NEVER, 464.0, 448.0),
}


def settings_of(schemes: Sequence[Scheme]) -> Array:
    """`schemes` as the kernels have them."""
    from inspector_app.analysis import quantization_kernels as kernels

    kinds = {
        Spread.TENSOR: kernels.TENSOR,
        Spread.CHANNEL: kernels.CHANNEL,
        Spread.GROUP: kernels.GROUP,
        Spread.NONE: kernels.CAST,
    }
    settings = np.zeros((len(schemes), kernels.SETTINGS))
    for setting, scheme in zip(settings, schemes, strict=True):
        setting[kernels.KIND] = kinds[scheme.spread]
        if scheme.is_cast:
            target = _FLOATS[scheme.dtype]
            setting[kernels.STEP] = 2.0 ** (1 - target.digits)
            setting[kernels.SMALLEST] = 2.0**target.exponent
            setting[kernels.BOUND] = target.bound
            setting[kernels.CLIP] = target.clip
            setting[kernels.MOST] = target.most
        else:
            setting[kernels.SIZE] = scheme.group
            setting[kernels.AFFINE] = scheme.affine
            setting[kernels.LEAST] = scheme.least
            setting[kernels.MOST] = scheme.most
    return settings


class Ends:
    """The least and greatest value of each row, 0 among them, and what is not finite."""

    def __init__(self, rows: int) -> None:
        self.lows: Array = np.zeros(rows)
        self.highs: Array = np.zeros(rows)
        self.special: Array = np.zeros(rows, np.bool_)

    @property
    def whole(self) -> Array:
        """Those of the tensor."""
        return np.array([self.lows.min(initial=0.0), self.highs.max(initial=0.0)])

    def part(self, row: int, rows: int) -> Ends:
        """Those of some rows."""
        found = Ends(0)
        chosen = slice(row, row + rows)
        found.lows, found.highs = self.lows[chosen], self.highs[chosen]
        found.special = self.special[chosen]
        return found

    def widen(self, other: Ends, row: int) -> None:
        """Take in those of rows from `row` on, or of a part of it."""
        chosen = slice(row, row + len(other.lows))
        self.lows[chosen] = np.minimum(self.lows[chosen], other.lows)
        self.highs[chosen] = np.maximum(self.highs[chosen], other.highs)
        self.special[chosen] |= other.special


def ends_of(block: Array, half: bool) -> Ends:
    """Those of the rows of a block."""
    from inspector_app.analysis import quantization_kernels as kernels

    rows = len(block)
    ends = Ends(rows)
    if block.dtype != np.uint16:
        pair = np.empty(2, block.dtype)
        kernels.ranges(
            block, *_integers(block), pair, _unsigned(pair), ends.lows, ends.highs, ends.special
        )
        return ends
    lows, highs = np.empty(rows, np.uint16), np.empty(rows, np.int16)
    kernels.ranges16(block, _CODE_OF_INFINITY[half], lows, highs, ends.special)
    if ends.special.any():
        for row in np.flatnonzero(ends.special):
            codes = block[row].copy()
            codes[(codes & _CODE_OF_INFINITY[half]) == _CODE_OF_INFINITY[half]] = 0
            lows[row], highs[row] = codes.max(), codes.view(np.int16).max()
    ends.lows[:] = np.minimum(_widened(lows, half), 0.0)
    ends.highs[:] = np.maximum(_widened(highs.view(np.uint16), half), 0.0)
    return ends


class Ranging:
    """The first pass of two: the ends of each row."""

    interpreted = False

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self.blocks = rows.blocks

    def new_part(self) -> Ends:
        return Ends(self._rows.count)

    def take(self, part: Ends, number: int, buffer: BlockBuffer) -> None:
        block = self._rows.read(number, buffer)
        part.widen(ends_of(block, self._rows.half), self._rows.piece(number).row)

    def finish(self, parts: list[Ends]) -> Ends:
        ends = parts[0]
        for part in parts[1:]:
            ends.widen(part, 0)
        return ends


class _Part:
    """What one thread finds."""

    def __init__(self, schemes: int, counts: Counts | None) -> None:
        from inspector_app.analysis import quantization_kernels as kernels

        self.sums: Array = np.zeros((schemes, kernels.SUMS))
        self.counted: Array = np.zeros(kernels.COUNTED)
        self.counts = counts
        self.room: Array = np.empty(0, np.float32)


class Found:
    """What was found out about one weight.

    Attributes:
        sums: of each scheme.
        nans, infinities: how many there are.
    """

    def __init__(self, sums: dict[str, ErrorSums], nans: int, infinities: int) -> None:
        self.sums, self.nans, self.infinities = sums, nans, infinities


class Errors:
    """The pass that finds the errors.

    Args:
        ends: those of all rows, where they had to be found before.
    """

    def __init__(self, rows: Rows, schemes: Sequence[Scheme], ends: Ends | None) -> None:
        self._rows = rows
        self.blocks = rows.blocks
        self.interpreted = rows.count * rows.length <= _FEW
        self._ends = ends
        self._whole = None if ends is None else ends.whole
        self._counting = counts_patterns(rows)
        by_pattern = [s for s in schemes if self._counting and has_one_grid(s)]
        by_value = [s for s in schemes if s not in by_pattern]
        self._schemes = by_value, by_pattern
        self._settings = settings_of(by_value)
        self._count = rows.count * rows.length

    def new_part(self) -> _Part:
        counts = Counts() if self._schemes[1] else None
        return _Part(len(self._schemes[0]), counts)

    def take(self, part: _Part, number: int, buffer: BlockBuffer) -> None:
        from inspector_app.analysis import kernels as counting
        from inspector_app.analysis import quantization_kernels as kernels

        rows = self._rows
        block = rows.read(number, buffer)
        if part.counts is not None:
            codes = block.reshape(-1)
            counting.count16(codes, part.counts.tables_for(len(codes)))
            if not len(self._settings):
                return
        piece = rows.piece(number)
        ends = ends_of(block, rows.half) if self._ends is None else self._ends
        if self._ends is not None:
            ends = ends.part(piece.row, piece.rows)
        whole = ends.whole if self._whole is None else self._whole
        given = ends.special, ends.lows, ends.highs, whole, self._settings
        if not rows.codes:
            pair = np.empty(2, block.dtype)
            kernels.measure(
                block, *_integers(block), pair, _unsigned(pair), *given, part.sums, part.counted
            )
            return
        if len(part.room) < piece.columns:
            part.room = np.empty(piece.columns, np.float32)
        kernels.measure16(block, rows.half, *given, part.sums, part.counted, part.room)

    def finish(self, parts: list[_Part]) -> Found:
        from inspector_app.analysis import quantization_kernels as kernels

        sums = sum(part.sums for part in parts)
        if parts:
            sums[:, kernels.LARGEST] = np.max(
                [part.sums[:, kernels.LARGEST] for part in parts], axis=0
            )
        counted = sum(part.counted for part in parts)
        nans, infinities = int(counted[kernels.NANS]), int(counted[kernels.INFINITIES])
        found: dict[str, ErrorSums] = {}
        by_value, by_pattern = self._schemes
        if by_pattern:
            counts = [part.counts for part in parts if part.counts is not None]
            found, nans, infinities = self._of_patterns(by_pattern, counts)
        finite = self._count - nans - infinities
        for scheme, row in zip(by_value, sums, strict=True):
            found[scheme.name] = _sums(scheme, row, float(counted[kernels.SIGNAL]), finite)
        return Found(found, nans, infinities)

    def _of_patterns(
        self, schemes: Sequence[Scheme], parts: list[Counts]
    ) -> tuple[dict[str, ErrorSums], int, int]:
        from inspector_app.analysis import kernels as counting
        from inspector_app.analysis import quantization_kernels as kernels

        order = order_of(self._rows.elements)
        places, often = np.empty((2, len(order.codes)), np.int64)
        with together(parts) as counts:
            used = counting.present(counts, order.codes, places, often)
            nans = int(counts[order.nans].sum())
            infinities = int(counts[order.infinities].sum())
        values, often = order.values[places[:used]], often[:used]
        sums = np.zeros((len(schemes), kernels.SUMS))
        counted = np.zeros(kernels.COUNTED)
        whole = np.array([values.min(initial=0.0), values.max(initial=0.0)])
        kernels.measure_counted(values, often, whole, settings_of(schemes), sums, counted)
        finite = int(often.sum())
        found = {
            scheme.name: _sums(scheme, row, float(counted[kernels.SIGNAL]), finite)
            for scheme, row in zip(schemes, sums, strict=True)
        }
        return found, nans, infinities


def has_one_grid(scheme: Scheme) -> bool:
    """What becomes of a value depends on it and on the tensor's ends alone."""
    return scheme.spread in (Spread.TENSOR, Spread.NONE)


def counts_patterns(rows: Rows) -> bool:
    """Whether patterns are counted."""
    return rows.codes and rows.count * rows.length > _COUNTED


def first_pass(rows: Rows, schemes: Sequence[Scheme]) -> Ranging | Errors:
    """The pass to begin with."""
    spreads = {scheme.spread for scheme in schemes}
    whole = Spread.TENSOR in spreads and not counts_patterns(rows)
    cut = Spread.CHANNEL in spreads and not rows.whole
    if rows.blocks > 1 and (whole or cut):
        return Ranging(rows)
    return Errors(rows, schemes, None)


def _sums(scheme: Scheme, row: Array, signal: float, finite: int) -> ErrorSums:
    from inspector_app.analysis import quantization_kernels as kernels

    noise, largest = float(row[kernels.NOISE]), float(row[kernels.LARGEST])
    clipped, overflows = int(row[kernels.CLIPPED]), int(row[kernels.OVERFLOWS])
    if scheme.is_cast:
        product, power = float(row[kernels.PRODUCT]), float(row[kernels.POWER])
        clipped += overflows
    else:
        cross = float(row[kernels.CROSS])
        product = signal - cross
        power = signal - 2 * cross + noise
        if power < _NOTHING * signal:
            product = power = 0.0  # all becomes 0; what is left is rounding
    return ErrorSums(finite, signal, noise, product, power, largest, clipped, overflows)


# The greatest value of each scale becomes more than half of itself, or all become 0.
_NOTHING = 1e-13


def _widened(codes: Array, half: bool) -> Array:
    if half:
        return codes.view(np.float16).astype(np.float64)
    return (codes.astype(np.uint32) << 16).view(np.float32).astype(np.float64)


def _unsigned(values: Array) -> Array:
    return values.view(f"u{values.itemsize}")


def _integers(values: Array) -> tuple[Array, Array]:
    """The same bits as unsigned and as signed integers."""
    return _unsigned(values), values.view(f"i{values.itemsize}")
