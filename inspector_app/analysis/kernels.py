"""The loops over elements, compiled by numba when they are first called.

They release the GIL, so that threads run them side by side. The compiled form is kept
where numba keeps it: in ``$NUMBA_CACHE_DIR``, beside this file, or in the user's cache
folder; where none of them can be written to, each process compiles anew. The first time
takes seconds (`warm_up` does it ahead), importing numba 0.2 s and 75 MB, and both hold the
GIL: so a window never imports this module. It lets `other_process` run what needs it, as
`measuring_apart` does for statistics; a command imports it itself.

Loops count an index: over ``for value in array`` LLVM finds no vector instructions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import numba
import numpy as np

Array: TypeAlias = Any
_Function = TypeVar("_Function", bound=Callable[..., Any])

PATTERNS = 1 << 16
# Equal neighbours wait for each other's count: even and odd ones have a table each.
TABLES = 2
# Elements whose moments are taken at once: they stay in the first-level cache.
_RUN = 4096

# Places in the state of `moments32` and `moments64`.
COUNT, MEAN, SQUARES, ABSOLUTE, ZEROS, LEAST, MOST, NANS, INFINITIES, NEAR_ZEROS = range(10)
STATE = 10

# Sums may be taken in any order; what is not finite never reaches these loops.
ANY_ORDER = {"reassoc", "nsz", "contract", "nnan", "ninf"}


def compiled(fastmath: Any = False) -> Callable[[_Function], _Function]:
    """A decorator: compiles on the first call, keeps what it compiled, releases the GIL."""

    def decorated(function: _Function) -> _Function:
        try:
            return numba.njit(nogil=True, cache=True, fastmath=fastmath)(function)  # type: ignore[no-any-return]
        except RuntimeError:  # numba finds no folder for its cache
            return numba.njit(nogil=True, fastmath=fastmath)(function)  # type: ignore[no-any-return]

    return decorated


def new_state() -> Array:
    """The state of no elements, for `moments32` and `moments64`."""
    state = np.zeros(STATE)
    state[LEAST], state[MOST] = np.inf, -np.inf
    return state


@compiled()
def count8(codes: Array, tables: Array) -> None:
    """Count the 8-bit `codes` in `tables`, uint32 of (`TABLES`, `PATTERNS`)."""
    words = codes[: len(codes) // 4 * 4].view(np.uint32)
    even, odd = tables[0], tables[1]
    low = np.uint32(0xFF)
    for i in range(len(words)):
        word = words[i]
        even[word & low] += np.uint32(1)
        odd[(word >> np.uint32(8)) & low] += np.uint32(1)
        even[(word >> np.uint32(16)) & low] += np.uint32(1)
        odd[word >> np.uint32(24)] += np.uint32(1)
    for i in range(4 * len(words), len(codes)):
        even[codes[i]] += np.uint32(1)


@compiled()
def count16(codes: Array, tables: Array) -> None:
    """Count the 16-bit `codes` in `tables`, uint32 of (`TABLES`, `PATTERNS`)."""
    words = codes[: len(codes) // 4 * 4].view(np.uint64)
    even, odd = tables[0], tables[1]
    low = np.uint64(0xFFFF)
    for i in range(len(words)):
        word = words[i]
        even[word & low] += np.uint32(1)
        odd[(word >> np.uint64(16)) & low] += np.uint32(1)
        even[(word >> np.uint64(32)) & low] += np.uint32(1)
        odd[word >> np.uint64(48)] += np.uint32(1)
    for i in range(4 * len(words), len(codes)):
        even[codes[i]] += np.uint32(1)


@compiled()
def fold(tables: Array, total: Array) -> None:
    """Move the counts in `tables` to `total`, int64."""
    even, odd = tables[0], tables[1]
    for i in range(len(total)):
        total[i] += np.int64(even[i]) + np.int64(odd[i])
        even[i] = 0
        odd[i] = 0


@compiled()
def present(counts: Array, codes: Array, places: Array, found: Array) -> int:
    """Where in `codes` there are those that occur, and how often; returns how many do."""
    count = 0
    for i in range(len(codes)):
        often = counts[codes[i]]
        if often:
            places[count] = i
            found[count] = often
            count += 1
    return count


@compiled()
def _count_high_halves(bits: Array, tables: Array) -> None:
    words = bits[: len(bits) // 2 * 2].view(np.uint64)
    even, odd = tables[0], tables[1]
    low = np.uint64(0xFFFF)
    for i in range(len(words)):
        word = words[i]
        even[(word >> np.uint64(16)) & low] += np.uint32(1)
        odd[word >> np.uint64(48)] += np.uint32(1)
    for i in range(2 * len(words), len(bits)):
        even[bits[i] >> np.uint32(16)] += np.uint32(1)


@compiled(ANY_ORDER)
def _sums(values: Array, shift: float, scale: float) -> tuple[float, float, float]:
    """Of ``value * scale - shift`` the sum and the sum of squares; the sum of ``|value|``."""
    total = 0.0
    squares = 0.0
    absolute = 0.0
    for i in range(len(values)):
        value = np.float64(values[i]) * scale
        apart = value - shift
        total += apart
        squares += apart * apart
        absolute += abs(value)
    return total, squares, absolute


@compiled()
def _add(state: Array, values: Array, scale: float) -> None:
    """Take finite `values` into the moments of `state`.

    The mean so far is taken off first: without it the squares of values that lie close
    together far from 0 would cancel. Two parts are joined as Chan, Golub and LeVeque do
    (Updating Formulae and a Pairwise Algorithm for Computing Sample Variances, 1979).
    """
    shift = state[MEAN] if state[COUNT] else np.float64(values[0]) * scale
    total, squares, absolute = _sums(values, shift, scale)
    here = np.float64(len(values))
    mean = total / here
    within = max(squares - mean * total, 0.0)
    before = state[COUNT]
    after = before + here
    apart = shift + mean - state[MEAN]
    if before:
        state[SQUARES] += within + apart * apart * (before / after) * here
        state[MEAN] += apart * (here / after)
    else:
        state[SQUARES] = within
        state[MEAN] = shift + mean
    state[COUNT] = after
    state[ABSOLUTE] += absolute


@compiled()
def _survey32(bits: Array) -> tuple[np.uint32, np.uint32, np.int32, np.int32]:
    """The largest magnitude's bits, the zeros, and the keys of the least and greatest."""
    largest = np.uint32(0)
    zeros = np.uint32(0)
    least = np.int32(2147483647)
    most = np.int32(-2147483648)
    signed = bits.view(np.int32)
    for i in range(len(bits)):
        magnitude = np.uint32(bits[i] & np.uint32(0x7FFFFFFF))
        largest = max(largest, magnitude)
        zeros = np.uint32(zeros + np.uint32(magnitude == np.uint32(0)))
        value = signed[i]
        # Ordered as the numbers are: all bits but the sign are turned round in negative ones.
        key = np.int32(value ^ np.int32((value >> np.int32(31)) & np.int32(0x7FFFFFFF)))
        least = min(least, key)
        most = max(most, key)
    return largest, zeros, least, most


@compiled()
def moments32(values: Array, tables: Array, state: Array, finite: Array) -> None:
    """Take a block of float32 into `state`, and count its upper halves in `tables`.

    Args:
        finite: room for `values` without what is not finite.
    """
    keys = np.empty(2, np.int32)
    ends = keys.view(np.float32)
    for start in range(0, len(values), _RUN):
        part = values[start : start + _RUN]
        bits = part.view(np.uint32)
        _count_high_halves(bits, tables)
        largest, zeros, least, most = _survey32(bits)
        if largest >= np.uint32(0x7F800000):
            count = 0
            for i in range(len(part)):
                magnitude = bits[i] & np.uint32(0x7FFFFFFF)
                if magnitude > np.uint32(0x7F800000):
                    state[NANS] += 1
                elif magnitude == np.uint32(0x7F800000):
                    state[INFINITIES] += 1
                else:
                    finite[count] = part[i]
                    count += 1
            if count == 0:
                continue
            part = finite[:count]
            largest, zeros, least, most = _survey32(part.view(np.uint32))
        keys[0] = least ^ ((least >> np.int32(31)) & np.int32(0x7FFFFFFF))
        keys[1] = most ^ ((most >> np.int32(31)) & np.int32(0x7FFFFFFF))
        state[LEAST] = min(state[LEAST], np.float64(ends[0]))
        state[MOST] = max(state[MOST], np.float64(ends[1]))
        state[ZEROS] += zeros
        _add(state, part, 1.0)


@compiled()
def moments64(values: Array, scale: float, near: float, table: Array, state: Array) -> None:
    """Take a block of float64 into `state`, and count the top 16 bits of its keys in `table`.

    What is not finite is moved out: `values` is overwritten. The mean and the sums are
    those of the values times `scale`, a power of two that keeps squares within range.
    """
    count = 0
    for i in range(len(values)):
        value = values[i]
        if np.isnan(value):
            state[NANS] += 1
        elif np.isinf(value):
            state[INFINITIES] += 1
        else:
            values[count] = value
            count += 1
    finite = values[:count]
    for i in range(count):
        value = finite[i]
        state[ZEROS] += value == 0
        state[NEAR_ZEROS] += abs(value) < near
        state[LEAST] = min(state[LEAST], value)
        state[MOST] = max(state[MOST], value)
        table[_key64(value) >> np.uint64(48)] += 1
    for start in range(0, count, _RUN):
        _add(state, finite[start : start + _RUN], scale)


@compiled()
def _key64(value: float) -> np.uint64:
    """An unsigned integer in the order of the numbers."""
    bits = np.float64(value + 0.0).view(np.uint64)  # -0.0 + 0.0 is 0.0: they are equal
    sign = np.uint64(1) << np.uint64(63)
    return ~bits if bits & sign else bits | sign


@compiled()
def refine32(bits: Array, slots: Array, tables: Array) -> None:
    """Count the lower halves of those float32 whose upper half is looked for.

    Args:
        slots: of each upper half 1 + its table, or 0.
        tables: int64 of (number of upper halves, `PATTERNS`).
    """
    for i in range(len(bits)):
        slot = slots[bits[i] >> np.uint32(16)]
        if slot:
            tables[slot - 1, bits[i] & np.uint32(0xFFFF)] += 1


@compiled()
def refine64(values: Array, shift: int, marks: Array, prefixes: Array, tables: Array) -> None:
    """Count the 16 bits at `shift` of those keys that begin with one of `prefixes`.

    Args:
        marks: of each top 16 bits whether a prefix begins with them.
        prefixes: uint64, the key's bits above ``shift + 16``.
        tables: int64 of (number of prefixes, `PATTERNS`).
    """
    low = np.uint64(shift)
    above = np.uint64(shift + 16)
    for i in range(len(values)):
        value = values[i]
        if not np.isfinite(value):
            continue
        key = _key64(value)
        if marks[key >> np.uint64(48)]:
            prefix = key >> above
            for slot in range(len(prefixes)):
                if prefixes[slot] == prefix:
                    tables[slot, (key >> low) & np.uint64(0xFFFF)] += 1
                    break


@compiled()
def gather32(values: Array, slots: Array, room: Array, count: int) -> int:
    """Append to the `count` in `room` those float32 whose upper half has a slot.

    There are as many as were counted before, unless the file was written to: what does not
    fit is left out.
    """
    bits = values.view(np.uint32)
    for i in range(len(bits)):
        if slots[bits[i] >> np.uint32(16)] and count < len(room):
            room[count] = values[i]
            count += 1
    return count


@compiled()
def gather64(values: Array, marks: Array, room: Array, count: int) -> int:
    """Append to the `count` in `room` those float64 whose key's top 16 bits are marked.

    What does not fit is left out, as in `gather32`.
    """
    for i in range(len(values)):
        value = values[i]
        if not np.isfinite(value) or count >= len(room):
            continue
        if marks[_key64(value) >> np.uint64(48)]:
            room[count] = value
            count += 1
    return count


@compiled()
def bin_counts(values: Array, edges: Array, per_unit: float, counts: Array) -> None:
    """Count finite `values` between `edges`: each bin has its lower edge, the last both.

    Args:
        edges: float64, ascending, about evenly spaced; all finite values lie within.
        per_unit: bins for each unit, which says about where to look.
    """
    last = len(counts) - 1
    first = edges[0]
    for i in range(len(values)):
        value = np.float64(values[i])
        if not np.isfinite(value):
            continue
        guess = (value - first) * per_unit
        place = 0
        if guess >= last:
            place = last
        elif guess > 0:
            place = int(guess)
        while place > 0 and value < edges[place]:
            place -= 1
        while place < last and value >= edges[place + 1]:
            place += 1
        counts[place] += 1
