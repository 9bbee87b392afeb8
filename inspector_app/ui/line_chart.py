"""Lines over steps, with a legend: few enough points to draw them all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from PySide6.QtCore import QEvent, QObject, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPen
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from inspector_app.ui import plot_style
from inspector_app.ui.text_widgets import MutedLabel

HEIGHT = 150
_STYLES = (
    Qt.PenStyle.SolidLine,
    Qt.PenStyle.DashLine,
    Qt.PenStyle.DotLine,
    Qt.PenStyle.DashDotLine,
)
_MOST_NAMED = 6
_MOST_DRAWN = 12


class Line(NamedTuple):
    """One line.

    Attributes:
        name: for the legend, plain.
        steps, values: as many of each.
        series: which colour; lines of one series have one.
        dashed: it is of another kind than solid ones: what is yet to come, or what it would be.
    """

    name: str
    steps: Sequence[float]
    values: Sequence[float]
    series: int = 0
    dashed: bool = False


class LineChart(QWidget):
    """A plot of `Line`s that scrolls with what it lies in.

    Args:
        name: for those who do not see it.
        logarithmic: values are drawn by their logarithm where all are above 0.
    """

    def __init__(
        self, name: str, *, logarithmic: bool = False, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._lines: list[Line] = []
        self._marked: float | None = None
        self._logarithmic = logarithmic
        self.frame = plot_style.PlotFrame(name, counts="bottom")
        self.frame.setFixedHeight(HEIGHT)
        self.frame.restyled.connect(self._draw)
        self._under = MutedLabel()
        self._under.setAlignment(Qt.AlignmentFlag.AlignRight)
        self._legend = QHBoxLayout()
        self._legend.setContentsMargins(0, 0, 0, 0)
        self._legend.setSpacing(14)
        row = QHBoxLayout()
        row.addLayout(self._legend)
        row.addStretch(1)
        row.addWidget(self._under)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addWidget(self.frame)
        layout.addLayout(row)

    def show_lines(
        self, lines: Sequence[Line], *, axis: str = "", marked: float | None = None
    ) -> None:
        """Show these.

        Args:
            axis: what the steps are.
            marked: a step where an upright line stands.
        """
        self._lines = list(lines[:_MOST_DRAWN])
        self._marked = marked
        self._under.setText(axis)
        self._under.setVisible(bool(axis))
        while (item := self._legend.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.deleteLater()
        named = [line for line in self._lines if line.name][:_MOST_NAMED]
        for line in named if len(named) > 1 else ():
            self._legend.addWidget(_Key(line))
        self._draw()
        self.frame.plot.setAccessibleDescription(
            "; ".join(
                f"{line.name} {line.values[0]:g} … {line.values[-1]:g}"
                for line in self._lines
                if len(line.values)
            )
        )

    def lines(self) -> list[Line]:
        """What is shown."""
        return list(self._lines)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Wheel:
            event.ignore()  # on to what scrolls
            return True
        return super().eventFilter(watched, event)

    def _draw(self) -> None:
        import pyqtgraph

        plot = self.frame.plot
        fresh = not plot.getPlotItem().listDataItems()
        plot.clear()
        if fresh:
            plot.setMouseEnabled(x=False, y=False)
            plot.viewport().installEventFilter(self)
        values = [value for line in self._lines for value in line.values]
        by_logarithm = self._logarithmic and bool(values) and min(values) > 0
        plot.setLogMode(y=by_logarithm)
        tones = plot_style.tones()
        if self._marked is not None:
            pen = pyqtgraph.mkPen(tones.muted, width=1, style=Qt.PenStyle.DotLine)
            plot.addItem(pyqtgraph.InfiniteLine(self._marked, pen=pen))
        for line in self._lines:
            plot.plot(
                list(line.steps),
                [value if math.isfinite(value) else math.nan for value in line.values],
                pen=_pen(line, 2),
                connect="finite",
                symbol="o" if len(line.values) == 1 else None,
                symbolBrush=_colour(line),
                symbolPen=None,
                symbolSize=7,
            )
        plot.getPlotItem().enableAutoRange()


class _Key(QWidget):
    """One name of the legend, after a piece of its line."""

    def __init__(self, line: Line) -> None:
        super().__init__()
        self._line = line
        label = QLabel(line.name)
        label.setTextFormat(Qt.TextFormat.PlainText)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        layout.addWidget(_Sample(line))
        layout.addWidget(label)


class _Sample(QWidget):
    def __init__(self, line: Line) -> None:
        super().__init__()
        self._line = line
        self.setFixedSize(QSize(22, 12))

    def paintEvent(self, _event: object) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(_pen(self._line, 2))
        middle = self.height() / 2
        painter.drawLine(0, round(middle), self.width(), round(middle))
        painter.end()


def _colour(line: Line) -> QColor:
    series = plot_style.tones().series
    return QColor(series[line.series % len(series)])


def _pen(line: Line, width: int) -> QPen:
    # Told apart by more than colour.
    styles: Any = _STYLES
    style = styles[1] if line.dashed else styles[0]
    pen = QPen(_colour(line), width, style)
    pen.setCosmetic(True)
    return pen
