"""The ways to store weights in fewer bits that a preview tells of, and what each stores.

Integers are as ``torch.ao.quantization`` makes them: scale and zero point are those of its
MinMaxObserver (per tensor) and PerChannelMinMaxObserver (`calculate_qparams`), the values
those of ``torch.fake_quantize_per_tensor_affine`` and ``_per_channel_affine``. Channels are
those of axis 0, as in Linear, Conv and Embedding. Groups run along the row that is left of a
channel, ``weight.reshape(out, -1, group)``. Where the group does not divide the row its last
group is filled up with zeros, as ONNX Runtime's MatMulNBits does it; torchao refuses such a
layer, and `SchemeError.padded` says so.

Casts are ``tensor.to(dtype)``: to the nearest, ties to even, without a scale. What is too
large becomes infinite, which is an overflow; ``float8_e4m3fn`` has no infinity and saturates
at ±448, which is clipping, as torch does it since 2.12 (before, it became NaN).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from math import prod

SCALE_BYTES = 4  # float32
ZERO_POINT_BYTES = 1


class Spread(Enum):
    """What shares one scale."""

    TENSOR = "tensor"
    CHANNEL = "channel"
    GROUP = "group"
    NONE = "none"  # a cast has none


@dataclass(frozen=True, slots=True)
class Scheme:
    """One way to store a weight.

    Attributes:
        name: as the command line and JSON have it.
        bits: of each value.
        spread: what shares a scale.
        group: how many values of a row share one, or 0.
        affine: it has a zero point.
        dtype: of a cast torch's name of the target, else "".
    """

    name: str
    bits: int
    spread: Spread
    group: int = 0
    affine: bool = False
    dtype: str = ""

    @property
    def is_cast(self) -> bool:
        return bool(self.dtype)

    @property
    def weights_only(self) -> bool:
        """It is for weights of two dimensions and more: biases and norms stay as they are."""
        return self.bits < 16

    @property
    def least(self) -> int:
        """The smallest integer."""
        return -(1 << (self.bits - 1))

    @property
    def most(self) -> int:
        """The greatest integer."""
        return (1 << (self.bits - 1)) - 1

    def scales(self, shape: Sequence[int]) -> int:
        """How many scales a tensor of `shape` has."""
        if self.spread == Spread.NONE:
            return 0
        if self.spread == Spread.TENSOR or not shape:
            return 1
        if self.spread == Spread.CHANNEL:
            return shape[0]
        return shape[0] * -(-prod(shape[1:]) // self.group)

    def nbytes(self, shape: Sequence[int]) -> int:
        """Bytes of a tensor of `shape`, its scales and zero points included."""
        scales = self.scales(shape)
        count = scales * self.group if self.spread == Spread.GROUP else prod(shape)
        each = SCALE_BYTES + (ZERO_POINT_BYTES if self.affine else 0)
        return (count * self.bits + 7) // 8 + scales * each

    def pads(self, shape: Sequence[int]) -> bool:
        """The last group of each row has to be filled up."""
        return self.spread == Spread.GROUP and bool(prod(shape[1:]) % self.group)


def _integers() -> list[Scheme]:
    found = []
    for bits, spread, group in (
        (8, Spread.TENSOR, 0),
        (8, Spread.CHANNEL, 0),
        *((4, Spread.GROUP, size) for size in (32, 64, 128)),
    ):
        name = f"int{bits}-{'group' if group else 'per'}-{group or spread.value}"
        found.append(Scheme(name, bits, spread, group))
        found.append(Scheme(f"{name}-affine", bits, spread, group, affine=True))
    return found


SCHEMES: tuple[Scheme, ...] = (
    *_integers(),
    Scheme("fp8-e4m3", 8, Spread.NONE, dtype="float8_e4m3fn"),
    Scheme("fp8-e5m2", 8, Spread.NONE, dtype="float8_e5m2"),
    Scheme("fp16", 16, Spread.NONE, dtype="float16"),
    Scheme("bf16", 16, Spread.NONE, dtype="bfloat16"),
)
_BY_NAME = {scheme.name: scheme for scheme in SCHEMES}


def scheme_named(name: str) -> Scheme:
    """The scheme of that name.

    Raises:
        KeyError: there is none.
    """
    return _BY_NAME[name]
