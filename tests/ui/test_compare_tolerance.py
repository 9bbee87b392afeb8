"""Values that differ within a tolerance count as identical; it is said, and remembered."""

from __future__ import annotations

import pytest
import torch
from comparison_waiting import wait_for_comparison
from pair_files import save
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QDialogButtonBox

from inspector_app.analysis.comparison import EXACT, Evidence, Status, Tolerance
from inspector_app.ui import settings
from inspector_app.ui.compare_tolerance import (
    ToleranceDialog,
    remember_tolerance,
    remembered_tolerance,
    tolerance_words,
)


@pytest.fixture
def near(tmp_path):
    """`same` is, `near` moved by a thousandth of A, `far` by a tenth."""
    a = {name: torch.full((10,), 4.0) for name in ("same", "near", "far")}
    b = {"same": a["same"], "near": a["near"] * 1.001, "far": a["far"] * 1.1}
    return save(tmp_path, "a.pth", a), save(tmp_path, "b.pth", b)


def statuses(tab) -> dict[str, str]:
    return {pair.key: pair.status for pair in tab.comparison.pairs}


def dialog_of(qtbot, tab) -> ToleranceDialog:
    """The dialog, opened by the button in the header."""
    qtbot.mouseClick(tab.body.header.tolerance_button, Qt.MouseButton.LeftButton)
    (dialog,) = tab.body.findChildren(ToleranceDialog)
    return dialog


def type_into(qtbot, field, text: str) -> None:
    field.selectAll()
    qtbot.keyClicks(field, text)


def set_tolerance(qtbot, tab, rtol: str, atol: str) -> None:
    dialog = dialog_of(qtbot, tab)
    type_into(qtbot, dialog.rtol, rtol)
    type_into(qtbot, dialog.atol, atol)
    before = tab.comparison
    qtbot.keyClick(dialog.atol, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: not tab.body.findChildren(ToleranceDialog))
    qtbot.waitUntil(lambda: tab.comparison is not before)
    wait_for_comparison(qtbot, tab)


def test_within_the_tolerance_is_identical(qtbot, compared, near):
    tab = compared(*near)
    button = tab.body.header.tolerance_button
    assert button.text() == "Exact"
    assert statuses(tab) == {"same": "identical", "near": "changed", "far": "changed"}
    set_tolerance(qtbot, tab, "0,002", "1e-9")
    assert button.text() == "Within 1e-9 + 0.002·|A|"
    assert statuses(tab) == {"same": "identical", "near": "identical", "far": "changed"}
    pairs = {pair.key: pair for pair in tab.comparison.pairs}
    assert pairs["near"].evidence == Evidence.BYTES
    assert pairs["near"].metrics.differing == 10
    assert pairs["near"].metrics.beyond == 0
    assert tab.body.header.totals.chips[Status.IDENTICAL].count == 2
    tab.tree.select_pair(pairs["near"])
    assert tab.body.side.pair.details.sentence() == "Identical within the tolerance"
    tab.tree.select_pair(pairs["same"])
    assert tab.body.side.pair.details.sentence() == "Identical, by checksum"


def test_it_can_be_taken_back(qtbot, compared, near):
    tab = compared(*near)
    set_tolerance(qtbot, tab, "0", "1")
    assert set(statuses(tab).values()) == {"identical"}
    assert tab.body.empty.title() == "No differences beyond the tolerance"
    dialog = dialog_of(qtbot, tab)
    qtbot.mouseClick(dialog.exact_button, Qt.MouseButton.LeftButton)
    assert dialog.state.text() == "Only equal bits count as identical."
    qtbot.mouseClick(dialog.ok_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: tab.body.tolerance == EXACT)
    wait_for_comparison(qtbot, tab)
    assert statuses(tab) == {"same": "identical", "near": "changed", "far": "changed"}
    assert tab.body.header.tolerance_button.text() == "Exact"


def test_swapping_weighs_by_the_other_side(qtbot, compared, tmp_path):
    a = save(tmp_path, "a.pth", {"x": torch.full((4,), 1.0)})
    b = save(tmp_path, "b.pth", {"x": torch.full((4,), 2.0)})
    tab = compared(a, b)
    set_tolerance(qtbot, tab, "0.6", "0")
    assert statuses(tab) == {"x": "changed"}  # 1 is more than 0.6 of 1
    tab.swap_sides()
    wait_for_comparison(qtbot, tab)
    assert statuses(tab) == {"x": "identical"}  # and less than 0.6 of 2
    tab.swap_sides()
    wait_for_comparison(qtbot, tab)
    assert statuses(tab) == {"x": "changed"}


def test_other_keys_keep_what_was_found_with_it(qtbot, compared, near):
    from inspector_app.analysis.key_mapping import KeyMapping, Rule

    tab = compared(*near)
    set_tolerance(qtbot, tab, "0.002", "0")
    found = {pair.key: pair.metrics for pair in tab.comparison.pairs}
    before = tab.comparison
    tab.set_mapping(KeyMapping(rules=(Rule.parse("^nothing=>else"),)))
    qtbot.waitUntil(lambda: tab.comparison is not before)
    assert {pair.key: pair.metrics for pair in tab.comparison.pairs} == found
    wait_for_comparison(qtbot, tab)
    assert statuses(tab)["near"] == "identical"


def test_it_is_remembered_and_in_reports(qtbot, window, compared, near, remembered):
    tab = compared(*near)
    set_tolerance(qtbot, tab, "0.002", "0")
    assert settings.Settings().read(settings.COMPARE_TOLERANCE) == [0.002, 0.0]
    window.actions_by_id["close_tab"].trigger()
    again = compared(*near)
    assert again.tolerance == Tolerance(0.002, 0)
    assert again.body.header.tolerance_button.text() == "Within 0.002·|A|"
    assert statuses(again)["near"] == "identical"
    QApplication.clipboard().clear()
    again.body.reports.copy("text")
    qtbot.waitUntil(lambda: "0.002" in QApplication.clipboard().text())


def test_only_numbers_from_zero_up_are_taken(qtbot, compared, near):
    tab = compared(*near)
    dialog = dialog_of(qtbot, tab)
    for wrong in ("-1", "nan", "inf", "a lot", "1e999", "1;2"):
        type_into(qtbot, dialog.rtol, wrong)
        assert not dialog.ok_button.isEnabled(), wrong
        assert "from 0 up" in dialog.state.text()
        qtbot.keyClick(dialog.rtol, Qt.Key.Key_Return)
        assert dialog.isVisible()
    for right in ("1e-5", "0,5", "", " 2 "):
        type_into(qtbot, dialog.rtol, right)
        if not right:
            dialog.rtol.clear()
        assert dialog.ok_button.isEnabled(), right
    box = dialog.findChild(QDialogButtonBox)
    qtbot.mouseClick(box.button(box.StandardButton.Cancel), Qt.MouseButton.LeftButton)
    assert tab.tolerance == EXACT


@pytest.mark.parametrize(
    "kept", [[], [1], [1, 2, 3], [True, 0], ["1", 2], [-1, 0], [1e999, 0], [10**400, 0], {"a": 1}]
)
def test_damaged_settings_are_exact(remembered, kept):
    remembered.write(settings.COMPARE_TOLERANCE, kept)
    assert remembered_tolerance(settings.Settings()) == EXACT


def test_words(remembered):
    assert tolerance_words(Tolerance(0, 0.5)) == "Within 0.5"
    remember_tolerance(remembered, Tolerance(1e-3, 2))
    assert remembered_tolerance(settings.Settings()) == Tolerance(1e-3, 2)
