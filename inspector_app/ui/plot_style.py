"""Plots in the window's colours, and pictures of them as files.

pyqtgraph is imported with the first plot that is shown.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache, cached_property
from typing import Any

from PySide6.QtCore import QEvent, QPoint, QRect, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPalette, QResizeEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from inspector_app.analysis.quantities import count_text
from inspector_app.ui import theme
from inspector_app.ui.copying import offer_picture

# From the most negative to the most positive. Blue against orange is told apart with any
# colour blindness; 0 has the colour of what lies behind, so that what differs from 0 stands
# out: darker on light, lighter on dark.
_LIGHT = ("#0a1f5c", "#2348a8", "#5f86d8", "#b0c6ef", "#f7f7f7", "#fdb863", "#e08214", "#b35806",
          "#7f3b08")  # fmt: skip
_DARK = ("#dbe7ff", "#9dbcff", "#6f8ff0", "#3d4f9a", "#191c22", "#8a4f14", "#d9822b", "#f7b765",
         "#ffeccf")  # fmt: skip
NOT_FINITE = (255, 0, 160, 255)
COLOURS = 255  # odd: one of them is for 0


class PlotFrame(QWidget):
    """Room for one plot, which is made when it is asked for.

    Signals:
        restyled: the colours changed; items that have their own take new ones.
        resized: it has another size.
    """

    restyled = Signal()
    resized = Signal()

    def __init__(self, name: str, parent: QWidget | None = None, counts: str = "") -> None:
        """Make room.

        Args:
            name: for those who do not see it.
            counts: the axes that count places, of ``bottom left``: `counting_axis`.
        """
        super().__init__(parent)
        self._name = name
        self._counts = counts.split()
        # What is copied of it as text, where that is not the points of its lines.
        self.words: Callable[[], str] | None = None
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self.setMinimumHeight(90)

    @cached_property
    def plot(self) -> Any:
        """The `pyqtgraph.PlotWidget`."""
        import pyqtgraph

        made = pyqtgraph.PlotWidget(
            self, axisItems={side: counting_axis(side) for side in self._counts}
        )
        made.setAccessibleName(self._name)
        for side in ("left", "bottom"):
            # Now: once the axis has a label this would scale it (pyqtgraph 0.14).
            made.getPlotItem().getAxis(side).enableAutoSIPrefix(False)
        made.setMenuEnabled(False)
        made.hideButtons()
        # Labels at the ends of an axis reach beyond it.
        made.getPlotItem().layout.setContentsMargins(2, 8, 10, 2)
        made.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._layout.addWidget(made)
        self.__dict__["plot"] = made
        offer_picture(made, self._text)
        self._restyle()
        return made

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.resized.emit()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and "plot" in self.__dict__:
            self._restyle()
            self.restyled.emit()

    def _text(self) -> str:
        from inspector_app.ui.plot_values import plotted_text

        return self.words() if self.words is not None else plotted_text(self.plot)

    def _restyle(self) -> None:
        palette = QPalette()
        plot = self.plot
        plot.setBackground(palette.color(QPalette.ColorRole.Base))
        tones = theme.tones(palette)
        item = plot.getPlotItem()
        for side in ("left", "bottom"):
            axis = item.getAxis(side)
            axis.setPen(QColor(tones.line))
            axis.setTextPen(QColor(tones.muted))
            axis.setStyle(tickFont=self.font(), tickLength=-4)


@cache
def _counting_axis() -> Any:
    import pyqtgraph

    class CountingAxis(pyqtgraph.AxisItem):
        """Whole numbers only.

        Attributes:
            counts: it does; else it is any axis.
            shift: where a place's mark stands: 0.5 is the middle of its cell.
            names: what each place is called, or None: by its number.
        """

        counts = True
        shift = 0.0
        names: range | None = None

        def tickSpacing(self, least: float, most: float, size: float) -> Any:
            levels = super().tickSpacing(least, most, size)
            if not self.counts:
                return levels
            whole = [(step, self.shift) for step, _ in levels if step >= 1]
            return whole or [(1, self.shift)]

        def tickStrings(self, values: Any, scale: float, spacing: float) -> list[str]:
            if not self.counts:
                return super().tickStrings(values, scale, spacing)
            places = [round(value - self.shift) for value in values]
            if self.names is None:
                return list(map(count_text, places))
            names, count = self.names, len(self.names)
            return [count_text(names[place]) if 0 <= place < count else "" for place in places]

    return CountingAxis


def counting_axis(side: str) -> Any:
    """An axis that counts rows, columns or channels, which have no halves."""
    return _counting_axis()(side)


def tones() -> theme.Tones:
    """The colours in force."""
    return theme.tones(QPalette())


def stops() -> tuple[str, ...]:
    """Colours from the most negative over 0 to the most positive, equally far apart."""
    return _DARK if theme.is_dark(QPalette()) else _LIGHT


def diverging() -> Any:
    """`COLOURS` rows of red, green, blue, alpha: from negative over 0 to positive."""
    import numpy as np

    colours = np.array([QColor(stop).getRgb() for stop in stops()], float)
    places = np.linspace(0, len(colours) - 1, COLOURS)
    channels = [np.interp(places, range(len(colours)), colours[:, part]) for part in range(4)]
    return np.stack(channels, axis=1).round().astype(np.uint8)


def coloured(values: Any, level: float) -> Any:
    """Values as a picture of red, green, blue, alpha; those beyond ±`level` saturate.

    What is not finite has a colour that nothing else has.
    """
    import numpy as np

    scale = (COLOURS - 1) / 2
    with np.errstate(all="ignore"):
        place = np.rint(values / level * scale) + scale if level else np.full(values.shape, scale)
    place = np.clip(np.nan_to_num(place, nan=scale), 0, COLOURS - 1).astype(np.intp)
    picture = diverging()[place]
    picture[~np.isfinite(values)] = NOT_FINITE
    return picture


def level_of(values: Any) -> float:
    """The magnitude where colours saturate: few outliers must not make all else pale."""
    import numpy as np

    magnitudes = np.abs(values[np.isfinite(values)])
    if not magnitudes.size:
        return 0.0
    most = float(magnitudes.max())
    usual = float(np.quantile(magnitudes, 0.99))
    return min(most, 1.5 * usual) if usual else most


def heights(least: Any, most: Any) -> tuple[float, float]:
    """From below the least finite value of a line to above the greatest; 0 is among them
    unless it is far.
    """
    import numpy as np

    low = np.min(least, where=np.isfinite(least), initial=np.inf)
    high = np.max(most, where=np.isfinite(most), initial=-np.inf)
    if low > high:
        return -1.0, 1.0
    # Half of each: the difference of the greatest float64 would be none.
    low, high = float(low) / 2, float(high) / 2
    if 0 < low < high / 2:
        low = 0.0
    elif low / 2 < high < 0:
        high = 0.0
    room = 0.06 * (high - low) or 0.1 * abs(high) or 0.5
    return 2 * (low - room), 2 * (high + room)


def save_picture(plot: Any, path: str) -> None:
    """Write what a `PlotWidget` shows to a .png or .svg file, whole or not at all.

    Raises:
        OSError: the file cannot be written.
    """
    ending = os.path.splitext(path)[1].lower()
    folder, name = os.path.split(os.path.abspath(path))
    temporary = os.path.join(folder, f".{name[:80]}.{os.urandom(4).hex()}{ending}")
    # Qt would only say that it failed; this says why.
    with open(temporary, "xb"):
        pass
    try:
        if ending == ".svg":
            _draw_svg(plot, temporary)
        else:
            from pyqtgraph.exporters import ImageExporter

            exporter = ImageExporter(plot.getPlotItem())
            exporter.parameters()["width"] = int(max(plot.width() * 2, 1200))
            if not exporter.export(temporary):
                raise OSError(f"cannot write {path}")
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def _draw_svg(plot: Any, path: str) -> None:
    # pyqtgraph's own exporter fails at paths with curves or closed ends (0.14).
    from PySide6.QtSvg import QSvgGenerator

    generator = QSvgGenerator()
    generator.setFileName(path)
    generator.setSize(plot.size())
    generator.setViewBox(QRect(QPoint(0, 0), plot.size()))
    painter = QPainter(generator)
    try:
        plot.render(painter)
    finally:
        painter.end()
