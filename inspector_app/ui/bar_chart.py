"""Bars with a name and a figure each, painted by hand: to be clicked, and walked by key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from PySide6.QtCore import QEvent, QPoint, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from inspector_app.checkpoint.text import plain
from inspector_app.ui import theme
from inspector_app.ui.text_widgets import tooltip

AIR = 7
GAP = 8
BAR_HEIGHT = 8
SHORTEST_BAR = 2.0
MOST_OF_NAME = 0.42


class Bar(NamedTuple):
    """One bar.

    Attributes:
        name: text from the file, made plain when it is shown.
        length: its share of the longest, at least 0.
        figure: what it stands for, in words.
        hint: more of that.
        colour: a place in the theme's series.
    """

    name: str
    length: float
    figure: str
    hint: str = ""
    colour: int = 0


class BarChart(QWidget):
    """A row for each bar, as tall as they need.

    Signals:
        chosen: a bar's place, by click or the Return key.
    """

    chosen = Signal(int)

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = title
        self._bars: list[Bar] = []
        self._current = -1
        self._hovered = -1
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._say()

    def bars(self) -> list[Bar]:
        """What is shown."""
        return list(self._bars)

    def set_bars(self, bars: Sequence[Bar]) -> None:
        """Show other bars."""
        self._bars = list(bars)
        self._current = min(self._current, len(self._bars) - 1)
        self._hovered = -1
        self._say()
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(240, self._row_height() * len(self._bars) + 2)

    def minimumSizeHint(self) -> QSize:
        return QSize(120, self.sizeHint().height())

    def row_rect(self, place: int) -> QRect:
        """Where a bar's row is."""
        height = self._row_height()
        return QRect(0, place * height + 1, self.width(), height)

    # Painting

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        palette = self.palette()
        tones = theme.tones(palette)
        metrics = self.fontMetrics()
        named = max(
            (metrics.horizontalAdvance(plain(bar.name, 80)) for bar in self._bars), default=0
        )
        figured = max((metrics.horizontalAdvance(bar.figure) for bar in self._bars), default=0)
        inner = self.width() - 2 * GAP
        named = min(named + 2, int(inner * MOST_OF_NAME))
        room = max(inner - named - figured - 2 * GAP, 12)
        longest = max((bar.length for bar in self._bars), default=0.0)
        for place, bar in enumerate(self._bars):
            row = self.row_rect(place)
            if not row.intersects(event.rect()):
                continue
            self._paint_panel(painter, place, row, palette)
            text = plain(bar.name, 80)
            text = metrics.elidedText(text, Qt.TextElideMode.ElideMiddle, named)
            middle = Qt.AlignmentFlag.AlignVCenter
            painter.setPen(palette.color(QPalette.ColorRole.WindowText))
            name_rect = QRect(GAP, row.top(), named, row.height())
            painter.drawText(name_rect, Qt.AlignmentFlag.AlignLeft | middle, text)
            left = GAP + named + GAP
            top = row.center().y() - BAR_HEIGHT / 2 + 1
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(tones.line))
            painter.drawRoundedRect(QRectF(left, top, room, BAR_HEIGHT), 3, 3)
            if bar.length > 0 and longest > 0:
                width = max(room * bar.length / longest, SHORTEST_BAR)
                series = tones.series
                painter.setBrush(QColor(series[bar.colour % len(series)]))
                painter.drawRoundedRect(QRectF(left, top, width, BAR_HEIGHT), 3, 3)
            painter.setPen(QColor(tones.muted))
            figure_rect = QRect(left + room, row.top(), figured + GAP, row.height())
            painter.drawText(figure_rect, Qt.AlignmentFlag.AlignRight | middle, bar.figure)
        painter.end()

    def _paint_panel(self, painter: QPainter, place: int, row: QRect, palette: QPalette) -> None:
        current = place == self._current and self.hasFocus()
        if not current and place != self._hovered:
            return
        fill = palette.color(QPalette.ColorRole.Highlight)
        fill.setAlphaF(0.22 if current else 0.10)
        painter.setPen(
            palette.color(QPalette.ColorRole.Highlight) if current else Qt.PenStyle.NoPen
        )
        painter.setBrush(fill)
        painter.drawRoundedRect(QRectF(row).adjusted(1.5, 0.5, -1.5, -0.5), 4, 4)

    # Mouse and keys

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._hover(self._place_at(event.position().toPoint()))

    def leaveEvent(self, event: QEvent) -> None:
        self._hover(-1)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        place = self._place_at(event.position().toPoint())
        if place >= 0 and event.button() == Qt.MouseButton.LeftButton:
            self._go_to(place)
            self.chosen.emit(place)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        last = len(self._bars) - 1
        key = event.key()
        if last < 0:
            super().keyPressEvent(event)
        elif key == Qt.Key.Key_Down and self._current < last:
            self._go_to(self._current + 1)
        elif key == Qt.Key.Key_Up and self._current > 0:
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
        if self._bars and self._current < 0:
            self._go_to(0)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.update()

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            place = self._place_at(event.pos())
            if place >= 0:
                QToolTip.showText(event.globalPos(), tooltip(self._sentence(place)), self)
                return True
        return super().event(event)

    def _hover(self, place: int) -> None:
        if place != self._hovered:
            self._hovered = place
            self.setCursor(
                Qt.CursorShape.PointingHandCursor if place >= 0 else Qt.CursorShape.ArrowCursor
            )
            self.update()

    def _go_to(self, place: int) -> None:
        self._current = place
        self._say()
        self.update()

    def _place_at(self, point: QPoint) -> int:
        place = (point.y() - 1) // self._row_height()
        return place if 0 <= place < len(self._bars) else -1

    def _row_height(self) -> int:
        return self.fontMetrics().height() + AIR

    def _sentence(self, place: int) -> str:
        bar = self._bars[place]
        return f"{plain(bar.name, 200)}: {bar.hint or bar.figure}"

    def _say(self) -> None:
        """To those who do not see it: the title, and the bar that the keys are at."""
        self.setAccessibleName(self._title)
        if 0 <= self._current < len(self._bars):
            self.setAccessibleDescription(self._sentence(self._current))
        else:
            self.setAccessibleDescription(
                ", ".join(self._sentence(place) for place in range(min(len(self._bars), 6)))
            )
