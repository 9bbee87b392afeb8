"""Work that is done within the event that asks for it, if it is small, and else in slices."""

from __future__ import annotations

from collections.abc import Callable, Generator
from time import perf_counter
from typing import Any

from PySide6.QtCore import QObject

from inspector_app.ui.tasks import SLICE_SECONDS, Steps


class Task(QObject):
    """Does one thing at a time; a newer one drops the older.

    What is small is done at once: a window that answers in the same frame does not flicker.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._steps: Steps | None = None

    @property
    def is_running(self) -> bool:
        """Something was begun and is neither done nor dropped."""
        return self._steps is not None

    def run(self, work: Generator[Any, None, Any], done: Callable[[Any], None]) -> bool:
        """Do `work` and hand its result to `done`; True if that has happened already."""
        self.cancel()
        end = perf_counter() + SLICE_SECONDS
        try:
            while perf_counter() < end:
                next(work)
        except StopIteration as stop:
            done(stop.value)
            return True

        def finished(result: object) -> None:
            self._end()
            done(result)

        self._steps = Steps(work, self)
        self._steps.finished.connect(finished)
        self._steps.failed.connect(self._failed)
        self._steps.start()
        return False

    def cancel(self) -> None:
        """Drop what is being done."""
        if self._steps is not None:
            self._steps.cancel()
            self._end()

    def _end(self) -> None:
        if self._steps is not None:
            self._steps.deleteLater()
            self._steps = None

    def _failed(self, error: Exception) -> None:
        self._end()
        raise error
