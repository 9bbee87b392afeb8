"""The loops over pairs of elements: how far those of B lie from those of A.

Compiled as those of `kernels` are. Each takes the elements of both sides at the same places,
and adds to counts in int64 and sums in float64. They go by runs that stay in the first-level
cache. A run's codes (the bits as unsigned integers) are surveyed first: one that is identical
needs one sum, and one that is all finite no branches.

LLVM finds no vector instructions for the greatest of floats. Magnitudes are therefore
compared as integers: the bits of floats that are not negative have the order of the floats.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from inspector_app.analysis.kernels import ANY_ORDER, compiled

Array: TypeAlias = Any

# Places in the counts.
FINITE, DIFFERING, BEYOND, FLIPS, NANS, INFINITIES = range(6)
COUNTS = 6
# Places in the sums. Of |b − a| the greatest and the sum; sums of products; the greatest
# magnitude of each side (of float64 and complex numbers alone).
MOST, ABSOLUTE, APART_SQUARED, A_SQUARED, B_SQUARED, A_TIMES_B, A_LARGEST, B_LARGEST = range(8)
SUMS = 8

RUN = 1024


def _survey_of(code: Any, digits: int) -> Callable[[Array, Array], tuple[Any, Any, Any]]:
    low, shift = code((1 << digits) - 1), code(digits)

    @compiled()
    def survey(a: Array, b: Array) -> tuple[Any, Any, Any]:
        """Of at most `RUN` floats: how many codes differ, how many signs flip, and the bits
        of the greatest magnitude. NaNs are counted among the flips."""
        differing = code(0)
        flips = code(0)
        largest = code(0)
        for i in range(len(a)):
            x = code(a[i])
            y = code(b[i])
            differing = code(differing + code(x != y))
            x_size = code(x & low)
            y_size = code(y & low)
            both = code(x_size != code(0)) & code(y_size != code(0))
            flips = code(flips + code(code(code(x ^ y) >> shift) & both))
            largest = max(largest, x_size)
            largest = max(largest, y_size)
        return differing, flips, largest

    return survey


_survey16 = _survey_of(np.uint16, 15)
_survey32 = _survey_of(np.uint32, 31)
_survey64 = _survey_of(np.uint64, 63)


@compiled(ANY_ORDER)
def _sums(a: Array, b: Array, apart: Array) -> tuple[float, float, float, float, float]:
    """Sums over finite numbers; fills `apart` with |b − a|."""
    absolute = 0.0
    squared = 0.0
    aa = 0.0
    bb = 0.0
    ab = 0.0
    for i in range(len(a)):
        x = np.float64(a[i])
        y = np.float64(b[i])
        difference = y - x
        size = abs(difference)
        apart[i] = size
        absolute += size
        squared += difference * difference
        aa += x * x
        bb += y * y
        ab += x * y
    return absolute, squared, aa, bb, ab


@compiled(ANY_ORDER)
def _sums_of_long(a: Array, b: Array, apart: Array) -> tuple[float, float, float, float, float]:
    """As `_sums`, for 64-bit integers: |b − a| is found before float64 rounds it."""
    absolute = 0.0
    squared = 0.0
    aa = 0.0
    bb = 0.0
    ab = 0.0
    for i in range(len(a)):
        above = a[i] > b[i]
        size = np.float64(
            np.uint64(a[i]) - np.uint64(b[i]) if above else np.uint64(b[i]) - np.uint64(a[i])
        )
        x = np.float64(a[i])
        y = np.float64(b[i])
        apart[i] = size
        absolute += size
        squared += size * size
        aa += x * x
        bb += y * y
        ab += x * y
    return absolute, squared, aa, bb, ab


@compiled(ANY_ORDER)
def _squares(values: Array) -> float:
    total = 0.0
    for i in range(len(values)):
        value = np.float64(values[i])
        total += value * value
    return total


@compiled()
def _greatest(values: Array) -> float:
    """Of finite values that are not negative; 0 of none."""
    bits = values.view(np.int64)
    kept = np.zeros(1, np.int64)
    greatest = np.int64(0)
    for i in range(len(bits)):
        greatest = max(greatest, bits[i])
    kept[0] = greatest
    return kept.view(np.float64)[0]  # type: ignore[no-any-return]


@compiled()
def _beyond(a: Array, apart: Array, rtol: float, atol: float) -> int:
    count = 0
    for i in range(len(a)):
        count += apart[i] > atol + rtol * abs(np.float64(a[i]))
    return count


@compiled()
def _add(
    counts: Array,
    sums: Array,
    found: tuple[float, float, float, float, float],
    a: Array,
    apart: Array,
    rtol: float,
    atol: float,
) -> None:
    sums[ABSOLUTE] += found[0]
    sums[APART_SQUARED] += found[1]
    sums[A_SQUARED] += found[2]
    sums[B_SQUARED] += found[3]
    sums[A_TIMES_B] += found[4]
    sums[MOST] = max(sums[MOST], _greatest(apart))
    counts[FINITE] += len(a)
    if rtol > 0 or atol > 0:
        counts[BEYOND] += _beyond(a, apart, rtol, atol)


@compiled()
def _add_equal(counts: Array, sums: Array, values: Array) -> None:
    squares = _squares(values)
    sums[A_SQUARED] += squares
    sums[B_SQUARED] += squares
    sums[A_TIMES_B] += squares
    counts[FINITE] += len(values)


@compiled()
def _only_finite(a: Array, b: Array, a_room: Array, b_room: Array, counts: Array) -> int:
    """Count what is not finite, and move the finite pairs to the rooms; returns how many.

    A room may be the array itself.
    """
    count = 0
    for i in range(len(a)):
        x = a[i]
        y = b[i]
        counts[FLIPS] += (x > 0 and y < 0) or (x < 0 and y > 0)
        if np.isfinite(x) and np.isfinite(y):
            a_room[count] = x
            b_room[count] = y
            count += 1
        elif np.isnan(x) or np.isnan(y):
            changed = np.isnan(x) != np.isnan(y)
            counts[NANS] += changed
            counts[INFINITIES] += np.isinf(x) or np.isinf(y)
            counts[BEYOND] += changed
        elif x != y:
            counts[INFINITIES] += 1
            counts[BEYOND] += 1
    return count


@compiled()
def _take(
    a: Array,
    b: Array,
    survey: tuple[Any, Any, bool],
    rooms: tuple[Array, Array, Array],
    rtol: float,
    atol: float,
    counts: Array,
    sums: Array,
) -> None:
    """A run of floats; `survey` says how many differ and flip, and if all are finite."""
    differing, flips, finite = survey
    counts[DIFFERING] += differing
    a_room, b_room, apart = rooms
    if not finite:
        count = _only_finite(a, b, a_room, b_room, counts)
        a = a_room[:count]
        b = b_room[:count]
    else:
        counts[FLIPS] += flips
    if differing:
        apart = apart[: len(a)]
        _add(counts, sums, _sums(a, b, apart), a, apart, rtol, atol)
    else:
        _add_equal(counts, sums, a)


@compiled()
def _widen_bfloat16(codes: Array, bits: Array) -> None:
    for i in range(len(codes)):
        bits[i] = np.uint32(codes[i]) << np.uint32(16)


@compiled()
def _widen_float16(codes: Array, bits: Array, values: Array, finite: bool) -> None:
    """float16 as float32: `values` are the floats of `bits`.

    The exponent's bias is put right by a product, which normalises subnormal numbers as well.
    """
    for i in range(len(codes)):
        code = np.uint32(codes[i])
        size = (code & np.uint32(0x7FFF)) << np.uint32(13)
        bits[i] = size | ((code & np.uint32(0x8000)) << np.uint32(16))
    for i in range(len(codes)):
        values[i] *= np.float32(2.0**112)
    if not finite:
        for i in range(len(codes)):
            code = np.uint32(codes[i])
            if code & np.uint32(0x7C00) == np.uint32(0x7C00):
                bits[i] = np.uint32(0x7F800000) | ((code & np.uint32(0x3FF)) << np.uint32(13))
                if code & np.uint32(0x8000):
                    bits[i] |= np.uint32(0x80000000)


@compiled()
def pairs16(
    a: Array, b: Array, brain: bool, rtol: float, atol: float, counts: Array, sums: Array
) -> None:
    """Codes of bfloat16 (`brain`) or float16."""
    a_room, b_room = np.empty(RUN, np.float32), np.empty(RUN, np.float32)
    a_bits, b_bits = a_room.view(np.uint32), b_room.view(np.uint32)
    rooms = a_room, b_room, np.empty(RUN, np.float64)
    exponent = np.uint16(0x7F80 if brain else 0x7C00)
    for start in range(0, len(a), RUN):
        x = a[start : start + RUN]
        y = b[start : start + RUN]
        differing, flips, largest = _survey16(x, y)
        finite = largest < exponent
        size = len(x)
        if brain:
            _widen_bfloat16(x, a_bits)
            _widen_bfloat16(y, b_bits)
        else:
            _widen_float16(x, a_bits, a_room, finite)
            _widen_float16(y, b_bits, b_room, finite)
        survey = differing, flips, finite
        _take(a_room[:size], b_room[:size], survey, rooms, rtol, atol, counts, sums)


@compiled()
def pairs32(a: Array, b: Array, rtol: float, atol: float, counts: Array, sums: Array) -> None:
    """Codes of float32."""
    rooms = np.empty(RUN, np.float32), np.empty(RUN, np.float32), np.empty(RUN, np.float64)
    for start in range(0, len(a), RUN):
        x = a[start : start + RUN]
        y = b[start : start + RUN]
        differing, flips, largest = _survey32(x, y)
        survey = differing, flips, largest < np.uint32(0x7F800000)
        numbers = x.view(np.float32), y.view(np.float32)
        _take(numbers[0], numbers[1], survey, rooms, rtol, atol, counts, sums)


@compiled()
def pairs64(a: Array, b: Array, rtol: float, atol: float, counts: Array, sums: Array) -> None:
    """Codes of float64."""
    rooms = np.empty(RUN, np.float64), np.empty(RUN, np.float64), np.empty(RUN, np.float64)
    for start in range(0, len(a), RUN):
        x = a[start : start + RUN]
        y = b[start : start + RUN]
        differing, flips, largest = _survey64(x, y)
        finite = largest < np.uint64(0x7FF0000000000000)
        p = x.view(np.float64)
        q = y.view(np.float64)
        for i in range(len(p)):
            if finite or (np.isfinite(p[i]) and np.isfinite(q[i])):
                sums[A_LARGEST] = max(sums[A_LARGEST], abs(p[i]))
                sums[B_LARGEST] = max(sums[B_LARGEST], abs(q[i]))
        _take(p, q, (differing, flips, finite), rooms, rtol, atol, counts, sums)


@compiled()
def scaled_sums(
    a: Array, b: Array, parts: int, scales: tuple[float, float, float], sums: Array
) -> None:
    """The sums once more, of multiples whose squares stay within the range of float64.

    Args:
        parts: 1 of float64, 2 of complex numbers as real and imaginary parts.
        scales: of b − a, a and b.
    """
    apart_scale, a_scale, b_scale = scales
    for start in range(0, len(a), parts):
        finite = True
        for i in range(start, start + parts):
            finite = finite and np.isfinite(a[i]) and np.isfinite(b[i])
        if not finite:
            continue
        squared = 0.0
        for i in range(start, start + parts):
            difference = b[i] * apart_scale - a[i] * apart_scale
            squared += difference * difference
            x = a[i] * a_scale
            y = b[i] * b_scale
            sums[A_SQUARED] += x * x
            sums[B_SQUARED] += y * y
            sums[A_TIMES_B] += x * y
        sums[ABSOLUTE] += np.sqrt(squared)
        sums[APART_SQUARED] += squared


@compiled()
def _survey_integers(a: Array, b: Array) -> tuple[np.uint32, np.uint32]:
    differing = np.uint32(0)
    flips = np.uint32(0)
    for i in range(len(a)):
        x = a[i]
        y = b[i]
        differing = np.uint32(differing + np.uint32(x != y))
        flip = np.uint32((x < 0) & (y > 0)) | np.uint32((x > 0) & (y < 0))
        flips = np.uint32(flips + flip)
    return differing, flips


@compiled()
def pairs_of_integers(
    a: Array, b: Array, rtol: float, atol: float, counts: Array, sums: Array
) -> None:
    """Integers of at most 32 bits."""
    room = np.empty(RUN, np.float64)
    for start in range(0, len(a), RUN):
        x = a[start : start + RUN]
        y = b[start : start + RUN]
        differing, flips = _survey_integers(x, y)
        counts[DIFFERING] += differing
        counts[FLIPS] += flips
        if differing:
            apart = room[: len(x)]
            _add(counts, sums, _sums(x, y, apart), x, apart, rtol, atol)
        else:
            _add_equal(counts, sums, x)


@compiled()
def pairs_of_long(a: Array, b: Array, rtol: float, atol: float, counts: Array, sums: Array) -> None:
    """Integers of 64 bits."""
    room = np.empty(RUN, np.float64)
    for start in range(0, len(a), RUN):
        x = a[start : start + RUN]
        y = b[start : start + RUN]
        differing, flips = _survey_integers(x, y)
        counts[DIFFERING] += differing
        counts[FLIPS] += flips
        if differing:
            apart = room[: len(x)]
            _add(counts, sums, _sums_of_long(x, y, apart), x, apart, rtol, atol)
        else:
            _add_equal(counts, sums, x)


@compiled()
def pairs_of_complex(
    a: Array,
    b: Array,
    codes: tuple[Array, Array],
    rtol: float,
    atol: float,
    counts: Array,
    sums: Array,
) -> None:
    """Complex numbers as their parts, real and imaginary in turn.

    A number with a NaN is NaN; another with an infinity infinite. What is |b − a| of others
    is the modulus here, and the product of two numbers the real part of b times conjugate a.

    Args:
        codes: of the same parts.
    """
    a_codes, b_codes = codes
    for i in range(0, len(a), 2):
        differs = a_codes[i] != b_codes[i] or a_codes[i + 1] != b_codes[i + 1]
        counts[DIFFERING] += differs
        ar = np.float64(a[i])
        ai = np.float64(a[i + 1])
        br = np.float64(b[i])
        bi = np.float64(b[i + 1])
        a_nan = np.isnan(ar) or np.isnan(ai)
        b_nan = np.isnan(br) or np.isnan(bi)
        a_infinite = not a_nan and (np.isinf(ar) or np.isinf(ai))
        b_infinite = not b_nan and (np.isinf(br) or np.isinf(bi))
        if a_nan or b_nan or a_infinite or b_infinite:
            counts[NANS] += a_nan != b_nan
            other = (a_infinite or b_infinite) and not (ar == br and ai == bi)
            counts[INFINITIES] += other
            counts[BEYOND] += a_nan != b_nan or other
            continue
        counts[FINITE] += 1
        sums[A_LARGEST] = max(sums[A_LARGEST], abs(ar), abs(ai))
        sums[B_LARGEST] = max(sums[B_LARGEST], abs(br), abs(bi))
        real = br - ar
        imaginary = bi - ai
        squared = real * real + imaginary * imaginary
        # The root of a square that is out of range would be wrong.
        ranged = 1e-280 < squared < 1e300
        size = np.sqrt(squared) if ranged else np.hypot(real, imaginary)
        sums[MOST] = max(sums[MOST], size)
        sums[ABSOLUTE] += size
        sums[APART_SQUARED] += squared
        sums[A_SQUARED] += ar * ar + ai * ai
        sums[B_SQUARED] += br * br + bi * bi
        sums[A_TIMES_B] += ar * br + ai * bi
        if rtol > 0 or atol > 0:
            counts[BEYOND] += size > atol + rtol * np.hypot(ar, ai)


@compiled()
def joint8(a: Array, b: Array, tables: Array) -> None:
    """Count the pairs of 8-bit codes, as ``a + 256 b``, in `tables` as `kernels.count16` does."""
    even, odd = tables[0], tables[1]
    words = len(a) // 2 * 2
    for i in range(0, words, 2):
        even[np.uint32(a[i]) | (np.uint32(b[i]) << np.uint32(8))] += np.uint32(1)
        odd[np.uint32(a[i + 1]) | (np.uint32(b[i + 1]) << np.uint32(8))] += np.uint32(1)
    for i in range(words, len(a)):
        even[np.uint32(a[i]) | (np.uint32(b[i]) << np.uint32(8))] += np.uint32(1)


@compiled()
def equal_words(a: Array, b: Array) -> bool:
    """Whether two runs of uint64 are the same. numpy's comparison writes each answer down."""
    other = np.uint64(0)
    for start in range(0, len(a), 4096):
        x = a[start : start + 4096]
        y = b[start : start + 4096]
        for i in range(len(x)):
            other |= x[i] ^ y[i]
        if other != 0:
            return False
    return True
