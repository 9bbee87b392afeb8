"""Within the worker: reads one request, drives the generator that does it, sends its events."""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from importlib import import_module
from typing import NoReturn

from inspector_app.worker.failures import Failed, Failure
from inspector_app.worker.process_tree import MARK, SCRATCH
from inspector_app.worker.protocol import (
    BadMessage,
    Event,
    Export,
    Finished,
    Progress,
    Quantize,
    Request,
    Result,
    read_request,
    write_event,
)
from inspector_app.worker.staging import STAGING
from inspector_app.worker.user_errors import described

Doing = Generator[Progress, None, Result]

# Each kind of request, and the generator function that does it: it yields `Progress`, returns
# the result, and raises `Failure` for what has a sentence of its own.
WORK = {
    "probe": "inspector_app.worker.interpreters:probing",
    "describe": "inspector_app.worker.describe:describing",
    "trial": "inspector_app.worker.trial:trying",
    "export": "inspector_app.worker.export:exporting",
    "prove": "inspector_app.worker.proof:proving",
    "probe-methods": "inspector_app.worker.quantize_probe:probing_methods",
    "quantize": "inspector_app.worker.quantize:quantizing",
    "measure": "inspector_app.worker.quantized_truth:measuring",
    "weigh": "inspector_app.worker.quantized_memory:weighing",
    "rehearse": "inspector_app.worker.rehearsal:rehearsing",
    "rates": "inspector_app.worker.learning_rates:looking_ahead",
}
_PARENT_SECONDS = 0.5


class Channel:
    """Where events go. Any thread may send; a forked child of the model's code cannot."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        if hasattr(os, "register_at_fork"):
            # A child that lives on would keep the client waiting for the stream's end.
            os.register_at_fork(after_in_child=self.close)

    def send(self, event: Event) -> None:
        rest = memoryview(write_event(event).encode())
        with self._lock:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]

    def close(self) -> None:
        os.close(self._descriptor)


def serve(requests: int, events: int) -> NoReturn:
    """Do what the line from the descriptor `requests` asks, then wait to be ended.

    The client ends a worker by killing it with all its children, so neither threads that the
    model's code has started nor its exit handlers can hold it up.
    """
    faulthandler.enable()
    _be_first_to_die()
    left: list[str] = []
    _end_with_parent(left)
    channel = Channel(events)
    channel.send(_done(_line(requests), channel, left))
    sys.stdout.flush()
    sys.stderr.flush()
    with suppress(OSError):
        while os.read(requests, 1 << 16):
            pass
    os._exit(0)


def _done(line: str, channel: Channel, left: list[str]) -> Event:
    try:
        request = read_request(line)
    except BadMessage as error:
        return Failed("protocol", {"reason": str(error)})
    left.extend(_own_folders(request))
    try:
        return Finished(_drive(request, channel))
    except Failure as failure:
        return failure.failed
    except BaseException as error:  # SystemExit and KeyboardInterrupt of the model's code too
        return described(error)


def _own_folders(request: Request) -> Iterator[str]:
    """What our client has made for this worker alone; nothing else is ever removed."""
    scratch = os.environ.get("TMPDIR", "")
    if os.environ.get(MARK) and os.path.basename(scratch).startswith(SCRATCH):
        yield scratch
    if isinstance(request, (Export, Quantize)) and request.staging.endswith(STAGING):
        yield request.staging


def _drive(request: Request, channel: Channel) -> Result:
    module, _, name = WORK[request.kind].partition(":")
    work: Doing = getattr(import_module(module), name)(request)
    try:
        while True:
            channel.send(next(work))
    except StopIteration as end:
        result: Result = end.value
        return result


def _line(requests: int) -> str:
    parts = []
    while True:
        part = os.read(requests, 1 << 16)
        parts.append(part)
        if not part or part.endswith(b"\n"):
            return b"".join(parts).decode()


def _be_first_to_die() -> None:
    """Where memory runs out, Linux should kill the worker and not the window."""
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("600")


def _end_with_parent(left: list[str]) -> None:
    """If the window is killed, nobody ends us and removes the folders `left` behind: on
    Windows the job does the first, elsewhere this does both."""
    if sys.platform == "win32":
        return
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_PARENT_SECONDS)
        from inspector_app.worker.process_tree import end_own_tree

        end_own_tree(left)

    threading.Thread(target=watch, name="parent", daemon=True).start()
