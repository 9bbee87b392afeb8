"""The quantize dialog, driven by keys and buttons, with real workers and real models."""

from __future__ import annotations

import gc
import json
import os

import pytest
import torch
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication
from quantize_driving import Hands, hurry, save_net

from inspector_app.ui.quantize_dialog import (
    DATA,
    INPUTS,
    LAYERS,
    METHOD,
    MODEL,
    PREVIEW,
    RESULT,
    RUN,
    QuantizeDialog,
)
from inspector_app.worker.quantize_protocol import DataKind


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
    """Opens a checkpoint and its dialog, as people do."""
    hurry(monkeypatch)

    def begin_with(path) -> Hands:
        opened(path)
        window.activateWindow()
        qtbot.waitUntil(window.isActiveWindow)
        qtbot.keyClick(
            window,
            Qt.Key.Key_Q,
            Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier,
        )
        dialog = next(each for each in window.findChildren(QuantizeDialog) if each.isVisible())
        qtbot.waitExposed(dialog)
        return Hands(qtbot, dialog)

    return begin_with


def test_the_preview_alone_needs_no_model(begin, tmp_path, qtbot, window):
    torch.manual_seed(0)
    path = tmp_path / "weights.pth"
    huge = torch.randn(32, 64)
    huge[0, 0] = 1e5  # which fp16 does not have
    tails = torch.randn(32, 64) ** 5
    state = {"fine.weight": torch.randn(32, 64), "huge.weight": huge, "bad.weight": tails}
    torch.save(state, path)
    hands = begin(path)
    page = hands.dialog.preview_page
    assert hands.dialog.page_number() == PREVIEW
    hands.wait_for_preview()
    assert "overflow in one tensor" in page.banner.title()
    assert "huge.weight" in page.banner.cause()
    figures = page.totals.figures()
    assert figures[0].startswith("24.6 kB → 6.")
    assert "bad.weight" in figures[2]
    assert page.table.current().tensor.key == "bad.weight"
    hands.wait(lambda: page.values.shown is not None)
    assert sum(page.values.shown.original.counts) == 32 * 64

    # Another scheme, chosen by key; the other row, chosen by mouse.
    before = page.table.current().schemes[page.scheme()].sqnr_db
    page.scheme_box.setFocus()
    qtbot.keyClick(page.scheme_box, Qt.Key.Key_Up)
    qtbot.keyClick(page.scheme_box, Qt.Key.Key_Up)
    assert page.scheme() == "int8-per-tensor"
    hands.wait_for_preview()
    assert page.table.current().schemes[page.scheme()].sqnr_db < before
    at = page.table.visualRect(page.table.tensors.index(1, 0)).center()
    qtbot.mouseClick(page.table.viewport(), Qt.MouseButton.LeftButton, pos=at)
    assert page.table.current().number == page.table.tensors.at(1).number

    # The tab goes; what is shown stays whole.
    window.close_tab()
    qtbot.wait(50)
    page.choose("bf16")
    hands.wait_for_preview()
    names = {each.tensor.name for each in page.run.gathered("bf16").tensors}
    assert names == set(state)
    hands.dialog.close()


def test_a_cast_and_then_static_int8_with_layers_left_out(begin, weights, qtbot, window):
    hands = begin(weights)
    dialog = hands.dialog
    hands.wait_for_preview()
    hands.go_on_to(METHOD)
    hands.choose_method("cast")
    dialog.method_page.methods.current().form.dtype.setCurrentIndex(1)
    assert [page.skipped() for page in dialog.pages] == [*[False] * 3, *[True] * 3, *[False] * 2]
    hands.go_on_to(LAYERS)
    layers = dialog.layers_page
    hands.wait(lambda: list(layers.layers.layers) == ["first", "norm", "second", "last"])
    hands.type(layers.patterns, "nothing*")
    assert "No layer" in layers._hint.text()
    hands.type(layers.patterns, "last")
    hands.go_on_to(RUN)
    hands.wait(lambda: dialog.page_number() == RESULT)
    result = dialog.result_page
    assert result.outcome.failed is None, result.outcome.failed
    cast = torch.load(weights.with_name("net_weights.bf16.pth"), weights_only=True)
    assert cast["first.weight"].dtype == torch.bfloat16
    assert cast["last.weight"].dtype == torch.float32
    assert "was not measured" in result.banner.advice()
    assert not result.advice.isVisible()

    # Back to the method, and on through every page.
    hands.press(dialog.steps.steps[METHOD])
    hands.choose_method("static", "fx")
    hands.go_on_to(LAYERS)
    hands.type(layers.patterns, "")
    hands.go_on_to(MODEL)
    code = dialog.model_page.source.code
    hands.type(code.source.lineEdit(), "net.py")
    hands.wait(lambda: dialog.model_page.described is not None)
    hands.go_on_to(INPUTS)
    hands.type(dialog.inputs_page.cards[0].shape, "1, 1, 8, 8")
    hands.wait(lambda: dialog.inputs_page.tried is not None)
    assert not dialog.inputs_page.cards[0].axes.isVisible()
    hands.go_on_to(DATA)
    page = dialog.data_page
    assert not dialog.next.isEnabled()
    assert not page.buttons["nothing"].isEnabled()
    hands.type(page.paths[DataKind.FILE], "none.npz")
    assert "no file" in page.problem()
    hands.press(page.random)
    assert page._warning.isVisible()
    assert not page.problem()
    hands.press(page.random)
    hands.type(page.paths[DataKind.FILE], "samples.npz")
    hands.press(page.memory)
    hands.go_on_to(RUN)
    assert not dialog.back.isEnabled()
    hands.wait(lambda: dialog.page_number() == RESULT)
    outcome = result.outcome
    assert outcome.failed is None, outcome.failed
    target = weights.with_name("net_weights.int8.pth")
    assert outcome.files == (str(target),)
    assert {each.name for each in outcome.quantized.layers if each.bits == 8} == {
        "first",
        "second",
        "last",
    }
    rows = {row[0]: row[1:] for row in result.truth.rows()}
    assert rows["Accuracy"][0] == "100%"
    assert "Latency of" in " ".join(rows)
    assert result.outputs.rows()[0][1].endswith("dB")
    assert result.chart.chart.bars()

    # Too much: one more layer in float, by one click.
    for name, box in result.advice.boxes.items():
        if box.isChecked() != (name == "last"):
            hands.press(box)
    assert result.advice.names() == ("last",)
    files = sorted(os.listdir(weights.parent))
    hands.press(result.advice.button)
    assert dialog.page_number() == RUN
    assert dialog.run_page.plan.left.names == ("last",)
    assert layers.left().names == ("last",)
    hands.wait(lambda: "Import torch" in dialog.run_page.stages.texts())
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    assert "was cancelled" in dialog.run_page._banner.title()
    hands.wait(lambda: sorted(os.listdir(weights.parent)) == files)
    hands.press(dialog.steps.steps[RESULT])

    hands.press(result.loading_button)
    code = QApplication.clipboard().text()
    compile(code, "load.py", "exec")
    assert "load_state_dict" in code
    assert str(target) in code
    report = weights.with_name("report.json")
    with qtbot.waitSignal(result.message):
        result.reports.save(str(report), result.plan, outcome)
    assert json.loads(report.read_text(encoding="utf-8"))["measured"]["float_accuracy"] == 1.0
    hands.press(result.open_button)
    hands.wait(lambda: window.tab() is not None and window.tab().path == str(target))
    dialog.close()

    # The next time everything is as it was.
    dialog = begin(weights).dialog
    assert dialog.method_page.options().kind == "static"
    assert dialog.model_page.source.code.source.currentText() == str(weights.with_name("net.py"))
    assert dialog.inputs_page.cards[0].shape.text() == "1, 1, 8, 8"
    assert dialog.data_page.data().path == str(weights.with_name("samples.npz"))
    assert dialog.layers_page.left().names == ("last",)
    dialog.close()


def test_the_dialog_is_opened_from_the_summary_and_from_the_trees_menu(
    begin, weights, qtbot, window
):
    hands = begin(weights)
    dialog = hands.dialog
    tab = window.tab()
    menu = tab.tree._menu.menu()
    assert "Quantize…" in [action.text().replace("&", "") for action in menu.actions()]
    menu.close()
    # The one that is open is raised; another is not made.
    window.actions_by_id["quantize"].trigger()
    assert window.findChildren(QuantizeDialog) == [dialog]
    dialog.close()
    qtbot.waitUntil(lambda: not window.findChildren(QuantizeDialog))
    tab.side.summary.actions.quantize.trigger()
    (dialog,) = window.findChildren(QuantizeDialog)
    # With the window everything ends that was begun from it.
    window.close()
    assert not dialog.isVisible()
