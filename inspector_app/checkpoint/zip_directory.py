"""The directory of a zip archive, read without trusting it.

Only the end records, the central directory and the local headers of the records that are
read are touched. Source of the layout: PKWARE's APPNOTE.TXT 6.3. What torch makes of an
archive was tried with ``torch._C.PyTorchFileReader`` 2.13 (miniz): it follows the central
directory alone, takes the archive's root from its first entry, finds names without regard
to ASCII case, and refuses bytes before the archive. Where torch, `zipfile` and we could
read different things, a `Problem` says so.
"""

from __future__ import annotations

import gc
import zlib
from collections.abc import Generator
from struct import Struct

from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.errors import BrokenFile, LimitExceeded, Problem
from inspector_app.checkpoint.limits import DEFAULT, Limits
from inspector_app.checkpoint.model import Progress, Record
from inspector_app.checkpoint.zip_checks import EntryChecks, ascii_lower, utf8, utf8_name
from inspector_app.checkpoint.zip_end import EndRecord, find_end, zip64_values
from inspector_app.checkpoint.zip_fields import HIGHEST_VERSION, oddities
from inspector_app.checkpoint.zip_local import DESCRIPTOR, LOCAL, LOCAL_HEADER, differences

# signature, version needed, flags, method, crc32, packed, size, name, extra and comment
# lengths, disk and attributes, place.
_CENTRAL = Struct("<I2xHHH4xIIIHHHQI")
_CENTRAL_SIGNATURE = 0x02014B50
_HEADER_READ = 128  # A torch local header, its name and most of its padding.
_CHUNK = 1 << 18  # About 4,000 entries, which take a few milliseconds.
_HEADER_STEP = 16
_SHOWN_OF_A_KIND = 20
# What all compressed entries may come to that are read for a tree, beside one of them.
_UNPACKED_RATIO = 4

ENCRYPTED = 0x41  # by a password, and strongly: torch refuses both.
STORED = 0
DEFLATED = 8


class ZipDirectory:
    """What an archive says that it contains.

    Attributes:
        records: by full name, in the directory's order. Of equal names the last counts,
            as in `zipfile`; torch sorts names by an unstable sort and bisects, so which
            one it takes depends on the number of entries.
        order: every entry, duplicates included.
        root: the first component of the first entry's name, which is what torch takes as
            the archive's root; "" if that has no slash or there is no entry.
        problems: in the order they were found; reading records may add to them.
        comment: of the archive.
    """

    def __init__(self, source: ByteSource, limits: Limits = DEFAULT) -> None:
        self.source = source
        self.limits = limits
        self.records: dict[str, Record] = {}
        self.order: list[Record] = []
        self.root = ""
        self.problems: list[Problem] = []
        self.comment = b""
        self._offsets: dict[int, int] = {}
        self._reported: dict[str, int] = {}
        self._read_bytes = 0
        self._mismatched: set[str] = set()
        self._capitals: dict[str, Record] = {}
        self._other_case: set[str] = set()

    def get(self, name: str) -> Record | None:
        """The entry with this full name, or else one that differs by ASCII case only.

        torch takes either, `zipfile` only the first: the second is reported.
        """
        record = self.records.get(name)
        if record is not None:
            return record
        small = ascii_lower(name)
        if small != name:
            record = self.records.get(small)
        if record is None and self._capitals:
            record = self._capitals.get(small)
        if record is not None and record.name not in self._other_case:
            self._other_case.add(record.name)
            self.report("other-case", record.name, name=name)
        return record

    def report(self, code: str, where: str = "", **details: object) -> None:
        """Note a problem; of each code the first few are kept and `take` counts the rest."""
        count = self._reported[code] = self._reported.get(code, 0) + 1
        if count <= _SHOWN_OF_A_KIND:
            self.problems.append(Problem(code, where, details))

    def take(self, checks: EntryChecks) -> None:
        """Take over the entries and say how many problems were not kept."""
        self.order, self.records, self.root = checks.order, checks.records, checks.root
        self._capitals = {
            ascii_lower(name): self.records[name] for name in reversed(checks.with_capitals)
        }
        for code, count in self._reported.items():
            if count > _SHOWN_OF_A_KIND:
                details: dict[str, object] = {"count": count - _SHOWN_OF_A_KIND, "kind": code}
                self.problems.append(Problem("more-of-a-kind", details=details))

    def data_offset(self, record: Record) -> int:
        """Where the bytes of `record` begin in the file.

        Reads the local header, and notes once where it and the directory disagree.

        Raises:
            BrokenFile: there is no local header at its place.
        """
        if record.offset >= 0:
            return record.offset
        known = self._offsets.get(record.header_offset)
        if known is not None:
            return known
        name = utf8(record.name)
        wanted = max(_HEADER_READ, LOCAL_HEADER.size + len(name))
        header = self.source.read(record.header_offset, wanted)
        if len(header) < LOCAL_HEADER.size or header[:4] != LOCAL:
            raise BrokenFile(
                "broken",
                self.source.path,
                record.name,
                reason="the entry does not begin where the directory says",
            )
        fields = LOCAL_HEADER.unpack_from(header)
        name_bytes, extra_bytes = fields[6], fields[7]
        local_name = header[LOCAL_HEADER.size : LOCAL_HEADER.size + name_bytes]
        # What torch writes: everything after the name's length is in the directory alone.
        if fields[1:6] != (record.flags, record.method, 0, 0, 0) or (
            local_name != name or not record.flags & DESCRIPTOR
        ):
            extra = header[LOCAL_HEADER.size + name_bytes :][:extra_bytes]
            differs = ", ".join(differences(record, fields, extra, local_name == name))
            if differs and record.name not in self._mismatched:
                self._mismatched.add(record.name)
                self.report("header-mismatch", record.name, what=differs)
        offset: int = record.header_offset + LOCAL_HEADER.size + name_bytes + extra_bytes
        if offset + record.packed_bytes > self.source.size:
            self.report("entry-bounds", record.name)
        self._offsets[record.header_offset] = offset
        return offset

    def read(self, record: Record, limit: int | None = None) -> bytes:
        """The bytes of `record`, decompressed where they are deflated.

        Where the bytes end too early or do not match their checksum, what there is is
        returned and a problem noted.

        Raises:
            BrokenFile: the entry is encrypted, its compression unknown or its place wrong.
            LimitExceeded: it is larger than `limit` bytes, or than `Limits` allows.
        """
        where = record.name
        stored = record.method == STORED
        encrypted = record.flags & ENCRYPTED and not self.is_plain(record)
        if limit is None:
            limit = self.limits.pickle_bytes if stored else self.limits.inflated_bytes
        if encrypted:
            raise BrokenFile("encrypted-entry", self.source.path, where)
        if not stored and record.method != DEFLATED:
            raise BrokenFile(
                "unsupported-compression", self.source.path, where, method=record.method
            )
        if max(record.nbytes, record.packed_bytes) > limit:
            raise LimitExceeded(
                "limit", self.source.path, where, what="the size of the entry", limit=limit
            )
        # Entries may lie over each other, and a short one may be long once unpacked.
        self._read_bytes += max(record.nbytes, record.packed_bytes)
        together = self.source.size + _UNPACKED_RATIO * self.limits.inflated_bytes
        if self._read_bytes > together:
            what = "the size of the entries together"
            raise LimitExceeded("limit", self.source.path, where, what=what, limit=together)
        offset = self.data_offset(record)
        data = self.source.read(offset, record.packed_bytes)
        if not stored:
            data = self._inflate(record, data)
        if len(data) != record.nbytes:
            self.report("record-size", where, expected=record.nbytes, found=len(data))
        # 0 is what torch writes where it was told not to compute checksums.
        elif record.crc32 and zlib.crc32(data) != record.crc32:
            self.report("bad-checksum", where)
        return data

    def is_plain(self, record: Record) -> bool:
        """Whether the bytes of an entry have their checksum as they stand, encrypted or not.

        Those of an encrypted entry are the plain ones' after decryption.
        """
        size = record.packed_bytes
        if record.method != STORED or size != record.nbytes or size > self.limits.inflated_bytes:
            return False
        data = self.source.read(self.data_offset(record), size)
        return len(data) == size and zlib.crc32(data) == record.crc32

    def _inflate(self, record: Record, packed: bytes) -> bytes:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            # One byte more than declared shows that there is more.
            return inflater.decompress(packed, record.nbytes + 1)
        except zlib.error as error:
            self.report("broken-record", record.name, reason=str(error))
            return b""


def recognise(source: ByteSource) -> bool:
    """Whether this is a zip archive, be it a truncated one."""
    return source.read(0, 4) == LOCAL or find_end(source) is not None


def reading(
    source: ByteSource, limits: Limits = DEFAULT
) -> Generator[Progress, None, ZipDirectory]:
    """Read the directory in steps of a few milliseconds.

    Where the directory is missing, what can be recovered from the entries themselves is
    returned (`zip_recovery`).

    Raises:
        BrokenFile: there is neither a directory nor an entry.
        LimitExceeded: there are more entries than `limits` allows.
    """
    from inspector_app.checkpoint.zip_recovery import recovering

    end = find_end(source)
    if end is None:
        return (yield from recovering(source, limits))
    directory = ZipDirectory(source, limits)
    directory.comment = end.comment
    for problem in end.problems:
        directory.report(problem.code, problem.where, **problem.details)
    collecting = gc.isenabled()
    try:
        # The collector would walk all entries again and again: they are only growing.
        gc.disable()
        checks = yield from _entries(directory, end)
    finally:
        if collecting:
            gc.enable()
    if not checks.order and end.count:
        return (yield from recovering(source, limits))
    if not checks.order:
        raise BrokenFile("broken", source.path, reason="the archive is empty")
    if len(checks.order) <= limits.checked_headers:
        yield from _checking_headers(directory, checks)
    checks.finish()
    directory.take(checks)
    return directory


def _entries(directory: ZipDirectory, end: EndRecord) -> Generator[Progress, None, EntryChecks]:
    source, limit = directory.source, directory.limits.directory_entries
    place, stop = end.directory, end.directory_end
    shift = end.prepended
    checks = EntryChecks(directory.report, end.directory, source.size, shift)
    make, unpack, size = tuple.__new__, _CENTRAL.unpack_from, _CENTRAL.size
    whole = True
    while whole and place < stop:
        data = source.read(place, min(_CHUNK, stop - place))
        # One decoding for all names; `EntryChecks` sees to those that are not ASCII.
        text = data.decode("latin-1")
        at, have = 0, len(data)
        batch: list[Record] = []
        add = batch.append
        while at + size <= have:
            (
                mark, needed, flags, method, crc, packed, nbytes,
                names, extras, comments, attributes, header,
            ) = unpack(data, at)  # fmt: skip
            if mark != _CENTRAL_SIGNATURE:
                whole = False
                break
            after = at + size + names
            following = after + extras + comments
            if following > have:
                break
            if nbytes == 0xFFFFFFFF or packed == 0xFFFFFFFF or header == 0xFFFFFFFF:
                nbytes, packed, header = _zip64(
                    directory, data[after : after + extras], nbytes, packed, header
                )
            name = text[at + size : after]
            if extras or attributes or needed > HIGHEST_VERSION:
                fields = (needed, attributes, data[after : after + extras])
                for reason in oddities(data[at + size : after], *fields, (nbytes, packed, header)):
                    directory.report("odd-entry", utf8_name(name), reason=reason)
            add(make(Record, (name, -1, nbytes, header + shift, crc, method, packed, flags)))
            at = following
        # A header that does not fit into what is left of the directory ends it.
        if at == 0:
            break
        place += at
        checks.add(batch)
        if len(checks.order) > limit:
            raise LimitExceeded("limit", source.path, what="the number of entries", limit=limit)
        yield Progress("directory", len(checks.order), end.count)
    found = len(checks.order)
    if found != end.count:
        directory.report("bad-directory", reason=f"{found} entries instead of {end.count}")
        # Where the others would lie is no surprise then.
        checks.start = -1
    elif place != stop:
        directory.report("bad-directory", reason=f"{stop - place} unused bytes after its entries")
    elif end.size != stop - end.directory:
        directory.report("bad-directory", reason="its end record has another size")
    return checks


def _zip64(
    directory: ZipDirectory, extra: bytes, nbytes: int, packed: int, header: int
) -> tuple[int, int, int]:
    values = zip64_values(extra, [nbytes, packed, header])
    if values is None:
        directory.report("bad-directory", reason="an entry lacks its ZIP64 sizes")
        return nbytes, packed, header
    return values[0], values[1], values[2]


def _checking_headers(
    directory: ZipDirectory, checks: EntryChecks
) -> Generator[Progress, None, None]:
    for index, record in enumerate(checks.order):
        if index % _HEADER_STEP == 0:
            yield Progress("headers", index, len(checks.order))
        try:
            offset = directory.data_offset(record)
        except BrokenFile:
            directory.report("header-mismatch", record.name, what="where the entry begins")
            continue
        checks.order[index] = checks.records[record.name] = record._replace(offset=offset)
