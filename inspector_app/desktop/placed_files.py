"""Files that are put in place whole, and folders that leave when they are empty again."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable


def place(path: str, content: bytes, executable: bool = False, durable: bool = False) -> None:
    """Write a file, at once and whole; of a symbolic link the file that it names.

    Args:
        path: its place; the folder is there.
        content: all of it.
        executable: it is a program.
        durable: it is worth waiting for the disk: somebody else's words are in it.

    Raises:
        OSError: it cannot be written; then nothing has changed.
    """
    path = os.path.realpath(path)
    mode = 0o755 if executable else 0o644
    if content_of(path) == content and os.stat(path).st_mode & 0o777 == mode:
        return
    if durable and os.path.exists(path):
        mode = os.stat(path).st_mode & 0o777
    descriptor, partial = tempfile.mkstemp(prefix=".", suffix=".partial", dir=os.path.dirname(path))
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.chmod(partial, mode)
        os.replace(partial, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise


def make_folder(folder: str, made: list[str]) -> None:
    """Make a folder and those above it, for this user alone; those that are new go to `made`.

    Raises:
        OSError: it cannot be made.
    """
    missing: list[str] = []
    above = folder
    while not os.path.isdir(above) and above != os.path.dirname(above):
        missing.append(above)
        above = os.path.dirname(above)
    for each in reversed(missing):
        # Private, as the base directory specification wants folders of the user.
        os.mkdir(each, 0o700)
        if each not in made:
            made.append(each)


def remove(path: str) -> bool:
    """Remove a file; whether there was one."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def remove_empty(folders: Iterable[str]) -> None:
    """Remove those folders that are empty, innermost first."""
    for folder in sorted(set(folders), key=len, reverse=True):
        # Whatever somebody put there meanwhile stays.
        with contextlib.suppress(OSError):
            os.rmdir(folder)


def content_of(path: str) -> bytes | None:
    """A file's bytes; None where there is none that can be read."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None
