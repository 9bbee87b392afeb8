"""Archives that show one file to a scanner and another to torch, each by one way.

Every field of every header can be given; what is not given is as `torch.save` writes it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from struct import pack
from typing import NamedTuple

CALL = b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R."
WEIGHTS = b"\x80\x02}X\x05\x00\x00\x00epochK\x03s."
DESCRIPTOR, UTF8 = 0x8, 0x800


@dataclass
class Entry:
    """One entry; `local` and `central` are fields that differ from the true ones.

    Fields are ``needed flags method crc packed size name extra`` and, of `central`,
    ``attributes`` (disk, internal and external ones) and ``place``.
    """

    name: bytes
    data: bytes = b""
    local: dict[str, object] = field(default_factory=dict)
    central: dict[str, object] = field(default_factory=dict)
    before: bytes = b""


def both(name: bytes, data: bytes, **fields: object) -> Entry:
    return Entry(name, data, dict(fields), dict(fields))


def archive(
    *entries: Entry,
    first: bytes = b"",
    gap: bytes = b"",
    comment: bytes = b"",
    end: dict[str, int] | None = None,
) -> bytes:
    """The bytes; `first` stands before the entries, `gap` between them and the directory."""
    body, directory = bytearray(first), bytearray()
    for entry in entries:
        body += entry.before
        true = {
            "needed": 0,
            "flags": UTF8,
            "method": 0,
            "crc": zlib.crc32(entry.data),
            "packed": len(entry.data),
            "size": len(entry.data),
            "name": entry.name,
            "extra": b"",
        }
        at = len(body)
        fields = true | entry.local
        body += _header(b"PK\x03\x04", fields) + fields["name"] + fields["extra"] + entry.data
        fields = true | {"attributes": 0, "place": at} | entry.central
        directory += _header(b"PK\x01\x02\0\0", fields)
        directory += pack("<HQI", 0, fields["attributes"], fields["place"])
        directory += fields["name"] + fields["extra"]
    body += gap
    fields = {
        "disk": 0,
        "first": 0,
        "here": len(entries),
        "count": len(entries),
        "size": len(directory),
        "place": len(body),
    } | (end or {})
    numbers = pack("<4HIIH", *fields.values(), len(comment))
    return bytes(body + directory + b"PK\x05\x06" + numbers + comment)


def _header(mark: bytes, fields: dict[str, object]) -> bytes:
    names = ("needed", "flags", "method")
    numbers = ("crc", "packed", "size")
    return (
        mark
        + pack("<3H", *(fields[name] for name in names))
        + b"\0\0\x21\0"
        + pack("<3I", *(fields[name] for name in numbers))
        + pack("<HH", len(fields["name"]), len(fields["extra"]))  # type: ignore[arg-type]
    )


def pickled(data: bytes = CALL, name: bytes = b"archive/data.pkl", **central: object) -> Entry:
    return Entry(name, data, {}, dict(central))


VERSION = Entry(b"archive/version", b"3\n")


class Way(NamedTuple):
    """What stands in the file, which anomaly tells, whether `os.system` is in reach, and
    whether there is a tree to show (as is usual where it is).
    """

    content: bytes
    code: str
    named: bool = True
    broken: bool = False


def _unicode_path(name: bytes, other: bytes) -> bytes:
    body = b"\x01" + pack("<I", zlib.crc32(name)) + other
    return pack("<HH", 0x7075, len(body)) + body


def _deflated(data: bytes) -> bytes:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflater.compress(data) + deflater.flush()


def ways() -> Iterator[tuple[str, Way]]:
    """Every way past a scanner that a zip offers, by title."""
    main = b"archive/data.pkl"

    def central(code: str, **fields: object) -> Way:
        return Way(archive(pickled(**fields), VERSION), code)

    def local(**fields: object) -> Way:
        return Way(archive(Entry(main, CALL, dict(fields)), VERSION), "header-mismatch")

    def beside(*entries: Entry, code: str, named: bool = True, data: bytes = WEIGHTS) -> Way:
        return Way(archive(pickled(data), VERSION, *entries), code, named)

    yield "marked as encrypted", central("encrypted-entry", flags=UTF8 | 0x1)
    yield "marked as strongly encrypted", central("encrypted-entry", flags=UTF8 | 0x40)
    marked = both(main, CALL, flags=UTF8 | 0x1)
    yield "marked as encrypted twice", Way(archive(marked, VERSION), "encrypted-entry")
    hidden = both(main, bytes(12) + CALL[::-1], flags=UTF8 | 0x1, crc=7)
    yield "encrypted", Way(archive(hidden, VERSION), "encrypted-entry", named=False)
    yield "marked as patch data", central("odd-entry", flags=UTF8 | 0x20)
    yield "marked as masked", central("odd-entry", flags=UTF8 | 0x2000)
    yield "an unused flag", central("odd-entry", flags=UTF8 | 0x8000)
    yield "a version that does not exist", central("odd-entry", needed=64)
    yield "on another disk", central("odd-entry", attributes=3)
    yield "a link by its attributes", central("odd-entry", attributes=0o120777 << 48)
    yield "a device by its attributes", central("odd-entry", attributes=0o020666 << 48)
    path = _unicode_path(main, b"archive/readme.txt")
    yield "another Unicode path", central("odd-entry", extra=path)
    sizes = pack("<HHQQ", 1, 16, 5, 5)
    yield "other ZIP64 sizes", central("odd-entry", extra=sizes)
    yield "an extra field without end", central("odd-entry", extra=pack("<HH", 9, 99))
    yield "a local name", local(name=b"archive/data.txt")
    yield "a local size", local(size=3, packed=3)
    yield "a local method", local(method=8)
    yield "a local checksum", local(crc=7)
    wide = pack("<HHQQ", 1, 16, 5, 5)
    yield "local ZIP64 sizes", local(size=0xFFFFFFFF, packed=0xFFFFFFFF, extra=wide)
    yield "local flags", local(flags=UTF8 | 0x1)
    yield "a wrong checksum", Way(archive(both(main, CALL, crc=7), VERSION), "bad-checksum")
    yield "capital letters", Way(archive(pickled(name=b"archive/DATA.PKL")), "other-case")
    yield "a capital root", Way(archive(VERSION, pickled(name=b"Archive/data.pkl")), "other-case")
    upper = pickled(name=b"archive/DATA.PKL")
    yield "both cases", beside(upper, code="case-colliding-entry")
    yield "twice, the second", beside(pickled(), code="duplicate-entry")
    yield "twice, the first", beside(pickled(WEIGHTS), code="duplicate-entry", data=CALL)
    other = pickled(name=b"other/data.pkl")
    yield "another root", beside(other, code="outside-root")
    first = archive(Entry(b"archive/x"), pickled(name=b"other/data.pkl"), pickled(WEIGHTS))
    yield "another root first", Way(first, "outside-root")
    yield "another pickle", beside(pickled(name=b"archive/more.pkl"), code="hidden-pickle")
    yield "another ending", beside(pickled(name=b"archive/notes.txt"), code="unused-entry")
    yield "among the storages", beside(pickled(name=b"archive/data/99"), code="unused-entry")
    for name in (b"../x.pkl", b"/x", b"C:/x", b"archive/../../x", b"archive//x", b"archive/./x"):
        yield f"the name {name.decode()}", beside(pickled(name=name), code="odd-name")
    for text, piece in (("a backslash", b"\\"), ("NUL", b"\0"), ("no UTF-8", b"\xff")):
        name = b"archive/a" + piece + b"b"
        yield f"{text} in a name", beside(pickled(name=name), code="odd-name")
    yield "no name", beside(Entry(b"", CALL), code="odd-name")
    yield "no root", Way(archive(pickled(name=b"data.pkl")), "no-root")
    good = archive(pickled(WEIGHTS), VERSION)
    call = archive(pickled(), VERSION)
    yield "text before it", Way(b"#!/bin/sh\n" + call, "prepended-bytes")
    yield "a pickle before it", Way(CALL + good, "several-pickles")
    inside = archive(pickled(WEIGHTS), VERSION, first=CALL)
    yield "a pickle before its entries", Way(inside, "several-pickles")
    yield (
        "an archive before its entries",
        Way(archive(pickled(), VERSION, first=good), "hidden-bytes"),
    )
    yield "an archive after it", Way(good + call, "prepended-bytes")
    yield "bytes after it", Way(call + b"more", "trailing-bytes")
    yield "many bytes after it", Way(call + bytes(70_000), "truncated")
    entry = archive(pickled(), VERSION).partition(b"PK\x01\x02")[0]
    yield (
        "an entry in a gap",
        Way(archive(pickled(), Entry(b"archive/version", b"3\n", before=entry)), "hidden-bytes"),
    )
    yield (
        "an entry before the directory",
        Way(archive(pickled(), VERSION, gap=entry), "hidden-bytes"),
    )
    yield (
        "an end record in the comment",
        Way(archive(pickled(), VERSION, comment=b"PK\x05\x06" + bytes(18)), "bad-directory"),
    )
    yield "several disks", Way(archive(pickled(), end={"disk": 1}), "bad-directory")
    yield "two counts", Way(archive(pickled(), VERSION, end={"here": 1}), "bad-directory")
    yield (
        "too few entries counted",
        Way(archive(pickled(), VERSION, end={"here": 1, "count": 1}), "bad-directory"),
    )
    yield (
        "a directory of another size",
        Way(archive(pickled(), VERSION, end={"size": 70}), "bad-directory"),
    )
    yield (
        "entries over each other",
        beside(
            Entry(b"archive/data/0", b"", {}, {"place": 0, "packed": 60, "size": 60}),
            code="overlapping-entry",
            data=CALL,
        ),
    )
    yield (
        "an entry beyond the end",
        beside(
            Entry(b"archive/data/0", b"", {}, {"packed": 9999, "size": 9999}),
            code="entry-bounds",
            data=CALL,
        ),
    )
    packed = _deflated(CALL)
    deflated = both(main, packed, method=8, crc=zlib.crc32(CALL), size=len(CALL))
    yield "compressed", Way(archive(deflated, VERSION), "compressed-entry")
    for method in (1, 6, 9, 12, 14, 93, 95, 98, 99):
        unknown = both(main, CALL, method=method)
        yield (
            f"method {method}",
            Way(archive(unknown, VERSION), "unsupported-compression", named=False),
        )
    zeros = _deflated(bytes(100 << 20))
    bomb = both(main, zeros, method=8, crc=0, size=100 << 20)
    yield "a bomb", Way(archive(bomb, VERSION), "limit", named=False)
    lying = both(main, _deflated(CALL + bytes(50 << 20)), method=8, crc=0, size=len(CALL))
    yield "a bomb that lies about its size", Way(archive(lying, VERSION), "record-size")
    nested = pickled(archive(pickled(), VERSION))
    yield "an archive as its pickle", Way(archive(nested, VERSION), "broken", broken=True)
    yield "cut in its directory", Way(call[:-40], "truncated")


def refused() -> Iterator[tuple[str, bytes]]:
    """What no reader recognises, under a checkpoint's name."""
    yield "7z", b"7z\xbc\xaf\x27\x1c\x00\x04" + bytes(60)
    yield "rar", b"Rar!\x1a\x07\x01\x00" + bytes(60)
    yield "gzip", b"\x1f\x8b\x08\0" + bytes(60)
    yield "bzip2", b"BZh91AY&SY" + bytes(60)
    yield "xz", b"\xfd7zXZ\0\0\4" + bytes(60)
    yield "zstd", b"(\xb5/\xfd" + bytes(60)
    yield "lz4", b"\x04\x22\x4d\x18" + bytes(60)
    yield "lzma", b"\x5d\0\0\x80\0" + bytes(60)
    yield "zlib", zlib.compress(CALL * 10)
    yield "an archive of an archive", archive(Entry(b"model.pth", archive(pickled(), VERSION)))
    yield "a numpy archive", archive(Entry(b"weights.npy", b"\x93NUMPY"))
