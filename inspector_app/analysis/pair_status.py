"""What two tensors' headers, and the checksums of their storages, say about them.

A checksum covers a storage, not a tensor. It decides only where both tensors have all bytes
of their records, and have them in one order: equal dtype, shape, stride, storage_offset and
byte order, each byte of the record in an element, equal size, CRC not 0, nothing compressed.
Then another CRC means other bits surely, and an equal one equal bits almost surely.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import NamedTuple

from inspector_app.analysis.comparison import Evidence, Status
from inspector_app.checkpoint.dtypes import DTYPES
from inspector_app.checkpoint.model import (
    PLAIN,
    Checkpoint,
    Record,
    TensorDetails,
    TensorInfo,
    contiguous_stride,
)
from inspector_app.checkpoint.value_layout import gathered, span
from inspector_app.checkpoint.zip_directory import ENCRYPTED, STORED

# Where an archive is not what its directory says, the directory's checksums say nothing.
_DOUBTS = frozenset(
    {
        "duplicate-entry",
        "case-colliding-entry",
        "header-mismatch",
        "outside-root",
        "prepended-bytes",
        "entry-bounds",
        "bad-directory",
        "overlapping-entry",
        "record-size",
        "bad-checksum",
        "broken-record",
        "truncated",
        "storage-size",
    }
)
_SAME_BITS, _OTHER_BITS, _UNKNOWN = True, False, None


class Verdict(NamedTuple):
    """What is known of a pair before its bytes are read; the fields are those of `KeyPair`."""

    status: str
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    evidence: str = Evidence.HEADER


_IDENTICAL = Verdict(Status.IDENTICAL, evidence=Evidence.CHECKSUM)
_CHANGED = Verdict(Status.CHANGED, evidence=Evidence.CHECKSUM)
_UNCOMPARED = Verdict(Status.UNCOMPARED)
_EMPTY = Verdict(Status.IDENTICAL)


def checksums_count(checkpoint: Checkpoint) -> bool:
    """Whether the checksums of this file can be believed."""
    return not any(problem.code in _DOUBTS for problem in checkpoint.problems)


def verdict_of(a: TensorInfo, b: TensorInfo, checksums: bool) -> Verdict:
    """What is known of the two. `checksums`: those of both files can be believed."""
    if a.shape == b.shape and a.dtype == b.dtype:
        reasons: tuple[str, ...] = ()
    else:
        differing = (("shape", a.shape != b.shape), ("dtype", a.dtype != b.dtype))
        reasons = tuple(name for name, differs in differing if differs)
    if (
        not reasons
        and a.device == b.device
        and a.stride == b.stride
        and a.requires_grad == b.requires_grad
        and a.layout == b.layout
    ):
        notes: tuple[str, ...] = ()
    else:
        notes = _notes(a, b, reasons)
    if reasons:
        return Verdict(Status.MISMATCHED, reasons, notes)
    found = _without_reading(a, b, checksums)
    return found if not notes else found._replace(notes=notes)


def _notes(a: TensorInfo, b: TensorInfo, reasons: tuple[str, ...]) -> tuple[str, ...]:
    notes = []
    if a.device != b.device:
        notes.append("device")
    if a.requires_grad != b.requires_grad:
        notes.append("requires_grad")
    if a.layout != b.layout:
        notes.append("layout")
    elif "shape" not in reasons and a.stride != b.stride and not _equal_strides(a, b):
        notes.append("stride")
    return tuple(notes)


def _equal_strides(a: TensorInfo, b: TensorInfo) -> bool:
    """Whether the strides differ only where there is a single index, which they do not move."""
    if a.stride is None or b.stride is None:
        return False
    return all(
        one == two or size <= 1 for one, two, size in zip(a.stride, b.stride, a.shape, strict=True)
    )


def _without_reading(a: TensorInfo, b: TensorInfo, checksums: bool) -> Verdict:
    if a.details is PLAIN and b.details is PLAIN and not a.children and not b.children:
        if a.layout == b.layout:
            same = _by_checksum(a, b) if checksums else _UNKNOWN
            if same is not _UNKNOWN:
                return _IDENTICAL if same else _CHANGED
            if 0 in a.shape or (a.device == "meta" and b.device == "meta"):
                return _EMPTY
        return _UNCOMPARED
    return _of_parts(a, b, checksums)


def _of_parts(a: TensorInfo, b: TensorInfo, checksums: bool) -> Verdict:
    """The verdict on tensors with parts, or with something special about them."""
    same = True
    todo = [(a, b)]
    while todo:
        one, two = todo.pop()
        if one.layout != two.layout or not _equal_but_parameter(one.details, two.details):
            return _UNCOMPARED
        if one.dtype != two.dtype or one.shape != two.shape:
            # Such as sparse tensors with other indices.
            return _UNCOMPARED
        parts = {part.key: part for part in one.inner_tensors()}
        others = {part.key: part for part in two.inner_tensors()}
        if parts.keys() != others.keys():
            return _UNCOMPARED
        if one.storage is not None or two.storage is not None or not parts:
            if 0 in one.shape:
                continue
            found = _by_checksum(one, two) if checksums else _UNKNOWN
            if found is _UNKNOWN:
                return _UNCOMPARED
            same = same and found
        todo += [(part, others[key]) for key, part in parts.items()]
    return _IDENTICAL if same else _CHANGED


def _equal_but_parameter(a: TensorDetails, b: TensorDetails) -> bool:
    """All that changes what the bytes mean is the same; being a Parameter is a note's matter."""
    return a is b or a._replace(parameter=False) == b._replace(parameter=False)


def _by_checksum(a: TensorInfo, b: TensorInfo) -> bool | None:
    """Whether the bits are the same, as the checksums say; None where they cannot."""
    one, two = a.storage, b.storage
    if one is None or two is None or one.record is None or two.record is None:
        return _UNKNOWN
    record, other = one.record, two.record
    if record.crc32 == 0 or other.crc32 == 0 or record.nbytes != other.nbytes:
        return _UNKNOWN
    if a.stride != b.stride or a.storage_offset != 0 or b.storage_offset != 0:
        return _UNKNOWN
    if one.nbytes != record.nbytes or two.nbytes != record.nbytes:
        return _UNKNOWN
    if not (_as_it_is(record) and _as_it_is(other)):
        return _UNKNOWN
    if not _covers(a.dtype, a.shape, a.stride, record.nbytes):
        return _UNKNOWN
    return record.crc32 == other.crc32


class Content(NamedTuple):
    """What two tensors have in common whose bytes are almost surely the same."""

    crc32: int
    nbytes: int
    dtype: str
    shape: tuple[int, ...]
    stride: tuple[int, ...] | None
    big_endian: bool


def content_of(tensor: TensorInfo) -> Content | None:
    """The content of a plain tensor by its storage's checksum, or None where that says nothing."""
    if _by_checksum(tensor, tensor) is _UNKNOWN or tensor.children:
        return None
    details = tensor.details
    if details.quantizer is not None or details.conj or details.neg:
        return None
    storage = tensor.storage
    assert storage is not None
    assert storage.record is not None
    return Content(
        storage.record.crc32,
        storage.record.nbytes,
        tensor.dtype,
        tensor.shape,
        tensor.stride,
        details.big_endian,
    )


def _as_it_is(record: Record) -> bool:
    return (
        record.method == STORED
        and record.packed_bytes == record.nbytes
        and not record.flags & ENCRYPTED
    )


@lru_cache(maxsize=4096)
def _covers(name: str, shape: tuple[int, ...], stride: tuple[int, ...] | None, nbytes: int) -> bool:
    """Whether the elements are all that a record of `nbytes` has: no byte is left out."""
    dtype = DTYPES.get(name)
    if dtype is None or stride is None:
        return False
    if stride == contiguous_stride(shape):
        return prod(shape) * dtype.bits == 8 * nbytes
    spanned = span(shape, stride)
    if not spanned or spanned * dtype.bits != 8 * nbytes:
        return False
    sizes, steps, _ = gathered(shape, stride)
    return not sizes or (len(sizes) == 1 and steps[0] == 1 and sizes[0] == spanned)
