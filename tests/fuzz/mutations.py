"""Files made of seeds by mutation; the same from the same number.

Half and more know the structure: the container is written anew, and valid, around a pickle,
a JSON document or a message that was changed, or the other way round. The others change
bytes wherever they are.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tests.fuzz import json_forms, pickle_forms, protobuf_forms, zip_forms
from tests.fuzz.stored_seeds import StoredSeed
from tests.fuzz.zip_forms import Archive, ZipEntry

STRUCTURED = 0.65  # the share of mutations that know the structure
_INTERESTING = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF,
                2**63 - 1, 2**63, 2**64 - 1)  # fmt: skip
_LARGEST = 256 << 10  # of what mutations may grow to
_PICKLE_ENDINGS = (".pkl", ".PKL")
_JSON_ENDINGS = (".json",)


@dataclass(frozen=True)
class Mutant:
    """A mutated file.

    Attributes:
        seed: what it was made of.
        structured: the mutation knew the structure.
        content: the file.
    """

    seed: StoredSeed
    structured: bool
    content: bytes


def mutant(seeds: Sequence[StoredSeed], run: int, number: int) -> Mutant:
    """File `number` of the run `run`."""
    chance = random.Random(f"{run} {number}")
    # Every reader equally often, and each of its seeds.
    readers = list(dict.fromkeys(seed.reader for seed in seeds))
    reader = readers[number % len(readers)]
    own = [seed for seed in seeds if seed.reader == reader]
    seed = own[number // len(readers) % len(own)]
    structured = chance.random() < STRUCTURED
    change = with_structure if structured else any_bytes
    content = change(seed.content, chance, seed, seeds)
    return Mutant(seed, structured, content[:_LARGEST])


# --- without structure


def any_bytes(
    content: bytes, chance: random.Random, seed: StoredSeed, seeds: Sequence[StoredSeed]
) -> bytes:
    """One to eight edits wherever they fall."""
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 3, 8))):
        if not data:
            break
        at = chance.randrange(len(data))
        kind = chance.randrange(9)
        length = chance.choice((1, 2, 4, 8, 30, 200))
        if kind == 0:  # a bit
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            data[at] = chance.randrange(256)
        elif kind == 2:  # cut off
            del data[at:]
        elif kind == 3:
            del data[at : at + length]
        elif kind == 4:  # twice
            data[at:at] = data[at : at + length]
        elif kind == 5:  # from elsewhere in the file
            start = chance.randrange(len(data))
            data[at : at + length] = data[start : start + length]
        elif kind == 6:  # from another file
            other = chance.choice(seeds).content
            start = chance.randrange(len(other))
            data[at:at] = other[start : start + chance.choice((length, 2_000))]
        elif kind == 7:  # a number that is a bound
            width = chance.choice((1, 2, 4, 8))
            order = chance.choice(("little", "big"))
            value = chance.choice(_INTERESTING) % (1 << 8 * width)
            data[at : at + width] = value.to_bytes(width, order)
        else:
            data[at:at] = chance.randbytes(length)
    return bytes(data)


# --- with structure


def with_structure(
    content: bytes, chance: random.Random, seed: StoredSeed, seeds: Sequence[StoredSeed]
) -> bytes:
    """The file with a change that its container knows nothing of, or in its container alone."""
    if content.startswith(b"PK"):
        return _zip(content, chance, seeds)
    return {
        "torch-legacy": _legacy,
        "torch-tar": _tar,
        "pickle": _pickle,
        "safetensors": _safetensors,
        "onnx": _onnx,
        "shards": _json,
    }[seed.reader](content, chance, seeds)


def _pickle(content: bytes, chance: random.Random, seeds: Sequence[StoredSeed]) -> bytes:
    return pickle_forms.changed(content, chance, _streams(seeds))


def _json(content: bytes, chance: random.Random, seeds: Sequence[StoredSeed]) -> bytes:
    return json_forms.changed(content, chance)


def _onnx(content: bytes, chance: random.Random, seeds: Sequence[StoredSeed]) -> bytes:
    return protobuf_forms.changed(content, chance)


def _streams(seeds: Sequence[StoredSeed]) -> list[bytes]:
    return [seed.content for seed in seeds if seed.reader == "pickle"]


def _safetensors(content: bytes, chance: random.Random, seeds: Sequence[StoredSeed]) -> bytes:
    (length,) = struct.unpack_from("<Q", content)
    header = json_forms.changed(content[8 : 8 + length], chance)
    data = content[8 + length :]
    if chance.random() < 0.2:
        header += b" " * chance.randrange(9)
    if chance.random() < 0.2:
        data = data[: chance.randrange(len(data) + 1)]
    return struct.pack("<Q", len(header)) + header + data


def _legacy(content: bytes, chance: random.Random, seeds: Sequence[StoredSeed]) -> bytes:
    places = pickle_forms.streams(content)
    parts = [content[start:end] for start, end in places]
    data = content[places[-1][1] :]
    kind = chance.randrange(10)
    if kind < 7:
        # The object's pickle is what matters; the others are short.
        index = 3 if chance.random() < 0.75 else chance.randrange(len(parts))
        parts[index] = pickle_forms.changed(parts[index], chance, _streams(seeds))
    elif kind == 7:
        chance.shuffle(parts)
    elif kind == 8:
        index = chance.randrange(len(parts))
        parts[index : index + 1] = chance.choice(([], [parts[index]] * 2))
    else:
        data = bytearray(data)
        at = chance.randrange(len(data))
        width = min(8, len(data) - at)
        value = chance.choice(_INTERESTING) % (1 << 8 * width)
        data[at : at + width] = value.to_bytes(width, "little")
    return b"".join(parts) + bytes(data)


_TAR_BLOCK = 512
_TAR_FIELDS = ((0, 100), (100, 8), (124, 12), (136, 12), (148, 8), (156, 1), (157, 100), (257, 8))


def _tar(content: bytes, chance: random.Random, seeds: Sequence[StoredSeed]) -> bytes:
    from tests.fuzz.tar_forms import members, tarred

    entries = members(content)
    if chance.random() < 0.7:
        name = chance.choice(sorted(entries))
        entries[name] = _tar_member(entries[name], chance, seeds)
        if chance.random() < 0.1:
            del entries[chance.choice(sorted(entries))]
        return tarred(entries)
    # A header that lies, with a right checksum.
    data = bytearray(content)
    at = chance.choice(range(0, len(data) - _TAR_BLOCK, _TAR_BLOCK))
    start, width = chance.choice(_TAR_FIELDS)
    odd = (b"\xff" * width, b"7" * width, b"\0" * width, b"\x80" + b"\xff" * width, b"../../x",
           b"2", b"1", b"5", b"x", b"L", b"-1", b"777777777777")  # fmt: skip
    value = chance.choice(odd)[:width].ljust(width, b"\0")
    data[at + start : at + start + width] = value
    data[at + 148 : at + 156] = b" " * 8
    checksum = sum(data[at : at + _TAR_BLOCK])
    data[at + 148 : at + 156] = b"%06o\0 " % checksum
    return bytes(data)


def _tar_member(data: bytes, chance: random.Random, seeds: Sequence[StoredSeed]) -> bytes:
    """Pickles one after another, with numbers between them: one pickle is changed, or a number."""
    places = []
    start = data.find(b"\x80\x02")
    while start >= 0:
        found = pickle_forms.streams(data[start:])
        if found:
            places.append((start, start + found[0][1]))
            start = data.find(b"\x80\x02", places[-1][1])
        else:
            start = data.find(b"\x80\x02", start + 1)
    start, end = chance.choice(places)
    if chance.random() < 0.7 or end == len(data):
        return data[:start] + pickle_forms.changed(
            data[start:end], chance, _streams(seeds)
        ) + data[end:]  # fmt: skip
    width = min(chance.choice((4, 8)), len(data) - end)
    value = chance.choice(_INTERESTING) % (1 << 8 * width)
    return data[:end] + value.to_bytes(width, "little") + data[end + width :]


# --- archives


def _zip(content: bytes, chance: random.Random, seeds: Sequence[StoredSeed]) -> bytes:
    entries = dict(zip_forms.unpacked(content))
    if chance.random() < 0.65:
        name = _worth_changing(entries, chance)
        entries[name] = _record(name, entries[name], chance, seeds)
        return zip_forms.written(_plain(entries))
    return zip_forms.written(_lying(_plain(entries), chance))


def _plain(entries: dict[str, bytes]) -> Archive:
    return Archive([ZipEntry(name.encode(), data) for name, data in entries.items()])


def _worth_changing(entries: dict[str, bytes], chance: random.Random) -> str:
    """Mostly what is read as a structure: pickles, JSON, and archives inside."""
    structures = [
        name
        for name, data in entries.items()
        if (name.endswith((".pkl", ".json", ".pt")) and data) or data[:2] == b"PK"
    ]
    if structures and chance.random() < 0.85:
        return chance.choice(structures)
    return chance.choice(list(entries))


def _record(name: str, data: bytes, chance: random.Random, seeds: Sequence[StoredSeed]) -> bytes:
    if data.startswith(b"PK"):
        return _zip(data, chance, seeds)
    if name.endswith(_PICKLE_ENDINGS):
        return pickle_forms.changed(data, chance, _streams(seeds))
    if name.endswith(_JSON_ENDINGS):
        return json_forms.changed(data, chance)
    if not data:
        return chance.choice((b"", b"\0", b"big", b"little", b"3\n"))
    return any_bytes(data, chance, seeds[0], seeds)


_ODD_NAMES = (
    b"", b"/", b"..", b"../x", b"/etc/passwd", b"C:\\x", b"a\\b", b"\0", b"archive/DATA.PKL",
    b"archive/data.pkl", b"archive/data/0", b"archive/data/00", b"archive/version", b"\xff\xfe",
    b"x" * 3000, b"archive/\xe2\x80\xaex", b"other/data.pkl", b"archive/constants.pkl",
    b"archive/archive_format", b"serialized_exported_program.json", b"archive/",
)  # fmt: skip
_EXTRAS = (
    struct.pack("<HH", 1, 0), struct.pack("<HH", 1, 8) + b"\xff" * 8,
    struct.pack("<HH", 1, 0xFFFF),
    struct.pack("<HHQQQ", 1, 24, 0, 0, 2**63), struct.pack("<HHB", 0x7075, 1, 1), b"\x01",
    struct.pack("<HH", 0x9901, 7) + b"\x02\0AE\x03\0\0", b"FB\x10\0" + b"Z" * 16,
)  # fmt: skip
_FLAGS = (0, 1, 8, 9, 0x20, 0x40, 0x41, 0x800, 0x2000, 0x2041, 0xFFFF)
_METHODS = (0, 1, 8, 9, 12, 14, 93, 95, 98, 99, 65535)


def _lie(layout: Sequence[tuple[str, str]], chance: random.Random, near: int) -> dict[str, int]:
    name, _ = chance.choice(layout[1:] if chance.random() < 0.95 else layout)
    if name == "flags":
        return {name: chance.choice(_FLAGS)}
    if name == "method":
        return {name: chance.choice(_METHODS)}
    if chance.random() < 0.5:
        return {name: chance.choice(_INTERESTING)}
    return {name: max(0, near + chance.randrange(-70, 70))}


def _lying(archive: Archive, chance: random.Random) -> Archive:
    """The archive with one to three lies, or other ways to be written."""
    size = sum(len(entry.data) + 2 * len(entry.name) + 100 for entry in archive.entries)
    for _ in range(chance.choice((1, 1, 2, 3))):
        entries = archive.entries
        if not entries:
            break
        at = chance.randrange(len(entries))
        entry = entries[at]
        near = chance.choice((len(entry.data), len(entry.name), size, 0))
        kind = chance.randrange(16)
        if kind <= 2:
            lie = _lie(zip_forms.CENTRAL, chance, near)
            entries[at] = replace(entry, central={**entry.central, **lie})
        elif kind <= 4:
            entries[at] = replace(
                entry, local={**entry.local, **_lie(zip_forms.LOCAL, chance, near)}
            )
        elif kind == 5:
            archive = replace(archive, end={**archive.end, **_lie(zip_forms.END, chance, size)})
        elif kind == 6:
            lies = _lie(zip_forms.END64, chance, size)
            archive = replace(archive, with_zip64=True, end64={**archive.end64, **lies})
        elif kind == 7:
            lies = _lie(zip_forms.LOCATOR, chance, size)
            archive = replace(archive, with_zip64=True, locator={**archive.locator, **lies})
        elif kind == 8:
            entries[at] = replace(entry, name=chance.choice(_ODD_NAMES))
        elif kind == 9:
            entries[at] = replace(entry, local_name=chance.choice(_ODD_NAMES))
        elif kind == 10:
            field = chance.choice(("local_extra", "central_extra", "comment"))
            entries[at] = replace(entry, **{field: chance.choice(_EXTRAS)})
        elif kind == 11:
            entries[at] = replace(
                entry,
                method=chance.choice((0, 8)),
                descriptor=chance.random() < 0.5,
                zip64=chance.random() < 0.5,
            )
        elif kind == 12:
            entries.insert(chance.randrange(len(entries) + 1), replace(entry))
        elif kind == 13:
            del entries[at]
        elif kind == 14:
            entries[at] = replace(entry, in_directory=False)
        else:
            field = chance.choice(("before", "between", "after", "comment"))
            odd = (b"\0", b"PK\x05\x06" + bytes(18), b"PK\x06\x07" + bytes(16), b"x" * 70_000,
                   b"PK\x03\x04", chance.randbytes(40))  # fmt: skip
            archive = replace(archive, **{field: chance.choice(odd)})
    return archive
