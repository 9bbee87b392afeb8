"""Tensors that were saved as numpy arrays: what torch writes for devices without storages.

Source: ``torch/_tensor.py``, ``_reduce_ex_internal``, and ``torch._utils``,
``_rebuild_device_tensor_from_numpy``: the array may have another dtype than the tensor, since
numpy lacks some, and torch converts it after loading; it holds the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from inspector_app.checkpoint.dtypes import DTYPES
from inspector_app.checkpoint.model import (
    ArrayInfo,
    Kind,
    Record,
    StorageRef,
    TensorDetails,
    TensorInfo,
    contiguous_stride,
)
from inspector_app.checkpoint.storage_forms import HeldStorage, TextStorage

_TORCH_NAMES = {
    **{f"f{size}": f"float{size * 8}" for size in (2, 4, 8)},
    **{f"i{size}": f"int{size * 8}" for size in (1, 2, 4, 8)},
    **{f"u{size}": f"uint{size * 8}" for size in (1, 2, 4, 8)},
    "b1": "bool",
    "c8": "complex64",
    "c16": "complex128",
}


def array_tensor(tensor: TensorInfo) -> TensorInfo | None:
    """The array that `tensor` was saved as, as a tensor of its own dtype; None if it was not.

    Without bytes it has a storage without a place, and a note that says why.
    """
    for child in tensor.children:
        if child.kind == Kind.ARRAY and isinstance(child.value, ArrayInfo):
            return _as_tensor(tensor, child.value)
    return None


def _as_tensor(tensor: TensorInfo, array: ArrayInfo) -> TensorInfo:
    dtype = DTYPES.get(_TORCH_NAMES.get(array.dtype[1:], ""))
    note = ""
    storage = StorageRef("", 0)
    if dtype is None:
        note = f"it was saved as a numpy array of the dtype {array.dtype}"
    elif array.data is not None:
        storage = HeldStorage(array.data)
    elif array.place is None:
        note = "it was saved as a numpy array in a pickle that had to be unpacked"
    else:
        nbytes = prod(array.shape) * dtype.itemsize
        path, kind, offset, length = array.place
        if kind == "str":
            storage = TextStorage(nbytes, path, offset, length)
        else:
            storage = StorageRef("", length, "cpu", path, Record("", offset, length))
    shape = array.shape
    stride = contiguous_stride(shape)
    if array.fortran:
        stride = _reversed(contiguous_stride(_reversed(shape)))
    details = TensorDetails(big_endian=array.dtype[:1] == ">", note=note)
    name = tensor.dtype if dtype is None else dtype.name
    return TensorInfo(tensor.key, name, shape, stride, storage, 0, tensor.device, details=details)


def _reversed(sizes: Iterable[int]) -> tuple[int, ...]:
    return tuple(sizes)[::-1]
