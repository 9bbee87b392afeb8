"""The records that end a zip archive and say where its directory is; ZIP64 numbers."""

from __future__ import annotations

from struct import Struct

from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.errors import Problem

# signature, this disk and the directory's, entries here, entries, size, offset, comment
_END = Struct("<4s4HIIH")
_LOCATOR = Struct("<4sIQ4x")  # signature, disk and place of the ZIP64 end record
# signature, disks, entries here, entries, size, offset
_END64 = Struct("<4s12xIIQQQQ")
_END_MARK = b"PK\x05\x06"
_LOCATOR_MARK = b"PK\x06\x07"
_END64_MARK = b"PK\x06\x06"
_CENTRAL_MARK = b"PK\x01\x02"
_FIRST_READ = 1 << 10
_WHOLE_READ = (1 << 16) + _END.size  # A comment has at most 65,535 bytes.


class EndRecord:
    """Where the directory lies.

    Attributes:
        directory: the file offset of its first entry.
        directory_end: where it ends at the latest: at the end records.
        count: entries that it promises.
        size: its size in bytes, as it says itself.
        prepended: bytes before the archive, which its own offsets do not count.
        comment: of the archive.
        problems: what is odd about the end records.
    """

    __slots__ = (
        "comment",
        "count",
        "directory",
        "directory_end",
        "prepended",
        "problems",
        "size",
    )

    def __init__(
        self,
        directory: int,
        directory_end: int,
        count: int,
        size: int,
        prepended: int,
        comment: bytes,
        problems: list[Problem],
    ) -> None:
        self.directory = directory
        self.directory_end = directory_end
        self.count = count
        self.size = size
        self.prepended = prepended
        self.comment = comment
        self.problems = problems

    def report(self, code: str, **details: object) -> None:
        self.problems.append(Problem(code, details=details))


def find_end(source: ByteSource) -> EndRecord | None:
    """The end record, if there is one that leads to a directory."""
    for wanted in (_FIRST_READ, _WHOLE_READ):
        start = max(source.size - wanted, 0)
        tail = source.read(start, wanted)
        last = place = tail.rfind(_END_MARK)
        # The last mark counts for torch and `zipfile`, be it inside a comment.
        while place >= 0:
            end = _parse(source, tail, start, place)
            if end is not None:
                if place != last:
                    end.report("bad-directory", reason="its comment looks like an end record")
                return end
            place = tail.rfind(_END_MARK, 0, place)
        if start == 0:
            break
    return None


def _parse(source: ByteSource, tail: bytes, start: int, place: int) -> EndRecord | None:
    if place + _END.size > len(tail):
        return None
    _, disk, first, here, count, size, offset, comment_bytes = _END.unpack_from(tail, place)
    after = place + _END.size
    comment = tail[after : after + comment_bytes]
    stop = start + place
    problems: list[Problem] = []

    def odd(reason: str) -> None:
        problems.append(Problem("bad-directory", details={"reason": reason}))

    if disk not in (0, 0xFFFF) or first not in (0, 0xFFFF):
        odd("it says that it is one disk of several")
    wide = _zip64(source, stop)
    if wide is not None:
        stop, disks, here64, (count64, size64, offset64) = wide
        narrow = ((count, count64, 0xFFFF), (size, size64, 1 << 32), (offset, offset64, 1 << 32))
        if any(old not in (new, top - (top > 0xFFFF)) for old, new, top in narrow):
            odd("its two end records disagree")
        elif disks != (0, 0) or here64 != count64:
            odd("its ZIP64 end record says that it is one disk of several")
        count, size, offset = count64, size64, offset64
    if here != count and not problems and wide is None:
        odd(f"its end record counts {here} entries and {count}")
    prepended = stop - size - offset
    places = []
    # `zipfile` trusts the size and finds the directory right before the end record;
    # torch trusts the offset.
    if source.read(offset, 4) == _CENTRAL_MARK:
        places.append(offset)
    if prepended > 0 and source.read(offset + prepended, 4) == _CENTRAL_MARK:
        places.append(offset + prepended)
    if not places:
        # An empty archive is nothing but the end record.
        if count or size or prepended:
            return None
        places.append(offset)
    directory = places[0]
    if directory >= stop and count:
        return None
    end = EndRecord(directory, stop, count, size, directory - offset, comment, problems)
    if len(places) > 1:
        end.report("bad-directory", reason="there are two, and programs differ in which they read")
    elif end.prepended:
        end.report("prepended-bytes", count=end.prepended)
    if len(comment) < comment_bytes:
        end.report("truncated", reason="the archive's comment is cut")
    trailing = len(tail) - after - comment_bytes
    if trailing > 0:
        end.report("trailing-bytes", count=trailing)
    return end


def _zip64(
    source: ByteSource, end: int
) -> tuple[int, tuple[int, int], int, tuple[int, int, int]] | None:
    """The place of the ZIP64 end record, and what is in it: disks, entries on this one, and
    the count, size and offset.
    """
    locator = source.read(end - _LOCATOR.size, _LOCATOR.size) if end >= _LOCATOR.size else b""
    if locator[:4] != _LOCATOR_MARK:
        return None
    # Where the locator says, and where it is if bytes were prepended.
    for place in (_LOCATOR.unpack(locator)[2], end - _LOCATOR.size - _END64.size):
        record = source.read(place, _END64.size) if place >= 0 else b""
        if len(record) == _END64.size and record[:4] == _END64_MARK:
            _, disk, first, here, count, size, offset = _END64.unpack(record)
            return place, (disk, first), here, (count, size, offset)
    return None


def zip64_values(extra: bytes, values: list[int]) -> list[int] | None:
    """`values` with the real number for each that is 0xFFFFFFFF (APPNOTE 4.5.3).

    None if the extra field has no such numbers.
    """
    at = 0
    while at + 4 <= len(extra):
        kind = int.from_bytes(extra[at : at + 2], "little")
        length = int.from_bytes(extra[at + 2 : at + 4], "little")
        if kind == 1:
            body = extra[at + 4 : at + 4 + length]
            fields = [int.from_bytes(body[i : i + 8], "little") for i in range(0, len(body) - 7, 8)]
            wide = [index for index, value in enumerate(values) if value == 0xFFFFFFFF]
            if len(fields) < len(wide):
                return None
            for index, field in zip(wide, fields, strict=False):
                values[index] = field
            return values
        at += 4 + length
    return None
