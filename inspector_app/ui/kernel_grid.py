"""The kernels of a convolution, side by side: those of one output stand in a row."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSpinBox, QVBoxLayout, QWidget

from inspector_app.ui import plot_style
from inspector_app.ui.boxes import CheckBox
from inspector_app.ui.colour_scale import ColourScale
from inspector_app.ui.latest_work import LatestWork
from inspector_app.ui.text_widgets import MutedLabel
from inspector_app.ui.value_source import ValueSource, figure

if TYPE_CHECKING:
    from collections.abc import Generator

LARGEST_KERNEL = 64
SHOWN_OUTPUTS, SHOWN_INPUTS = 64, 64
ASPECT = 1.6  # width to height


def has_kernels(shape: tuple[int, ...]) -> bool:
    """Whether a tensor of `shape` looks like the weight of a 2-D convolution."""
    return (
        len(shape) == 4
        and 0 not in shape
        and max(shape[2:]) <= LARGEST_KERNEL
        and shape[2] * shape[3] > 1
    )


class Mosaic:
    """Kernels laid out in a plane, with a gap of one cell between them.

    Args:
        kernels: values of the shape (outputs, inputs, height, width).
        aspect: width to height of the room for it.
    """

    def __init__(self, kernels: Any, aspect: float = ASPECT) -> None:
        outputs, inputs, self.height, self.width = kernels.shape
        self._kernels = kernels
        self._inputs = inputs
        self._gap = 2 if inputs > 1 else 0
        self._group = inputs * (self.width + 1) + self._gap
        # Several outputs in a row where one would make a long narrow column.
        self._aspect = aspect
        wanted = math.sqrt(aspect * outputs * (self.height + 1) / self._group)
        self._outputs = outputs
        near = {min(max(way(wanted), 1), outputs) for way in (math.floor, math.ceil)}
        self._across = min(near, key=self._height_in_room)
        self._down = -(-outputs // self._across)

    def _height_in_room(self, across: int) -> float:
        """How tall the room would have to be for so many outputs in a row."""
        down = -(-self._outputs // across)
        return max(down * (self.height + 1), across * self._group / self._aspect)

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the plane."""
        return self._down * (self.height + 1) - 1, self._across * self._group - self._gap - 1

    def picture(self, level: float, rgb: bool = False) -> Any:
        """The plane as red, green, blue, alpha; gaps are transparent.

        Args:
            rgb: three inputs are shown as one picture in colours, each kernel scaled by
                its own greatest magnitude, with 0 as grey.
        """
        import numpy as np

        kernels = self._kernels
        if rgb:
            most = np.abs(kernels).max(axis=(1, 2, 3), keepdims=True)
            with np.errstate(all="ignore"):
                scaled = np.nan_to_num(kernels / np.where(most > 0, most, 1)) * 127.5 + 127.5
            colours = np.moveaxis(scaled, 1, -1).clip(0, 255).astype(np.uint8)
            opaque = np.full((*colours.shape[:-1], 1), 255, np.uint8)
            return Mosaic(kernels[:, :1], self._aspect)._laid(
                np.concatenate([colours, opaque], -1)[:, None]
            )
        return self._laid(plot_style.coloured(kernels, level))

    def _laid(self, cells: Any) -> Any:
        import numpy as np

        plane = np.zeros((*self.size, 4), np.uint8)
        for output in range(cells.shape[0]):
            down, across = divmod(output, self._across)
            top = down * (self.height + 1)
            for number in range(cells.shape[1]):
                left = across * self._group + number * (self.width + 1)
                plane[top : top + self.height, left : left + self.width] = cells[output, number]
        return plane

    def place(self, row: float, column: float) -> tuple[int, int, int, int] | None:
        """Which value lies at a place of the plane: (output, input, y, x)."""
        down, y = divmod(math.floor(row), self.height + 1)
        across, rest = divmod(math.floor(column), self._group)
        number, x = divmod(rest, self.width + 1)
        output = down * self._across + across
        inside = down >= 0 and 0 <= across < self._across and number < self._inputs
        if not inside or y >= self.height or x >= self.width or output >= len(self._kernels):
            return None
        return output, number, y, x


class KernelGrid(QWidget):
    """Convolution kernels as an image grid.

    Signals:
        failed: the values could not be read.
        finished: the kernels are shown.
    """

    failed = Signal(object)
    finished = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._source: ValueSource | None = None
        self._kernels: Any = None
        self._start = 0
        self._aspect = ASPECT
        self._image: Any = None
        self._work = LatestWork(self)
        self._first = QSpinBox()
        self._first.setAccessibleName(self.tr("First output channel"))
        self._first.setPrefix(self.tr("From output "))
        self._first.setSingleStep(SHOWN_OUTPUTS)
        self._first.valueChanged.connect(self._read)
        self._rgb = CheckBox(self.tr("&RGB"))
        self._rgb.setToolTip(self.tr("Show three inputs as the colours of one picture"))
        self._rgb.toggled.connect(self._paint)
        self._legend = ColourScale()
        self._words = MutedLabel()
        self._words.setWordWrap(True)
        self._readout = QLabel()
        self._readout.setTextFormat(Qt.TextFormat.PlainText)
        self.frame = plot_style.PlotFrame(self.tr("Convolution kernels"))
        self.frame.restyled.connect(self._paint)
        self.frame.resized.connect(self._lay_anew)
        row = QHBoxLayout()
        row.setSpacing(10)
        row.addWidget(self._first)
        row.addWidget(self._rgb)
        row.addWidget(self._legend)
        row.addWidget(self._words, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(row)
        layout.addWidget(self.frame, 1)
        layout.addWidget(self._readout)

    def show_source(self, source: ValueSource | None) -> None:
        """Show other kernels; a tensor without any is ignored."""
        self.cancel()
        self._source = source
        if source is None or not has_kernels(source.shape):
            return
        outputs = source.shape[0]
        self._first.blockSignals(True)
        self._first.setRange(0, max(outputs - 1, 0))
        self._first.setValue(0)
        self._first.blockSignals(False)
        self._first.setVisible(outputs > SHOWN_OUTPUTS)
        self._rgb.setVisible(source.shape[1] == 3)
        self._read()

    def cancel(self) -> None:
        """Stop reading; what is shown stays."""
        self._work.cancel()

    def stop(self) -> None:
        """End all reading before the reader is closed."""
        self._work.stop()

    def readout(self) -> str:
        """The value below the pointer, in words."""
        return self._readout.text()

    def _read(self) -> None:
        if self._source is not None:
            first = self._first.value()
            self._work.run(
                _reading(self._source, first),
                lambda kernels: self._arrived(kernels, first),
                lambda _: self.finished.emit(),
                self.failed.emit,
            )

    def _arrived(self, kernels: Any, first: int) -> None:
        self._kernels, self._start = kernels, first
        self._readout.setText(self.tr("Point at the picture to read a value."))
        self._aspect = self._room()
        self._paint()
        self._show_all()

    def _room(self) -> float:
        """Width to height of what there is for the mosaic."""
        size = self.frame.size()
        return min(max(size.width() / max(size.height(), 1), 0.4), 4.0)

    def _lay_anew(self) -> None:
        """In another size another number of outputs may fit side by side."""
        if self._kernels is None:
            return
        before = self._mosaic().size
        self._aspect = self._room()
        if self._mosaic().size != before:
            self._paint()
            self._show_all()

    def _show_all(self) -> None:
        box = self.frame.plot.getViewBox()
        height, width = self._mosaic().size
        box.setLimits(minXRange=3, minYRange=3)
        box.setRange(QRectF(0, 0, width, height), padding=0.01)

    def _is_rgb(self) -> bool:
        return bool(self._kernels.shape[1] == 3 and self._rgb.isChecked())

    def _mosaic(self) -> Mosaic:
        shown = self._kernels[:, :1] if self._is_rgb() else self._kernels
        return Mosaic(shown, self._aspect)

    def _paint(self) -> None:
        if self._kernels is None:
            return
        plot = self.frame.plot
        if self._image is None:
            import pyqtgraph

            self._image = pyqtgraph.ImageItem(axisOrder="row-major")
            plot.addItem(self._image)
            plot.hideAxis("left")
            plot.hideAxis("bottom")
            plot.getViewBox().invertY(True)
            plot.getViewBox().setAspectLocked(True)
            plot.scene().sigMouseMoved.connect(self._mouse_moved)
        level = plot_style.level_of(self._kernels)
        picture = Mosaic(self._kernels, self._aspect).picture(level, self._is_rgb())
        self._image.setImage(picture, levels=None)
        self._describe(level)

    def _describe(self, level: float) -> None:
        assert self._source is not None
        outputs, inputs = self._source.shape[:2]
        shown = self._kernels.shape
        words = []
        if shown[0] < outputs or shown[1] < inputs:
            words.append(
                self.tr("outputs {first}–{last} of {outputs}, {shown} of {inputs} inputs").format(
                    first=self._start,
                    last=self._start + shown[0] - 1,
                    outputs=outputs,
                    shown=shown[1],
                    inputs=inputs,
                )
            )
        elif inputs > 1:
            words.append(
                self.tr("a row of {inputs} for each of {outputs} outputs").format(
                    inputs=inputs, outputs=outputs
                )
            )
        self._legend.set_level(0.0 if self._is_rgb() else level)
        self._words.setText(" · ".join(words))

    def _mouse_moved(self, position: QPointF) -> None:
        if self._kernels is None:
            return
        point = self.frame.plot.getViewBox().mapSceneToView(position)
        self.point_at(point.y(), point.x())

    def point_at(self, row: float, column: float) -> None:
        """Read out the value at a place of the mosaic."""
        place = self._mosaic().place(row, column)
        if place is None:
            return
        output, number, y, x = place
        if self._is_rgb():
            values = [figure(float(value), 4) for value in self._kernels[output, :, y, x]]
            self._readout.setText(f"[{output + self._start}, :, {y}, {x}]: {', '.join(values)}")
            return
        value = float(self._kernels[place])
        self._readout.setText(f"[{output + self._start}, {number}, {y}, {x}]: {figure(value, 7)}")


def _reading(source: ValueSource, first: int) -> Generator[Any, None, None]:
    from inspector_app.analysis.decimate import as_floats

    part = slice(first, first + SHOWN_OUTPUTS), slice(0, SHOWN_INPUTS)
    yield as_floats(source.reader.read(source.tensor, part, source.raw))
