"""A splitter whose handle is a hairline with room to grab it."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import QSplitter, QSplitterHandle, QWidget

from inspector_app.ui import theme

HANDLE_WIDTH = 7


class LineSplitter(QSplitter):
    """`QSplitter`, alike in every style."""

    def __init__(self, orientation: Qt.Orientation, parent: QWidget | None = None) -> None:
        super().__init__(orientation, parent)
        self.setHandleWidth(HANDLE_WIDTH)

    def createHandle(self) -> QSplitterHandle:
        return _LineHandle(self.orientation(), self)


class _LineHandle(QSplitterHandle):
    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        colour = QColor(theme.tones(QPalette()).line)
        middle = self.rect().center()
        if self.orientation() == Qt.Orientation.Horizontal:
            painter.fillRect(middle.x(), 0, 1, self.height(), colour)
        else:
            painter.fillRect(0, middle.y(), self.width(), 1, colour)
        painter.end()
