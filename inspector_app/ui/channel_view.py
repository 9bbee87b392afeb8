"""The norm of each channel of a tensor, and which are dead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QPointF, Qt, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from inspector_app.analysis.quantities import count_text
from inspector_app.ui import plot_style
from inspector_app.ui.latest_work import LatestWork
from inspector_app.ui.value_source import ValueSource, figure

if TYPE_CHECKING:
    from inspector_app.analysis.chunks import ChannelNorms

NAMED_CHANNELS = 12


class ChannelView(QWidget):
    """A plot of L2 norms along one axis; dead channels have a cross of another colour.

    Signals:
        failed: the values could not be read.
        finished: the norms are shown.
    """

    failed = Signal(object)
    finished = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._source: ValueSource | None = None
        self.norms: ChannelNorms | None = None
        self._items: dict[str, Any] = {}
        self._work = LatestWork(self)
        self._axis = QComboBox()
        self._axis.setAccessibleName(self.tr("Dimension of the channels"))
        self._axis.currentIndexChanged.connect(self._measure)
        self._words = QLabel()
        self._words.setTextFormat(Qt.TextFormat.PlainText)
        self._words.setWordWrap(True)
        self._readout = QLabel()
        self._readout.setTextFormat(Qt.TextFormat.PlainText)
        self.frame = plot_style.PlotFrame(self.tr("Norm of each channel"), counts="bottom")
        self.frame.restyled.connect(self._paint)
        row = QHBoxLayout()
        row.addWidget(self._axis)
        row.addWidget(self._readout, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(row)
        layout.addWidget(self.frame, 1)
        layout.addWidget(self._words)

    def show_source(self, source: ValueSource | None) -> None:
        """Show other values; the whole tensor counts, not its slice."""
        self._source = source
        rank = len(source.shape) if source is not None else 0
        self._axis.blockSignals(True)
        chosen = self._axis.currentIndex()
        self._axis.clear()
        for axis in range(rank):
            name = self.tr("Dimension {axis}").format(axis=axis)
            if rank > 1 and axis < 2:
                kind = self.tr("outputs, rows") if axis == 0 else self.tr("inputs, columns")
                name = f"{name}: {kind}"
            self._axis.addItem(name, axis)
        self._axis.setCurrentIndex(chosen if 0 <= chosen < rank else 0)
        self._axis.blockSignals(False)
        self._measure()

    def cancel(self) -> None:
        """Stop reading; what is shown stays."""
        self._work.cancel()

    def stop(self) -> None:
        """End all reading before the reader is closed."""
        self._work.stop()

    def words(self) -> str:
        """What is dead, in words."""
        return self._words.text()

    def _measure(self) -> None:
        self.cancel()
        source, axis = self._source, self._axis.currentData()
        self.norms = None
        self._readout.clear()
        if source is None:
            return
        if axis is None:
            self._refuse(self.tr("A single value has no channels."))
            return
        from inspector_app.analysis.chunks import MOST_CHANNELS, measuring_channels

        if source.shape[axis] > MOST_CHANNELS:
            said = self.tr("{count} channels are too many to show.")
            self._refuse(said.format(count=count_text(source.shape[axis])))
            return
        self._words.setText(self.tr("Reading…"))
        self._work.run(
            measuring_channels(source.reader, source.tensor, axis, source.raw),
            self._further,
            self._measured,
            self.failed.emit,
        )

    def _refuse(self, why: str) -> None:
        self._words.setText(why)
        self._paint()
        self.finished.emit()

    def _further(self, share: float) -> None:
        self._words.setText(self.tr("{share} % read").format(share=int(share * 100)))

    def _measured(self, norms: ChannelNorms) -> None:
        self.norms = norms
        self._paint()
        self._show_all(norms)
        self._words.setText(self._summary(norms))
        self.finished.emit()

    def _show_all(self, norms: ChannelNorms) -> None:
        import numpy as np

        finite = norms.norms[np.isfinite(norms.norms)]
        top = float(finite.max()) if len(finite) else 0.0
        box = self.frame.plot.getViewBox()
        box.setRange(
            xRange=(-0.5, max(len(norms.norms), 1) - 0.5),
            yRange=(-0.04 * (top or 1), 1.06 * (top or 1)),
            padding=0.01,
        )

    def _summary(self, norms: ChannelNorms) -> str:
        import numpy as np

        count = len(norms.norms)
        if not count:
            return self.tr("There are no channels.")
        finite = norms.norms[np.isfinite(norms.norms)]
        words = []
        if len(finite):
            words.append(
                self.tr("{count} channels, L2 norms from {least} to {most}.").format(
                    count=count_text(count),
                    least=figure(float(finite.min()), 4),
                    most=figure(float(finite.max()), 4),
                )
            )
        dead = norms.dead.tolist()
        if dead:
            words.append(
                self.tr(
                    "× {count} dead (norm 0 or below a millionth of the median): {list}"
                ).format(count=count_text(len(dead)), list=self._listed(dead))
            )
        else:
            words.append(self.tr("None is dead."))
        broken = np.flatnonzero(~np.isfinite(norms.norms)).tolist()
        if broken:
            words.append(
                self.tr("{count} with NaN or Inf: {list}.").format(
                    count=count_text(len(broken)), list=self._listed(broken)
                )
            )
        return " ".join(words)

    @staticmethod
    def _listed(channels: list[int]) -> str:
        shown = ", ".join(map(str, channels[:NAMED_CHANNELS]))
        return f"{shown} …" if len(channels) > NAMED_CHANNELS else shown

    def _paint(self) -> None:
        if self.norms is None and "plot" not in self.frame.__dict__:
            return
        import numpy as np
        import pyqtgraph

        plot = self.frame.plot
        if not self._items:
            self._items["norms"] = pyqtgraph.PlotDataItem()
            self._items["norms"].setDownsampling(auto=True, method="peak")
            self._items["norms"].setClipToView(True)
            self._items["dead"] = pyqtgraph.ScatterPlotItem()
            for item in self._items.values():
                plot.addItem(item)
            plot.setLabel("left", self.tr("L2 norm"))
            plot.scene().sigMouseMoved.connect(self._mouse_moved)
        norms = self.norms.norms if self.norms is not None else np.zeros(0)
        dead = self.norms.dead if self.norms is not None else np.zeros(0, int)
        tones = plot_style.tones()
        few = len(norms) <= 512
        self._items["norms"].setData(
            np.arange(len(norms)),
            np.where(np.isfinite(norms), norms, np.nan),
            connect="finite",
            pen=pyqtgraph.mkPen(tones.series[0]),
            symbol="o" if few else None,
            symbolSize=4,
            symbolPen=None,
            symbolBrush=tones.series[0],
        )
        self._items["dead"].setData(
            x=dead,
            y=norms[dead],
            symbol="x",
            size=10,
            pen=pyqtgraph.mkPen(tones.error, width=2),
            brush=tones.error,
        )

    def _mouse_moved(self, position: QPointF) -> None:
        box = self.frame.plot.getViewBox()
        if self.norms is None or not box.sceneBoundingRect().contains(position):
            return
        channel = round(box.mapSceneToView(position).x())
        if 0 <= channel < len(self.norms.norms):
            norm = float(self.norms.norms[channel])
            self._readout.setText(f"{channel}: {figure(norm, 6)}")
