"""`desktop`: file types and menu entry for this user, there and away again."""

from __future__ import annotations

import argparse
import json
import os
import shlex
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from inspector_app.checkpoint.text import plain
from inspector_app.desktop.report import Change, DesktopTrouble, State, Status
from inspector_app.terminal.command import Trouble

Write = Callable[[Iterable[str]], None]
_PATH = 4096


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "action",
        choices=("install", "uninstall", "status"),
        help="make the types of files known to this user's desktop; leave nothing of that; "
        "say what there is",
    )
    parser.add_argument(
        "--default",
        action="store_true",
        help="with install: a double click opens these files here, whatever opened them before",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, compact")


def desktop(arguments: argparse.Namespace, write: Write) -> bool:
    """Do it and print; whether something is not as it should be.

    Raises:
        Trouble: it cannot be done.
    """
    from inspector_app.desktop.launch import command_here
    from inspector_app.desktop.this_desktop import this_desktop

    action = arguments.action
    if arguments.default and action != "install":
        raise Trouble("--default is for install")
    change = None
    try:
        here = this_desktop()
        if action == "install":
            change = here.install(command_here(windowed=True), arguments.default)
        elif action == "uninstall":
            change = here.uninstall()
        status = here.status()
    except DesktopTrouble as error:
        raise Trouble(str(error)) from None
    if arguments.json:
        write([json.dumps(_json(action, change, status), separators=(",", ":")) + "\n"])
    else:
        write(f"{line}\n" for line in _lines(action, change, status))
    if action == "uninstall":
        return status.state not in (State.ABSENT, State.INSTALLED)
    return status.state is not State.INSTALLED or bool(change and change.notes)


def _json(action: str, change: Change | None, status: Status) -> dict[str, Any]:
    return {
        "schema": 1,
        "action": action,
        "state": status.state.value,
        "command": list(status.command),
        "command_exists": status.command_is_there,
        "missing": list(status.missing),
        "outdated": list(status.outdated),
        "system_wide": status.system_wide or None,
        "defaults": {
            name: {"application": entry, "ours": name in status.ours}
            for name, entry in status.defaults.items()
        },
        "written": list(change.written) if change else [],
        "removed": list(change.removed) if change else [],
        "notes": list(change.notes) if change else [],
    }


def _lines(action: str, change: Change | None, status: Status) -> Iterator[str]:
    if action == "uninstall" and change is not None:
        if change.removed:
            yield f"Removed {_counted(len(change.removed))}."
        else:
            yield "There was nothing to remove."
        yield from (f"Note: {plain(each, 500)}" for each in change.notes)
        if status.system_wide:
            yield f"An installation for all users stays: {plain(status.system_wide, _PATH)}"
        return
    yield f"{status.state.value.capitalize()}{_where(status)}."
    if status.command:
        gone = "" if status.command_is_there else " (which is gone)"
        yield f"A double click starts: {plain(shlex.join(status.command), _PATH)}{gone}"
    yield from (f"Missing: {plain(each, _PATH)}" for each in status.missing)
    yield from (f"Not of this version: {plain(each, _PATH)}" for each in status.outdated)
    if status.state in (State.PARTLY, State.STALE):
        yield "Install it once more to put this right."
    if status.defaults and status.state is not State.ABSENT:
        yield "Opened by default:"
        width = max(map(len, status.defaults))
        for name, entry in status.defaults.items():
            by = "Checkpoint Inspector" if name in status.ours else plain(entry or "nothing")
            yield f"  {name:<{width}}  {by}"
        if action == "install" and len(status.ours) < len(status.defaults):
            yield "With --default a double click opens all of them here."
    if change is not None:
        yield from (f"Note: {plain(each, 500)}" for each in change.notes)


def _where(status: Status) -> str:
    if status.system_wide and not status.command:
        return f" for all users ({plain(os.path.dirname(status.system_wide), _PATH)})"
    return " for this user" if status.state is State.INSTALLED else ""


def _counted(count: int) -> str:
    return "1 entry" if count == 1 else f"{count} entries"
