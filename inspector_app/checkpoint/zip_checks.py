"""What is odd about the entries of a zip archive.

Checks run over batches with C-speed passes first; entries are looked at one by one only
where a pass finds something, since an archive may have a million of them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Protocol

from inspector_app.checkpoint.model import Record

_NAME, _METHOD, _FLAGS = 0, 5, 7
_ENCRYPTED = 0x1
_LOCAL_HEADER = 30
_CONTROL = re.compile("[\x00-\x1f\x7f\ud800-\udfff\\\\]")
_ODD_PLACE = re.compile(r"(?:^|/)\.\.?(?:/|$)|^/|//|^[A-Za-z]:")
_SUSPICIOUS = ("\\", "\0", "/./", "/../", "//", "\n/", "\n./", "\n../", "/.\n", "/..\n", ":")


class Report(Protocol):
    def __call__(self, code: str, where: str = "", **details: object) -> None: ...


def utf8(name: str) -> bytes:
    """The bytes of a name in the directory."""
    return name.encode("utf-8", "surrogateescape")


def check_batch(report: Report, batch: Sequence[Record]) -> None:
    """Names that are no plain relative paths, encryption, compression."""
    names = list(map(itemgetter(_NAME), batch))
    joined = "\n".join(["", *names, ""])
    if (
        not joined.isascii()
        or joined.count("\n") != len(names) + 1
        or any(part in joined for part in _SUSPICIOUS)
        or _CONTROL.search(joined.replace("\n", ""))
    ):
        for name in names:
            reason = odd_name(name)
            if reason:
                report("odd-name", name, reason=reason)
    if any(map(itemgetter(_METHOD), batch)):
        for record in batch:
            # TorchScript deflates the sources and nothing else.
            if record.method and "/code/" not in record.name:
                report("compressed-entry", record.name, method=record.method)
    if any(flags & _ENCRYPTED for flags in set(map(itemgetter(_FLAGS), batch))):
        for record in batch:
            if record.flags & _ENCRYPTED:
                report("encrypted-entry", record.name)


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


def check_whole(
    report: Report, order: Sequence[Record], root: str, directory: int, file_bytes: int
) -> None:
    """Names that collide, entries outside the root, entries that overlap.

    Args:
        directory: the offset of the central directory, before which entries must end.
    """
    _check_names(report, order)
    prefix = f"{root}/"
    outside = [record.name for record in order if not record.name.startswith(prefix)]
    for name in outside:
        report("outside-root", name, root=root)
    _check_places(report, order, directory, file_bytes)


def _check_names(report: Report, order: Sequence[Record]) -> None:
    names = list(map(itemgetter(_NAME), order))
    different = set(names)
    if len(different) != len(names):
        for name, count in Counter(names).items():
            if count > 1:
                report("duplicate-entry", name, count=count)
    if len(set(map(str.lower, different))) != len(different):
        first: dict[str, str] = {}
        for name in dict.fromkeys(names):
            other = first.setdefault(name.lower(), name)
            if other != name:
                report("case-colliding-entry", name, other=other)


def _check_places(report: Report, order: Sequence[Record], directory: int, file_bytes: int) -> None:
    at = 0
    for record in order:
        if record.header_offset < at:
            break
        # A local header is at least this long; names count at least a byte a character.
        at = record.header_offset + _LOCAL_HEADER + len(record.name) + record.packed_bytes
    else:
        if at <= directory:
            return
    _report_places(report, sorted(order, key=itemgetter(3)), directory, file_bytes)


def _report_places(
    report: Report, order: Iterable[Record], directory: int, file_bytes: int
) -> None:
    at, before = 0, ""
    for record in order:
        if record.header_offset < at:
            report("overlapping-entry", record.name, other=before)
        end = record.header_offset + _LOCAL_HEADER + len(record.name) + record.packed_bytes
        if end > file_bytes:
            report("entry-bounds", record.name)
        elif end > directory:
            report("overlapping-entry", record.name, other="the directory")
        if end > at:
            at, before = end, record.name
