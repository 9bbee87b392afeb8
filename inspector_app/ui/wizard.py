"""A wizard: a window of its own, beside which the main window stays usable.

Pages in which something is chosen, one that does it, and one with what became of it. They
keep what was chosen in them, so going back and forth loses nothing.
"""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QHBoxLayout,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from inspector_app.ui.model_subject import Subject
from inspector_app.ui.text_widgets import MutedLabel
from inspector_app.ui.wizard_run_page import RunPage
from inspector_app.ui.wizard_steps import StepList
from inspector_app.ui.wizard_widgets import Line, WizardPage
from inspector_app.ui.work_dialog import WorkDialog

START_SIZE = (940, 700)
STEPS_WIDTH = 196


class Wizard(WorkDialog):
    """Leads through pages.

    Args:
        subject: the checkpoint that it is about.
        pages: the last two run what the others chose, and show what became of it.

    Signals:
        open_requested: show this file in the main window.
    """

    open_requested = Signal(str)

    def __init__(
        self, subject: Subject, pages: list[WizardPage], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.subject = subject
        self.setWindowFlag(Qt.WindowType.WindowMinMaxButtonsHint)
        self.pages = pages
        self._last_choice, self._run, self._result = range(len(pages))[-3:]
        self.steps = StepList([page.title for page in self.pages])
        self.stack = QStackedWidget()
        for page in self.pages:
            self.stack.addWidget(page)
            page.changed.connect(self._update)
        self.status = MutedLabel()
        self.status.setWordWrap(True)
        self.back = QPushButton(self.tr("< &Back"))
        self.next = QPushButton(self.tr("&Next >"))
        self.close_button = QPushButton(self.tr("Close"))
        self._lay_out()
        self.steps.chosen.connect(self.show_page)
        self.back.clicked.connect(self.go_back)
        self.next.clicked.connect(self.go_on)
        self.close_button.clicked.connect(self.close)
        for key, go in (("Alt+Left", self.go_back), ("Alt+Right", self.go_on)):
            QShortcut(QKeySequence(key), self, go)
        self.resize(QSize(*START_SIZE).boundedTo(self.screen().availableSize() * 0.95))

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
        foot.addWidget(self.status, 1)
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

    # --- what a wizard does

    def begin(self) -> None:
        """Start what the pages say on the page that runs it."""
        raise NotImplementedError

    def doing_text(self) -> str:
        """The button that begins it."""
        raise NotImplementedError

    def remember(self) -> None:
        """Keep what was chosen, as far as it went."""

    def has_failed(self) -> bool:
        """What the last page shows is that it could not be done."""
        return False

    def has_result(self) -> bool:
        """The last page has something to show."""
        raise NotImplementedError

    @property
    def runner(self) -> RunPage:
        """The page that runs it."""
        page = self.pages[self._run]
        assert isinstance(page, RunPage)
        return page

    # --- going about

    def page_number(self) -> int:
        """The page in front."""
        return self.stack.currentIndex()

    def show_page(self, number: int) -> None:
        """Bring a page to the front, if it can be gone to."""
        if not self._can_show(number):
            self._update()
            return
        self.pages[self.page_number()].leave()
        self.stack.setCurrentIndex(number)
        page = self.pages[number]
        page.enter()
        self._update()
        field = page.first_field()
        (self.steps.steps[number] if field is None else field).setFocus()

    def go_back(self) -> None:
        """The page before; from the result to the last choice, from which it may be run anew."""
        number = self.page_number()
        if number > 0 and not self.runner.running:
            self.show_page(self._neighbour(min(number, self._run), -1))

    def go_on(self) -> None:
        """The next page; from the last choice on it runs, and again where it was not done."""
        number = self.page_number()
        if self._can_run_again():
            self.start()
        if number > self._last_choice or self.runner.running:
            return
        if self.pages[number].problem():
            self.pages[number].enter()  # the disk has changed since
            return
        following = self._neighbour(number, 1)
        if following == self._run:
            self.start()
        else:
            self.show_page(following)

    def start(self) -> None:
        """Run what the pages say."""
        self.remember()
        self.begin()
        self.show_page(self._run)

    def show_result(self) -> None:
        """What became of it is known."""
        self.show_page(self._result)

    def _neighbour(self, number: int, step: int) -> int:
        """The page before or after one, of those that are needed."""
        number += step
        while self.pages[number].skipped():
            number += step
        return number

    def _can_show(self, number: int) -> bool:
        if self.runner.running:
            return number == self._run
        if number == self._result:
            return self.has_result()
        if number == self._run:
            return self.runner.plan is not None
        before = (page for page in self.pages[:number] if not page.skipped())
        return not self.pages[number].skipped() and not any(page.problem() for page in before)

    def _can_run_again(self) -> bool:
        """It was cancelled or has failed, and could be tried once more as it is."""
        number = self.page_number()
        ended = number == self._run or (number == self._result and self.has_failed())
        if not ended or self.runner.running or self.runner.plan is None:
            return False
        return not any(page.problem() for page in self.pages[: self._run] if not page.skipped())

    def _update(self) -> None:
        number = self.page_number()
        running = self.runner.running
        for index, step in enumerate(self.steps.steps):
            page = self.pages[index]
            can = self._can_show(index)
            skipped = page.skipped()
            done = index < number or (index < self._run and not page.problem())
            done = done and (can or running) and not skipped
            summary = page.summary() if can or running else ""
            step.set_state(done, can, self.tr("not needed") if skipped else summary)
            step.setChecked(index == number)
        problem = self.pages[number].problem() if number < self._run else ""
        self.status.setText(problem)
        self.back.setEnabled(number > 0 and not running)
        again = self._can_run_again()
        self.next.setVisible(number <= self._last_choice or again)
        self.next.setEnabled(not problem)
        last = number <= self._last_choice and self._neighbour(number, 1) == self._run
        text = self.doing_text() if last else self.tr("&Next >")
        self.next.setText(self.tr("Run &again") if again else text)

    # --- the window

    def cancel_work(self) -> bool:
        if not self.runner.running:
            return False
        self.runner.cancel()
        return True

    def done(self, result: int) -> None:
        # However it is closed, by the window's button or by Escape.
        self.remember()
        for page in self.pages:
            page.stop()
        super().done(result)


def raise_wizard(kind: type[Wizard], subject: Subject, window: QWidget) -> Wizard | None:
    """Bring that wizard of a checkpoint to the front, if it is open already."""
    for wizard in window.findChildren(kind):
        if wizard.subject.path == subject.path and wizard.isVisible():
            wizard.setWindowState(wizard.windowState() & ~Qt.WindowState.WindowMinimized)
            wizard.activateWindow()
            return wizard
    return None
