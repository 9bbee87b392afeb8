"""Does something once something else has come true, for what tells nobody that it has."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, QTimer

POLL_MS = 40
# What has not come for as long may take hours, as a drive that is gone: no hurry any more.
QUICK_MS = 60_000
SLOW_POLL_MS = 1_000


class WaitingFor(QObject):
    """Asks now and then, as long as `parent` is there.

    Args:
        condition: asked on the window's thread; cheap.
        then: called once.
        parent: what both are about: with it this ends.
        gives_up: nobody wants it any more after a minute.
    """

    def __init__(
        self,
        condition: Callable[[], bool],
        then: Callable[[], object],
        parent: QObject,
        gives_up: bool = False,
    ) -> None:
        super().__init__(parent)
        self._condition = condition
        self._then = then
        self._gives_up = gives_up
        self._quick = QUICK_MS // POLL_MS
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self._ask)
        self._timer.start()

    def _ask(self) -> None:
        self._quick -= 1
        come = self._condition()
        if come or (self._quick <= 0 and self._gives_up):
            self._timer.stop()
            self.deleteLater()
            if come:
                self._then()
        elif self._quick == 0:
            self._timer.setInterval(SLOW_POLL_MS)
