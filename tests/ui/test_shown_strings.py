"""What the window shows of files whose every string is hostile: tree, panes, titles, hints."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QAbstractItemModel, QAbstractListModel, QModelIndex, Qt
from PySide6.QtGui import QAction, QGuiApplication
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QTabBar,
    QWidget,
)

from tests.evil_texts import EVIL, UNSAFE, all_files, evil_file, evil_pickle

_MOST = 400


def texts_of(widget: QWidget) -> Iterator[tuple[str, str]]:
    """Every text that a widget shows or reads out, and what it is."""
    for name in ("windowTitle", "toolTip", "accessibleName", "accessibleDescription", "statusTip"):
        yield name, getattr(widget, name)()
    if isinstance(widget, (QLabel, QAbstractButton)):
        yield "text", widget.text()
    elif isinstance(widget, QLineEdit):
        # What is edited has to stay what it is: the name of a file to write, above all.
        yield "placeholder", widget.placeholderText()
    elif isinstance(widget, QPlainTextEdit):
        yield "plain text", widget.toPlainText()
    elif isinstance(widget, QComboBox):
        for place in range(min(widget.count(), _MOST)):
            yield "item", widget.itemText(place)
    elif isinstance(widget, QTabBar):
        for place in range(widget.count()):
            yield "tab", widget.tabText(place)
            yield "tab's tool tip", widget.tabToolTip(place)
    elif isinstance(widget, QAbstractItemView) and widget.model() is not None:
        yield from _cells(widget.model())
    if type(widget).__module__.startswith("inspector_app") and hasattr(widget, "text"):
        shown = widget.text
        if callable(shown) and not isinstance(widget, (QLabel, QAbstractButton, QLineEdit)):
            yield "own text", str(shown())


def _cells(model: QAbstractItemModel) -> Iterator[tuple[str, str]]:
    todo = [QModelIndex()]
    seen = 0
    while todo and seen < _MOST:
        parent = todo.pop()
        for row in range(min(model.rowCount(parent), _MOST)):
            columns = 1 if isinstance(model, QAbstractListModel) else model.columnCount(parent)
            for column in range(columns):
                index = model.index(row, column, parent)
                seen += 1
                for role in (
                    Qt.ItemDataRole.DisplayRole,
                    Qt.ItemDataRole.ToolTipRole,
                    Qt.ItemDataRole.AccessibleTextRole,
                    Qt.ItemDataRole.AccessibleDescriptionRole,
                ):
                    value = model.data(index, role)
                    if isinstance(value, str):
                        yield f"cell {role.name}", value
            first = model.index(row, 0, parent)
            if model.rowCount(first):
                todo.append(first)


def _takes_markup(widget: QWidget) -> bool:
    plain_format = Qt.TextFormat.PlainText
    return isinstance(widget, QLabel) and widget.textFormat() != plain_format


def check_all(*where: object) -> int:
    """No text in any window of the application has what is unsafe; returns how many were seen."""
    seen = evil = 0
    for widget in QApplication.allWidgets():
        for what, text in texts_of(widget):
            seen += bool(text)
            evil += "gnp" in text
            found = UNSAFE.search(text)
            assert found is None, (where, type(widget).__name__, what, text[:300])
            if "tool" in what.lower() or _takes_markup(widget):
                assert "<b>x" not in text, (where, type(widget).__name__, what, text[:300])
        for action in widget.findChildren(QAction):
            assert UNSAFE.search(action.text() + action.toolTip()) is None, (where, action.text())
    assert seen > 20
    return evil


def opened(qtbot: Any, window: Any, path: Path) -> Any:
    (tab,) = window.open_paths([str(path)])
    qtbot.waitUntil(lambda: tab.is_settled() and tab.checkpoint is not None, timeout=20_000)
    return tab


@pytest.mark.parametrize("number", range(4))
def test_every_page_of_a_file(qtbot, window, tmp_path, number: int) -> None:
    path = all_files(tmp_path)[number]
    tab = opened(qtbot, window, path)
    assert check_all("opened", path.suffix) or number == 3
    tab.tree.expand_all()
    nodes = {(node.kind, node.type_name): node for node in tab.checkpoint.root.walk()}
    for node in nodes.values():
        tab.tree.select_path(node.path)
        qtbot.waitUntil(lambda node=node: tab.node is node or node.parent is None)
        check_all("selected", path.suffix)
    for page in range(4):
        if tab.side.pages.bar.isTabVisible(page):
            tab.side.pages.bar.setCurrentIndex(page)
            qtbot.wait(60)
            check_all("page", page, path.suffix)
    safety = tab.side.pages.safety
    qtbot.waitUntil(safety.is_settled, timeout=20_000)
    safety.findings.globals.expandAll()
    check_all("findings", path.suffix)
    safety.show_opcodes()
    qtbot.waitUntil(safety.is_settled, timeout=20_000)
    view = safety.disassembly
    if view.rows is not None:
        for place in range(min(view.rows.count, 200)):
            row = view.rows.row(place)
            assert UNSAFE.search(row.argument + row.name) is None
            assert "\n" not in row.argument
        view.list.go_to(min(view.rows.count - 1, 20), tell=True)
        qtbot.waitUntil(safety.is_settled, timeout=20_000)
        check_all("opcodes", path.suffix)


def test_messages_about_a_file_that_goes(qtbot, window, tmp_path) -> None:
    path = evil_file(tmp_path)
    tab = opened(qtbot, window, path)
    window.say(EVIL)
    check_all("said")
    path.unlink()
    tab.read()
    qtbot.waitUntil(lambda: tab.error is not None, timeout=20_000)
    check_all("gone")
    window.open_paths([str(tmp_path / f"none{EVIL}.pth")])
    qtbot.waitUntil(lambda: window.tab().error is not None, timeout=20_000)
    check_all("never there")


def test_a_comparison_and_the_dialogs(qtbot, window, tmp_path) -> None:
    one, two = evil_file(tmp_path), evil_file(tmp_path, 1)
    compare = window.compare(str(one), str(two))
    qtbot.waitUntil(compare.is_settled, timeout=20_000)
    check_all("comparison")
    compare.tree.expand_all()
    check_all("comparison, unfolded")
    window.open_paths([str(one)])
    qtbot.waitUntil(lambda: window.tab().checkpoint is not None, timeout=20_000)
    qtbot.waitUntil(lambda: window.tab().is_settled(), timeout=20_000)
    for name in ("save_as", "save_clean", "transfer"):
        window.actions_by_id[name].trigger()
        qtbot.wait(300)
        check_all(name)
        for dialog in QApplication.topLevelWidgets():
            if dialog is not window and dialog.isVisible():
                dialog.close()


def test_what_is_copied_stays_on_one_line(qtbot, window, tmp_path) -> None:
    """A line break that is pasted into a terminal would run what stands before it."""
    tab = opened(qtbot, window, evil_file(tmp_path))
    tab.tree.expand_all()
    tensor = next(each for each in tab.checkpoint.tensors)
    tab.tree.select_path(tensor.path)
    qtbot.waitUntil(lambda: tab.node is tensor)
    for action in ("copy_name", "copy_path", "copy_rows", "copy_python"):
        window.actions_by_id[action].trigger()
        text = QGuiApplication.clipboard().text()
        assert "gnp" in text, action
        assert UNSAFE.search(text) is None, (action, text)
        if action != "copy_python":
            assert len(text.splitlines()) == 1 + (action == "copy_rows"), (action, text)


def test_the_title_of_a_broken_pickle(qtbot, window, tmp_path) -> None:
    tab = opened(qtbot, window, evil_pickle(tmp_path))
    assert "\\u202e" in window.windowTitle()
    assert tab.side is None or check_all("broken")
