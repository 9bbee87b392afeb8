"""Long work that never blocks the window.

Work that is bound by Python is a plain generator. `Steps` runs it on the UI thread, a slice
at a time: with a busy Python thread beside it every painted cell waits for the GIL (100,000
rows: seconds instead of 24 ms), so a thread would be slower and would freeze the window.
"""

from __future__ import annotations

from collections.abc import Generator
from time import perf_counter
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

SLICE_SECONDS = 0.008  # half a frame at 60 Hz


class Steps(QObject):
    """Runs a generator in slices between the window's events.

    Signals:
        progress: the last object that the generator yielded in a slice.
        finished: the generator's return value.
        failed: the exception that ended it.

    Exactly one of `finished` and `failed` is emitted, or neither if it was cancelled.
    """

    progress = Signal(object)
    finished = Signal(object)
    failed = Signal(object)

    def __init__(self, generator: Generator[Any, None, Any], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._generator: Generator[Any, None, Any] | None = generator
        self._timer = QTimer(self)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._slice)

    @property
    def running(self) -> bool:
        """It was started and has neither ended nor been cancelled."""
        return self._timer.isActive()

    def start(self) -> None:
        """Run the first slice once the window's pending events are done."""
        if self._generator is not None:
            self._timer.start()

    def cancel(self) -> None:
        """Stop and close the generator, so that it frees what it holds. Emits nothing."""
        self._timer.stop()
        generator, self._generator = self._generator, None
        # A generator that cancels its own task cannot be closed from within; it ends at
        # its next yield, because nobody resumes it.
        if generator is not None and not generator.gi_running:
            generator.close()

    def _slice(self) -> None:
        generator = self._generator
        if generator is None:
            return
        latest: Any = None
        signal = self.progress
        end = perf_counter() + SLICE_SECONDS
        try:
            while True:
                latest = next(generator)
                if self._generator is None:  # cancelled from within
                    generator.close()
                    return
                if perf_counter() >= end:
                    break
        except StopIteration as stop:
            self._end()
            signal, latest = self.finished, stop.value
        except Exception as error:
            # Whatever it is, somebody must show it: PySide would print it and go on.
            self._end()
            signal, latest = self.failed, error
        # Out here, so that an error of a listener is not mistaken for the generator's.
        signal.emit(latest)

    def _end(self) -> None:
        self._timer.stop()
        self._generator = None
