"""A figure of each layer over depth: a point a layer, on a logarithmic scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QPolygonF,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from inspector_app.checkpoint.text import plain
from inspector_app.ui import theme
from inspector_app.ui.text_widgets import tooltip

HEIGHT = 170
MARGIN = 8
RADIUS = 3.0
# Beyond so many points the line says more than they.
MOST_DOTS = 400
_LEAST_DECADES = 1e-3


class Point(NamedTuple):
    """One layer.

    Attributes:
        name: text from the file, made plain when it is shown.
        value: at least 0; None while it is not known.
        broken: there are NaNs or infinities in it.
    """

    name: str
    value: float | None
    broken: bool = False


class DepthChart(QWidget):
    """The points from left to right.

    Signals:
        chosen: a point's place, by click or the Return key.
    """

    chosen = Signal(int)

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = title
        self._points: list[Point] = []
        self._scale = _scale_of([])
        self._current = -1
        self._hovered = -1
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._say()

    def points(self) -> list[Point]:
        """What is shown."""
        return list(self._points)

    def set_points(self, points: Sequence[Point]) -> None:
        """Show other points."""
        self._points = list(points)
        self._scale = _scale_of(self._points)
        self._current = min(self._current, len(self._points) - 1)
        self._hovered = -1
        self._say()
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(240, HEIGHT)

    def minimumSizeHint(self) -> QSize:
        return QSize(120, HEIGHT)

    def place_of(self, place: int) -> QPointF:
        """Where a point is painted."""
        area = self._area()
        step = area.width() / max(len(self._points), 1)
        x = area.left() + step * (place + 0.5)
        value = self._points[place].value
        low, high = self._scale
        if not value or math.isnan(value):
            return QPointF(x, area.bottom())
        share = min((math.log10(value) - low) / (high - low), 1.0)
        return QPointF(x, area.bottom() - share * area.height())

    # Painting

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        tones = theme.tones(self.palette())
        area = self._area()
        self._paint_axis(painter, area, tones)
        line = QPolygonF()
        dotted = len(self._points) <= MOST_DOTS
        accent = QColor(tones.series[0])
        for place, point in enumerate(self._points):
            if point.value is None:
                _draw_line(painter, line, accent)
                line.clear()
                continue
            line.append(self.place_of(place))
        _draw_line(painter, line, accent)
        for place, point in enumerate(self._points):
            marked = place in {self._hovered, self._current if self.hasFocus() else -1}
            if point.value is None or not (dotted or marked or point.broken):
                continue
            at = self.place_of(place)
            painter.setPen(Qt.PenStyle.NoPen)
            if point.broken:
                # Another shape as well as another colour.
                painter.setPen(QPen(QColor(tones.error), 2))
                painter.drawLine(at + QPointF(-4, -4), at + QPointF(4, 4))
                painter.drawLine(at + QPointF(-4, 4), at + QPointF(4, -4))
            else:
                painter.setBrush(accent)
                painter.drawEllipse(at, RADIUS, RADIUS)
            if marked:
                painter.setPen(QPen(self.palette().color(QPalette.ColorRole.WindowText), 1.5))
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.drawEllipse(at, RADIUS + 4, RADIUS + 4)
        painter.end()

    def _paint_axis(self, painter: QPainter, area: QRectF, tones: theme.Tones) -> None:
        low, high = self._scale
        metrics = self.fontMetrics()
        painter.setPen(QColor(tones.line))
        painter.drawLine(area.bottomLeft(), area.bottomRight())
        painter.setPen(QColor(tones.muted))
        below = QRectF(area.left(), area.bottom() + 4, area.width(), metrics.height())
        for place, side in ((0, Qt.AlignmentFlag.AlignLeft), (-1, Qt.AlignmentFlag.AlignRight)):
            name = plain(self._points[place].name, 80) if self._points else ""
            room = int(area.width() / 2) - MARGIN
            text = metrics.elidedText(name, Qt.TextElideMode.ElideMiddle, room)
            if place == 0 or len(self._points) > 1:
                painter.drawText(below, side | Qt.AlignmentFlag.AlignTop, text)
        if not any(point.value for point in self._points):
            return
        for mark in (low, high):
            y = area.bottom() - (mark - low) / (high - low) * area.height()
            painter.setPen(QPen(QColor(tones.line), 1, Qt.PenStyle.DotLine))
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
            painter.setPen(QColor(tones.muted))
            where = QRectF(0, y - metrics.height() / 2, area.left() - 5, metrics.height())
            align = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(where, align, f"{10**mark:.3g}")

    def _area(self) -> QRectF:
        metrics = self.fontMetrics()
        left = metrics.horizontalAdvance("9.99e+99") + MARGIN
        top = metrics.height() / 2 + 4
        width, height = self.width() - left - MARGIN, HEIGHT - 2 * top - metrics.height()
        return QRectF(left, top, max(width, 10), max(height, 10))

    # Mouse and keys

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._hover(self._nearest(event.position().toPoint()))

    def leaveEvent(self, event: QEvent) -> None:
        self._hover(-1)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        place = self._nearest(event.position().toPoint())
        if place >= 0 and event.button() == Qt.MouseButton.LeftButton:
            self._go_to(place)
            self.chosen.emit(place)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        last = len(self._points) - 1
        key = event.key()
        if last < 0:
            super().keyPressEvent(event)
        elif key == Qt.Key.Key_Right:
            self._go_to(min(self._current + 1, last))
        elif key == Qt.Key.Key_Left:
            self._go_to(max(self._current - 1, 0))
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
        if self._points and self._current < 0:
            self._go_to(0)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.update()

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            place = self._nearest(event.pos())
            if place >= 0:
                QToolTip.showText(event.globalPos(), tooltip(self._sentence(place)), self)
                return True
        return super().event(event)

    def _nearest(self, point: QPoint) -> int:
        area = self._area()
        if not self._points or not area.left() <= point.x() <= area.right():
            return -1
        place = int((point.x() - area.left()) / area.width() * len(self._points))
        return min(place, len(self._points) - 1)

    def _hover(self, place: int) -> None:
        if place != self._hovered:
            self._hovered = place
            self.update()

    def _go_to(self, place: int) -> None:
        self._current = place
        self._say()
        self.update()

    def _sentence(self, place: int) -> str:
        point = self._points[place]
        name = plain(point.name, 200)
        if point.value is None:
            return self.tr("{name}: not known yet").format(name=name)
        if point.broken:
            text = self.tr("{name}: {value}, without its NaN and Inf")
        else:
            text = self.tr("{name}: {value}")
        return text.format(name=name, value=f"{point.value:.4g}")

    def _say(self) -> None:
        """To those who do not see it: the title, and the point that the keys are at."""
        self.setAccessibleName(self._title)
        at = self._current
        self.setAccessibleDescription(self._sentence(at) if 0 <= at < len(self._points) else "")


def _draw_line(painter: QPainter, line: QPolygonF, colour: QColor) -> None:
    if line.size() > 1:
        painter.setPen(QPen(colour, 1.5))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolyline(line)


def _scale_of(points: Sequence[Point]) -> tuple[float, float]:
    """The logarithms of the least and the greatest value, never equal."""
    known = [math.log10(p.value) for p in points if p.value and math.isfinite(p.value)]
    if not known:
        return 0.0, 1.0
    low, high = min(known), max(known)
    return (low, high) if high - low > _LEAST_DECADES else (low - 0.5, high + 0.5)
