"""Long work in a process of its own: a generator there, and its twin here.

For work that holds Python's lock for long, or needs what a window should not carry: numba
takes 0.2 s and 75 MB to import, and seconds to compile the kernels for the first time, with
the lock held. In a process of its own it stalls nobody, its memory goes when it ends, and
cancelling is killing.

    process = OtherProcess()
    number = process.ask(function, *arguments)
    for value in process.answers(number): ...
    process.end()

`function` is a module's generator function; arguments and what it yields are pickled. That
is safe here: both ends are this program, and nothing that a file made is unpickled. What is
asked while another question is being answered waits its turn. A generator that is to be
stopped quickly yields often.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any, BinaryIO, NoReturn

# In a bundle there is no other interpreter than the program itself (see `cli`).
ARGUMENT = "--other-process"
YIELDED, RETURNED, RAISED = range(3)
_LESS_IMPORTANT = 5  # the window goes first

# The folders are given, for Python would put the current one before them, where anything
# may lie.
_START = (
    "import sys; sys.path[:] = sys.argv[1:]; "
    "from inspector_app.analysis.other_process import serve; serve()"
)


class ProcessEnded(Exception):
    """The process ended without having been asked to, for example for want of memory."""


class OtherProcess:
    """Starts with the first question. Threads may share it, and any of them may end it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = False
        self._asked = 0
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._reading = threading.Lock()
        self._kept: dict[int, deque[tuple[int, Any]]] = {}

    def ask(self, function: Callable[..., Generator[Any, None, Any]], *arguments: Any) -> int:
        """Let `function` run there; the number of this question.

        Raises:
            OSError: no process can be started.
        """
        with self._sending:
            self._asked += 1
            self._kept[self._asked] = deque()
            self._send((self._asked, function, arguments))
            return self._asked

    def answers(self, number: int) -> Generator[Any, None, Any]:
        """What the function of question `number` yields and returns, or its exception.

        Closing the generator stops the function; what it says meanwhile is dropped. Where the
        process was ended by `end`, so is this. It begins when the answers to another question,
        if a thread takes them, have been taken or closed.

        Raises:
            ProcessEnded: it ended by itself.
        """
        with self._reading:
            return (yield from self._answers(number))

    def _answers(self, number: int) -> Generator[Any, None, Any]:
        over = False
        try:
            while True:
                said = self._next(number)
                if said is None:
                    over = True
                    return None
                what, value = said
                if what != YIELDED:
                    over = True
                    if what == RAISED:
                        raise value
                    return value
                yield value
        finally:
            if over:
                self._kept.pop(number, None)
            else:
                self.drop(number)

    def _next(self, number: int) -> tuple[int, Any] | None:
        """The next answer to question `number`; those to others are kept for who asked."""
        mine = self._kept[number]
        while not mine:
            said = self._receive()
            if said is None:
                return None
            about, what, value = said
            if about in self._kept:
                self._kept[about].append((what, value))
        return mine.popleft()

    def drop(self, number: int) -> None:
        """Nobody wants the answers to a question any more: it is stopped, or never begun."""
        with self._sending:
            if self._kept.pop(number, None) is not None:
                self._send((number, None, ()))

    def end(self) -> None:
        """Kill it, whatever it is doing. Nothing can be asked afterwards."""
        with self._lock:
            self._ended = True
            process = self._process
        if process is not None:
            process.kill()
            process.wait()
            assert process.stdin is not None
            assert process.stdout is not None
            with suppress(OSError):  # what was not sent yet
                process.stdin.close()
            process.stdout.close()

    def _send(self, question: object) -> None:
        process = self._started()
        if process is None:
            return
        assert process.stdin is not None
        # A process that is gone is told by what is received.
        with suppress(OSError, ValueError):
            pickle.dump(question, process.stdin, pickle.HIGHEST_PROTOCOL)
            process.stdin.flush()

    def _receive(self) -> tuple[int, int, Any] | None:
        process = self._started()
        if process is None:
            return None
        assert process.stdout is not None
        try:
            said: tuple[int, int, Any] = pickle.load(process.stdout)
        except (EOFError, OSError, ValueError, pickle.UnpicklingError):
            # It was ended here, meanwhile, or by itself.
            if self._started() is None:
                return None
            raise ProcessEnded(_ending(process.wait())) from None
        return said

    def _started(self) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if self._process is None and not self._ended:
                self._process = subprocess.Popen(
                    _command(),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                )
            return None if self._ended else self._process


def end_all(processes: list[OtherProcess], *_destroyed: object) -> None:
    """End each, and empty the list.

    To be called when who has the list is destroyed, too: a function, since a method of an object
    that is half gone cannot be.
    """
    while processes:
        processes.pop().end()


def _command() -> list[str]:
    if getattr(sys, "frozen", False):
        return [sys.executable, ARGUMENT]
    return [sys.executable, "-c", _START, *sys.path]


def _ending(status: int) -> str:
    if status < 0:
        name = signal.Signals(-status).name if -status in set(signal.Signals) else str(-status)
        return f"the process that computes was ended by signal {name}"
    return f"the process that computes ended with status {status}"


# --- the other side


def serve() -> NoReturn:
    """Answer questions from stdin on stdout, until stdin is closed."""
    # What libraries print must not come between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # meant for who started this
    if hasattr(os, "nice"):
        os.nice(_LESS_IMPORTANT)
    inbox = _Inbox(sys.stdin.buffer)
    while True:
        number, function, arguments = inbox.waiting.get()
        _answer(number, function, arguments, inbox, answers)


class _Inbox:
    """Questions in their order, read by a thread of its own, and which were stopped."""

    def __init__(self, source: BinaryIO) -> None:
        self.waiting: queue.SimpleQueue[tuple[int, Any, Any]] = queue.SimpleQueue()
        self.stopped: set[int] = set()
        threading.Thread(target=self._listen, args=(source,), daemon=True).start()

    def _listen(self, source: BinaryIO) -> None:
        while True:
            try:
                number, function, arguments = pickle.load(source)
            except EOFError:
                # Nobody is there who could want an answer.
                os._exit(0)
            if function is None:
                self.stopped.add(number)
            else:
                self.waiting.put((number, function, arguments))


def _answer(
    number: int, function: Callable[..., Any], arguments: Any, inbox: _Inbox, answers: BinaryIO
) -> None:
    what, value = RETURNED, None
    try:
        steps = function(*arguments)
        try:
            while number not in inbox.stopped:
                _say(answers, (number, YIELDED, next(steps)))
        except StopIteration as stop:
            value = stop.value
        finally:
            steps.close()
    except Exception as error:
        what, value = RAISED, _that_can_be_pickled(error)
    inbox.stopped.discard(number)
    _say(answers, (number, what, value))


def _say(answers: BinaryIO, said: object) -> None:
    try:
        pickle.dump(said, answers, pickle.HIGHEST_PROTOCOL)
        answers.flush()
    except BrokenPipeError:
        os._exit(0)


def _that_can_be_pickled(error: Exception) -> Exception:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
