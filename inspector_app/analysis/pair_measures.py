"""How far the values of a pair lie apart: what is summed up of each block, for every dtype.

- Up to 8 bits, quantized ones included: how often each pair of codes occurs. From that every
  figure follows exactly.
- float16, bfloat16, float32, float64, integers and complex numbers: sums in float64. Integers
  of 64 bits are subtracted before float64 rounds them. Where squares leave float64's range, a
  second pass sums multiples by a power of two.
- Two sides of different dtypes, and what is quantized in other ways: their values as float64.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import numpy as np

from inspector_app.analysis.comparison import Tolerance
from inspector_app.analysis.pair_blocks import PairBlocks, bits_of, differing_codes, values_of
from inspector_app.analysis.pair_counts import Joint
from inspector_app.analysis.pair_totals import Totals, scales_for
from inspector_app.checkpoint.values import Elements

Array: TypeAlias = Any


class Measure(Protocol):
    """Takes blocks of codes, in any order and by several threads, a part for each."""

    def new_part(self) -> Any:
        """What one thread adds to."""

    def take(self, part: Any, number: int, a: Array, b: Array) -> None:
        """Add block `number`; `a` and `b` are its codes, in the shape of the block."""

    def differs(self, number: int, a: Array, b: Array) -> Array:
        """Of each element of the block, flat, whether it counts as differing."""

    def totals(self, parts: list[Any]) -> Totals:
        """What the parts add up to. They are used up."""


def measure_for(blocks: PairBlocks, tolerance: Tolerance) -> Measure:
    """The measure that fits the dtypes of both sides."""
    a, b = blocks.a, blocks.b
    plain = a.dtype.name == b.dtype.name and a.quantizer is None and b.quantizer is None
    if a.bits <= 8 and b.bits <= 8 and a.channels is None and b.channels is None:
        return Joint(a, b, plain, tolerance)
    if plain:
        return Sums(a, tolerance)
    return ByValue(blocks, tolerance)


class SumsPart:
    """The states of `pair_kernels`."""

    def __init__(self) -> None:
        from inspector_app.analysis import pair_kernels as k

        self.counts = np.zeros(k.COUNTS, np.int64)
        self.sums = np.zeros(k.SUMS)


def _totals(parts: list[SumsPart], wide: bool) -> Totals:
    from inspector_app.analysis import pair_kernels as k

    counts = [sum(int(part.counts[place]) for part in parts) for place in range(k.COUNTS)]
    sums = [[float(part.sums[place]) for part in parts] for place in range(k.SUMS)]
    return Totals(
        counts[k.FINITE],
        counts[k.DIFFERING],
        counts[k.BEYOND],
        counts[k.FLIPS],
        counts[k.NANS],
        counts[k.INFINITIES],
        max(sums[k.MOST], default=0.0),
        sum(sums[k.ABSOLUTE]),
        sum(sums[k.APART_SQUARED]),
        sum(sums[k.A_SQUARED]),
        sum(sums[k.B_SQUARED]),
        sum(sums[k.A_TIMES_B]),
        (max(sums[k.A_LARGEST], default=0.0), max(sums[k.B_LARGEST], default=0.0))
        if wide
        else (1.0, 1.0),
    )


class Sums:
    """Both sides have the same dtype, of 16 bits or more."""

    def __init__(self, elements: Elements, tolerance: Tolerance) -> None:
        self._elements = elements
        self._name = elements.dtype.name
        self._kind = elements.dtype.kind
        self._tolerance = tolerance

    def new_part(self) -> SumsPart:
        return SumsPart()

    def take(self, part: SumsPart, number: int, a: Array, b: Array) -> None:
        from inspector_app.analysis import pair_kernels as k

        a, b = a.reshape(-1), b.reshape(-1)
        rest = *self._tolerance, part.counts, part.sums
        if self._kind == "complex":
            # The conjugate or the negative of both is as far apart.
            width = a.itemsize // 2
            codes = a.view(f"u{width}"), b.view(f"u{width}")
            x, y = (_float_parts(side, width) for side in codes)
            k.pairs_of_complex(x, y, codes, *rest)
        elif self._name in ("bfloat16", "float16"):
            k.pairs16(a, b, self._name == "bfloat16", *rest)
        elif self._name == "float32":
            k.pairs32(a, b, *rest)
        elif self._name == "float64":
            k.pairs64(a, b, *rest)
        else:
            dtype = self._elements.dtype.numpy
            loop = k.pairs_of_long if a.itemsize == 8 else k.pairs_of_integers
            loop(a.view(dtype), b.view(dtype), *rest)

    def differs(self, number: int, a: Array, b: Array) -> Array:
        return differing_codes(a, b)

    def totals(self, parts: list[SumsPart]) -> Totals:
        return _totals(parts, self._name in ("float64", "complex128"))


def _float_parts(codes: Array, width: int) -> Array:
    numbers = codes.view(f"f{width}")
    return numbers.astype(np.float32) if width == 2 else numbers


class ByValue:
    """The values as float64, whatever they are made from; complex ones as complex128."""

    def __init__(self, blocks: PairBlocks, tolerance: Tolerance) -> None:
        self._blocks = blocks
        self._tolerance = tolerance
        a, b = blocks.a, blocks.b
        self._complex = "complex" in (a.dtype.kind, b.dtype.kind)
        self._same_dtype = a.dtype.name == b.dtype.name

    def new_part(self) -> SumsPart:
        return SumsPart()

    def take(self, part: SumsPart, number: int, a: Array, b: Array) -> None:
        from inspector_app.analysis import pair_kernels as k

        x, y = self.values(number, a, b)
        codes = x.view(np.uint64), y.view(np.uint64)
        rest = *self._tolerance, part.counts, part.sums
        if self._complex:
            k.pairs_of_complex(x.view(np.float64), y.view(np.float64), codes, *rest)
            return
        k.pairs64(*codes, *rest)
        if self._same_dtype:
            # Two integers may stand for one value.
            other = (a != b).reshape(-1) & (codes[0] == codes[1])
            part.counts[k.DIFFERING] += np.count_nonzero(other)

    def differs(self, number: int, a: Array, b: Array) -> Array:
        x, y = self.values(number, a, b)
        # Two integers may stand for one value.
        codes = differing_codes(a, b) if self._same_dtype else False
        return differing_codes(bits_of(x), bits_of(y)) | codes

    def values(self, number: int, a: Array, b: Array) -> tuple[Array, Array]:
        """Both sides of a block, flat, as float64 or complex128."""
        return self._values(self._blocks.a, number, a), self._values(self._blocks.b, number, b)

    def _values(self, elements: Elements, number: int, codes: Array) -> Array:
        values = values_of(elements, codes, *self._blocks.place(number))
        dtype = np.complex128 if self._complex else np.float64
        with np.errstate(all="ignore"):  # signalling NaNs
            return values.astype(dtype).reshape(-1)

    def totals(self, parts: list[SumsPart]) -> Totals:
        return _totals(parts, True)


class Rescaled:
    """The sums of float64 and complex128 once more, at the scales that they need."""

    def __init__(self, first: ByValue, totals: Totals) -> None:
        self._first = first
        self._totals = totals
        self._scales = scales_for(totals)

    def new_part(self) -> SumsPart:
        return SumsPart()

    def take(self, part: SumsPart, number: int, a: Array, b: Array) -> None:
        from inspector_app.analysis import pair_kernels as k

        x, y = self._first.values(number, a, b)
        parts = x.itemsize // 8
        k.scaled_sums(x.view(np.float64), y.view(np.float64), parts, self._scales, part.sums)

    def differs(self, number: int, a: Array, b: Array) -> Array:
        return self._first.differs(number, a, b)

    def totals(self, parts: list[SumsPart]) -> Totals:
        sums = _totals(parts, True)
        return self._totals._replace(
            absolute=sums.absolute,
            apart=sums.apart,
            a=sums.a,
            b=sums.b,
            product=sums.product,
            scales=self._scales,
        )
