"""Resuming, tried in a worker process: how it went, and the learning rate before and after."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from inspector_app.analysis.quantities import count_text
from inspector_app.analysis.resume_check import CheckStatus
from inspector_app.analysis.training_state import TrainingState
from inspector_app.analysis.training_words import number_text
from inspector_app.checkpoint.text import plain
from inspector_app.ui.check_list import CheckLine, CheckList
from inspector_app.ui.line_chart import Line, LineChart
from inspector_app.ui.tasks import Steps
from inspector_app.ui.text_widgets import Heading, MutedLabel
from inspector_app.ui.training_words import finding_text, finding_title, reason_text
from inspector_app.ui.worker_task import TICK_SECONDS, WorkerTask
from inspector_app.ui.worker_words import cause_text, next_step_text, stage_text
from inspector_app.worker.client import events
from inspector_app.worker.failures import Failed
from inspector_app.worker.protocol import Event, Finished, Progress, Request
from inspector_app.worker.rehearsal_protocol import Finding, RateCurves, Rehearsed
from inspector_app.worker.rehearsal_run import describing_rehearsal, rates_of

_MOST_GROUPS = 6


class RehearsalView(QWidget):
    """A button, what came of it, and two charts.

    The learning rate is asked for as soon as a training is shown; to rehearse, somebody has to
    want it.

    Signals:
        settled: nothing is going on any more.
    """

    settled = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._state: TrainingState | None = None
        self._interpreter = ""
        self._wanted = False
        self._steps: Steps | None = None
        self._task = WorkerTask(self)
        self._task.progress.connect(self._progressed)
        self._task.finished.connect(self._answered)
        self._task.failed.connect(self._failed)
        self.button = QPushButton(self.tr("Rehearse"))
        self.button.setToolTip(
            self.tr("Rebuild optimizer and scheduler in another process, and take one step")
        )
        self.button.clicked.connect(self._clicked)
        self.other = QPushButton(self.tr("Other Python…"))
        self.other.setToolTip(self.tr("Choose a Python interpreter that has torch"))
        self.other.clicked.connect(self._ask_python)
        self.other.hide()
        self._status = QLabel()
        self._status.setTextFormat(Qt.TextFormat.PlainText)
        self._status.setWordWrap(True)
        self.findings = CheckList()
        self._curves_title = MutedLabel(
            self.tr("The loss on a quadratic made from the state, resumed both ways")
        )
        self._curves_title.setWordWrap(True)
        self.curves = LineChart(self.tr("Resumed with and without the optimizer's state"))
        self._rates_title = Heading(self.tr("Learning rate"))
        self.rates = LineChart(self.tr("Learning rate by the scheduler's steps"))
        self._rates_words = MutedLabel()
        self._rates_words.setWordWrap(True)
        row = QHBoxLayout()
        row.addWidget(self.button)
        row.addWidget(self.other)
        row.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addLayout(row)
        for widget in (self._status, self.findings, self._curves_title, self.curves):
            layout.addWidget(widget)
        layout.addSpacing(8)
        for widget in (self._rates_title, self.rates, self._rates_words):
            layout.addWidget(widget)
        self._hide_results()

    def show_training(self, state: TrainingState | None) -> None:
        """Show another training, or none."""
        self.stop()
        self._state = state
        self._hide_results()
        self.button.setVisible(state is not None and bool(state.optimizers))
        self._show_rates((), asked=False)
        if state is not None and state.schedulers:
            self._begin(rehearse=False)

    def stop(self) -> None:
        """End what is going on, and forget the training."""
        self._end_steps()
        self._task.stop()
        self._state = None
        self._rest()

    def is_settled(self) -> bool:
        """Nothing is going on."""
        return not self._busy

    @property
    def _busy(self) -> bool:
        return self._steps is not None or self._task.running

    def status(self) -> str:
        """What is said below the button."""
        return self._status.text()

    # What is asked

    def _clicked(self) -> None:
        if self._busy and self._wanted:
            self._end_steps()
            self._task.cancel()
            self._rest()
            self._status.setText(self.tr("Cancelled."))
        else:
            self._begin(rehearse=True)

    def _begin(self, rehearse: bool) -> None:
        state = self._state
        if state is None:
            return
        self._wanted = rehearse
        self.other.hide()
        if rehearse:
            self._hide_results()
            self.button.setText(self.tr("Cancel"))
            self._status.setText(self.tr("Starting…"))
            self._status.show()
        else:
            self._rates_words.setText(self.tr("Asking torch's scheduler…"))
            self._rates_words.show()
        self._end_steps()
        self._task.cancel()
        self._steps = Steps(_describing(state, rehearse), self)
        self._steps.finished.connect(self._ask)
        self._steps.start()

    def _ask(self, requests: Sequence[Request]) -> None:
        self._end_steps()
        self._task.run(_asking(requests, self._interpreter))

    def _end_steps(self) -> None:
        if self._steps is not None:
            self._steps.cancel()
            self._steps.deleteLater()
            self._steps = None

    def _ask_python(self) -> None:
        dialog = QFileDialog(self, self.tr("Choose a Python Interpreter"))
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(self.use_python)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def use_python(self, path: str) -> None:
        """Ask that interpreter instead, what was asked last."""
        self._interpreter = path
        self._begin(self._wanted)

    def _progressed(self, progress: Progress) -> None:
        if self._wanted:
            self._status.setText(f"{stage_text(progress.stage)}…")

    def _rest(self) -> None:
        self.button.setText(self.tr("Rehearse"))

    # What came of it

    def _answered(self, results: tuple[Rehearsed | RateCurves, ...]) -> None:
        self._rest()
        rehearsals = [each for each in results if isinstance(each, Rehearsed)]
        rates = [each for each in results if isinstance(each, RateCurves)]
        rates = [each.rate_curves for each in rehearsals if each.rate_curves is not None] + rates
        if rehearsals:
            self._show_rehearsals(rehearsals)
        self._show_rates(rates)
        self.settled.emit()

    def _failed(self, failed: Failed) -> None:
        self._rest()
        text = f"{cause_text(failed)} {next_step_text(failed)}"
        if self._wanted:
            self._status.setText(text)
            self._status.show()
        self._rates_words.setText(text)
        self._rates_words.setVisible(not self._wanted)
        self.other.show()
        self.settled.emit()

    def _hide_results(self) -> None:
        for widget in (self._status, self.findings, self._curves_title, self.curves):
            widget.hide()

    def _show_rehearsals(self, rehearsals: Sequence[Rehearsed]) -> None:
        lines: list[CheckLine] = []
        for each in rehearsals:
            works = each.stepped and not any(finding.error for finding in each.findings)
            status = CheckStatus.OK if works else CheckStatus.FAILED
            name = plain(each.optimizer) or self.tr("Optimizer")
            lines.append(CheckLine(status, name, self._step_text(each)))
            whose = f"{name}: " if len(rehearsals) > 1 else ""
            lines += [_finding_line(finding, whose) for finding in each.findings]
        self.findings.show_lines(lines)
        self.findings.show()
        self._status.hide()
        shown = next((each for each in rehearsals if each.curves is not None), None)
        missing = next((each.curves_missing for each in rehearsals if each.curves_missing), "")
        if shown is not None and shown.curves is not None:
            curves = shown.curves
            steps = range(len(curves.with_state))
            self.curves.show_lines(
                [
                    Line(self.tr("with its state"), steps, curves.with_state, 0),
                    Line(self.tr("without"), steps, curves.without_state, 1, dashed=True),
                ],
                axis=self.tr("steps"),
            )
            self.curves.show()
            self._curves_title.show()
        elif missing:
            self._status.setText(self.tr("No chart: {why}").format(why=reason_text(missing)))
            self._status.show()

    def _step_text(self, each: Rehearsed) -> str:
        if any(finding.code == "too-little-memory" for finding in each.findings):
            return self.tr("It was not tried.")
        if not each.stepped:
            return self.tr("It does not go on as it was.")
        pairs = dict.fromkeys(
            f"{number_text(now)} → {number_text(after)}" for now, after in each.rates
        )
        text = self.tr("A step was taken with gradients made up: {n} parameters moved.").format(
            n=count_text(each.parameters)
        )
        if each.scheduler_stepped and pairs:
            rates = ", ".join(list(pairs)[:_MOST_GROUPS])
            text += " " + self.tr("The rate goes {rates}.").format(rates=rates)
        return text

    def _show_rates(self, rates: Sequence[RateCurves], asked: bool = True) -> None:
        lines: list[Line] = []
        words: list[str] = []
        marked: float | None = None
        for curves in rates:
            marked = curves.at if len(rates) == 1 else None
            several = len(curves.future) > 1
            for group, future in enumerate(curves.future[:_MOST_GROUPS]):
                past = curves.past[group] if curves.past else ()
                name = self.tr("group {n}").format(n=group) if several else plain(curves.scheduler)
                series = len({line.series for line in lines})
                if past:
                    lines.append(Line(name, range(len(past)), past, series))
                steps = range(curves.at + 1, curves.at + 1 + len(future))
                lead = ([curves.at], [past[-1]]) if past else ([], [])
                ahead = Line("" if past else name, [*lead[0], *steps], [*lead[1], *future], series)
                lines.append(ahead._replace(dashed=True))
            words += [finding_text(finding) for finding in curves.findings]
            if curves.future and curves.past:
                words.append(self.tr("The dashed part is what comes when training goes on."))
        has_any = any(len(line.values) for line in lines)
        self.rates.setVisible(has_any)
        if has_any:
            self.rates.show_lines(lines, axis=self.tr("steps of the scheduler"), marked=marked)
        self._rates_title.setVisible(asked and bool(rates))
        self._rates_words.setText("\n".join(dict.fromkeys(words)))
        self._rates_words.setVisible(bool(words))


def _finding_line(finding: Finding, whose: str) -> CheckLine:
    status = CheckStatus.FAILED if finding.error else CheckStatus.NOTE
    return CheckLine(status, whose + finding_title(finding), finding_text(finding))


def _describing(state: TrainingState, rehearse: bool) -> Generator[None, None, list[Request]]:
    """What to ask: to rehearse with each optimizer, and the rates of schedulers without one."""
    requests: list[Request] = []
    if rehearse:
        for number in range(len(state.optimizers)):
            requests.append((yield from describing_rehearsal(state, number)))
    requests += [rates_of(state, number) for number in range(len(requests), len(state.schedulers))]
    return requests


def _asking(
    requests: Sequence[Request], interpreter: str
) -> Generator[Event | None, None, tuple[object, ...] | None]:
    """The results of several requests, or None after the first that failed."""
    results = []
    for request in requests:
        for event in events(request, interpreter, tick=TICK_SECONDS):
            yield event
            if isinstance(event, Finished):
                results.append(event.result)
            elif isinstance(event, Failed):
                return None
    return tuple(results)
