"""The latest of several works in the background: one begins, the one before it ends."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from PySide6.QtCore import QObject, QTimer

from inspector_app.ui.background import Background

SWEEP_MS = 200


class LatestWork(QObject):
    """Runs one generator at a time in a thread; results of older ones are dropped.

    A work that was cancelled may be within a step: it is kept, without anybody waiting,
    until its thread lets go of it.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._current: Background | None = None
        self._ending: list[tuple[Background, Generator[Any, None, Any]]] = []
        self._generator: Generator[Any, None, Any] | None = None
        self._sweep = QTimer(self)
        self._sweep.setInterval(SWEEP_MS)
        self._sweep.timeout.connect(self._remove_ended)

    @property
    def running(self) -> bool:
        """A work was begun and has neither ended nor been cancelled."""
        return self._current is not None

    def run(
        self,
        generator: Generator[Any, None, Any],
        progress: Callable[[Any], object],
        finished: Callable[[Any], object],
        failed: Callable[[Exception], object],
    ) -> None:
        """Begin `generator` instead of what is running."""
        self.cancel()
        work = self._current = Background(generator, self)
        self._generator = generator
        work.progress.connect(progress)
        work.finished.connect(lambda value: self._ended(work, finished, value))
        work.failed.connect(lambda error: self._ended(work, failed, error))
        work.start()

    def cancel(self) -> None:
        """Drop what is running; returns at once."""
        if self._current is not None and self._generator is not None:
            self._current.cancel()
            self._ending.append((self._current, self._generator))
            self._sweep.start()
        self._current = self._generator = None

    def stop(self) -> None:
        """Cancel, and return when no thread is left that could read."""
        self.cancel()
        for work, _ in self._ending:
            work.wait()
        self._remove_ended()

    def _ended(self, work: Background, tell: Callable[[Any], object], value: Any) -> None:
        if self._current is work:
            self._current = self._generator = None
        work.deleteLater()
        tell(value)

    def _remove_ended(self) -> None:
        still = []
        for work, generator in self._ending:
            if generator.gi_frame is None:
                work.deleteLater()
            else:
                still.append((work, generator))
        self._ending = still
        if not still:
            self._sweep.stop()
