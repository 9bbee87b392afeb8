"""The latest of several works on the window's thread: one begins, the one before it ends."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from PySide6.QtCore import QObject, Signal

from inspector_app.ui.tasks import Steps


class LatestSteps(QObject):
    """Does one work at a time, in slices; a newer one drops the older.

    Signals:
        failed: the exception that ended it.
    """

    failed = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._steps: Steps | None = None

    @property
    def running(self) -> bool:
        """A work was begun and has neither ended nor been dropped."""
        return self._steps is not None

    def run(self, work: Generator[Any, None, Any], done: Callable[[Any], object]) -> None:
        """Begin `work`; `done` gets what it returns."""
        self.cancel()
        steps = self._steps = Steps(work, self)

        def finished(result: object) -> None:
            self.cancel()
            done(result)

        steps.finished.connect(finished)
        steps.failed.connect(self._failed)
        steps.start()

    def cancel(self) -> None:
        """Drop what is being done."""
        if self._steps is not None:
            self._steps.cancel()
            self._steps.deleteLater()
            self._steps = None

    def _failed(self, error: Exception) -> None:
        self.cancel()
        self.failed.emit(error)
