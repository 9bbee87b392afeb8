"""Does something once something else has come true, for what tells nobody that it has."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, QTimer

POLL_MS = 40
LONGEST_MS = 60_000


class WaitingFor(QObject):
    """Asks now and then, and gives up after a minute.

    Args:
        condition: asked on the window's thread; cheap.
        then: called once.
        parent: what both are about: with it this ends.
    """

    def __init__(
        self, condition: Callable[[], bool], then: Callable[[], object], parent: QObject
    ) -> None:
        super().__init__(parent)
        self._condition = condition
        self._then = then
        self._left = LONGEST_MS // POLL_MS
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self._ask)
        self._timer.start()

    def _ask(self) -> None:
        self._left -= 1
        come = self._condition()
        if come or self._left <= 0:
            self._timer.stop()
            self.deleteLater()
            if come:
                self._then()
