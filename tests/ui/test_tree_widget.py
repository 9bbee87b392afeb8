"""The tree on the screen: keys, clicks, search, copying, columns."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QAbstractItemModelTester
from tree_checkpoints import checkpoint, language_model, mapping, state_dict, tensor

from inspector_app.checkpoint.model import Checkpoint
from inspector_app.ui.checkpoint_tree import CheckpointTree
from inspector_app.ui.tree_columns import Column
from inspector_app.ui.tree_model import Role


@pytest.fixture
def tree(qtbot):
    widget = CheckpointTree()
    qtbot.addWidget(widget)
    widget.resize(700, 500)
    widget.show()
    load(qtbot, widget, language_model())
    widget.collapse_all()
    widget.view.setFocus()
    return widget


def load(qtbot, widget: CheckpointTree, source: Checkpoint) -> None:
    with qtbot.waitSignal(widget.loaded):
        widget.load(source)


def settle(qtbot, widget: CheckpointTree) -> None:
    qtbot.waitUntil(lambda: not widget._arranger.is_busy)


def lines(widget: CheckpointTree) -> list[str]:
    model = widget.view.model()
    return [
        "  " * model.index(line, 0).data(Role.DEPTH) + model.index(line, 0).data()
        for line in range(model.rowCount())
    ]


def line_of(widget: CheckpointTree, label: str) -> int:
    return [line.strip() for line in lines(widget)].index(label)


def press(qtbot, widget: CheckpointTree, *keys: Qt.Key) -> None:
    for key in keys:
        qtbot.keyClick(widget.view, key)
    settle(qtbot, widget)


def type_search(qtbot, widget: CheckpointTree, text: str) -> None:
    widget.search_field.clear()
    qtbot.keyClicks(widget.search_field, text)
    settle(qtbot, widget)


TOP = ["epoch", "model", "optimizer", "config"]


def test_a_small_file_opens_as_far_as_it_fits(qtbot):
    widget = CheckpointTree()
    qtbot.addWidget(widget)
    load(qtbot, widget, language_model())
    shown = lines(widget)
    assert shown[:3] == ["epoch", "model", "  wte.weight"]
    assert "  h.0 … h.11" in shown
    assert "      lr" in shown


def test_the_model_keeps_qts_rules_while_rows_come_and_go(qtbot, tree):
    tester = QAbstractItemModelTester(
        tree.view.model(), QAbstractItemModelTester.FailureReportingMode.Fatal
    )
    tree.view.go_to_line(1)
    press(qtbot, tree, Qt.Key.Key_Right, Qt.Key.Key_Down, Qt.Key.Key_Down, Qt.Key.Key_Right)
    press(qtbot, tree, Qt.Key.Key_Left, Qt.Key.Key_Left, Qt.Key.Key_Left)
    tree.expand_all()
    tree.set_fold_repeated(False)
    type_search(qtbot, tree, "weight")
    tree.collapse_all()
    settle(qtbot, tree)
    tester.deleteLater()


def test_right_and_left_expand_collapse_and_walk(qtbot, tree):
    press(qtbot, tree, Qt.Key.Key_Home, Qt.Key.Key_Down)
    press(qtbot, tree, Qt.Key.Key_Right)
    assert lines(tree) == [
        "epoch",
        "model",
        "  wte.weight",
        "  h.0 … h.11",
        "  lm_head.weight",
        "optimizer",
        "config",
    ]
    press(qtbot, tree, Qt.Key.Key_Right)
    assert tree.view.currentIndex().row() == 2
    press(qtbot, tree, Qt.Key.Key_Left)
    assert tree.view.currentIndex().row() == 1
    press(qtbot, tree, Qt.Key.Key_Left)
    assert lines(tree) == TOP


def test_enter_toggles_and_the_star_expands_all_below(qtbot, tree):
    press(qtbot, tree, Qt.Key.Key_Home, Qt.Key.Key_Down, Qt.Key.Key_Return)
    assert len(lines(tree)) == 7
    press(qtbot, tree, Qt.Key.Key_Return)
    assert lines(tree) == TOP
    qtbot.keyClick(tree.view, Qt.Key.Key_Asterisk)
    settle(qtbot, tree)
    # 12 layers, each with itself, ln_1, attn.qkv, its two, and mlp.up
    assert len(lines(tree)) == 7 + 12 * 6


def test_home_end_and_typing_ahead(qtbot, tree):
    press(qtbot, tree, Qt.Key.Key_End)
    assert tree.view.currentIndex().row() == 3
    qtbot.keyClicks(tree.view, "opt")
    assert tree.view.currentIndex().row() == 2
    press(qtbot, tree, Qt.Key.Key_Home)
    assert tree.view.currentIndex().row() == 0


def test_a_click_on_the_arrow_toggles_and_selects_nothing(qtbot, tree):
    selected = []
    tree.node_selected.connect(selected.append)
    rect = tree.view.visualRect(tree.view.model().index(1, 0))
    at = tree.view._delegate.arrow_rect(1, rect).center()
    qtbot.mouseClick(tree.view.viewport(), Qt.MouseButton.LeftButton, pos=at)
    settle(qtbot, tree)
    assert len(lines(tree)) == 7
    assert not selected
    qtbot.mouseClick(tree.view.viewport(), Qt.MouseButton.LeftButton, pos=at)
    assert lines(tree) == TOP


def test_a_double_click_on_the_name_toggles(qtbot, tree):
    rect = tree.view.visualRect(tree.view.model().index(1, 0))
    at = QPoint(rect.left() + 60, rect.center().y())
    qtbot.mouseClick(tree.view.viewport(), Qt.MouseButton.LeftButton, pos=at)
    qtbot.mouseDClick(tree.view.viewport(), Qt.MouseButton.LeftButton, pos=at)
    settle(qtbot, tree)
    assert len(lines(tree)) == 7


def test_selecting_says_which_node_and_none_for_groups(qtbot, tree):
    selected = []
    tree.node_selected.connect(selected.append)
    tree.select_path(("model", "lm_head.weight"))
    settle(qtbot, tree)
    assert selected[-1].key == "lm_head.weight"
    tree.view.go_to_line(line_of(tree, "h.0 … h.11"))
    assert selected[-1] is None


def test_select_path_opens_folds_and_leaves_a_search_that_hides_it(qtbot, tree):
    type_search(qtbot, tree, "exp_avg")
    tree.select_path(("model", "h.7.attn.qkv.bias"))
    settle(qtbot, tree)
    assert tree.search_field.text() == ""
    assert tree.view.currentIndex().data(Role.NODE).key == "h.7.attn.qkv.bias"
    tree.select_path(("no", "such"))
    assert tree.view.currentIndex().data(Role.NODE).key == "h.7.attn.qkv.bias"


def test_searching_lists_matches_and_counts_them(qtbot, tree):
    type_search(qtbot, tree, "h.11 qkv")
    assert lines(tree) == [
        "model",
        "  h",
        "    11",
        "      attn.qkv",
        "        weight",
        "        bias",
    ]
    assert tree._count.text() == "2 of 57"
    assert tree._count.isVisible()
    qtbot.keyClick(tree.search_field, Qt.Key.Key_Escape)
    settle(qtbot, tree)
    assert lines(tree) == TOP
    assert not tree._count.isVisible()


def test_down_goes_from_the_field_to_the_first_match(qtbot, tree):
    selected = []
    tree.node_selected.connect(selected.append)
    tree.focus_search()
    assert tree.search_field.hasFocus()
    type_search(qtbot, tree, "h.3.ln")
    qtbot.keyClick(tree.search_field, Qt.Key.Key_Down)
    assert tree.view.hasFocus()
    assert selected[-1].key == "h.3.ln_1.weight"


def test_coming_by_tab_one_sees_where_one_is(qtbot, tree):
    tree.search_field.setFocus()
    assert not tree.view.selected_lines()
    qtbot.keyClick(tree.search_field, Qt.Key.Key_Tab)
    assert tree.view.hasFocus()
    assert tree.view.selected_lines() == [0]


def test_a_wrong_search_says_why_and_keeps_what_was_found(qtbot, tree):
    type_search(qtbot, tree, "is:shared")
    before = lines(tree)
    assert before == ["model", "  wte.weight", "  lm_head.weight"]
    tree.search_field.setText("is:happy")
    assert tree._trouble.isVisible()
    assert tree._trouble.text().startswith("There is no property happy; known are")
    assert lines(tree) == before
    type_search(qtbot, tree, "wte")
    assert not tree._trouble.isVisible()


def test_the_selection_stays_on_its_row_through_searching_and_sorting(qtbot, tree):
    tree.select_path(("model", "lm_head.weight"))
    type_search(qtbot, tree, "weight")
    assert tree.view.currentIndex().data() == "lm_head.weight"
    tree.search_field.clear()
    tree.view.horizontalHeader().setSortIndicator(Column.SIZE, Qt.SortOrder.DescendingOrder)
    settle(qtbot, tree)
    assert tree.view.currentIndex().data() == "lm_head.weight"
    assert len(tree.view.selected_lines()) == 1


def test_the_third_click_on_a_heading_returns_to_the_files_order(qtbot, tree):
    header = tree.view.horizontalHeader()
    at = QPoint(header.sectionViewportPosition(Column.NAME) + 30, header.height() // 2)
    orders = []
    for _ in range(3):
        qtbot.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=at)
        settle(qtbot, tree)
        orders.append(lines(tree))
    assert orders == [sorted(TOP), sorted(TOP, reverse=True), TOP]


def test_folding_can_be_turned_off_and_on(qtbot, tree):
    tree.select_path(("model",))
    press(qtbot, tree, Qt.Key.Key_Right)
    tree.set_fold_repeated(False)
    settle(qtbot, tree)
    assert "  h" in lines(tree)
    tree.set_fold_repeated(True)
    settle(qtbot, tree)
    assert "  h.0 … h.11" in lines(tree)


def test_expanded_rows_are_restored_after_a_reload(qtbot, tree):
    tree.expand_to_level(3)
    settle(qtbot, tree)
    before, kept = lines(tree), tree.expanded_paths()
    load(qtbot, tree, language_model())
    tree.restore(kept)
    settle(qtbot, tree)
    assert lines(tree) == before


def test_copying(qtbot, tree, monkeypatch):
    said = []
    tree.message.connect(said.append)
    clipboard = QGuiApplication.clipboard()
    tree.select_path(("model", "h.0.ln_1.weight"))
    settle(qtbot, tree)
    qtbot.keyClick(tree.view, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert clipboard.text() == "model/h.0.ln_1.weight"
    tree.copy_paths()
    assert clipboard.text() == "['model', 'h.0.ln_1.weight']"
    tree.copy_rows()
    assert clipboard.text().splitlines() == [
        "Name\tShape / value\tdtype\tParameters\tSize",
        "model/h.0.ln_1.weight\t64\tbfloat16\t64\t128 B",
    ]
    assert said[0] == "Copied model/h.0.ln_1.weight"
    tree.view.selectAll()
    tree.copy_names()
    assert len(clipboard.text().splitlines()) == len(lines(tree))


def test_copying_the_line_that_loads_a_tensor(qtbot, tree):
    pytest.importorskip("inspector_app.analysis.loading_code")
    tree.select_path(("model", "lm_head.weight"))
    settle(qtbot, tree)
    tree.copy_tensor_line()
    text = QGuiApplication.clipboard().text()
    compile(text, "line", "exec")
    assert "lm_head.weight" in text


def test_text_from_the_file_is_copied_without_control_characters(qtbot, tree):
    root = mapping()
    tensor(root, "evil\x1b[31m\u202e\tname")
    load(qtbot, tree, checkpoint(root))
    tree.view.go_to_line(0)
    for copy in (tree.copy_names, tree.copy_paths, tree.copy_rows):
        copy()
        assert QGuiApplication.clipboard().text().replace("\n", "").replace("\t", "").isprintable()


def test_the_menu_offers_what_can_be_done(qtbot, tree):
    tree.view.go_to_line(1)
    menu = tree._menu.menu()
    actions = {action.text(): action for action in menu.actions() if action.text()}
    assert actions["Copy name"].isEnabled()
    assert not actions["Copy the Python line that loads this"].isEnabled()
    actions["Expand all below"].trigger()
    settle(qtbot, tree)
    assert len(lines(tree)) > 50
    actions["Collapse all"].trigger()
    settle(qtbot, tree)
    assert lines(tree) == TOP


def test_columns_can_be_shown_and_are_remembered(qtbot, tree):
    assert tree.view.isColumnHidden(Column.DEVICE)
    menu = tree._menu.columns_menu()
    {action.text(): action for action in menu.actions()}["Device"].trigger()
    tree.view.setColumnWidth(Column.SHAPE, 77)
    state = tree.column_state()
    other = CheckpointTree()
    qtbot.addWidget(other)
    other.restore_column_state(state)
    assert not other.view.isColumnHidden(Column.DEVICE)
    assert other.view.columnWidth(Column.SHAPE) == 77
    for damaged in (b"", b"\xff" * 40, state[:9]):
        other.restore_column_state(damaged)
    assert other.view.columnWidth(Column.SHAPE) == 77


def test_the_columns_fit_their_place_and_their_text(qtbot, tree):
    view = tree.view
    total = sum(view.columnWidth(column) for column in Column)
    assert total <= view.viewport().width()
    assert view.rowHeight(0) > view.fontMetrics().height()
    font = view.font()
    font.setPointSizeF(font.pointSizeF() * 2)
    view.setFont(font)
    assert view.rowHeight(0) > view.fontMetrics().height()


def test_rows_say_in_words_what_the_picture_shows(qtbot, tree):
    tree.expand_to_level(2)
    settle(qtbot, tree)
    model = tree.view.model()
    line = line_of(tree, "h.0 … h.11")
    spoken = model.index(line, 0).data(Qt.ItemDataRole.AccessibleTextRole)
    assert spoken == "h.0 … h.11, 12 equal layers, level 2, collapsed"
    assert tree.view.accessibleName()
    assert tree.search_field.accessibleName()


def test_hints_show_the_whole_name_without_markup(qtbot, tree):
    root = mapping()
    tensor(root, "<b>bold</b>\u202e")
    load(qtbot, tree, checkpoint(root))
    hint = tree.view.model().index(0, 0).data(Qt.ItemDataRole.ToolTipRole)
    assert "&lt;b&gt;" in hint
    assert "\u202e" not in hint


def test_large_trees_are_arranged_in_slices_and_the_newest_wish_wins(qtbot, tree):
    keys = [f"block.{i}.{n}{i % 7}" for i in range(6_000) for n in ("weight", "bias", "gain")]
    load(qtbot, tree, state_dict(keys))
    tree.set_fold_repeated(False)
    tree.expand_all()
    tree.collapse_all()
    tree.expand_all()
    settle(qtbot, tree)
    assert len(lines(tree)) == 1 + 6_000 * 4
    for text in ("w", "wei", "bias3"):
        tree.search_field.setText(text)
    settle(qtbot, tree)
    assert tree._count.text() == "857 of 18,000"
    assert len(lines(tree)) == 1 + 2 * 857
    tree.view.horizontalHeader().setSortIndicator(Column.NAME, Qt.SortOrder.DescendingOrder)
    tree.search_field.clear()
    settle(qtbot, tree)
    assert lines(tree)[1] == "  5999"


def test_loading_another_file_midway_shows_the_other(qtbot, tree):
    tree.load(state_dict([f"k.{i}.x" for i in range(30_000)]))
    load(qtbot, tree, state_dict(["only.one", "only.two"]))
    assert lines(tree) == ["only", "  one", "  two"]


def test_a_search_in_force_stays_in_force_on_reload(qtbot, tree):
    type_search(qtbot, tree, "wte")
    load(qtbot, tree, language_model())
    settle(qtbot, tree)
    assert lines(tree) == ["model", "  wte.weight"]


def test_it_can_go_while_it_works(qtbot):
    widget = CheckpointTree()
    widget.load(state_dict([f"k{i}.x" for i in range(30_000)]))
    widget.deleteLater()
    del widget
    qtbot.wait(50)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_kind_of_row_paints(qtbot, tree, scheme):
    from inspector_app.ui import theme

    theme.apply(scheme)
    try:
        tree.expand_all()
        type_search(qtbot, tree, "weight")
        image = tree.grab().toImage()
        colours = {
            image.pixelColor(x, y).rgb()
            for x in range(0, image.width(), 3)
            for y in range(60, image.height(), 3)
        }
        assert len(colours) > 10
    finally:
        theme.apply("system")


def test_what_is_asked_for_while_a_large_tree_is_built_waits_for_its_rows(qtbot, monkeypatch):
    # As if the tree had more rows than one event has time for.
    monkeypatch.setattr("inspector_app.ui.tree_steps.SLICE_SECONDS", 0)
    widget = CheckpointTree()
    qtbot.addWidget(widget)
    widget.show()
    source = state_dict([f"layers.{layer}.{name}" for layer in range(9) for name in "ab"])
    with qtbot.waitSignal(widget.loaded):
        widget.load(source)
        assert widget._arranger.is_busy
        widget.expand_all()
        widget.view.horizontalHeader().setSortIndicator(Column.SIZE, Qt.SortOrder.DescendingOrder)
        qtbot.keyClicks(widget.search_field, "7")
    settle(qtbot, widget)
    qtbot.waitUntil(lambda: widget._count.text() == "2 of 18")
    assert [line.strip() for line in lines(widget)][-2:] == ["a", "b"]


def test_a_tree_that_is_forgotten_at_once_is_not_called_loaded(qtbot):
    widget = CheckpointTree()
    qtbot.addWidget(widget)
    with qtbot.assertNotEmitted(widget.loaded, wait=30):
        widget.load(language_model())
        widget._arranger.forget()
