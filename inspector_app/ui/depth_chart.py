"""A figure of each layer over depth: a point a layer, on a logarithmic scale.

A logarithm has no 0: where there are some, they stand on the axis, and the least of the
others above a gap.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from PySide6.QtCore import QPoint, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPalette, QPen, QPolygonF
from PySide6.QtWidgets import QWidget

from inspector_app.checkpoint.text import plain
from inspector_app.ui import theme
from inspector_app.ui.chart import NOWHERE, Chart

HEIGHT = 170
MARGIN = 8
RADIUS = 3.0
# Beyond so many points the line says more than they.
MOST_DOTS = 400
_LEAST_DECADES = 1e-3
_MOST_MARKS = 4
# The share of the height between the axis and the least value, where some are 0.
_ZERO_GAP = 0.16


class Point(NamedTuple):
    """One layer.

    Attributes:
        name: text from the file, made plain when it is shown.
        value: at least 0; None while it is not known.
        broken: something is wrong with it, so it is marked by another shape and colour:
            there are NaNs or infinities in it.
        hint: what it stands for, in words, where that is more than the value.
    """

    name: str
    value: float | None
    broken: bool = False
    hint: str = ""


def short_figure(value: float) -> str:
    """A value as it stands at the axis and in words."""
    return f"{value:.4g}"


class DepthChart(Chart):
    """The points from left to right; the left and the right key walk them.

    Args:
        title: what the values are, for those who do not see them.
        figure: writes a value, at the axis and in words.
    """

    ON, BACK = Qt.Key.Key_Right, Qt.Key.Key_Left

    def __init__(
        self,
        title: str,
        parent: QWidget | None = None,
        figure: Callable[[float], str] = short_figure,
    ) -> None:
        super().__init__(title, parent)
        self._figure = figure
        self._points: list[Point] = []
        self._scale = _scale_of([])
        self._floor = 0.0
        self._marks: list[float] = []

    def points(self) -> list[Point]:
        """What is shown."""
        return list(self._points)

    def set_points(self, points: Sequence[Point]) -> None:
        """Show other points."""
        self._points = list(points)
        self._scale = _scale_of(self._points)
        self._floor = _ZERO_GAP if any(point.value == 0 for point in self._points) else 0.0
        self._marks = _marks_of(self._points, *self._scale)
        self._marks_changed()

    def sizeHint(self) -> QSize:
        return QSize(240, HEIGHT)

    def place_of(self, place: int) -> QPointF:
        """Where a point is painted."""
        area = self._area()
        step = area.width() / max(len(self._points), 1)
        x = area.left() + step * (place + 0.5)
        return QPointF(x, self._height_of(self._points[place].value, area))

    def _height_of(self, value: float | None, area: QRectF) -> float:
        low, high = self._scale
        if not value or math.isnan(value):
            return area.bottom()
        share = min((math.log10(value) - low) / (high - low), 1.0)
        return area.bottom() - (self._floor + share * (1 - self._floor)) * area.height()

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
            marked = self.is_hovered(place) or self.is_current(place)
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
        for mark in self._marks:
            y = self._height_of(mark, area)
            if mark:
                painter.setPen(QPen(QColor(tones.line), 1, Qt.PenStyle.DotLine))
                painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
            painter.setPen(QColor(tones.muted))
            where = QRectF(0, y - metrics.height() / 2, area.left() - 6, metrics.height())
            align = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(where, align, self._figure(mark))

    def _area(self) -> QRectF:
        metrics = self.fontMetrics()
        widths = (metrics.horizontalAdvance(self._figure(mark)) for mark in self._marks)
        left = max(widths, default=0) + MARGIN
        top = metrics.height() / 2 + 4
        width, height = self.width() - left - MARGIN, HEIGHT - 2 * top - metrics.height()
        return QRectF(left, top, max(width, 10), max(height, 10))

    # What the marks are

    def place_at(self, point: QPoint) -> int:
        area = self._area()
        if not self._points or not area.left() <= point.x() <= area.right():
            return NOWHERE
        place = int((point.x() - area.left()) / area.width() * len(self._points))
        return min(place, len(self._points) - 1)

    def _count(self) -> int:
        return len(self._points)

    def _sentence(self, place: int) -> str:
        point = self._points[place]
        name = plain(point.name, 200)
        if point.hint:
            return f"{name}: {point.hint}"
        if point.value is None:
            return self.tr("{name}: not known yet").format(name=name)
        if point.broken:
            text = self.tr("{name}: {value}, without its NaN and Inf")
        else:
            text = self.tr("{name}: {value}")
        return text.format(name=name, value=self._figure(point.value))


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


def _marks_of(points: Sequence[Point], low: float, high: float) -> list[float]:
    """What is written at the axis: powers of ten, or both ends if there is but one between."""
    known = [p.value for p in points if p.value and math.isfinite(p.value)]
    zero = [0.0] if any(point.value == 0 for point in points) else []
    if not known:
        return zero
    powers = range(math.ceil(low), math.floor(high) + 1)
    if len(powers) < 2:
        return [*zero, *sorted({min(known), max(known)})]
    step = -(-len(powers) // _MOST_MARKS)
    return [*zero, *(10.0**power for power in powers[::step])]
