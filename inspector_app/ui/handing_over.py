"""A start hands its files to the window that is open, before anything of Qt is imported.

Standard library only: fifty double clicks at once are fifty of these, and one window.
"""

from __future__ import annotations

import os
import sys
from time import monotonic, sleep
from typing import NamedTuple

from inspector_app.ui import file_lock
from inspector_app.ui.meeting_place import MeetingPlace
from inspector_app.ui.window_protocol import (
    LINE_BYTES,
    MESSAGE_BYTES,
    PROTOCOL,
    TAKEN,
    Request,
    read_answer,
    read_greeting,
    request_line,
)

# A window greets between two steps of what it does, which take milliseconds. One that does
# not in this time, and has not computed anything either, is stopped or stuck: the files get a
# window of their own.
QUIET_SECONDS = 3.0
# On a machine that is busy with fifty starts it may take longer, and its tabs longer still.
LONGEST_GREETING_SECONDS = 20.0
LONGEST_ANSWER_SECONDS = 60.0
# Another start has the lock and no socket yet, or a window that was closed still ends.
STARTING_SECONDS = 30.0
_PAUSE_SECONDS = 0.025

NOBODY, STUCK, OTHER_VERSION = "nobody", "stuck", "other-version"


class Meeting(NamedTuple):
    """What a start found.

    Attributes:
        handed: an open window has taken the files.
        lock: the descriptor by which this process is the one with the window, if it is.
        reason: why it opens a window although another has the lock: `STUCK` or `OTHER_VERSION`.
    """

    handed: bool = False
    lock: int | None = None
    reason: str = ""


def meet(place: MeetingPlace, request: Request) -> Meeting:
    """Be the process with the window, or let the one that is have the files."""
    deadline = monotonic() + STARTING_SECONDS
    while True:
        try:
            lock = file_lock.take(place.lock)
        except OSError:
            return Meeting()  # locks are not to be had there: each start has its window
        if lock is not None:
            return Meeting(lock=lock)
        said = talk(place.socket, request)
        if said == TAKEN:
            return Meeting(handed=True)
        if said != NOBODY or monotonic() > deadline:
            return Meeting(reason=OTHER_VERSION if said == OTHER_VERSION else STUCK)
        sleep(_PAUSE_SECONDS)


def talk(socket_name: str, request: Request) -> str:
    """Ask the window that listens to open the files.

    Returns:
        `TAKEN`; `NOBODY` if there is no window or it is closing; `STUCK` if it does not answer
        in time; `OTHER_VERSION` if it does not understand.
    """
    try:
        line = _connect(socket_name)
    except TimeoutError:
        return STUCK
    except OSError:
        return NOBODY  # also where more starts at once than may wait: try again
    try:
        greeted = _patiently(line, LONGEST_GREETING_SECONDS)
        if greeted is None:
            return STUCK
        if not greeted:
            return NOBODY
        if read_greeting(greeted) != PROTOCOL:
            return OTHER_VERSION
        said = request_line(request)
        if len(said) > MESSAGE_BYTES:
            return OTHER_VERSION
        line.write(said)
        answered = _patiently(line, LONGEST_ANSWER_SECONDS)
        if answered is None:
            return STUCK
        if not answered:
            return NOBODY
        return TAKEN if read_answer(answered) == TAKEN else OTHER_VERSION
    except OSError:
        return NOBODY
    finally:
        line.close()


def _patiently(line: SocketLine | PipeLine, longest: float) -> bytes | None:
    """Read a line, as long as the window's process does something."""
    deadline = monotonic() + longest
    received = line.read(QUIET_SECONDS)
    while received is None and monotonic() < deadline and line.other_works():
        received = line.read(QUIET_SECONDS)
    return received


class SocketLine:
    """A connection over a local socket.

    `read` returns a line; b"" if the other side ended; None if nothing came in time.
    """

    def __init__(self, path: str) -> None:
        import socket

        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(QUIET_SECONDS)
        try:
            self._socket.connect(path)
        except BaseException:
            self._socket.close()
            raise
        self._received = b""
        self._process = 0
        if hasattr(socket, "SO_PEERCRED"):
            said = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            self._process = int.from_bytes(said[:4], sys.byteorder)  # struct ucred: pid, uid, gid
        self._computed = self._computing()

    def read(self, seconds: float) -> bytes | None:
        deadline = monotonic() + seconds
        while not self._received.endswith(b"\n") and len(self._received) < LINE_BYTES:
            left = deadline - monotonic()
            if left <= 0:
                return None
            self._socket.settimeout(left)
            try:
                data = self._socket.recv(LINE_BYTES)
            except TimeoutError:
                return None
            if not data:
                return b""
            self._received += data
        received, self._received = self._received, b""
        return received

    def other_works(self) -> bool:
        """Whether the window's process has computed since this was asked last."""
        before, self._computed = self._computed, self._computing()
        return self._computed > before

    def _computing(self) -> int:
        """The processor time of the window's process, in ticks; 0 where that is not told."""
        try:
            with open(f"/proc/{self._process}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            return 0
        return int(fields[11]) + int(fields[12])  # proc(5): utime, stime

    def write(self, data: bytes) -> None:
        self._socket.settimeout(QUIET_SECONDS)
        self._socket.sendall(data)

    def close(self) -> None:
        self._socket.close()


class PipeLine:
    """A connection over a pipe of Windows, whose reads have no time limit: a thread reads.

    What it can do is what `SocketLine` can.
    """

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
        self._received = b""
        self._reading = False

    def read(self, seconds: float) -> bytes | None:
        from threading import Thread

        self._received, self._reading = b"", True
        thread = Thread(target=self._read, daemon=True)
        thread.start()
        thread.join(seconds)
        return None if self._reading else self._received

    def other_works(self) -> bool:
        """Windows would tell, but nobody has tried: it is taken for stuck."""
        return False

    def _read(self) -> None:
        received = b""
        try:
            while not received.endswith(b"\n") and len(received) < LINE_BYTES:
                data = os.read(self._descriptor, LINE_BYTES)
                if not data:
                    received = b""
                    break
                received += data
        except OSError:
            received = b""
        self._received = received
        self._reading = False

    def write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._descriptor, data) :]

    def close(self) -> None:
        # A thread that still reads would make it wait.
        if not self._reading:
            os.close(self._descriptor)


def _connect(socket_name: str) -> SocketLine | PipeLine:
    if sys.platform == "win32":
        import ctypes

        # Who was started by a click may come to the front, and lets the window do so.
        ctypes.windll.user32.AllowSetForegroundWindow(-1)
        return PipeLine(rf"\\.\pipe\{socket_name}")
    _refuse_another_users(socket_name)
    return SocketLine(socket_name)


def _refuse_another_users(path: str) -> None:
    if sys.platform != "win32" and os.lstat(path).st_uid != os.getuid():
        raise PermissionError(path)
