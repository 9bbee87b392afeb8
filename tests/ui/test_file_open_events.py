from __future__ import annotations

import pytest
from PySide6.QtCore import QUrl
from PySide6.QtGui import QFileOpenEvent
from PySide6.QtWidgets import QApplication

from inspector_app.ui.file_open_events import FileOpenEvents


@pytest.fixture
def events():
    application = QApplication.instance()
    made = FileOpenEvents(application)
    yield made
    application.removeEventFilter(made)
    made.deleteLater()


def send(path: str) -> None:
    QApplication.sendEvent(QApplication.instance(), QFileOpenEvent(path))


@pytest.mark.qt_log_ignore("does not support raise")
def test_a_file_that_the_system_asks_for_is_opened(qtbot, window, events, sample):
    events.serve(window)
    send(str(sample))
    (tab,) = window.all_tabs()
    assert tab.path == str(sample)
    qtbot.waitUntil(tab.is_settled)
    send(str(sample))
    assert window.all_tabs() == [tab]


@pytest.mark.qt_log_ignore("does not support raise")
def test_what_comes_before_the_window_waits_for_it(qtbot, window, events, sample, samples):
    send(str(sample))
    send(str(samples / "digits_cnn_epoch_2.pth"))
    assert window.all_tabs() == []
    events.serve(window)
    assert len(window.all_tabs()) == 2
    qtbot.waitUntil(lambda: all(tab.is_settled() for tab in window.all_tabs()))


def test_an_address_is_no_file(window, events):
    events.serve(window)
    application = QApplication.instance()
    QApplication.sendEvent(application, QFileOpenEvent(QUrl("https://example.org/a.pth")))
    assert window.all_tabs() == []
