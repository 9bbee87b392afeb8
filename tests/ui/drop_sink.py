"""A window of another program: says which files were dropped on it, and how large they are.

python drop_sink.py X Y
"""

from __future__ import annotations

import os
import sys

from PySide6.QtCore import Qt
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QApplication, QLabel


class Sink(QLabel):
    """Takes files, as a file manager does: it asks for them when they are dropped."""

    def __init__(self) -> None:
        super().__init__("drop here")
        self.setWindowTitle("drop sink")
        self.setAcceptDrops(True)
        self.setWindowFlags(Qt.WindowType.FramelessWindowHint | Qt.WindowType.WindowStaysOnTopHint)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if event.mimeData().hasFormat("text/uri-list"):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        event.acceptProposedAction()
        for url in event.mimeData().urls():
            path = url.toLocalFile()
            print(f"{os.path.getsize(path)} {path}", flush=True)
        print("that is all", flush=True)


if __name__ == "__main__":
    application = QApplication(sys.argv[:1])
    sink = Sink()
    sink.setGeometry(int(sys.argv[1]), int(sys.argv[2]), 120, 60)
    sink.show()
    sys.exit(application.exec())
