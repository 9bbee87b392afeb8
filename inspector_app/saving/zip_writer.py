"""A zip archive of stored entries, as torch writes it.

Sources: ``caffe2/serialize/inline_container.cc`` (the padding, ``getPadding``, and the order of
the records) and ``third_party/miniz`` (the headers), of torch 2.13: each entry's bytes begin at a
multiple of 64, which an extra field ``FB`` sees to; sizes and checksum follow the bytes in a data
descriptor; and the archive always ends in the ZIP64 form. An entry's bytes need not be known when
it is begun, only their number.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR = struct.Struct("<4sIQI")
_END = struct.Struct("<4s4H2IH")
_FLAGS = 0x0808  # sizes follow the bytes; names are UTF-8
_FULL = 0xFFFFFFFF
_MOST_ENTRIES = 0xFFFF
_ALIGNED = 64


class _Entry(NamedTuple):
    name: bytes
    offset: int
    nbytes: int
    crc32: int


class ZipWriter:
    """Writes entries one after the other.

    Args:
        write: takes the archive's bytes.

    Attributes:
        entries: those that are complete.
    """

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._at = 0
        self.entries: list[_Entry] = []
        self._begun: tuple[bytes, int, int] | None = None

    def begin(self, name: str, nbytes: int) -> None:
        """Begin an entry of `nbytes` bytes, which the caller writes itself before `end`."""
        encoded = name.encode("utf-8", "surrogatepass")
        offset = self._at
        sizes = b""
        if nbytes >= _FULL:
            sizes += struct.pack("<QQ", nbytes, nbytes)
        if offset >= _FULL:
            sizes += struct.pack("<Q", offset)
        extra = struct.pack("<HH", 1, len(sizes)) + sizes if sizes else b""
        start = offset + _LOCAL.size + len(encoded) + len(extra) + 4
        padding = -start % _ALIGNED
        extra += b"FB" + struct.pack("<H", padding) + b"Z" * padding
        version = 45 if sizes else 0
        header = _LOCAL.pack(b"PK\3\4", version, _FLAGS, 0, 0, 0, 0, 0, 0, len(encoded), len(extra))
        self._write(header + encoded + extra)
        self._at += len(header) + len(encoded) + len(extra)
        self._begun = (encoded, offset, nbytes)

    def end(self, crc32: int) -> None:
        """End the entry whose bytes have been written."""
        assert self._begun is not None
        name, offset, nbytes = self._begun
        self._begun = None
        wide = nbytes >= _FULL or offset >= _FULL
        descriptor = struct.pack("<4sIQQ" if wide else "<4s3I", b"PK\7\x08", crc32, nbytes, nbytes)
        self._write(descriptor)
        self._at += nbytes + len(descriptor)
        self.entries.append(_Entry(name, offset, nbytes, crc32))

    def close(self) -> None:
        """Write the directory."""
        start = self._at
        for entry in self.entries:
            sizes = b""
            if entry.nbytes >= _FULL:
                sizes += struct.pack("<QQ", entry.nbytes, entry.nbytes)
            if entry.offset >= _FULL:
                sizes += struct.pack("<Q", entry.offset)
            extra = struct.pack("<HH", 1, len(sizes)) + sizes if sizes else b""
            size = min(entry.nbytes, _FULL)
            header = _CENTRAL.pack(
                b"PK\1\2", 0, 45 if sizes else 0, _FLAGS, 0, 0, 0, entry.crc32, size, size,
                len(entry.name), len(extra), 0, 0, 0, 0, min(entry.offset, _FULL),
            )  # fmt: skip
            self._write(header + entry.name + extra)
            self._at += len(header) + len(entry.name) + len(extra)
        count, length = len(self.entries), self._at - start
        end = _END64.pack(b"PK\6\6", 44, 0x031E, 45, 0, 0, count, count, length, start)
        locator = _LOCATOR.pack(b"PK\6\7", 0, self._at, 1)
        short = min(count, _MOST_ENTRIES)
        last = _END.pack(b"PK\5\6", 0, 0, short, short, min(length, _FULL), min(start, _FULL), 0)
        self._write(end + locator + last)
        self._at += len(end) + len(locator) + len(last)
