"""The whole file at a glance: how large its parts are, and which tensors to look at."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from typing import Any

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from inspector_app.analysis.module_sizes import ModuleSizes, Part, sizing
from inspector_app.analysis.quantities import count_text, short_count, size_text
from inspector_app.analysis.suspicious import Reason, Suspicion, duplicates, suspicions, unmoved
from inspector_app.analysis.tensor_roles import Roles
from inspector_app.analysis.totals import Totals
from inspector_app.checkpoint.dtypes import DTYPES
from inspector_app.checkpoint.model import Checkpoint, TensorInfo
from inspector_app.ui.bar_chart import Bar, BarChart
from inspector_app.ui.depth_chart import DepthChart
from inspector_app.ui.layer_norms import LayerNorms
from inspector_app.ui.statistics_run import StatisticsRun
from inspector_app.ui.summary_text import tensors_text
from inspector_app.ui.suspicious_list import SuspiciousList
from inspector_app.ui.tasks import Steps
from inspector_app.ui.text_widgets import Heading, MutedLabel

MOST_BARS = 16
# A part of layers that has so much of the whole is shown with what the layers are made of.
LEAST_OPENED = 0.2
MOST_INSIDE = 6
_SEARCHABLE = re.compile(r"[\w.*-]+")
TAKEN_AT_ONCE = 2_000
REDRAW_MS = 300
PARAMETERS, BYTES = range(2)


class OverviewPage(QScrollArea):
    """Charts of one file. A click in any of them goes to what it stands for.

    Signals:
        span_chosen: the first and the last tensor of what was clicked.
        search_chosen: what to search the tree for.
        statistics_requested: compute them, or go on with it.
    """

    span_chosen = Signal(object, object)
    search_chosen = Signal(str)
    statistics_requested = Signal()

    def __init__(self, run: StatisticsRun, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(self.tr("Overview"))
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._run = run
        self._checkpoint: Checkpoint | None = None
        self._steps: list[Steps] = []
        self._parts: list[Part] = []
        self._listed: list[Part] = []
        self._dtypes: list[str] = []
        self._norms = LayerNorms([])
        self._numbers: list[int] = []
        self._roles: Roles | None = None
        self._unmoved = 0
        self._duplicates: list[Suspicion] = []
        self._taken = 0
        self._redraw = QTimer(self)
        self._redraw.setSingleShot(True)
        self._redraw.setInterval(REDRAW_MS)
        self._redraw.timeout.connect(self._show_norms)

        self.modules = BarChart(self.tr("Size by module"))
        self.modules.chosen.connect(self._part_chosen)
        self.measure = QComboBox()
        self.measure.addItems([self.tr("Parameters"), self.tr("Bytes")])
        self.measure.setAccessibleName(self.tr("What the bars show"))
        self.measure.currentIndexChanged.connect(self._show_sizes)
        self.dtypes = BarChart(self.tr("Size by dtype"))
        self.dtypes.chosen.connect(self._dtype_chosen)
        self.depth = DepthChart(self.tr("L2 norm of each layer, from input to output"))
        self.depth.chosen.connect(self._layer_chosen)
        self.suspicious = SuspiciousList()
        self.suspicious.setAccessibleName(self.tr("Suspicious tensors"))
        self.suspicious.chosen.connect(lambda tensor: self.span_chosen.emit(tensor, tensor))
        self.compute_button = QPushButton(self.tr("Compute statistics"))
        self.compute_button.clicked.connect(self.statistics_requested)
        self._state = MutedLabel()
        self._state.setWordWrap(True)
        self._nothing = QLabel()
        self._nothing.setTextFormat(Qt.TextFormat.PlainText)
        self._nothing.setWordWrap(True)
        self._fresh = MutedLabel()
        self._fresh.setWordWrap(True)
        self._no_layers = MutedLabel(self.tr("Known once the statistics have been computed"))
        self._no_layers.setWordWrap(True)

        content = QWidget()
        self._layout = QVBoxLayout(content)
        self._layout.setContentsMargins(16, 12, 16, 16)
        self._layout.setSpacing(6)
        row = QHBoxLayout()
        row.addWidget(self._state, 1)
        row.addWidget(self.compute_button, 0, Qt.AlignmentFlag.AlignTop)
        self._layout.addLayout(row)
        self._suspicious_title = self._add_part(
            self.tr("Suspicious tensors"), self.suspicious, self._nothing, self._fresh
        )
        self._add_part(self.tr("By module"), self.modules, beside=self.measure)
        self._add_part(self.tr("By dtype"), self.dtypes)
        self._add_part(self.tr("L2 norm by layer"), self.depth, self._no_layers)
        self._layout.addStretch()
        self.setWidget(content)
        run.changed.connect(self._take)
        run.ended.connect(self._show_state)
        run.activity_changed.connect(self._show_state)

    def show_checkpoint(self, checkpoint: Checkpoint, totals: Totals) -> None:
        """Show another file, of which these are the totals."""
        self.cancel()
        self._checkpoint = checkpoint
        self._parts = []
        self._listed = []
        self._duplicates = []
        self._roles = Roles(checkpoint)
        self._unmoved = 0
        self._norms = LayerNorms([])
        self._taken = 0
        self._dtypes = list(totals.dtypes)
        self._totals = totals
        self._show_sizes()
        self._go_on(sizing(checkpoint, totals.sharing.keys()), self._sized)
        self._show_state()

    def cancel(self) -> None:
        """Stop what is going on."""
        for steps in self._steps:
            steps.cancel()
            steps.deleteLater()
        self._steps = []

    def is_settled(self) -> bool:
        """All that can be shown is shown."""
        return not self._steps

    def _add_part(self, title: str, *bodies: QWidget, beside: QWidget | None = None) -> Heading:
        heading = Heading(title)
        row = QHBoxLayout()
        row.setContentsMargins(0, 10, 0, 0)
        row.addWidget(heading, 1)
        if beside is not None:
            row.addWidget(beside)
        self._layout.addLayout(row)
        for body in bodies:
            self._layout.addWidget(body)
        return heading

    def _go_on(self, generator: Generator[Any, None, Any], done: Callable[[Any], None]) -> None:
        steps = Steps(generator, self)
        self._steps.append(steps)

        def end(result: object) -> None:
            self._steps.remove(steps)
            steps.deleteLater()
            done(result)

        steps.finished.connect(end)
        steps.start()

    # What is known without reading values

    def _sized(self, sizes: ModuleSizes) -> None:
        assert self._checkpoint is not None
        self._parts = sizes.parts
        self._norms = LayerNorms(sizes.layers)
        self._show_sizes()
        self._go_on(duplicates(self._checkpoint.tensors), self._compared)

    def _compared(self, groups: list[tuple[TensorInfo, ...]]) -> None:
        self._duplicates = [
            Suspicion(Reason.DUPLICATE, group[0], len(group) - 1, group[1:]) for group in groups
        ]
        self.suspicious.replace(self._duplicates)
        self._taken = self._unmoved = 0
        self._take()

    def _show_sizes(self) -> None:
        by_bytes = self.measure.currentIndex() == BYTES
        self._parts.sort(key=lambda part: -_size(part, by_bytes))
        whole = sum(_size(part, by_bytes) for part in self._parts) or 1
        self._listed = []
        bars = []
        for part in self._parts[:MOST_BARS]:
            self._listed.append(part)
            bars.append(self._bar(part.name, _size(part, by_bytes), whole, by_bytes, part.tensors))
            if _size(part, by_bytes) < LEAST_OPENED * whole:
                continue
            inside = sorted(part.inside, key=lambda each: -_size(each, by_bytes))
            for each in inside[:MOST_INSIDE]:
                self._listed.append(each)
                size = _size(each, by_bytes)
                name = each.name.removeprefix(f"{part.name}.*.")
                bar = self._bar(name, size, whole, by_bytes, each.tensors)
                bars.append(bar._replace(level=1))
        rest = self._parts[MOST_BARS:]
        if rest:
            name = self.tr("{n} others").format(n=count_text(len(rest)))
            size = sum(_size(part, by_bytes) for part in rest)
            tensors = sum(part.tensors for part in rest)
            bars.append(self._bar(name, size, whole, by_bytes, tensors))
        self.modules.set_bars(bars)
        if self._checkpoint is not None:
            shares = list(self._totals.dtypes.items())
            sizes = [share.nbytes if by_bytes else share.elements for _, share in shares]
            whole = sum(sizes) or 1
            self.dtypes.set_bars(
                [
                    self._bar(name, size, whole, by_bytes, share.tensors)._replace(colour=place)
                    for place, ((name, share), size) in enumerate(
                        zip(shares[:MOST_BARS], sizes, strict=False)
                    )
                ]
            )

    def _bar(self, name: str, size: int, whole: int, by_bytes: bool, tensors: int) -> Bar:
        share = size / whole
        short = size_text(size) if by_bytes else short_count(size)
        full = size_text(size) if by_bytes else count_text(size)
        hint = f"{full} ({share:.1%}), {tensors_text(tensors)}"
        percent = "<1%" if 0 < share < 0.005 else f"{share:.0%}"
        return Bar(name, share, short, hint, share=percent)

    # What the values say

    def _take(self) -> None:
        found, roles = self._run.found, self._roles
        if len(found) < self._taken or roles is None:
            self._taken = self._unmoved = 0
            return
        new: list[Suspicion] = []
        end = self._taken + TAKEN_AT_ONCE
        for tensor, figures in found[self._taken : end]:
            self._norms.add(tensor, figures)
            new += suspicions(tensor, figures, roles)
            self._unmoved += unmoved(tensor, figures, roles)
        self._taken = min(end, len(found))
        if self._taken < len(found):
            QTimer.singleShot(0, self, self._take)
        self.suspicious.add(new)
        if not self._redraw.isActive():
            self._redraw.start()
        self._show_state()

    def _show_norms(self) -> None:
        points, self._numbers = self._norms.points()
        self.depth.set_points(points)
        self._show_state()

    def _show_state(self, _activity: object = None) -> None:
        run = self._run
        known = bool(run.found)
        if run.is_running:
            text = self.tr("Counting: {n} tensors done").format(n=count_text(len(run.found)))
        elif run.is_complete:
            text = self.tr("Statistics of every value in the file")
        elif known:
            text = self.tr("Statistics of {n} tensors so far").format(n=count_text(len(run.found)))
        else:
            text = self.tr("What depends on values needs the statistics.")
        self._state.setText(text)
        self.compute_button.setVisible(not run.is_running and not run.is_complete)
        self.compute_button.setText(
            self.tr("Go on") if known and not run.is_complete else self.tr("Compute statistics")
        )
        self._fresh.setVisible(bool(self._unmoved))
        if self._unmoved == 1:
            fresh = self.tr("Not listed: 1 with initial values (a bias of 0, a norm's scale of 1)")
        else:
            fresh = self.tr(
                "Not listed: {n} with initial values (biases of 0, norms' scales of 1)"
            ).format(n=count_text(self._unmoved))
        self._fresh.setText(fresh)
        listed, found = len(self.suspicious), self.suspicious.total()
        self.suspicious.setVisible(bool(listed))
        self._nothing.setVisible(not listed)
        if run.is_complete and not run.is_running:
            nothing = self.tr(
                "✓ No NaN or Inf; no weight is all zero, constant, exploding or there twice"
            )
        else:
            nothing = self.tr("None known so far")
        self._nothing.setText(nothing)
        title = self.tr("Suspicious tensors")
        if listed < found:
            title = self.tr("Suspicious tensors ({n}; the first of each kind are listed)").format(
                n=count_text(found)
            )
        elif found:
            title = self.tr("Suspicious tensors ({n})").format(n=count_text(found))
        self._suspicious_title.setText(title)
        layers = any(point.value is not None for point in self.depth.points())
        self.depth.setVisible(layers)
        self._no_layers.setVisible(not layers)

    # Where clicks lead

    def _part_chosen(self, place: int) -> None:
        if place >= len(self._listed):
            return
        part = self._listed[place]
        if "*" in part.name and _SEARCHABLE.fullmatch(part.name):
            self.search_chosen.emit(f"{part.name}.*")
        else:
            self.span_chosen.emit(part.first, part.last)

    def _dtype_chosen(self, place: int) -> None:
        if self._dtypes[place] in DTYPES:
            self.search_chosen.emit(f"dtype:{self._dtypes[place]}")

    def _layer_chosen(self, place: int) -> None:
        self.span_chosen.emit(*self._norms.span(self._numbers[place]))


def _size(part: Part, by_bytes: bool) -> int:
    return part.nbytes if by_bytes else part.elements
