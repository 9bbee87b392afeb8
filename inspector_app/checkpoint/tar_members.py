"""The members of a tar archive, by their headers alone.

`tarfile` follows links, reads sparse maps and believes sizes; this reads 512 bytes a
member and skips to the next. Source of the layout: POSIX.1-2001 ``pax``, "ustar
Interchange Format" and "pax Extended Header"; numbers in base 256 as GNU tar writes them.
"""

from __future__ import annotations

from collections.abc import Iterator

from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.model import Record
from inspector_app.checkpoint.zip_checks import Report, odd_name

BLOCK = 512
_MOST_MEMBERS = 10_000
_MOST_EXTENSION = 1 << 16
_REGULAR = (b"0", b"\0", b"7")
_KINDS = {
    b"1": "is a link to another, which torch would follow",
    b"2": "is a symbolic link, which torch would follow",
    b"3": "is a device",
    b"4": "is a device",
    b"6": "is a pipe",
    b"S": "is sparse",
}
# An archive ends with two blocks of zeros, filled up to a record.
_PADDING = 20 * BLOCK


def members(
    source: ByteSource, most: int = _MOST_MEMBERS, report: Report | None = None
) -> Iterator[Record]:
    """The regular files in the archive, in order, up to the first header that is none.

    A member may reach beyond the end of the file.

    Args:
        report: is told of members that are no files or have odd names, and of what follows
            the end.
    """
    place = 0
    extended: dict[str, str] = {}
    for _ in range(most):
        header = source.read(place, BLOCK)
        if not is_header(header):
            if report is not None and source.read(place, _PADDING).strip(b"\0"):
                report("trailing-bytes", "", count=source.size - place)
            return
        size = max(_number(header[124:136]), 0)
        kind = header[156:157]
        if kind in (b"x", b"g", b"L", b"K"):
            text = source.read(place + BLOCK, min(size, _MOST_EXTENSION))
            if kind == b"x":
                extended = _extended(text)
            elif kind == b"L":
                extended["path"] = _text(text)
        else:
            if extended.get("size", "").isdecimal() and len(extended["size"]) < 20:
                size = int(extended["size"])
            name = extended.get("path") or _text(header[:100])
            if report is not None:
                _check(name, kind, report)
            if kind in _REGULAR:
                yield Record(name, place + BLOCK, size, place, packed_bytes=size)
            extended = {}
        place += BLOCK + -(-size // BLOCK) * BLOCK


def _check(name: str, kind: bytes, report: Report) -> None:
    if kind not in _REGULAR and kind != b"5":
        reason = _KINDS.get(kind, f"is of the kind {kind!r}")
        report("odd-entry", name, reason=reason)
    reason = odd_name(name.rstrip("/") if kind == b"5" else name)
    if reason:
        report("odd-name", name, reason=reason)


def is_header(block: bytes) -> bool:
    """Whether `block` is a member's header: its checksum tells."""
    if len(block) < BLOCK or not block[0]:
        return False
    stated = _number(block[148:156])
    unsigned = sum(block) - sum(block[148:156]) + 8 * 0x20
    return stated == unsigned


def _number(field: bytes) -> int:
    """An octal number, or one in base 256 (GNU); -1 if it is neither."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.replace(b"\0", b" ").strip()
    if not digits:
        return 0
    return int(digits, 8) if digits.isdigit() and not set(digits) & set(b"89") else -1


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _extended(text: bytes) -> dict[str, str]:
    """The records ``length key=value`` of an extended header."""
    values: dict[str, str] = {}
    place = 0
    while True:
        length, space, _ = text[place : place + 20].partition(b" ")
        if not space or not length.isdigit() or int(length) <= len(length) + 1:
            return values
        line = text[place + len(length) + 1 : place + int(length) - 1]
        key, _, value = line.partition(b"=")
        values[_text(key)] = value.decode("utf-8", "surrogateescape")
        place += int(length)
