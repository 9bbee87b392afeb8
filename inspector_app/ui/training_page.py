"""The state of a training: whether it can be resumed, its optimizer, its learning rate."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import NamedTuple

from PySide6.QtCore import QPoint, Qt, QTimer, Signal
from PySide6.QtWidgets import QFrame, QLabel, QScrollArea, QVBoxLayout, QWidget

from inspector_app.analysis.resume_check import Check, CheckStatus
from inspector_app.analysis.resume_checklist import Checklist, checking
from inspector_app.analysis.training_figures import Figure, History
from inspector_app.analysis.training_state import TrainingState, reading_training
from inspector_app.analysis.training_words import number_text
from inspector_app.checkpoint.model import Checkpoint, Progress
from inspector_app.checkpoint.text import plain
from inspector_app.ui.check_list import CheckLine, CheckList
from inspector_app.ui.line_chart import Line, LineChart
from inspector_app.ui.optimizer_view import Kept, OptimizerView, listing
from inspector_app.ui.rehearsal_view import RehearsalView
from inspector_app.ui.tasks import Steps
from inspector_app.ui.text_blocks import Facts
from inspector_app.ui.text_table import TextTable
from inspector_app.ui.text_widgets import Heading, MutedLabel
from inspector_app.ui.training_words import SUBJECTS, translated, words_text

_MOST_CHARTS = 6
_WORST_FIRST = (CheckStatus.FAILED, CheckStatus.WARNING, CheckStatus.NOTE, CheckStatus.OK)


class _Read(NamedTuple):
    """A training, what stands against resuming it, and the rows of each optimizer."""

    state: TrainingState
    found: Checklist
    kept: Sequence[Sequence[Kept]]


class TrainingPage(QScrollArea):
    """Everything that a checkpoint says of its training.

    Signals:
        span_chosen: the first and the last tensor of what was chosen.
        settled: all that can be shown without a worker is shown.
    """

    span_chosen = Signal(object, object)
    settled = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(self.tr("Training"))
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._steps: Steps | None = None
        self.state: TrainingState | None = None
        self._title = QLabel()
        font = self._title.font()
        font.setBold(True)
        self._title.setFont(font)
        self._title.setTextFormat(Qt.TextFormat.PlainText)
        self._title.setWordWrap(True)
        self._waiting = MutedLabel(self.tr("Reading the state of the training…"))
        self._verdict = QLabel()
        self._verdict.setTextFormat(Qt.TextFormat.PlainText)
        self._verdict.setWordWrap(True)
        self.checks = CheckList()
        self.rehearsal = RehearsalView()
        self.rehearsal.settled.connect(lambda: QTimer.singleShot(0, self, self._order_focus))
        self._figures = Facts()
        self._charts = QWidget()
        charts = QVBoxLayout(self._charts)
        charts.setContentsMargins(0, 0, 0, 0)
        charts.setSpacing(8)
        self.histories: list[tuple[MutedLabel, LineChart]] = []
        self.optimizers: list[OptimizerView] = []
        self._optimizers = QWidget()
        optimizers = QVBoxLayout(self._optimizers)
        optimizers.setContentsMargins(0, 0, 0, 0)
        optimizers.setSpacing(14)
        self._schedulers = Facts()
        self._others = Facts()
        self.config = TextTable(
            self.tr("Configuration"), [self.tr("Name"), self.tr("Value")], stretched=1
        )
        self._versions = Facts()
        content = QWidget()
        self._layout = QVBoxLayout(content)
        self._layout.setContentsMargins(16, 12, 16, 16)
        self._layout.setSpacing(6)
        self._layout.addWidget(self._title)
        self._layout.addWidget(self._waiting)
        self._parts = {
            "checks": self._part(self.tr("Can it resume?"), self._verdict, self.checks),
            "rehearsal": self._part(self.tr("Rehearsal"), self.rehearsal),
            "figures": self._part(self.tr("Where it stands"), self._figures),
            "charts": self._part(self.tr("Metrics over time"), self._charts),
            "optimizers": self._part("", self._optimizers),
            "schedulers": self._part(self.tr("Scheduler"), self._schedulers),
            "others": self._part(self.tr("Other parts"), self._others),
            "config": self._part(self.tr("Configuration"), self.config),
            "versions": self._part(self.tr("Versions and times"), self._versions),
        }
        self._layout.addStretch()
        self.setWidget(content)

    def show_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Show another file."""
        self.cancel()
        self._title.hide()
        self._waiting.show()
        for part in self._parts.values():
            part.hide()
        self._steps = Steps(_reading(checkpoint), self)
        self._steps.finished.connect(self._show)
        self._steps.failed.connect(self._failed)
        self._steps.start()

    def cancel(self) -> None:
        """Stop what is going on, and let go of the file."""
        if self._steps is not None:
            self._steps.cancel()
            self._steps.deleteLater()
            self._steps = None
        self.rehearsal.stop()
        for view in self.optimizers:
            view.forget()
        self.state = None

    def is_settled(self) -> bool:
        """Nothing is going on, but for what was asked of a worker."""
        return self._steps is None

    def verdict(self) -> str:
        """What is said first about resuming."""
        return self._verdict.text()

    # What is shown

    def _part(self, title: str, *bodies: QWidget) -> QWidget:
        part = QWidget()
        layout = QVBoxLayout(part)
        layout.setContentsMargins(0, 10 if title else 6, 0, 0)
        layout.setSpacing(6)
        if title:
            layout.addWidget(Heading(title))
        for body in bodies:
            layout.addWidget(body)
        self._layout.addWidget(part)
        return part

    def _show_part(self, name: str, visible: object) -> None:
        self._parts[name].setVisible(bool(visible))

    def _failed(self, error: Exception) -> None:
        self._steps = None
        said = plain(f"{type(error).__name__}: {error}", 400)
        self._waiting.setText(self.tr("The training could not be read: {why}").format(why=said))
        self.settled.emit()

    def _show(self, result: _Read) -> None:
        self._steps = None
        state, found, kept = result
        self.state = state
        self._waiting.hide()
        words = [each.kind for each in state.optimizers if each.kind]
        words += [each.kind for each in state.schedulers if each.kind]
        if state.framework:
            words.append(state.framework)
        self._title.setText(plain(" · ".join(words), 300))
        self._title.setVisible(bool(words))
        self._show_checks(found)
        self._show_figures(state)
        self._show_optimizers(state, kept)
        self._schedulers.set_rows(_scheduler_rows(state))
        self._show_part("schedulers", state.schedulers)
        self._others.set_rows(
            [(plain(each.kind, 40), words_text(each.words)) for each in state.parts]
        )
        self._show_part("others", state.parts)
        self.config.show_rows([_row(figure) for figure in state.config])
        self._show_part("config", state.config)
        self._versions.set_rows([_row(figure) for figure in state.facts])
        self._show_part("versions", state.facts)
        self._show_part("rehearsal", state.optimizers or state.schedulers)
        self.rehearsal.show_training(state)
        QTimer.singleShot(0, self, self._order_focus)  # once all have their places
        self.settled.emit()

    def _order_focus(self) -> None:
        """The Tab key goes from top to bottom, whatever was made first."""
        content = self.widget()
        stops = [
            (place.y(), place.x(), number, widget)
            for number, widget in enumerate(content.findChildren(QWidget))
            if widget.focusPolicy() & Qt.FocusPolicy.TabFocus
            for place in (widget.mapTo(content, QPoint()),)
        ]
        ordered = [widget for *_, widget in sorted(stops, key=lambda stop: stop[:3])]
        for before, after in pairwise(ordered):
            QWidget.setTabOrder(before, after)

    def _show_checks(self, found: Checklist) -> None:
        if found.resumable:
            careful = sum(check.status == CheckStatus.WARNING for check in found.checks)
            text = self.tr("It can be resumed.")
            if careful:
                text = self.tr("It can be resumed, with care.")
        else:
            text = self.tr("It cannot be resumed as it was.")
        self._verdict.setText(text)
        ordered = sorted(found.checks, key=lambda check: _WORST_FIRST.index(check.status))
        self.checks.show_lines([_check_line(check) for check in ordered])
        self._show_part("checks", found.checks)

    def _show_figures(self, state: TrainingState) -> None:
        counters = [figure for figure in (state.epoch, state.step) if figure is not None]
        rows = [_row(figure) for figure in (*counters, *state.metrics)]
        rows += [_row(figure) for figure in state.best]
        self._figures.set_rows(rows)
        self._show_part("figures", rows)
        shown = [each for each in state.histories if len(each.values) > 1][:_MOST_CHARTS]
        layout = self._charts.layout()
        assert layout is not None
        while len(self.histories) < len(shown):
            title = MutedLabel()
            chart = LineChart(self.tr("A metric over time"))
            layout.addWidget(title)
            layout.addWidget(chart)
            self.histories.append((title, chart))
        for place, (title, chart) in enumerate(self.histories):
            used = place < len(shown)
            title.setVisible(used)
            chart.setVisible(used)
            if used:
                title.setText(_history_title(shown[place]))
                chart.show_lines([_history_line(shown[place])])
        self._show_part("charts", shown)

    def _show_optimizers(self, state: TrainingState, kept: Sequence[Sequence[Kept]]) -> None:
        layout = self._optimizers.layout()
        assert layout is not None
        while len(self.optimizers) < len(state.optimizers):
            made = OptimizerView()
            made.tensor_chosen.connect(lambda tensor: self.span_chosen.emit(tensor, tensor))
            layout.addWidget(made)
            self.optimizers.append(made)
        for place, view in enumerate(self.optimizers):
            used = place < len(state.optimizers)
            view.setVisible(used)
            if used:
                view.show_optimizer(state.optimizers[place], kept[place], state.model_nbytes)
        self._show_part("optimizers", state.optimizers)


def _reading(checkpoint: Checkpoint) -> Generator[Progress | None, None, _Read]:
    state = yield from reading_training(checkpoint)
    found = yield from checking(state)
    kept = []
    for optimizer in state.optimizers:
        kept.append((yield from listing(optimizer)))
    return _Read(state, found, kept)


def _row(figure: Figure) -> tuple[str, str]:
    return plain(figure.name, 80), number_text(figure.value)


def _check_line(check: Check) -> CheckLine:
    title = translated(SUBJECTS[check.subject])
    if check.where:
        title = f"{title}: {plain(check.where, 60)}"
    return CheckLine(check.status, title, words_text(check.words))


def _history_title(history: History) -> str:
    first, last = (number_text(history.values[place]) for place in (0, -1))
    return f"{plain(history.name, 60)}   {first} → {last}"


def _history_line(history: History) -> Line:
    steps = list(range(1, len(history.values) + 1))
    if history.steps:
        with suppress(OverflowError):
            return Line("", [float(step) for step in history.steps], _floats(history))
    return Line("", steps, _floats(history))


def _floats(history: History) -> list[float]:
    found = []
    for value in history.values:
        try:
            found.append(float(value))
        except OverflowError:
            found.append(float("nan"))
    return found


def _scheduler_rows(state: TrainingState) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    todo = [(each, 0) for each in reversed(state.schedulers)]
    while todo:
        scheduler, depth = todo.pop()
        text = "\n".join(words_text(words) for words in scheduler.words)
        if scheduler.why is not None and not depth:
            text = f"{text}\n{words_text(scheduler.why)}".strip()
        name = "   " * depth + (scheduler.kind or translated("unknown"))
        rows.append((name, text or "—"))
        todo += [(part, depth + 1) for part in reversed(scheduler.parts)]
    return rows
