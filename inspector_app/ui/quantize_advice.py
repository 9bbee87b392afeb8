"""Where a quantized model loses most, and what leaving those layers in float would cost."""

from __future__ import annotations

import math

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QPushButton, QVBoxLayout, QWidget

from inspector_app.analysis.quantities import count_text, size_text
from inspector_app.checkpoint.text import plain
from inspector_app.ui.bar_chart import Bar, BarChart
from inspector_app.ui.quantize_words import BAD_DB, DOUBTFUL_DB, damage_share, db_text
from inspector_app.ui.text_widgets import MutedLabel, tooltip
from inspector_app.ui.wizard_widgets import Box, row_of
from inspector_app.worker.quantize_protocol import LayerDamage, Measured

MOST_BARS = 24
MOST_OFFERED = 10
_FINE, _DOUBTFUL, _BAD = 0, 1, 5  # places in the theme's series


class LayersChart(QWidget):
    """The damage of each layer's output, in the order in which they run."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.chart = BarChart(self.tr("Damage by layer, in the order in which they run"))
        self._said = MutedLabel()
        self._said.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self._said)
        layout.addWidget(self.chart)

    def show_layers(self, measured: Measured) -> None:
        """Show another result."""
        layers = list(measured.layers)
        shown = sorted(layers, key=lambda each: _noise_order(each.sqnr_db))[:MOST_BARS]
        names = {each.name for each in shown}
        bars = [_bar(each) for each in layers if each.name in names]
        self.chart.set_bars(bars, full=1.0)
        said = []
        if len(layers) > len(bars):
            text = self.tr("The {n} most damaged of {all} layers, in the order in which they run.")
            said.append(text.format(n=count_text(len(bars)), all=count_text(len(layers))))
        if measured.breaks:
            text = self.tr("The first whose output falls below {bound} is {layer}.")
            said.append(
                text.format(bound=db_text(measured.breaks_db), layer=plain(measured.breaks, 200))
            )
        else:
            text = self.tr("The output of every layer stays above {bound}.")
            said.append(text.format(bound=db_text(measured.breaks_db)))
        said.append(self.tr("Bars begin at 45 dB and are full at 0 dB."))
        self._said.setText(" ".join(said))

    def words(self) -> str:
        """What is said above the chart."""
        return self._said.text()


class Advice(QWidget):
    """Layers that could be left in float, each with what it would cost.

    Signals:
        run_again: quantize anew, with these layers left in float as well: a tuple of names.
    """

    run_again = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.boxes: dict[str, Box] = {}
        self._costs: dict[str, int] = {}
        self._nbytes = 0
        self._said = MutedLabel()
        self._said.setWordWrap(True)
        self._list = QGridLayout()
        self._list.setHorizontalSpacing(18)
        self._list.setVerticalSpacing(3)
        self._list.setColumnStretch(3, 1)
        self._cost = MutedLabel()
        self.button = QPushButton(self.tr("Run &again with these in float"))
        self.button.clicked.connect(lambda: self.run_again.emit(self.names()))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self._said)
        layout.addLayout(self._list)
        layout.addWidget(row_of(self.button, self._cost, stretch=1))

    def show_layers(self, measured: Measured, nbytes: int) -> None:
        """Show another result, of a file of `nbytes`."""
        self._nbytes = nbytes
        while (item := self._list.takeAt(0)) is not None:
            item.widget().hide()
            item.widget().deleteLater()
        self.boxes, self._costs = {}, {}
        layers = sorted(measured.layers, key=lambda each: each.added, reverse=True)
        wanted = [each for each in layers if each.name in measured.leave]
        rest = [each for each in layers if each.name not in measured.leave and each.saved_bytes]
        for each in [*wanted, *rest][: max(MOST_OFFERED, len(wanted))]:
            self._add(each, each.name in measured.leave)
        self._said.setText(
            self.tr("These layers add most of what is lost. In float they cost some bytes more.")
            if wanted
            else self.tr("No layer stands out. Whichever is left in float costs some bytes more.")
        )
        self._show_cost()

    def names(self) -> tuple[str, ...]:
        """The layers that are checked."""
        return tuple(name for name, box in self.boxes.items() if box.isChecked())

    def cost(self) -> str:
        """What they would cost, in words."""
        return self._cost.text()

    def _add(self, layer: LayerDamage, checked: bool) -> None:
        text = self.tr("{before} in, {after} out")
        figures = text.format(before=db_text(layer.input_sqnr_db), after=db_text(layer.sqnr_db))
        cost = f"+{size_text(layer.saved_bytes)}"
        box = Box(plain(layer.name, 80).replace("&", "&&"))
        box.setAccessibleDescription(f"{cost}, {figures}")
        box.setToolTip(tooltip(layer.name))
        box.setChecked(checked)
        box.toggled.connect(self._show_cost)
        self.boxes[layer.name] = box
        self._costs[layer.name] = layer.saved_bytes
        row = self._list.rowCount()
        self._list.addWidget(box, row, 0)
        self._list.addWidget(MutedLabel(cost), row, 1, Qt.AlignmentFlag.AlignRight)
        self._list.addWidget(MutedLabel(figures), row, 2)

    def _show_cost(self) -> None:
        names = self.names()
        self.button.setEnabled(bool(names))
        cost = sum(self._costs[name] for name in names)
        text = self.tr("about {cost} more: {before} become {after}")
        self._cost.setText(
            text.format(
                cost=size_text(cost),
                before=size_text(self._nbytes),
                after=size_text(self._nbytes + cost),
            )
            if names
            else ""
        )


def _bar(layer: LayerDamage) -> Bar:
    colour = _FINE
    if layer.sqnr_db < DOUBTFUL_DB:
        colour = _BAD if layer.sqnr_db < BAD_DB else _DOUBTFUL
    figure = db_text(layer.sqnr_db)
    hint = f"{figure} ← {db_text(layer.input_sqnr_db)}"
    return Bar(layer.name, damage_share(layer.sqnr_db), figure, hint, colour)


def _noise_order(sqnr_db: float) -> float:
    return math.inf if math.isnan(sqnr_db) else sqnr_db
