"""The latest of several works in the background: one begins, the one before it ends."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from PySide6.QtCore import QObject, QTimer

from inspector_app.ui.background import Background

SWEEP_MS = 200
Told = tuple[Callable[[Any], object], Callable[[Any], object], Callable[[Exception], object]]


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
        self._told: Told | None = None
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
        # Kept here, not in the connections: a connection that owns this object, or its owner,
        # would let go of it while `work`, which is part of it, is being deleted.
        self._told = (progress, finished, failed)
        work.progress.connect(self._progressed)
        work.finished.connect(self._finished)
        work.failed.connect(self._failed)
        work.start()

    def cancel(self) -> None:
        """Drop what is running; returns at once."""
        if self._current is not None and self._generator is not None:
            self._current.cancel()
            self._ending.append((self._current, self._generator))
            self._sweep.start()
        self._current = self._generator = self._told = None

    def stop(self) -> None:
        """Cancel, and return when no thread is left that could read."""
        self.cancel()
        for work, _ in self._ending:
            work.wait()
        self._remove_ended()

    def _progressed(self, value: Any) -> None:
        if self._told is not None:
            self._told[0](value)

    def _finished(self, value: Any) -> None:
        told = self._end()
        if told is not None:
            told[1](value)

    def _failed(self, error: Exception) -> None:
        told = self._end()
        if told is not None:
            told[2](error)

    def _end(self) -> Told | None:
        work, told = self._current, self._told
        self._current = self._generator = self._told = None
        if work is not None:
            work.deleteLater()
        return told

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
