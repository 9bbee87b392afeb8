"""A lock that a process holds by a file, and that the system takes back however it ends.

Standard library only, and cheap: a start takes one before Qt is imported.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress


def take(path: str) -> int | None:
    """Lock the file at `path`, which is made if it is not there; never waits.

    Returns:
        A descriptor that holds the lock until it is closed, or None if another process, or
        another descriptor of this one, holds it.

    Raises:
        OSError: the file can be neither opened nor made, or its system knows no locks.
    """
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(path, flags, 0o600)
    try:
        _lock(descriptor)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def give_up(path: str, descriptor: int) -> None:
    """Let go of a lock that `take` gave, for good: its file goes, too, where that is possible."""
    if sys.platform == "win32":
        # It removes no file that is open, be it here or by another who waits for the lock.
        os.close(descriptor)
        with suppress(OSError):
            os.unlink(path)
        return
    # Before somebody else can have the lock: who then has it sees that its file is no more.
    with suppress(OSError):
        os.unlink(path)
    os.close(descriptor)


def is_of(path: str, descriptor: int) -> bool:
    """The file that the descriptor holds is still the one at `path`."""
    try:
        return os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(descriptor))
    except OSError:
        return False


if sys.platform == "win32":

    def _lock(descriptor: int) -> None:
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError(*error.args) from None

else:

    def _lock(descriptor: int) -> None:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
