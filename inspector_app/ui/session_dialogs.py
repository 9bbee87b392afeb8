"""Dialogs with choices that nobody has carried out: as a session keeps them, and back again.

What is typed and ticked is in `form_fields`; here is what a form has besides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from PySide6.QtWidgets import QApplication

from inspector_app.ui.form_fields import fields_of, fill
from inspector_app.ui.session import FILE, Details, DialogState
from inspector_app.ui.session_restored import Restored
from inspector_app.ui.session_tabs import read_mapping, said_of
from inspector_app.ui.waiting_for import WaitingFor
from inspector_app.ui.work_dialog import WorkDialog

if TYPE_CHECKING:
    from inspector_app.analysis.transfer_plan import Choice
    from inspector_app.ui.checkpoint_tab import CheckpointTab
    from inspector_app.ui.main_window import MainWindow
    from inspector_app.ui.save_dialog import SaveDialog
    from inspector_app.ui.transfer_dialog import TransferDialog
    from inspector_app.ui.wizard import Wizard

EXPORT, QUANTIZE, SAVE, TRANSFER = "export", "quantize", "save", "transfer"
# By their names: a window that never opened one has not imported it.
_KINDS = {
    "ExportWizard": EXPORT,
    "QuantizeDialog": QUANTIZE,
    "SaveDialog": SAVE,
    "TransferDialog": TRANSFER,
}
_MOST_CHOICES = 20_000
_MOST_FILES = 1_000


class DialogStates:
    """What is chosen in a window's dialogs, looked at where somebody may have changed it."""

    def __init__(self, window: MainWindow) -> None:
        self._window = window
        self._known: dict[WorkDialog, DialogState] = {}

    def now(self) -> list[DialogState]:
        """The dialogs that are open, with what is chosen in them, and those that wait to be."""
        # Not the window's children: it has thousands of widgets.
        dialogs = [
            each
            for each in QApplication.topLevelWidgets()
            if isinstance(each, WorkDialog)
            and each.parent() is self._window
            and type(each).__name__ in _KINDS
            and each.isVisible()
        ]
        restored = Restored.of(self._window)
        later = waiting_for_tabs(self._window)
        before, self._known = self._known, {}
        for dialog in dialogs:
            if mine := restored.waiting(dialog):
                later += [each for each in mine if isinstance(each, DialogState)]
                continue
            kind = _KINDS[type(dialog).__name__]
            state = before.get(dialog)
            # Of one that is behind another window the fields stay as they are.
            if state is None or dialog.isActiveWindow():
                state = _SAID[kind](kind, dialog)
            self._known[dialog] = state
        return [*self._known.values(), *later]


def waiting_for_tabs(window: MainWindow) -> list[DialogState]:
    """The dialogs that open once the files of their tabs can be read."""
    restored = Restored.of(window)
    found = [state for tab in window.all_tabs() for state in restored.waiting(tab)]
    return [state for state in found if isinstance(state, DialogState)]


def open_dialog(window: MainWindow, state: DialogState) -> None:
    """A dialog as it was, once the file that it is about has been read."""
    if state.kind == SAVE:
        _open_save(window, state)
    elif state.kind == TRANSFER:
        _open_transfer(window, state)
    elif state.kind in (EXPORT, QUANTIZE):
        tab = window.tabs.open_files(state.paths[:1])[0]
        if tab.kind == FILE:
            Restored.of(window).fill_in(
                state,
                tab,
                lambda: tab.checkpoint is not None and tab.is_settled(),
                lambda: _open_wizard(window, tab, state),
            )


# --- wizards, which remember by themselves what they understand


def _said_by_wizard(kind: str, wizard: Wizard) -> DialogState:
    wizard.remember()
    page = _choice_page(wizard, wizard.page_number())
    return DialogState(
        kind, (wizard.subject.path,), {"fields": fields_of(wizard), "wizard_page": page}
    )


def _choice_page(wizard: Wizard, page: int) -> int:
    """That page, or the last before it in which something is chosen: what ran does not run on."""
    page = min(page, wizard.pages.index(wizard.runner) - 1)
    while page > 0 and wizard.pages[page].skipped():
        page -= 1
    return page


def _open_wizard(window: MainWindow, tab: CheckpointTab, state: DialogState) -> None:
    assert tab.checkpoint is not None
    if state.kind == EXPORT:
        from inspector_app.ui.export_wizard import show_wizard as show
    else:
        from inspector_app.ui.quantize_dialog import show_quantize as show
    wizard = show(window, tab.checkpoint)
    fill(wizard, _fields(state.details))
    page = state.details.get("wizard_page")
    if type(page) is not int or not 0 < page < len(wizard.pages):
        return
    first = wizard.page_number()

    def go_on() -> bool:
        """A page can be gone to once those before it are done, which takes a worker its time."""
        if wizard.page_number() != first or not wizard.isVisible():
            return True  # somebody is faster, and knows where to
        wanted = _choice_page(wizard, page)
        if first < wanted:
            wizard.show_page(wanted)
        return wizard.page_number() >= wanted

    WaitingFor(go_on, lambda: None, wizard, gives_up=True)


# --- saving


def _said_by_save(kind: str, dialog: SaveDialog) -> DialogState:
    rows = dialog.form.values.patterns.rows
    details = {
        "fields": fields_of(dialog),
        "files": list(dialog.form.average.paths[1:]),
        "patterns": len(rows),
        "clean": dialog.clean,
    }
    return DialogState(kind, (dialog.path,), details)


def _open_save(window: MainWindow, state: DialogState) -> None:
    from inspector_app.ui.save_dialog import show_save_dialog

    details = state.details
    dialog = show_save_dialog(window, state.paths[0], clean=details.get("clean") is True)

    def restore() -> None:
        files, rows = details.get("files"), details.get("patterns")
        if isinstance(files, list) and files:
            paths = [path for path in files if isinstance(path, str) and "\0" not in path]
            dialog.form.average.add_paths(paths[:_MOST_FILES])
        for _ in range(min(rows, 100) if type(rows) is int else 0):
            dialog.form.values.patterns.add_row()
        fill(dialog, _fields(details))

    ready = lambda: bool(dialog.checkpoints) and dialog.is_settled()  # noqa: E731
    Restored.of(window).fill_in(state, dialog, ready, restore)


# --- transferring


def _said_by_transfer(kind: str, dialog: TransferDialog) -> DialogState:
    paths = [dialog.source_path]
    if dialog.target_path:
        paths.append(dialog.target_path)
    choices = list(dialog.options.choices.items())[:_MOST_CHOICES]
    details = {
        "fields": fields_of(dialog),
        "mapping": said_of(dialog.options.mapping),
        "choices": {key: _said_of_choice(choice) for key, choice in choices},
    }
    return DialogState(kind, tuple(paths), details)


def _open_transfer(window: MainWindow, state: DialogState) -> None:
    from inspector_app.ui.transfer_dialog import show_transfer_dialog

    mapping = read_mapping(state.details.get("mapping"))
    target = state.paths[1] if len(state.paths) > 1 else ""
    dialog = show_transfer_dialog(window, state.paths[0], target, mapping)
    wanted = dialog.target_path

    def ready() -> bool:
        """What was chosen can be shown; or somebody has chosen another target since."""
        return (dialog.picture is not None or not wanted) and dialog.is_settled()

    def restore() -> None:
        if dialog.target_path != wanted:
            return
        fill(dialog, _fields(state.details))
        said = state.details.get("choices")
        if isinstance(said, dict) and said:
            read = {key: _read_choice(each) for key, each in list(said.items())[:_MOST_CHOICES]}
            choices = {key: choice for key, choice in read.items() if choice is not None}
            dialog.options = replace(dialog.options, choices=choices)
            dialog.choose([], None)

    Restored.of(window).fill_in(state, dialog, ready, restore)


def _said_of_choice(choice: Choice) -> dict[str, object]:
    said: dict[str, object] = {"act": choice.act, "where": list(choice.where)}
    if choice.initial is not None:
        initial = choice.initial
        said["initial"] = [initial.kind, float(initial.amount), initial.seed]
    return said


def _read_choice(said: object) -> Choice | None:
    from inspector_app.analysis.transfer_plan import Act, Choice, Initial, Where

    acts = (Act.TAKE, Act.KEEP, Act.FIT, Act.INITIALISE)
    places = (Where.BEGIN, Where.CENTRE, Where.END)
    if not isinstance(said, dict) or said.get("act") not in acts:
        return None
    where, initial = said.get("where"), said.get("initial")
    if not isinstance(where, list) or not all(each in places for each in where):
        return None
    if initial is None:
        return Choice(said["act"], tuple(where))
    if not isinstance(initial, list) or [type(each) for each in initial] != [str, float, int]:
        return None
    kind, amount, seed = initial
    return Choice(said["act"], tuple(where), Initial(kind, amount, seed))


def _fields(details: Details) -> Mapping[str, object]:
    fields = details.get("fields")
    return fields if isinstance(fields, dict) else {}


_SAID: dict[str, Callable[[str, Any], DialogState]] = {
    EXPORT: _said_by_wizard,
    QUANTIZE: _said_by_wizard,
    SAVE: _said_by_save,
    TRANSFER: _said_by_transfer,
}
