"""Our window, started as people start it. Prints when the tree was painted, and its memory.

python -m tests.benchmarks.inspector_window BEGIN FILE
"""

from __future__ import annotations

# ruff: noqa: E402
import json
import sys
import time

from inspector_app.ui import app

# In the order of a real start: what has nothing to do with Qt comes before it.
app.import_ahead()

from PySide6.QtCore import QEvent, QObject, QTimer
from PySide6.QtWidgets import QAbstractItemView, QApplication

from inspector_app import cli
from inspector_app.ui import windows
from inspector_app.ui.checkpoint_tab import CheckpointTab
from tests.benchmarks.process import memory

# What opening a file may never need.
HEAVY = ("torch", "onnx", "numba", "numpy", "pyqtgraph")


class FirstPaint(QObject):
    """Notes when the tree's rows are painted first, and reports once the tab is settled."""

    def __init__(self, begin: float, tab: CheckpointTab) -> None:
        super().__init__(tab)
        self.begin = begin
        self.tab = tab
        self.view = tab.tree.findChild(QAbstractItemView)
        self.seconds = 0.0
        self.view.viewport().installEventFilter(self)
        tab.settled.connect(lambda: QTimer.singleShot(0, self, self.report))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        model = self.view.model()
        if event.type() == QEvent.Type.Paint and model is not None and model.rowCount():
            watched.removeEventFilter(self)
            # After this event, not in it: what is painted is on the screen then.
            QTimer.singleShot(0, self, self.painted)
        return False

    def painted(self) -> None:
        self.seconds = time.monotonic() - self.begin
        self.report()

    def report(self) -> None:
        if not self.seconds or not self.tab.is_settled():
            return
        if self.tab.error is not None:
            raise self.tab.error
        said = {
            "seconds": self.seconds,
            "settled": time.monotonic() - self.begin,
            "tensors": len(self.tab.checkpoint.tensors),
            "heavy": [name for name in HEAVY if name in sys.modules],
            **memory(),
        }
        print(json.dumps(said), flush=True)
        QApplication.closeAllWindows()


class WatchedWindow(windows.MainWindow):
    """The window itself; each tab is looked at before it reads its file."""

    def open_paths(self, paths):  # type: ignore[no-untyped-def]
        tabs = super().open_paths(paths)
        self.watched = [FirstPaint(float(sys.argv[1]), tab) for tab in tabs]
        return tabs


windows.MainWindow = WatchedWindow
sys.exit(cli.run(["open", sys.argv[2]]))
