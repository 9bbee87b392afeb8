"""Which application opens a type: ``mimeapps.list``, read and edited.

"Association between MIME types and applications" 1.0.1, freedesktop.org. An edit keeps every
line that is not about us, and what was the default stays in the list behind us: to leave is to
take our name out again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

FILE_NAME = "mimeapps.list"
DEFAULTS = "Default Applications"
ADDED = "Added Associations"
REMOVED = "Removed Associations"
_CACHE = "MIME Cache"
_GROUP = re.compile(r"\s*\[([^\[\]]*)\]\s*")


def with_default(text: str, entry: str, mime_types: Iterable[str]) -> str:
    """The list `text` with the desktop entry `entry` as the default of `mime_types`."""
    wanted = dict.fromkeys(mime_types)
    lines = _split(text)
    header = None
    for line in list(_lines(lines)):
        if line.group != DEFAULTS:
            continue
        if not line.key:
            header = line.number if header is None else header
        elif line.key in wanted:
            del wanted[line.key]
            if line.entries[:1] != [entry]:
                others = _taken_out(line.value, entry)
                lines[line.number] = f"{line.before}{entry};{others}{line.end}"
    end = "\r\n" if lines[:1] and lines[0].endswith("\r\n") else "\n"
    new = [f"{key}={entry};{end}" for key in wanted]
    if header is None:
        # In front, so that no other line has to change.
        return "".join(([f"[{DEFAULTS}]{end}", *new] if new else []) + lines)
    if new and not lines[header].endswith("\n"):
        lines[header] += end
    return "".join(lines[: header + 1] + new + lines[header + 1 :])


def without(text: str, entry: str) -> str:
    """The list `text` without a word of the desktop entry `entry`."""
    lines = _split(text)
    headers: dict[str, int] = {}
    left: dict[str, int] = {}
    gone: set[int] = set()
    shrunk: set[str] = set()
    for line in list(_lines(lines)):
        if not line.key:
            headers[line.group] = line.number
        elif entry in line.entries and len(set(line.entries)) == 1:
            gone.add(line.number)
            shrunk.add(line.group)
        else:
            left[line.group] = left.get(line.group, 0) + 1
            if entry in line.entries:
                lines[line.number] = line.before + _taken_out(line.value, entry) + line.end
    gone |= {headers[group] for group in shrunk if not left.get(group)}
    return "".join(line for number, line in enumerate(lines) if number not in gone)


class _Line(NamedTuple):
    """A line with a meaning: ``before``, ``value`` and ``end``; a group's header has no key."""

    number: int
    group: str
    key: str
    before: str
    value: str
    end: str
    entries: list[str]


def _split(text: str) -> list[str]:
    """The lines with their ends: as GLib has them, so that no other character ends one."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _lines(lines: Iterable[str]) -> Iterator[_Line]:
    group = ""
    for number, line in enumerate(lines):
        if found := _GROUP.fullmatch(line):
            group = found[1]
            yield _Line(number, group, "", "", "", "", [])
        elif "=" in line and not line.lstrip().startswith("#") and group:
            key, sign, rest = line.partition("=")
            value = rest.lstrip(" \t")
            before = key + sign + rest[: len(rest) - len(value)]
            end = value[len(value.rstrip("\r\n")) :]
            value = value[: len(value) - len(end)]
            entries = [each.strip() for each in value.split(";") if each.strip()]
            yield _Line(number, group, key.strip(), before, value, end, entries)


def _taken_out(value: str, entry: str) -> str:
    """A list without `entry`; all else stays as it is written."""
    parts = value.split(";")
    return ";".join(part for part in parts if part.strip() != entry)


class Associations:
    """Which desktop entries are associated with types, for one user on one desktop.

    Args:
        environment: where the folders are, and which desktop runs.
        home: the user's.
    """

    def __init__(self, environment: Mapping[str, str], home: str) -> None:
        self.config_home = environment.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
        self.data_home = environment.get("XDG_DATA_HOME") or os.path.join(home, ".local/share")
        config = (environment.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")
        data = (environment.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share").split(":")
        self.data_folders = [each for each in [self.data_home, *data] if each]
        applications = [os.path.join(each, "applications") for each in self.data_folders]
        desktops = environment.get("XDG_CURRENT_DESKTOP", "").lower().split(":")
        names = [f"{each}-{FILE_NAME}" for each in desktops if each and "/" not in each]
        folders = [self.config_home, *(each for each in config if each), *applications]
        self._lists = [os.path.join(each, name) for each in folders for name in [*names, FILE_NAME]]
        self._applications = applications

    def default_of(self, mime_type: str) -> str | None:
        """The name of the desktop entry that opens `mime_type`, or None."""
        lists = [_groups(path) for path in self._lists]
        caches = [_groups(os.path.join(each, "mimeinfo.cache")) for each in self._applications]
        for groups in lists:
            for entry in groups(DEFAULTS, mime_type):
                if self.is_there(entry):
                    return entry
        removed = {entry for groups in lists for entry in groups(REMOVED, mime_type)}
        for group, found in [(ADDED, lists), (_CACHE, caches)]:
            for groups in found:
                for entry in groups(group, mime_type):
                    if entry not in removed and self.is_there(entry):
                        return entry
        return None

    def is_there(self, entry: str) -> bool:
        """Whether such a desktop entry is installed, for this user or for everybody."""
        return any(os.path.exists(os.path.join(each, entry)) for each in self._applications)


def _groups(path: str) -> Callable[[str, str], list[str]]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            lines = file.readlines()
    except OSError:
        lines = []
    found: dict[tuple[str, str], list[str]] = {}
    for line in _lines(lines):
        found.setdefault((line.group, line.key), line.entries)
    return lambda group, key: found.get((group, key), [])
