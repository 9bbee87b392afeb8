"""Menus of tabs, pasting, Help, and where files lie."""

from __future__ import annotations

import os
import shutil

import pytest
from PySide6.QtCore import QEvent, QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMenu

from inspector_app import __version__
from inspector_app.ui import (
    about_dialog,
    drag_out,
    file_dialogs,
    manual_dialog,
    shortcuts_dialog,
    state_folder,
)
from inspector_app.ui import show_in_folder as folders
from inspector_app.ui.actions import ACTIONS
from inspector_app.ui.pasting import pasted_address, pasted_paths

CONTROL = Qt.KeyboardModifier.ControlModifier


def copied() -> str:
    return QApplication.clipboard().text()


def said(window) -> str:
    return window.statusBar().currentMessage()


def text_of(text: str) -> QMimeData:
    data = QMimeData()
    data.setText(text)
    return data


@pytest.fixture
def three(opened, sample, samples, tmp_path):
    """Three tabs of files."""
    other = shutil.copy(samples / "digits_cnn_epoch_2.pth", tmp_path / "a & b.pth")
    return [opened(path) for path in (sample, samples / "digits_cnn_epoch_2.pth", other)]


def entry(menu: QMenu, text: str):
    (found,) = [each for each in menu.actions() if text in each.text().replace("&", "")]
    return found


@pytest.fixture
def menu_of(window):
    """The menu of a tab, gone at the end."""
    made: list[QMenu] = []

    def menu(place: int) -> QMenu:
        made.append(window.tabs.menu_of(place))
        return made[-1]

    yield menu
    for each in made:
        each.deleteLater()


# Tabs


def test_others_and_those_to_the_right_are_closed(window, three, menu_of):
    entry(menu_of(1), "Close to the Right").trigger()
    assert window.all_tabs() == three[:2]
    assert not entry(menu_of(1), "Close to the Right").isEnabled()
    entry(menu_of(1), "Close Others").trigger()
    assert window.all_tabs() == [three[1]]
    assert not entry(menu_of(0), "Close Others").isEnabled()


def test_the_middle_button_closes_what_it_was_pressed_on(qtbot, window, three):
    bar = window.tabs.tabBar()
    middle = Qt.MouseButton.MiddleButton
    QTest.mousePress(bar, middle, pos=bar.tabRect(0).center())
    QTest.mouseRelease(bar, middle, pos=bar.tabRect(1).center())
    assert window.all_tabs() == three
    qtbot.mouseClick(bar, middle, pos=bar.tabRect(0).center())
    assert window.all_tabs() == three[1:]


def test_closed_tabs_are_opened_again_the_latest_first(qtbot, window, three, compared, sample):
    compared(three[1].path, sample)
    paths = [tab.path for tab in three]
    window.actions_by_id["reopen_tab"].trigger()
    assert said(window) == "No tab was closed"
    for _ in range(2):
        window.close_tab()
    assert [tab.kind for tab in window.all_tabs()] == ["file", "file"]
    for _ in range(2):
        window.actions_by_id["reopen_tab"].trigger()
    assert [tab.kind for tab in window.all_tabs()] == ["file", "file", "file", "comparison"]
    assert window.all_tabs()[2].path == paths[2]
    comparison = window.tab()
    assert comparison.paths() == [paths[1], paths[0]]
    qtbot.waitUntil(lambda: all(tab.is_settled() for tab in window.all_tabs()), timeout=10_000)


def test_a_runs_menu_has_nothing_of_a_comparison(qtbot, window, menu_of, tmp_path, sample):
    folder = tmp_path / "run"
    folder.mkdir()
    shutil.copy(sample, folder)
    (tab,) = window.open_paths([str(folder)])
    qtbot.waitUntil(tab.is_settled, timeout=20_000)
    menu = menu_of(0)
    assert not [each for each in menu.actions() if "Swap" in each.text()]
    entry(menu, "Copy Path").trigger()
    assert copied() == str(folder)


def test_paths_of_tabs_are_copied(window, three, menu_of):
    entry(menu_of(2), "Copy Path").trigger()
    assert copied() == three[2].path
    window.tabs.setCurrentIndex(0)
    window.actions_by_id["copy_file_path"].trigger()
    assert copied() == three[0].path
    assert said(window) == f"Copied {three[0].path}"


def test_a_comparison_names_both_of_its_files(compared, three, sample, menu_of, window):
    tab = compared(three[2].path, sample)
    menu = menu_of(window.tabs.indexOf(tab))
    entry(menu, "Copy Paths").trigger()
    assert copied().split("\n") == [three[2].path, str(sample)]
    # An "&" of a name is shown as one, and underlines nothing.
    texts = [each.text() for each in menu.actions() if "Show" in each.text()]
    assert texts == [
        "Show a && b.pth in the File Manager",
        "Show epoch_4.pth in the File Manager",
    ]


def test_a_file_is_shown_in_the_file_manager(window, three, menu_of, monkeypatch):
    shown: list[str] = []
    monkeypatch.setattr(folders, "show_in_folder", shown.append)
    window.actions_by_id["show_file"].trigger()
    entry(menu_of(0), "Show in File Manager").trigger()
    assert shown == [three[2].path, three[0].path]


def test_a_folder_that_is_gone_is_said(window, opened, samples, tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "show_in_folder", pytest.fail)
    folder = tmp_path / "gone"
    folder.mkdir()
    opened(shutil.copy(samples / "digits_cnn_epoch_2.pth", folder))
    shutil.rmtree(folder)
    window.actions_by_id["show_file"].trigger()
    assert said(window) == f"{folder} is not there any more"


# Recent files


@pytest.fixture
def row(window, sample):
    """The row of a recent file on the start page."""
    window.settings.add_recent(str(sample))
    window.start_page.set_recent([str(sample)])
    (made,) = window.start_page.recent_rows()
    return made


def test_the_menu_of_a_recent_file(qtbot, window, row, sample, monkeypatch):
    shown: list[str] = []
    monkeypatch.setattr(folders, "show_in_folder", shown.append)
    menu = row.menu()
    entry(menu, "Copy Path").trigger()
    assert copied() == str(sample)
    entry(menu, "Show in File Manager").trigger()
    assert shown == [str(sample)]
    entry(menu, "Remove From the List").trigger()
    assert window.settings.recent_files() == []
    assert window.start_page.recent_rows() == []
    assert sample.exists()
    menu.deleteLater()


def test_a_recent_file_is_dragged_and_not_opened(qtbot, window, row, sample, monkeypatch):
    dragged: list[list[str]] = []
    monkeypatch.setattr(drag_out, "drag_files", lambda source, paths: dragged.append(paths))
    middle = row.rect().center()
    QTest.mousePress(row, Qt.MouseButton.LeftButton, pos=middle)
    far = QPointF(middle + QPoint(60, 0))
    move = QMouseEvent(
        QEvent.Type.MouseMove,
        far,
        row.mapToGlobal(far),
        Qt.MouseButton.NoButton,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    QApplication.sendEvent(row, move)
    QTest.mouseRelease(row, Qt.MouseButton.LeftButton, pos=middle + QPoint(60, 0))
    assert dragged == [[str(sample)]]
    assert window.all_tabs() == []


# Pasting


def test_what_is_pasted(tmp_path):
    plain, odd = tmp_path / "a.pth", tmp_path / "it's 100% ü.pth"
    for path in (plain, odd):
        path.touch()
    files = QMimeData()
    files.setUrls([QUrl.fromLocalFile(str(odd)), QUrl("https://example.org/x.pth")])
    assert pasted_paths(files) == [str(odd)]
    lines = f'"{plain}"\n  {odd}\n{QUrl.fromLocalFile(str(odd)).toString()}\n/not/there\n\n'
    assert pasted_paths(text_of(lines)) == [str(plain), str(odd)]
    for text in ("", "a.pth", "model.0.weight", "\0", "/a\0b", "'", "file://host/x", "~nobody/x"):
        assert pasted_paths(text_of(text)) == []
    assert pasted_paths(QMimeData()) == []


def test_a_path_in_the_home_folder_is_pasted(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "x.pth").touch()
    assert pasted_paths(text_of("~/x.pth")) == [str(tmp_path / "x.pth")]


def test_an_address_is_no_path():
    assert pasted_address(text_of(" https://example.org/a.pth\n")) == "https://example.org/a.pth"
    assert pasted_address(text_of("see https://example.org")) == ""
    assert pasted_address(text_of("https://example.org and more")) == ""


def test_pasting_opens_files_by_key(qtbot, window, sample, samples):
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    other = samples / "digits_cnn_epoch_2.pth"
    QApplication.clipboard().setText(f"{sample}\n{other}")
    qtbot.keyClick(window, Qt.Key.Key_V, CONTROL)
    assert [tab.path for tab in window.all_tabs()] == [str(sample), str(other)]
    qtbot.waitUntil(lambda: all(tab.is_settled() for tab in window.all_tabs()), timeout=10_000)
    # In a field the key means the text.
    field = window.tab().tree.search_field
    field.setFocus()
    QApplication.clipboard().setText("bias")
    qtbot.keyClick(field, Qt.Key.Key_V, CONTROL)
    assert field.text() == "bias"


def test_nothing_to_paste_is_said(window):
    QApplication.clipboard().setText("no path")
    window.actions_by_id["paste"].trigger()
    assert "no file" in said(window)
    QApplication.clipboard().setText("https://example.org/model.pth")
    window.actions_by_id["paste"].trigger()
    assert said(window).startswith("Download the file first")


# Help


def test_about_has_a_report_to_copy(qtbot, window):
    window.actions_by_id["about"].trigger()
    (dialog,) = window.findChildren(about_dialog.AboutDialog)
    dialog.copy_button.click()
    report = copied()
    for name in (f"Checkpoint Inspector: {__version__}", "Python: ", "Qt: ", "Screen: ", "torch: "):
        assert name in report
    home = os.path.expanduser("~")
    assert len(home) < 2 or f"{home}/" not in report
    assert dialog.copied.text() == "Copied"
    dialog.close()


def test_reporting_a_problem_sends_nothing(window):
    window.actions_by_id["report_problem"].trigger()
    (dialog,) = window.findChildren(about_dialog.ProblemDialog)
    dialog.copy_button.click()
    assert copied().startswith("Checkpoint Inspector: ")
    dialog.close()


def test_logs_are_shown_where_they_lie(window, tmp_path, monkeypatch):
    shown: list[str] = []
    monkeypatch.setattr(folders, "show_in_folder", shown.append)
    monkeypatch.setattr(state_folder, "folder", lambda: str(tmp_path / "state"))
    window.actions_by_id["show_logs"].trigger()
    assert said(window).startswith("There are no logs yet: ")
    (tmp_path / "state").mkdir()
    window.actions_by_id["show_logs"].trigger()
    assert os.path.dirname(shown[0]) == str(tmp_path / "state")


def test_the_shortcuts_are_searched_and_copied(qtbot, window):
    window.actions_by_id["shortcuts"].trigger()
    (dialog,) = window.findChildren(shortcuts_dialog.ShortcutsDialog)
    every = dialog.shown()
    keyed = [spec for spec in ACTIONS if spec.keys]
    assert len(every) > len(keyed)
    for spec in keyed:
        assert any(what == shortcuts_dialog.without_mnemonic(spec.text) for what, _ in every)
    assert all(keys for _, keys in every)
    dialog.search.setText("next diff")
    assert dialog.shown() == [("Next Difference", "Alt+Down or F8")]
    dialog.search.setText("ctrl+shift+o")
    assert [what for what, _ in dialog.shown()] == ["Open Run Folder"]
    dialog.list.setCurrentItem(dialog.list.topLevelItem(0).child(1))
    qtbot.waitUntil(dialog.isActiveWindow)
    dialog.list.setFocus()
    QApplication.clipboard().clear()
    qtbot.keyClick(dialog.list, Qt.Key.Key_C, CONTROL)
    qtbot.waitUntil(lambda: copied() != "")  # a slow machine does it in slices
    assert copied() == "Open Run Folder\tCtrl+Shift+O"
    dialog.search.setText("no such thing")
    assert dialog.shown() == []
    dialog.close()


def test_the_documentation_is_there_without_a_network(qtbot, window):
    window.actions_by_id["documentation"].trigger()
    (dialog,) = window.findChildren(manual_dialog.ManualDialog)
    text = dialog.text.toPlainText()
    assert text.startswith("Checkpoint Inspector")
    assert "<picture>" not in text
    assert "![" not in text
    dialog.search.setFocus()
    qtbot.keyClicks(dialog.search, "calibration")
    assert dialog.text.textCursor().selectedText().lower() == "calibration"
    first = dialog.text.textCursor().position()
    dialog.find_next()
    assert dialog.text.textCursor().position() != first
    dialog.close()


def test_file_dialogs_know_every_ending():
    assert "*.safetensors" in file_dialogs.ENDINGS
