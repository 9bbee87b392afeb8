"""What a preview of quantization says of a tensor and of the file.

With x a finite value as it is stored, y what a scheme makes of it, and sums over the finite
values of a tensor or, for the file, of all tensors that the scheme takes:

- SQNR = 10 log10(Σ x² / Σ (x − y)²), in dB: infinite where nothing is lost, minus infinite
  where a value overflows, NaN where there is no value or all are 0;
- max abs = max |x − y|, infinite where a value overflows;
- cosine = Σ xy / √(Σ x² Σ y²), NaN where one of them is all zero or a value overflows;
- clipped: the share of the values that round to an integer beyond the ends of the grid;
- overflows: how many become infinite or NaN.

NaNs and infinities are counted by themselves and choose no scale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, log10, nan, sqrt

from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.model import TensorInfo


class Kept:
    """Why a tensor is left as it is."""

    NO_WEIGHT = "no-weight"  # fewer than two dimensions: a bias, a norm's scale
    NOT_FLOATING = "not-floating"
    STATE = "state"  # of an optimizer, a scheduler, a generator: no part of the model
    QUANTIZED = "quantized"  # it is already, or is part of such a tensor
    LAYOUT = "layout"  # sparse, nested, wrapped
    SMALL_DTYPE = "small-dtype"  # it has 8 bits or fewer
    EMPTY = "empty"
    UNREADABLE = "unreadable"  # `TensorPreview.error` says why


@dataclass(frozen=True, slots=True)
class ErrorSums:
    """The sums that figures follow from; those of several tensors can be added.

    Attributes:
        count: finite values.
        signal: Σ x².
        noise: Σ (x − y)², of values that do not overflow.
        product: Σ xy.
        power: Σ y².
        most: max |x − y|.
        clipped, overflows: counts.
    """

    count: int = 0
    signal: float = 0.0
    noise: float = 0.0
    product: float = 0.0
    power: float = 0.0
    most: float = 0.0
    clipped: int = 0
    overflows: int = 0

    def __add__(self, other: ErrorSums) -> ErrorSums:
        return ErrorSums(
            self.count + other.count,
            self.signal + other.signal,
            self.noise + other.noise,
            self.product + other.product,
            self.power + other.power,
            max(self.most, other.most),
            self.clipped + other.clipped,
            self.overflows + other.overflows,
        )

    @property
    def sqnr_db(self) -> float:
        if self.overflows:
            return -inf
        if not self.signal:
            return nan
        if not self.noise:
            return inf
        return 10 * (log10(self.signal) - log10(self.noise))

    @property
    def max_abs(self) -> float:
        if self.overflows:
            return inf
        return self.most if self.count else nan

    @property
    def cosine(self) -> float:
        if self.overflows or not self.signal or not self.power:
            return nan
        return max(-1.0, min(1.0, self.product / sqrt(self.signal) / sqrt(self.power)))

    @property
    def clipped_share(self) -> float:
        return self.clipped / self.count if self.count else nan


@dataclass(frozen=True, slots=True)
class SchemeError:
    """What one scheme costs one tensor.

    Attributes:
        scheme: its name.
        sqnr_db, max_abs, cosine, clipped: see the module; `clipped` is a share of 1.
        overflows: values that become infinite or NaN.
        nbytes: what the tensor takes then, scales and zero points included.
        padded: the last group of each row is filled up; torchao refuses that.
        sums: that the figures follow from.
    """

    scheme: str
    sqnr_db: float
    max_abs: float
    cosine: float
    clipped: float
    overflows: int
    nbytes: int
    padded: bool
    sums: ErrorSums

    @property
    def damage(self) -> float:
        """To sort by, the most damaged first: −SQNR, NaN as no damage."""
        return -inf if self.sqnr_db != self.sqnr_db else -self.sqnr_db


def scheme_error(scheme: str, sums: ErrorSums, nbytes: int, padded: bool = False) -> SchemeError:
    """The figures that follow from `sums`."""
    return SchemeError(
        scheme,
        sums.sqnr_db,
        sums.max_abs,
        sums.cosine,
        sums.clipped_share,
        sums.overflows,
        nbytes,
        padded,
        sums,
    )


@dataclass(frozen=True, slots=True)
class TensorPreview:
    """What the schemes cost one tensor.

    Attributes:
        number: its place among those that were asked for.
        tensor: itself.
        nbytes: what it takes now.
        kept: one of `Kept`: why schemes for weights, or all of them, leave it as it is; "" for
            a weight.
        schemes: by name, those that take it; for the others it is kept.
        nans, infinities: how many values are none that a scheme could keep.
        error: why its values cannot be read, or None.
    """

    number: int
    tensor: TensorInfo
    nbytes: int
    kept: str
    schemes: Mapping[str, SchemeError]
    nans: int = 0
    infinities: int = 0
    error: CheckpointError | None = None


@dataclass(frozen=True, slots=True)
class SchemeTotal:
    """What one scheme costs all tensors that are done so far.

    Attributes:
        scheme: its name.
        tensors: how many it takes.
        kept: how many stay as they are.
        nbytes_before, nbytes: of all tensors, kept ones included; the same view once. State
            beside the model (`Kept.STATE`) is left out: a quantized model has none.
        sqnr_db, max_abs, cosine, clipped, overflows: over the values of those that it takes.
    """

    scheme: str
    tensors: int
    kept: int
    nbytes_before: int
    nbytes: int
    sqnr_db: float
    max_abs: float
    cosine: float
    clipped: float
    overflows: int


@dataclass(frozen=True, slots=True)
class PreviewProgress:
    """How far the work is.

    Attributes:
        done, total: bytes of tensors; what two of them share counts once.
        finished: the tensors that were finished since the last step, in any order.
        totals: of what is done so far, one for each scheme, in the order of the schemes.
    """

    done: int
    total: int
    finished: tuple[TensorPreview, ...]
    totals: tuple[SchemeTotal, ...]


@dataclass(slots=True)
class RunningTotal:
    """Adds up what one scheme costs; `total` is what it comes to so far."""

    scheme: str
    tensors: int = 0
    kept: int = 0
    nbytes_before: int = 0
    nbytes: int = 0
    sums: ErrorSums = field(default_factory=ErrorSums)

    def add(self, found: TensorPreview, repeated: bool) -> None:
        """Add a tensor; one that is the same view as another adds no bytes and no values."""
        here = found.schemes.get(self.scheme)
        if here is None:
            self.kept += 1
        else:
            self.tensors += 1
        part = isinstance(found.tensor.parent, TensorInfo)  # of one that is counted
        if repeated or part or found.kept == Kept.STATE:
            return
        self.nbytes_before += found.nbytes
        self.nbytes += found.nbytes if here is None else here.nbytes
        if here is not None:
            self.sums += here.sums

    def total(self) -> SchemeTotal:
        sums = self.sums
        return SchemeTotal(
            self.scheme,
            self.tensors,
            self.kept,
            self.nbytes_before,
            self.nbytes,
            sums.sqnr_db,
            sums.max_abs,
            sums.cosine,
            sums.clipped_share,
            sums.overflows,
        )


def by_damage(found: Sequence[TensorPreview], scheme: str) -> list[TensorPreview]:
    """The tensors that `scheme` takes, the most damaged first."""
    taken = [each for each in found if scheme in each.schemes]
    return sorted(taken, key=lambda each: -each.schemes[scheme].damage)
