"""A bare PySide6 window: what any Qt program costs. Prints when it was painted, and its memory."""

from __future__ import annotations

import sys

from PySide6.QtCore import QTimer
from PySide6.QtGui import QPaintEvent
from PySide6.QtWidgets import QApplication, QMainWindow

from tests.benchmarks.process import print_painted


class Bare(QMainWindow):
    """An empty window of the size of ours."""

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        # After this event, not in it: what is painted is on the screen then.
        QTimer.singleShot(0, finish)


def finish() -> None:
    print_painted(float(sys.argv[1]))
    QApplication.quit()


application = QApplication(sys.argv[:1])
bare = Bare()
bare.resize(1280, 800)
bare.show()
sys.exit(application.exec())
