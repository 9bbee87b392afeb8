"""What installing, leaving and looking found, for the command to print."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field


class DesktopTrouble(Exception):
    """Why a desktop could not be told, as one sentence."""


class State(enum.Enum):
    """How much of us a desktop knows."""

    INSTALLED = "installed"
    PARTLY = "partly installed"
    STALE = "stale"  # whole, but made by another version, or its program is gone
    ABSENT = "not installed"


@dataclass(frozen=True)
class Status:
    """What there is.

    Attributes:
        state: how much.
        command: what a double click starts; empty if nothing is installed.
        command_is_there: its program exists.
        missing: files or keys that should be there.
        outdated: those that another version, or somebody, wrote.
        system_wide: where an installation for all users is, or "".
        defaults: for each type or ending which application opens it: ours, another's, or None.
        ours: those of `defaults` that are ours.
    """

    state: State
    command: tuple[str, ...] = ()
    command_is_there: bool = False
    missing: tuple[str, ...] = ()
    outdated: tuple[str, ...] = ()
    system_wide: str = ""
    defaults: Mapping[str, str | None] = field(default_factory=dict)
    ours: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Change:
    """What was done.

    Attributes:
        written: files or keys that are in place now.
        removed: those that are no longer.
        notes: what did not go as it should, a sentence each.
    """

    written: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
