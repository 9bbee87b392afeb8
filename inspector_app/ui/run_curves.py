"""The metrics of a run over its epochs or steps; a selected checkpoint is marked."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from inspector_app.analysis.run_checkpoints import Curve, Run, RunCheckpoint
from inspector_app.analysis.run_order import By
from inspector_app.checkpoint.text import plain
from inspector_app.ui.line_chart import Line, LineChart
from inspector_app.ui.run_words import number
from inspector_app.ui.text_widgets import MutedLabel

_CHARTS = 3


class RunCurves(QWidget):
    """A chart for each of the first metrics, and which of them says what is best.

    Signals:
        metric_chosen: the metric that is to say which checkpoint is the best.
    """

    metric_chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._run: Run | None = None
        self._selected: Sequence[RunCheckpoint] = ()
        label = QLabel(self.tr("Best by"))
        self.metric = QComboBox()
        self.metric.setAccessibleName(self.tr("The metric that says which checkpoint is the best"))
        label.setBuddy(self.metric)
        self.metric.activated.connect(lambda _: self.metric_chosen.emit(self.metric.currentData()))
        row = QHBoxLayout()
        row.addWidget(label)
        row.addWidget(self.metric, 1)
        self._none = MutedLabel(
            self.tr("These checkpoints hold no metrics: save them beside the weights, as a number.")
        )
        self._none.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addLayout(row)
        layout.addWidget(self._none)
        self._label = label
        self.charts: list[tuple[MutedLabel, LineChart]] = []
        for _ in range(_CHARTS):
            title, chart = MutedLabel(), LineChart(self.tr("A metric over the run"))
            layout.addWidget(title)
            layout.addWidget(chart)
            self.charts.append((title, chart))

    def show_run(self, run: Run) -> None:
        """Show it as it is by now."""
        self._run = run
        names = [curve.name for curve in run.curves]
        if [self.metric.itemData(place) for place in range(self.metric.count())] != names:
            self.metric.clear()
            for name in names:
                self.metric.addItem(plain(name, 60), name)
        self.metric.setCurrentIndex(self.metric.findData(run.metric))
        for widget in (self._label, self.metric):
            widget.setVisible(bool(names))
        self._none.setVisible(not names)
        self._show()

    def show_selected(self, selected: Sequence[RunCheckpoint]) -> None:
        """Mark the first of these."""
        self._selected = selected
        self._show()

    def _show(self) -> None:
        run = self._run
        if run is None:
            return
        ordered = sorted(run.curves, key=lambda curve: curve.name != run.metric)
        marked = _place(run, self._selected[0]) if self._selected else None
        for place, (title, chart) in enumerate(self.charts):
            used = place < len(ordered)
            title.setVisible(used)
            chart.setVisible(used)
            if used:
                curve = ordered[place]
                title.setText(_title(curve, self._selected))
                steps = [float(step) for step, _ in curve.points]
                values = [float(value) for _, value in curve.points]
                axis = {By.EPOCH: self.tr("epoch"), By.STEP: self.tr("step")}.get(run.by, "")
                chart.show_lines([Line("", steps, values)], axis=axis, marked=marked)


def _title(curve: Curve, selected: Sequence[RunCheckpoint]) -> str:
    shown = [each for each in selected if curve.name in each.metrics][:2]
    text = plain(curve.name, 60)
    if shown:
        text += "   " + " → ".join(number(each.metrics[curve.name]) for each in shown)
    return text


def _place(run: Run, checkpoint: RunCheckpoint) -> float | None:
    place = getattr(checkpoint.place, run.by, None)
    if place is not None:
        return float(place)
    complete = [each.path for each in run.checkpoints if each.complete]
    return float(complete.index(checkpoint.path)) if checkpoint.path in complete else None
