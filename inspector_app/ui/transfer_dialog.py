"""Partial loading: what of one checkpoint flows into another, seen before it is done."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QVBoxLayout, QWidget

from inspector_app.analysis.comparison import Comparison
from inspector_app.analysis.key_mapping import NO_MAPPING, KeyMapping
from inspector_app.analysis.save_plan import SavePlan
from inspector_app.analysis.transfer import planning_result
from inspector_app.analysis.transfer_plan import Choice, Flow, TransferOptions
from inspector_app.checkpoint.text import plain
from inspector_app.ui.banner import ERROR
from inspector_app.ui.compare_reading import UnreadableSideError
from inspector_app.ui.key_suggestions import KeySuggestions
from inspector_app.ui.latest_steps import LatestSteps
from inspector_app.ui.model_subject import subject_of
from inspector_app.ui.problem_text import error_cause
from inspector_app.ui.settings import Settings
from inspector_app.ui.transfer_flows import Fate
from inspector_app.ui.transfer_layout import TransferLayout
from inspector_app.ui.transfer_picture import TransferPicture
from inspector_app.ui.transfer_run import Ends, comparing_ends, drawing, reading_ends
from inspector_app.ui.transfer_saving import TransferReports
from inspector_app.ui.work_dialog import WorkDialog

if TYPE_CHECKING:
    from inspector_app.ui.main_window import MainWindow

START_SIZE = (1060, 780)


class TransferDialog(WorkDialog):
    """One source, and the target that is chosen for it.

    Args:
        source: the checkpoint that the weights come from; it is read anew.
        target: what they are loaded into, or "" while that is not chosen.
        others: files that are open.
        mapping: how keys are matched at first.

    Attributes:
        picture: what is shown, with its plan; None while there is none.

    Signals:
        open_requested: show this file in the main window.
        left: this checkpoint is used no more.
    """

    open_requested = Signal(str)
    left = Signal(object)

    def __init__(
        self,
        source: str,
        target: str,
        others: list[str],
        settings: Settings,
        parent: QWidget | None = None,
        mapping: KeyMapping = NO_MAPPING,
    ) -> None:
        super().__init__(parent)
        self.source_path, self.target_path = os.path.abspath(source), ""
        self.options = TransferOptions(mapping)
        self.picture: TransferPicture | None = None
        self._settings = settings
        self._ends = Ends()
        self._steps = LatestSteps(self)
        self._steps.failed.connect(self._failed)
        self._folders: list[str] = []
        self._look_for_skipped = True
        self.setWindowFlag(Qt.WindowType.WindowMinMaxButtonsHint)
        name = plain(os.path.basename(self.source_path), 80)
        self.setWindowTitle(self.tr("Transfer Weights of {name}").format(name=name))
        self.parts = TransferLayout(self.source_path, others)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.parts)
        self.suggestions = KeySuggestions(self)
        self.reports = TransferReports(self)
        self._connect()
        self.resize(QSize(*START_SIZE).boundedTo(self.screen().availableSize() * 0.95))
        self.set_target(target)

    def _connect(self) -> None:
        parts = self.parts
        self.suggestions.mapping_chosen.connect(self.set_mapping)
        self.suggestions.review_requested.connect(parts.show_keys)
        self.reports.message.connect(parts.status.setText)
        parts.ends.target_chosen.connect(self.set_target)
        parts.ends.file_wanted.connect(self._ask_file)
        parts.ends.model_wanted.connect(self._ask_model)
        parts.ends.parts_chosen.connect(self._choose_parts)
        parts.totals.next_wanted.connect(self._go_to_next)
        parts.view.key_selected.connect(lambda _target, _source: self._show_choice())
        parts.view.key_chosen.connect(lambda _place: parts.choice.focus_choice())
        parts.choice.chosen.connect(self.choose)
        parts.usual.changed.connect(self._usual_changed)
        parts.target.changed.connect(self._file_named)
        parts.run.changed.connect(self._update)
        parts.run.saved.connect(lambda _saved: parts.target.written())
        parts.run.open_requested.connect(self.open_requested)
        parts.run.read_again.connect(self.read_again)
        parts.save_button.clicked.connect(self.save)
        parts.copy_button.clicked.connect(self.copy_python)
        parts.close_button.clicked.connect(self.close)

    # --- which files

    def set_target(self, path: str) -> None:
        """Load into another file; "" while none is chosen."""
        path = os.path.abspath(path) if path else ""
        if path and path == self.target_path:
            return
        self._forget_picture()
        if self._ends.target is not None:
            self.left.emit(self._ends.target)
            self._ends = self._ends._replace(target=None)
        self.target_path = path
        self.options = replace(self.options, choices={})
        if path:
            self.parts.ends.show_target(path)
            ending = os.path.splitext(path)[1].lower()
            self.parts.target.set_sources([self.source_path, path])
            self.parts.target.suggest(".safetensors" if ending == ".safetensors" else ".pth")
            built = os.path.dirname(path) in self._folders
            self.parts.target.name_after(self.source_path if built else path)
        self._steps.run(reading_ends(self.source_path, path, self._ends), self._read)
        self._show_waiting()
        self._update()

    def read_again(self) -> None:
        """One of the files has changed."""
        path, self.target_path = self.target_path, ""
        if self._ends.source is not None:
            self.left.emit(self._ends.source)
        self._ends = self._ends._replace(source=None)
        self.parts.run.forget()
        self.set_target(path)

    def _read(self, ends: Ends) -> None:
        self._ends = ends
        assert ends.source is not None
        self.parts.ends.show_source(self.source_path, ends.source)
        self.parts.ends.show_parts(*ends)
        self._choose_parts()

    def _ask_file(self) -> None:
        from inspector_app.ui import file_dialogs

        title = self.tr("Load Into")
        folder = os.path.dirname(self.source_path)
        file_dialogs.ask(
            self, title, folder, lambda paths: self.set_target(paths[0]), several=False
        )

    def _ask_model(self) -> None:
        if self._ends.source is None:
            return
        from inspector_app.ui.transfer_model import ModelTarget

        dialog = ModelTarget(subject_of(self._ends.source), self._settings, self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.built.connect(self._model_built)
        dialog.open()

    def _model_built(self, path: str, name: str) -> None:
        self._folders.append(os.path.dirname(path))
        self.parts.ends.name_model(path, name)
        self.set_target(path)

    # --- what flows

    def _choose_parts(self) -> None:
        source, target = self.parts.ends.chosen_parts()
        if target != self.options.target_section:
            self.options = replace(self.options, choices={})
        self.options = replace(self.options, source_section=source, target_section=target)
        self._look_for_skipped = True
        self._draw()

    def set_mapping(self, mapping: KeyMapping) -> None:
        """Match the keys otherwise."""
        self._look_for_skipped = True
        self.parts.banner.hide()
        self.options = replace(self.options, mapping=mapping)
        self._draw()

    def choose(self, keys: list[str], choice: Choice | None) -> None:
        """Do something else with these keys of the target; None is what is usual."""
        choices = dict(self.options.choices)
        for key in keys:
            choices.pop(key, None)
            if choice is not None:
                choices[key] = choice
        self.options = replace(self.options, choices=choices)
        self._draw()

    def _usual_changed(self) -> None:
        self.options = self.parts.usual.apply_to(self.options)
        self._draw()

    def _draw(self) -> None:
        source, target = self._ends.source, self._ends.target
        self.parts.run.forget()
        if source is None or target is None:
            self._show_waiting()
            self._update()
            return
        self._steps.run(drawing(source, target, self.options, self.picture), self._drawn)
        self._update()

    def _drawn(self, picture: TransferPicture) -> None:
        before, self.picture = self.picture, picture
        view = self.parts.view
        view.describe(
            (picture.source_facts, picture.source_reason),
            (picture.target_facts, picture.target_reason),
        )
        view.show_flows(picture.flows)
        self.parts.totals.set_totals(picture.totals)
        if picture.plan.flows:
            self.parts.show_view()
        else:
            self.parts.show_empty("info", self.tr("The target has no tensor to load into."))
        if before is None:
            view.target.setFocus()
        if before is None or self._look_for_skipped:
            self._look_for_skipped = False
            if not view.next_with(Fate.SKIPPED) and picture.plan.flows:
                view.go_to_key(0)
        self._show_choice()
        self._update()
        if self.suggestions.comparison is None or self.suggestions.mapping != self.options.mapping:
            self._steps.run(
                comparing_ends(picture.plan.source, picture.plan.target, self.options.mapping),
                self._compared,
            )

    def _compared(self, comparison: Comparison) -> None:
        self.suggestions.look(comparison, self.options.mapping, self.parts.banner)
        self.parts.keys.serve(self.suggestions, self._settings)

    def _go_to_next(self, fate: int) -> None:
        self.parts.view.next_with(fate)

    def _show_choice(self) -> None:
        view, picture = self.parts.view, self.picture
        node = view.target.current_node()
        flows: list[Flow] = []
        name = ""
        if picture is not None and node >= 0:
            tree = picture.flows.target
            name = tree.name(node)
            leaves = tree.node_of_leaf[tree.first[node] : tree.last[node]]
            flows = [picture.plan.flows[tree.key[leaf]] for leaf in leaves]
        self.parts.choice.show_flows(flows, name)

    # --- writing

    def save(self) -> None:
        """Write the target with what flows into it."""
        picture = self.picture
        if picture is None or self._problem() or self.parts.run.running:
            return
        out = self.parts.target.path()
        self._steps.run(planning_result(picture.plan, out), self._write)
        self._update()

    def _write(self, plan: SavePlan) -> None:
        from inspector_app.saving.save import saving

        force = self.parts.target.may_replace()
        more: list[tuple[str, Callable[[], object]]] = [(self.tr("Save report…"), self.ask_report)]
        self.parts.run.start(saving(plan, force=force), plan.target, more)

    def copy_python(self) -> None:
        """Copy Python that does the same with torch alone."""
        if self.picture is None:
            return
        from inspector_app.analysis.transfer_code import transfer_code

        self._copy(transfer_code(self.picture.plan, self.parts.target.path()))

    def ask_report(self) -> None:
        """Ask where to save what flowed and what did not."""
        if self.picture is not None:
            self.reports.ask(self.picture.plan, self.parts.target.path())

    def _copy(self, text: str) -> None:
        QGuiApplication.clipboard().setText(text)
        self.parts.status.setText(self.tr("Copied"))

    # --- steps

    def is_settled(self) -> bool:
        """What is shown is what is chosen."""
        return not self._steps.running

    def _failed(self, error: Exception) -> None:
        title = self.tr("It cannot be transferred like this")
        if isinstance(error, UnreadableSideError):
            name = plain(os.path.basename(error.path), 80)
            title, error = self.tr("{name} cannot be read").format(name=name), error.error
        if self.picture is not None:
            # What is on show is what will be written.
            self.options = self.picture.plan.options
            self.parts.usual.show_options(self.options)
            self._show_choice()
            self.parts.banner.show_message(ERROR, title, error_cause(error))
        else:
            self._forget_picture()
            again = [(self.tr("Try again"), self.read_again)]
            self.parts.show_empty(ERROR, title, error_cause(error), "", again)
        self._update()

    def _forget_picture(self) -> None:
        self._steps.cancel()
        self.suggestions.stop()
        self.parts.keys.forget()
        self.parts.banner.hide()
        self.picture = None
        self.parts.totals.set_totals({})
        self.parts.choice.show_flows((), "")

    # --- what is shown

    def _problem(self) -> str:
        return self.parts.target.problem()

    def _file_named(self) -> None:
        self.parts.run.forget()
        self._update()

    def _show_waiting(self) -> None:
        if not self.target_path:
            self.parts.ask_for_target(self._ask_file, self._ask_model)
        elif self.picture is None:
            self.parts.show_empty("info", self.tr("Reading…"))

    def _update(self) -> None:
        parts = self.parts
        running, ready = parts.run.running, self.picture is not None
        problem = self._problem() if ready else ""
        for widget in (parts.ends, parts.splitter, parts.choice, parts.usual, parts.target):
            widget.setEnabled(not running)
        for widget in (parts.choice, parts.usual, parts.target, parts.keys_button):
            widget.setVisible(ready)
        parts.save_button.setEnabled(ready and not running and not problem)
        parts.copy_button.setEnabled(ready and not running)
        parts.status.setText("")

    def cancel_work(self) -> bool:
        if not self.parts.run.running:
            return False
        self.parts.run.cancel()
        return True

    def done(self, result: int) -> None:
        # However it is closed, by the window's button or by Escape.
        self.parts.run.stop()
        self.reports.stop()
        self._forget_picture()
        for checkpoint in self._ends:
            if checkpoint is not None:
                self.left.emit(checkpoint)
        self._ends = Ends()
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)
        super().done(result)


def show_transfer_dialog(
    window: MainWindow, source: str, target: str = "", mapping: KeyMapping = NO_MAPPING
) -> TransferDialog:
    """A dialog that transfers the weights of `source`, into `target` if that is known."""
    source = os.path.abspath(source)
    others = [tab.path for tab in window.tabs.files() if tab.path != source]
    dialog = TransferDialog(source, target, others, window.settings, window, mapping)
    dialog.open_requested.connect(lambda path: window.open_paths([path]))
    dialog.left.connect(window.tabs.take_apart)
    dialog.show()
    return dialog
