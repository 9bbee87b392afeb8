"""The header before each entry of a zip archive, compared with the directory's.

Source: PKWARE's APPNOTE.TXT 6.3, 4.3.7. torch follows the directory alone; what unpacks a
stream follows the local headers.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Any

from inspector_app.checkpoint.model import Record
from inspector_app.checkpoint.zip_end import zip64_values

LOCAL = b"PK\x03\x04"
# signature, flags, method, crc32, packed, size, name and extra lengths.
LOCAL_HEADER = Struct("<4s2xHH4xIIIHH")
DESCRIPTOR = 0x8  # Sizes and checksum stand after the bytes, not in the local header.


def differences(
    record: Record, fields: tuple[Any, ...], extra: bytes, same_name: bool
) -> Iterator[str]:
    """What the local header of an entry says otherwise than the directory.

    Args:
        fields: as `LOCAL_HEADER` unpacks them.
        extra: its extra field, or as much as has been read.
        same_name: the two names are equal.
    """
    _, flags, method, crc32, packed, size, _, _ = _widened(fields, extra)
    if not same_name:
        yield "the name"
    if flags != record.flags:
        yield "the flags"
    if method != record.method:
        yield "the compression"
    # With a data descriptor zeros are right; 0xFFFFFFFF refers to a ZIP64 field.
    absent = (0, 0xFFFFFFFF) if flags & DESCRIPTOR else (0xFFFFFFFF,)
    if packed not in (record.packed_bytes, *absent) or size not in (record.nbytes, *absent):
        yield "the size"
    if crc32 != record.crc32 and not (flags & DESCRIPTOR and crc32 == 0):
        yield "the checksum"


def _widened(fields: tuple[Any, ...], extra: bytes) -> tuple[Any, ...]:
    """A local header with the sizes of its ZIP64 field, as far as that has been read."""
    if 0xFFFFFFFF not in fields[4:6]:
        return fields
    packed, size = fields[4:6]
    # There the size comes before the packed size.
    wide = zip64_values(extra, [size, packed])
    return fields if wide is None else (*fields[:4], wide[1], wide[0], *fields[6:])
