"""Dropping files: what the targets offer, and where each leads."""

from __future__ import annotations

from pathlib import Path

import pytest
from comparison_waiting import wait_for_comparison
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDragMoveEvent, QDropEvent
from PySide6.QtWidgets import QApplication

from inspector_app.ui.checkpoint_tab import CheckpointTab
from inspector_app.ui.compare_tab import CompareTab

EPOCH_2 = "digits_cnn_epoch_2.pth"


class Drag:
    """Files that are dragged over the window, as the platform would."""

    def __init__(self, window, paths: list[Path]) -> None:
        self._window = window
        self._data = QMimeData()
        self._data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
        self._how = (Qt.DropAction.CopyAction, self._data, Qt.MouseButton.LeftButton)
        centre = window.rect().center()
        event = QDragEnterEvent(centre, *self._how, Qt.KeyboardModifier.NoModifier)
        QApplication.sendEvent(window, event)
        assert event.isAccepted()

    def move(self, x: float, y: float) -> None:
        where = self._place(x, y).toPoint()
        event = QDragMoveEvent(where, *self._how, Qt.KeyboardModifier.NoModifier)
        QApplication.sendEvent(self._window, event)
        assert event.isAccepted()

    def leave(self) -> None:
        QApplication.sendEvent(self._window, QDragLeaveEvent())

    def drop(self, x: float, y: float) -> None:
        event = QDropEvent(self._place(x, y), *self._how, Qt.KeyboardModifier.NoModifier)
        QApplication.sendEvent(self._window, event)
        assert event.isAccepted()

    def _place(self, x: float, y: float) -> QPointF:
        return QPointF(x * self._window.width(), y * self._window.height())


def titles(window) -> list[str]:
    return [title for title, _ in window.drops.targets()]


@pytest.fixture
def other(samples) -> Path:
    return samples / EPOCH_2


def test_two_files_are_compared(qtbot, window, sample, other):
    drag = Drag(window, [other, sample])
    assert titles(window) == ["Compare", "Open both"]
    assert window.drops.isVisible()
    drag.drop(0.5, 0.4)
    assert not window.drops.isVisible()
    (tab,) = window.all_tabs()
    assert isinstance(tab, CompareTab)
    assert (tab.path, tab.path_b) == (str(other), str(sample))
    wait_for_comparison(qtbot, tab)
    assert tab.comparison.differs()


def test_two_files_can_be_opened(qtbot, window, sample, other):
    Drag(window, [sample, other]).drop(0.5, 0.95)
    assert [tab.path for tab in window.all_tabs()] == [str(sample), str(other)]
    for tab in window.all_tabs():
        qtbot.waitUntil(tab.is_settled)


@pytest.mark.parametrize(("x", "kind"), [(0.2, CheckpointTab), (0.8, CompareTab)])
def test_one_file_on_an_open_one_has_two_targets(qtbot, window, opened, sample, other, x, kind):
    opened(sample)
    drag = Drag(window, [other])
    drag.move(x, 0.5)
    assert titles(window) == ["Open in a tab", "Compare with epoch_4.pth"]
    before = window.grab().toImage()
    drag.move(1 - x, 0.5)
    assert window.grab().toImage() != before
    drag.drop(x, 0.5)
    tab = window.tab()
    assert isinstance(tab, kind)
    if isinstance(tab, CompareTab):
        assert (tab.path, tab.path_b) == (str(sample), str(other))
        wait_for_comparison(qtbot, tab)
    else:
        qtbot.waitUntil(tab.is_settled)


def test_there_is_no_choice_where_there_is_nothing_to_choose(qtbot, window, opened, sample, other):
    assert titles(window) == []
    Drag(window, [sample]).leave()
    tab = opened(sample)
    drag = Drag(window, [sample])
    assert titles(window) == []
    assert not window.drops.isVisible()
    drag.drop(0.8, 0.5)
    assert window.all_tabs() == [tab]


def test_leaving_takes_the_targets_away(window, opened, sample, other):
    opened(sample)
    drag = Drag(window, [other])
    assert window.drops.isVisible()
    drag.leave()
    assert not window.drops.isVisible()
    assert len(window.all_tabs()) == 1


def test_the_menu_of_a_tab_compares(qtbot, window, opened, sample, other):
    opened(sample)
    second = opened(other)
    menu = window.tabs.menu_of(0)
    entries = {action.text(): action for action in menu.actions()}
    entries["Compare With digits_cnn_epoch_2.pth"].trigger()
    tab = window.tab()
    assert (tab.path, tab.path_b) == (str(sample), str(other))
    wait_for_comparison(qtbot, tab)
    menu.close()
    menu = window.tabs.menu_of(2)
    entries = {action.text(): action for action in menu.actions()}
    entries["Open digits_cnn_epoch_2.pth"].trigger()
    assert window.tab() is second
    entries["&Swap Sides"].trigger()
    wait_for_comparison(qtbot, tab)
    assert tab.path == str(other)
    menu.close()


def test_compare_with_asks_for_the_other_file(qtbot, window, opened, sample, other):
    from PySide6.QtWidgets import QFileDialog

    opened(sample)
    window.actions_by_id["compare_with"].trigger()
    dialog = window.findChild(QFileDialog)
    assert dialog.windowTitle() == "Compare epoch_4.pth With"
    dialog.filesSelected.emit([str(other)])
    dialog.close()
    wait_for_comparison(qtbot, window.tab())
    assert window.tab().path_b == str(other)


def test_compare_with_asks_for_both_without_a_file(qtbot, window, sample, other):
    from PySide6.QtWidgets import QFileDialog

    window.actions_by_id["compare_with"].trigger()
    dialog = window.findChild(QFileDialog)
    dialog.filesSelected.emit([str(sample), str(other)])
    dialog.close()
    wait_for_comparison(qtbot, window.tab())
    assert (window.tab().path, window.tab().path_b) == (str(sample), str(other))


def test_a_pair_gets_one_tab(qtbot, window, compared, sample, other):
    first = compared(sample, other)
    again = window.compare(str(sample), str(other))
    assert again is first
    turned = window.compare(str(other), str(sample))
    assert turned is not first
    wait_for_comparison(qtbot, turned)


def test_the_layout_is_remembered(qtbot, window, compared, sample, other):
    tab = compared(sample, other)
    tab.tree.view.setColumnHidden(8, False)
    window.actions_by_id["close_tab"].trigger()
    again = compared(sample, other)
    assert not again.tree.view.isColumnHidden(8)
