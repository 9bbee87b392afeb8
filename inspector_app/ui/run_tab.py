"""A run: the checkpoints of a folder, followed while training writes them."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from inspector_app.analysis.run_checkpoints import Run, judged_by
from inspector_app.analysis.run_watch import RunWatch
from inspector_app.checkpoint.text import plain
from inspector_app.ui import run_words
from inspector_app.ui.document_tab import DocumentTab
from inspector_app.ui.line_splitter import LineSplitter
from inspector_app.ui.run_curves import RunCurves
from inspector_app.ui.run_drift_view import DriftView
from inspector_app.ui.run_table import RunTable
from inspector_app.ui.tasks import Steps
from inspector_app.ui.text_widgets import Heading

POLL_MS = 500
SIDE_WIDTH = 320
_PAIR = 2


class RunTab(DocumentTab):
    """The checkpoints in a table; beside it their metrics and how far the weights moved.

    Args:
        folder: that is followed, or "".
        files: checkpoints, instead of a folder.

    Signals:
        open_requested: these paths are to be opened.
        compare_requested: two paths are to be compared, the earlier one being A.
    """

    kind = "run"
    checkpoint = None  # it shows many
    open_requested = Signal(list)
    compare_requested = Signal(str, str)

    def __init__(
        self, folder: str = "", files: Sequence[str] = (), parent: QWidget | None = None
    ) -> None:
        content = QWidget()
        super().__init__(content, parent)
        self.path = os.path.abspath(folder or (files[0] if files else ""))
        self._folder = bool(folder)
        self._files = [os.path.abspath(path) for path in files]
        self._following = self._new_watch()
        self._steps: Steps | None = None
        self._metric = ""
        self.run: Run | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self._look)

        self._summary = QLabel()
        self._summary.setTextFormat(Qt.TextFormat.PlainText)
        self._summary.setWordWrap(True)
        self.search = QLineEdit()
        self.search.setPlaceholderText(self.tr("Search checkpoints"))
        self.search.setAccessibleName(self.search.placeholderText())
        self.search.setClearButtonEnabled(True)
        self.open_button = QPushButton(self.tr("Open"))
        self.open_button.setToolTip(self.tr("Open the selected checkpoints"))
        self.open_button.clicked.connect(self._open)
        self.compare_button = QPushButton(self.tr("Compare"))
        self.compare_button.setToolTip(
            self.tr("Compare the two selected checkpoints; the earlier one is A")
        )
        self.compare_button.clicked.connect(self._compare)
        self.table = RunTable()
        self.table.chosen.connect(lambda path: self.open_requested.emit([path]))
        self.table.selection_changed.connect(self._selected)
        self.search.textChanged.connect(self.table.search)
        self.curves = RunCurves()
        self.curves.metric_chosen.connect(self._judge)
        self.drift = DriftView()
        self.drift.activity_changed.connect(self._set_activity)

        side = QWidget()
        column = QVBoxLayout(side)
        column.setContentsMargins(16, 10, 16, 16)
        column.setSpacing(6)
        column.addWidget(Heading(self.tr("Metrics")))
        column.addWidget(self.curves)
        column.addSpacing(8)
        column.addWidget(Heading(self.tr("Drift of the weights")))
        column.addWidget(self.drift)
        column.addStretch(1)
        scroll = QScrollArea()
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setMinimumWidth(SIDE_WIDTH)
        scroll.setWidget(side)
        splitter = LineSplitter(Qt.Orientation.Horizontal)
        splitter.addWidget(self.table)
        splitter.addWidget(scroll)
        splitter.setStretchFactor(0, 1)
        splitter.setSizes([760, 420])
        splitter.setChildrenCollapsible(False)
        row = QHBoxLayout()
        row.setContentsMargins(12, 8, 12, 8)
        row.setSpacing(8)
        row.addWidget(self._summary, 1)
        row.addWidget(self.search)
        row.addWidget(self.open_button)
        row.addWidget(self.compare_button)
        self.search.setMinimumWidth(160)
        self.search.setMaximumWidth(220)
        layout = QVBoxLayout(content)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(row)
        layout.addWidget(splitter, 1)
        self._selected()

    # As every tab

    def name(self) -> str:
        """The folder's name, safe to show."""
        if not self._folder:
            return self.tr("{n} checkpoints").format(n=len(self._files))
        return plain(os.path.basename(self.path) or self.path, 80)

    def paths(self) -> list[str]:
        """What it shows."""
        return [self.path] if self._folder else self._files

    def read(self) -> None:
        """Look at everything anew."""
        self._stop_looking()
        self._following = self._new_watch()
        self._begin_reading()
        self._timer.start()
        self._look()

    def cancel(self) -> bool:
        """Stop what is going on; what is shown stays. False if it was nothing."""
        return self.drift.cancel()

    def stop(self) -> None:
        """End everything before the tab goes."""
        self._timer.stop()
        self._stop_looking()
        self.drift.stop()

    def is_settled(self) -> bool:
        """It shows something, and nothing is being measured."""
        return (self.run is not None or self.error is not None) and self.drift.is_settled()

    def first_focus(self) -> QWidget:
        """What the keys go to."""
        return self.table if self._has_content() else self.card

    def summary(self) -> str:
        """The run in one line."""
        return self._summary.text()

    def _doing(self) -> str:
        return self.tr("Reading {name}").format(name=self.name())

    def _is_reading(self) -> bool:
        return self._steps is not None

    def _has_content(self) -> bool:
        return self.run is not None and bool(self.run.checkpoints)

    # Following

    def _new_watch(self) -> RunWatch:
        return RunWatch(self.path) if self._folder else RunWatch(files=self._files)

    def _look(self) -> None:
        if self._steps is not None:
            return
        self._steps = Steps(self._following.scanning(time.time()), self)
        self._steps.progress.connect(self._further)
        self._steps.finished.connect(self._looked)
        self._steps.failed.connect(self._not_looked)
        self._steps.start()

    def _stop_looking(self) -> None:
        if self._steps is not None:
            self._steps.cancel()
            self._steps.deleteLater()
            self._steps = None

    def _further(self, progress: object) -> None:
        if self.run is None:
            self._read_further(progress)

    def _looked(self, changes: list[object]) -> None:
        self._stop_looking()
        first = self.run is None or self.error is not None
        if self.error is not None:
            self.error = None
            self._hide_banner()
        if not changes and not first:
            return
        run = self._following.run()
        known = {curve.name for curve in run.curves}
        self.run = judged_by(run, self._metric) if self._metric in known else run
        if first:
            self._set_activity(None)
        if self.run.checkpoints:
            self._show_content()
            self._summary.setText(run_words.summary(self.run))
            self.table.show_run(self.run)
            self.curves.show_run(self.run)
            self.drift.show_run(self.run)
        else:
            self._show_card(
                "info",
                self.tr("There is no checkpoint in this folder yet"),
                plain(self.path, 400),
                self.tr("One that training writes appears here when it is complete."),
                [(self.tr("Close"), self._close)],
            )
        if first:
            self.settled.emit()

    def _not_looked(self, error: Exception) -> None:
        self._stop_looking()
        if self.error is None:
            gone = self.tr("The folder cannot be read; this is what it held before")
            self._show_failure(error, self.path, not_again=gone)

    # What people do

    def _judge(self, metric: str) -> None:
        self._metric = metric
        if self.run is not None:
            self.run = judged_by(self.run, metric)
            self._summary.setText(run_words.summary(self.run))
            self.table.show_run(self.run)
            self.curves.show_run(self.run)

    def _selected(self) -> None:
        selected = self.table.selected()
        self.open_button.setEnabled(bool(selected))
        complete = [each for each in selected if each.complete]
        self.compare_button.setEnabled(len(complete) == _PAIR == len(selected))
        self.curves.show_selected(selected)
        self.drift.show_selected(selected[-1].path if selected else "")

    def _open(self) -> None:
        self.open_requested.emit([each.path for each in self.table.selected()])

    def _compare(self) -> None:
        a, b = self.table.selected()
        self.compare_requested.emit(a.path, b.path)
