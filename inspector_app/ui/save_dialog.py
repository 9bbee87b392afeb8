"""Saving another form of a checkpoint: what is left out, what it saves, and then doing it."""

from __future__ import annotations

import os
from collections.abc import Generator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QHBoxLayout,
    QMenu,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from inspector_app.analysis.clean_copy import SUFFIX, proving
from inspector_app.analysis.save_options import ENDINGS, SaveOptions
from inspector_app.analysis.save_plan import SavePlan, planning
from inspector_app.analysis.totals import Totals, adding_up
from inspector_app.checkpoint.model import Checkpoint, Progress
from inspector_app.checkpoint.text import plain
from inspector_app.ui import settings
from inspector_app.ui.banner import ERROR, Banner
from inspector_app.ui.compare_reading import UnreadableSideError, reading_side
from inspector_app.ui.latest_steps import LatestSteps
from inspector_app.ui.line_splitter import LineSplitter
from inspector_app.ui.problem_text import error_cause
from inspector_app.ui.save_clean import clean_words, proven_words
from inspector_app.ui.save_form import SaveForm
from inspector_app.ui.save_listing import Listing, listing
from inspector_app.ui.save_preview import KeyPreview
from inspector_app.ui.save_run import SaveRun
from inspector_app.ui.save_sizes import SizeSummary
from inspector_app.ui.save_target import SaveTarget
from inspector_app.ui.text_widgets import MutedLabel
from inspector_app.ui.wizard_widgets import BAD, GOOD, Hint, Line
from inspector_app.ui.work_dialog import WorkDialog

if TYPE_CHECKING:
    from inspector_app.saving.save import Saved
    from inspector_app.ui.main_window import MainWindow

START_SIZE = (1000, 690)
TYPING_MS = 150
FORM_WIDTH = 400


class SaveDialog(WorkDialog):
    """One checkpoint's other form. A window of its own: the main one stays usable.

    Args:
        path: the checkpoint, which is read anew: its tab may close.
        clean: all of it is wanted as tensors and plain data, in a file that is read again to
            prove that it names nothing outside the allowlist.

    Signals:
        open_requested: show this file in the main window.
        left: this checkpoint is used no more.
    """

    open_requested = Signal(str)
    left = Signal(object)

    def __init__(
        self,
        path: str,
        remembered: settings.Settings,
        parent: QWidget | None = None,
        *,
        clean: bool = False,
    ) -> None:
        super().__init__(parent)
        self.path = os.path.abspath(path)
        self.clean = clean
        self.checkpoints: list[Checkpoint] = []
        self.plan: SavePlan | None = None
        self._remembered = remembered
        self._steps = LatestSteps(self)
        self._steps.failed.connect(self._failed)
        self._planned: tuple[SaveOptions, str, int] | None = None
        self._wanted = False  # Save was pressed before the plan was there
        self.setWindowFlag(Qt.WindowType.WindowMinMaxButtonsHint)
        name = plain(os.path.basename(self.path), 80)
        title = self.tr("Save a Clean Copy of {name}") if clean else self.tr("Save {name} As")
        self.setWindowTitle(title.format(name=name))
        self.sizes = SizeSummary()
        self.trouble = Banner()
        self.form = SaveForm(self.path)
        self.preview = KeyPreview()
        self.target = SaveTarget(self.path, SUFFIX if clean else ".weights", is_another=clean)
        if clean:
            self.target.keep_to(".pth")
        self.lost = Hint()
        self.cleaned = Hint()
        self.proven = Hint()
        self.run = SaveRun()
        self.status = MutedLabel(self.tr("Reading {name}…").format(name=name))
        self.copy_button = QPushButton(self.tr("&Copy as"))
        self.save_button = QPushButton(self.tr("&Save"))
        self.close_button = QPushButton(self.tr("Close"))
        self._lay_out()
        self.form.changed.connect(self._edited)
        self.form.average.files_wanted.connect(self._ask_files)
        self.target.changed.connect(self._edited)
        self.run.changed.connect(self._update)
        self.run.saved.connect(self._saved)
        self.run.open_requested.connect(self.open_requested)
        self.run.read_again.connect(self.read)
        self.save_button.clicked.connect(self.save)
        self.close_button.clicked.connect(self.close)
        self._typing = QTimer(self)
        self._typing.setSingleShot(True)
        self._typing.setInterval(TYPING_MS)
        self._typing.timeout.connect(self._make_plan)
        self.resize(QSize(*START_SIZE).boundedTo(self.screen().availableSize() * 0.95))
        self.read()

    def _lay_out(self) -> None:
        self.save_button.setDefault(True)
        for button in (self.copy_button, self.close_button):
            button.setAutoDefault(False)
        menu = QMenu(self.copy_button)
        menu.addAction(self.tr("&Command line"), self.copy_command)
        menu.addAction(self.tr("&Python"), self.copy_python)
        self.copy_button.setMenu(menu)
        upper = QVBoxLayout()
        upper.setContentsMargins(16, 14, 16, 4)
        upper.setSpacing(8)
        upper.addWidget(self.sizes)
        upper.addWidget(self.trouble)
        right = QWidget()
        listed = QVBoxLayout(right)
        listed.setContentsMargins(6, 4, 16, 4)
        listed.addWidget(self.preview)
        self.splitter = LineSplitter(Qt.Orientation.Horizontal)
        self.splitter.addWidget(self.form)
        self.splitter.addWidget(right)
        self.splitter.setStretchFactor(1, 1)
        self.splitter.setSizes([FORM_WIDTH, START_SIZE[0] - FORM_WIDTH])
        self.splitter.setChildrenCollapsible(False)
        line = Line()
        line.setFixedHeight(1)
        lower = QVBoxLayout()
        lower.setContentsMargins(16, 10, 16, 12)
        lower.setSpacing(8)
        lower.addWidget(self.target)
        for part in (self.lost, self.cleaned, self.run, self.proven):
            lower.addWidget(part)
        foot = QHBoxLayout()
        foot.setSpacing(8)
        foot.addWidget(self.status, 1)
        for button in (self.copy_button, self.save_button, self.close_button):
            foot.addWidget(button)
        lower.addLayout(foot)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(upper)
        layout.addWidget(self.splitter, 1)
        layout.addWidget(line)
        layout.addLayout(lower)
        self.save_button.setFocus()

    # --- reading and planning

    def read(self) -> None:
        """Read the file, again if it was read already."""
        self.plan = None
        self._planned = None
        self.trouble.hide()
        for checkpoint in self.checkpoints:
            self.left.emit(checkpoint)
        self.checkpoints = []
        self.run.forget()
        self._update()
        self._steps.run(_reading(self.path), self._read)

    def _read(self, found: tuple[Checkpoint, Totals]) -> None:
        checkpoint, totals = found
        self.checkpoints = [checkpoint]
        if not self.form.sections.parts:
            self.form.show_checkpoint(checkpoint, totals)
            if self.clean:
                self.form.sections.tick_all()
        self._edited()
        self._typing.stop()
        self._make_plan()

    def _form_of(self) -> str:
        return ENDINGS[self.target.ending()]

    def _edited(self) -> None:
        self.form.set_form(self._form_of())
        self.run.forget()
        self.proven.say("")
        if self.checkpoints:
            self._typing.start()
        self._update()

    def is_settled(self) -> bool:
        """What is shown is what is chosen."""
        return not self._steps.running and not self._typing.isActive()

    def problem(self) -> str:
        """Why it cannot be saved as it is chosen, in a sentence, or ""."""
        return self.form.problem() or self.target.problem()

    def _make_plan(self) -> None:
        """Plan anew, unless all that is new is the name."""
        if not self.checkpoints or self.run.running:
            return
        if self.form.problem():
            self._update()
            return
        wanted = (self.form.options(), self._form_of(), len(self.form.average.paths))
        if wanted == self._planned and self.plan is not None:
            self._update()
            return
        self.plan = None
        self._planned = wanted
        paths = self.form.average.paths
        known = {each.path: each for each in self.checkpoints}
        for path in known.keys() - set(paths):
            self.left.emit(known.pop(path))
        self.checkpoints = list(known.values())
        target = self.target.path() or "x" + self.target.ending()
        self._update()
        self._steps.run(_planning(known, paths, target, wanted[0]), self._show_plan)

    def _show_plan(self, made: tuple[list[Checkpoint], SavePlan, Listing]) -> None:
        self.checkpoints, self.plan, found = made
        plan = self.plan
        self.trouble.hide()
        self.sizes.show_sizes(plan.source_bytes, plan.written_bytes, found.said)
        self.preview.show_rows(found.rows, found.counts)
        self.form.keys.say(found.dropped, found.unmatched[0])
        self.form.values.say(found.cast, found.unmatched[1])
        self.lost.say(found.lost, BAD)
        if self.clean:
            self.cleaned.say(clean_words(plan))
        self.target.set_sources([each.path for each in self.checkpoints])
        self._typing.stop()
        self._update()
        if self._wanted:
            self.save()

    def _failed(self, error: Exception) -> None:
        self._wanted = False
        title = self.tr("It cannot be saved like this")
        if isinstance(error, UnreadableSideError):
            title = self.tr("{name} cannot be read").format(
                name=plain(os.path.basename(error.path), 80)
            )
            error = error.error
        self.plan = None
        again = [] if self.checkpoints else [(self.tr("Try again"), self.read)]
        self.trouble.show_message(ERROR, title, error_cause(error), buttons=again)
        self.status.setText("")
        self._update()

    # --- saving

    def save(self) -> None:
        """Write it; while the plan is being made, as soon as that is there."""
        self._wanted = False
        if self.problem() or self.run.running:
            return
        if self._typing.isActive():
            self._typing.stop()
            self._make_plan()
        if self.plan is None:
            self._wanted = self._steps.running
            return
        from inspector_app.saving.save import saving

        plan = replace(self.plan, target=self.target.path())
        self.proven.say("")
        work = saving(plan, self.target.may_replace(), proving if self.clean else None)
        self.run.start(work, plan.target, [])

    def _saved(self, _saved: Saved) -> None:
        self.target.written()
        if self.clean:
            self.proven.say(proven_words(), GOOD)

    def copy_command(self) -> None:
        """Copy the command that does the same."""
        from inspector_app.analysis.convert_line import command_line

        options, force = self.form.options(), self.target.may_replace()
        sources, target = self.form.average.paths, self.target.path()
        self._copy(command_line(sources, target, options, force, self.clean))

    def copy_python(self) -> None:
        """Copy Python that does the same without this program."""
        from inspector_app.analysis.save_code import python_code

        if self.plan is None:
            return
        code = python_code(self.plan, self.form.options(), self.target.path())
        if code is None:
            self.status.setText(self.tr("For this there are no few lines of Python: see Command."))
        else:
            self._copy(code)

    def _copy(self, text: str) -> None:
        QGuiApplication.clipboard().setText(text)
        self.status.setText(self.tr("Copied"))

    def _ask_files(self) -> None:
        from inspector_app.ui import file_dialogs

        title = self.tr("Average With")
        file_dialogs.ask(self, title, os.path.dirname(self.path), self.form.average.add_paths)

    # --- what is shown

    def _update(self) -> None:
        running, problem = self.run.running, self.problem()
        ready = bool(self.checkpoints) and not running
        busy = ready and self.plan is None and self._steps.running
        for part in (self.form, self.target):
            part.setEnabled(ready)
        self.save_button.setEnabled(ready and not problem and (self.plan is not None or busy))
        self.copy_button.setEnabled(ready and self.plan is not None and bool(self.target.path()))
        self.close_button.setText(self.tr("Close"))
        if self.checkpoints:
            self.status.setText(self.tr("Looking what becomes of the keys…") if busy else "")

    def cancel_work(self) -> bool:
        if not self.run.running:
            return False
        self.run.cancel()
        return True

    def done(self, result: int) -> None:
        # However it is closed, by the window's button or by Escape.
        self._typing.stop()
        self._steps.cancel()
        self.run.stop()
        self.preview.stop()
        self.plan = None
        for checkpoint in self.checkpoints:
            self.left.emit(checkpoint)
        self.checkpoints = []
        super().done(result)


def _reading(path: str) -> Generator[Progress, None, tuple[Checkpoint, Totals]]:
    checkpoint = yield from reading_side(path)
    totals = yield from adding_up(checkpoint)
    return checkpoint, totals


def _planning(
    known: dict[str, Checkpoint], paths: list[str], target: str, options: SaveOptions
) -> Generator[Any, None, tuple[list[Checkpoint], SavePlan, Listing]]:
    checkpoints = []
    for path in paths:
        checkpoint = known.get(path)
        if checkpoint is None:
            checkpoint = yield from reading_side(path)
        checkpoints.append(checkpoint)
    plan = yield from planning(checkpoints, target, options)
    found = yield from listing(plan, options)
    return checkpoints, plan, found


def show_save_dialog(window: MainWindow, path: str, clean: bool = False) -> SaveDialog:
    """The dialog of a checkpoint; the one that is open already is raised."""
    path = os.path.abspath(path)
    for dialog in window.findChildren(SaveDialog):
        if dialog.path == path and dialog.clean == clean and dialog.isVisible():
            dialog.setWindowState(dialog.windowState() & ~Qt.WindowState.WindowMinimized)
            dialog.activateWindow()
            return dialog
    dialog = SaveDialog(path, window.settings, window, clean=clean)
    dialog.open_requested.connect(lambda path: window.open_paths([path]))
    dialog.left.connect(window.tabs.take_apart)
    dialog.show()
    return dialog
