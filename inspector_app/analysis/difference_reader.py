"""A pair of tensors read as one: what B has more than A, element by element.

It stands in for a `ValueReader`, so that `decimate.decimating` and whatever shows values show
differences: give it A's tensor wherever a tensor is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from inspector_app.analysis.decimate import as_floats
from inspector_app.checkpoint.errors import NoValues
from inspector_app.checkpoint.model import TensorInfo
from inspector_app.checkpoint.values import Elements, ValueReader

Array: TypeAlias = Any

_MOST_READ_BYTES = 1 << 28


class DifferenceReader(ValueReader):
    """Reads b − a of one pair. Threads may share it.

    Differences are float32 for dtypes of at most 16 bits, else float64; those of 64-bit
    integers are taken before float64 rounds them, those of complex numbers are the modulus.
    Where both are NaN, or the same infinity, there is none: 0. Where one is NaN it is NaN.

    Args:
        a, b: stay open, and are not closed with this.
        tensor: B's; a pair's A is given to the methods.
    """

    def __init__(self, a: ValueReader, b: ValueReader, tensor: TensorInfo) -> None:
        self._a, self._b = a, b
        self._tensor = tensor

    def elements(self, tensor: TensorInfo, raw: bool = False) -> Elements:
        """Where A's values lie.

        Raises:
            NoValues: the two have other shapes, as sparse tensors with another number of values.
        """
        found = self._a.elements(tensor, raw)
        other = self._b.elements(self._tensor, raw)
        if found.shape != other.shape:
            raise NoValues("no-values", reason="the two have other numbers of values")
        return found

    def read(
        self,
        tensor: TensorInfo,
        slices: Sequence[slice | int] = (),
        raw: bool = False,
        most_bytes: int = _MOST_READ_BYTES,
    ) -> Array:
        """The differences that `slices` choose, as `ValueReader.read` has values."""
        a = self._a.read(tensor, slices, raw, most_bytes)
        return differences(a, self._b.read(self._tensor, slices, raw, most_bytes))

    def check_unchanged(self, tensor: TensorInfo) -> None:
        self._a.check_unchanged(tensor)
        self._b.check_unchanged(self._tensor)

    def close(self) -> None:
        """Nothing: whoever opened the two readers closes them."""


def differences(a: Array, b: Array) -> Array:
    """b − a of values as a `ValueReader` gives them; `DifferenceReader` says in which dtype."""
    with np.errstate(all="ignore"):
        if a.dtype == b.dtype and a.dtype.kind in "iu" and a.dtype.itemsize == 8:
            size = np.where(a > b, a, b).view(np.uint64) - np.where(a > b, b, a).view(np.uint64)
            return np.where(a > b, -size.astype(np.float64), size.astype(np.float64))
        if "c" in (a.dtype.kind, b.dtype.kind):
            x, y = a.astype(np.complex128), b.astype(np.complex128)
            apart: Array = np.abs(y - x)
        else:
            x, y = as_floats(a), as_floats(b)
            if max(a.dtype.itemsize, b.dtype.itemsize) > 2:
                x, y = x.astype(np.float64), y.astype(np.float64)
            apart = y - x
        if not np.isfinite(apart).all():
            apart[(x == y) | (np.isnan(x) & np.isnan(y))] = 0
        return apart
