"""Zip archives field by field: each field of each header is right unless it is said to lie.

`written` lays out entries, directory, ZIP64 end and end. What is not given is computed, so
that an archive of plain `ZipEntry` is valid, and one lie is the only thing that is wrong.
Fields and their order: APPNOTE.TXT of PKWARE, 4.3.7 to 4.3.16.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

LOCAL = (
    ("signature", "I"), ("version", "H"), ("flags", "H"), ("method", "H"), ("time", "H"),
    ("date", "H"), ("crc", "I"), ("packed", "I"), ("size", "I"), ("name_length", "H"),
    ("extra_length", "H"),
)  # fmt: skip
CENTRAL = (
    ("signature", "I"), ("made_by", "H"), ("version", "H"), ("flags", "H"), ("method", "H"),
    ("time", "H"), ("date", "H"), ("crc", "I"), ("packed", "I"), ("size", "I"),
    ("name_length", "H"), ("extra_length", "H"), ("comment_length", "H"), ("disk", "H"),
    ("internal", "H"), ("external", "I"), ("offset", "I"),
)  # fmt: skip
END64 = (
    ("signature", "I"), ("length", "Q"), ("made_by", "H"), ("version", "H"), ("disk", "I"),
    ("first_disk", "I"), ("entries_here", "Q"), ("entries", "Q"), ("directory_size", "Q"),
    ("directory_offset", "Q"),
)  # fmt: skip
LOCATOR = (("signature", "I"), ("disk", "I"), ("offset", "Q"), ("disks", "I"))
END = (
    ("signature", "I"), ("disk", "H"), ("first_disk", "H"), ("entries_here", "H"),
    ("entries", "H"), ("directory_size", "I"), ("directory_offset", "I"), ("comment_length", "H"),
)  # fmt: skip
SIGNATURES = {"local": 0x04034B50, "central": 0x02014B50, "end64": 0x06064B50,
              "locator": 0x07064B50, "end": 0x06054B50, "descriptor": 0x08074B50}  # fmt: skip
DESCRIPTOR = 8  # the flag: sizes and checksum follow the data

Lies = Mapping[str, int]


@dataclass
class ZipEntry:
    """One entry, and what its headers say wrongly.

    Attributes:
        name, data: as they are.
        method: 0 or 8 compress so; any other number stores.
        descriptor: the sizes follow the data, 4 bytes each, or 8 if `zip64`.
        zip64: sizes and offset are in extra fields.
        local_extra, central_extra: further extra fields.
        local, central: fields that lie.
        local_name: another name for the local header.
        in_directory: the directory lists it.
    """

    name: bytes
    data: bytes
    method: int = 0
    descriptor: bool = False
    zip64: bool = False
    local_extra: bytes = b""
    central_extra: bytes = b""
    comment: bytes = b""
    local: Lies = field(default_factory=dict)
    central: Lies = field(default_factory=dict)
    local_name: bytes | None = None
    in_directory: bool = True


@dataclass
class Archive:
    """Entries and the end of an archive, and what the end says wrongly."""

    entries: list[ZipEntry]
    comment: bytes = b""
    with_zip64: bool = False
    end: Lies = field(default_factory=dict)
    end64: Lies = field(default_factory=dict)
    locator: Lies = field(default_factory=dict)
    before: bytes = b""
    between: bytes = b""
    after: bytes = b""


def packed(layout: Sequence[tuple[str, str]], kind: str, true: Lies, lies: Lies) -> bytes:
    """A header of `layout`; a value that does not fit its field is cut to it."""
    values = {"signature": SIGNATURES[kind], **true, **lies}
    raw = b""
    for name, code in layout:
        width = struct.calcsize("<" + code)
        raw += (values.get(name, 0) % (1 << 8 * width)).to_bytes(width, "little")
    return raw


def written(archive: Archive) -> bytes:
    """The bytes of `archive`."""
    content = bytearray(archive.before)
    central: list[bytes] = []
    for entry in archive.entries:
        offset = len(content) - len(archive.before)
        data = _deflated(entry.data) if entry.method == zipfile.ZIP_DEFLATED else entry.data
        true = {
            "version": 45 if entry.zip64 else 20,
            "flags": DESCRIPTOR if entry.descriptor else 0,
            "method": entry.method,
            "date": 33,
            "crc": zlib.crc32(entry.data),
            "packed": len(data),
            "size": len(entry.data),
            "offset": offset,
        }
        _add_local(content, entry, true, data)
        if entry.in_directory:
            central.append(_central(entry, true))
    content += archive.between
    _add_end(content, archive, central)
    return bytes(content) + archive.after


def _add_local(content: bytearray, entry: ZipEntry, true: dict[str, int], data: bytes) -> None:
    name = entry.name if entry.local_name is None else entry.local_name
    local = dict(true)
    extra = entry.local_extra
    if entry.descriptor:
        local |= {"crc": 0, "packed": 0, "size": 0}
    elif entry.zip64:
        local |= {"packed": 0xFFFFFFFF, "size": 0xFFFFFFFF}
        extra = struct.pack("<HHQQ", 1, 16, true["size"], true["packed"]) + extra
    local |= {"name_length": len(name), "extra_length": len(extra)}
    content += packed(LOCAL, "local", local, entry.local) + name + extra + data
    if entry.descriptor:
        sizes = struct.pack("<QQ" if entry.zip64 else "<II", true["packed"], true["size"])
        content += struct.pack("<II", SIGNATURES["descriptor"], true["crc"]) + sizes


def _central(entry: ZipEntry, true: dict[str, int]) -> bytes:
    extra = entry.central_extra
    stated = {**true, "made_by": 20}
    if entry.zip64:
        stated |= {"packed": 0xFFFFFFFF, "size": 0xFFFFFFFF, "offset": 0xFFFFFFFF}
        extra = struct.pack("<HHQQQ", 1, 24, true["size"], true["packed"], true["offset"]) + extra
    stated |= {
        "name_length": len(entry.name),
        "extra_length": len(extra),
        "comment_length": len(entry.comment),
    }
    return packed(CENTRAL, "central", stated, entry.central) + entry.name + extra + entry.comment


def _add_end(content: bytearray, archive: Archive, central: list[bytes]) -> None:
    start = len(content) - len(archive.before)
    directory = b"".join(central)
    content += directory
    true = {
        "entries_here": len(central),
        "entries": len(central),
        "directory_size": len(directory),
        "directory_offset": start,
        "comment_length": len(archive.comment),
    }
    if archive.with_zip64:
        at = len(content) - len(archive.before)
        stated = {"length": 44, "made_by": 45, "version": 45, **true}
        content += packed(END64, "end64", stated, archive.end64)
        content += packed(LOCATOR, "locator", {"offset": at, "disks": 1}, archive.locator)
        true |= {
            "entries_here": 0xFFFF,
            "entries": 0xFFFF,
            "directory_size": 0xFFFFFFFF,
            "directory_offset": 0xFFFFFFFF,
        }
    content += packed(END, "end", true, archive.end) + archive.comment


def _deflated(data: bytes) -> bytes:
    squeezing = zlib.compressobj(6, zlib.DEFLATED, -15)
    return squeezing.compress(data) + squeezing.flush()


def unpacked(content: bytes) -> dict[str, bytes]:
    """The entries of a valid archive, in the order of its directory."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}
