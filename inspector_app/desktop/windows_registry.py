"""What Windows is told about the file types, as registry entries. All of it under one user's keys.

Sources: "File Types", "Programmatic Identifiers", "Default Programs" and "Application
Registration" of Microsoft's Win32 shell documentation. Windows knows a file by what follows the
last dot alone, so ``.pth.tar`` is offered as ``.tar``, and only under "open with".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from inspector_app.desktop.file_types import (
    APP_COMMENT,
    APP_NAME,
    FILE_TYPES,
    FileType,
    Offered,
)
from inspector_app.desktop.launch import windows_line

VENDOR = "CheckpointInspector"
PROGRAM = "checkpoint-inspector.exe"
CLASSES = r"Software\Classes"
CAPABILITIES = rf"Software\{VENDOR}\Capabilities"
REGISTERED = r"Software\RegisteredApplications"


class Entry(NamedTuple):
    """One value below ``HKEY_CURRENT_USER``.

    Attributes:
        key: the key's path.
        name: the value's; "" is the key's default value.
        text: a REG_SZ.
        shared: the key is also others', who keep it when we leave.
    """

    key: str
    name: str
    text: str
    shared: bool = False


def prog_id(kind: FileType) -> str:
    """The programmatic identifier of a type."""
    return f"{VENDOR}.{kind.key}"


def last_endings(kind: FileType) -> Iterator[tuple[str, bool]]:
    """Endings as Windows and macOS know them, and whether a double click may open them."""
    for ending in kind.endings:
        last = ending[ending.rindex(".") :]
        yield last, kind.offered is Offered.DEFAULT and last == ending


def own_keys() -> tuple[str, ...]:
    """Keys that are ours alone: they leave with everything below them."""
    names = tuple(rf"{CLASSES}\{prog_id(kind)}" for kind in FILE_TYPES)
    return (*names, rf"{CLASSES}\Applications\{PROGRAM}", rf"Software\{VENDOR}")


def registry_entries(command: Sequence[str], icons: str, program: str = "") -> list[Entry]:
    r"""All entries but those that make us the default.

    Args:
        command: what starts the program; the file's path is appended.
        icons: the folder of ``checkpoint-inspector.ico`` and the types' icons.
        program: how the shell's own entries name it, without a folder.
    """
    opens = windows_line(command, '"%1"')
    found = []
    for kind in FILE_TYPES:
        own = rf"{CLASSES}\{prog_id(kind)}"
        found += [
            Entry(own, "", kind.name),
            Entry(own, "FriendlyTypeName", kind.name),
            Entry(rf"{own}\DefaultIcon", "", rf"{icons}\{kind.icon}.ico"),
            Entry(rf"{own}\shell\open", "FriendlyAppName", APP_NAME),
            Entry(rf"{own}\shell\open\command", "", opens),
        ]
        for ending, _ in last_endings(kind):
            found.append(Entry(rf"{CLASSES}\{ending}\OpenWithProgids", prog_id(kind), "", True))
    application = rf"{CLASSES}\Applications\{program or PROGRAM}"
    found += [
        Entry(application, "FriendlyAppName", APP_NAME),
        Entry(rf"{application}\DefaultIcon", "", rf"{icons}\checkpoint-inspector.ico"),
        Entry(rf"{application}\shell\open\command", "", opens),
    ]
    for kind in FILE_TYPES:
        for ending, _ in last_endings(kind):
            found.append(Entry(rf"{application}\SupportedTypes", ending, ""))
    # What Settings > Default apps lists.
    found += [
        Entry(CAPABILITIES, "ApplicationName", APP_NAME),
        Entry(CAPABILITIES, "ApplicationDescription", APP_COMMENT),
        Entry(CAPABILITIES, "ApplicationIcon", rf"{icons}\checkpoint-inspector.ico"),
        Entry(REGISTERED, VENDOR, CAPABILITIES, True),
    ]
    for kind in FILE_TYPES:
        for ending, opened in last_endings(kind):
            if opened:
                found.append(Entry(rf"{CAPABILITIES}\FileAssociations", ending, prog_id(kind)))
    return found


def default_entries() -> list[Entry]:
    """What makes us the one that a double click starts, where the user chose nobody."""
    return [
        Entry(rf"{CLASSES}\{ending}", "", prog_id(kind), True)
        for kind in FILE_TYPES
        for ending, opened in last_endings(kind)
        if opened
    ]


def reg_text(entries: Sequence[Entry]) -> str:
    """The entries as a ``.reg`` file (version 5, to be written as UTF-16 with a mark)."""
    lines = ["Windows Registry Editor Version 5.00"]
    key = None
    for entry in sorted(entries, key=lambda each: (each.key.lower(), each.name.lower())):
        if entry.key != key:
            key = entry.key
            lines += ["", f"[HKEY_CURRENT_USER\\{key}]"]
        name = f'"{_escaped(entry.name)}"' if entry.name else "@"
        lines.append(f'{name}="{_escaped(entry.text)}"')
    return "\r\n".join(lines) + "\r\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
