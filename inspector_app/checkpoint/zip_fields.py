"""What is odd about the fields of a directory's entry that its bytes can be read without.

Programs differ in which of them they heed, so each is a way to show one file to a scanner
and another to torch. Source: PKWARE's APPNOTE.TXT 6.3.10, sections 4.4 and 4.5.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from struct import Struct

from inspector_app.checkpoint.text import plain

# `zipfile` refuses more; versions above that of the APPNOTE do not exist.
HIGHEST_VERSION = 63
_ZIP64, _UNICODE_PATH = 0x0001, 0x7075
_EXTRA_HEADER = Struct("<HH")
_FILE_KINDS = {
    0x1000: "a pipe",
    0x2000: "a device",
    0x6000: "a device",
    0xA000: "a symbolic link",
    0xC000: "a socket",
}
_MOST_EXTRAS = 100


def oddities(
    name: bytes, needed: int, attributes: int, extra: bytes, sizes: tuple[int, int, int]
) -> Iterator[str]:
    """What to say of an entry, as ends of a sentence that begins with "the entry".

    Args:
        name: as the directory writes it.
        needed: the version that is needed to extract it.
        attributes: number of the disk (16 bits), internal (16) and external attributes (32).
        extra: its extra field.
        sizes: its size, its packed size and its place.
    """
    if needed & 0xFF > HIGHEST_VERSION:
        major, minor = divmod(needed & 0xFF, 10)
        yield f"asks for version {major}.{minor} of the format, which does not exist"
    disk = attributes & 0xFFFF
    if disk not in (0, 0xFFFF):
        yield f"should lie on disk {disk} of several"
    kind = _FILE_KINDS.get(attributes >> 48 & 0xF000)
    if kind:
        yield f"is {kind} by its attributes"
    if extra:
        yield from _extras(name, extra, sizes)


def _extras(name: bytes, extra: bytes, sizes: tuple[int, int, int]) -> Iterator[str]:
    at = 0
    for _ in range(_MOST_EXTRAS):
        if at + _EXTRA_HEADER.size > len(extra):
            return
        kind, length = _EXTRA_HEADER.unpack_from(extra, at)
        body = extra[at + _EXTRA_HEADER.size :][:length]
        at += _EXTRA_HEADER.size + length
        if at > len(extra):
            yield "has an extra field that is longer than its place"
            return
        if kind == _UNICODE_PATH:
            # A version, the CRC-32 of the name that it stands for, and the name in UTF-8.
            other = body[5:].decode(errors="replace")
            if other != name.decode(errors="replace"):
                yield f"is called {plain(other)} by its Unicode path field"
            elif int.from_bytes(body[1:5], "little") != zlib.crc32(name):
                yield "has a Unicode path field for another name"
        elif kind == _ZIP64:
            numbers = {
                int.from_bytes(body[place : place + 8], "little")
                for place in range(0, min(len(body), 24) - 7, 8)
            }
            if not numbers <= set(sizes):
                yield "has ZIP64 sizes that are not its sizes"
