"""The window by keyboard, its menus, and what it remembers."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtGui import QAction, Qt
from PySide6.QtWidgets import QApplication, QDialog, QLabel, QMenu, QWidget

from inspector_app.ui import settings, theme
from inspector_app.ui.actions import ACTIONS, key_sequences
from inspector_app.ui.checkpoint_tree import CheckpointTree
from inspector_app.ui.compare_tab import CompareTab
from inspector_app.ui.main_window import MainWindow
from inspector_app.ui.settings import Settings

WEIGHT = ("model_state_dict", "features.0.weight")
CONTROL = Qt.KeyboardModifier.ControlModifier


def copied() -> str:
    return QApplication.clipboard().text()


@pytest.fixture
def tab(opened, sample):
    return opened(sample)


def test_no_two_actions_share_a_key(qapp):
    keys = [key.toString() for spec in ACTIONS for key in key_sequences(spec.keys)]
    assert len(keys) == len(set(keys))


def test_each_action_has_its_slot_and_its_own_mnemonic(window):
    for spec in ACTIONS:
        owner = CheckpointTree if spec.tree else CompareTab if spec.comparison else window
        owner = getattr(window, spec.part) if spec.part else owner
        assert callable(getattr(owner, spec.tree or spec.comparison or spec.id))
    for menu in window.menuBar().findChildren(QMenu):
        texts = [action.text() for action in menu.actions() if action.text()]
        letters = [text[text.index("&") + 1].lower() for text in texts if "&" in text]
        assert len(letters) == len(set(letters)), texts


def test_only_what_can_be_done_is_enabled(qtbot, window, opened, sample):
    enabled = {name for name, action in window.actions_by_id.items() if action.isEnabled()}
    assert enabled & {"reload", "close_tab", "find", "copy_name", "copy_loading"} == set()
    assert {"open_dialog", "open_sample", "quit", "about"} <= enabled
    tab = opened(sample)
    actions = window.actions_by_id
    assert actions["copy_loading"].isEnabled()
    assert actions["copy_resume"].isEnabled()
    assert not actions["copy_python"].isEnabled()
    tab.tree.select_path(WEIGHT)
    qtbot.waitUntil(actions["copy_python"].isEnabled)
    tab.tree.select_path(("epoch",))
    qtbot.waitUntil(lambda: not actions["copy_python"].isEnabled())
    assert actions["copy_name"].isEnabled()


def test_copying(qtbot, window, tab):
    tab.tree.select_path(WEIGHT)
    qtbot.waitUntil(lambda: tab.node is not None)
    actions = window.actions_by_id
    actions["copy_name"].trigger()
    assert copied() == "model_state_dict/features.0.weight"
    actions["copy_path"].trigger()
    assert copied() == "['model_state_dict', 'features.0.weight']"
    actions["copy_rows"].trigger()
    assert "float32" in copied()
    actions["copy_python"].trigger()
    assert "features.0.weight" in copied()
    actions["copy_loading"].trigger()
    assert copied() == tab.side.summary.part("code")
    compile(copied(), "loading", "exec")
    actions["copy_resume"].trigger()
    assert "optimizer" in copied()
    compile(copied(), "resume", "exec")
    assert window.statusBar().currentMessage() == "Resume code copied"


def test_control_f_goes_to_the_search_and_escape_clears_it(qtbot, window, tab):
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    qtbot.keyClick(window, Qt.Key.Key_F, CONTROL)
    field = QApplication.focusWidget()
    qtbot.keyClicks(field, "bias")
    assert field is tab.tree.search_field
    assert field.text() == "bias"
    qtbot.keyClick(field, Qt.Key.Key_Escape)
    assert field.text() == ""


def test_the_tree_has_the_focus_once_a_file_is_open(qtbot, window, tab):
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    assert QApplication.focusWidget() is tab.tree.view
    qtbot.keyClick(tab.tree.view, Qt.Key.Key_Down)
    qtbot.keyClick(tab.tree.view, Qt.Key.Key_Down)
    qtbot.waitUntil(lambda: tab.node is not None)
    assert tab.side.details.facts()["Name"]


def test_tab_key_reaches_tree_summary_and_details(qtbot, window, tab):
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    seen: list[QWidget] = []
    for _ in range(30):
        focus = QApplication.focusWidget()
        if focus in seen:
            break
        seen.append(focus)
        qtbot.keyClick(focus, Qt.Key.Key_Tab)
    for pane in (tab.tree, tab.side.summary, tab.side.details):
        assert any(pane is widget or pane.isAncestorOf(widget) for widget in seen), pane


def test_tabs_by_keyboard(qtbot, window, opened, sample, samples):
    first = opened(sample)
    second = opened(samples / "digits_cnn_epoch_2.pth")
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    qtbot.keyClick(window, Qt.Key.Key_PageDown, CONTROL)
    assert window.tab() is first
    qtbot.keyClick(window, Qt.Key.Key_PageUp, CONTROL)
    assert window.tab() is second
    qtbot.keyClick(window, Qt.Key.Key_W, CONTROL)
    assert window.all_tabs() == [first]


def test_controls_have_names_for_screen_readers(window, tab):
    for control in window.findChildren(QWidget):
        if not control.isVisibleTo(window) or control.focusPolicy() == Qt.FocusPolicy.NoFocus:
            continue
        if control.inherits("QAbstractButton"):
            assert control.text() or control.accessibleName(), control
        elif control.inherits("QLineEdit"):
            assert control.accessibleName() or control.placeholderText(), control
    assert tab.tree.view.accessibleName()
    assert tab.side.summary.accessibleName()
    assert tab.side.details.accessibleName()


def test_labels_never_guess_the_format(window, tab):
    rich = [
        label.text()
        for label in window.findChildren(QLabel)
        if Qt.mightBeRichText(label.text()) and label.textFormat() != Qt.TextFormat.PlainText
    ]
    assert rich == []


def test_appearance_is_chosen_and_remembered(window, qapp, remembered):
    try:
        window.actions_by_id["appearance_dark"].trigger()
        assert theme.is_dark(qapp.palette())
        assert remembered.read(settings.APPEARANCE) == "dark"
        assert window.actions_by_id["appearance_dark"].isChecked()
        window.actions_by_id["appearance_light"].trigger()
        assert not theme.is_dark(qapp.palette())
    finally:
        theme.apply(theme.SYSTEM)


def test_the_columns_menu_shows_and_hides(window, tab):
    columns = next(m for m in window.findChildren(QMenu) if m.title() == "C&olumns")
    columns.aboutToShow.emit()
    device = next(action for action in columns.actions() if "evice" in action.text())
    assert not device.isChecked()
    state = tab.tree.column_state()
    device.trigger()
    assert tab.tree.column_state() != state


def test_what_is_remembered(qtbot, opened, window, remembered, sample, settings_file):
    tab = opened(sample)
    window.resize(780, 600)
    tab.splitter.setSizes([400, 370])
    sizes = tab.splitter.sizes()
    window.actions_by_id["fold_repeated"].trigger()
    window.close()
    again = MainWindow(Settings())
    qtbot.addWidget(again)
    assert (again.width(), again.height()) == (780, 600)
    assert not again.actions_by_id["fold_repeated"].isChecked()
    (row,) = again.start_page.recent_rows()
    assert row.path == str(sample)
    with qtbot.waitExposed(again):
        again.show()
    qtbot.mouseClick(row, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(again.tab().is_settled)
    assert again.tab().splitter.sizes() == sizes
    again.close()


def test_damaged_settings_do_not_keep_the_window_from_opening(qtbot, remembered, sample):
    for setting in (settings.GEOMETRY, settings.SPLITTER, settings.COLUMNS):
        remembered.write(setting, b"\x00\xff nonsense")
    remembered.write(settings.APPEARANCE, "no such thing")
    remembered.write(settings.RECENT_FILES, ["/gone/" + "x" * 5_000, "\u202eevil<b>.pth"])
    made = MainWindow(remembered)
    qtbot.addWidget(made)
    made.show()
    (tab,) = made.open_paths([str(sample)])
    qtbot.waitUntil(tab.is_settled)
    assert made.actions_by_id["appearance_system"].isChecked()
    made.close()


def test_recent_files_by_menu_and_keyboard(qtbot, window, opened, sample):
    opened(sample)
    window.actions_by_id["close_tab"].trigger()
    (row,) = window.start_page.recent_rows()
    row.setFocus()
    qtbot.keyClick(row, Qt.Key.Key_Return)
    tab = window.tab()
    qtbot.waitUntil(tab.is_settled)
    assert tab.path == str(sample)
    recent = next(m for m in window.findChildren(QMenu) if m.title() == "Open Recen&t")
    recent.aboutToShow.emit()
    assert recent.actions()[0].text() == str(sample)
    recent.actions()[-1].trigger()
    assert window.settings.recent_files() == []
    recent.aboutToShow.emit()
    assert [action.isEnabled() for action in recent.actions()] == [False]


@pytest.mark.parametrize("name", ["about", "shortcuts"])
def test_dialogs_do_not_hold_up_the_window(qtbot, window, name):
    window.actions_by_id[name].trigger()
    (dialog,) = window.findChildren(QDialog)
    assert dialog.isVisible()
    assert not dialog.isModal()
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: not window.findChildren(QDialog))


def test_the_least_size_fits_small_screens(window, tab):
    assert window.minimumSizeHint().width() <= 1024
    assert window.minimumSizeHint().height() <= 700
    window.resize(1024, 700)
    assert (window.width(), window.height()) == (1024, 700)
    assert tab.tree.width() > 400
    assert tab.side.width() > 300


def test_menu_roles_for_macos(window):
    assert window.actions_by_id["about"].menuRole() == QAction.MenuRole.AboutRole
    assert window.actions_by_id["quit"].menuRole() == QAction.MenuRole.QuitRole


def test_the_sample_is_where_the_menu_looks(window, qtbot):
    window.actions_by_id["open_sample"].trigger()
    tab = window.tab()
    assert Path(tab.path).is_file()
    qtbot.waitUntil(tab.is_settled)
