"""Where a second start finds the window that is open already. Cheap: each start looks there.

Standard library only. On Linux and macOS it is a folder of the user's own: whoever may put a
socket where we look for one is told which files are opened.
"""

from __future__ import annotations

import os
import stat
import sys
from typing import NamedTuple

PROGRAM = "checkpoint-inspector"
# A socket's path may have 107 bytes (103 on macOS); Qt makes it in a folder beside it first.
_LONGEST_FOLDER = 60
_LONGEST_NAME = 24
# Windows of these are on no display that a second start could mean.
_UNSEEN = ("offscreen", "minimal", "vnc")


class MeetingPlace(NamedTuple):
    """What the starts of one user on one display share.

    Attributes:
        socket: the path of a local socket, or a pipe's name on Windows.
        lock: the file that the process with the window has locked, from before the socket is
            there until it ends.
    """

    socket: str
    lock: str


def find() -> MeetingPlace | None:
    """The place for this user and display; None where none is private to the user."""
    name = _name()
    for folder in _folders():
        if len(os.fsencode(folder)) <= _LONGEST_FOLDER and make_private(folder):
            socket = os.path.join(folder, name)
            if sys.platform == "win32":
                socket = f"{PROGRAM}-{os.environ.get('USERNAME', '')}-{name}"
            return MeetingPlace(socket, os.path.join(folder, f"{name}.lock"))
    return None


def make_private(folder: str) -> bool:
    """Make a folder that nobody else can look into, unless it is there; whether it is one."""
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        found = os.lstat(folder)
    except OSError:
        return False
    if sys.platform == "win32":
        return stat.S_ISDIR(found.st_mode)  # it is below the user's profile
    return (
        stat.S_ISDIR(found.st_mode)
        and found.st_uid == os.getuid()
        and not found.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    )


def _folders() -> list[str]:
    """Where it may be, the best first."""
    if sys.platform == "win32":
        return [os.path.join(os.environ.get("LOCALAPPDATA", ""), PROGRAM)]
    given = [os.environ.get(name, "") for name in ("XDG_RUNTIME_DIR", "TMPDIR")]
    own = f"{PROGRAM}-{os.getuid()}"
    return [os.path.join(path, own) for path in (*given, "/tmp") if os.path.isabs(path)]


def _name() -> str:
    """Alike on the same display only."""
    environment = os.environ
    display = environment.get("WAYLAND_DISPLAY") or environment.get("DISPLAY") or ""
    platform = environment.get("QT_QPA_PLATFORM", "").partition(":")[0]
    if platform in _UNSEEN:
        display = platform
    plain = "".join(each if each.isascii() and each.isalnum() else "_" for each in display)
    if plain == display.replace(":", "_").replace("-", "_") and len(plain) <= _LONGEST_NAME:
        return plain or "window"
    # Of two displays that would be written alike.
    import hashlib

    return hashlib.sha256(os.fsencode(display)).hexdigest()[:_LONGEST_NAME]
