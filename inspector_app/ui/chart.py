"""What painted charts have in common: marks that are pointed at, clicked, and walked by key."""

from __future__ import annotations

from typing import ClassVar

from PySide6.QtCore import QEvent, QPoint, QSize, Qt, Signal
from PySide6.QtGui import QFocusEvent, QHelpEvent, QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from inspector_app.ui.copying import offer_picture
from inspector_app.ui.text_widgets import tooltip

NOWHERE = -1
_TOLD_AT_ONCE = 6  # marks that are read out where none is current


class Chart(QWidget):
    """Some marks in a row or a column, each with a place, counted from 0.

    A chart says how many marks it has (`_count`), which one is at a point (`place_at`), and
    what it stands for, in words (`_sentence`); it paints them, and those that `is_current`
    and `is_hovered` say so of in another way. Which keys go on and back is its own.

    Signals:
        chosen: a mark's place, by click or by the Return, Enter or space key.
    """

    chosen = Signal(int)

    ON: ClassVar[Qt.Key] = Qt.Key.Key_Down
    BACK: ClassVar[Qt.Key] = Qt.Key.Key_Up

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._current = NOWHERE
        self._hovered = NOWHERE
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(title)
        offer_picture(self, self._sentences)

    def _count(self) -> int:
        raise NotImplementedError

    def _sentence(self, place: int) -> str:
        """A mark in words, made plain."""
        raise NotImplementedError

    def place_at(self, point: QPoint) -> int:
        """The place of the mark at a point of the widget, or `NOWHERE`."""
        raise NotImplementedError

    def is_current(self, place: int) -> bool:
        """The keys are at this mark."""
        return place == self._current and self.hasFocus()

    def is_hovered(self, place: int) -> bool:
        """The pointer is at this mark."""
        return place == self._hovered

    def set_title(self, title: str) -> None:
        """Call the chart otherwise, for those who do not see it."""
        self.setAccessibleName(title)

    def minimumSizeHint(self) -> QSize:
        return QSize(120, self.sizeHint().height())

    def _marks_changed(self) -> None:
        """To be called when there are other marks."""
        self._current = min(self._current, self._count() - 1)
        self._hovered = NOWHERE
        self._say()
        self.updateGeometry()
        self.update()

    # Mouse

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._hover(self.place_at(event.position().toPoint()))

    def leaveEvent(self, event: QEvent) -> None:
        self._hover(NOWHERE)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        place = self.place_at(event.position().toPoint())
        if place != NOWHERE and event.button() == Qt.MouseButton.LeftButton:
            self._go_to(place)
            self.chosen.emit(place)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            place = self.place_at(event.pos())
            if place != NOWHERE:
                QToolTip.showText(event.globalPos(), tooltip(self._sentence(place)), self)
            else:
                QToolTip.hideText()
            return True
        return super().event(event)

    def _hover(self, place: int) -> None:
        if place != self._hovered:
            self._hovered = place
            pointing = place != NOWHERE
            self.setCursor(
                Qt.CursorShape.PointingHandCursor if pointing else Qt.CursorShape.ArrowCursor
            )
            self.update()

    # Keys

    def keyPressEvent(self, event: QKeyEvent) -> None:
        last = self._count() - 1
        key = event.key()
        # At either end a key is left to what the chart lies in, which may scroll.
        if last < 0:
            super().keyPressEvent(event)
        elif key == self.ON and self._current < last:
            self._go_to(self._current + 1)
        elif key == self.BACK and self._current > 0:
            self._go_to(self._current - 1)
        elif key == Qt.Key.Key_Home:
            self._go_to(0)
        elif key == Qt.Key.Key_End:
            self._go_to(last)
        elif key in {Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space}:
            self.chosen.emit(max(self._current, 0))
        else:
            super().keyPressEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        if self._count() and self._current == NOWHERE:
            self._go_to(0)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.update()

    def _go_to(self, place: int) -> None:
        self._current = place
        self._say()
        self.update()

    def _sentences(self) -> str:
        return "\n".join(map(self._sentence, range(self._count())))

    def _say(self) -> None:
        """To those who do not see it: the mark that the keys are at, or the first few."""
        if self._current != NOWHERE:
            said = self._sentence(self._current)
        else:
            said = ", ".join(map(self._sentence, range(min(self._count(), _TOLD_AT_ONCE))))
        self.setAccessibleDescription(said)
