"""How far the weights of a run moved: over the run, and by layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from inspector_app.analysis.drift_apart import DriftSaid, Moved, measuring_drift_apart
from inspector_app.analysis.other_process import OtherProcess, ProcessEnded, end_all
from inspector_app.analysis.quantities import count_text
from inspector_app.analysis.run_checkpoints import Run
from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.text import plain
from inspector_app.ui.activity_bar import Activity
from inspector_app.ui.bar_chart import Bar, BarChart
from inspector_app.ui.latest_work import LatestWork
from inspector_app.ui.line_chart import Line, LineChart
from inspector_app.ui.run_words import share_text
from inspector_app.ui.text_widgets import MutedLabel

FIRST, PREVIOUS = range(2)
_MOST_LAYERS = 24
_LEAST = 2


class DriftView(QWidget):
    """A button, a line for the whole model, and bars for the layers of one checkpoint.

    Signals:
        activity_changed: an `Activity`, or None.
    """

    activity_changed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._run: Run | None = None
        self._moved: dict[str, Moved] = {}
        self._layers: tuple[str, ...] = ()
        self._selected = ""
        self._processes: list[OtherProcess] = []  # one at most
        self._work = LatestWork(self)
        self.destroyed.connect(partial(end_all, self._processes))
        self.button = QPushButton(self.tr("Measure drift"))
        self.button.setToolTip(
            self.tr("Read the weights: how far each layer is from the first checkpoint")
        )
        self.button.clicked.connect(self._clicked)
        self.base = QComboBox()
        self.base.addItems([self.tr("from the first"), self.tr("from the one before")])
        self.base.setAccessibleName(self.tr("Distance from"))
        self.base.currentIndexChanged.connect(self._show)
        self._words = MutedLabel()
        self._words.setWordWrap(True)
        self.chart = LineChart(self.tr("Distance of the weights over the run"))
        self._title = QLabel()
        self._title.setTextFormat(Qt.TextFormat.PlainText)
        self._title.setWordWrap(True)
        self.layers = BarChart(self.tr("Distance by layer"))
        row = QHBoxLayout()
        row.addWidget(self.button)
        row.addStretch(1)
        row.addWidget(self.base)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addLayout(row)
        for widget in (self._words, self.chart, self._title, self.layers):
            layout.addWidget(widget)
        self._show()

    def show_run(self, run: Run) -> None:
        """Show it as it is by now; what was measured stays."""
        self._run = run
        self.button.setEnabled(len(self._paths()) >= _LEAST or self._work.running)
        self._show()

    def show_selected(self, path: str) -> None:
        """Show the layers of that checkpoint; "" for the last one that was measured."""
        self._selected = path
        self._show_layers()

    def is_settled(self) -> bool:
        """Nothing is being measured."""
        return not self._work.running

    def cancel(self) -> bool:
        """Stop; what was measured stays. False if nothing was going on."""
        if not self._work.running:
            return False
        self._end()
        self._words.setText(self.tr("Cancelled: the others are not measured."))
        return True

    def stop(self) -> None:
        """End it, and return when no file is in use."""
        end_all(self._processes)
        self._work.stop()

    def words(self) -> str:
        """What is said below the button."""
        return self._words.text()

    def _paths(self) -> list[str]:
        run = self._run
        return [each.path for each in run.checkpoints if each.complete] if run is not None else []

    def _clicked(self) -> None:
        if self._work.running:
            self.cancel()
            return
        self._moved = {}
        self._layers = ()
        self._processes.append(OtherProcess())
        self.button.setText(self.tr("Cancel"))
        self._words.setText(self.tr("Measuring…"))
        self._work.run(
            measuring_drift_apart(self._processes[0], self._paths()),
            self._further,
            self._finished,
            self._failed,
        )

    def _further(self, said: DriftSaid) -> None:
        self._layers = said.layers or self._layers
        for each in said.moved:
            self._moved[each.path] = each
        activity = Activity(self.tr("Measuring drift"), said.done, said.total or None)
        self.activity_changed.emit(activity)
        if said.moved:
            self._show()

    def _finished(self, _end: object) -> None:
        self._end()
        failed = [each for each in self._moved.values() if each.reason]
        if not self._moved:
            self._words.setText(self.tr("The weights could not be read."))
        elif failed:
            self._words.setText(
                self.tr("{n} could not be measured: {why}").format(
                    n=count_text(len(failed)), why=plain(failed[0].reason, 300)
                )
            )
        else:
            self._words.setText("")
        self._show()

    def _failed(self, error: Exception) -> None:
        known = isinstance(error, (ProcessEnded, CheckpointError, OSError))
        self._words.setText(plain(str(error) if known else repr(error), 300))
        self._end()

    def _end(self) -> None:
        end_all(self._processes)
        self._work.cancel()
        self.button.setText(self.tr("Measure drift"))
        self.button.setEnabled(len(self._paths()) >= _LEAST)
        self.activity_changed.emit(None)
        self._show()

    # What is shown

    def _show(self) -> None:
        first = self.base.currentIndex() == FIRST
        places: list[int] = []
        values: list[float] = []
        for number, path in enumerate(self._paths()):
            each = self._moved.get(path)
            if each is not None and not each.reason:
                places.append(number + 1)
                values.append(each.whole_from_first if first else each.whole_from_previous)
        self.base.setVisible(bool(values))
        self.chart.setVisible(bool(values))
        if values:
            self.chart.show_lines([Line("", places, values)], axis=self.tr("checkpoints"))
        if not self._moved and not self._work.running and not self._words.text():
            self._words.setText(
                self.tr("Reads the weights of every checkpoint: it can be cancelled.")
            )
        self._words.setVisible(bool(self._words.text()))
        self._show_layers()

    def _show_layers(self) -> None:
        first = self.base.currentIndex() == FIRST
        measured = [self._moved[path] for path in self._paths() if path in self._moved]
        shown = self._moved.get(self._selected) or (measured[-1] if measured else None)
        figures: Sequence[float] = ()
        if shown is not None and not shown.reason:
            figures = shown.from_first if first else shown.from_previous
        named = [
            (figure, name)
            for name, figure in zip(self._layers, figures, strict=False)
            if not math.isnan(figure)
        ]
        named.sort(key=lambda pair: -pair[0])
        most = next((figure for figure, _ in named if math.isfinite(figure)), 0.0) or 1.0
        self.layers.set_bars(
            [
                Bar(name, min(figure / most, 1.0), share_text(figure))
                for figure, name in named[:_MOST_LAYERS]
            ]
        )
        self.layers.setVisible(bool(named))
        self._title.setVisible(bool(named))
        if shown is not None and named:
            name = (
                next(
                    (each.name for each in self._run.checkpoints if each.path == shown.path),
                    shown.path,
                )
                if self._run is not None
                else shown.path
            )
            said = self.tr("Layers of {name}, the most moved first").format(name=plain(name, 80))
            if len(named) > _MOST_LAYERS:
                said += self.tr(" ({n} of {all})").format(
                    n=_MOST_LAYERS, all=count_text(len(named))
                )
            self._title.setText(said)
