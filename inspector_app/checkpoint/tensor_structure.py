"""Do the parts of sparse, nested and quantized tensors fit each other? Told by their shapes.

The sizes are those that ``torch._validate_sparse_*_tensor_args`` (ATen
``native/sparse/ValidateCompressedIndicesCommon.h``, ``SparseTensor.cpp``) asks for. What the
indices themselves say is checked on demand (`analysis.tensor_checks`).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite, prod

from inspector_app.checkpoint.model import TensorInfo

# The integers that a quantized dtype has.
QUANTIZED_RANGES = {
    "qint8": (-128, 127),
    "quint8": (0, 255),
    "qint32": (-(1 << 31), (1 << 31) - 1),
    "quint4x2": (0, 15),
    "quint2x4": (0, 3),
}
_INDICES = ("int64", "int32")
MOST_ELEMENTS = 1 << 63


def per_tensor_oddities(dtype: str, scale: float, zero_point: int) -> Iterator[str]:
    """What is wrong with the one scale and zero_point of a quantized tensor."""
    if not isfinite(scale) or scale <= 0:
        yield f"its scale is {scale}, which is no positive number"
    low, high = QUANTIZED_RANGES.get(dtype, (None, None))
    if low is None or high is None:
        yield f"it is quantized, and its storage is of {dtype or 'no dtype'}"
    elif not low <= zero_point <= high:
        yield f"its zero_point is not between {low} and {high}, as {dtype} is"


def too_many_elements(shape: tuple[int, ...]) -> bool:
    """Whether 64 bits cannot count the elements; an expanded view needs no bytes for them."""
    return prod(shape) >= MOST_ELEMENTS


def coo_fault(indices: TensorInfo, values: TensorInfo, shape: tuple[int, ...]) -> str:
    """Why these are no parts of a sparse COO tensor of `shape`, or ""."""
    if indices.dtype not in _INDICES:
        return f"its indices are {indices.dtype}"
    if len(indices.shape) != 2:
        return f"its indices have {len(indices.shape)} dimensions instead of 2"
    sparse, count = indices.shape
    if sparse > len(shape):
        return f"its indices are for {sparse} dimensions and it has {len(shape)}"
    if not values.shape or values.shape[0] != count:
        return f"it has {count} indices and values of shape {_shown(values.shape)}"
    if values.shape[1:] != shape[sparse:]:
        return f"its values have the shape {_shown(values.shape)}, which does not fit it"
    return ""


def compressed_fault(
    layout: str, outer: TensorInfo, inner: TensorInfo, values: TensorInfo, shape: tuple[int, ...]
) -> str:
    """Why these are no parts of a sparse CSR, CSC, BSR or BSC tensor of `shape`, or "".

    Args:
        outer: ``crow_indices`` or ``ccol_indices``.
        inner: ``col_indices`` or ``row_indices``.
    """
    if outer.dtype not in _INDICES or inner.dtype != outer.dtype:
        return f"its indices are {outer.dtype} and {inner.dtype}"
    if not outer.shape or len(outer.shape) != len(inner.shape):
        return "its two kinds of indices have not the same number of dimensions"
    batch = len(outer.shape) - 1
    blocked = layout in ("sparse_bsr", "sparse_bsc")
    if len(shape) < batch + 2 or len(values.shape) < batch + (3 if blocked else 1):
        return f"its indices are for {batch} batch dimensions and it has too few"
    block = values.shape[batch + 1 : batch + 3] if blocked else (1, 1)
    axis = 0 if layout in ("sparse_csr", "sparse_bsr") else 1
    if 0 in block or any(
        size % step for size, step in zip(shape[batch : batch + 2], block, strict=True)
    ):
        return f"its blocks of {_shown(block)} do not divide it"
    expected = shape[batch + axis] // block[axis] + 1
    if outer.shape[-1] != expected:
        return f"it has {outer.shape[-1]} compressed indices instead of {expected}"
    if inner.shape[-1] != values.shape[batch]:
        return f"it has {inner.shape[-1]} plain indices and {values.shape[batch]} values"
    if not shape[:batch] == outer.shape[:-1] == inner.shape[:-1] == values.shape[:batch]:
        return "its parts have not the same batch dimensions"
    if values.shape[batch + (3 if blocked else 1) :] != shape[batch + 2 :]:
        return f"its values have the shape {_shown(values.shape)}, which does not fit it"
    return ""


def nested_fault(sizes: TensorInfo, strides: TensorInfo | None, offsets: TensorInfo | None) -> str:
    """Why these cannot describe the components of a nested tensor, or ""."""
    if sizes.dtype != "int64":
        return f"its sizes are {sizes.dtype}"
    if strides is not None and strides.shape != sizes.shape:
        return "its sizes and strides have not the same shape"
    count = sizes.shape[0] if sizes.shape else 0
    if offsets is not None and offsets.numel != count:
        return f"it has {offsets.numel} storage_offsets for {count} components"
    return ""


def _shown(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape[:8])) + (" …" if len(shape) > 8 else "") or "()"
