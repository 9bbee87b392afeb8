"""Bars with a name and a figure each, painted by hand: to be clicked, and walked by key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from PySide6.QtCore import QPoint, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import QWidget

from inspector_app.checkpoint.text import plain
from inspector_app.ui import theme
from inspector_app.ui.chart import NOWHERE, Chart

AIR = 7
GAP = 8
BAR_HEIGHT = 8
INDENT = 14
SHORTEST_BAR = 2.0
MOST_OF_NAME = 0.42


class Bar(NamedTuple):
    """One bar.

    Attributes:
        name: text from the file, made plain when it is shown.
        length: its share of the longest, at least 0.
        figure: what it stands for, in words.
        share: the same as a share of the whole, in words, in a column of its own.
        hint: more of that.
        colour: a place in the theme's series.
        level: how far its name stands in: it is part of the bar before it with a lower one.
    """

    name: str
    length: float
    figure: str
    hint: str = ""
    colour: int = 0
    share: str = ""
    level: int = 0


class BarChart(Chart):
    """A row for each bar, as tall as they need; a bar's place is its row."""

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(title, parent)
        self._bars: list[Bar] = []
        self._full = 0.0

    def bars(self) -> list[Bar]:
        """What is shown."""
        return list(self._bars)

    def set_bars(self, bars: Sequence[Bar], full: float = 0.0) -> None:
        """Show other bars; one of length `full`, or the longest where none has it, is whole."""
        self._bars = list(bars)
        self._full = full
        self._marks_changed()

    def sizeHint(self) -> QSize:
        return QSize(240, self._row_height() * len(self._bars) + 2)

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
            (
                metrics.horizontalAdvance(plain(bar.name, 80)) + bar.level * INDENT
                for bar in self._bars
            ),
            default=0,
        )
        figured = max((metrics.horizontalAdvance(bar.figure) for bar in self._bars), default=0)
        shared = max((metrics.horizontalAdvance(bar.share) for bar in self._bars), default=0)
        shared += GAP if shared else 0
        inner = self.width() - 2 * GAP
        named = min(named + 2, int(inner * MOST_OF_NAME))
        room = max(inner - named - figured - shared - 2 * GAP, 12)
        longest = max((bar.length for bar in self._bars), default=0.0)
        longest = max(longest, self._full)
        for place, bar in enumerate(self._bars):
            row = self.row_rect(place)
            if not row.intersects(event.rect()):
                continue
            self._paint_panel(painter, place, row, palette)
            text = plain(bar.name, 80)
            indent = bar.level * INDENT
            text = metrics.elidedText(text, Qt.TextElideMode.ElideMiddle, named - indent)
            middle = Qt.AlignmentFlag.AlignVCenter
            painter.setPen(
                QColor(tones.muted) if bar.level else palette.color(QPalette.ColorRole.WindowText)
            )
            name_rect = QRect(GAP + indent, row.top(), named - indent, row.height())
            painter.drawText(name_rect, Qt.AlignmentFlag.AlignLeft | middle, text)
            left = GAP + named + GAP
            top = row.center().y() - BAR_HEIGHT / 2 + 1
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(tones.line))
            painter.drawRoundedRect(QRectF(left, top, room, BAR_HEIGHT), 3, 3)
            if bar.length > 0 and longest > 0:
                width = max(room * bar.length / longest, SHORTEST_BAR)
                series = tones.series
                colour = QColor(series[bar.colour % len(series)])
                if bar.level:
                    colour.setAlphaF(0.6)
                painter.setBrush(colour)
                painter.drawRoundedRect(QRectF(left, top, width, BAR_HEIGHT), 3, 3)
            painter.setPen(QColor(tones.muted))
            figure_rect = QRect(left + room, row.top(), figured + GAP, row.height())
            painter.drawText(figure_rect, Qt.AlignmentFlag.AlignRight | middle, bar.figure)
            share_rect = QRect(figure_rect.right() + 1, row.top(), shared, row.height())
            painter.drawText(share_rect, Qt.AlignmentFlag.AlignRight | middle, bar.share)
        painter.end()

    def _paint_panel(self, painter: QPainter, place: int, row: QRect, palette: QPalette) -> None:
        current = self.is_current(place)
        if not current and not self.is_hovered(place):
            return
        fill = palette.color(QPalette.ColorRole.Highlight)
        fill.setAlphaF(0.22 if current else 0.10)
        painter.setPen(
            palette.color(QPalette.ColorRole.Highlight) if current else Qt.PenStyle.NoPen
        )
        painter.setBrush(fill)
        painter.drawRoundedRect(QRectF(row).adjusted(1.5, 0.5, -1.5, -0.5), 4, 4)

    # What the marks are

    def place_at(self, point: QPoint) -> int:
        place = (point.y() - 1) // self._row_height()
        return place if 0 <= place < len(self._bars) else NOWHERE

    def _count(self) -> int:
        return len(self._bars)

    def _row_height(self) -> int:
        return self.fontMetrics().height() + AIR

    def _sentence(self, place: int) -> str:
        bar = self._bars[place]
        return f"{plain(bar.name, 200)}: {bar.hint or bar.figure}"
