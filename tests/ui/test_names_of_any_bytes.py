"""Files whose names are not UTF-8: dropped, pasted, dragged out, copied, shown in their folder."""

from __future__ import annotations

import os
import shutil
import sys

import pytest
from PySide6.QtCore import QMimeData, QObject, Qt, QUrl, Slot
from PySide6.QtGui import QDesktopServices, QDrag, QGuiApplication

from inspector_app.ui import drag_out, save_run, show_in_folder
from inspector_app.ui.drop_targets import dropped_paths
from inspector_app.ui.pasting import pasted_paths

pytestmark = pytest.mark.skipif(
    sys.platform in ("win32", "darwin"), reason="file names here are Unicode"
)


@pytest.fixture
def odd(tmp_path) -> str:
    """A file, in a folder, both with names that are no text, and with what URLs escape."""
    folder = os.fsencode(tmp_path) + b"/caf\xe9 100%"
    os.mkdir(folder)
    path = os.fsdecode(folder + b"/\xff, it's #1?.pth")
    with open(path, "wb"):
        return path


@pytest.fixture
def url(odd) -> bytes:
    folder = os.fsencode(os.path.dirname(os.path.dirname(odd)))
    return b"file://" + folder + b"/caf%E9%20100%25/%FF%2C%20it%27s%20%231%3F.pth"


def files(url: bytes) -> QMimeData:
    made = QMimeData()
    made.setData("text/uri-list", url + b"\r\n")
    return made


def test_dropped(odd, url):
    assert dropped_paths(files(url)) == [odd]


def test_pasted(odd, url):
    assert pasted_paths(files(url)) == [odd]
    text = QMimeData()
    text.setText(url.decode())
    assert pasted_paths(text) == [odd]


def test_dragged_out(qtbot, qapp, odd, monkeypatch):
    offered: list[QMimeData] = []

    def begin(drag: QDrag, actions: Qt.DropAction) -> Qt.DropAction:
        offered.append(drag.mimeData())
        return actions

    monkeypatch.setattr(drag_out.QDrag, "exec", begin)
    from PySide6.QtWidgets import QWidget

    widget = QWidget()
    qtbot.addWidget(widget)
    drag_out.drag_files(widget, [odd])
    (data,) = offered
    assert dropped_paths(data) == [odd]
    assert data.text() == os.fsencode(odd).decode("utf-8", "replace")


def test_copied(window, opened, sample, odd):
    shutil.copy(sample, odd)
    opened(odd)
    window.actions_by_id["copy_file_path"].trigger()
    copied = QGuiApplication.clipboard().text()
    assert copied == os.fsencode(odd).decode("utf-8", "replace")


class Opener(QObject):
    """Takes the place of whatever opens folders."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[bytes] = []

    @Slot(QUrl)
    def open(self, url: QUrl) -> None:
        self.opened.append(bytes(url.toEncoded().data()))


def test_shown(qapp, odd, url, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))  # neither gdbus nor dbus-send
    opener = Opener()
    QDesktopServices.setUrlHandler("file", opener, "open")
    try:
        show_in_folder.show_in_folder(odd)
        save_run.show_folder(odd)
    finally:
        QDesktopServices.unsetUrlHandler("file")
    assert opener.opened == [url.rpartition(b"/")[0]] * 2
    assert show_in_folder._address(odd) == url.decode()
