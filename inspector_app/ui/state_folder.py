"""The folder for what the program keeps of its own running: sessions, reports of its faults.

Standard library only. Whatever is in it may be damaged, or somebody else's idea: readers take
plain JSON and text, bounded, and set aside what they do not understand.
"""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress

PROGRAM = "checkpoint-inspector"
BROKEN = ".broken"
LARGEST_FILE = 8 << 20


def folder() -> str:
    """Where it is, whether it is there or not.

    ``$XDG_STATE_HOME/checkpoint-inspector``, by default in ``~/.local/state`` ("XDG Base
    Directory Specification"); ``~/Library/Application Support`` on macOS, ``%LOCALAPPDATA%`` on
    Windows.
    """
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or os.path.expanduser(r"~\AppData\Local")
    elif sys.platform == "darwin":
        base = os.path.expanduser("~/Library/Application Support")
    else:
        base = os.environ.get("XDG_STATE_HOME", "")
        if not os.path.isabs(base):
            base = os.path.expanduser("~/.local/state")
    return os.path.join(base, PROGRAM)


def make(*parts: str) -> str:
    """A folder in it, made for this user alone where it is not there.

    Raises:
        OSError: it cannot be made.
    """
    path = os.path.join(folder(), *parts)
    os.makedirs(path, mode=0o700, exist_ok=True)
    return path


def write(path: str, data: bytes) -> None:
    """Put a file there whole, or leave what is there as it is.

    Raises:
        OSError: it cannot be written.
    """
    partial = f"{path}.{os.getpid()}.partial"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        with open(os.open(partial, flags, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            # Without it a file that was renamed may be empty after the power has failed.
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(partial)
        raise


def read(path: str) -> bytes | None:
    """What is in a file; None if it is not there, cannot be read, or is too large."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        with open(os.open(path, flags), "rb") as file:
            # A pipe that lies there would be waited for.
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return None
            data = file.read(LARGEST_FILE + 1)
    except OSError:
        return None
    return data if len(data) <= LARGEST_FILE else None


def set_aside(path: str) -> str:
    """Rename a damaged file, so that it costs nothing but itself; its new path, or ""."""
    try:
        os.replace(path, path + BROKEN)
    except OSError:
        return ""
    return path + BROKEN
