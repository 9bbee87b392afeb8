"""The whole comparison: how far each layer moved, and what is worth knowing besides."""

from __future__ import annotations

import math
from collections.abc import Generator
from time import perf_counter
from typing import NamedTuple

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from inspector_app.analysis.comparison import Comparison, KeyPair
from inspector_app.analysis.layer_changes import LayerChange, layers_of
from inspector_app.analysis.quantities import count_text
from inspector_app.checkpoint.text import plain
from inspector_app.ui.depth_chart import DepthChart, Point
from inspector_app.ui.statistics_columns import figure_text
from inspector_app.ui.tasks import Steps
from inspector_app.ui.text_blocks import Facts
from inspector_app.ui.text_widgets import Heading, MutedLabel

REDRAW_MS = 1_000
# Of many layers drawing takes long: no more than this share of the window's time.
REDRAW_SHARE = 0.1
# A chart has no room for more; of those side by side the one that moved most is shown.
MOST_POINTS = 400
MOST_NAMED = 3


class Charted(NamedTuple):
    """What the chart shows.

    Attributes:
        points: of layers that share a place, the one that moved most.
        chosen: of each point the pair that moved most.
        layers: how many there are.
        waiting: how many of them are not known yet.
        infinite: some are all zero in A.
    """

    points: list[Point]
    chosen: list[KeyPair]
    layers: int
    waiting: int
    infinite: bool


class ChangesPage(QScrollArea):
    """The chart over depth, and facts.

    Signals:
        pair_chosen: the `KeyPair` that moved most in the layer that was clicked.
    """

    pair_chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(self.tr("Changes"))
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self._comparison: Comparison | None = None
        self._chosen: list[KeyPair] = []
        self._steps: Steps | None = None
        self._pause = REDRAW_MS
        self._redraw = QTimer(self)
        self._redraw.setSingleShot(True)
        self._redraw.timeout.connect(self.look)
        title = Heading(self.tr("Relative change by layer"))
        self.chart = DepthChart(
            self.tr("Largest relative L2 change of each layer, from input to output"),
            figure=figure_text,
        )
        self.chart.chosen.connect(self._layer_chosen)
        self._state = MutedLabel()
        self._state.setWordWrap(True)
        self._facts = Facts()
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(16, 10, 16, 12)
        layout.setSpacing(6)
        layout.addWidget(title)
        layout.addWidget(self.chart)
        layout.addWidget(self._state)
        layout.addSpacing(4)
        layout.addWidget(self._facts)
        layout.addStretch()
        self.setWidget(content)

    def show_comparison(self, comparison: Comparison) -> None:
        """Show another comparison."""
        self.forget()
        self._comparison = comparison
        self._facts.set_rows(self._rows(comparison))
        self.look()

    def compared(self, pairs: list[KeyPair]) -> None:
        """More metrics are known."""
        if pairs and not self._redraw.isActive():
            self._redraw.start(self._pause)

    def forget(self) -> None:
        """Another comparison is about to come."""
        self._redraw.stop()
        self._pause = REDRAW_MS
        self._drop_steps()
        self._comparison = None
        self._chosen = []

    def facts(self) -> dict[str, str]:
        """What is said besides the chart."""
        return self._facts.rows()

    def state(self) -> str:
        """What the chart does not show, in words."""
        return self._state.text()

    def look(self) -> None:
        """Draw what is known now."""
        if self._comparison is None:
            return
        self._redraw.stop()
        if self._steps is not None:
            self._redraw.start(REDRAW_MS)
            return
        began = perf_counter()
        steps = self._steps = Steps(_charting(self._comparison), self)
        steps.finished.connect(lambda charted: self._drawn(charted, perf_counter() - began))
        steps.start()

    def _drop_steps(self) -> None:
        if self._steps is not None:
            self._steps.cancel()
            self._steps.deleteLater()
            self._steps = None

    def _drawn(self, charted: Charted, seconds: float) -> None:
        self._drop_steps()
        self._pause = max(REDRAW_MS, round(1_000 * seconds / REDRAW_SHARE))
        self._draw(charted)

    def _draw(self, charted: Charted) -> None:
        self._chosen = charted.chosen
        self.chart.set_points(charted.points)
        self.chart.setVisible(any(point.value is not None for point in charted.points))
        self._state.setText(self._words(charted.layers, charted.waiting, charted.infinite))
        self._state.setVisible(bool(self._state.text()))

    def _words(self, layers: int, waiting: int, infinite: bool) -> str:
        if not layers:
            return self.tr("No layer is in both files with equal shapes.")
        words = []
        if waiting == layers:
            return self.tr("Known once the values have been compared.")
        if waiting:
            words.append(
                self.tr("{n} of {all} layers are not known yet.").format(
                    n=count_text(waiting), all=count_text(layers)
                )
            )
        if infinite:
            words.append(self.tr("× marks layers that are all zero in A."))
        return " ".join(words)

    def _rows(self, comparison: Comparison) -> list[tuple[str, str]]:
        rows = []
        if any(comparison.sections):
            shown = [
                plain("/".join(map(str, path)), 200) or self.tr("the whole file")
                for path in comparison.sections
            ]
            rows.append(
                (self.tr("Compared"), self.tr("{a} with {b}").format(a=shown[0], b=shown[1]))
            )
        for side in ("a", "b"):
            left = [entry for entry in comparison.left_out if entry[0] == side]
            if left:
                rows.append(
                    (self.tr("Only in {side}").format(side=side.upper()), self._named(left))
                )
        if comparison.not_compared:
            paths = ["/".join(map(str, path)) for path in comparison.not_compared]
            rows.append((self.tr("Too large"), self._listed(paths)))
        return rows

    def _named(self, left: list[tuple[str, tuple[str | int, ...], int]]) -> str:
        names = []
        for _, path, count in left:
            name = "/".join(map(str, path))
            if count == 1:
                name = self.tr("{name} (1 tensor)").format(name=name)
            elif count:
                name = self.tr("{name} ({n} tensors)").format(name=name, n=count_text(count))
            names.append(name)
        return self._listed(names)

    def _listed(self, names: list[str]) -> str:
        shown = ", ".join(plain(name, 100) for name in names[:MOST_NAMED])
        left = len(names) - MOST_NAMED
        return self.tr("{shown} and {n} more").format(shown=shown, n=left) if left > 0 else shown

    def _layer_chosen(self, place: int) -> None:
        if place < len(self._chosen):
            self.pair_chosen.emit(self._chosen[place])


def _charting(comparison: Comparison) -> Generator[None, None, Charted]:
    layers = yield from layers_of(comparison)
    charted = Charted([], [], len(layers), 0, False)
    together = -(-len(layers) // MOST_POINTS) or 1
    waiting, infinite = 0, False
    for first in range(0, len(layers), together):
        yield
        some = layers[first : first + together]
        layer = max(some, key=_moved)
        endless = layer.change == math.inf
        charted.points.append(Point(layer.name, 1.0 if endless else layer.change, broken=endless))
        charted.chosen.append(layer.pair)
        waiting += sum(each.change is None for each in some)
        infinite = infinite or endless
    return charted._replace(waiting=waiting, infinite=infinite)


def _moved(layer: LayerChange) -> float:
    """By what a layer is chosen among those that share a place."""
    return -1.0 if layer.change is None else layer.change
