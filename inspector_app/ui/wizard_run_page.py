"""The page of a wizard on which its work goes on, with its log, until it is cancelled."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from time import perf_counter
from typing import Any

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QTextCursor
from PySide6.QtWidgets import QLabel, QPlainTextEdit, QProgressBar, QPushButton, QWidget

from inspector_app.checkpoint.text import plain
from inspector_app.ui.banner import INFO, Banner
from inspector_app.ui.text_blocks import fixed_font
from inspector_app.ui.wizard_stages import StageList
from inspector_app.ui.wizard_widgets import FORM_WIDTH, Fold, WizardPage, row_of
from inspector_app.ui.worker_task import WorkerTask
from inspector_app.ui.worker_words import seconds_text, stage_text
from inspector_app.worker.failures import Failed
from inspector_app.worker.protocol import Event, Finished, Progress

_LOG_LINES = 5_000
_LINE_CHARACTERS = 2_000
_LOG_MS = 100
_CLOCK_MS = 200


class RunPage(WizardPage):
    """Runs a plan.

    Args:
        work: what goes on, as in *the export*.

    Attributes:
        plan: what is run, or was.

    Signals:
        ended: what the work returned, or the `Failed` that ended it.
    """

    ended = Signal(object)

    widest = FORM_WIDTH

    def __init__(self, title: str, purpose: str, work: str, parent: QWidget | None = None) -> None:
        super().__init__(title, purpose, parent)
        self._work_words = work
        self.plan: Any = None
        self._began = 0.0
        self._task = WorkerTask(self)
        self._task.progress.connect(self._progressed)
        self._task.log.connect(self._logged)
        self._task.part.connect(self._part_ended)
        self._task.finished.connect(self._ended)
        self._task.failed.connect(self._failed)
        self._banner = Banner()
        self._doing = QLabel()
        self._clock_label = QLabel()
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName(self.tr("Progress of {work}").format(work=work))
        self.cancel_button = QPushButton(self.tr("Ca&ncel {work}").format(work=work))
        self.cancel_button.clicked.connect(self.cancel)
        self.stages = StageList()
        self.log = QPlainTextEdit()
        self.log.setReadOnly(True)
        self.log.setFont(fixed_font())
        self.log.setMaximumBlockCount(_LOG_LINES)
        self.log.setTabChangesFocus(True)
        self.log.setMinimumHeight(150)
        self.log.setAccessibleName(self.tr("What the model's code printed"))
        self.fold = Fold(self.tr("What the model's code printed"), self.log)
        self.fold.hide()
        self._lines: deque[str] = deque(maxlen=_LOG_LINES)
        self._flush = QTimer(self)
        self._flush.setInterval(_LOG_MS)
        self._flush.setSingleShot(True)
        self._flush.timeout.connect(self._show_log)
        self._clock = QTimer(self)
        self._clock.setInterval(_CLOCK_MS)
        self._clock.timeout.connect(self._tick)
        self._running_row = row_of(self._doing, self._clock_label)
        self.column.addWidget(self._banner)
        self.column.addWidget(self._running_row)
        self.column.addWidget(self.bar)
        self.column.addWidget(row_of(self.cancel_button, stretch=-1))
        self.add_part("", self.stages)
        self.column.addWidget(self.fold)
        self.column.addStretch(1)
        self._show(False)

    @property
    def running(self) -> bool:
        """The work is going on."""
        return self._task.running

    def begin(self, plan: object, steps: Generator[Event | None, None, object], group: str) -> None:
        """Run `plan` by `steps`, whose first stages belong together as `group`."""
        self.plan = plan
        self._began = perf_counter()
        self._banner.hide()
        self.stages.clear()
        self._lines.clear()
        self.log.clear()
        self.fold.hide()
        self.begin_group(group)
        self._task.run(steps)
        self._clock.start()
        self._show(True)
        self.cancel_button.setFocus()
        self.changed.emit()

    def begin_group(self, title: str) -> None:
        """Another worker is started; its stages belong together."""
        self.stages.begin_group(title)
        self._doing.setText(self.tr("Starting Python…"))
        self.bar.setRange(0, 0)

    def cancel(self) -> None:
        """Kill the worker; what stood at the target before still does."""
        if not self._task.running:
            return
        self._task.cancel()
        self._stop_showing()
        self.stages.end(False)
        text = self.tr("{work} was cancelled").format(work=self._work_words)
        self._banner.show_message(INFO, text[:1].upper() + text[1:], "", self.left_text())
        self.changed.emit()

    def left_text(self) -> str:
        """What is left of work that was cancelled."""
        return ""

    def part_ended(self, event: Finished | Failed) -> None:
        """A worker has ended; another may follow."""

    def problem(self) -> str:
        if self._task.running:
            text = self.tr("{work} is going on.").format(work=self._work_words)
            return text[:1].upper() + text[1:]
        return self.tr("Nothing has been run yet.")

    def first_field(self) -> QWidget | None:
        return self.cancel_button if self._task.running else None

    def stop(self) -> None:
        self._clock.stop()
        self._flush.stop()
        self._task.stop()

    def _stop_showing(self) -> None:
        self._clock.stop()
        self._show_log()
        self._show(False)

    def _show(self, running: bool) -> None:
        for widget in (self._running_row, self.bar, self.cancel_button):
            widget.setVisible(running)

    def _tick(self) -> None:
        self._clock_label.setText(seconds_text(perf_counter() - self._began))
        self.stages.tick()

    def _progressed(self, progress: Progress) -> None:
        text = stage_text(progress.stage)
        self._doing.setText(f"{text}…")
        self.stages.begin(text)
        if progress.total:
            self.bar.setRange(0, 1_000)
            self.bar.setValue(min(progress.done * 1_000 // progress.total, 1_000))
        else:
            self.bar.setRange(0, 0)

    def _part_ended(self, event: Finished | Failed) -> None:
        self.stages.end(isinstance(event, Finished))
        self.part_ended(event)

    def _logged(self, line: str) -> None:
        self._lines.append(plain(line.expandtabs(4), _LINE_CHARACTERS))
        if not self._flush.isActive():
            self._flush.start()

    def _show_log(self) -> None:
        if not self._lines:
            return
        self.fold.show()
        bar = self.log.verticalScrollBar()
        at_end = bar.value() >= bar.maximum() - 2
        cursor = QTextCursor(self.log.document())
        cursor.movePosition(QTextCursor.MoveOperation.End)
        text = "\n".join(self._lines)
        cursor.insertText(text if self.log.document().isEmpty() else f"\n{text}")
        self._lines.clear()
        if at_end:
            bar.setValue(bar.maximum())

    def _ended(self, outcome: object) -> None:
        self._stop_showing()
        self.ended.emit(outcome)
        self.changed.emit()

    def _failed(self, failed: Failed) -> None:
        self.stages.end(False)
        self._ended(failed)
