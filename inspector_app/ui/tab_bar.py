"""The bar of the tabs: the middle button closes one, and a tab pulled out of it is its file."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPoint, QPointF, Qt, Signal
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QTabBar, QWidget

PULLED_OUT = 28  # pixels beyond the bar: moving a tab along it is not meant to leave it


class DocumentTabBar(QTabBar):
    """Tabs that can be moved, closed and dragged to another program.

    Signals:
        close_wanted: of the tab at this place.
        pulled_out: the tab at this place is being dragged out of the bar.
    """

    close_wanted = Signal(int)
    pulled_out = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pressed = -1
        self._middle = -1

    def mousePressEvent(self, event: QMouseEvent) -> None:
        place = self.tabAt(event.position().toPoint())
        if event.button() == Qt.MouseButton.MiddleButton:
            self._middle = place
            return
        self._pressed = place if event.button() == Qt.MouseButton.LeftButton else -1
        super().mousePressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        point = event.position().toPoint()
        if self._pressed >= 0 and _beyond(point.y(), self.height()) > PULLED_OUT:
            self._pressed = -1
            self._let_go(event)
            self.pulled_out.emit(self.currentIndex())
            return
        super().mouseMoveEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.MiddleButton:
            place = self.tabAt(event.position().toPoint())
            if place >= 0 and place == self._middle:
                self.close_wanted.emit(place)
            self._middle = -1
            return
        self._pressed = -1
        super().mouseReleaseEvent(event)

    def _let_go(self, event: QMouseEvent) -> None:
        """Put the tab back where it is along the bar: the drag takes the button's release."""
        left, nothing = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
        point = QPointF(QPoint(event.position().toPoint().x(), self.height() // 2))
        released = QMouseEvent(
            QEvent.Type.MouseButtonRelease,
            point,
            event.globalPosition(),
            left,
            nothing,
            event.modifiers(),
        )
        super().mouseReleaseEvent(released)


def _beyond(place: int, length: int) -> int:
    return max(-place, place - length, 0)
