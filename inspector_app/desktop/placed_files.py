"""Files that are put in place whole, and folders that leave when they are empty again."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable


def place(path: str, content: bytes, executable: bool = False) -> list[str]:
    """Write a file, at once and whole; of a symbolic link the file that it names.

    Returns:
        The folders that were made for it, outermost first.

    Raises:
        OSError: it cannot be written; then nothing has changed.
    """
    path = os.path.realpath(path)
    made = make_folder(os.path.dirname(path))
    mode = 0o755 if executable else 0o644
    with contextlib.suppress(OSError):
        with open(path, "rb") as there:
            same = there.read() == content
        if same and os.stat(path).st_mode & 0o777 == mode:
            return made
    if os.path.exists(path) and not executable:
        mode = os.stat(path).st_mode & 0o777
    descriptor, partial = tempfile.mkstemp(prefix=".", suffix=".partial", dir=os.path.dirname(path))
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(partial, mode)
        os.replace(partial, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise
    return made


def make_folder(folder: str) -> list[str]:
    """Make a folder and those above it; returns those that were not there, outermost first."""
    missing: list[str] = []
    above = folder
    while above and not os.path.isdir(above):
        missing.insert(0, above)
        above = os.path.dirname(above)
    made = []
    for each in missing:
        # As the base directory specification wants folders of the user made.
        with contextlib.suppress(FileExistsError):
            os.mkdir(each, 0o700)
            made.append(each)
    return made


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
