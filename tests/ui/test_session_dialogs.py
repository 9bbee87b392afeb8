"""Choices that nobody has carried out: kept while they are made, and back after a crash."""

from __future__ import annotations

import json
import os
import shutil

import pytest
from PySide6.QtCore import QObject
from PySide6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QLineEdit,
    QPlainTextEdit,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from inspector_app.analysis.transfer_plan import Act, Choice, Initial
from inspector_app.ui import session_restoring, waiting_for
from inspector_app.ui.export_memory import CHOICES as EXPORT_CHOICES
from inspector_app.ui.export_wizard import ExportWizard
from inspector_app.ui.form_fields import ASKED_EACH_TIME, fields_of, fill
from inspector_app.ui.inputs_page import InputsPage
from inspector_app.ui.model_page import ModelPage
from inspector_app.ui.quantize_data_page import DataPage
from inspector_app.ui.quantize_dialog import DATA, LAYERS, METHOD, RUN, QuantizeDialog
from inspector_app.ui.quantize_memory import CHOICES as QUANTIZE_CHOICES
from inspector_app.ui.quantize_method_page import MethodPage
from inspector_app.ui.save_dialog import SaveDialog, show_save_dialog
from inspector_app.ui.session import DialogState, Session, read_session, session_bytes
from inspector_app.ui.session_dialogs import DialogStates
from inspector_app.ui.session_keeping import session_of
from inspector_app.ui.session_restored import Restored
from inspector_app.ui.transfer_dialog import TransferDialog
from inspector_app.ui.waiting_for import POLL_MS, WaitingFor
from inspector_app.ui.window_notice import WindowNotice
from inspector_app.ui.wizard_widgets import Box
from inspector_app.ui.wizard_widgets import Choice as Radio
from inspector_app.ui.work_dialog import WorkDialog
from inspector_app.worker.protocol import SourceKind


class Form(QWidget):
    """One field of each kind, and a part that appears with a choice."""

    def __init__(self) -> None:
        super().__init__()
        self.combo, self.free = QComboBox(), QComboBox()
        self.combo.addItems(["one", "two"])
        self.free.setEditable(True)
        self.a, self.b = Radio("a"), Radio("b")
        self.box, self.consent = Box("box"), Box("consent")
        self.consent.setProperty(ASKED_EACH_TIME, True)
        self.line, self.shown, self.text = QLineEdit(), QLineEdit("fact"), QPlainTextEdit()
        self.shown.setReadOnly(True)
        self.number, self.fraction = QSpinBox(), QDoubleSpinBox()
        self.layout_ = QVBoxLayout(self)
        for field in self.all():
            self.layout_.addWidget(field)
        self.extra: QLineEdit | None = None
        self.box.toggled.connect(self._add)

    def all(self) -> list[QWidget]:
        return [
            self.combo,
            self.free,
            self.a,
            self.b,
            self.box,
            self.consent,
            self.line,
            self.shown,
            self.text,
            self.number,
            self.fraction,
        ]

    def _add(self, on: bool) -> None:
        if on:
            self.extra = QLineEdit()
            self.layout_.addWidget(self.extra)


@pytest.fixture
def forms(qtbot):
    made = [Form(), Form()]
    for form in made:
        qtbot.addWidget(form)
    return made


def test_every_kind_of_field_is_kept(forms):
    form, again = forms
    form.combo.setCurrentText("two")
    form.free.setEditText("free text")
    form.b.setChecked(True)
    form.box.setChecked(True)
    form.consent.setChecked(True)
    form.line.setText("line")
    form.text.setPlainText("two\nlines")
    form.number.setValue(7)
    form.fraction.setValue(0.5)
    form.extra.setText("extra")
    fill(again, json.loads(json.dumps(fields_of(form))))
    assert fields_of(again) == fields_of(form)
    assert again.extra.text() == "extra"
    assert again.b.isChecked()
    assert not again.consent.isChecked()
    assert again.shown.text() == "fact"


def test_values_of_another_kind_change_nothing(forms):
    form, again = forms
    names = list(fields_of(form))
    before = fields_of(again)
    for value in (None, [], {}, 10**30, -1, "none of them", 1.5, True):
        fill(again, dict.fromkeys(names, value))
        fill(again, {"": value, "QLineEdit/99": value})
    assert again.number.value() in range(100)
    assert again.combo.currentText() == before["QComboBox/0"]


def closed_and_restored(qtbot, window) -> None:
    """What is open now goes through a session's file, is closed, and comes back."""
    session = read_session(session_bytes(session_of(window, DialogStates(window))))
    assert len(session.dialogs) == 1
    for dialog in on_show(window):
        dialog.close()
    qtbot.waitUntil(lambda: not DialogStates(window).now())
    window.settings.write(EXPORT_CHOICES, {})
    window.settings.write(QUANTIZE_CHOICES, {})
    session_restoring.restore(window, session)
    qtbot.waitUntil(lambda: bool(on_show(window)), timeout=10_000)


def on_show(window) -> list[WorkDialog]:
    return [each for each in window.findChildren(WorkDialog) if each.isVisible()]


def shown(window, kind):
    (found,) = [each for each in window.findChildren(kind) if each.isVisible()]
    return found


def test_what_is_chosen_for_saving_comes_back(qtbot, window, opened, sample, samples):
    opened(sample)
    window.actions_by_id["save_as"].trigger()
    dialog = shown(window, SaveDialog)
    qtbot.waitUntil(lambda: bool(dialog.checkpoints) and dialog.is_settled(), timeout=10_000)
    dialog.target.buttons[".pth"].click()
    dialog.form.keys.add.setText("backbone.")
    dialog.form.keys.rules.setPlainText("a=>b")
    dialog.form.average.add_paths([str(samples / "digits_cnn_epoch_2.pth")])
    dialog.form.values.patterns.add_row("*bias", "float64")
    dialog.target.path_field.setText("mine.pth")
    chosen = dialog.form.options()
    closed_and_restored(qtbot, window)
    again = shown(window, SaveDialog)
    assert again is not dialog
    qtbot.waitUntil(lambda: again.target.path_field.text() == "mine.pth", timeout=10_000)
    assert again.form.options() == chosen
    assert again.form.average.paths == dialog.form.average.paths
    qtbot.waitUntil(lambda: again.plan is not None, timeout=10_000)
    again.close()


def test_a_clean_copy_and_another_form_of_one_file_come_back_as_they_were(
    qtbot, window, opened, sample
):
    opened(sample)
    ready = lambda each: bool(each.checkpoints) and each.is_settled()  # noqa: E731
    for clean in (False, True):
        dialog = show_save_dialog(window, str(sample), clean=clean)
        qtbot.waitUntil(lambda each=dialog: ready(each), timeout=10_000)
        dialog.form.keys.add.setText(f"{clean}.")
        qtbot.waitUntil(lambda each=dialog: each.plan is not None and ready(each), timeout=10_000)
        dialog.target.path_field.setText(f"{clean}.pth")
    session = read_session(session_bytes(session_of(window, DialogStates(window))))
    left = session_restoring.LeftBehind(window, [])
    left.session = session
    left._offer("", [])
    offered = WindowNotice.of(window).cause()
    assert "Save As" in offered
    assert "Save a Clean Copy" in offered
    left._hide_notice()
    for dialog in window.findChildren(SaveDialog):
        dialog.close()
    qtbot.waitUntil(lambda: not DialogStates(window).now())
    session_restoring.restore(window, session)
    dialogs = [each for each in window.findChildren(SaveDialog) if each.isVisible()]
    assert sorted(each.clean for each in dialogs) == [False, True]
    for dialog in dialogs:
        name = f"{dialog.clean}.pth"
        field = dialog.target.path_field
        qtbot.waitUntil(lambda field=field, name=name: field.text() == name, timeout=10_000)
        assert dialog.form.keys.add.text() == f"{dialog.clean}."
        dialog.close()


def test_what_is_chosen_for_a_transfer_comes_back(qtbot, window, opened, sample, samples):
    opened(sample)
    window.actions_by_id["transfer"].trigger()
    dialog = shown(window, TransferDialog)
    dialog.set_target(str(samples / "digits_cnn_epoch_2.pth"))
    ready = lambda each: each.picture is not None and each.is_settled()  # noqa: E731
    qtbot.waitUntil(lambda: ready(dialog), timeout=10_000)
    keys = [flow.key for flow in dialog.picture.plan.flows]
    dialog.choose(keys[:1], Choice(Act.KEEP))
    dialog.choose(keys[1:2], Choice(Act.INITIALISE, initial=Initial("zeros")))
    dialog.parts.usual.cast.setChecked(True)
    qtbot.waitUntil(lambda: ready(dialog), timeout=10_000)
    chosen = dialog.options
    closed_and_restored(qtbot, window)
    again = shown(window, TransferDialog)
    qtbot.waitUntil(lambda: ready(again) and again.options == chosen, timeout=10_000)
    assert again.target_path == dialog.target_path
    again.close()


def test_what_is_typed_in_the_export_wizard_comes_back(qtbot, window, opened, sample):
    opened(sample)
    window.actions_by_id["export"].trigger()
    wizard = shown(window, ExportWizard)
    wizard.model_page.source.buttons[SourceKind.CODE].click()
    field = wizard.model_page.source.findChild(QLineEdit)
    field.setText("half typed")
    closed_and_restored(qtbot, window)
    again = shown(window, ExportWizard)
    assert again.model_page.source.buttons[SourceKind.CODE].isChecked()
    assert again.model_page.source.findChild(QLineEdit).text() == "half typed"
    again.close()


def test_what_is_chosen_for_quantizing_comes_back(qtbot, window, opened, sample):
    opened(sample)
    window.actions_by_id["quantize"].trigger()
    dialog = shown(window, QuantizeDialog)
    dialog.show_page(METHOD)
    assert dialog.page_number() == METHOD
    options = dialog.method_page.options()
    closed_and_restored(qtbot, window)
    again = shown(window, QuantizeDialog)
    qtbot.waitUntil(lambda: again.page_number() == METHOD, timeout=10_000)
    assert again.method_page.options() == options
    assert again.page_number() < LAYERS
    again.close()


@pytest.fixture
def filled_in(monkeypatch):
    """What its pages ask for is there: trying the methods would take a worker seconds."""
    for page in (MethodPage, DataPage, ModelPage, InputsPage):
        monkeypatch.setattr(page, "problem", lambda self: "")


@pytest.mark.parametrize(("needs_model", "last"), [(True, DATA), (False, LAYERS)])
def test_a_wizard_that_ran_comes_back_at_its_last_choice(
    qtbot, window, opened, sample, filled_in, monkeypatch, needs_model, last
):
    monkeypatch.setattr(MethodPage, "needs_model", lambda self: needs_model)
    opened(sample)
    window.actions_by_id["quantize"].trigger()
    dialog = shown(window, QuantizeDialog)
    dialog.stack.setCurrentIndex(RUN)
    (state,) = DialogStates(window).now()
    assert state.details["wizard_page"] == last
    closed_and_restored(qtbot, window)
    again = shown(window, QuantizeDialog)
    qtbot.waitUntil(lambda: again.page_number() == last, timeout=2_000)
    again.close()
    # As a version before this one kept it.
    state.details["wizard_page"] = RUN
    qtbot.waitUntil(lambda: not DialogStates(window).now())
    session_restoring.restore(window, Session((), 0, (state,)))
    qtbot.waitUntil(lambda: bool(on_show(window)), timeout=10_000)
    again = shown(window, QuantizeDialog)
    qtbot.waitUntil(lambda: again.page_number() == last, timeout=2_000)
    again.close()


def test_nobody_is_pulled_to_another_page(qtbot, window, opened, sample, filled_in, monkeypatch):
    opened(sample)
    state = DialogState("quantize", (str(sample),), {"wizard_page": LAYERS})
    with monkeypatch.context() as context:
        context.setattr(MethodPage, "problem", lambda self: "being tried")
        session_restoring.restore(window, Session((), 0, (state,)))
        qtbot.waitUntil(lambda: bool(on_show(window)), timeout=10_000)
        dialog = shown(window, QuantizeDialog)
        dialog.show_page(METHOD)
        qtbot.wait(2 * POLL_MS)
    qtbot.wait(3 * POLL_MS)
    assert dialog.page_number() == METHOD
    dialog.close()


@pytest.mark.parametrize("kind", ["save", "transfer", "export", "quantize"])
@pytest.mark.parametrize(
    "details",
    [
        {"fields": 3, "files": 3, "patterns": "x", "choices": [], "mapping": 1, "wizard_page": "x"},
        {
            "fields": {"SaveForm/QLineEdit/0": []},
            "files": [None, "nul\0"],
            "patterns": 10**9,
            "choices": {"a": {"act": "run"}, "b": {"act": "keep", "where": 1}, "c": 1},
            "wizard_page": 10**9,
        },
    ],
)
def test_hostile_choices_open_an_ordinary_dialog(qtbot, window, sample, kind, details):
    paths = (str(sample), str(sample)) if kind == "transfer" else (str(sample),)
    session_restoring.restore(window, Session((), 0, (DialogState(kind, paths, details),)))
    qtbot.waitUntil(lambda: bool(on_show(window)), timeout=10_000)
    qtbot.wait(150)
    for dialog in on_show(window):
        dialog.close()
    qtbot.waitUntil(lambda: all(tab.is_settled() for tab in window.all_tabs()), timeout=10_000)


_ACTIONS = {"save": "save_as", "transfer": "transfer", "export": "export", "quantize": "quantize"}
_DIALOGS = {
    "save": SaveDialog,
    "transfer": TransferDialog,
    "export": ExportWizard,
    "quantize": QuantizeDialog,
}


@pytest.mark.parametrize("kind", ["save", "transfer", "export", "quantize"])
def test_choices_wait_for_a_file_that_is_gone(
    qtbot, window, opened, state, tmp_path, sample, samples, kind
):
    path = str(tmp_path / "later.pth")
    shutil.copy(sample, path)
    opened(path)
    window.actions_by_id[_ACTIONS[kind]].trigger()
    dialog = shown(window, _DIALOGS[kind])
    if kind == "transfer":
        dialog.set_target(str(samples / "digits_cnn_epoch_2.pth"))
    if kind in ("save", "transfer"):
        qtbot.waitUntil(lambda: is_ready(dialog), timeout=10_000)
    field = field_of(dialog)
    field.setText("half typed")
    (chosen,) = DialogStates(window).now()
    dialog.close()
    window.close_tab()
    os.unlink(path)
    qtbot.waitUntil(lambda: not DialogStates(window).now())
    window.settings.write(EXPORT_CHOICES, {})
    window.settings.write(QUANTIZE_CHOICES, {})
    session_restoring.restore(window, Session((), 0, (chosen,)))
    qtbot.wait(200)
    # The file cannot be read; and looked at twice, since what is known is not looked at again.
    states = DialogStates(window)
    assert states.now() == [chosen]
    assert states.now() == [chosen]
    shutil.copy(sample, path)
    if kind in ("save", "transfer"):
        again = shown(window, _DIALOGS[kind])
        banner = again.trouble if kind == "save" else again.parts.empty
        (button,) = banner.buttons()
        button.click()
        qtbot.waitUntil(lambda: is_ready(again), timeout=10_000)
    else:
        window.all_tabs()[0].read()
        qtbot.waitUntil(lambda: bool(window.findChildren(_DIALOGS[kind])), timeout=10_000)
        again = shown(window, _DIALOGS[kind])
    qtbot.waitUntil(lambda: field_of(again).text() == "half typed", timeout=10_000)
    qtbot.waitUntil(lambda: not Restored.of(window).waiting(again), timeout=10_000)
    assert len(states.now()) == 1
    again.close()


def is_ready(dialog) -> bool:
    made = dialog.plan if isinstance(dialog, SaveDialog) else dialog.picture
    return made is not None and dialog.is_settled()


def field_of(dialog) -> QLineEdit:
    """A field in which somebody typed."""
    if isinstance(dialog, SaveDialog):
        return dialog.form.keys.add
    if isinstance(dialog, TransferDialog):
        return dialog.parts.target.path_field
    if isinstance(dialog, QuantizeDialog):
        return dialog.method_page.target.text
    dialog.model_page.source.buttons[SourceKind.CODE].click()
    return dialog.model_page.source.findChild(QLineEdit)


@pytest.mark.parametrize("kind", ["save", "transfer", "export", "quantize"])
def test_choices_of_what_somebody_closed_are_gone(qtbot, window, tmp_path, kind):
    chosen = DialogState(kind, (str(tmp_path / "gone.pth"),), {"fields": {"x": "y"}})
    session_restoring.restore(window, Session((), 0, (chosen,)))
    states = DialogStates(window)
    assert states.now() == [chosen]
    if kind in ("save", "transfer"):
        shown(window, _DIALOGS[kind]).close()
    else:
        qtbot.waitUntil(window.all_tabs()[0].is_settled)
        window.close_tab()
    assert states.now() == []
    qtbot.wait(100)
    assert states.now() == []


def test_a_choice_waits_for_longer_than_anybody_looks(qtbot, monkeypatch):
    monkeypatch.setattr(waiting_for, "QUICK_MS", POLL_MS)
    monkeypatch.setattr(waiting_for, "SLOW_POLL_MS", 50)
    owner, come, asked = QObject(), [], []
    WaitingFor(lambda: asked.append(1) or len(asked) > 4, lambda: come.append(1), owner)
    qtbot.waitUntil(lambda: bool(come), timeout=5_000)
    more = []
    WaitingFor(lambda: more.append(1), lambda: come.append(2), owner, gives_up=True)
    qtbot.waitUntil(lambda: not owner.children(), timeout=5_000)
    assert (come, len(asked), len(more)) == ([1], 5, 1)
