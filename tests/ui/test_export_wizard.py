"""The export wizard, driven by keys and buttons, with real workers and real models."""

from __future__ import annotations

import gc
import importlib
import os
import shutil
import sys

import pytest
import torch
from export_driving import Hands, hurry, save_net, workers
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication

from inspector_app.ui.export_wizard import FORMAT, INPUTS, MODEL, RESULT, RUN, ExportWizard


@pytest.fixture(autouse=True)
def _cycles_are_freed_on_this_thread():
    """As `ui.collector` sees to in the program: a thread that reads a worker's events must not
    be the one that deletes widgets."""
    gc.disable()
    yield
    gc.enable()
    gc.collect()


@pytest.fixture
def weights(tmp_path):
    return save_net(tmp_path)


@pytest.fixture
def begin(qtbot, window, opened, monkeypatch):
    """Opens a checkpoint and its wizard, as people do."""
    hurry(monkeypatch)

    def begin_with(path) -> Hands:
        opened(path)
        window.activateWindow()
        qtbot.waitUntil(window.isActiveWindow)
        qtbot.keyClick(window, Qt.Key.Key_E, Qt.KeyboardModifier.ControlModifier)
        wizard = next(each for each in window.findChildren(ExportWizard) if each.isVisible())
        qtbot.waitExposed(wizard)
        return Hands(qtbot, wizard)

    begin_with.qtbot = qtbot
    return begin_with


def test_from_a_bare_state_dict_to_a_traced_file_and_back_again(begin, weights, window, opened):
    hands = begin(weights)
    wizard = hands.wizard
    assert not wizard.next.isEnabled()
    hands.choose_code(str(weights.with_name("net.py")))
    assert wizard.model_page.source.code.name.currentText() == "Net"
    hands.to_inputs()
    card = wizard.inputs_page.cards[0]
    assert (card.name.text(), card.shape.text()) == ("x", "1, 4")
    hands.type(card.shape, "2, 4")
    hands.to_format()
    assert wizard.inputs_page.tried.outputs[0].shape == (2, 3)
    hands.press(wizard.format_page.buttons["torchscript"])
    hands.export()

    target = weights.with_suffix(".pt")
    result = wizard.result_page
    assert result.outcome.files == (str(target),)
    assert "computes the same" in result.banner.title()
    assert result.table.rows()[0][-1] == "yes"
    x = torch.ones(2, 4)
    expected = torch.load(weights)
    hidden = torch.relu(x @ expected["first.weight"].T + expected["first.bias"])
    with torch.no_grad(), pytest.warns(DeprecationWarning, match=r"jit\.load"):
        given = torch.jit.load(target)(x)
    torch.testing.assert_close(given, hidden @ expected["last.weight"].T + expected["last.bias"])

    hands.press(result.python_button)
    assert "torch.jit.trace" in QApplication.clipboard().text()
    hands.press(result.open_button)
    hands.wait(lambda: window.tab() is not None and window.tab().path == str(target))
    # Back to the options: nothing is lost, and what exists is not replaced unasked.
    hands.press(wizard.back)
    assert wizard.page_number() == FORMAT
    assert wizard.format_page.kind() == "torchscript"
    assert "exists" in wizard.format_page.problem()
    hands.press(wizard.steps.steps[INPUTS])
    assert wizard.inputs_page.cards[0].shape.text() == "2, 4"
    wizard.close()

    # The next time everything is as it was.
    again = begin(weights).wizard
    assert again.model_page.source.code.source.currentText() == str(weights.with_name("net.py"))
    assert again.inputs_page.cards[0].shape.text() == "2, 4"
    assert again.format_page.kind() == "torchscript"
    again.close()


def test_onnx_with_a_dynamic_batch(begin, weights):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    hands = begin(weights)
    wizard = hands.wizard
    hands.choose_code("net.py")
    hands.to_inputs()
    hands.wait_for_trial()
    row = wizard.inputs_page.cards[0].axes.rows[0]
    hands.press(row.dynamic)
    assert row.name.text() == "batch"
    hands.to_format()
    hands.press(wizard.format_page.buttons["onnx"])
    hands.export()
    target = weights.with_suffix(".onnx")
    assert wizard.result_page.outcome.files == (str(target),)
    sizes = {row[0] for row in wizard.result_page.table.rows()}
    assert len(sizes) > 1
    session = runtime.InferenceSession(target)
    assert session.get_inputs()[0].shape == ["batch", 4]
    (given,) = session.run(None, {"x": torch.ones(7, 4).numpy()})
    assert given.shape == (7, 3)
    wizard.close()


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.parametrize("way", ["button", "escape", "close"])
def test_cancelling_kills_the_worker_and_leaves_nothing(begin, weights, qtbot, way):
    before = workers()
    hands = begin(weights)
    wizard = hands.wizard
    hands.choose_code("net.py")
    hands.to_inputs()
    hands.to_format()
    hands.press(wizard.format_page.buttons["torchscript"])
    files = sorted(os.listdir(weights.parent))
    wait = weights.with_name("net.py.wait")
    wait.touch()
    hands.press(wizard.next)
    assert wizard.page_number() == RUN
    assert not wizard.back.isEnabled()
    hands.wait(lambda: "Trace the model" in wizard.run_page.stages.texts())
    assert workers() - before
    if way == "button":
        hands.press(wizard.run_page.cancel_button)
    elif way == "escape":
        qtbot.keyClick(wizard, Qt.Key.Key_Escape)
    else:
        wizard.close()
    hands.wait(lambda: not workers() - before)
    wait.unlink()
    shutil.rmtree(weights.parent / "__pycache__", ignore_errors=True)
    hands.wait(lambda: sorted(os.listdir(weights.parent)) == files)
    if way == "button":
        # Nothing stands in its way any more.
        assert "again" in wizard.next.text()
        hands.press(wizard.next)
        assert wizard.run_page.running
        hands.wait(lambda: wizard.page_number() == RESULT)
        assert wizard.result_page.outcome.files == (str(weights.with_suffix(".pt")),)
        assert not wizard.next.isVisible()
        wizard.close()
    elif way == "escape":
        assert wizard.isVisible()
        hands.press(wizard.back)
        assert wizard.page_number() == FORMAT
        wizard.close()


def test_forward_that_fails_shows_the_line_and_can_be_mended(begin, weights):
    hands = begin(weights)
    wizard = hands.wizard
    hands.choose_code("net.py")
    hands.to_inputs()
    hands.wait_for_trial()
    page = wizard.inputs_page
    hands.type(page.cards[0].shape, "1, 5")
    hands.wait(page.failure.isVisible)
    assert "1x5" in page.failure.banner.cause()
    assert "net.py" in page.failure.traceback()
    assert not page.failure.fold.body.isVisible()
    hands.press(page.failure.fold.button)
    assert page.failure.fold.body.isVisible()
    assert not wizard.next.isEnabled()
    hands.type(page.cards[0].shape, "1, 4")
    hands.to_format()
    wizard.close()


def test_a_class_that_is_not_there_is_named_with_those_that_are(begin, weights):
    hands = begin(weights)
    wizard = hands.wizard
    hands.choose_code("net.py", "Nett")
    hands.wait_for_model()
    page = wizard.model_page
    assert "has no Nett" in page.failure.banner.cause()
    assert "Net" in page.failure.banner.advice()
    assert not wizard.next.isEnabled()
    hands.choose_code("gone.py")
    assert "There is no file" in page.problem()
    wizard.close()


def test_weights_that_do_not_fit_are_listed_before_anything_is_exported(begin, tmp_path):
    weights = save_net(tmp_path, width=16)
    hands = begin(weights)
    wizard = hands.wizard
    hands.choose_code("net.py")
    hands.wait_for_model()
    page = wizard.model_page
    assert "3 mismatched" in page.fit.banner.title()
    assert "first.weight  16 × 4 in the file, 8 × 4 in the model" in page.fit.listed()
    assert not wizard.next.isEnabled()
    hands.type(page.source.code.arguments.rows["width"].field, "sixteen")
    assert "no value" in page.problem()
    hands.type(page.source.code.arguments.rows["width"].field, "16")
    hands.wait(lambda: page.described is not None and page.described.report.fits)
    assert "All 4 keys fit" in page.fit.banner.title()
    assert wizard.next.isEnabled()
    wizard.close()


def test_a_target_that_cannot_be_written(begin, weights):
    hands = begin(weights)
    wizard = hands.wizard
    hands.choose_code("net.py")
    hands.to_inputs()
    hands.to_format()
    page = wizard.format_page
    hands.press(page.buttons["torchscript"])
    hands.type(page.target, "nowhere/net.pt")
    assert "There is no folder" in page.problem()
    assert not wizard.next.isEnabled()
    hands.type(page.target, str(weights))
    assert "the checkpoint itself" in page.problem()
    folder = weights.parent / "soon"
    folder.mkdir()
    hands.type(page.target, "soon/net.pt")
    folder.rmdir()
    hands.press(wizard.next)
    assert wizard.page_number() == FORMAT
    assert "There is no folder" in page._target_hint.text()
    hands.type(page.target, str(folder.with_suffix(".pt")))
    assert wizard.next.isEnabled()
    wizard.close()


@pytest.mark.skipif(sys.platform != "linux", reason="a folder in which nobody can write")
def test_a_folder_that_refuses_files(begin, weights):
    hands = begin(weights)
    wizard = hands.wizard
    hands.choose_code("net.py")
    hands.to_inputs()
    hands.to_format()
    page = wizard.format_page
    hands.press(page.buttons["torchscript"])
    hands.type(page.target, "/proc/net.pt")
    if os.access("/proc", os.W_OK):  # so it says to root
        hands.press(wizard.next)
        hands.wait(lambda: wizard.page_number() == RESULT)
        assert "was not written" in wizard.result_page.failure.banner.title()
        assert "cannot be written" in wizard.result_page.failure.banner.cause()
        assert not wizard.result_page.open_button.isVisible()
    else:
        assert "cannot be written" in page.problem()
        assert not wizard.next.isEnabled()
    wizard.close()


def test_a_pickled_model_is_not_loaded_before_the_user_agrees(begin, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    save_net(tmp_path)
    module = __import__("net")
    path, imported = tmp_path / "whole.pth", tmp_path / "net.py.imported"
    try:
        torch.save(module.Net(), path)
    finally:
        del sys.modules["net"]
        imported.unlink()
    hands = begin(path)
    wizard = hands.wizard
    page = wizard.model_page
    hands.wait(lambda: page.interpreters.probed() is not None)
    assert page.consent.isVisible()
    assert "net.Net" in page.consent.names()
    assert "agree" in page.problem()
    assert not page._task.running
    assert not imported.exists()
    hands.press(page.consent.agree)
    hands.wait_for_model()
    assert imported.exists()
    assert not page.consent.isVisible()
    assert page.described.model_class == "net.Net"
    wizard.close()

    again = begin(path).wizard
    assert not again.model_page.consent.isVisible()
    again.close()
    with path.open("ab") as file:
        file.write(b"\0")
    # Another file now, though of the same name.
    third = begin(path).wizard
    third.parent().reload()
    hands.wait(lambda: not third.model_page.consent.isVisible())
    third.close()


def test_models_in_one_file_and_keys_of_other_names(begin, tmp_path, monkeypatch, window, opened):
    save_net(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "net", raising=False)
    net = importlib.import_module("net")
    state = net.Net().state_dict()
    other = {f"module.{key.replace('first', 'block_0')}": each for key, each in state.items()}
    path = tmp_path / "several.pth"
    torch.save({"student": net.Net(), "teacher": net.Net(5), "older": other}, path)
    tab = opened(path)
    tab.tree.select_path(["teacher"])
    offered = {each.text(): each for each in tab.tree._menu.menu().actions()}
    offered["Export teacher…"].trigger()
    tab.side.summary.export_button.click()
    (wizard,) = [each for each in window.findChildren(ExportWizard) if each.isVisible()]
    hurry(monkeypatch)
    model = wizard.model_page
    assert model.source.module.currentText().startswith("teacher")
    assert model.choice().weights.section == ("teacher",)
    # The same wizard, another part of the file.
    tab.tree.select_path(["older", "module.last.bias"])
    offered = {each.text(): each for each in tab.tree._menu.menu().actions()}
    offered["Export older…"].trigger()
    assert model.choice().source.source == "code"
    assert model.weights.section.currentText().startswith("older")
    hands = Hands(begin.qtbot, wizard)
    hands.choose_code("net.py", "Net")
    hands.type(model.weights.rules, "^block_(")
    assert "block_(" in wizard.status.text()
    hands.type(model.weights.rules, r"^block_\d+=>first")
    model.placement._dtype.setCurrentText("float64")
    hands.wait_for_model()
    assert not model.problem()
    assert model.described.report.stripped == "module."
    assert {key.dtype for key in model.described.keys} == {"float64"}
    assert [guess.dtype for guess in model.described.guesses] == ["float64"]
    chosen = model.choice()
    wizard.close()
    again = begin(path).wizard
    assert again.model_page.choice() == chosen
    again.close()


def test_one_wizard_for_each_file_which_ends_with_the_window(begin, weights, window):
    wizard = begin(weights).wizard
    assert begin(weights).wizard is wizard
    assert wizard.page_number() == MODEL
    window.close()
    assert not wizard.isVisible()


def test_the_tab_key_goes_through_every_page_from_top_to_bottom(begin, weights, qtbot):
    hands = begin(weights)
    wizard = hands.wizard
    hands.choose_code("net.py")
    hands.wait_for_model()
    found = places(qtbot, wizard)
    assert found == sorted(found)
    hands.to_inputs()
    hands.press(wizard.inputs_page.add)
    found = places(qtbot, wizard)
    # It began with the second field, and ends with the first.
    assert found[:-1] == sorted(found[:-1])
    assert found[-1] == found[0]
    hands.press(wizard.inputs_page.cards[1].remove)
    hands.to_format()
    found = places(qtbot, wizard)
    assert found == sorted(found)
    assert len(found) > 8
    wizard.close()


def places(qtbot, wizard) -> list[int]:
    """Where the fields of the page in front lie, in the order of the Tab key."""
    page = wizard.pages[wizard.page_number()]
    qtbot.wait(100)  # what is new has its place
    page.first_field().setFocus()
    seen, found = [], []
    while (field := QApplication.focusWidget()) not in seen:
        seen.append(field)
        if page.isAncestorOf(field):
            # Of fields side by side the middles are the same within a few pixels.
            middle = field.mapTo(page.widget(), field.rect().center()).y()
            found.append(round(middle / 10))
        qtbot.keyClick(field, Qt.Key.Key_Tab)
    return found


def test_a_torchscript_archive_brings_its_model_and_becomes_onnx_by_the_older_exporter(
    begin, tmp_path
):
    pytest.importorskip("onnxruntime")
    path = tmp_path / "scripted.pt"
    with pytest.warns(DeprecationWarning, match=r"jit"):
        torch.jit.save(torch.jit.script(torch.nn.Linear(4, 3)), path)
    hands = begin(path)
    wizard = hands.wizard
    hands.to_inputs()
    hands.to_format()
    page = wizard.format_page
    assert not page.problem()
    page.forms["onnx"].exporter.setCurrentIndex(0)
    assert "does not take TorchScript" in page.problem()
    assert not wizard.next.isEnabled()
    page.forms["onnx"].exporter.setCurrentIndex(1)
    hands.export()
    assert wizard.result_page.outcome.files == (str(path.with_suffix(".onnx")),)
    assert "computes the same" in wizard.result_page.banner.title()
    wizard.close()
