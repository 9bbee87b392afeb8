"""Which bytes the written tensors view: shared as before, or each its own.

torch writes whole storages, and views of them. Where nothing is done to the tensors of a
storage it is written as it is, and a cast of all of them casts the storage, so that strides and
ties stay. Where they part ways, each distinct view gets contiguous bytes of its own.
"""

from __future__ import annotations

from collections.abc import Generator, Hashable
from typing import NamedTuple

from inspector_app.analysis.output_tree import Content, OutStorage, OutTensor, StoredBytes
from inspector_app.analysis.output_tree import TensorValues as Values
from inspector_app.checkpoint.dtypes import DTYPES
from inspector_app.checkpoint.model import (
    Checkpoint,
    Progress,
    StorageRef,
    TensorInfo,
    contiguous_stride,
)
from inspector_app.checkpoint.storage_forms import FieldStorage, HeldStorage, TextStorage

_SLICE = 2_000


class Request(NamedTuple):
    """A strided tensor that needs bytes.

    Attributes:
        out: gets its storage, offset and stride.
        dtype: what is written, which may differ from the tensor's.
        made: values that are not the tensor's own; `identity` tells which are the same.
        device: the location tag of the written storage.
    """

    out: OutTensor
    checkpoint: Checkpoint
    tensor: TensorInfo
    dtype: str
    device: str
    made: Content | None = None
    identity: Hashable = None


def view_identity(tensor: TensorInfo) -> Hashable:
    """Equal for tensors that are the same elements of the same bytes."""
    details = tensor.details
    return (
        id(tensor.storage),
        tensor.storage_offset,
        tensor.shape,
        tensor.stride,
        tensor.dtype,
        details.conj,
        details.neg,
    )


def is_raw(tensor: TensorInfo) -> bool:
    """Whether its bytes stand in the file as torch has them in memory."""
    storage = tensor.storage
    return storage is not None and not tensor.details.big_endian


def is_contiguous(tensor: TensorInfo) -> bool:
    """As torch's ``is_contiguous()``: what axes of one element step over does not matter."""
    if 0 in tensor.shape:
        return True
    wanted = contiguous_stride(tensor.shape)
    return all(
        size == 1 or step == right
        for size, step, right in zip(tensor.shape, tensor.stride or (), wanted, strict=True)
    )


def has_bytes(storage: StorageRef | None) -> bool:
    """Whether the file says where the bytes are."""
    return storage is not None and (
        isinstance(storage, (HeldStorage, TextStorage, FieldStorage)) or storage.record is not None
    )


def contiguous_content(checkpoint: Checkpoint, tensor: TensorInfo, dtype: str) -> Content:
    """The values of a tensor one after the other; raw bytes where they stand so already."""
    known = DTYPES[tensor.dtype]
    bits = tensor.details
    plain = is_raw(tensor) and not bits.conj and not bits.neg and known.bits % 8 == 0
    if plain and dtype == tensor.dtype and is_contiguous(tensor) and tensor.storage is not None:
        start = (tensor.storage_offset or 0) * known.itemsize
        return StoredBytes(checkpoint, tensor.storage, start, tensor.nbytes)
    return Values(checkpoint, tensor, dtype)


def assigning(
    requests: list[Request], separate: bool, clone: bool
) -> Generator[Progress, None, list[TensorInfo]]:
    """Give each request its storage.

    Args:
        separate: no tensor shares bytes with another, but for those that are the same view.
        clone: not even those.

    Returns:
        Tensors that shared bytes with others and no longer do, though nobody asked for it.
    """
    groups: dict[int, list[Request]] = {}
    for number, request in enumerate(requests):
        if number % _SLICE == 0:
            yield Progress("storages", number, len(requests))
        key = id(request.tensor.storage) if request.made is None else -id(request)
        groups.setdefault(key, []).append(request)
    # What is made anew is shared by identity alone, whatever the tensors viewed before.
    made: dict[Hashable, OutStorage] = {}
    untied: list[TensorInfo] = []
    for number, group in enumerate(groups.values()):
        if number % _SLICE == 0:
            yield Progress("storages", number, len(groups))
        # Of packed elements a byte holds several: they stay where they are.
        packed = any(DTYPES[request.dtype].bits % 8 for request in group)
        whole = packed or (not separate and (len(group) == 1 or not clone))
        if whole and _stays_whole(group):
            _share_whole(group)
            continue
        for request in group:
            _own(request, made, clone)
        if len(group) > 1 and not separate and not clone:
            views = {view_identity(request.tensor) for request in group}
            untied += [request.tensor for request in group] if len(views) > 1 else []
    return untied


def _stays_whole(group: list[Request]) -> bool:
    first = group[0]
    if first.made is not None:
        return False
    storage = first.tensor.storage
    assert storage is not None
    itemsize = DTYPES[first.tensor.dtype].itemsize
    for request in group:
        if request.made is not None or not is_raw(request.tensor):
            return False
        if request.device != first.device:
            return False
        if (request.tensor.dtype, request.dtype) != (first.tensor.dtype, first.dtype) and (
            request.dtype != request.tensor.dtype or first.dtype != first.tensor.dtype
        ):
            return False
    return first.dtype == first.tensor.dtype or storage.nbytes % itemsize == 0


def _share_whole(group: list[Request]) -> None:
    first = group[0]
    source, dtype = first.tensor, first.dtype
    stored = source.storage
    assert stored is not None
    content: Content
    if dtype == source.dtype:
        nbytes = stored.nbytes
        content = StoredBytes(first.checkpoint, stored, 0, nbytes)
    else:
        count = stored.nbytes // DTYPES[source.dtype].itemsize
        nbytes = count * DTYPES[dtype].itemsize
        whole = TensorInfo("", source.dtype, (count,), (1,), stored, 0)
        content = Values(first.checkpoint, whole, dtype)
    dtypes = {request.dtype for request in group}
    storage = OutStorage(content, dtypes.pop() if len(dtypes) == 1 else "", nbytes, first.device)
    for request in group:
        out, tensor = request.out, request.tensor
        out.storage = storage
        out.storage_offset = tensor.storage_offset or 0
        out.stride = tensor.stride or ()
        out.conj, out.neg = tensor.details.conj, tensor.details.neg


def _own(request: Request, made: dict[Hashable, OutStorage], clone: bool) -> None:
    """Contiguous bytes for one view."""
    out, tensor, dtype = request.out, request.tensor, request.dtype
    identity = request.identity if request.made is not None else view_identity(tensor)
    key = (identity, dtype, request.device)
    storage = None if clone or identity is None else made.get(key)
    if storage is None:
        content = request.made or contiguous_content(request.checkpoint, tensor, dtype)
        count = 1
        for size in out.shape:
            count *= size
        nbytes = (count * DTYPES[dtype].bits + 7) // 8
        storage = made[key] = OutStorage(content, dtype, nbytes, request.device)
    out.storage = storage
    out.storage_offset = 0
    out.stride = contiguous_stride(out.shape)
    out.conj = out.neg = False
