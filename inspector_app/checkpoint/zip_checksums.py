"""The checksums of an archive's entries, compared with the bytes.

An entry's bytes are read, and unpacked where they are deflated, a piece at a time: none of
them is held. Source of the layout: PKWARE's APPNOTE.TXT 6.3, 4.3.9 (data descriptors).
"""

from __future__ import annotations

import zlib
from collections.abc import Generator
from struct import Struct

from inspector_app.checkpoint.errors import BrokenFile, Problem
from inspector_app.checkpoint.model import Record
from inspector_app.checkpoint.zip_directory import (
    DEFLATED,
    ENCRYPTED,
    STORED,
    ZipDirectory,
)
from inspector_app.checkpoint.zip_local import DESCRIPTOR

_PIECE = 1 << 20
_MARK = b"PK\x07\x08"
# Checksum, packed size and size; of a ZIP64 entry in eight bytes each.
_NARROW, _WIDE = Struct("<III"), Struct("<IQQ")


def verifying(directory: ZipDirectory, record: Record) -> Generator[int, None, list[Problem]]:
    """Compare the bytes of one entry with what the directory says of them.

    Yields the number of bytes that were read from the file, in steps of a millisecond or
    two, and returns what is wrong. An entry with a checksum of 0 has none: `torch.save`
    writes that where it was told not to compute any; only its length is compared.

    Raises:
        UnreadableFile: the operating system reports an error.
    """
    where = record.name
    if record.flags & ENCRYPTED:
        return [Problem("encrypted-entry", where)]
    if record.method not in (STORED, DEFLATED):
        return [Problem("unsupported-compression", where, {"method": record.method})]
    try:
        offset = directory.data_offset(record)
    except BrokenFile as error:
        return [Problem("broken-record", where, {"reason": error.details["reason"]})]
    inflater = zlib.decompressobj(-zlib.MAX_WBITS) if record.method == DEFLATED else None
    checksum = size = 0
    for start in range(offset, offset + record.packed_bytes, _PIECE):
        packed = directory.source.read(start, min(_PIECE, offset + record.packed_bytes - start))
        if not packed:
            break
        yield len(packed)
        if inflater is None:
            checksum, size = zlib.crc32(packed, checksum), size + len(packed)
            continue
        while packed and not inflater.eof:
            try:
                data = inflater.decompress(packed, _PIECE)
            except zlib.error as error:
                return [Problem("broken-record", where, {"reason": str(error)})]
            packed = inflater.unconsumed_tail
            checksum, size = zlib.crc32(data, checksum), size + len(data)
            if size > record.nbytes:
                details = {"expected": record.nbytes, "found": f"more than {record.nbytes}"}
                return [Problem("record-size", where, details)]
            yield 0
    if inflater is not None and (not inflater.eof or inflater.unused_data):
        reason = "bytes follow its end" if inflater.eof else "its end is missing"
        return [Problem("broken-record", where, {"reason": f"compressed, and {reason}"})]
    if size != record.nbytes:
        details = {"expected": record.nbytes, "found": size}
        return [Problem("record-size", where, details)]
    problems = []
    if record.crc32 and checksum != record.crc32:
        problems.append(Problem("bad-checksum", where))
    if record.flags & DESCRIPTOR and not _describes(directory, record, offset):
        what = "the sizes or the checksum that follow the bytes"
        problems.append(Problem("header-mismatch", where, {"what": what}))
    return problems


def _describes(directory: ZipDirectory, record: Record, offset: int) -> bool:
    """Whether the descriptor behind an entry says what the directory says."""
    data = directory.source.read(offset + record.packed_bytes, len(_MARK) + _WIDE.size)
    expected = (record.crc32, record.packed_bytes, record.nbytes)
    for begins in (data, data.removeprefix(_MARK)):
        for form in (_NARROW, _WIDE):
            if len(begins) >= form.size and form.unpack_from(begins) == expected:
                return True
    return False
