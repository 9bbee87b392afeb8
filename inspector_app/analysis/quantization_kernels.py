"""The loops that quantize rows of values and sum up the errors. See `kernels` about numba.

All of it is computed in float64, but for scales and their inverses, which are float32 as in
torch: its fake-quantize (``aten/src/ATen/native/quantized/cpu/kernels``) multiplies by
``1.0f / scale`` and rounds half to even. Twice as many float32 would fit into a vector
register, but near a tie a float32 product rounds to the wrong side.
"""

from __future__ import annotations

import numpy as np

from inspector_app.analysis.kernels import ANY_ORDER, Array, compiled

# Columns of `settings`, a row for each scheme. Of a cast: `cast_value` explains `STEP` and
# `SMALLEST`; beyond `BOUND` values overflow, beyond `CLIP` they become ±`MOST`.
KIND, SIZE, AFFINE, LEAST, MOST, STEP, SMALLEST, BOUND, CLIP = range(9)
SETTINGS = 9
# What `KIND` may be.
TENSOR, CHANNEL, GROUP, CAST = range(4)
# Columns of `sums`, a row for each scheme. Casts add to `PRODUCT` and `POWER`, others to
# `CROSS`: Σ x (x − y), from which those follow.
NOISE, CROSS, LARGEST, CLIPPED, OVERFLOWS, PRODUCT, POWER = range(7)
SUMS = 7
# Columns of `counted`.
SIGNAL, NANS, INFINITIES = range(3)
COUNTED = 3
# All groups have a multiple of so many values.
UNIT = 32

# torch.ao's observers let no scale be smaller: torch.finfo(torch.float32).eps.
_SMALLEST_SCALE = np.float32(2.0**-23)
_LARGEST_SCALE = np.float32(3.4028234663852886e38)
# Casting float64 goes by way of float32, in which this is still finite.
_ALMOST_LARGEST = 3.4e38
_EXPONENT = np.int64(0x7FF0000000000000)
_TWO_BIASES = np.int64(0x7FE0000000000000)
_HALF_TO_SINGLE = np.float32(2.0**112)


@compiled()
def ranges16(bits: Array, exponent: int, lows: Array, highs: Array, special: Array) -> None:
    """The codes of each row's least and greatest value; whether one is not finite.

    Args:
        bits: uint16 of (rows, columns).
        exponent: the code of infinity.
        lows: uint16; the sign bit is set, or no value is below 0 and it means nothing.
        highs: int16; below 0 if no value is above, and then it means nothing.
    """
    infinity = np.int16(exponent)
    minus_infinity = np.uint16(exponent | 0x8000)
    for row in range(len(bits)):
        codes = bits[row]
        signed = codes.view(np.int16)
        low = np.uint16(0)
        high = np.int16(-32768)
        for i in range(len(codes)):
            low = max(low, codes[i])
            high = max(high, signed[i])
        lows[row], highs[row] = low, high
        special[row] = low >= minus_infinity or high >= infinity


@compiled()
def _range(words: Array, signed: Array, ends: Array, end_words: Array) -> tuple[float, float]:
    """The least and the greatest of finite values, 0 among them.

    Compared as integers: LLVM finds no vector instructions for the least of floats. The
    greatest unsigned integer is the least value, the greatest signed one the greatest.

    Args:
        words, signed: the values' bits, as unsigned and signed integers.
        ends, end_words: two values, and the same as unsigned integers.
    """
    low = words[0]
    high = signed[0]
    for i in range(len(words)):
        low = max(low, words[i])
        high = max(high, signed[i])
    end_words[0] = low
    end_words[1] = high
    return min(np.float64(ends[0]), 0.0), max(np.float64(ends[1]), 0.0)


@compiled()
def ranges(
    values: Array,
    words: Array,
    signed: Array,
    ends: Array,
    end_words: Array,
    lows: Array,
    highs: Array,
    special: Array,
) -> None:
    """The least and greatest finite value of each row, 0 among them.

    Args:
        values: float32 or float64 of (rows, columns).
        words, signed: the same as integers; see `_range`.
        ends, end_words: room; see `_range`.
        lows, highs: float64.
        special: whether one is not finite.
    """
    for row in range(len(values)):
        low, high = _range(words[row], signed[row], ends, end_words)
        # The greatest as integers are also those that are not finite.
        special[row] = not (np.isfinite(ends[0]) and np.isfinite(ends[1]))
        if special[row]:
            part = values[row]
            low = 0.0
            high = 0.0
            for i in range(len(part)):
                if np.isfinite(part[i]):
                    low = min(low, np.float64(part[i]))
                    high = max(high, np.float64(part[i]))
        lows[row], highs[row] = low, high


@compiled()
def _without_specials(values: Array, special: bool, counted: Array, made: Array) -> None:
    """Count what is not finite, and make it 0: that changes no sum and no range.

    Args:
        special: whether there is any.
        made: which values were made 0.
    """
    made[:] = False
    if not special:
        return
    for i in range(len(values)):
        if not np.isfinite(values[i]):
            counted[NANS if np.isnan(values[i]) else INFINITIES] += 1
            values[i] = 0
            made[i] = True


@compiled()
def _finite(made: Array) -> int:
    count = 0
    for i in range(len(made)):
        count += not made[i]
    return count


@compiled()
def _widen_bfloat16(codes: Array, room: Array) -> None:
    words = room.view(np.uint32)
    for i in range(len(codes)):
        words[i] = np.uint32(codes[i]) << np.uint32(16)


@compiled()
def _widen_float16(codes: Array, room: Array) -> None:
    """float16 as float32; what is not finite becomes so too."""
    words = room.view(np.uint32)
    for i in range(len(codes)):
        code = np.uint32(codes[i])
        sign = (code & np.uint32(0x8000)) << np.uint32(16)
        words[i] = ((code & np.uint32(0x7FFF)) << np.uint32(13)) | sign
    for i in range(len(codes)):
        room[i] *= _HALF_TO_SINGLE
    for i in range(len(codes)):
        if (codes[i] & np.uint16(0x7C00)) == np.uint16(0x7C00):
            room[i] = np.nan if codes[i] & np.uint16(0x3FF) else np.inf


@compiled(ANY_ORDER)
def _signal(values: Array) -> float:
    total = 0.0
    for i in range(len(values)):
        total += np.float64(values[i]) * np.float64(values[i])
    return total


@compiled()
def scale_and_zero(
    low: float, high: float, affine: float, least: float, most: float
) -> tuple[np.float32, float]:
    """The scale, float32, and the zero point of values between `low` and `high`.

    As ``torch.ao.quantization.observer``, ``UniformQuantizationObserverBase._calculate_qparams``.
    """
    bottom = np.float32(low)
    top = np.float32(high)
    if affine == 0.0:
        scale = max(np.float32(-bottom), top) / np.float32((most - least) / 2.0)
        return max(scale, _SMALLEST_SCALE), 0.0
    scale = max(np.float32(top - bottom) / np.float32(most - least), _SMALLEST_SCALE)
    zero = least - np.float64(np.rint(np.float32(bottom / scale)))
    return scale, min(max(zero, least), most)


@compiled(ANY_ORDER)
def _round_trip(
    values: Array, scale: float, inverse: float, least: float, most: float
) -> tuple[float, float, float, float]:
    """Noise, cross, largest and clipped of values; the integers have the zero point taken off."""
    noise = 0.0
    cross = 0.0
    clipped = 0.0
    # Its bits: LLVM finds no vector instructions for the greatest of floats.
    largest = np.int64(0)
    for i in range(len(values)):
        value = np.float64(values[i])
        rounded = np.rint(value * inverse)
        kept = min(max(rounded, least), most)
        error = value - kept * scale
        noise += error * error
        cross += value * error
        clipped += 1.0 if rounded != kept else 0.0
        largest = max(largest, np.float64(abs(error)).view(np.int64))
    return noise, cross, np.int64(largest).view(np.float64), clipped


@compiled(ANY_ORDER)
def _round_trip_single(
    values: Array, scale: float, inverse: float, least: float, most: float
) -> tuple[float, float, float, float]:
    """As `_round_trip`; the result is rounded to float32, as torch does it per tensor."""
    single = np.float32(scale)
    noise = 0.0
    cross = 0.0
    clipped = 0.0
    # Its bits: LLVM finds no vector instructions for the greatest of floats.
    largest = np.int64(0)
    for i in range(len(values)):
        value = np.float64(values[i])
        rounded = np.rint(value * inverse)
        kept = min(max(rounded, least), most)
        error = value - np.float64(np.float32(kept) * single)
        noise += error * error
        cross += value * error
        clipped += 1.0 if rounded != kept else 0.0
        largest = max(largest, np.float64(abs(error)).view(np.int64))
    return noise, cross, np.int64(largest).view(np.float64), clipped


@compiled()
def _add_integers(
    values: Array, made: Array, low: float, high: float, setting: Array, sums: Array
) -> None:
    least, most = setting[LEAST], setting[MOST]
    scale, zero = scale_and_zero(low, high, setting[AFFINE], least, most)
    if scale > _LARGEST_SCALE:
        sums[OVERFLOWS] += _finite(made)
        return
    inverse = np.float64(np.float32(1.0) / scale)
    wide = np.float64(scale)
    if setting[KIND] == TENSOR:
        found = _round_trip_single(values, wide, inverse, least - zero, most - zero)
    else:
        found = _round_trip(values, wide, inverse, least - zero, most - zero)
    noise, cross, largest, clipped = found
    sums[NOISE] += noise
    sums[CROSS] += cross
    sums[LARGEST] = max(sums[LARGEST], largest)
    sums[CLIPPED] += clipped


@compiled(ANY_ORDER)
def cast_value(value: float, step: float, smallest: float) -> float:
    """`value` rounded to a float of fewer digits, half to even.

    Args:
        step: 2 to the power of 1 − digits: what the last digit of numbers from 1 to 2 is worth.
        smallest: the least normal number; those below have its last digit.
    """
    bits = np.float64(value).view(np.int64) & _EXPONENT
    power = max(np.int64(bits).view(np.float64), smallest)
    last = power * step
    inverse = np.int64(_TWO_BIASES - np.float64(last).view(np.int64)).view(np.float64)
    return float(np.rint(value * inverse) * last)


@compiled(ANY_ORDER)
def _add_cast(values: Array, setting: Array, sums: Array) -> None:
    step, smallest = setting[STEP], setting[SMALLEST]
    bound, clip, most = setting[BOUND], setting[CLIP], setting[MOST]
    noise = 0.0
    largest = np.int64(0)
    overflows = 0.0
    clipped = 0.0
    product = 0.0
    power = 0.0
    for i in range(len(values)):
        value = np.float64(values[i])
        single = np.float64(np.float32(min(max(value, -_ALMOST_LARGEST), _ALMOST_LARGEST)))
        over = abs(single) > bound
        result = min(max(cast_value(single, step, smallest), -most), most)
        error = 0.0 if over else value - result
        result = 0.0 if over else result
        noise += error * error
        largest = max(largest, np.float64(abs(error)).view(np.int64))
        product += (0.0 if over else value) * result
        power += result * result
        overflows += 1.0 if over else 0.0
        clipped += 1.0 if abs(single) > clip else 0.0
    sums[NOISE] += noise
    sums[LARGEST] = max(sums[LARGEST], np.int64(largest).view(np.float64))
    sums[OVERFLOWS] += overflows
    sums[CLIPPED] += clipped
    sums[PRODUCT] += product
    sums[POWER] += power


@compiled()
def _unit_ranges(
    words: Array, signed: Array, ends: Array, end_words: Array, bottoms: Array, tops: Array
) -> None:
    """The ends of each `UNIT` of a row, 0 among them: groups consist of such units."""
    for unit in range((len(words) + UNIT - 1) // UNIT):
        start = unit * UNIT
        low, high = _range(
            words[start : start + UNIT], signed[start : start + UNIT], ends, end_words
        )
        bottoms[unit], tops[unit] = low, high


@compiled(ANY_ORDER)
def _round_trip_units(
    values: Array, units: Array, count: int, lanes: Array, largest: Array
) -> None:
    """As `_round_trip`, for `count` whole units, each with a scale of its own.

    Each place in a unit has sums of its own: units are short, and adding up each by itself
    would take as long again.

    Args:
        units: of (4, units): scale, inverse, least and most.
        lanes: noise, cross and clipped of each place.
        largest: int64, the bits of the largest error of each place.
    """
    for unit in range(count):
        scale, inverse = units[0, unit], units[1, unit]
        least, most = units[2, unit], units[3, unit]
        for place in range(UNIT):
            value = np.float64(values[unit * UNIT + place])
            rounded = np.rint(value * inverse)
            kept = min(max(rounded, least), most)
            error = value - kept * scale
            lanes[0, place] += error * error
            lanes[1, place] += value * error
            lanes[2, place] += 1.0 if rounded != kept else 0.0
            largest[place] = max(largest[place], np.float64(abs(error)).view(np.int64))


@compiled()
def _add_groups(
    values: Array, made: Array, ends: Array, units: Array, setting: Array, sums: Array
) -> None:
    """Take a row, of which each group has a scale.

    Args:
        ends: of (2, units): the least and greatest value of each, see `_unit_ranges`.
        units: room; see `_round_trip_units`.
    """
    least, most, affine = setting[LEAST], setting[MOST], setting[AFFINE]
    size = np.int64(setting[SIZE])
    for start in range(0, len(values), size):
        end = min(start + size, len(values))
        first, last = start // UNIT, (end + UNIT - 1) // UNIT
        low = 0.0
        high = 0.0
        for unit in range(first, last):
            low = min(low, ends[0, unit])
            high = max(high, ends[1, unit])
        scale, zero = scale_and_zero(low, high, affine, least, most)
        inverse = np.float32(1.0) / scale
        if scale > _LARGEST_SCALE:
            sums[OVERFLOWS] += _finite(made[start:end])
            scale = np.float32(0.0)
        for unit in range(first, last):
            units[0, unit], units[1, unit] = scale, inverse
            units[2, unit], units[3, unit] = least - zero, most - zero
    whole = len(values) // UNIT
    lanes = np.zeros((3, UNIT))
    largest = np.zeros(UNIT, np.int64)
    _round_trip_units(values, units, whole, lanes, largest)
    sums[NOISE] += lanes[0].sum()
    sums[CROSS] += lanes[1].sum()
    sums[CLIPPED] += lanes[2].sum()
    sums[LARGEST] = max(sums[LARGEST], np.int64(largest.max()).view(np.float64))
    if whole * UNIT < len(values):
        noise, cross, most_of_rest, clipped = _round_trip(
            values[whole * UNIT :],
            units[0, whole],
            units[1, whole],
            units[2, whole],
            units[3, whole],
        )
        sums[NOISE] += noise
        sums[CROSS] += cross
        sums[CLIPPED] += clipped
        sums[LARGEST] = max(sums[LARGEST], most_of_rest)


@compiled()
def _add_row(
    values: Array,
    made: Array,
    words: Array,
    signed: Array,
    ends: Array,
    end_words: Array,
    low: float,
    high: float,
    whole: Array,
    settings: Array,
    sums: Array,
    units: Array,
) -> None:
    ranged = False
    for number in range(len(settings)):
        setting = settings[number]
        kind = setting[KIND]
        if kind == CAST:
            _add_cast(values, setting, sums[number])
        elif kind == CHANNEL:
            _add_integers(values, made, low, high, setting, sums[number])
        elif kind == TENSOR:
            _add_integers(values, made, whole[0], whole[1], setting, sums[number])
        else:
            if not ranged:
                _unit_ranges(words, signed, ends, end_words, units[0], units[1])
                ranged = True
            _add_groups(values, made, units[:2], units[2:], setting, sums[number])


@compiled()
def measure16(
    bits: Array,
    half: bool,
    special: Array,
    lows: Array,
    highs: Array,
    whole: Array,
    settings: Array,
    sums: Array,
    counted: Array,
    room: Array,
) -> None:
    """Take rows of 16-bit codes into `sums` and `counted`.

    Args:
        bits: uint16 of (rows, columns).
        half: they are float16, else bfloat16.
        special: of each row whether it has values that are not finite.
        lows, highs: of each row its least and greatest value, 0 among them; float64.
        whole: those of the tensor.
        settings, sums, counted: see the constants of this module.
        room: float32, for a row.
    """
    ends = np.empty(2, np.float32)
    end_words = ends.view(np.uint32)
    made = np.empty(bits.shape[1], np.bool_)
    units = np.empty((6, bits.shape[1] // UNIT + 1))
    for row in range(len(bits)):
        codes = bits[row]
        values = room[: len(codes)]
        words, signed = values.view(np.uint32), values.view(np.int32)
        if half:
            _widen_float16(codes, values)
        else:
            _widen_bfloat16(codes, values)
        _without_specials(values, special[row], counted, made)
        counted[SIGNAL] += _signal(values)
        low, high = lows[row], highs[row]
        _add_row(
            values,
            made,
            words,
            signed,
            ends,
            end_words,
            low,
            high,
            whole,
            settings,
            sums,
            units,
        )


@compiled()
def measure(
    values: Array,
    words: Array,
    signed: Array,
    ends: Array,
    end_words: Array,
    special: Array,
    lows: Array,
    highs: Array,
    whole: Array,
    settings: Array,
    sums: Array,
    counted: Array,
) -> None:
    """Take rows of float32 or float64 into `sums` and `counted`; see `ranges`, `measure16`.

    What is not finite in `values` is overwritten.
    """
    made = np.empty(values.shape[1], np.bool_)
    units = np.empty((6, values.shape[1] // UNIT + 1))
    for row in range(len(values)):
        part = values[row]
        _without_specials(part, special[row], counted, made)
        counted[SIGNAL] += _signal(part)
        _add_row(
            part,
            made,
            words[row],
            signed[row],
            ends,
            end_words,
            lows[row],
            highs[row],
            whole,
            settings,
            sums,
            units,
        )


@compiled()
def measure_counted(
    values: Array, often: Array, whole: Array, settings: Array, sums: Array, counted: Array
) -> None:
    """Take different finite `values`, float64, each `often`, under schemes of a whole tensor."""
    one = np.empty(1)
    none = np.zeros(1, np.bool_)
    here = np.empty(SUMS)
    for number in range(len(settings)):
        setting = settings[number]
        for i in range(len(values)):
            one[0] = values[i]
            here[:] = 0.0
            if setting[KIND] == CAST:
                _add_cast(one, setting, here)
            else:
                _add_integers(one, none, whole[0], whole[1], setting, here)
            largest = max(sums[number, LARGEST], here[LARGEST])
            for column in range(SUMS):
                sums[number, column] += here[column] * often[i]
            sums[number, LARGEST] = largest
    for i in range(len(values)):
        counted[SIGNAL] += values[i] * values[i] * often[i]


@compiled()
def _quantized(values: Array, low: float, high: float, setting: Array, made: Array) -> None:
    """What becomes of finite `values` that share a scale; NaN where they overflow."""
    least, most = setting[LEAST], setting[MOST]
    scale, zero = scale_and_zero(low, high, setting[AFFINE], least, most)
    inverse = np.float64(np.float32(1.0) / scale)
    for i in range(len(values)):
        rounded = np.rint(np.float64(values[i]) * inverse)
        kept = min(max(rounded, least - zero), most - zero)
        made[i] = kept * np.float64(scale) if scale <= _LARGEST_SCALE else np.nan


@compiled()
def _cast(values: Array, setting: Array, made: Array) -> None:
    """What a cast makes of finite `values`; NaN where they overflow."""
    most = setting[MOST]
    for i in range(len(values)):
        value = min(max(np.float64(values[i]), -_ALMOST_LARGEST), _ALMOST_LARGEST)
        single = np.float64(np.float32(value))
        result = cast_value(single, setting[STEP], setting[SMALLEST])
        made[i] = np.nan if abs(single) > setting[BOUND] else min(max(result, -most), most)


@compiled()
def quantize(
    values: Array, lows: Array, highs: Array, whole: Array, setting: Array, made: Array
) -> None:
    """What a scheme makes of rows of finite `values`.

    Args:
        values: float64 of (rows, columns).
        lows, highs, whole: see `measure16`.
        setting: of the scheme.
        made: float64, takes the result.
    """
    for row in range(len(values)):
        part, result = values[row], made[row]
        if setting[KIND] == CAST:
            _cast(part, setting, result)
        elif setting[KIND] == CHANNEL:
            _quantized(part, lows[row], highs[row], setting, result)
        elif setting[KIND] == TENSOR:
            _quantized(part, whole[0], whole[1], setting, result)
        else:
            size = np.int64(setting[SIZE])
            for start in range(0, len(part), size):
                group = part[start : start + size]
                low = 0.0
                high = 0.0
                for i in range(len(group)):
                    low = min(low, group[i])
                    high = max(high, group[i])
                _quantized(group, low, high, setting, result[start : start + size])
