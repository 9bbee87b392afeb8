"""A plane of a tensor as a picture: colours for two dimensions, a line for one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QEvent, QObject, QPointF, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from inspector_app.analysis.quantities import count_text
from inspector_app.analysis.slices import Plane
from inspector_app.ui import plot_style
from inspector_app.ui.cell_words import cell_words
from inspector_app.ui.colour_scale import ColourScale
from inspector_app.ui.latest_work import LatestWork
from inspector_app.ui.text_widgets import MutedLabel
from inspector_app.ui.value_source import ValueSource

if TYPE_CHECKING:
    from inspector_app.analysis.decimate import Picture

HEIGHT, WIDTH, LINE_POINTS = 400, 600, 1_500
MOST_DOTS = 200
DETAIL_MS = 180


class HeatmapView(QWidget):
    """The picture of a plane, with the value below the pointer in words.

    Zooming in reads the part that is seen once more, in finer cells.

    Signals:
        failed: the values could not be read.
        finished: every value is in the picture.
    """

    failed = Signal(object)
    finished = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._source: ValueSource | None = None
        self._whole: Picture | None = None
        self._detail: tuple[Picture, int, int] | None = None
        self._cursor: tuple[float, float] | None = None
        self._level = 0.0
        self._items: dict[str, Any] = {}
        self._work = LatestWork(self)
        self._detail_work = LatestWork(self)
        self._how = QComboBox()
        self._how.addItem(self.tr("Greatest magnitude"), "max-abs")
        self._how.addItem(self.tr("Mean"), "mean")
        self._how.setToolTip(self.tr("What stands for the values that share one cell"))
        self._how.setAccessibleName(self._how.toolTip())
        self._how.currentIndexChanged.connect(lambda: self.show_source(self._source))
        self._readout = QLabel()
        self._readout.setTextFormat(Qt.TextFormat.PlainText)
        self._readout.setWordWrap(True)
        self._legend = ColourScale()
        self._scale = MutedLabel()
        self._scale.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._scale.setWordWrap(True)
        self.frame = plot_style.PlotFrame(self.tr("Picture of the values"), counts="bottom left")
        self.frame.restyled.connect(self._paint)
        self.frame.words = self.readout
        self._zoomed = QTimer(self)
        self._zoomed.setSingleShot(True)
        self._zoomed.setInterval(DETAIL_MS)
        self._zoomed.timeout.connect(self._read_detail)
        row = QHBoxLayout()
        row.setSpacing(10)
        row.addWidget(self._how)
        row.addWidget(self._legend)
        row.addStretch()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(row)
        layout.addWidget(self._scale)
        layout.addWidget(self.frame, 1)
        layout.addWidget(self._readout)

    # --- reading

    def show_source(self, source: ValueSource | None) -> None:
        """Show other values; until the first picture comes the last one stays."""
        self.cancel()
        self._source = source
        self._detail = None
        self._cursor = None
        plane = source.plane if source is not None else None
        if source is None or plane is None or not (len(plane.rows) and len(plane.columns)):
            self._whole = None
            self._say(self.tr("There are no values to show.") if source else "")
            self._legend.set_level(0.0)
            self._how.hide()
            self.frame.setVisible(source is None)
            self._readout.clear()
            if "plot" in self.frame.__dict__:
                self.frame.plot.clear()
                self._items = {}
            return
        from inspector_app.analysis.decimate import decimating

        self._plane = _lying(plane)
        self._how.setVisible(not self._is_line)
        self.frame.show()
        height, width = (1, LINE_POINTS) if self._is_line else (HEIGHT, WIDTH)
        how = "max-abs" if self._is_line else self._how.currentData()
        self._fresh = True
        self._work.run(
            decimating(source.reader, source.tensor, self._plane, height, width, how, source.raw),
            self._arrived,
            lambda _: self.finished.emit(),
            self.failed.emit,
        )

    def cancel(self) -> None:
        """Stop reading; what is shown stays."""
        self._work.cancel()
        self._detail_work.cancel()
        self._zoomed.stop()

    def stop(self) -> None:
        """End all reading before the reader is closed."""
        self._zoomed.stop()
        self._work.stop()
        self._detail_work.stop()

    @property
    def _is_line(self) -> bool:
        return self._plane.row_axis < 0

    def _arrived(self, picture: Picture | None) -> None:
        if picture is None:
            return
        self._whole = picture
        self._level = plot_style.level_of(picture.values)
        self._paint()
        if self._fresh:
            self._fresh = False
            self._show_all()
        self._read_out()

    def _show_all(self) -> None:
        box = self.frame.plot.getViewBox()
        rows, columns = len(self._plane.rows), len(self._plane.columns)
        if self._is_line:
            self._name_places("left", None)
            self._name_places("bottom", self._plane.columns, shift=0.0)
            box.setLimits(
                xMin=-0.5,
                xMax=columns - 0.5,
                yMin=None,
                yMax=None,
                minXRange=min(columns, 3),
                minYRange=None,
            )
            assert self._whole is not None
            heights = plot_style.heights(self._whole.least, self._whole.most)
            box.setRange(xRange=(-0.5, columns - 0.5), yRange=heights, padding=0)
        else:
            self._name_places("left", self._plane.rows)
            self._name_places("bottom", self._plane.columns)
            box.setLimits(xMin=0, xMax=columns, yMin=0, yMax=rows, minXRange=2, minYRange=2)
            box.disableAutoRange()
            box.setRange(QRectF(0, 0, columns, rows), padding=0)

    def _name_places(self, side: str, names: range | None, shift: float = 0.5) -> None:
        """Let an axis count what is called so; without names it shows values."""
        axis = self.frame.plot.getPlotItem().getAxis(side)
        axis.counts, axis.names, axis.shift = names is not None, names, shift
        axis.picture = None
        axis.update()

    # --- detail

    def _view_changed(self) -> None:
        self._zoomed.start()

    def _read_detail(self) -> None:
        whole, source = self._whole, self._source
        if whole is None or source is None or whole.done < 1:
            return
        rows, columns = len(self._plane.rows), len(self._plane.columns)
        (left, right), (top, bottom) = self.frame.plot.getViewBox().viewRange()
        first, last = max(math.floor(left), 0), min(math.ceil(right) + 1, columns)
        up, down = max(math.floor(top), 0), min(math.ceil(bottom) + 1, rows)
        if self._is_line:
            up, down = 0, 1
        seen = Plane(
            self._plane.fixed,
            self._plane.row_axis,
            self._plane.column_axis,
            self._plane.rows[up:down],
            self._plane.columns[first:last],
        )
        coarse = whole.values.shape != (rows, columns)
        much = (down - up) * (last - first) > 0.5 * rows * columns
        if not coarse or much or not len(seen.rows) or not len(seen.columns):
            if self._detail is not None:
                self._detail = None
                self._paint()
            return
        from inspector_app.analysis.decimate import decimating

        height, width = (1, LINE_POINTS) if self._is_line else (HEIGHT, WIDTH)
        how = "max-abs" if self._is_line else self._how.currentData()
        self._detail_work.run(
            decimating(source.reader, source.tensor, seen, height, width, how, source.raw),
            lambda picture: self._detail_arrived(picture, up, first),
            lambda _: None,
            self.failed.emit,
        )

    def _detail_arrived(self, picture: Picture | None, top: int, left: int) -> None:
        if picture is not None and picture.done == 1:
            self._detail = picture, top, left
            self._paint()
            self._read_out()

    # --- painting

    def _paint(self) -> None:
        if self._whole is None:
            return
        plot = self.frame.plot
        if not self._items:
            plot.getViewBox().sigRangeChanged.connect(self._view_changed)
            plot.scene().sigMouseMoved.connect(self._mouse_moved)
            plot.installEventFilter(self)
        kind = "line" if self._is_line else "image"
        if kind not in self._items:
            plot.clear()
            self._items = {kind: True}
            (self._make_line if self._is_line else self._make_image)(plot)
        if self._is_line:
            self._paint_line()
        else:
            self._paint_image()

    def _make_image(self, plot: Any) -> None:
        import pyqtgraph

        plot.getViewBox().invertY(True)
        for name in ("whole", "detail"):
            item = self._items[name] = pyqtgraph.ImageItem(axisOrder="row-major")
            plot.addItem(item)
        self._items["detail"].setZValue(1)

    def _make_line(self, plot: Any) -> None:
        import pyqtgraph

        plot.getViewBox().invertY(False)
        least, most = pyqtgraph.PlotCurveItem(), pyqtgraph.PlotCurveItem()
        band = pyqtgraph.FillBetweenItem(least, most)
        zero = pyqtgraph.InfiniteLine(0, angle=0)
        dots = pyqtgraph.ScatterPlotItem(size=5, pen=None)
        self._items |= {"least": least, "most": most, "band": band, "zero": zero, "dots": dots}
        for item in (zero, least, most, band, dots):
            plot.addItem(item)

    def _paint_image(self) -> None:
        whole, detail = self._whole, self._detail
        assert whole is not None
        rows, columns = len(self._plane.rows), len(self._plane.columns)
        self._items["whole"].setImage(plot_style.coloured(whole.values, self._level), levels=None)
        self._items["whole"].setRect(QRectF(0, 0, columns, rows))
        self._items["detail"].setVisible(detail is not None)
        if detail is not None:
            picture, top, left = detail
            area = QRectF(left, top, int(picture.column_edges[-1]), int(picture.row_edges[-1]))
            self._items["detail"].setImage(
                plot_style.coloured(picture.values, self._level), levels=None
            )
            self._items["detail"].setRect(area)
        self._describe(whole)

    def _paint_line(self) -> None:
        import numpy as np
        import pyqtgraph

        picture, left = self._whole, 0
        if self._detail is not None:
            picture, _, left = self._detail
        assert picture is not None
        tones = plot_style.tones()
        places = (picture.column_edges[:-1] + picture.column_edges[1:] - 1) / 2 + left
        for name, values in (("least", picture.least[0]), ("most", picture.most[0])):
            shown = np.where(np.isfinite(values), values, np.nan)
            pen = pyqtgraph.mkPen(tones.series[0], width=1.2)
            self._items[name].setData(places, shown, pen=pen, connect="finite")
        self._items["band"].setVisible(len(places) < len(self._plane.columns))
        fill = pyqtgraph.mkColor(tones.series[0])
        fill.setAlpha(90)
        self._items["band"].setBrush(fill)
        self._items["zero"].setPen(tones.line)
        few = places if len(places) == len(self._plane.columns) <= MOST_DOTS else places[:0]
        self._items["dots"].setData(few, picture.most[0][: len(few)], brush=tones.series[0])
        self._describe(picture)

    def _describe(self, picture: Picture) -> None:
        import numpy as np

        bad = int(np.count_nonzero(~np.isfinite(picture.values)))
        words = []
        if picture.done < 1:
            words.append(self.tr("{share} % read").format(share=int(picture.done * 100)))
        self._legend.set_level(0.0 if self._is_line else self._level)
        if not self._is_line and not self._level and bad < picture.values.size:
            words.append(self.tr("all 0"))
        if bad and picture.done == 1:
            words.append(self.tr("pink NaN or Inf ({count})").format(count=count_text(bad)))
        self._say(" · ".join(words))

    def _say(self, words: str) -> None:
        self._scale.setText(words)
        self._scale.setVisible(bool(words))

    # --- the value under the pointer

    def readout(self) -> str:
        """What is below the pointer, in words."""
        return self._readout.text()

    def point_at(self, row: float, column: float) -> None:
        """Read out the cell at a place of the plane."""
        rows, columns = len(self._plane.rows), len(self._plane.columns)
        self._cursor = min(max(row, 0), rows - 1), min(max(column, 0), columns - 1)
        self._read_out()

    def _mouse_moved(self, position: QPointF) -> None:
        if self._whole is None:
            return
        box = self.frame.plot.getViewBox()
        if box.sceneBoundingRect().contains(position):
            place = box.mapSceneToView(position)
            shift = 0.5 if self._is_line else 0.0
            self.point_at(0 if self._is_line else place.y(), place.x() + shift)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            way = {
                Qt.Key.Key_Left: (0, -1),
                Qt.Key.Key_Right: (0, 1),
                Qt.Key.Key_Up: (-1, 0),
                Qt.Key.Key_Down: (1, 0),
            }.get(Qt.Key(event.key()))
            if way is not None and self._whole is not None:
                row, column = self._cursor or (0, 0)
                tall, wide = self._cell_size()
                self.point_at(row + way[0] * tall, column + way[1] * wide)
                return True
        return super().eventFilter(watched, event)

    def _cell_size(self) -> tuple[float, float]:
        assert self._whole is not None
        rows, columns = self._whole.values.shape
        return len(self._plane.rows) / rows, len(self._plane.columns) / columns

    def _read_out(self) -> None:
        if self._cursor is None or self._whole is None or self._source is None:
            self._readout.setText(self.tr("Point at the picture to read a value."))
            return
        import numpy as np

        row, column = self._cursor
        picture, top, left = self._whole, 0, 0
        if self._detail is not None:
            finer, up, first = self._detail
            inside_rows = up <= row < up + int(finer.row_edges[-1])
            if inside_rows and first <= column < first + int(finer.column_edges[-1]):
                picture, top, left = finer, up, first
        i = int(np.searchsorted(picture.row_edges, row - top, side="right")) - 1
        j = int(np.searchsorted(picture.column_edges, column - left, side="right")) - 1
        i, j = min(i, picture.values.shape[0] - 1), min(j, picture.values.shape[1] - 1)
        what = "" if self._is_line else self._how.currentText()
        self._readout.setText(cell_words(self._plane, picture, (i, j), (top, left), what))


def _lying(plane: Plane) -> Plane:
    """A single dimension goes from left to right."""
    return plane.swapped() if plane.column_axis < 0 else plane
