"""Scales and zero points that blocks of a tensor's elements share.

torchao's tensors have them (``torchao/quantization/quant_primitives.py``,
``_dequantize_affine_no_dtype_check``), and ONNX's DequantizeLinear: a block is so many
elements along each axis, and the value of an element is ``(q - zero_point) * scale``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from inspector_app.checkpoint.errors import NoValues

Array: TypeAlias = Any

# The scheme of a `Quantizer` whose tensor has the parts `SCALE` and perhaps `ZERO_POINT`.
BLOCKS = "block_affine"
SCALE, ZERO_POINT = "scale", "zero_point"


class BlockScales:
    """Attributes:
    axis: None: other than `Channels` it belongs to no single axis.
    block: how many elements of each axis share a scale.
    """

    axis = None

    def __init__(
        self, shape: Sequence[int], scales: Array, zero_points: Array | None, dtype: str
    ) -> None:
        """
        Args:
            shape: of the tensor.
            scales, zero_points: of as many axes as it, or a single one.
            dtype: what torch would give the values as.

        Raises:
            NoValues: they do not belong to such a tensor.
        """
        self._dtype = dtype
        if scales.size == 1:
            scales = scales.reshape((1,) * len(shape))
        if zero_points is not None and zero_points.size == 1:
            zero_points = zero_points.reshape((1,) * len(shape))
        self.block = tuple(
            size // count if count and size % count == 0 else 0
            for size, count in zip(shape, scales.shape, strict=False)
        )
        if len(scales.shape) != len(shape) or 0 in self.block:
            reason = f"scales of the shape {list(scales.shape)} are none for {list(shape)}"
            raise NoValues("no-values", reason=reason)
        if zero_points is not None and zero_points.shape not in (scales.shape, (1,) * len(shape)):
            raise NoValues("no-values", reason="its zero points are not as many as its scales")
        self.scales, self.zero_points = scales, zero_points

    def dequantized(self, values: Array, order: Sequence[int], taken: Sequence[range]) -> Array:
        """Integers as float32.

        Args:
            order: which axis of the tensor each axis of `values` is.
            taken: of each axis of `values` the indices in the tensor.
        """
        scales = self._spread(self.scales, order, taken)
        whole = values.dtype.kind in "iu"
        values = values.astype("int64" if whole else "float32")
        if self.zero_points is not None:
            zero_points = self._spread(self.zero_points, order, taken)
            if whole and zero_points.dtype.kind in "iu":
                values = values - zero_points.astype("int64")
            else:
                values = values.astype("float32") - zero_points.astype("float32")
        product = (values.astype("float32") * scales).astype("float32")
        if self._dtype == "float16":
            return product.astype("float16").astype("float32")
        return _as_bfloat16(product) if self._dtype == "bfloat16" else product

    def _spread(self, parameters: Array, order: Sequence[int], taken: Sequence[range]) -> Array:
        """The parameter of each of some elements, or what broadcasts to that."""
        found = parameters.transpose(tuple(order))
        for axis, (of, indices) in enumerate(zip(order, taken, strict=True)):
            if found.shape[axis] == 1:
                continue
            chosen = [slice(None)] * found.ndim
            if not len(indices):
                chosen[axis] = slice(0, 0)
                found = found[tuple(chosen)]
                continue
            block = self.block[of]
            first = indices[0] // block
            chosen[axis] = slice(first, indices[-1] // block + 1)
            found = found[tuple(chosen)].repeat(block, axis)
            start = indices[0] - first * block
            chosen[axis] = slice(start, indices[-1] - first * block + 1, indices.step)
            found = found[tuple(chosen)]
        return found


def _as_bfloat16(values: Array) -> Array:
    """float32 rounded to bfloat16, half to even; it stays float32."""
    bits = values.view("uint32")
    rounded = (bits + (0x7FFF + ((bits >> 16) & 1))) & 0xFFFF0000
    special = (bits & 0x7F800000) == 0x7F800000
    rounded[special] = bits[special]
    return rounded.astype("uint32").view("float32")
