"""Whether the event loop turns: what the measured windows listen to."""

from __future__ import annotations

import time
from collections.abc import Callable

from PySide6.QtCore import QEventLoop, QObject, Qt, QTimer
from PySide6.QtWidgets import QApplication

PATIENCE = 300.0


class Heartbeat(QObject):
    """Notes the longest time between two turns of the event loop.

    Args:
        every: milliseconds between beats. 0 is a loop that is never idle: what waits for the
            window to be so takes longer then.
    """

    def __init__(self, every: int = 0) -> None:
        super().__init__()
        self.restart()
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._beat)
        self._timer.start(every)

    def _beat(self) -> None:
        now, worked = time.perf_counter(), time.process_time()
        self.longest = max(self.longest, now - self._last)
        self.most_work = max(self.most_work, worked - self._worked)
        self._last, self._worked = now, worked

    def restart(self) -> None:
        self.longest = self.most_work = 0.0
        self._last, self._worked = time.perf_counter(), time.process_time()


def wait(done: Callable[[], bool]) -> None:
    """Run the event loop until `done`, and once more, so that what changed is painted.

    A heart must beat, or nothing may happen that ends the waiting.
    """
    end = time.monotonic() + PATIENCE
    while not done():
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)
        if time.monotonic() > end:
            raise TimeoutError("the window did not become ready")
    QApplication.processEvents()
