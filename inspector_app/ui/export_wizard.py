"""The export wizard: from a checkpoint to a file that is proven to compute the same.

A window of its own, beside which the main window stays usable. Pages keep what was chosen
in them, so going back and forth loses nothing.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from inspector_app.checkpoint.model import Checkpoint
from inspector_app.checkpoint.text import plain
from inspector_app.ui import export_memory
from inspector_app.ui.export_format_page import FormatPage
from inspector_app.ui.export_memory import Choices
from inspector_app.ui.export_result_page import ResultPage
from inspector_app.ui.export_run_page import RunPage
from inspector_app.ui.inputs_page import InputsPage
from inspector_app.ui.model_page import ModelPage
from inspector_app.ui.model_subject import Subject, subject_of
from inspector_app.ui.settings import Settings
from inspector_app.ui.text_widgets import MutedLabel
from inspector_app.ui.wizard_steps import StepList
from inspector_app.ui.wizard_widgets import Line, WizardPage
from inspector_app.worker.export_run import ExportOutcome, ExportPlan

if TYPE_CHECKING:
    from inspector_app.ui.main_window import MainWindow

MODEL, INPUTS, FORMAT, RUN, RESULT = range(5)
START_SIZE = (940, 700)
STEPS_WIDTH = 196


class ExportWizard(QDialog):
    """One checkpoint's export.

    Args:
        subject: the checkpoint.
        settings: where choices are remembered.

    Signals:
        open_requested: show this file in the main window.
    """

    open_requested = Signal(str)

    def __init__(self, subject: Subject, settings: Settings, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.subject = subject
        self._settings = settings
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowFlag(Qt.WindowType.WindowMinMaxButtonsHint)
        name = plain(os.path.basename(subject.path), 80)
        self.setWindowTitle(self.tr("Export {name}").format(name=name))
        before = export_memory.remembered(settings, subject.path)
        self.model_page = ModelPage(
            subject,
            before.interpreter,
            export_memory.is_trusted(settings, subject),
            lambda: export_memory.trust(settings, subject),
        )
        self.inputs_page = InputsPage(self.model_page)
        self.format_page = FormatPage(self.model_page, self.inputs_page)
        self.run_page = RunPage()
        self.result_page = ResultPage(subject.nbytes)
        self.pages: list[WizardPage] = [
            self.model_page,
            self.inputs_page,
            self.format_page,
            self.run_page,
            self.result_page,
        ]
        self.steps = StepList([page.title for page in self.pages])
        self.stack = QStackedWidget()
        for page in self.pages:
            self.stack.addWidget(page)
            page.changed.connect(self._update)
        self._status = MutedLabel()
        self._status.setWordWrap(True)
        self.back = QPushButton(self.tr("< &Back"))
        self.next = QPushButton(self.tr("&Next >"))
        self.close_button = QPushButton(self.tr("Close"))
        self._lay_out()
        self.steps.chosen.connect(self.show_page)
        self.back.clicked.connect(self.go_back)
        self.next.clicked.connect(self.go_on)
        self.close_button.clicked.connect(self.close)
        self.run_page.ended.connect(self._ended)
        self.result_page.open_requested.connect(self.open_requested)
        self.result_page.message.connect(self._status.setText)
        for key, go in (("Alt+Left", self.go_back), ("Alt+Right", self.go_on)):
            QShortcut(QKeySequence(key), self, go)
        self._restore(before)
        self.resize(QSize(*START_SIZE).boundedTo(self.screen().availableSize() * 0.95))
        if parent is not None:
            parent.installEventFilter(self)
        self.show_page(MODEL)

    def _lay_out(self) -> None:
        line, edge = Line(), Line()
        line.setFixedHeight(1)
        edge.setFixedWidth(1)
        self.steps.setFixedWidth(max(STEPS_WIDTH, self.fontMetrics().averageCharWidth() * 25))
        middle = QHBoxLayout()
        middle.setSpacing(0)
        middle.addWidget(self.steps)
        middle.addWidget(edge)
        middle.addWidget(self.stack, 1)
        foot = QHBoxLayout()
        foot.setContentsMargins(16, 10, 16, 12)
        foot.setSpacing(8)
        foot.addWidget(self._status, 1)
        for button in (self.back, self.next, self.close_button):
            button.setAutoDefault(False)
            foot.addWidget(button)
        self.next.setDefault(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(middle, 1)
        layout.addWidget(line)
        layout.addLayout(foot)

    # --- going about

    def page_number(self) -> int:
        """The page in front."""
        return self.stack.currentIndex()

    def show_page(self, number: int) -> None:
        """Bring a page to the front, if it can be gone to."""
        if not self._can_show(number):
            self._update()
            return
        for page in (self.model_page, self.inputs_page):
            page.leave()
        self.stack.setCurrentIndex(number)
        page = self.pages[number]
        page.enter()
        self._update()
        field = page.first_field()
        (self.steps.steps[number] if field is None else field).setFocus()

    def go_back(self) -> None:
        """The page before; from the result to the format, from which it may be run anew."""
        number = self.page_number()
        if number > MODEL and not self.run_page.running:
            self.show_page(FORMAT if number >= RUN else number - 1)

    def go_on(self) -> None:
        """The next page; from the format on the export runs."""
        number = self.page_number()
        if self.pages[number].problem():
            self.pages[number].enter()  # the disk has changed since
            return
        if number == FORMAT:
            self._start()
        elif number < FORMAT:
            self.show_page(number + 1)

    def _can_show(self, number: int) -> bool:
        if self.run_page.running:
            return number == RUN
        if number == RESULT:
            return self.result_page.outcome is not None
        if number == RUN:
            return self.run_page.plan is not None
        return not any(page.problem() for page in self.pages[:number])

    def _update(self) -> None:
        number = self.page_number()
        running = self.run_page.running
        for index, step in enumerate(self.steps.steps):
            page = self.pages[index]
            done = index < number or (index < RUN and not page.problem())
            done = done and (self._can_show(index) or running)
            summary = page.summary() if self._can_show(index) or running else ""
            step.set_state(done, self._can_show(index), summary)
            step.setChecked(index == number)
        problem = self.pages[number].problem() if number < RUN else ""
        self._status.setText(problem)
        self.back.setEnabled(number > MODEL and not running)
        self.next.setVisible(number <= FORMAT)
        self.next.setEnabled(not problem)
        self.next.setText(self.tr("&Export") if number == FORMAT else self.tr("&Next >"))

    # --- the export

    def plan(self) -> ExportPlan:
        """What the pages say, once none has a problem."""
        return ExportPlan(
            model=self.model_page.choice(),
            inputs=self.inputs_page.inputs(),
            options=self.format_page.options(),
            target=self.format_page.path(),
            interpreter=self.model_page.interpreter(),
            proof=self.format_page.proof(),
            folder=self.subject.folder,
        )

    def _start(self) -> None:
        plan = self.plan()
        self._remember()
        self.run_page.start(plan)
        self.show_page(RUN)

    def _ended(self, outcome: ExportOutcome) -> None:
        plan = self.run_page.plan
        assert plan is not None
        self.result_page.show_outcome(plan, outcome)
        self.show_page(RESULT)

    # --- what is remembered

    def _restore(self, before: Choices) -> None:
        if before.model is not None:
            self.model_page.restore(before.model)
        if before.inputs is not None:
            self.inputs_page.restore(before.inputs)
        if before.options is not None:
            self.format_page.restore(before.options, before.target, before.proof)

    def _remember(self) -> None:
        """Keep what was chosen, up to the first page that is not filled in."""
        if self.model_page.source.problem():
            return
        choices = Choices(
            self.model_page.interpreter(),
            self.format_page.target.text().strip(),
            self.model_page.choice(),
        )
        if not self.inputs_page.input_problem():
            choices = choices._replace(inputs=self.inputs_page.inputs())
            if not self.format_page.options_problem():
                choices = choices._replace(
                    options=self.format_page.options(), proof=self.format_page.proof()
                )
        export_memory.remember(self._settings, self.subject.path, choices)

    # --- the window

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        # With the main window everything ends that was begun from it.
        if watched is self.parent() and event.type() == QEvent.Type.Close:
            self.close()
        return super().eventFilter(watched, event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.run_page.running:
            self.run_page.cancel()
            return
        super().keyPressEvent(event)

    def done(self, result: int) -> None:
        # However it is closed, by the window's button or by Escape.
        self._remember()
        for page in self.pages:
            page.stop()
        super().done(result)


def show_wizard(window: MainWindow, checkpoint: Checkpoint) -> ExportWizard:
    """The wizard of a checkpoint; the one that is open already is raised."""
    subject = subject_of(checkpoint)
    for wizard in window.findChildren(ExportWizard):
        if wizard.subject.path == subject.path and wizard.isVisible():
            wizard.setWindowState(wizard.windowState() & ~Qt.WindowState.WindowMinimized)
            wizard.activateWindow()
            return wizard
    wizard = ExportWizard(subject, window.settings, window)
    wizard.open_requested.connect(lambda path: window.open_paths([path]))
    wizard.show()
    return wizard
