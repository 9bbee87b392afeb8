"""Faults of our own: caught, kept, shown once, and nothing of a file in them."""

from __future__ import annotations

import os
import sys
import threading

import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication

from inspector_app.ui import error_report, state_folder
from inspector_app.ui.error_catching import MOST_SHOWN, ErrorCatching
from inspector_app.ui.error_dialog import ErrorDialog, show_fault, show_report


@pytest.fixture
def printed(monkeypatch):
    """What the hooks that were there before are told: pytest's would fail the test."""
    found = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: found.append(error))
    monkeypatch.setattr(threading, "excepthook", lambda said: found.append(said.exc_value))
    monkeypatch.setattr(sys, "unraisablehook", lambda said: found.append(said.exc_value))
    return found


@pytest.fixture
def catching(printed, window, state):
    made = ErrorCatching(window)
    yield made
    made.restore()
    for dialog in dialogs():
        dialog.close()


def dialogs() -> list[ErrorDialog]:
    return [
        each
        for each in QApplication.topLevelWidgets()
        if isinstance(each, ErrorDialog) and each.isVisible()
    ]


def fail(text: str = "the fault") -> None:
    try:
        raise ValueError(text)
    except ValueError:
        # As PySide does with an error that leaves a slot.
        sys.excepthook(*sys.exc_info())


def test_an_error_of_a_slot_is_shown_and_the_window_lives(qtbot, window, catching, printed, sample):
    QTimer.singleShot(0, window, fail)
    qtbot.waitUntil(lambda: bool(dialogs()))
    (dialog,) = dialogs()
    text = dialog.report.toPlainText()
    assert "ValueError: the fault" in text
    assert "test_error_reports.py" in text
    assert "PySide6" in text
    assert isinstance(printed[0], ValueError)
    assert not dialog.isModal()
    with open(dialog.path, encoding="utf-8") as kept:
        assert kept.read() == dialog.shown[0]
    (tab,) = window.open_paths([str(sample)])
    qtbot.waitUntil(tab.is_settled)
    dialog.copy_button.click()
    assert QGuiApplication.clipboard().text() == dialog.shown[0]


def test_the_same_fault_is_shown_once(qtbot, catching, state):
    for _ in range(50):
        fail()
    (dialog,) = dialogs()
    assert len(dialog.shown) == 1
    assert "50" in dialog.times.text()
    assert len(list((state / "reports").iterdir())) == 1
    dialog.close()
    qtbot.waitUntil(lambda: not dialogs())
    fail()
    assert dialogs() == []


def test_many_different_faults_share_a_dialog(catching, state):
    for number in range(MOST_SHOWN + 10):
        # A place of its own for each.
        exec(compile("\n" * number + "fail_here()", f"file{number}", "exec"), {"fail_here": fail})
        try:
            exec(compile("\n" * number + "1 / 0", "made", "exec"), {})
        except ZeroDivisionError:
            sys.excepthook(*sys.exc_info())
    (dialog,) = dialogs()
    assert len(dialog.shown) == MOST_SHOWN
    assert len(list((state / "reports").iterdir())) == error_report.MOST_KEPT


def test_an_error_of_a_thread_is_shown_by_the_window(qtbot, catching, printed):
    def work() -> None:
        raise KeyError("in a thread")

    thread = threading.Thread(target=work, name="background")
    thread.start()
    thread.join()
    qtbot.waitUntil(lambda: bool(dialogs()))
    assert "In the thread background." in dialogs()[0].shown[0]
    assert isinstance(printed[0], KeyError)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_error_that_nobody_can_catch_is_shown(catching, printed):
    class Ending:
        def __del__(self) -> None:
            raise RuntimeError("at the end")

    made = Ending()
    del made
    assert "RuntimeError: at the end" in dialogs()[0].shown[0]


def test_an_interrupt_is_no_fault(catching, printed):
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        sys.excepthook(*sys.exc_info())
    assert dialogs() == []
    assert len(printed) == 1


def test_a_fault_of_showing_a_fault_is_only_printed(catching, printed, monkeypatch):
    def broken(*_arguments: object) -> None:
        raise RuntimeError("the dialog fails")

    monkeypatch.setattr("inspector_app.ui.error_dialog.show_fault", broken)
    fail()
    assert [type(error) for error in printed] == [ValueError, RuntimeError]
    monkeypatch.setattr(error_report, "fault_text", broken)
    fail("another")
    assert dialogs() == []


def test_without_a_disk_it_is_shown_all_the_same(window, state, monkeypatch):
    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(state_folder, "write", full)
    dialog = show_fault(window, "x", "the report", 1)
    assert "could not be kept" in dialog.kept.text()
    assert dialog.folder_button.isHidden()
    dialog.close()


def test_the_hooks_are_given_back(printed, window):
    before = sys.excepthook, threading.excepthook, sys.unraisablehook
    made = ErrorCatching(window)
    assert sys.excepthook != before[0]
    made.restore()
    assert (sys.excepthook, threading.excepthook, sys.unraisablehook) == before


def test_a_report_has_causes_and_no_lines_of_code():
    try:
        try:
            raise KeyError("inner")
        except KeyError as inner:
            raise ValueError(
                os.path.expanduser("~/models/x.pth") + "\n\x1b[31m" + "y" * 9_000
            ) from inner
    except ValueError as error:
        text = error_report.fault_text(error)
    assert "Caused by KeyError: 'inner'" in text
    assert "While handling" not in text
    assert "raise ValueError" not in text
    assert "~/models/x.pth" in text
    assert os.path.expanduser("~/models") not in text
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) < 1_000


def test_an_error_without_a_text_of_its_own():
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    assert error_report.sentence(Mute()) == "Mute: (its text fails: RuntimeError)"


def test_a_report_of_a_crash_is_shown_later(window, state):
    log = f'Fatal Python error: Aborted\n  File "{os.path.expanduser("~")}/x.py", line 1 in f\n'
    path = error_report.keep(error_report.crash_text(log))
    dialog = show_report(window, path)
    assert '"~/x.py", line 1' in dialog.report.toPlainText()
    dialog.close()


def test_what_is_copied_is_what_is_shown(qtbot, window):
    dialog = ErrorDialog("A title", "an explanation", window)
    dialog.add("ValueError: a\x1b[2Jb\u202ec\n" + "x" * 30_000, "")
    dialog.add("another", "")
    dialog.show()
    qtbot.mouseClick(dialog.copy_button, Qt.MouseButton.LeftButton)
    copied = QGuiApplication.clipboard().text()
    assert copied == dialog.report.toPlainText()
    assert copied.startswith("ValueError: a\\x1b[2Jb\\u202ec\n")
    assert copied.endswith("\n\nanother")
    assert all(line.isprintable() for line in copied.split("\n"))
    dialog.close()


def test_twenty_reports_are_kept(state):
    folder = state / "reports"
    for number in range(25):
        error_report.keep(f"{number}")
    (folder / "notes.txt").touch()
    kept = sorted(path.name for path in folder.glob("report-*"))
    assert len(kept) == error_report.MOST_KEPT
    assert (folder / kept[-1]).read_text() == "24"
    assert (folder / "notes.txt").exists()
