"""The compare tab on real files: what it says, lists, filters and sorts."""

from __future__ import annotations

import json
import shutil

import pytest
from comparison_waiting import wait_for_comparison
from pair_files import changed, layers, save, training
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication

from inspector_app.analysis.comparison import Evidence, Status
from inspector_app.analysis.content_apart import Compared, measuring_content_apart
from inspector_app.checkpoint.model import Node, Progress, TensorInfo
from inspector_app.ui import compare_run, diff_status
from inspector_app.ui.diff_columns import DiffColumn
from inspector_app.ui.diff_nodes import PairNode


@pytest.fixture
def pair(tmp_path):
    model = layers()
    a = save(tmp_path, "epoch_10.pth", training(model, 10, 1e-3))
    b = save(tmp_path, "epoch_20.pth", training(changed(model), 20, 1e-4))
    return a, b


def rows(tab) -> list[str]:
    """The names of the listed pairs and values, from the top."""
    model = tab.tree._model
    listed = (model.view.row(line) for line in range(len(model.view)))
    return [model.rows.name(row) for row in listed if model.rows.differences.statuses[row]]


def cell(tab, key: str, column: DiffColumn) -> str:
    model = tab.tree._model
    for row, node in enumerate(model.rows.nodes):
        if isinstance(node, PairNode) and node.pair.key == key:
            return model.cell(row, column)
    raise AssertionError(key)


def chip(tab, status: str):
    return tab.body.header.totals.chips[status]


def click(qtbot, tab, status: str, modifier=Qt.KeyboardModifier.NoModifier) -> None:
    qtbot.mouseClick(chip(tab, status), Qt.MouseButton.LeftButton, modifier)


def test_both_files_are_named(compared, window, pair):
    tab = compared(*pair)
    assert tab.body.header.a.text() == "epoch_10.pth"
    assert tab.body.header.b.text() == "epoch_20.pth"
    assert tab.name() == "epoch_10.pth ↔ epoch_20.pth"
    assert window.windowTitle().startswith("epoch_10.pth ↔ epoch_20.pth")
    assert tab.body.header.evidence.text() == "11 by checksum, 2 byte by byte"


def test_totals_count_every_status(compared, pair):
    tab = compared(*pair)
    shown = {status: c.words() for status, c in tab.body.header.totals.chips.items() if c.count}
    assert shown == {
        Status.MISMATCHED: "2 mismatched",
        Status.MISSING: "1 missing",
        Status.UNEXPECTED: "1 unexpected",
        Status.CHANGED: "2 changed",
        diff_status.VALUE: "2 values",
        Status.IDENTICAL: "11 identical",
    }
    assert chip(tab, Status.UNCOMPARED).isHidden()
    assert not chip(tab, Status.CHANGED).isHidden()


def test_only_differences_are_listed_at_first(compared, pair):
    tab = compared(*pair)
    assert sorted(rows(tab)) == [
        "epoch",
        "model_state_dict/extra.scale",
        "model_state_dict/head.weight",
        "model_state_dict/layers.1.weight",
        "model_state_dict/layers.2.bias",
        "model_state_dict/layers.3.bias",
        "model_state_dict/layers.4.weight",
        "optimizer_state_dict/param_groups/0/lr",
    ]
    assert tab.tree._hidden.text() == "11 identical tensors are hidden."
    tab.only_differences()
    tab.tree.expand_all()
    assert len(rows(tab)) == 19
    assert tab.tree._line.isHidden()


def test_cells_show_both_sides(compared, pair):
    tab = compared(*pair)
    assert cell(tab, "head.weight", DiffColumn.A) == "4 × 8 float32"
    assert cell(tab, "head.weight", DiffColumn.B) == "5 × 8 float32"
    assert cell(tab, "layers.1.weight", DiffColumn.B) == "="
    assert cell(tab, "layers.3.bias", DiffColumn.B) == "–"
    assert cell(tab, "extra.scale", DiffColumn.A) == "–"
    assert cell(tab, "layers.4.weight", DiffColumn.REL_L2) == "2"
    assert cell(tab, "layers.1.weight", DiffColumn.MAX_ABS) == "0.25"
    assert cell(tab, "layers.1.weight", DiffColumn.DIFFERING) == "2.08 %"
    assert cell(tab, "layers.4.weight", DiffColumn.COSINE) == "1.00000"
    assert cell(tab, "layers.0.weight", DiffColumn.REL_L2) == ""
    assert cell(tab, "layers.0.weight", DiffColumn.EVIDENCE) == "checksum"


def test_a_click_on_a_total_lists_it_alone(qtbot, compared, pair):
    tab = compared(*pair)
    click(qtbot, tab, Status.CHANGED)
    changed_rows = ["model_state_dict/layers.1.weight", "model_state_dict/layers.4.weight"]
    assert rows(tab) == changed_rows
    assert chip(tab, Status.CHANGED).isChecked()
    assert not chip(tab, Status.MISSING).isChecked()
    click(qtbot, tab, Status.MISSING, Qt.KeyboardModifier.ControlModifier)
    assert rows(tab) == [changed_rows[0], "model_state_dict/layers.3.bias", changed_rows[1]]
    click(qtbot, tab, Status.MISSING)
    assert rows(tab) == ["model_state_dict/layers.3.bias"]
    click(qtbot, tab, Status.MISSING)
    assert tab.tree.wanted == diff_status.DIFFERENCES


def test_what_moved_most_comes_to_the_top(compared, pair):
    tab = compared(*pair)
    tab.tree.view.horizontalHeader().setSortIndicator(
        DiffColumn.REL_L2, Qt.SortOrder.DescendingOrder
    )
    moved = [row for row in rows(tab) if row.startswith("model_state_dict/layers.")]
    assert moved[:2] == ["model_state_dict/layers.4.weight", "model_state_dict/layers.1.weight"]


def test_keys_lead_from_difference_to_difference(qtbot, window, compared, pair):
    tab = compared(*pair)
    tab.only_differences()
    tab.tree.collapse_all()
    seen = []
    while True:
        before = tab.tree.view.current_row()
        window.actions_by_id["next_difference"].trigger()
        if tab.tree.view.current_row() == before:
            break
        seen.append(
            tab.tree._model.rows.name(before if before < 0 else tab.tree.view.current_row())
        )
    assert len(set(seen)) == 8
    assert "There is no difference below this" in window.statusBar().currentMessage()
    window.actions_by_id["previous_difference"].trigger()
    assert tab.tree.view.current_row() != before


def test_the_selected_pair_is_told_about(qtbot, compared, pair):
    tab = compared(*pair)
    details = tab.body.side.pair.details
    find = {p.key: p for p in tab.comparison.pairs}
    tab.tree.select_pair(find["layers.4.weight"])
    assert details.facts()["Relative L2"] == "2"
    assert details.facts()["Differing"] == "48 of 48 elements (100 %)"
    assert details.sentence() == "Changed"
    tab.tree.select_pair(find["layers.0.weight"])
    assert details.sentence() == "Identical, by checksum"
    assert Status.IDENTICAL in tab.tree.wanted
    tab.tree.select_pair(find["layers.2.bias"])
    assert "casts it without a word" in details.sentence()
    tab.tree.select_path(("epoch",))
    assert details.facts() == {"A": "10", "B": "20", "Change": "+10  (× 2)"}


def test_swapping_sides_turns_everything_round(qtbot, window, compared, pair):
    tab = compared(*pair)
    window.actions_by_id["swap_sides"].trigger()
    wait_for_comparison(qtbot, tab)
    assert tab.body.header.a.text() == "epoch_20.pth"
    assert window.tabs.tabText(0) == "epoch_20.pth ↔ epoch_10.pth"
    find = {p.key: p for p in tab.comparison.pairs}
    assert find["layers.3.bias"].status == Status.UNEXPECTED
    assert find["extra.scale"].status == Status.MISSING
    assert find["layers.4.weight"].metrics.rel_l2 == pytest.approx(2 / 3)
    assert cell(tab, "layers.4.weight", DiffColumn.REL_L2) == "0.6667"


def test_every_byte_can_be_compared(qtbot, window, compared, pair):
    tab = compared(*pair)
    window.actions_by_id["compare_every_byte"].trigger()
    wait_for_comparison(qtbot, tab)
    kept = [p for p in tab.comparison.pairs if p.status == Status.IDENTICAL]
    assert len(kept) == 11
    assert {p.evidence for p in kept} == {Evidence.BYTES}
    assert tab.body.header.evidence.text() == "bytes compared"


def test_large_files_wait_for_a_click(qtbot, monkeypatch, window, compared, pair):
    monkeypatch.setattr("inspector_app.ui.compare_body.READ_AT_ONCE", 0)
    tab = compared(*pair)
    assert tab.body.header.evidence.text() == "by checksum"
    assert cell(tab, "layers.4.weight", DiffColumn.REL_L2) == ""
    button = tab.body.header.values_button
    assert button.isVisible()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    wait_for_comparison(qtbot, tab)
    assert cell(tab, "layers.4.weight", DiffColumn.REL_L2) == "2"
    assert not button.isVisible()


def test_cancelling_keeps_what_was_compared(qtbot, monkeypatch, window, compared, pair):
    def slow(process, comparison, pairs, *tolerance, **how):
        yield from measuring_content_apart(process, comparison, pairs[:1], *tolerance, **how)
        while True:
            yield Compared([], 1, 2)

    monkeypatch.setattr(compare_run, "measuring_content_apart", slow)
    tab = window.compare(*map(str, pair))
    qtbot.waitUntil(lambda: window.activity_bar.isVisible() and tab.body.run.is_running)
    qtbot.waitUntil(lambda: any(p.metrics for p in tab.comparison.pairs), timeout=20_000)
    qtbot.mouseClick(window.activity_bar.cancel_button, Qt.MouseButton.LeftButton)
    assert tab.is_settled()
    assert sum(p.metrics is not None for p in tab.comparison.pairs) == 1
    assert tab.body.header.values_button.isVisible()


def test_identical_files_say_so(qtbot, compared, tmp_path):
    a = save(tmp_path, "a.pth", layers())
    b = tmp_path / "b.pth"
    shutil.copy(a, b)
    tab = compared(a, b)
    assert tab.body.empty.isVisible()
    assert tab.body.empty.title() == "No differences"
    assert "14 tensors" in tab.body.empty.cause()
    (button,) = tab.body.empty.buttons()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert tab.tree.isVisible()
    tab.tree.expand_all()
    assert len(rows(tab)) == 14


def test_nothing_to_compare_says_so(compared, tmp_path):
    tab = compared(save(tmp_path, "a.pth", {}), save(tmp_path, "b.pth", {}))
    assert tab.body.empty.title() == "There is nothing to compare"


@pytest.mark.parametrize("side", ["a", "b"])
def test_a_file_that_cannot_be_read_is_named(qtbot, window, compared, tmp_path, side):
    good = save(tmp_path, "good.pth", layers())
    bad = tmp_path / "bad.pth"
    bad.write_text("Dear diary,\n" * 20)
    tab = compared(*((bad, good) if side == "a" else (good, bad)))
    assert tab.card.isVisible()
    assert tab.card.title() == f"{side.upper()}: This is not a checkpoint"
    assert str(bad) in tab.card.cause()
    shutil.copy(good, bad)
    button = next(each for each in tab.card.buttons() if each.text() == "Try again")
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    wait_for_comparison(qtbot, tab)
    assert tab.error is None
    assert tab.body.empty.title() == "No differences"


def test_a_changed_file_is_offered(qtbot, compared, pair):
    tab = compared(*pair)
    a, b = pair
    shutil.copy(a, b)
    qtbot.waitUntil(tab.banner.isVisible, timeout=10_000)
    assert tab.banner.title() == "One of the files changed on disk"
    qtbot.mouseClick(tab.banner.buttons()[0], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not tab.comparison.differs(), timeout=10_000)
    wait_for_comparison(qtbot, tab)
    assert tab.body.empty.isVisible()


def test_the_chart_leads_to_the_layer(qtbot, compared, pair):
    tab = compared(*pair)
    changes = tab.body.side.changes
    qtbot.waitUntil(lambda: all(p.value is not None for p in changes.chart.points()))
    points = {point.name: point.value for point in changes.chart.points()}
    assert points["layers.4"] == pytest.approx(2)
    assert points["layers.0"] == 0
    assert "head" not in points  # what is in both of it is a counter
    place = [point.name for point in changes.chart.points()].index("layers.4")
    changes.chart.chosen.emit(place)
    assert tab.body.selected.key == "layers.4.weight"
    assert changes.facts()["Compared"] == "model_state_dict with model_state_dict"


def test_a_training_against_a_bare_state_dict(compared, tmp_path):
    model = layers()
    a = save(tmp_path, "a.pth", training(model, 1, 0.1))
    b = save(tmp_path, "b.pth", model)
    tab = compared(a, b)
    assert {p.status for p in tab.comparison.pairs} == {Status.IDENTICAL}
    assert "optimizer_state_dict" in tab.body.side.changes.facts()["Only in A"]


def test_pytorchs_message_is_shown_and_copied(qtbot, compared, pair):
    import torch

    tab = compared(*pair)
    side = tab.body.side
    side.bar.setCurrentIndex(2)
    qtbot.waitUntil(lambda: bool(side.load.text()))
    model = torch.nn.Module()
    said = side.load.text()
    assert 'Missing key(s) in state_dict: "layers.3.bias". ' in said
    assert 'Unexpected key(s) in state_dict: "extra.scale". ' in said
    assert "size mismatch for head.weight" in said
    qtbot.mouseClick(side.load.copy_button, Qt.MouseButton.LeftButton)
    assert QApplication.clipboard().text() == said
    del model


@pytest.mark.parametrize(
    ("form", "expected"),
    [("text", "C  layers.4.weight"), ("markdown", "layers.4.weight"), ("message", "extra.scale")],
)
def test_reports_are_copied(qtbot, compared, pair, form, expected):
    tab = compared(*pair)
    QApplication.clipboard().clear()
    tab.body.reports.copy(form)
    qtbot.waitUntil(lambda: expected in QApplication.clipboard().text())


def test_reports_are_saved_by_their_ending(qtbot, compared, pair, tmp_path):
    tab = compared(*pair)
    for name, expected in (("r.html", "<html"), ("r.md", "# "), ("r.txt", "A: ")):
        tab.body.reports.save(str(tmp_path / name))
        qtbot.waitUntil((tmp_path / name).exists)
        assert expected in (tmp_path / name).read_text(encoding="utf-8")
    tab.body.reports.save(str(tmp_path / "r.json"))
    qtbot.waitUntil((tmp_path / "r.json").exists)
    assert json.loads((tmp_path / "r.json").read_text())["summary"]["changed"] == 2
    with qtbot.waitSignal(tab.message) as said:
        tab.body.reports.save(str(tmp_path / "no" / "r.md"))
    assert "not saved" in said.args[0]


def test_reading_can_be_cancelled(qtbot, monkeypatch, window, pair):
    def endless(path):
        while True:
            yield Progress("pickle", 1, 4)

    with monkeypatch.context() as patch:
        patch.setattr("inspector_app.ui.compare_reading.reading", endless)
        tab = window.compare(*map(str, pair))
        qtbot.waitUntil(window.activity_bar.isVisible)
        qtbot.mouseClick(window.activity_bar.cancel_button, Qt.MouseButton.LeftButton)
    assert tab.card.title() == "Reading was cancelled"


def test_closing_frees_both_files(qtbot, window, compared, pair):
    import gc

    def alive(*kinds: type) -> int:
        return sum(type(thing) in kinds for thing in gc.get_objects())

    gc.collect()
    # Other tests may keep nodes of their own.
    others, tensors = alive(Node, PairNode), alive(TensorInfo)
    pairs = alive(PairNode)
    compared(*pair)
    assert alive(PairNode) == pairs + 17
    gc.disable()
    try:
        window.actions_by_id["close_tab"].trigger()
        qtbot.waitUntil(lambda: alive(Node, PairNode) == others)
    finally:
        gc.enable()
    gc.collect()
    assert alive(TensorInfo) == tensors


@pytest.mark.parametrize(
    ("folder", "a", "b"),
    [
        (
            "analogdevicesinc__ai8x-synthesis",
            "ai85-mnist-qat8.pth.tar",
            "ai85-mnist-qat8-q.pth.tar",
        ),
        ("richzhang__PerceptualSimilarity", "alex_v0.0.pth", "alex_v0.1.pth"),
    ],
)
def test_real_pairs_open(compared, corpus, folder, a, b):
    files = [next(corpus.joinpath(folder).rglob(name), None) for name in (a, b)]
    if None in files:
        pytest.skip("the corpus has other files")
    tab = compared(*files)
    assert tab.error is None
    assert tab.comparison.differs()
    assert not any(pair.error for pair in tab.comparison.pairs)
    assert tab.tree.differences.waiting == 0


def test_counters_do_not_hide_what_moved(compared, tmp_path):
    model = layers()
    other = {key: value.clone() for key, value in model.items()}
    other["head.num_batches_tracked"] += 1_000
    other["head.weight"] += 0.5
    tab = compared(save(tmp_path, "a.pth", model), save(tmp_path, "b.pth", other))
    rows_of_tree = tab.tree._model.rows
    head = rows_of_tree.labels.index("head")
    assert tab.tree._model.cell(head, DiffColumn.MAX_ABS) == "0.5"
    assert cell(tab, "head.num_batches_tracked", DiffColumn.MAX_ABS) == "1000"


def test_colours_follow_the_window(qtbot, window, compared, pair):
    tab = compared(*pair)
    light = tab.grab().toImage()
    window.actions_by_id["appearance_dark"].trigger()
    qtbot.wait(50)
    dark = tab.grab().toImage()
    assert dark.pixelColor(5, 5).lightnessF() < 0.3 < light.pixelColor(5, 5).lightnessF()
    window.actions_by_id["appearance_system"].trigger()


def test_letters_can_be_read_on_their_badges():
    from PySide6.QtGui import QColor

    def luminance(colour: str) -> float:
        parts = QColor(colour).getRgbF()[:3]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for looks in (diff_status._LIGHT, diff_status._DARK):
        assert set(looks) == set(diff_status.SHOWN_STATUSES)
        for look in looks.values():
            light, dark = sorted((luminance(look.text), luminance(look.fill)), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5
    letters = [diff_status.letter(status) for status in diff_status.SHOWN_STATUSES]
    assert len(set(letters)) == len(letters)


def test_closing_while_values_are_compared(qtbot, window, pair):
    tab = window.compare(*map(str, pair))
    qtbot.waitUntil(lambda: tab.body.run.is_running, timeout=20_000)
    window.actions_by_id["close_tab"].trigger()
    assert window.all_tabs() == []
    qtbot.wait(50)
