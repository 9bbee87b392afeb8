"""What a window has open, as a file keeps it.

Standard library only, plain JSON of our own, schema 1. A file may say anything: what is no
session is refused as a whole, and of one that is, what can be used is used. What belongs to
one kind of tab or dialog is among its `details`, which whoever restores it checks.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SCHEMA = 1
FILE, COMPARISON, RUN = "file", "comparison", "run"
_PATHS = {FILE: (1, 1), COMPARISON: (2, 2), RUN: (1, 10_000)}
MOST_TABS, MOST_DIALOGS = 500, 50
LONGEST_PATH = 32_767

Details = Mapping[str, Any]


class BrokenSessionError(ValueError):
    """A file is none of ours, or of a later schema."""


@dataclass(frozen=True, slots=True)
class TabState:
    """One tab.

    Attributes:
        kind: `FILE`, `COMPARISON` or `RUN`.
        paths: absolute; of a comparison A and B.
        details: what is selected, searched for, on show: as its kind keeps it.
    """

    kind: str
    paths: tuple[str, ...]
    details: Details = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DialogState:
    """One dialog with choices that nobody has carried out yet.

    Attributes:
        kind: which one, as `session_dialogs` names it.
        paths: absolute; what it is about.
        details: what is chosen in it.
    """

    kind: str
    paths: tuple[str, ...]
    details: Details = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Session:
    """What a window has open.

    Attributes:
        tabs: from left to right.
        front: which of them is in front.
        unproven: it was just being restored, or a process crashed with it: it may end the next
            one, too, and is opened only where somebody asks for it.
    """

    tabs: tuple[TabState, ...] = ()
    front: int = 0
    dialogs: tuple[DialogState, ...] = ()
    unproven: bool = False

    def __bool__(self) -> bool:
        return bool(self.tabs or self.dialogs)

    def joined(self, other: Session) -> Session:
        """Both, what both have once."""
        have = {(tab.kind, tab.paths) for tab in self.tabs}
        tabs = [tab for tab in other.tabs if (tab.kind, tab.paths) not in have]
        return Session(
            (*self.tabs, *tabs)[:MOST_TABS],
            self.front if self.tabs else other.front,
            (*self.dialogs, *other.dialogs)[:MOST_DIALOGS],
            self.unproven or other.unproven,
        )


def session_bytes(session: Session) -> bytes:
    """A session as its file has it: paths may have any bytes, as in Python's own names."""
    said = {
        "schema": SCHEMA,
        "tabs": [_entry(tab) for tab in session.tabs],
        "front": session.front,
        "dialogs": [_entry(dialog) for dialog in session.dialogs],
        "unproven": session.unproven,
    }
    return json.dumps(said, indent=1).encode("ascii")


def read_session(data: bytes) -> Session:
    """The session that a file has.

    Raises:
        BrokenSessionError: it has none.
    """
    try:
        said = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BrokenSessionError(str(error)) from None
    if not isinstance(said, dict) or said.get("schema") != SCHEMA:
        raise BrokenSessionError("it is no session that this version knows")
    tabs = [_tab(entry) for entry in _list(said.get("tabs"))[:MOST_TABS]]
    dialogs = [_dialog(entry) for entry in _list(said.get("dialogs"))[:MOST_DIALOGS]]
    front = said.get("front")
    # Counted among all that the file has; what is left out before it moves it.
    at = front if type(front) is int and 0 <= front < len(tabs) else 0
    return Session(
        tuple(tab for tab in tabs if tab is not None),
        sum(tab is not None for tab in tabs[:at]),
        tuple(dialog for dialog in dialogs if dialog is not None),
        said.get("unproven") is True,
    )


def _entry(state: TabState | DialogState) -> dict[str, object]:
    return {"kind": state.kind, "paths": list(state.paths), "details": dict(state.details)}


def _tab(entry: object) -> TabState | None:
    kind, paths, details = _parts(entry)
    least, most = _PATHS.get(kind, (1, 0))
    return TabState(kind, paths, details) if least <= len(paths) <= most else None


def _dialog(entry: object) -> DialogState | None:
    kind, paths, details = _parts(entry)
    return DialogState(kind, paths, details) if kind and 1 <= len(paths) <= 2 else None


def _parts(entry: object) -> tuple[str, tuple[str, ...], Details]:
    if not isinstance(entry, dict):
        return "", (), {}
    kind, details = entry.get("kind"), entry.get("details")
    paths = _list(entry.get("paths"))
    if not isinstance(kind, str) or not all(map(_is_path, paths)):
        return "", (), {}
    return kind, tuple(paths), details if isinstance(details, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_path(value: object) -> bool:
    if not isinstance(value, str) or len(value) > LONGEST_PATH or "\0" in value:
        return False
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        return False
    return os.path.isabs(value)
