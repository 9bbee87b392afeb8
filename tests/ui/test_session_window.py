"""Sessions of real windows: kept while they are open, restored as they were."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from comparison_waiting import wait_for_comparison
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from inspector_app.analysis.key_mapping import KeyMapping, Rule
from inspector_app.ui import (
    file_lock,
    session_files,
    session_menu,
    session_restored,
    session_restoring,
    session_window,
    settings,
    state_folder,
)
from inspector_app.ui.error_dialog import ErrorDialog
from inspector_app.ui.save_dialog import SaveDialog
from inspector_app.ui.session import (
    COMPARISON,
    FILE,
    RUN,
    DialogState,
    Session,
    TabState,
    read_session,
    session_bytes,
)
from inspector_app.ui.session_dialogs import DialogStates
from inspector_app.ui.session_files import DeadWindow, WindowRecord, last_session
from inspector_app.ui.session_keeping import SessionKeeping, session_of
from inspector_app.ui.session_tabs import read_mapping, said_of
from inspector_app.ui.window_notice import WindowNotice

ROOT = Path(__file__).resolve().parent.parent.parent
WEIGHT = ["model_state_dict", "features.4.weight"]


@pytest.fixture
def keeping(window, state):
    record = WindowRecord()
    made = SessionKeeping(window, record)
    yield made
    window.hide()
    made.end()
    QApplication.instance().aboutToQuit.disconnect(made.end)


def kept(state: Path) -> Session:
    (file,) = (state / "windows").glob("*.json")
    return read_session(file.read_bytes())


def dead(session: Session, crash: str = "", broken: str = "") -> DeadWindow:
    base = os.path.join(state_folder.make("windows"), "1-0123456789abcdef")
    if session:
        state_folder.write(f"{base}.json", session_bytes(session))
    return DeadWindow(session, crash, broken, base, file_lock.take(f"{base}.lock"))


def notice(window) -> WindowNotice | None:
    found = window.findChild(WindowNotice)
    return found if found is not None and not found.isHidden() else None


def button(window, text: str):
    (found,) = [each for each in notice(window).buttons() if each.text().replace("&", "") == text]
    return found


def settled(qtbot, window) -> None:
    qtbot.waitUntil(lambda: all(tab.is_settled() for tab in window.all_tabs()), timeout=10_000)


def test_what_is_open_is_on_the_disk_soon(qtbot, window, opened, keeping, state, sample):
    tab = opened(sample)
    tab.tree.select_path(WEIGHT)
    qtbot.waitUntil(lambda: tab.node is not None)
    keeping.look()
    qtbot.waitUntil(keeping.is_kept)
    keeping.look()
    qtbot.waitUntil(lambda: "selected" in kept(state).tabs[0].details)
    assert kept(state).tabs == (TabState(FILE, (str(sample),), {"selected": WEIGHT}),)
    window.close_tab()
    qtbot.waitUntil(lambda: not kept(state).tabs)


def test_a_full_disk_costs_the_session_only(
    qtbot, window, opened, keeping, state, sample, monkeypatch
):
    qtbot.waitUntil(keeping.is_kept)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as context:
        context.setattr(os, "fsync", full)
        opened(sample)
        keeping.look()
        qtbot.waitUntil(lambda: not keeping._work.running)
        assert kept(state) == Session()
    keeping.look()
    qtbot.waitUntil(lambda: bool(kept(state).tabs))


def test_a_closed_window_leaves_the_last_session_alone(qtbot, window, state, sample):
    keeping = SessionKeeping(window, WindowRecord())
    window.open_paths([str(sample)])
    settled(qtbot, window)
    window.hide()
    keeping.end()
    window.show()
    QApplication.instance().aboutToQuit.disconnect(keeping.end)
    assert [path.name for path in (state / "windows").iterdir()] == []
    assert last_session()[0].tabs[0].paths == (str(sample),)
    window.close_tab()
    session_restoring.reopen_last(window)
    assert [tab.path for tab in window.all_tabs()] == [str(sample)]


def test_tabs_come_back_as_they_were(qtbot, window, sample, samples, state):
    earlier = samples / "digits_cnn_epoch_2.pth"
    (tab,) = window.open_paths([str(sample)])
    settled(qtbot, window)
    tab.tree.search_for("weight")
    tab.tree.select_path(WEIGHT)
    qtbot.waitUntil(lambda: tab.node is not None)
    tab.side.pages.bar.setCurrentIndex(1)
    tab.side.tensor.tabs.setCurrentIndex(1)
    mapping = KeyMapping(strip_b=("module.",), rules=(Rule("a", "b"),), renames=(("x", "y"),))
    compared = window.compare(str(sample), str(earlier))
    wait_for_comparison(qtbot, compared)
    compared.set_mapping(mapping)
    wait_for_comparison(qtbot, compared)
    window.tabs.open_run(str(samples))
    window.tabs.setCurrentIndex(1)
    before = session_of(window, DialogStates(window))
    assert [each.kind for each in before.tabs] == [FILE, COMPARISON, RUN]
    while window.all_tabs():
        window.close_tab()
    session_restoring.restore(window, before)
    settled(qtbot, window)
    qtbot.waitUntil(lambda: session_of(window, DialogStates(window)) == before, timeout=10_000)
    assert window.tabs.currentIndex() == 1
    assert window.all_tabs()[1].mapping == mapping
    wait_for_comparison(qtbot, window.all_tabs()[1])
    settled(qtbot, window)


def test_a_file_that_is_gone_says_so_in_its_tab(qtbot, window, state, tmp_path, sample):
    session = Session(
        (
            TabState(FILE, (str(tmp_path / "gone.pth"),), {"selected": WEIGHT, "page": 1}),
            TabState(FILE, (str(sample),), {"selected": ["none"], "page": 99, "search": 3}),
        ),
        1,
    )
    session_restoring.restore(window, session)
    settled(qtbot, window)
    gone, there = window.all_tabs()
    assert gone.error is not None
    assert there.error is None
    assert window.tab() is there
    qtbot.wait(100)


def test_what_a_dead_window_had_is_offered_and_restored(qtbot, window, state, sample):
    # Held by nobody but the window, as in a start.
    session = Session((TabState(FILE, (str(sample),)),))
    session_restoring.LeftBehind(window, [dead(session)]).settle(False)
    gc.collect()
    assert "epoch_4.pth" in notice(window).cause()
    assert window.all_tabs() == []
    # On the start page it has the focus, and it has a letter of its own.
    assert window.focusWidget() is button(window, "Restore")
    qtbot.wait(50)
    QTest.keyClick(window, Qt.Key.Key_R, Qt.KeyboardModifier.AltModifier)
    qtbot.waitUntil(lambda: bool(window.all_tabs()))
    settled(qtbot, window)
    assert [tab.path for tab in window.all_tabs()] == [str(sample)]
    assert notice(window) is None
    # Still shown as it was: the notice stands above it.
    assert window.tab().isVisible()


def test_what_is_declined_is_the_last_session(window, state, sample):
    session = Session((TabState(FILE, (str(sample),)),))
    left = session_restoring.LeftBehind(window, [dead(session)])
    left.settle(False)
    button(window, "Not Now").click()
    assert notice(window) is None
    assert last_session()[0] == session
    assert window.all_tabs() == []


def test_what_is_open_already_is_not_offered(qtbot, window, opened, state, sample):
    opened(sample)
    left = session_restoring.LeftBehind(window, [dead(Session((TabState(FILE, (str(sample),)),)))])
    left.settle(False)
    assert notice(window) is None


def test_a_crash_is_mentioned_with_its_report(qtbot, window, state):
    left = session_restoring.LeftBehind(window, [dead(Session(), "Fatal Python error: Aborted")])
    left.settle(False)
    assert "crashed" in notice(window).title()
    button(window, "Show Report").click()
    dialog = window.findChild(ErrorDialog)
    assert "Fatal Python error: Aborted" in dialog.report.toPlainText()
    dialog.close()
    button(window, "Close").click()
    assert notice(window) is None


def test_what_it_crashed_of_is_not_opened_at_every_start(qtbot, window, state, sample):
    session = Session((TabState(FILE, (str(sample),)),))
    session_restoring.LeftBehind(window, [dead(session, "Fatal Python error")]).settle(True)
    assert window.all_tabs() == []
    assert button(window, "Restore").isEnabled()
    notice(window).hide()
    session_restoring.LeftBehind(window, [dead(session)]).settle(True)
    assert [tab.path for tab in window.all_tabs()] == [str(sample)]
    settled(qtbot, window)


def test_a_damaged_session_is_said_once(window, state):
    left = session_restoring.LeftBehind(window, [dead(Session(), broken="/state/x.json.broken")])
    left.settle(False)
    assert "/state/x.json.broken" in notice(window).cause()


def test_at_every_start_what_was_open_is_opened(qtbot, window, state, sample):
    session_files.keep_last(Session((TabState(FILE, (str(sample),)),)))
    session_restoring.settle(window, asked=False)
    assert window.all_tabs() == []
    window.settings.write(settings.REOPEN_AT_START, True)
    session_restoring.settle(window, asked=True)
    assert window.all_tabs() == []
    session_restoring.settle(window, asked=False)
    assert [tab.path for tab in window.all_tabs()] == [str(sample)]
    settled(qtbot, window)


def test_the_menu_reopens_and_remembers(qtbot, window, state, sample):
    session_menu.attach(window)
    by_name = {action.objectName(): action for action in window.menus["file"].actions()}
    by_name["reopen_session"].trigger()
    assert "no earlier session" in window.statusBar().currentMessage()
    session_files.keep_last(Session((TabState(FILE, (str(sample),)),)))
    by_name["reopen_session"].trigger()
    assert len(window.all_tabs()) == 1
    settled(qtbot, window)
    by_name["reopen_at_start"].trigger()
    assert window.settings.read(settings.REOPEN_AT_START) is True


def test_mnemonics_of_the_file_menu_are_its_own(window, state):
    before = set(window.menus["file"].actions())
    session_menu.attach(window)
    texts = {action: action.text() for action in window.menus["file"].actions()}
    letters = {
        each: text[text.index("&") + 1].lower() for each, text in texts.items() if "&" in text
    }
    mine = [letter for action, letter in letters.items() if action not in before]
    assert len(mine) == 2
    assert not set(mine) & {letter for action, letter in letters.items() if action in before}


def test_a_window_without_a_place_to_write_works(qtbot, window, state, monkeypatch):
    state.write_text("a file in the place of the folder")
    assert session_window.begin(window, asked=False) is None
    assert "will not survive a crash" in window.statusBar().currentMessage()


def test_damaged_settings_are_set_aside_and_said(qtbot, window, state, monkeypatch):
    monkeypatch.setattr(window.settings, "broken", "/home/x.ini.broken")
    monkeypatch.setattr(session_window, "_write_crashes", lambda record: None)
    made = session_window.begin(window, asked=False)
    assert "/home/x.ini.broken" in notice(window).cause()
    window.hide()
    made.end()
    QApplication.instance().aboutToQuit.disconnect(made.end)


@pytest.mark.parametrize(
    "said",
    [None, 3, [], {"rules": ["no arrow"]}, {"rules": 1, "renames": [1, ["a"], ["a", "b", "c"]]}],
)
def test_what_is_no_mapping_maps_nothing(said):
    assert not read_mapping(said)


def test_a_mapping_is_read_as_it_was_said():
    mapping = KeyMapping(("a.",), ("b.", "c."), (Rule(r"^x(\d)", r"y\1"),), (("k", "l"),))
    assert read_mapping(said_of(mapping)) == mapping


def test_dialogs_of_unknown_kinds_are_passed_over(window, state, sample):
    session_restoring.restore(window, Session((), 0, (DialogState("shell", (str(sample),)),)))
    assert window.all_tabs() == []


# --- what was restored may be what the window died of

RESTORING = """
import os, signal, sys
from PySide6.QtCore import QSettings
from PySide6.QtWidgets import QApplication
from inspector_app.ui import session_window, settings, state_folder
from inspector_app.ui.main_window import MainWindow
state_folder.folder = lambda: sys.argv[1]
QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, sys.argv[2])
app = QApplication([])
window = MainWindow(settings.Settings())
window.settings.write(settings.REOPEN_AT_START, True)
window.show()
session_window.begin(window, asked=False)
print(len(window.all_tabs()), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def killed_right_after(state: Path, tmp_path: Path) -> int:
    """How many tabs a window restored at its start, before it was killed."""
    command = [sys.executable, "-c", RESTORING, str(state), str(tmp_path / "other settings")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    return int(done.stdout)


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_what_kills_each_window_that_restores_it_is_asked_for(
    qtbot, window, state, tmp_path, sample
):
    window.settings.write(settings.REOPEN_AT_START, True)
    chosen = DialogState("save", (str(sample),), {"fields": {"SaveForm/QLineEdit/0": "mine"}})
    session = Session((TabState(FILE, (str(sample),), {"selected": WEIGHT}),), 0, (chosen,))
    session_files.keep_last(session)
    assert killed_right_after(state, tmp_path) == 1
    left = session_restoring.settle(window, asked=False)
    assert window.all_tabs() == []
    assert button(window, "Restore").isEnabled()
    # Nothing is lost of what could not be filled in before the end.
    assert (left.session.tabs, left.session.dialogs) == (session.tabs, session.dialogs)
    button(window, "Not Now").click()
    session_restoring.settle(window, asked=False)
    assert window.all_tabs() == []
    assert "Reopen the Last Session" in window.statusBar().currentMessage()
    # Nor is it opened by the next start.
    assert killed_right_after(state, tmp_path) == 0
    session_restoring.reopen_last(window)
    settled(qtbot, window)
    assert [tab.path for tab in window.all_tabs()] == [str(sample)]
    for dialog in window.findChildren(SaveDialog):
        dialog.close()


def test_a_crash_that_was_shown_is_not_opened_by_the_next_start_either(window, state, sample):
    window.settings.write(settings.REOPEN_AT_START, True)
    left = dead(Session((TabState(FILE, (str(sample),)),)), "Fatal Python error: Aborted")
    Path(f"{left.base}.crash").write_text(left.crash)
    session_restoring.LeftBehind(window, [left]).settle(True)
    # Nobody answers, and the window is closed.
    notice(window).hide()
    os.close(left.lock)
    again = session_restoring.settle(window, asked=False)
    assert window.all_tabs() == []
    assert button(window, "Restore").isEnabled()
    again.decline()
    assert last_session()[0].unproven


def test_what_was_restored_is_on_trial_until_it_was_read(
    qtbot, window, keeping, state, sample, monkeypatch
):
    qtbot.waitUntil(keeping.is_kept)
    monkeypatch.setattr(session_restored, "TRIAL_MS", 50)
    session = Session((TabState(FILE, (str(sample),)),))
    left = session_restoring.LeftBehind(window, [dead(session)])
    left.restore()
    assert kept(state).unproven
    assert kept(state).tabs == session.tabs
    settled(qtbot, window)
    qtbot.waitUntil(lambda: not kept(state).unproven, timeout=10_000)


def test_what_cannot_be_kept_is_not_forgotten(qtbot, window, keeping, state, sample, monkeypatch):
    qtbot.waitUntil(keeping.is_kept)
    session = Session((TabState(FILE, (str(sample),)),))
    for answer in ("restore", "decline"):
        left = session_restoring.LeftBehind(window, [dead(session)])
        lock = left._dead[0].lock

        def full(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as context:
            context.setattr(os, "fsync", full)
            getattr(left, answer)()
        os.close(lock)
        (again,) = session_files.dead_windows()
        assert again.session == session
        os.close(again.lock)
    again = session_files.dead_windows()[0]
    again.forget()
    settled(qtbot, window)
    keeping.look()


def test_a_selection_is_kept_until_its_file_can_be_read(qtbot, window, state, tmp_path, sample):
    path = tmp_path / "later.pth"
    said = TabState(FILE, (str(path),), {"selected": WEIGHT, "search": "weight"})
    session_restoring.restore(window, Session((said,)))
    settled(qtbot, window)
    qtbot.wait(100)
    assert session_of(window, DialogStates(window)).tabs == (said,)
    shutil.copy(sample, path)
    (tab,) = window.all_tabs()
    tab.read()
    qtbot.waitUntil(lambda: tab.node is not None and tab.is_settled(), timeout=10_000)
    assert list(tab.node.path) == WEIGHT
    assert tab.tree.search_field.text() == "weight"


def test_a_wizard_that_nobody_has_seen_is_in_the_last_session(qtbot, window, state, tmp_path):
    keeping = SessionKeeping(window, WindowRecord())
    chosen = DialogState("export", (str(tmp_path / "gone.pth"),), {"fields": {"x": "y"}})
    session_restoring.restore(window, Session((), 0, (chosen,)))
    settled(qtbot, window)
    window.hide()
    keeping.end()
    window.show()
    QApplication.instance().aboutToQuit.disconnect(keeping.end)
    assert last_session()[0].dialogs == (chosen,)
