"""Saving another form of a checkpoint from the window, by real clicks and keys."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from mnemonics import assert_no_letter_twice
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QApplication, QMenu
from safetensors.torch import load_file

from inspector_app.ui import save_dialog, save_preview
from inspector_app.ui.save_best import BestDialog
from inspector_app.ui.save_dialog import SaveDialog
from inspector_app.ui.save_preview import Fate

PATIENCE_MS = 20_000


@pytest.fixture(autouse=True)
def _nobody_types_on(monkeypatch):
    monkeypatch.setattr(save_dialog, "TYPING_MS", 10)
    monkeypatch.setattr(save_preview, "TYPING_MS", 10)


@pytest.fixture
def training(tmp_path) -> Path:
    """A training checkpoint: wrapped weights, their average, an optimizer."""
    torch.manual_seed(0)
    model = {f"module.layer{n}.weight": torch.randn(64, 64) for n in range(3)}
    model["module.head.weight"] = model["module.layer2.weight"]
    model["module.steps"] = torch.tensor(7)
    moments = {n: {"exp_avg": torch.randn(64, 64), "step": n} for n in range(3)}
    groups = [{"lr": 0.1, "params": [0, 1, 2]}]
    everything = {
        "model": model,
        "ema": {key: value * 2 for key, value in model.items()},
        "optimizer": {"state": moments, "param_groups": groups},
        "epoch": 3,
    }
    torch.save(everything, tmp_path / "epoch_3.pth")
    return tmp_path / "epoch_3.pth"


@pytest.fixture
def begin(qtbot, window, opened):
    """Opens a file and its dialog, as people do: by the key."""

    def begin_with(path) -> SaveDialog:
        opened(path)
        window.activateWindow()
        qtbot.waitUntil(window.isActiveWindow)
        both = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
        qtbot.keyClick(window, Qt.Key.Key_S, both)
        dialog = next(each for each in window.findChildren(SaveDialog) if each.isVisible())
        wait_for_plan(qtbot, dialog)
        return dialog

    return begin_with


def wait_for_plan(qtbot, dialog) -> None:
    def is_planned() -> bool:
        return dialog.is_settled() and (dialog.plan is not None or dialog.trouble.isVisible())

    qtbot.waitUntil(is_planned, timeout=PATIENCE_MS)


def press(qtbot, button) -> None:
    assert button.isEnabled(), button.text()
    assert button.isVisible(), button.text()
    box = QPoint(10, button.height() // 2)
    at = box if button.isCheckable() else button.rect().center()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton, pos=at)


def type_into(qtbot, field, text: str) -> None:
    field.setFocus()
    field.selectAll()
    qtbot.keyClick(field, Qt.Key.Key_Backspace)
    qtbot.keyClicks(field, text)


def save(qtbot, dialog) -> None:
    press(qtbot, dialog.save_button)
    qtbot.waitUntil(dialog.run.banner.isVisible, timeout=PATIENCE_MS)


def choose(combo, data) -> None:
    combo.setCurrentIndex(combo.findData(data))


@pytest.mark.qt_log_ignore("This plugin does not support", extend=True)  # of menus
def test_three_clicks_make_weights_of_a_training_checkpoint(qtbot, window, opened, training):
    opened(training)
    before = training.read_bytes()
    # One: the menu. Two: its entry. The obvious is chosen already. Three: Save.
    menu = window.menus["file"]
    bar = window.menuBar()
    place = bar.actionGeometry(menu.menuAction()).center()
    qtbot.mouseClick(bar, Qt.MouseButton.LeftButton, pos=place)
    qtbot.waitUntil(menu.isVisible)
    entry = menu.actionGeometry(window.actions_by_id["save_as"]).center()
    qtbot.mouseClick(menu, Qt.MouseButton.LeftButton, pos=entry)
    dialog = next(each for each in window.findChildren(SaveDialog) if each.isVisible())
    wait_for_plan(qtbot, dialog)
    # What it saves is said beforehand.
    written = dialog.plan.written_bytes
    assert written < len(before) / 2
    assert "kB → " in dialog.sizes.title.text()
    assert "optimizer state" in dialog.sizes.note.text()
    assert [part.name() for part in dialog.form.sections.ticked()] == ["model"]
    save(qtbot, dialog)
    target = training.with_suffix(".safetensors")
    assert dialog.run.banner.title() == "epoch_3.safetensors was saved"
    assert abs(target.stat().st_size - written) < written / 20
    loaded = load_file(target)
    expected = torch.load(training)["model"]
    # Tied: the second is written once, and the metadata names it.
    assert set(expected) - set(loaded) == {"module.head.weight"}
    assert all(torch.equal(loaded[key], expected[key]) for key in loaded)
    assert training.read_bytes() == before
    # And then it is opened.
    press(qtbot, dialog.run.banner.buttons()[0])
    qtbot.waitUntil(lambda: window.tab().path == str(target) and window.tab().is_settled())
    dialog.close()


def test_keys_values_and_ties(qtbot, begin, training):
    dialog = begin(training)
    form = dialog.form
    for fold in form.folds:
        fold.button.click()
    assert form.keys.strip.itemText(0) == "module."
    assert form.values.clone.isVisible()
    assert not form.values.device.isVisible()
    type_into(qtbot, form.keys.strip.lineEdit(), "module.")
    type_into(qtbot, form.keys.drop, "*layer0*")
    form.keys.rules.setFocus()
    qtbot.keyClicks(form.keys.rules, r"layer(\d)=>blocks.\1")
    choose(form.values.dtype, "bfloat16")
    press(qtbot, form.values.patterns.add_button)
    qtbot.keyClicks(form.values.patterns.rows[0][1], "*layer1*")
    press(qtbot, form.values.clone)
    press(qtbot, form.ema)
    wait_for_plan(qtbot, dialog)
    rows = {row.old: row for row in dialog.preview.listed()}
    assert rows["module.layer1.weight"].new == "blocks.1.weight"
    assert rows["module.layer1.weight"].form.startswith("64 × 64 · float32")
    assert "float32 → bfloat16" in rows["module.layer2.weight"].form
    dropped = [row for row in rows.values() if row.fate == Fate.DROPPED]
    assert any("layer0" in row.old for row in dropped)
    assert "tensor" in form.keys.glob_hint.text()
    type_into(qtbot, form.keys.drop, "*layer0* layer1*")
    wait_for_plan(qtbot, dialog)
    assert form.keys.glob_hint.text().startswith("layer1*: no key")
    type_into(qtbot, form.keys.drop, "*layer0*")
    wait_for_plan(qtbot, dialog)
    # Filters of the list.
    type_into(qtbot, dialog.preview.search, "LAYER1")
    qtbot.waitUntil(lambda: len(dialog.preview.listed()) == 1)
    dialog.preview.search.clear()
    type_into(qtbot, dialog.target.path_field, "small.safetensors")
    save(qtbot, dialog)
    loaded = load_file(training.with_name("small.safetensors"))
    average = torch.load(training)["ema"]
    assert set(loaded) == {"blocks.1.weight", "blocks.2.weight", "head.weight", "steps"}
    assert torch.equal(loaded["blocks.1.weight"], average["module.layer1.weight"])
    assert torch.equal(
        loaded["blocks.2.weight"], average["module.layer2.weight"].to(torch.bfloat16)
    )
    dialog.close()


def test_a_torch_file_keeps_what_is_ticked(qtbot, begin, training):
    dialog = begin(training)
    press(qtbot, dialog.target.buttons[".pth"])
    # Beside the file itself, under another name.
    assert dialog.target.path() == str(training.with_name("epoch_3.weights.pth"))
    assert dialog.form.values.device.parent() is not None
    for box in dialog.form.sections.boxes[1:]:
        press(qtbot, box)
    wait_for_plan(qtbot, dialog)
    assert dialog.form.options().sections is None
    press(qtbot, dialog.form.sections.boxes[1])
    wait_for_plan(qtbot, dialog)
    print(dialog.trouble.title(), dialog.trouble.cause(), dialog.problem(), dialog.form.options())
    save(qtbot, dialog)
    loaded = torch.load(dialog.target.path(), weights_only=True)
    expected = torch.load(training)
    left_out = dialog.form.sections.parts[1].path[0]
    assert set(loaded) == set(expected) - {left_out}
    assert loaded["epoch"] == 3
    dialog.close()


def test_averaging_three_checkpoints(qtbot, begin, tmp_path):
    for n in range(3):
        torch.save({"layer.weight": torch.full((4, 4), float(n))}, tmp_path / f"run_{n}.pth")
    dialog = begin(tmp_path / "run_0.pth")
    average = dialog.form.average
    dialog.form.folds[2].button.click()
    average.add_paths([str(tmp_path / f"run_{n}.pth") for n in (1, 2)])
    choose(average.kind, "weighted")
    type_into(qtbot, average.weights[2], "x")
    assert dialog.problem() == "Each weight has to be a number."
    assert not dialog.save_button.isEnabled()
    type_into(qtbot, average.weights[2], "2")
    wait_for_plan(qtbot, dialog)
    save(qtbot, dialog)
    loaded = load_file(tmp_path / "run_0.safetensors")
    assert torch.equal(loaded["layer.weight"], torch.full((4, 4), 1.25))
    average.remove_path(str(tmp_path / "run_2.pth"))
    wait_for_plan(qtbot, dialog)
    assert len(dialog.checkpoints) == 2
    # A file that is no checkpoint is named, and nothing can be saved until it is gone.
    (tmp_path / "notes.pth").write_text("nothing")
    average.add_paths([str(tmp_path / "notes.pth")])
    wait_for_plan(qtbot, dialog)
    assert dialog.trouble.title() == "notes.pth cannot be read"
    assert not dialog.save_button.isEnabled()
    average.remove_path(str(tmp_path / "notes.pth"))
    wait_for_plan(qtbot, dialog)
    assert not dialog.trouble.isVisible()
    dialog.close()


def test_what_is_typed_is_checked_at_once(qtbot, begin, training):
    dialog = begin(training)
    keys, values, target = dialog.form.keys, dialog.form.values, dialog.target
    dialog.form.folds[0].button.click()
    dialog.form.folds[1].button.click()
    keys.rules.setFocus()
    qtbot.keyClicks(keys.rules, "(=>x")
    assert keys.rule_hint.isVisible()
    assert not dialog.save_button.isEnabled()
    keys.rules.clear()
    type_into(qtbot, values.shard, "big")
    assert "no size" in values.hint.text()
    type_into(qtbot, values.shard, "20 kB")
    assert values.hint.isHidden()
    for name, said in (
        ("", "Name the file"),
        ("weights.onnx", "has to end in"),
        ("/nowhere/at/all/x.pth", "no folder"),
        (str(training), "is read"),
    ):
        type_into(qtbot, target.path_field, name)
        assert said in target.hint.text()
        assert not dialog.save_button.isEnabled()
    # What exists is replaced only by consent, and consent is for one name.
    there = training.with_name("there.safetensors")
    there.write_bytes(b"old")
    type_into(qtbot, target.path_field, there.name)
    assert "exists" in target.hint.text()
    press(qtbot, target.replace)
    assert target.hint.isHidden()
    type_into(qtbot, target.path_field, "other.safetensors")
    type_into(qtbot, target.path_field, there.name)
    assert not target.replace.isChecked()
    assert there.read_bytes() == b"old"
    press(qtbot, target.replace)
    wait_for_plan(qtbot, dialog)
    press(qtbot, dialog.form.sections.boxes[0])
    assert dialog.problem() == "Choose what is to be kept."
    press(qtbot, dialog.form.sections.boxes[0])
    values.shard.clear()
    wait_for_plan(qtbot, dialog)
    save(qtbot, dialog)
    assert len(load_file(there)) == 4
    dialog.close()


def test_cancelling_leaves_nothing(qtbot, begin, training, monkeypatch):
    import inspector_app.saving.save as real

    dialog = begin(training)
    before = sorted(os.listdir(training.parent))
    begun = []

    def endless(plan, force, proof):
        steps = real_saving(plan, force, proof)
        begun.append(next(steps))
        try:
            while True:
                yield begun[-1]
        finally:
            steps.close()

    real_saving = real.saving
    monkeypatch.setattr(real, "saving", endless)
    press(qtbot, dialog.save_button)
    qtbot.waitUntil(lambda: bool(begun))
    assert not dialog.form.isEnabled()
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    assert dialog.isVisible()
    assert dialog.run.banner.title() == "Saving was cancelled"
    assert sorted(os.listdir(training.parent)) == before
    assert dialog.save_button.isEnabled()
    dialog.close()


def test_the_same_as_command_and_as_python(qtbot, begin, training, tmp_path):
    dialog = begin(training)
    type_into(qtbot, dialog.form.keys.strip.lineEdit(), "module.")
    choose(dialog.form.values.dtype, "float16")
    wait_for_plan(qtbot, dialog)
    menu = dialog.copy_button.menu()
    assert isinstance(menu, QMenu)
    for action in menu.actions():
        action.trigger()
        assert "epoch_3.safetensors" in QApplication.clipboard().text()
    dialog.close()


def test_save_as_best_asks_before_it_replaces(qtbot, window, opened, training):
    opened(training)
    best = training.with_name("epoch_3_best.pth")

    def begin() -> BestDialog:
        window.actions_by_id["save_best"].trigger()
        return next(each for each in window.findChildren(BestDialog) if each.isVisible())

    dialog = begin()
    qtbot.waitUntil(dialog.run.banner.isVisible, timeout=PATIENCE_MS)
    assert best.read_bytes() == training.read_bytes()
    dialog.close()
    best.write_bytes(b"better")
    dialog = begin()
    assert dialog.question.title() == "epoch_3_best.pth exists"
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    assert not dialog.isVisible()
    assert best.read_bytes() == b"better"
    dialog = begin()
    press(qtbot, dialog.question.buttons()[0])
    qtbot.waitUntil(dialog.run.banner.isVisible, timeout=PATIENCE_MS)
    assert best.read_bytes() == training.read_bytes()
    dialog.close()


@pytest.mark.parametrize("ending", [".safetensors", ".pth"])
def test_each_letter_leads_to_one_field(qtbot, begin, training, ending):
    dialog = begin(training)
    for fold in dialog.form.folds:
        fold.button.click()
    dialog.form.average.add_paths([str(training.with_name("other.pth"))])
    choose(dialog.form.average.kind, "ema")
    press(qtbot, dialog.target.buttons[ending])
    assert_no_letter_twice(dialog)
    dialog.close()


def test_a_file_that_training_replaces_meanwhile(qtbot, begin, training):
    dialog = begin(training)
    everything = torch.load(training)
    everything["model"]["module.layer0.weight"] = torch.zeros(64, 64)
    torch.save(everything, training)
    save(qtbot, dialog)
    assert "was not written" in dialog.run.banner.title()
    target = training.with_suffix(".safetensors")
    assert not target.exists()
    press(qtbot, dialog.run.banner.buttons()[0])
    wait_for_plan(qtbot, dialog)
    save(qtbot, dialog)
    assert not load_file(target)["module.layer0.weight"].any()
    dialog.close()
