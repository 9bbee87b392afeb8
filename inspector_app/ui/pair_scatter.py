"""The values of B against those of A: what lies on the diagonal has not changed."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget

from inspector_app.analysis.quantities import count_text
from inspector_app.ui import plot_style
from inspector_app.ui.pair_source import PairSource
from inspector_app.ui.pair_view import PairView
from inspector_app.ui.text_widgets import MutedLabel

if TYPE_CHECKING:
    from inspector_app.analysis.pair_views import Points

# More would be painted for longer than a frame lasts, and say no more.
MOST_POINTS = 8_000
POINT = 3.0
_LARGEST = 1e300


class PairScatter(PairView):
    """A point for each element, or for a sample of them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(MutedLabel(), parent)
        self._shown: Points | None = None
        self._items: list[Any] = []
        self.frame = plot_style.PlotFrame(self.tr("B against A"))
        self.frame.restyled.connect(self._paint)
        self._column.addWidget(self._words)
        self._column.addWidget(self.frame, 1)

    @staticmethod
    def _steps(source: PairSource) -> Generator[Points | None, None, None]:
        from inspector_app.analysis.pair_views import scatter

        yield from scatter(source.readers, source.a, source.b, MOST_POINTS)

    def _show(self, found: Points) -> None:
        self._shown = found
        self._paint()

    def _paint(self) -> None:
        found = self._shown
        if found is None:
            return
        import numpy as np
        import pyqtgraph

        plot = self.frame.plot
        for item in self._items:
            plot.removeItem(item)
        self._items = []
        with np.errstate(all="ignore"):
            good = (np.abs(found.a) < _LARGEST) & (np.abs(found.b) < _LARGEST)
        a, b = found.a[good], found.b[good]
        self._describe(found, len(a))
        if not len(a):
            return
        tones = plot_style.tones()
        diagonal = pyqtgraph.InfiniteLine(
            (0, 0), angle=45, pen=pyqtgraph.mkPen(tones.muted, style=Qt.PenStyle.DashLine)
        )
        same = a == b
        for chosen, colour, alpha in (
            (same, tones.muted, 110),
            (~same, tones.series[0], 150),
        ):
            fill = pyqtgraph.mkColor(colour)
            fill.setAlpha(alpha)
            points = pyqtgraph.ScatterPlotItem(
                a[chosen], b[chosen], size=POINT, pen=None, brush=fill
            )
            self._add(plot, points)
        self._add(plot, diagonal)
        item = plot.getPlotItem()
        item.setLabel("bottom", "A", color=tones.muted)
        item.setLabel("left", "B", color=tones.muted)
        low = float(min(a.min(), b.min()))
        high = float(max(a.max(), b.max()))
        if low == high:
            half = abs(low) * 0.05 or 0.5
            low, high = low - half, high + half
        plot.getViewBox().setRange(xRange=(low, high), yRange=(low, high), padding=0.03)

    def _add(self, plot: Any, item: Any) -> None:
        plot.addItem(item)
        self._items.append(item)

    def _describe(self, found: Points, drawn: int) -> None:
        if len(found.a) < found.of:
            words = self.tr("{n} of {all} elements, evenly taken").format(
                n=count_text(len(found.a)), all=count_text(found.of)
            )
        else:
            words = self.tr("{n} elements").format(n=count_text(len(found.a)))
        left = len(found.a) - drawn
        if left:
            words = self.tr("{words}; {n} with NaN or Inf are not drawn").format(
                words=words, n=count_text(left)
            )
        self._words.setText(words)
