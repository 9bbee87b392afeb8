"""Keys that were renamed: prefixes and renames offered, accepted, refused; rules previewed."""

from __future__ import annotations

import pytest
from comparison_waiting import wait_for_comparison
from pair_files import layers, save
from PySide6.QtCore import Qt

from inspector_app.analysis.comparison import Status
from inspector_app.ui import settings


@pytest.fixture
def wrapped(tmp_path):
    model = layers()
    a = save(tmp_path, "plain.pth", model)
    b = save(tmp_path, "compiled.pth", {f"_orig_mod.module.{k}": v for k, v in model.items()})
    return a, b


@pytest.fixture
def renamed(tmp_path):
    model = layers()
    other = {key.replace("layers.3", "blocks.3"): value for key, value in model.items()}
    other["head.weights"] = other.pop("head.weight") + 1
    return save(tmp_path, "a.pth", model), save(tmp_path, "b.pth", other)


def press(qtbot, buttons, text: str) -> None:
    (button,) = [each for each in buttons if each.text() == text]
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def found(qtbot, tab):
    """The page of keys, once everything was looked for."""
    qtbot.waitUntil(lambda: not tab.suggestions.is_looking, timeout=10_000)
    return tab.body.side.keys


def test_a_prefix_is_one_click(qtbot, compared, wrapped):
    tab = compared(*wrapped)
    assert tab.comparison.summary() == {Status.MISSING: 14, Status.UNEXPECTED: 14}
    qtbot.waitUntil(tab.banner.isVisible)
    assert tab.banner.title() == "100 % of the keys match if B loses “_orig_mod.module.”"
    press(qtbot, tab.banner.buttons(), "Match them")
    qtbot.waitUntil(lambda: not tab.comparison.differs())
    wait_for_comparison(qtbot, tab)
    assert tab.mapping.strip_b == ("_orig_mod.module.",)
    assert not tab.banner.isVisible()
    assert tab.body.empty.title() == "No differences"


def test_an_accepted_prefix_can_be_undone(qtbot, compared, wrapped):
    from PySide6.QtWidgets import QPushButton

    tab = compared(*wrapped)
    page = found(qtbot, tab)
    tab.suggestions.apply_prefix(tab.suggestions.prefixes[0])
    qtbot.waitUntil(lambda: not tab.comparison.differs())
    wait_for_comparison(qtbot, tab)
    qtbot.waitUntil(lambda: any(b.text() == "Undo" for b in page.findChildren(QPushButton)))
    undo = [b for b in page.findChildren(QPushButton) if b.text() == "Undo" and b.isEnabled()]
    undo[-1].click()
    qtbot.waitUntil(lambda: bool(tab.comparison.differs()))
    wait_for_comparison(qtbot, tab)
    assert not tab.mapping


def test_an_ignored_prefix_is_not_offered_again(qtbot, compared, wrapped):
    tab = compared(*wrapped)
    found(qtbot, tab)
    press(qtbot, tab.banner.buttons(), "Ignore")
    # The renames of the same keys are what is left.
    assert tab.banner.title().startswith("14 keys seem to be renamed")
    press(qtbot, tab.banner.buttons(), "Ignore")
    assert not tab.banner.isVisible()
    assert tab.suggestions.prefixes


def test_swapping_keeps_what_was_matched(qtbot, compared, wrapped):
    tab = compared(*wrapped)
    found(qtbot, tab)
    tab.suggestions.apply_prefix(tab.suggestions.prefixes[0])
    qtbot.waitUntil(lambda: not tab.comparison.differs())
    wait_for_comparison(qtbot, tab)
    tab.swap_sides()
    wait_for_comparison(qtbot, tab)
    assert tab.mapping.strip_a == ("_orig_mod.module.",)
    assert not tab.comparison.differs()


def test_renames_are_accepted_one_by_one(qtbot, compared, renamed):
    tab = compared(*renamed)
    page = found(qtbot, tab)
    assert len(tab.suggestions.renames) == 3
    assert "blocks.3.weight → layers.3.weight   (equal content)" in page.rename_texts()
    assert tab.banner.isVisible()
    press(qtbot, tab.banner.buttons(), "Review")
    assert page.isVisible()
    page.rename_list.setCurrentIndex(page.rename_list.model().index(0, 0))
    qtbot.mouseClick(page.accept_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: len(tab.mapping.renames) == 1)
    wait_for_comparison(qtbot, tab)
    page = found(qtbot, tab)
    assert len(tab.suggestions.renames) == 2
    assert any(text.startswith("✓") for text in page.rename_texts())
    pairs = {pair.key: pair for pair in tab.comparison.pairs}
    ((_, wanted),) = tab.mapping.renames
    assert pairs[wanted].status == Status.IDENTICAL
    assert "renamed" in pairs[wanted].notes
    # And taken back.
    last = page.rename_list.model().index(2, 0)
    page.rename_list.setCurrentIndex(last)
    assert page.refuse_button.text() == "Undo"
    qtbot.mouseClick(page.refuse_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not tab.mapping.renames)
    wait_for_comparison(qtbot, tab)


def test_renames_are_accepted_all_at_once(qtbot, compared, renamed):
    tab = compared(*renamed)
    page = found(qtbot, tab)
    qtbot.mouseClick(page.accept_all_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: len(tab.mapping.renames) == 3)
    wait_for_comparison(qtbot, tab)
    assert tab.comparison.summary() == {Status.IDENTICAL: 13, Status.CHANGED: 1}


def test_refused_renames_do_not_come_back(qtbot, compared, renamed):
    tab = compared(*renamed)
    page = found(qtbot, tab)
    qtbot.mouseClick(page.refuse_all_button, Qt.MouseButton.LeftButton)
    assert tab.suggestions.renames == []
    assert not tab.banner.isVisible()
    tab.swap_sides()
    tab.swap_sides()
    wait_for_comparison(qtbot, tab)
    found(qtbot, tab)
    assert tab.suggestions.renames == []


def test_rules_are_previewed_applied_and_kept(qtbot, window, compared, renamed):
    tab = compared(*renamed)
    page = found(qtbot, tab)
    page.rules.setPlainText(r"^blocks\.(\d+)=>layers.\1")
    qtbot.waitUntil(lambda: "2 keys of B change" in page.preview())
    assert "13 of all keys match, 11 do now" in page.preview()
    assert "blocks.3.weight → layers.3.weight" in page.preview()
    assert not tab.mapping
    qtbot.mouseClick(page.apply_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bool(tab.mapping.rules))
    wait_for_comparison(qtbot, tab)
    assert tab.comparison.summary()[Status.IDENTICAL] == 13
    assert window.settings.read(settings.KEY_RULES) == [r"^blocks\.(\d+)=>layers.\1"]
    window.actions_by_id["close_tab"].trigger()
    again = compared(*renamed)
    assert "blocks" in again.body.side.keys.rules.toPlainText()
    assert not again.mapping.rules


@pytest.mark.parametrize(
    ("text", "said"), [("no arrow", "REGEX=>REPLACEMENT"), ("(=>x", "(=>x"), (r"a=>\9", "a=>")]
)
def test_a_wrong_rule_is_told(qtbot, compared, renamed, text, said):
    tab = compared(*renamed)
    page = found(qtbot, tab)
    page.rules.setPlainText(text)
    qtbot.waitUntil(lambda: said in page.preview())
    assert not page.apply_button.isEnabled()
