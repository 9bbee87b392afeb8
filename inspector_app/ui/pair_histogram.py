"""How the values of A and of B are distributed, one histogram over the other."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QWidget

from inspector_app.analysis.quantities import count_text
from inspector_app.ui import plot_style
from inspector_app.ui.boxes import CheckBox
from inspector_app.ui.compare_header import SideLetter, side_colour
from inspector_app.ui.histogram_view import log_ticks
from inspector_app.ui.pair_source import PairSource
from inspector_app.ui.pair_view import PairView

if TYPE_CHECKING:
    from inspector_app.analysis.pair_histograms import PairHistograms

FILLED = 70  # of 255


class PairHistogram(PairView):
    """Both histograms over common edges."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(QLabel(), parent)
        self._words.setTextFormat(Qt.TextFormat.PlainText)
        self._shown: PairHistograms | None = None
        self._items: list[Any] = []
        self._logarithmic = CheckBox(self.tr("&Logarithmic"))
        self._logarithmic.setToolTip(self.tr("Count on a logarithmic scale"))
        self._logarithmic.toggled.connect(self._paint)
        self.frame = plot_style.PlotFrame(self.tr("Histograms of A and B"))
        self.frame.restyled.connect(self._paint)
        row = QHBoxLayout()
        for letter in "AB":
            row.addWidget(SideLetter(letter))
        row.addWidget(self._logarithmic)
        row.addWidget(self._words, 1)
        self._column.setSpacing(6)
        self._column.addLayout(row)
        self._column.addWidget(self.frame, 1)

    @staticmethod
    def _steps(source: PairSource) -> Generator[PairHistograms | None, None, None]:
        from inspector_app.analysis.pair_views import histograms

        yield from histograms(source.readers, source.a, source.b)

    def _show(self, found: PairHistograms) -> None:
        self._shown = found
        words = []
        for side, others in (("A", found.a_others), ("B", found.b_others)):
            if others:
                words.append(
                    self.tr("{side}: {n} NaN or Inf").format(side=side, n=count_text(others))
                )
        self._words.setText(" · ".join(words))
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
        edges = found.edges
        if not len(found.a):
            self._words.setText(self.tr("There are no finite values."))
            return
        if edges[0] == edges[-1]:
            # All values are equal: one bar, as wide as anything.
            half = abs(float(edges[0])) * 0.05 or 0.5
            edges = np.array([edges[0] - half, edges[0] + half])
        with np.errstate(all="ignore"):
            widths = np.diff(edges)
        if not (np.isfinite(widths).all() and np.abs(edges).max() < 1e300):
            self._words.setText(self.tr("The values are too far apart for a picture."))
            return
        logarithmic = self._logarithmic.isChecked()
        top = 0.0
        series = plot_style.tones().series
        for letter, counts in (("A", found.a), ("B", found.b)):
            heights = np.asarray(counts, float)
            if logarithmic:
                heights = np.log10(np.maximum(heights, 0.5)) - np.log10(0.5)
            top = max(top, float(heights.max()))
            colour = side_colour(letter, series)
            fill = pyqtgraph.mkColor(colour)
            fill.setAlpha(FILLED)
            item = pyqtgraph.PlotCurveItem(
                edges,
                heights,
                stepMode="center",
                fillLevel=0,
                brush=fill,
                pen=pyqtgraph.mkPen(colour, width=1.3),
            )
            plot.addItem(item)
            self._items.append(item)
        most = float(max(found.a.max(), found.b.max()))
        plot.getPlotItem().getAxis("left").setTicks(log_ticks(most) if logarithmic else None)
        box = plot.getViewBox()
        box.setLimits(yMin=0)
        box.setRange(
            xRange=(float(edges[0]), float(edges[-1])), yRange=(0, top * 1.08 or 1), padding=0.01
        )
