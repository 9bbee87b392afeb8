"""The values of B against those of A: what lies on the diagonal has not changed."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from inspector_app.analysis.quantities import count_text
from inspector_app.ui import plot_style
from inspector_app.ui.latest_work import LatestWork
from inspector_app.ui.pair_source import PairSource
from inspector_app.ui.text_widgets import MutedLabel

if TYPE_CHECKING:
    from inspector_app.analysis.pair_views import Points

# More would be painted for longer than a frame lasts, and say no more.
MOST_POINTS = 8_000
POINT = 3.0
_LARGEST = 1e300


class PairScatter(QWidget):
    """A point for each element, or for a sample of them.

    Signals:
        failed: the values could not be read.
        finished: the points are shown.
    """

    failed = Signal(object)
    finished = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown: Points | None = None
        self._items: list[Any] = []
        self._work = LatestWork(self)
        self._words = MutedLabel()
        self._words.setWordWrap(True)
        self.frame = plot_style.PlotFrame(self.tr("B against A"))
        self.frame.restyled.connect(self._paint)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self._words)
        layout.addWidget(self.frame, 1)

    def show_source(self, source: PairSource | None) -> None:
        """Show another pair."""
        self.cancel()
        if source is None:
            return
        self._words.setText(self.tr("Reading…"))
        self._work.run(_reading(source), lambda _: None, self._show, self.failed.emit)

    def cancel(self) -> None:
        """Stop reading; what is shown stays."""
        self._work.cancel()

    def stop(self) -> None:
        """End all reading before the readers are closed."""
        self._work.stop()

    def words(self) -> str:
        """What is shown, in words."""
        return self._words.text()

    def _show(self, found: Points | None) -> None:
        if found is None:
            return
        self._shown = found
        self._paint()
        self.finished.emit()

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


def _reading(source: PairSource) -> Generator[Any, None, Any]:
    from inspector_app.analysis.pair_views import scatter

    found = None
    for step in scatter(source.readers, source.a, source.b, MOST_POINTS):
        found = step
        yield None
    return found
