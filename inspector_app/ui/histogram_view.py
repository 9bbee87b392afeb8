"""How a tensor's values are distributed: the exact histogram and the figures below it.

They are found by a process of its own, which is kept while one tensor after the other is
looked at.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QPointF, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QPalette, QResizeEvent
from PySide6.QtWidgets import (
    QBoxLayout,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from inspector_app.analysis.measuring_apart import measuring_apart
from inspector_app.analysis.other_process import OtherProcess
from inspector_app.analysis.quantities import count_text
from inspector_app.ui import plot_style
from inspector_app.ui.boxes import CheckBox
from inspector_app.ui.latest_work import LatestWork
from inspector_app.ui.text_blocks import Facts
from inspector_app.ui.value_source import ValueSource, figure

if TYPE_CHECKING:
    from inspector_app.analysis.distribution import Distribution
    from inspector_app.analysis.stats import StatsProgress, TensorStats

WIDE = 66  # characters: two tables have room
CLOSE = 0.015  # of the width: such quantiles have one mark
LABELS_SHARE = 0.24  # of the height, above the bars
KEPT = 256  # results, so that going back and forth reads nothing again
REST_MS = 20_000  # after which the process ends: starting another takes half a second


class HistogramView(QScrollArea):
    """The histogram of the whole tensor, with its quantiles, and a table of figures.

    Signals:
        failed: the values could not be read.
        finished: the figures are shown.
    """

    failed = Signal(object)
    finished = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._source: ValueSource | None = None
        self._shown: Distribution | None = None
        self._known: dict[int, TensorStats] = {}
        self._items: list[Any] = []
        self._work = LatestWork(self)
        self._process = OtherProcess()
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(REST_MS)
        self._rest.timeout.connect(self._end_process)
        self._logarithmic = CheckBox(self.tr("&Logarithmic"))
        self._logarithmic.setToolTip(self.tr("Count on a logarithmic scale"))
        self._logarithmic.toggled.connect(self._paint)
        self._quantiles = CheckBox(self.tr("&Quantiles"))
        self._quantiles.setChecked(True)
        self._quantiles.setToolTip(self.tr("Mark the median and the other quantiles"))
        self._quantiles.toggled.connect(self._paint)
        self._words = QLabel()
        self._words.setTextFormat(Qt.TextFormat.PlainText)
        self._words.setWordWrap(True)
        # The colour of the zeros' part of a bar.
        self._swatch = QWidget()
        self._swatch.setAutoFillBackground(True)
        self._swatch.setFixedSize(10, 10)
        self._swatch.hide()
        self.frame = plot_style.PlotFrame(self.tr("Histogram of the values"))
        self.frame.setMinimumHeight(150)
        self.frame.restyled.connect(self._paint)
        # Side by side where there is room, so that the plot has more of it.
        self._facts, self._more_facts = Facts(), Facts()
        self._tables = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._tables.setSpacing(5)
        for facts in (self._facts, self._more_facts):
            self._tables.addWidget(facts, 1, Qt.AlignmentFlag.AlignTop)
        content = QWidget()
        row = QHBoxLayout()
        row.addWidget(self._logarithmic)
        row.addWidget(self._quantiles)
        row.addSpacing(8)
        row.addWidget(self._swatch)
        row.addWidget(self._words, 1)
        layout = QVBoxLayout(content)
        layout.setContentsMargins(0, 0, 6, 0)
        layout.setSpacing(6)
        layout.addLayout(row)
        layout.addWidget(self.frame, 1)
        layout.addLayout(self._tables)
        self.setWidget(content)

    def show_source(self, source: ValueSource | None) -> None:
        """Show other values; the whole tensor counts, not its slice."""
        self.cancel()
        self._source = source
        if source is None:
            return
        self._rest.stop()
        known = self._known.get(id(source.tensor))
        if known is not None:
            self._show(known)
            return
        self._words.setText(self.tr("Reading…"))
        self._work.run(
            measuring_apart(self._process, source.reader.checkpoint, source.tensor),
            self._further,
            lambda _: self._rest.start(),
            self._broken_off,
        )

    def forget(self) -> None:
        """The file is another: what was found out about its tensors is void."""
        self._known.clear()
        self._shown = None

    def cancel(self) -> None:
        """Stop reading; what is shown stays."""
        self._work.cancel()
        self._rest.start()

    def stop(self) -> None:
        """End all reading before the reader is closed."""
        self._end_process()
        self._work.stop()
        self.forget()

    def _end_process(self) -> None:
        self._rest.stop()
        self._process.end()
        self._process = OtherProcess()

    def _broken_off(self, error: Exception) -> None:
        # The next tensor shall find another.
        self._end_process()
        self.failed.emit(error)

    def figures(self) -> dict[str, str]:
        """The table below the histogram, by name."""
        return self._facts.rows() | self._more_facts.rows()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        wide = self.viewport().width() > WIDE * self.fontMetrics().averageCharWidth()
        ways = QBoxLayout.Direction
        self._tables.setDirection(ways.LeftToRight if wide else ways.TopToBottom)

    def words(self) -> str:
        """What the histogram cannot show, in words."""
        return self._words.text()

    def _further(self, progress: StatsProgress) -> None:
        for found in progress.finished:
            if len(self._known) >= KEPT:
                self._known.clear()
            assert self._source is not None
            self._known[id(self._source.tensor)] = found
            self._show(found)
            return
        share = 100 * progress.done // max(progress.total, 1)
        self._words.setText(self.tr("{share} % read").format(share=min(share, 99)))

    def _show(self, found: TensorStats) -> None:
        raw = self._source is not None and self._source.raw
        values = found.raw if raw and found.raw is not None else found.values
        if found.error is not None or values is None:
            self.failed.emit(found.error)
            return
        self._shown = values
        moments, counts, quantiles = self._rows(values)
        self._facts.set_rows(moments + counts[:3])
        self._more_facts.set_rows(counts[3:] + quantiles)
        self._words.setText(self._summary(values))
        self._paint()
        self.finished.emit()

    def _summary(self, values: Distribution) -> str:
        total = values.count + values.nans + values.infinities
        words = [self.tr("Zeros: {share}").format(share=_share(values.zeros, total))]
        if values.nans:
            words.append(self.tr("NaN: {count}").format(count=count_text(values.nans)))
        if values.infinities:
            words.append(self.tr("Inf: {count}").format(count=count_text(values.infinities)))
        return " · ".join(words)

    def _rows(self, values: Distribution) -> tuple[list[tuple[str, str]], ...]:
        """Names and figures: moments, counts (what is not finite first), quantiles."""
        total = values.count + values.nans + values.infinities
        moments = [
            (self.tr("Minimum"), _defined(values.least)),
            (self.tr("Maximum"), _defined(values.most)),
            (self.tr("Mean"), _defined(values.mean)),
            (self.tr("Std"), _defined(values.std)),
            (self.tr("L2 norm"), figure(values.l2, 7)),
            (self.tr("L1 norm"), figure(values.l1, 7)),
        ]
        counts = [
            (self.tr("Finite"), count_text(values.count)),
            (self.tr("NaN"), _counted(values.nans, total)),
            (self.tr("Inf"), _counted(values.infinities, total)),
            (self.tr("Zeros"), _counted(values.zeros, total)),
            (self.tr("Near zero"), _counted(values.near_zeros, total)),
        ]
        about = "" if values.exact else "≈ "
        quantiles = [
            (
                self.tr("Median") if fraction == 0.5 else f"{fraction * 100:g} %",
                about + _defined(value),
            )
            for fraction, value in values.quantiles.items()
        ]
        return moments, counts, quantiles

    def _paint(self) -> None:
        values = self._shown
        if values is None:
            return
        import numpy as np
        import pyqtgraph

        plot = self.frame.plot
        for item in self._items:
            plot.removeItem(item)
        self._items = []
        tones = plot_style.tones()
        self._swatch.setPalette(QPalette(QColor(tones.series[2])))
        self._swatch.setVisible(bool(values.zeros))
        counts = np.array(values.counts, float)
        edges = values.edges
        self.frame.setVisible(bool(len(counts)))
        if not len(counts):
            return
        if edges[0] == edges[-1]:
            # All values are equal: one bar, as wide as anything.
            half = abs(float(edges[0])) * 0.05 or 0.5
            edges = np.array([edges[0] - half, edges[0] + half])
        logarithmic = self._logarithmic.isChecked()
        # Bins as wide as the range of float64 are no numbers for Qt.
        with np.errstate(all="ignore"):
            widths = np.diff(edges)
        if not (np.isfinite(widths).all() and np.abs(edges).max() < 1e300):
            self._words.setText(self.tr("The values are too far apart for a picture."))
            return

        def bars(counts: Any, colour: str, left: Any, width: Any) -> None:
            # One value is a bar too, where its logarithm would be 0.
            heights = np.log10(np.maximum(counts, 0.5)) - np.log10(0.5) if logarithmic else counts
            item = pyqtgraph.BarGraphItem(
                x0=left,
                width=width,
                y0=0,
                height=heights,
                brush=pyqtgraph.mkColor(colour),
                pen=None,
            )
            self._add(plot, item)

        bars(counts, tones.series[0], edges[:-1], widths)
        if values.zeros:
            # Of the bar that has the zeros, as much as they are.
            place = min(int(np.searchsorted(edges, 0.0, side="right")) - 1, len(widths) - 1)
            part = slice(place, place + 1)
            bars(np.array([float(values.zeros)]), tones.series[2], edges[part], widths[part])
        zero = pyqtgraph.InfiniteLine(
            0, pen=pyqtgraph.mkPen(tones.muted, style=Qt.PenStyle.DotLine)
        )
        if edges[0] <= 0 <= edges[-1]:
            self._add(plot, zero)
        top = float(counts.max())
        if logarithmic:
            top = float(np.log10(max(top, 0.5)) - np.log10(0.5))
        if self._quantiles.isChecked():
            self._mark_quantiles(plot, values, tones)
            top /= 1 - LABELS_SHARE
        axis = plot.getPlotItem().getAxis("left")
        axis.setTicks(log_ticks(float(counts.max())) if logarithmic else None)
        box = plot.getViewBox()
        box.setLimits(yMin=0)
        box.setRange(xRange=(float(edges[0]), float(edges[-1])), yRange=(0, top * 1.04), padding=0)

    def _add(self, plot: Any, item: Any) -> None:
        plot.addItem(item)
        self._items.append(item)

    def _mark_quantiles(self, plot: Any, values: Distribution, tones: Any) -> None:
        import pyqtgraph

        near = CLOSE * (float(values.edges[-1]) - float(values.edges[0]))
        groups: list[list[float]] = []
        last = 0.0
        for fraction, value in values.quantiles.items():
            if not groups or value - last > near:
                groups.append([])
            groups[-1].append(fraction)
            last = value
        for number, fractions in enumerate(groups):
            middle = 0.5 in fractions
            line = pyqtgraph.InfiniteLine(
                values.quantiles[0.5 if middle else fractions[0]],
                pen=pyqtgraph.mkPen(
                    tones.series[1],
                    width=2 if middle else 1,
                    style=Qt.PenStyle.SolidLine if middle else Qt.PenStyle.DashLine,
                ),
                label=self._label(fractions),
                # Above the bars, and in steps, since quantiles stand close together.
                labelOpts={
                    "position": 0.96 - LABELS_SHARE / 3 * (number % 3),
                    "color": self.palette().color(QPalette.ColorRole.Text),
                    "fill": self.palette().color(QPalette.ColorRole.Base),
                    "anchors": [(0.5, 0.5), (0.5, 0.5)],
                },
            )
            self._add(plot, line)

    def _label(self, fractions: list[float]) -> str:
        """What a mark is called: one quantile, or several that stand at one place."""
        if fractions == [0.5]:
            return self.tr("median")
        ends = dict.fromkeys((fractions[0], fractions[-1]))
        return "–".join(f"{100 * fraction:g}" for fraction in ends) + " %"

    def range_at(self, position: QPointF) -> str:
        """The bin at a place of the plot, in words."""
        values = self._shown
        if values is None or not len(values.counts):
            return ""
        import numpy as np

        number = int(np.searchsorted(values.edges, position.x(), side="right")) - 1
        if not 0 <= number < len(values.counts):
            return ""
        low, high = float(values.edges[number]), float(values.edges[number + 1])
        return f"{figure(low)} … {figure(high)}: {count_text(int(values.counts[number]))}"


def _defined(value: float) -> str:
    """A figure, or a dash where there are too few values for it."""
    # Adding 0 makes 0 of −0, which is the same to a median.
    return figure(value + 0, 7) if not math.isnan(value) else "–"


def _share(part: int, total: int) -> str:
    return f"{part / total:.2%}" if total else "–"


def _counted(part: int, total: int) -> str:
    return f"{count_text(part)} ({_share(part, total)})" if part else "0"


def log_ticks(most: float) -> list[list[tuple[float, str]]]:
    """Ticks at powers of ten, where counts are drawn as ``log10(count) − log10(0.5)``."""
    powers = range(int(math.log10(max(most, 1))) + 1)
    step = max(1, len(powers) // 4)
    return [[(power - math.log10(0.5), f"{10**power:,}") for power in powers[::step]], []]
