"""What is odd about the entries of a zip archive.

Checks run over batches with C-speed passes first; entries are looked at one by one only
where a pass finds something, since an archive may have a million of them.
"""

from __future__ import annotations

import re
from collections import Counter
from operator import add as plus
from operator import itemgetter, sub
from typing import Protocol

from inspector_app.checkpoint.model import Record

_NAME, _HEADER, _METHOD, _PACKED, _FLAGS = map(itemgetter, (0, 3, 5, 6, 7))
_ENCRYPTED = 0x41
_DESCRIPTOR = 0x8
_UTF8 = 0x800
# Besides: how well it was deflated.
_KNOWN_FLAGS = _DESCRIPTOR | _UTF8 | 0x6
_LOCAL_HEADER = 30
# What may follow an entry's bytes: checksum and sizes, with or without a mark, ZIP64 or not.
_DESCRIPTORS = (12, 16, 20, 24)
_LONGEST_HEADER = _LOCAL_HEADER + 2 * 0xFFFF + max(_DESCRIPTORS)
_CAPITALS = {letter: letter + 32 for letter in range(ord("A"), ord("Z") + 1)}
_CONTROL = re.compile("[\x00-\x1f\x7f\ud800-\udfff\\\\]")
_ODD_PLACE = re.compile(r"(?:^|/)\.\.?(?:/|$)|^/|//|^[A-Za-z]:")
_SUSPICIOUS = (
    "\\",
    "/./",
    "/../",
    "//",
    "\n/",
    "\n./",
    "\n../",
    "/.\n",
    "/..\n",
    ":",
    "\n\n",
    "\n.\n",
    "\n..\n",
)


class Report(Protocol):
    def __call__(self, code: str, where: str = "", **details: object) -> None: ...


def utf8(name: str) -> bytes:
    """The bytes of a name in the directory."""
    return name.encode("utf-8", "surrogateescape")


def utf8_name(name: str) -> str:
    """A name that was decoded as Latin-1."""
    return name.encode("latin-1").decode("utf-8", "surrogateescape")


def ascii_lower(name: str) -> str:
    """As torch compares names: other letters than A to Z stay as they are."""
    return name.lower() if name.isascii() else name.translate(_CAPITALS)


class EntryChecks:
    """Collects the entries of an archive, batch by batch, and what is odd about them.

    Args:
        report: takes each problem.
        directory: the offset of the central directory, before which entries must end.
        file_bytes: length of the file.
        start: where the archive begins, or -1 where bytes of no entry are no surprise.

    Attributes:
        start: as given.
        order: every entry.
        records: by name; the last of equal names counts.
        root: the first component of the first entry's name, or "".
        with_capitals: the names that have capital letters, in order.
    """

    def __init__(self, report: Report, directory: int, file_bytes: int, start: int = -1) -> None:
        self.order: list[Record] = []
        self.records: dict[str, Record] = {}
        self.root = ""
        self._report = report
        self._directory = directory
        self._file_bytes = file_bytes
        self.start = start
        self._wide = False
        self._last_end = -_LOCAL_HEADER
        self._in_order = True
        self.with_capitals: list[str] = []

    def add(self, batch: list[Record]) -> None:
        """Take the next entries; their names are still decoded as Latin-1."""
        if not batch:
            return
        names = list(map(_NAME, batch))
        joined = "\n".join(["", *names, ""])
        if not joined.isascii():
            names = list(map(utf8_name, names))
            batch = [entry._replace(name=name) for entry, name in zip(batch, names, strict=True)]
            joined = "\n".join(["", *names, ""])
        if not self.order:
            head, slash, _ = names[0].partition("/")
            self.root = head if slash else ""
        self.order += batch
        self.records.update(zip(names, batch, strict=True))
        self._check_names(names, joined)
        self._check_use(batch)
        headers = [*map(_HEADER, batch)]
        gaps = [*map(sub, headers[1:], map(plus, headers, map(_PACKED, batch)))]
        first = headers[0] - self._last_end
        self._wide |= max(gaps, default=0) > _LONGEST_HEADER
        if len(self.order) == len(batch):
            self._wide |= headers[0] > self.start
        self._in_order &= min(gaps, default=_LOCAL_HEADER) >= _LOCAL_HEADER <= first
        self._last_end = headers[-1] + batch[-1].packed_bytes

    def finish(self) -> None:
        """Check what only shows once all entries are there."""
        if len(self.records) != len(self.order):
            for name, count in Counter(map(_NAME, self.order)).items():
                if count > 1:
                    self._report("duplicate-entry", name, count=count)
        lowered: dict[str, str] = {}
        for name in dict.fromkeys(self.with_capitals):
            small = name.lower()
            other = small if small in self.records else lowered.setdefault(small, name)
            if other != name:
                self._report("case-colliding-entry", name, other=other)
        self._wide |= self._directory - self._last_end > _LONGEST_HEADER
        if self.start >= 0 and (self._wide or self.order[-1].offset >= 0):
            self._check_gaps()
        if not self._in_order or self._last_end + _LOCAL_HEADER > self._directory:
            self._check_places()

    def _check_names(self, names: list[str], joined: str) -> None:
        # Most names share their folder; without it there is a third to search.
        folder = names[-1].rpartition("/")[0]
        short = joined.replace(f"\n{folder}/", "\n") if folder else joined
        flat = short.replace("\n", "")
        if (
            not flat.isprintable()
            or len(short) - len(flat) != len(names) + 1
            or any(part in short for part in _SUSPICIOUS)
            or odd_name(names[-1])
        ):
            for name in names:
                reason = odd_name(name)
                if reason:
                    self._report("odd-name", name, reason=reason)
        if joined != joined.lower():
            self.with_capitals += [name for name in names if name != name.lower()]
        if not self.root:
            if len(self.order) == len(names):
                self._report("no-root", names[0])
        elif joined.count(f"\n{self.root}/") != len(names):
            for name in names:
                if not name.startswith(f"{self.root}/"):
                    self._report("outside-root", name, root=self.root)

    def _check_use(self, batch: list[Record]) -> None:
        if any(map(_METHOD, batch)):
            for record in batch:
                # TorchScript deflates the sources and nothing else.
                if record.method and "/code/" not in record.name:
                    self._report("compressed-entry", record.name, method=record.method)
        if any(flags & ~_KNOWN_FLAGS for flags in set(map(_FLAGS, batch))):
            for record in batch:
                odd = record.flags & ~_KNOWN_FLAGS & ~_ENCRYPTED
                if record.flags & _ENCRYPTED:
                    self._report("encrypted-entry", record.name)
                if odd:
                    reason = f"has the flags 0x{odd:04x}, which no plain entry has"
                    self._report("odd-entry", record.name, reason=reason)

    def _check_gaps(self) -> None:
        """Look for bytes between the entries, where others may hide that have no entry.

        How long a local header is stands in it alone. Where it has not been read, only a gap
        counts that none can be the reason of.
        """
        at, after, flags = self.start, "", 0
        for record in sorted(self.order, key=_HEADER):
            self._check_gap(record.header_offset - at, after, flags)
            known = record.offset >= 0
            begin = record.offset if known else record.header_offset + _LONGEST_HEADER
            at = max(at, begin + record.packed_bytes)
            after, flags = record.name, record.flags
        self._check_gap(self._directory - at, after, flags)

    def _check_gap(self, gap: int, after: str, flags: int) -> None:
        if gap > 0 and not (flags & _DESCRIPTOR and gap in _DESCRIPTORS):
            place = "after it" if after else "at the beginning"
            self._report("hidden-bytes", after, count=gap, place=place)

    def _check_places(self) -> None:
        at, before = 0, ""
        for record in sorted(self.order, key=_HEADER):
            if record.header_offset < at:
                self._report("overlapping-entry", record.name, other=before)
            # The local header may be longer, never shorter.
            end = record.header_offset + _LOCAL_HEADER + record.packed_bytes
            if end > self._file_bytes:
                self._report("entry-bounds", record.name)
            elif end > self._directory:
                self._report("overlapping-entry", record.name, other="the directory")
            if end > at:
                at, before = end, record.name


def odd_name(name: str) -> str:
    """Why `name` is no plain relative path, or ""."""
    if not name:
        return "is empty"
    match = _CONTROL.search(name)
    if match:
        if match[0] == "\\":
            return "has a backslash"
        return "is not UTF-8" if match[0] >= "\ud800" else "has a control character"
    return "is not a plain relative path" if _ODD_PLACE.search(name) else ""
