"""The sessions that are kept: of each window that runs, and of the one that was closed last.

Standard library only. In ``windows`` of the state folder each window has a lock that it holds
until it ends, ``ID.json`` with what is open in it and ``ID.crash``, into which Python writes
where it was when the process dies. Whoever finds such files and can have their lock knows that
their window has died. ``last.json`` is what a window had when it was closed.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import replace
from typing import IO, NamedTuple

from inspector_app.ui import file_lock, state_folder
from inspector_app.ui.session import BrokenSessionError, Session, read_session, session_bytes

_FOLDER, _LAST = "windows", "last.json"
_LOCK = re.compile(r"(\d{1,10}-[0-9a-f]{16})\.lock")
_LONGEST_CRASH = 20_000
# More windows than that do not die unnoticed; a full folder is no reason to be slow.
_MOST_DEAD = 50
_MOST_NAMES = 10


class WindowRecord:
    """The files of this window.

    Attributes:
        session, crash: their paths.

    Raises:
        OSError: they cannot be made; nothing will be kept.
    """

    def __init__(self) -> None:
        base, lock = _new_lock(state_folder.make(_FOLDER))
        self.session, self.crash = f"{base}.json", f"{base}.crash"
        self._lock_path = f"{base}.lock"
        self._lock: int | None = lock
        self._log: IO[str] | None = None

    def save(self, session: Session) -> None:
        """Keep what is open.

        Raises:
            OSError: it cannot be written; what was kept before stays.
        """
        state_folder.write(self.session, session_bytes(session))

    def keep_open(self, log: IO[str]) -> None:
        """The file at `crash`, into which Python writes until `end`."""
        self._log = log

    def end(self) -> None:
        """The window was closed: there is nothing to restore."""
        if self._log is not None:
            import faulthandler

            faulthandler.disable()
            self._log.close()
            self._log = None
        for path in (self.session, self.crash):
            with suppress(OSError):
                os.unlink(path)
        if self._lock is not None:
            file_lock.give_up(self._lock_path, self._lock)
            self._lock = None


class DeadWindow(NamedTuple):
    """What a window has left that died.

    Attributes:
        session: what was open.
        crash: where Python was when its process crashed; "" where it was ended from outside.
        broken: where its damaged file was put, or "".
        base: the path of its files without their ending.
        lock: held while this process decides.
    """

    session: Session
    crash: str
    broken: str
    base: str
    lock: int

    def forget_crash(self) -> None:
        """It was reported; what was open is still to be dealt with, by somebody who asks for it."""
        with suppress(OSError):
            if self.session:
                unproven = replace(self.session, unproven=True)
                state_folder.write(f"{self.base}.json", session_bytes(unproven))
            os.unlink(f"{self.base}.crash")

    def forget(self) -> None:
        """It was dealt with."""
        for ending in (".json", ".crash"):
            with suppress(OSError):
                os.unlink(self.base + ending)
        file_lock.give_up(f"{self.base}.lock", self.lock)


def dead_windows() -> list[DeadWindow]:
    """The windows that have died and that no other window deals with."""
    folder = os.path.join(state_folder.folder(), _FOLDER)
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    found: list[DeadWindow] = []
    for name in names:
        match = _LOCK.fullmatch(name)
        if match is not None and len(found) < _MOST_DEAD:
            dead = _dead(os.path.join(folder, match[1]))
            if dead is not None:
                found.append(dead)
    return found


def last_session() -> tuple[Session, str]:
    """What was open when a window was closed last, and where the file was put if it is damaged."""
    return _read(os.path.join(state_folder.folder(), _LAST))


def keep_last(session: Session) -> None:
    """Keep what is open in a window that is being closed.

    Raises:
        OSError: it cannot be written; what was kept before stays.
    """
    state_folder.write(os.path.join(state_folder.make(), _LAST), session_bytes(session))


def _new_lock(folder: str) -> tuple[str, int]:
    """The path of a new window's files without their ending, and its lock.

    Between the making of its file and the lock, another start may take the file for that of a
    window that died, and remove it.
    """
    for _ in range(_MOST_NAMES):
        base = os.path.join(folder, f"{os.getpid()}-{os.urandom(8).hex()}")
        path = f"{base}.lock"
        lock = file_lock.take(path)
        if lock is None:
            continue
        if file_lock.is_of(path, lock):
            return base, lock
        os.close(lock)
    raise BlockingIOError("others take each lock that is made")


def _dead(base: str) -> DeadWindow | None:
    try:
        lock = file_lock.take(f"{base}.lock")
    except OSError:
        return None
    if lock is None:
        return None  # its window is open
    session, broken = _read(f"{base}.json")
    crash = (state_folder.read(f"{base}.crash") or b"")[:_LONGEST_CRASH]
    dead = DeadWindow(session, crash.decode("utf-8", "replace").strip(), broken, base, lock)
    if not session and not dead.crash and not broken:
        dead.forget()
        return None
    return dead


def _read(path: str) -> tuple[Session, str]:
    if not os.path.lexists(path):
        return Session(), ""
    data = state_folder.read(path)
    try:
        return read_session(data if data is not None else b""), ""
    except BrokenSessionError:
        return Session(), state_folder.set_aside(path)
