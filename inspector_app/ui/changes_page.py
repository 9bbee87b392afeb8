"""The whole comparison: how far each layer moved, and what is worth knowing besides."""

from __future__ import annotations

import math
from collections.abc import Generator

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from inspector_app.analysis.comparison import Comparison, KeyPair, Status
from inspector_app.analysis.quantities import count_text
from inspector_app.checkpoint.text import plain
from inspector_app.ui.depth_chart import DepthChart, Point
from inspector_app.ui.diff_figures import relative
from inspector_app.ui.statistics_columns import figure_text
from inspector_app.ui.tasks import Steps
from inspector_app.ui.text_blocks import Facts
from inspector_app.ui.text_widgets import Heading, MutedLabel

PAIRS_A_STEP = 2_000
REDRAW_MS = 300
# A chart has no room for more; of those side by side the one that moved most is shown.
MOST_POINTS = 1_000
MOST_NAMED = 3


class Layer:
    """Pairs whose keys differ in their last part alone."""

    __slots__ = ("name", "pairs")

    def __init__(self, name: str) -> None:
        self.name = name
        self.pairs: list[KeyPair] = []

    def moved(self) -> tuple[float | None, KeyPair]:
        """The largest relative change, and whose it is; None while one is not known."""
        most, which = 0.0, self.pairs[0]
        for pair in self.pairs:
            if pair.status == Status.IDENTICAL:
                continue
            value = relative(pair.metrics) if pair.metrics is not None else None
            if value is None:
                return None, pair
            if value > most:
                most, which = value, pair
        return most, which


def layers_of(comparison: Comparison) -> Generator[None, None, list[Layer]]:
    """The layers of the compared models, in A's order, of pairs with equal shapes."""
    layers: dict[str, Layer] = {}
    for number, pair in enumerate(comparison.pairs):
        if number % PAIRS_A_STEP == PAIRS_A_STEP - 1:
            yield
        if pair.a is None or pair.b is None or "shape" in pair.reasons:
            continue
        if pair.part not in {"model", "ema", ""}:
            continue
        name = pair.key.rpartition(".")[0] or pair.key
        layer = layers.get(name)
        if layer is None:
            layer = layers[name] = Layer(name)
        layer.pairs.append(pair)
    return list(layers.values())


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
        self._layers: list[Layer] = []
        self._chosen: list[KeyPair] = []
        self._steps: Steps | None = None
        self._redraw = QTimer(self)
        self._redraw.setSingleShot(True)
        self._redraw.setInterval(REDRAW_MS)
        self._redraw.timeout.connect(self._draw)
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
        steps = self._steps = Steps(layers_of(comparison), self)
        steps.finished.connect(self._layered)
        steps.start()

    def compared(self, pairs: list[KeyPair]) -> None:
        """More metrics are known."""
        if pairs and not self._redraw.isActive():
            self._redraw.start()

    def forget(self) -> None:
        """Another comparison is about to come."""
        self._redraw.stop()
        if self._steps is not None:
            self._steps.cancel()
            self._steps.deleteLater()
            self._steps = None
        self._comparison = None
        self._layers = []

    def facts(self) -> dict[str, str]:
        """What is said besides the chart."""
        return self._facts.rows()

    def state(self) -> str:
        """What the chart does not show, in words."""
        return self._state.text()

    def _layered(self, layers: list[Layer]) -> None:
        self._layers = layers
        if self._steps is not None:
            self._steps.deleteLater()
            self._steps = None
        self._draw()

    def _draw(self) -> None:
        points, self._chosen = [], []
        layers = self._layers
        together = -(-len(layers) // MOST_POINTS) or 1
        waiting = infinite = 0
        for first in range(0, len(layers), together):
            best: tuple[float, Layer, KeyPair] | None = None
            for layer in layers[first : first + together]:
                value, pair = layer.moved()
                if value is None:
                    waiting += 1
                elif best is None or value > best[0]:
                    best = value, layer, pair
            if best is None:
                points.append(Point(layers[first].name, None))
                self._chosen.append(layers[first].pairs[0])
                continue
            value, layer, pair = best
            endless = math.isinf(value)
            infinite += endless
            points.append(Point(layer.name, 1.0 if endless else value, broken=endless))
            self._chosen.append(pair)
        self.chart.set_points(points)
        self.chart.setVisible(any(point.value is not None for point in points))
        self._state.setText(self._words(len(layers), waiting, infinite))

    def _words(self, layers: int, waiting: int, infinite: int) -> str:
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
