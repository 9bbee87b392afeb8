"""Transferring weights from the window, by real clicks and keys."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
import torch
from mnemonics import assert_no_letter_twice
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QApplication
from torch import nn

from inspector_app.ui import model_page, model_source_code
from inspector_app.ui.transfer_dialog import TransferDialog
from inspector_app.ui.transfer_flows import Fate
from inspector_app.ui.transfer_model import ModelTarget

PATIENCE_MS = 60_000
SOURCE = """
from torch import nn

def classifier(classes=10):
    body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
    return nn.ModuleDict({"body": body, "head": nn.Linear(8, classes)})
"""


@pytest.fixture(autouse=True)
def _cycles_are_freed_on_this_thread():
    """As `ui.collector` sees to in the program."""
    gc.disable()
    yield
    gc.enable()
    gc.collect()


def classifier(classes: int) -> nn.Module:
    body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
    return nn.ModuleDict({"body": body, "head": nn.Linear(8, classes)})


@pytest.fixture
def files(tmp_path) -> tuple[Path, Path]:
    """Weights of 1,000 classes from a wrapped model in a training checkpoint, and a model of 10
    classes."""
    torch.manual_seed(0)
    trained = {f"module.{key}": value for key, value in classifier(1000).state_dict().items()}
    torch.save({"state_dict": trained, "epoch": 90}, tmp_path / "imagenet.pth")
    torch.save(classifier(10).state_dict(), tmp_path / "flowers.pth")
    (tmp_path / "net.py").write_text(SOURCE, encoding="utf-8")
    return tmp_path / "imagenet.pth", tmp_path / "flowers.pth"


@pytest.fixture
def begin(qtbot, window, opened, files):
    """Opens both files, and the dialog of the first by its key."""

    def begin_with() -> TransferDialog:
        for path in reversed(files):
            opened(path)
        window.activateWindow()
        qtbot.waitUntil(window.isActiveWindow)
        both = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
        qtbot.keyClick(window, Qt.Key.Key_T, both)
        dialog = next(each for each in window.findChildren(TransferDialog) if each.isVisible())
        dialog.resize(1060, 780)
        dialog.activateWindow()
        qtbot.waitUntil(dialog.isActiveWindow)
        return dialog

    return begin_with


def press(qtbot, button) -> None:
    assert button.isEnabled(), button.text()
    assert button.isVisible(), button.text()
    box = QPoint(10, button.height() // 2)
    at = box if button.isCheckable() else button.rect().center()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton, pos=at)


def choose(qtbot, combo, index: int) -> None:
    """By keys, as a combo box takes them."""
    combo.setFocus()
    away = index - combo.currentIndex()
    for _ in range(abs(away)):
        qtbot.keyClick(combo, Qt.Key.Key_Down if away > 0 else Qt.Key.Key_Up)
    assert combo.currentIndex() == index


def into_the_open_tab(qtbot, dialog) -> None:
    """The other tab is the target, and the prefix is dropped."""
    parts = dialog.parts
    choose(qtbot, parts.ends.target, 0)
    qtbot.waitUntil(lambda: dialog.picture is not None, timeout=PATIENCE_MS)
    qtbot.waitUntil(parts.banner.isVisible, timeout=PATIENCE_MS)
    assert "module." in parts.banner.title()
    qtbot.waitUntil(parts.banner.buttons()[0].isVisible)
    press(qtbot, parts.banner.buttons()[0])
    qtbot.waitUntil(lambda: dialog.picture.totals[Fate.SKIPPED] == 2, timeout=PATIENCE_MS)
    settle(qtbot, dialog)


def settle(qtbot, dialog) -> None:
    qtbot.waitUntil(dialog.is_settled, timeout=PATIENCE_MS)


def save(qtbot, dialog) -> Path:
    press(qtbot, dialog.parts.save_button)
    qtbot.waitUntil(dialog.parts.run.banner.isVisible, timeout=PATIENCE_MS)
    assert "was saved" in dialog.parts.run.banner.title()
    return Path(dialog.parts.target.path())


def test_a_thousand_classes_become_ten(qtbot, window, begin, files):
    dialog = begin()
    parts = dialog.parts
    assert parts.empty.isVisible()
    assert not parts.save_button.isEnabled()
    into_the_open_tab(qtbot, dialog)
    assert parts.totals.words() == ["2 skipped", "7 taken"]
    assert_no_letter_twice(dialog)
    # The head is marked, by a letter, in its colour, and in words; and is where one looks.
    view = parts.view
    rows = view.target.rows
    node = view.target.current_node()
    assert rows.tree.name(node) == "head.weight"
    assert "shapes differ, 1000 × 8 and 10 × 8" in rows.words(node)
    here = view.target.rows_on_screen(), view.source.rows_on_screen()
    fates = {each.fate for each in view.flows.between(here[1], here[0], 100)}
    assert fates == {Fate.SKIPPED, Fate.TAKEN}
    assert "shapes differ" in parts.choice.reason.text()
    assert not parts.choice.buttons["take"].isEnabled()
    target = save(qtbot, dialog)
    assert target == files[1].with_name("flowers.transferred.pth")
    made = torch.load(target, weights_only=True)
    # The filter that everybody writes.
    own = torch.load(files[1])
    given = torch.load(files[0])["state_dict"]
    given = {key.removeprefix("module."): value for key, value in given.items()}
    own.update({k: v for k, v in given.items() if k in own and v.shape == own[k].shape})
    assert list(made) == list(own)
    assert all(torch.equal(made[key], own[key]) for key in own)
    classifier(10).load_state_dict(made, strict=True)
    report = target.with_suffix(".txt")
    dialog.reports.save(str(report), dialog.picture.plan, str(target))
    qtbot.waitUntil(lambda: "was saved" in parts.status.text())
    assert "head.weight: its shape is [1000, 8]" in report.read_text()
    dialog.reports.save(str(target), dialog.picture.plan, str(target))
    assert "not saved" in parts.status.text()
    press(qtbot, parts.run.banner.buttons()[0])
    qtbot.waitUntil(lambda: window.tab().path == str(target))
    dialog.close()


def test_each_key_may_have_another_fate(qtbot, begin, files):
    dialog = begin()
    into_the_open_tab(qtbot, dialog)
    parts = dialog.parts
    view, choice = parts.view, parts.choice
    own = torch.load(files[1])
    given = torch.load(files[0])["state_dict"]
    # The head: the last rows of the thousand.
    press(qtbot, choice.buttons["fit"])
    settle(qtbot, dialog)
    choose(qtbot, choice.where, 2)
    choice.where.activated.emit(2)
    settle(qtbot, dialog)
    # By keys alone: to the next, which gets new values.
    view.target.setFocus()
    qtbot.keyClick(view.target, Qt.Key.Key_Down)
    assert view.target.rows.tree.name(view.target.current_node()) == "head.bias"
    qtbot.keyClick(view.target, Qt.Key.Key_Return)
    qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_I, Qt.KeyboardModifier.AltModifier)
    qtbot.waitUntil(lambda: "head.bias" in dialog.options.choices)
    settle(qtbot, dialog)
    assert dialog.options.choices["head.bias"].act == "initialise"
    # A whole module: fold, and keep it.
    view.target.setFocus()
    view.go_to_key(0)
    qtbot.keyClick(view.target, Qt.Key.Key_Left)
    qtbot.keyClick(view.target, Qt.Key.Key_Left)
    name = view.target.rows.tree.name(view.target.current_node())
    press(qtbot, choice.buttons["keep"])
    settle(qtbot, dialog)
    kept = [key for key in own if key.startswith(name + ".")]
    assert len(kept) >= 2
    assert dialog.picture.totals[Fate.KEPT] == len(kept)
    made = torch.load(save(qtbot, dialog), weights_only=True)
    assert torch.equal(made["head.weight"], given["module.head.weight"][-10:])
    assert torch.equal(made["head.bias"], torch.zeros(10))
    assert all(torch.equal(made[key], own[key]) for key in kept)
    # As usual again.
    press(qtbot, choice.usual_button)
    settle(qtbot, dialog)
    assert dialog.picture.totals[Fate.KEPT] == 0
    press(qtbot, parts.copy_button)
    assert "load" in QApplication.clipboard().text()
    dialog.close()


def test_what_is_usual_is_chosen_for_all_keys(qtbot, begin, files):
    dialog = begin()
    into_the_open_tab(qtbot, dialog)
    usual = dialog.parts.usual
    choose(qtbot, usual.mismatched, 1)
    settle(qtbot, dialog)
    assert dialog.picture.totals == {Fate.TAKEN: 7, Fate.FITTED: 2, Fate.UNUSED: 0}
    choose(qtbot, usual.mismatched, 2)
    settle(qtbot, dialog)
    assert dialog.picture.totals[Fate.NEW] == 2
    made = torch.load(save(qtbot, dialog), weights_only=True)
    assert not made["head.weight"].any()
    dialog.close()


def test_from_a_comparison_with_its_mapping(qtbot, window, compared, files):
    tab = compared(files[1], files[0])
    tab.suggestions.apply_prefix(tab.suggestions.prefixes[0])
    qtbot.waitUntil(lambda: bool(tab.mapping) and tab.is_settled(), timeout=PATIENCE_MS)
    window.actions_by_id["transfer_compared"].trigger()
    dialog = next(each for each in window.findChildren(TransferDialog) if each.isVisible())
    qtbot.waitUntil(lambda: dialog.picture is not None, timeout=PATIENCE_MS)
    assert dialog.parts.totals.words() == ["2 skipped", "7 taken"]
    settle(qtbot, dialog)
    dialog.close()


def test_a_target_that_cannot_be_read(qtbot, begin, files):
    dialog = begin()
    broken = files[0].with_name("broken.pth")
    broken.write_text("nothing")
    dialog.set_target(str(broken))
    qtbot.waitUntil(lambda: "cannot be read" in dialog.parts.empty.title(), timeout=PATIENCE_MS)
    assert not dialog.parts.save_button.isEnabled()
    into_the_open_tab(qtbot, dialog)
    dialog.close()


def test_into_a_model_class(qtbot, begin, files, monkeypatch):
    monkeypatch.setattr(model_page, "QUIET_MS", 20)
    monkeypatch.setattr(model_source_code, "TYPING_MS", 20)
    dialog = begin()
    qtbot.waitUntil(dialog.is_settled)
    press(qtbot, dialog.parts.ends.model_button)
    chooser = dialog.findChild(ModelTarget)
    code = chooser.page.source.code
    code.source.setCurrentText(str(files[0].with_name("net.py")))
    qtbot.waitUntil(lambda: code.name.currentText() == "classifier", timeout=PATIENCE_MS)
    qtbot.waitUntil(chooser.use_button.isEnabled, timeout=PATIENCE_MS)
    press(qtbot, chooser.use_button)
    qtbot.waitUntil(lambda: dialog.picture is not None, timeout=PATIENCE_MS)
    assert "as built" in dialog.parts.ends.target.currentText()
    folder = Path(dialog.target_path).parent
    banner = dialog.parts.banner
    qtbot.waitUntil(lambda: banner.isVisible() and banner.buttons()[0].isVisible())
    press(qtbot, banner.buttons()[0])
    qtbot.waitUntil(lambda: dialog.picture.totals[Fate.SKIPPED] == 2, timeout=PATIENCE_MS)
    settle(qtbot, dialog)
    target = save(qtbot, dialog)
    assert target == files[0].with_name("imagenet.transferred.pth")
    classifier(10).load_state_dict(torch.load(target, weights_only=True), strict=True)
    dialog.close()
    assert not folder.exists()


def test_which_of_several_models(qtbot, window, opened, files):
    twins = files[0].with_name("gan.pth")
    nets = {"netG": classifier(1000).state_dict(), "netD": classifier(10).state_dict()}
    torch.save(nets, twins)
    opened(files[1])
    opened(twins)
    window.actions_by_id["transfer"].trigger()
    dialog = next(each for each in window.findChildren(TransferDialog) if each.isVisible())
    dialog.set_target(str(files[1]))
    qtbot.waitUntil(lambda: dialog.picture is not None, timeout=PATIENCE_MS)
    ends = dialog.parts.ends
    assert ends.source_part.isVisible()
    assert not ends.target_part.isVisible()
    assert dialog.picture.totals[Fate.SKIPPED] == 2
    choose(qtbot, ends.source_part, 1)
    qtbot.waitUntil(lambda: dialog.picture.totals[Fate.TAKEN] == 9, timeout=PATIENCE_MS)
    settle(qtbot, dialog)
    made = torch.load(save(qtbot, dialog), weights_only=True)
    assert all(torch.equal(made[key], nets["netD"][key]) for key in made)
    dialog.close()
