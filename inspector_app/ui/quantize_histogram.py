"""One tensor before and after quantization, and what lies between: two plots side by side."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QEvent, Qt, QTimer
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from inspector_app.analysis.other_process import OtherProcess, ProcessEnded
from inspector_app.analysis.quantities import count_text
from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.model import Checkpoint, TensorInfo
from inspector_app.checkpoint.text import plain
from inspector_app.ui import plot_style
from inspector_app.ui.latest_work import LatestWork
from inspector_app.ui.text_widgets import MutedLabel

if TYPE_CHECKING:
    from inspector_app.analysis.quantization_apart import GridHistograms, Histogram

SETTLE_MS = 120  # while somebody walks the rows by key
REST_MS = 20_000  # after which the process ends
KEPT = 64
PLOT_HEIGHT = 132
_FILLED = 80  # of 255
_FARTHEST = 1e300  # beyond it Qt has no numbers


class Legend(QWidget):
    """A swatch of one of the theme's series with its name."""

    def __init__(self, text: str, series: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._series = series
        self._swatch = QWidget()
        self._swatch.setAutoFillBackground(True)
        self._swatch.setFixedSize(10, 10)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        layout.addWidget(self._swatch)
        layout.addWidget(MutedLabel(text))
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._follow()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._follow()

    def _follow(self) -> None:
        self._swatch.setPalette(QPalette(QColor(plot_style.tones().series[self._series])))


class GridHistogramView(QWidget):
    """The histograms of the tensor that is chosen, read when it is.

    Args:
        checkpoint: whose tensors they are.
    """

    def __init__(self, checkpoint: Checkpoint, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._checkpoint = checkpoint
        self._wanted: tuple[TensorInfo, str] | None = None
        self._known: dict[tuple[int, str], GridHistograms] = {}
        self.shown: GridHistograms | None = None
        self._items: list[tuple[Any, Any]] = []
        self._work = LatestWork(self)
        self._process = OtherProcess()
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(SETTLE_MS)
        self._settle.timeout.connect(self._read)
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(REST_MS)
        self._rest.timeout.connect(self._end_process)
        self._name = QLabel()
        self._name.setTextFormat(Qt.TextFormat.PlainText)
        self._name.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._words = MutedLabel()
        self._legends = [
            Legend(self.tr("original"), 0),
            Legend(self.tr("quantized"), 1),
            Legend(self.tr("error"), 5),
        ]
        self.values_frame = plot_style.PlotFrame(self.tr("Values before and after quantization"))
        self.error_frame = plot_style.PlotFrame(self.tr("What quantization changes them by"))
        head = QHBoxLayout()
        head.setSpacing(12)
        head.addWidget(self._name, 1)
        head.addWidget(self._words)
        for legend in self._legends:
            head.addWidget(legend)
        plots = QHBoxLayout()
        plots.setSpacing(10)
        for frame, share in ((self.values_frame, 3), (self.error_frame, 2)):
            frame.setFixedHeight(PLOT_HEIGHT)
            frame.restyled.connect(self._paint)
            plots.addWidget(frame, share)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(head)
        layout.addLayout(plots)
        self._show_words(self.tr("Choose a tensor to see its values before and after."))

    def show_tensor(self, tensor: TensorInfo | None, scheme: str, why_not: str = "") -> None:
        """Show another tensor, or none with the reason."""
        wanted = (tensor, scheme) if tensor is not None and not why_not else None
        self._name.setText(plain(tensor.name, 200) if tensor is not None else "")
        if wanted is None:
            self.cancel()
            self._clear()
            self._show_words(why_not)
            return
        same = self._wanted is not None and self._wanted == wanted
        self._wanted = wanted
        if same:
            return
        known = self._known.get((id(tensor), scheme))
        if known is not None:
            self._work.cancel()
            self._show(known)
        else:
            self._settle.start()

    def cancel(self) -> None:
        """Stop reading."""
        self._wanted = None
        self._settle.stop()
        self._work.cancel()
        self._rest.start()

    def stop(self) -> None:
        """End all reading."""
        self._settle.stop()
        self._rest.stop()
        self._end_process()
        self._work.stop()

    def words(self) -> str:
        """What is said beside the plots."""
        return self._words.text()

    def _end_process(self) -> None:
        self._process.end()
        self._process = OtherProcess()

    def _read(self) -> None:
        if self._wanted is None:
            return
        from inspector_app.analysis.quantization_apart import histograms_apart

        tensor, scheme = self._wanted
        self._rest.stop()
        if self.shown is None:
            self._show_words(self.tr("Reading…"))
        self._work.run(
            histograms_apart(self._process, self._checkpoint, tensor, scheme),
            lambda _share: None,
            self._arrived,
            self._failed,
        )

    def _arrived(self, found: GridHistograms | None) -> None:
        self._rest.start()
        if found is None or self._wanted is None:
            return
        if len(self._known) >= KEPT:
            self._known.clear()
        tensor, scheme = self._wanted
        self._known[id(tensor), scheme] = found
        self._show(found)

    def _failed(self, error: Exception) -> None:
        self._end_process()
        self._clear()
        known = isinstance(error, (ProcessEnded, CheckpointError, OSError))
        self._show_words(plain(str(error) if known else f"{type(error).__name__}: {error}", 200))

    def _show(self, found: GridHistograms) -> None:
        self.shown = found
        text = ""
        if found.levels is not None:
            text = self.tr("{n} different values are left").format(n=count_text(found.levels))
        self._show_words(text)
        self._paint()

    def _show_words(self, text: str) -> None:
        self._words.setText(text)
        for legend in self._legends:
            legend.setVisible(self.shown is not None)

    def _clear(self) -> None:
        self.shown = None
        for plot, item in self._items:
            plot.removeItem(item)
        self._items = []

    def _paint(self) -> None:
        if self.shown is None:
            return
        found = self.shown
        for plot, item in self._items:
            plot.removeItem(item)
        self._items = []
        series = plot_style.tones().series
        self._draw(self.values_frame.plot, [(found.original, 0), (found.quantized, 1)], series)
        self._draw(self.error_frame.plot, [(found.error, 5)], series)

    def _draw(
        self, plot: Any, histograms: list[tuple[Histogram, int]], series: tuple[str, ...]
    ) -> None:
        import numpy as np
        import pyqtgraph

        top, ends = 0.0, [0.0, 0.0]
        for histogram, place in histograms:
            edges = np.asarray(histogram.edges, float)
            if not len(histogram.counts) or not _can_be_drawn(histogram):
                self._words.setText(self.tr("There is nothing that could be drawn."))
                continue
            if edges[0] == edges[-1]:
                # All values are equal: one bar, as wide as anything.
                half = abs(float(edges[0])) * 0.05 or 0.5
                edges = np.linspace(edges[0] - half, edges[0] + half, len(edges))
            heights = np.sqrt(np.asarray(histogram.counts, float))
            fill = pyqtgraph.mkColor(series[place])
            fill.setAlpha(_FILLED if place != 1 else 0)
            item = pyqtgraph.PlotCurveItem(
                edges,
                heights,
                stepMode="center",
                fillLevel=0,
                brush=fill,
                pen=pyqtgraph.mkPen(series[place], width=1.3),
            )
            plot.addItem(item)
            self._items.append((plot, item))
            top = max(top, float(heights.max()))
            ends = [float(edges[0]), float(edges[-1])]
        plot.getPlotItem().getAxis("left").setTicks(_root_ticks(top))
        box = plot.getViewBox()
        box.setLimits(yMin=0)
        if ends[0] < ends[1]:
            box.setRange(xRange=ends, yRange=(0, top * 1.06 or 1.0), padding=0)


def _can_be_drawn(histogram: Histogram) -> bool:
    ends = (histogram.edges[0], histogram.edges[-1])
    return all(math.isfinite(end) and abs(end) < _FARTHEST for end in ends)


def _root_ticks(top: float) -> list[list[tuple[float, str]]]:
    """Counts at an axis of their square roots, which shows the tails as well as the middle."""
    most = top * top
    if most < 1:
        return [[(0.0, "0")], []]
    step = 10 ** math.floor(math.log10(most))
    chosen = [each for each in (step, step / 10) if each >= 1]
    most_of_step = int(most // step) * step
    marks = sorted({0.0, *chosen, float(most_of_step)})
    return [[(math.sqrt(mark), count_text(int(mark))) for mark in marks], []]
