"""How far the values of a pair lie apart: what is summed up of each block, for every dtype.

- Up to 8 bits, quantized ones included: how often each pair of codes occurs. From that every
  figure follows exactly.
- float16, bfloat16, float32, float64, integers and complex numbers: sums in float64. Integers
  of 64 bits are subtracted before float64 rounds them. Where squares leave float64's range, a
  second pass sums multiples by a power of two.
- Two sides of different dtypes, and what is quantized in other ways: their values as float64.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from inspector_app.analysis import distribution
from inspector_app.analysis.comparison import Metrics
from inspector_app.analysis.pair_blocks import PairBlocks
from inspector_app.analysis.pattern_counts import Counts, together
from inspector_app.checkpoint.values import Elements

Array: TypeAlias = Any


class Tolerance(NamedTuple):
    """By how much an element of B may differ: |b − a| ≤ atol + rtol·|a|.

    Under a tolerance −0 and 0 are equal, and so are NaNs of any bits; an infinity is equal to
    itself alone.
    """

    rtol: float = 0.0
    atol: float = 0.0


EXACT = Tolerance()


class Totals(NamedTuple):
    """Sums over the pairs of finite values, and counts over all pairs.

    Attributes:
        finite: pairs that are finite on both sides.
        differing, beyond, flips, nans, infinities: as `Metrics` has them.
        most, absolute: the greatest |b − a| and their sum.
        apart, a, b, product: sums of (b − a)², a², b² and a·b.
        largest: the greatest magnitudes of a and b, where their squares may be out of range.
        scales: powers of two by which b − a, a and b were multiplied for all sums.
    """

    finite: int
    differing: int
    beyond: int
    flips: int
    nans: int
    infinities: int
    most: float
    absolute: float
    apart: float
    a: float
    b: float
    product: float
    largest: tuple[float, float] = (1.0, 1.0)
    scales: tuple[float, float, float] = (1.0, 1.0, 1.0)


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
        return differing_codes(_bits(x), _bits(y)) | codes

    def values(self, number: int, a: Array, b: Array) -> tuple[Array, Array]:
        """Both sides of a block, flat, as float64 or complex128."""
        return self._values(self._blocks.a, number, a), self._values(self._blocks.b, number, b)

    def _values(self, elements: Elements, number: int, codes: Array) -> Array:
        values = elements.decode(codes)
        if elements.channels is not None:
            first, shape = self._blocks.place(number)
            axis = elements.channels.axis
            part = range(first[axis], first[axis] + shape[axis])
            values = elements.channels.dequantized(values, axis, part)
        dtype = np.complex128 if self._complex else np.float64
        with np.errstate(all="ignore"):  # signalling NaNs
            return values.astype(dtype).reshape(-1)

    def totals(self, parts: list[SumsPart]) -> Totals:
        return _totals(parts, True)


class Joint:
    """How often each pair of codes occurs, of at most 8 bits each."""

    def __init__(self, a: Elements, b: Elements, plain: bool, tolerance: Tolerance) -> None:
        self._a, self._b = a, b
        self._same_dtype = a.dtype.name == b.dtype.name
        self._plain = plain
        self._tolerance = tolerance

    def new_part(self) -> Counts:
        return Counts()

    def take(self, part: Counts, number: int, a: Array, b: Array) -> None:
        from inspector_app.analysis import pair_kernels as k

        k.joint8(a.reshape(-1), b.reshape(-1), part.tables_for(a.size))

    def differs(self, number: int, a: Array, b: Array) -> Array:
        one, two = a.reshape(-1), b.reshape(-1)
        found = one != two if self._same_dtype else np.zeros(len(one), bool)
        if not self._plain:
            values = _table(self._a, False)[one], _table(self._b, False)[two]
            found |= differing_codes(_bits(values[0]), _bits(values[1]))
        return found

    def totals(self, parts: list[Counts]) -> Totals:
        with together(parts) as counts:
            found = np.flatnonzero(counts)
            often = counts[found]
        codes = found & 0xFF, found >> 8
        a = _table(self._a, self._plain)[codes[0]]
        b = _table(self._b, self._plain)[codes[1]]
        differs = codes[0] != codes[1] if self._same_dtype else np.zeros(len(found), bool)
        if not self._plain:
            differs |= _bits(a) != _bits(b)
        return _weighted(a, b, often, differs, self._tolerance)


def differing_codes(a: Array, b: Array) -> Array:
    """Of each element whether its code differs, flat; of 16 bytes it is both halves."""
    one, two = a.reshape(-1), b.reshape(-1)
    if one.itemsize == 16:
        return (one.view(np.uint64) != two.view(np.uint64)).reshape(-1, 2).any(axis=1)
    return one != two


def _bits(values: Array) -> Array:
    """float64 as codes; of complex128 nothing is to be done."""
    return values if values.itemsize == 16 else values.view(np.uint64)


def _table(elements: Elements, plain: bool) -> Array:
    table = elements.table()
    # A lazy negative has been resolved, or is on both sides, where it changes nothing.
    return -table if plain and elements.negative and elements.dtype.kind != "bool" else table


def _weighted(a: Array, b: Array, often: Array, differs: Array, tolerance: Tolerance) -> Totals:
    """The totals of float64 values that occur in pairs, each as often as `often` says."""

    def count(chosen: Array) -> int:
        return int(often[chosen].sum())

    nans = np.isnan(a) != np.isnan(b)
    infinities = (np.isinf(a) | np.isinf(b)) & (a != b)
    flips = ((a > 0) & (b < 0)) | ((a < 0) & (b > 0))
    finite = np.isfinite(a) & np.isfinite(b)
    x, y, weights = a[finite], b[finite], often[finite].astype(np.float64)
    apart = np.abs(y - x)
    beyond = nans | infinities
    beyond[finite] = apart > tolerance.atol + tolerance.rtol * np.abs(x)
    return Totals(
        count(finite),
        count(differs),
        count(beyond),
        count(flips),
        count(nans),
        count(infinities),
        float(apart.max(initial=0.0)),
        float(apart @ weights),
        float(apart * apart @ weights),
        float(x * x @ weights),
        float(y * y @ weights),
        float(x * y @ weights),
    )


def scales_for(totals: Totals) -> tuple[float, float, float]:
    """The scales that the sums need for b − a, a and b; those they have if these do."""
    a, b = totals.largest
    if math.isinf(totals.most):
        apart = distribution.scale_for(max(a, b)) / 2
    else:
        apart = distribution.scale_for(totals.most)
    return apart, distribution.scale_for(a), distribution.scale_for(b)


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


def metrics_of(
    totals: Totals, count: int, repeats: int, tolerance: Tolerance, first: int
) -> Metrics:
    """The figures of `count` elements, of which the totals have each `repeats` times."""
    most = mean = rel_l2 = cosine = None
    if totals.finite:
        apart_scale, a_scale, _ = totals.scales
        most = totals.most
        mean = totals.absolute / totals.finite / apart_scale
        if totals.a:
            # The quotient of two scales may leave the range where the figure does not.
            rel_l2 = math.sqrt(totals.apart) / math.sqrt(totals.a) * a_scale / apart_scale
        elif not totals.b:
            rel_l2 = 0.0
        if totals.a and totals.b:
            cosine = totals.product / (math.sqrt(totals.a) * math.sqrt(totals.b))
            cosine = max(-1.0, min(1.0, cosine))
    beyond = totals.differing if tolerance == EXACT else totals.beyond
    return Metrics(
        count,
        most,
        mean,
        rel_l2,
        cosine,
        totals.differing * repeats,
        beyond * repeats,
        totals.flips * repeats,
        totals.nans * repeats,
        totals.infinities * repeats,
        first,
    )
