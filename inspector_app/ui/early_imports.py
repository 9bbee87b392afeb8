"""What the pictures of values are made of, imported before somebody waits for it.

Not before the tree has been painted and looked at for a moment, though. The imports run in a
thread, between whose steps the window goes first.
"""

from __future__ import annotations

from collections.abc import Generator
from importlib import import_module

from PySide6.QtCore import QObject, QTimer, Signal

from inspector_app.ui.latest_work import LatestWork

# Reading a name in the tree takes longer; a start that only paints is over by then.
AHEAD_MS = 1_000
_NAMES = (
    "numpy",
    "ml_dtypes",
    "inspector_app.analysis.decimate",
    "pyqtgraph",
    "inspector_app.ui.heatmap_view",
)


class EarlyImports(QObject):
    """Imports once, in the background.

    Signals:
        ready: it is done. What could not be imported is told by who needs it.
    """

    ready = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.is_ready = False
        self._work = LatestWork(self)
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(AHEAD_MS)
        self._later.timeout.connect(self.begin)

    def expect(self) -> None:
        """It will be needed: begin when the window has had its time."""
        if not self.is_ready:
            self._later.start()

    def begin(self) -> None:
        """It is needed now."""
        self._later.stop()
        if not self.is_ready and not self._work.running:
            self._work.run(_importing(), lambda _: None, self._over, self._over)

    def stop(self) -> None:
        """Return when no import is going on."""
        self._later.stop()
        self._work.stop()

    def _over(self, _: object) -> None:
        self.is_ready = True
        self.ready.emit()


def _importing() -> Generator[None, None, None]:
    for name in _NAMES:
        import_module(name)
        yield
