"""The entries of a zip archive that has lost its directory.

A download or a `torch.save` that was cut off leaves entries without a directory. torch
writes zero sizes into the local headers and the sizes into a descriptor after the bytes;
a descriptor is recognised by its mark and a size that equals its distance.
"""

from __future__ import annotations

from collections.abc import Generator
from struct import Struct

from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.errors import BrokenFile
from inspector_app.checkpoint.limits import DEFAULT, Limits
from inspector_app.checkpoint.model import Progress, Record
from inspector_app.checkpoint.zip_checks import EntryChecks
from inspector_app.checkpoint.zip_directory import ZipDirectory
from inspector_app.checkpoint.zip_end import zip64_values
from inspector_app.checkpoint.zip_local import DESCRIPTOR, LOCAL, LOCAL_HEADER

_MARK = b"PK\x07\x08"
_NARROW = Struct("<4sIII")  # mark, crc32, packed, size
_WIDE = Struct("<4sIQQ")
_WINDOW = 1 << 20
_MOST_READ = 64 << 20


def recover(source: ByteSource, limits: Limits = DEFAULT) -> ZipDirectory:
    """The entries that are found without a directory.

    Raises:
        BrokenFile: there are none.
    """
    steps = recovering(source, limits)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            directory: ZipDirectory = end.value
            return directory


def recovering(
    source: ByteSource, limits: Limits = DEFAULT
) -> Generator[Progress, None, ZipDirectory]:
    """The same in steps. Reads at most 64 MiB."""
    directory = ZipDirectory(source, limits)
    checks = EntryChecks(directory.report, source.size, source.size)
    place = 0
    reason = "the archive's directory is missing, or far from the end"
    first_read = source.bytes_read
    while len(checks.order) < limits.directory_entries:
        header = source.read(place, LOCAL_HEADER.size)
        if len(header) < LOCAL_HEADER.size or header[:4] != LOCAL:
            break
        _, flags, method, crc, packed, size, name_bytes, extra_bytes = LOCAL_HEADER.unpack(header)
        raw = source.read(place + LOCAL_HEADER.size, name_bytes)
        offset = place + LOCAL_HEADER.size + name_bytes + extra_bytes
        if len(raw) < name_bytes or offset > source.size:
            break
        name = raw.decode("latin-1")
        if packed == 0xFFFFFFFF or size == 0xFFFFFFFF:
            extra = source.read(offset - extra_bytes, extra_bytes)
            size, packed = zip64_values(extra, [size, packed]) or (size, packed)
        after = offset + packed
        if flags & DESCRIPTOR and not packed:
            budget = _MOST_READ - (source.bytes_read - first_read)
            found = yield from _find_descriptor(source, offset, budget)
            if found is None:
                reason = "the archive's directory is missing; its beginning was searched"
                break
            crc, packed, size, after = found
        if after > source.size:
            packed = source.size - offset
            size = packed if method == 0 else size
            reason = f"the archive breaks off inside {name}"
        checks.add([Record(name, offset, size, place, crc, method, packed, flags)])
        place = after
        yield Progress("directory", len(checks.order))
        if source.bytes_read - first_read >= _MOST_READ:
            break
    if not checks.order:
        raise BrokenFile("truncated", source.path, reason="the archive has no complete entry")
    directory.report("truncated", reason=reason)
    checks.finish()
    directory.take(checks)
    return directory


def _find_descriptor(
    source: ByteSource, offset: int, budget: int
) -> Generator[Progress, None, tuple[int, int, int, int] | None]:
    """Checksum, packed size, size and end of the entry whose bytes begin at `offset`.

    Where the file ends first, the entry is all that is left and ends beyond the file.
    None if `budget` bytes were read without finding it.
    """
    place = offset
    while budget > 0:
        data = source.read(place, _WINDOW)
        budget -= len(data)
        at = data.find(_MARK)
        while at >= 0:
            length = place + at - offset
            for form in (_NARROW, _WIDE):
                if at + form.size <= len(data):
                    _, crc, packed, size = form.unpack_from(data, at)
                    if packed == length:
                        return crc, packed, size, place + at + form.size
            at = data.find(_MARK, at + 1)
        if place + len(data) >= source.size:
            left = source.size - offset
            return 0, left, left, source.size + 1
        # Windows overlap, so that a descriptor on their border is seen whole.
        place += len(data) - _WIDE.size
        yield Progress("directory", place, source.size)
    return None
