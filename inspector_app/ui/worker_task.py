"""One request to a worker process at a time, without holding up the window."""

from __future__ import annotations

from collections.abc import Generator

from PySide6.QtCore import QObject, Signal

from inspector_app.ui.latest_work import LatestWork
from inspector_app.worker.client import events
from inspector_app.worker.failures import Failed
from inspector_app.worker.protocol import Event, Finished, Log, Progress, Request

# How soon a cancelled worker dies.
TICK_SECONDS = 0.05


class WorkerTask(QObject):
    """Asks a worker; a new request takes the place of the one that runs.

    Signals:
        progress: a `Progress`.
        log: a line that the model's code printed.
        part: a worker has ended, with this `Finished` or `Failed`.
        finished: the request's result, or what `run`'s generator returned.
        failed: a `Failed`.

    Exactly one of `finished` and `failed` is emitted, as the last, or neither after a cancel.
    """

    progress = Signal(object)
    log = Signal(str)
    part = Signal(object)
    finished = Signal(object)
    failed = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._work = LatestWork(self)
        self._last: Finished | Failed | None = None

    @property
    def running(self) -> bool:
        """A request is being done."""
        return self._work.running

    def ask(self, request: Request, interpreter: str, folder: str | None = None) -> None:
        """Begin `request`."""
        self.run(events(request, interpreter, folder=folder, tick=TICK_SECONDS))

    def run(self, steps: Generator[Event | None, None, object]) -> None:
        """Begin what asks several workers, one after the other."""
        self._last = None
        self._work.run(steps, self._arrived, self._ended, self._raised)

    def cancel(self) -> None:
        """End it: the process is killed at once, and nothing is emitted any more."""
        self._work.cancel()

    def stop(self) -> None:
        """Cancel, and return when the process is gone."""
        self._work.stop()

    def _arrived(self, event: Event | None) -> None:
        if isinstance(event, Progress):
            self.progress.emit(event)
        elif isinstance(event, Log):
            self.log.emit(event.text)
        elif isinstance(event, (Finished, Failed)):
            self._last = event
            self.part.emit(event)

    def _ended(self, outcome: object) -> None:
        if outcome is not None:
            self.finished.emit(outcome)
        elif isinstance(self._last, Finished):
            self.finished.emit(self._last.result)
        elif self._last is not None:
            self.failed.emit(self._last)

    def _raised(self, error: Exception) -> None:
        if isinstance(error, OSError):
            reason = error.strerror or str(error)
            details = {"file": str(error.filename or ""), "reason": reason}
            self.failed.emit(Failed("not-writable", details))
        else:
            details = {"error": f"{type(error).__name__}: {error}"}
            self.failed.emit(Failed("worker-fault", details))
