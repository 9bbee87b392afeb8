"""Starts a worker and yields its events: the same for window and command line.

    for event in events(request, interpreter):
        ...

The last event is `Finished` or `Failed`, whatever becomes of the process. Closing the
generator cancels: the worker and all that it started are killed, and its temporary files
are removed. A window steps ``events(..., tick=0.05)`` in a thread, or polls a `Worker`.
"""

from __future__ import annotations

import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import IO

from inspector_app.worker.failures import Failed
from inspector_app.worker.process_tree import MARK, SCRATCH, end_tree
from inspector_app.worker.protocol import (
    BadMessage,
    Event,
    Finished,
    Log,
    Request,
    read_event,
    write_request,
)

MAIN = Path(__file__).with_name("main.py")
VMSTAT = "/proc/vmstat"

_LONGEST_EVENT = 1 << 28
_LONGEST_LINE = 8_000
_LINES_KEPT = 60
_FATAL = "Fatal Python error: "
# More lines than this wait in the pipe, and the worker with them.
_PENDING = 2_000
_CHECK_SECONDS = 0.2
_LAST_WORDS_SECONDS = 2.0

_Line = tuple[str, bytes]


def events(
    request: Request,
    interpreter: str = "",
    *,
    folder: str | None = None,
    tick: float | None = None,
) -> Generator[Event | None, None, None]:
    """Let a worker do `request`; yield its events, the last of which ends it.

    Args:
        request: what to do.
        interpreter: a Python's path; "" for this one.
        folder: the working directory, which modules are also imported from.
        tick: yield None whenever nothing has happened for so many seconds, so that who
            drives this in a thread can end it.
    """
    with closing(Worker(request, interpreter, folder)) as worker:
        while not worker.ended:
            event = worker.poll(_CHECK_SECONDS if tick is None else tick)
            if event is not None or (tick is not None and not worker.ended):
                yield event


class Worker:
    """One worker process. One thread polls it; any thread may close it.

    Attributes:
        ended: its last event has been handed out, or it was closed.
        pid: of the process, or 0 if it could not be started.
    """

    def __init__(self, request: Request, interpreter: str = "", folder: str | None = None) -> None:
        self.ended = False
        self.pid = 0
        self._interpreter = interpreter or sys.executable
        self._arrived: queue.Queue[_Line] = queue.Queue(_PENDING)
        self._tail: deque[str] = deque(maxlen=_LINES_KEPT)
        self._last: Event | None = None
        self._left: deque[_Line] = deque()
        self._status = 0
        self._readers: list[threading.Thread] = []
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._mark = uuid.uuid4().hex
        self._kills = _oom_kills()
        self._scratch = tempfile.mkdtemp(prefix=SCRATCH)
        if not interpreter and getattr(sys, "frozen", False):
            # A bundle is a program of its own, and no interpreter.
            self._last = Failed("no-interpreter")
            return
        try:
            self._start(folder)
        except OSError as error:
            details = {"interpreter": self._interpreter, "reason": str(error.strerror)}
            self._last = Failed("interpreter-not-found", details)
        else:
            self._ask(request)

    def poll(self, timeout: float = 0.0) -> Event | None:
        """The next event; None if there is none within `timeout` seconds."""
        if self.ended:
            return None
        if self._last is None:
            with suppress(queue.Empty):
                event = self._read(*self._arrived.get(timeout=timeout))
                if not isinstance(event, (Finished, Failed)):
                    return event
                self._last = event
            if self._last is None and not self._gone():
                return None
            self._end()
        # What was printed before the last event comes before it.
        while (line := self._next_line()) is not None:
            event = self._read(*line)
            if isinstance(event, (Finished, Failed)):
                self._last = self._last or event
            else:
                return event
        self.ended = True
        event = self._last or self._death()
        self.close()
        return event

    def close(self) -> None:
        """End it and all that it started, and remove its temporary files."""
        self.ended = True
        self._end()

    def _start(self, folder: str | None) -> None:
        options: dict[str, object] = {"start_new_session": True}
        if sys.platform == "win32":
            options = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        self._process = subprocess.Popen(
            [self._interpreter, str(MAIN)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env=_environment(self._scratch, self._mark),
            **options,  # type: ignore[call-overload]
        )
        self.pid = self._process.pid
        if sys.platform == "win32":
            from inspector_app.worker.windows_job import Job

            self._job = Job(self._process)
        for name, stream, lines in (
            ("events", self._process.stdout, _event_lines),
            ("log", self._process.stderr, _log_lines),
        ):
            assert stream is not None
            reader = threading.Thread(
                target=self._pump, args=(name, lines(stream)), name=f"worker-{name}", daemon=True
            )
            self._readers.append(reader)
            reader.start()

    def _ask(self, request: Request) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        with suppress(OSError):  # it has died: `poll` says of what
            self._process.stdin.write(write_request(request).encode())
            self._process.stdin.flush()

    def _pump(self, name: str, lines: Iterator[bytes]) -> None:
        for line in lines:
            while not self._closing.is_set():
                try:
                    self._arrived.put((name, line), timeout=_CHECK_SECONDS)
                    break
                except queue.Full:
                    continue

    def _read(self, name: str, line: bytes) -> Event:
        if name == "log":
            text = line.decode("utf-8", "replace")
            if text.strip():
                self._tail.append(text)
            return Log(text)
        try:
            return read_event(line.decode())
        except (BadMessage, UnicodeDecodeError) as error:
            return Failed("protocol", {"reason": str(error)})

    def _gone(self) -> bool:
        """It has died without a last event, and nothing more can come."""
        process = self._process
        if process is None or _has_exited(process):
            # What it wrote before is still being read, unless a child keeps the pipe open.
            end = time.monotonic() + _LAST_WORDS_SECONDS
            while self._arrived.empty() and time.monotonic() < end:
                if not any(reader.is_alive() for reader in self._readers):
                    break
                time.sleep(0.01)
            return self._arrived.empty()
        return False

    def _end(self) -> None:
        """Kill, read what is left, wait. Safe to call again."""
        with self._lock:
            process, self._process = self._process, None
            if process is not None:
                end_tree(process.pid, self._mark)
                if sys.platform == "win32":
                    self._job.close()
                self._status = process.wait()
                self._take_last_words()
                for stream in (process.stdin, process.stdout, process.stderr):
                    if stream is not None:
                        with suppress(OSError):
                            stream.close()
            if self.ended:
                self._closing.set()
                shutil.rmtree(self._scratch, ignore_errors=True)

    def _take_last_words(self) -> None:
        """Keep what is still in the pipes, so that their readers end."""
        if self.ended:
            self._closing.set()
        end = time.monotonic() + _LAST_WORDS_SECONDS
        while any(reader.is_alive() for reader in self._readers) and time.monotonic() < end:
            with suppress(queue.Empty):
                self._left.append(self._arrived.get(timeout=0.01))
        self._closing.set()

    def _next_line(self) -> _Line | None:
        if self._left:
            return self._left.popleft()
        with suppress(queue.Empty):
            return self._arrived.get_nowait()
        return None

    def _death(self) -> Failed:
        """Words for a process that ended without a last event."""
        status = self._status
        last = next((line.strip() for line in reversed(self._tail)), "it said nothing")
        # faulthandler says it first; what follows are the stack and the names of libraries.
        last = next((line.strip() for line in self._tail if line.startswith(_FATAL)), last)
        log = "\n".join(self._tail)
        if status >= 0:
            return Failed("worker-ended", {"status": str(status), "last": last}, log)
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"signal {-status}"
        if -status == signal.SIGKILL:
            memory = _oom_kills() > self._kills
            return Failed("worker-out-of-memory" if memory else "worker-killed", {}, log)
        return Failed("worker-crashed", {"signal": name, "last": last}, log)


def _environment(scratch: str, mark: str) -> dict[str, str]:
    """Ours, without what is meant for this interpreter alone."""
    environment = dict(os.environ)
    for name in ("PYTHONHOME", "PYTHONEXECUTABLE", "__PYVENV_LAUNCHER__", "PYTHONINSPECT"):
        environment.pop(name, None)
    if getattr(sys, "frozen", False):
        # A bundle's own libraries are not those of the interpreter. It keeps what was there.
        for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"):
            kept = environment.pop(f"{name}_ORIG", None)
            environment.pop(name, None)
            if kept is not None:
                environment[name] = kept
    # What the model's code leaves in its temporary folder goes with the worker.
    environment.update({"TMPDIR": scratch, "TEMP": scratch, "TMP": scratch, MARK: mark})
    return environment


def _event_lines(stream: IO[bytes]) -> Iterator[bytes]:
    while True:
        line = stream.readline(_LONGEST_EVENT)
        if not line:
            return
        yield line


def _log_lines(stream: IO[bytes]) -> Iterator[bytes]:
    """Lines, without their ends; a carriage return, as of a progress bar, ends one too."""
    rest = b""
    while True:
        part = os.read(stream.fileno(), 1 << 16)
        if not part:
            break
        *lines, rest = (rest + part).replace(b"\r", b"\n").split(b"\n")
        for line in lines:
            if line:
                yield line[:_LONGEST_LINE]
        if len(rest) > _LONGEST_LINE:
            yield rest[:_LONGEST_LINE]
            rest = b""
    if rest:
        yield rest


def _has_exited(process: subprocess.Popen[bytes]) -> bool:
    """Whether it has ended, without waiting for it: until then its number stays its own."""
    if hasattr(os, "waitid"):
        try:
            flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
            return os.waitid(os.P_PID, process.pid, flags) is not None
        except ChildProcessError:
            return True
    return process.poll() is not None


def _oom_kills() -> int:
    """How many processes Linux has killed for want of memory since it was started."""
    try:
        with open(VMSTAT) as file:
            return next((int(line.split()[1]) for line in file if line.startswith("oom_kill ")), 0)
    except OSError:
        return 0
