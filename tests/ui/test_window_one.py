from __future__ import annotations

import os
import re
import stat
import subprocess
import sys

import pytest
from comparison_waiting import wait_for_comparison
from PySide6.QtCore import QTimer
from PySide6.QtNetwork import QLocalSocket

from inspector_app.ui import file_lock, handing_over
from inspector_app.ui import window_protocol as protocol
from inspector_app.ui.meeting_place import MeetingPlace
from inspector_app.ui.one_window import OneWindow, bring_to_front
from inspector_app.ui.window_words import alone_sentence

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="sockets with a path"),
    pytest.mark.qt_log_ignore("does not support raise"),
]
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@pytest.fixture
def place(short_folder) -> MeetingPlace:
    return MeetingPlace(str(short_folder / "s"), str(short_folder / "s.lock"))


@pytest.fixture
def one(window, place):
    made = OneWindow(window, place.socket, file_lock.take(place.lock))
    assert made.listening
    yield made
    made.stop()


class Start:
    """A start that hands over, in a process of its own, while this window handles its events."""

    def __init__(self, code: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ended(self) -> bool:
        return self.process.poll() is not None

    def said(self) -> str:
        return self.process.communicate(timeout=10)[0].strip()


MEET = """
import sys
from inspector_app.ui import handing_over, meeting_place
from inspector_app.ui.window_protocol import Request
socket, lock, compare, *paths = sys.argv[1:]
place = meeting_place.MeetingPlace(socket, lock)
print(handing_over.meet(place, Request(tuple(paths), compare == "compare")))
print([name for name in sys.modules if name.startswith(("PySide6", "json")) and "." not in name])
"""
MANY = """
import sys
from threading import Thread
from inspector_app.ui import handing_over, meeting_place
from inspector_app.ui.window_protocol import Request
socket, lock, *paths = sys.argv[1:]
place = meeting_place.MeetingPlace(socket, lock)
found = []
def start(path):
    found.append(handing_over.meet(place, Request((path,))))
threads = [Thread(target=start, args=(path,)) for path in paths]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(sum(met.handed for met in found), len(found))
"""


def talk(qtbot, server, data: bytes) -> list[bytes]:
    """What the window says to somebody who sends `data` as soon as the socket is there."""
    connection = QLocalSocket()
    connection.connectToServer(server.name())
    qtbot.waitUntil(lambda: connection.state() == QLocalSocket.LocalSocketState.ConnectedState)
    connection.write(data)
    connection.flush()
    lines: list[bytes] = []

    def heard() -> bool:
        lines.extend(bytes(connection.readAll().data()).splitlines())
        over = connection.state() == QLocalSocket.LocalSocketState.UnconnectedState
        return over or len(lines) > 1

    qtbot.waitUntil(heard)
    connection.abort()
    return lines


def test_a_second_start_opens_its_files_here(qtbot, window, one, place, sample):
    start = Start(MEET, *place, "", str(sample))
    qtbot.waitUntil(start.ended, timeout=10_000)
    met, imported = start.said().splitlines()
    assert met.startswith("Meeting(handed=True")
    assert "PySide6" not in imported
    (tab,) = window.all_tabs()
    assert tab.path == str(sample)
    qtbot.waitUntil(tab.is_settled)
    again = Start(MEET, *place, "", str(sample))
    qtbot.waitUntil(again.ended, timeout=10_000)
    assert "handed=True" in again.said()
    assert window.all_tabs() == [tab]


def test_a_second_start_compares_here(qtbot, window, one, place, sample, samples):
    other = samples / "digits_cnn_epoch_2.pth"
    start = Start(MEET, *place, "compare", str(sample), str(other))
    qtbot.waitUntil(start.ended, timeout=10_000)
    assert "handed=True" in start.said()
    (tab,) = window.all_tabs()
    assert (tab.path, tab.path_b) == (str(sample), str(other))
    wait_for_comparison(qtbot, tab)


def test_a_name_may_have_any_bytes(qtbot, window, one, place, sample):
    name = os.fsencode(sample.parent) + b"/ \xff\xfe'\"\n.pth"
    os.rename(sample, name)
    start = Start(MEET, *place, "", os.fsdecode(name))
    qtbot.waitUntil(start.ended, timeout=10_000)
    assert "handed=True" in start.said()
    (tab,) = window.all_tabs()
    qtbot.waitUntil(tab.is_settled)
    assert os.fsencode(tab.path) == name
    assert tab.error is None


def test_of_fifty_starts_at_once_none_is_lost(qtbot, window, one, place, sample):
    paths = [str(sample)]
    for number in range(49):
        paths.append(str(sample.with_name(f"{number}.pth")))
        os.link(sample, paths[-1])
    start = Start(MANY, *place, *paths)
    qtbot.waitUntil(start.ended, timeout=60_000)
    assert start.said() == "50 50"
    # They are one file, but 50 names: whoever links a file to a name wants to see that name.
    assert {tab.path for tab in window.all_tabs()} == set(paths)
    qtbot.waitUntil(lambda: all(tab.is_settled() for tab in window.all_tabs()), timeout=60_000)
    again = Start(MANY, *place, *[paths[0]] * 50)
    qtbot.waitUntil(again.ended, timeout=60_000)
    assert again.said() == "50 50"
    assert len(window.all_tabs()) == 50
    assert window.tab().path == paths[0]


def said(**members: object) -> bytes:
    import json

    return json.dumps({"protocol": protocol.PROTOCOL, **members}).encode() + b"\n"


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (said(paths=["/a", "/b", "/c"], compare=True), protocol.REFUSED),
        (said(paths=["relative.pth"]), protocol.REFUSED),
        (said(paths=["/nul\0"]), protocol.REFUSED),
        (said(paths=["/lone \ud800"]), protocol.REFUSED),
        (said(paths=["/" + "x" * 40_000]), protocol.REFUSED),
        (said(paths=[1, 2]), protocol.REFUSED),
        (said(paths={"a": 1}), protocol.REFUSED),
        (said(), protocol.REFUSED),
        (b'{"protocol": 2, "paths": []}\n', protocol.UNKNOWN),
        (b"nonsense\n", protocol.UNKNOWN),
        (b'["/a.pth"]\n', protocol.UNKNOWN),
        (b"[" * 90_000 + b"\n", protocol.UNKNOWN),
        (b"\xff\xfe\n", protocol.UNKNOWN),
    ],
)
def test_what_is_no_request_is_refused(qtbot, window, one, data, word):
    greeting, answer = talk(qtbot, one, data)
    assert protocol.read_greeting(greeting) == protocol.PROTOCOL
    assert protocol.read_answer(answer) == word
    assert window.all_tabs() == []


def test_what_is_too_long_is_not_kept(qtbot, window, one):
    assert len(talk(qtbot, one, b"x" * (protocol.MESSAGE_BYTES + 10))) <= 1
    assert window.all_tabs() == []


def test_members_that_are_not_known_are_left_alone(qtbot, window, one):
    request = said(paths=[], later={"a": 1}, token="x" * 5_000, compare="yes")
    assert protocol.read_answer(talk(qtbot, one, request)[1]) == protocol.TAKEN


def test_the_desktops_leave_is_handed_on(qtbot, window, one, monkeypatch):
    monkeypatch.delenv("XDG_ACTIVATION_TOKEN", raising=False)
    talk(qtbot, one, said(paths=[], token="a-token"))
    assert os.environ.pop("XDG_ACTIVATION_TOKEN") == "a-token"


def test_a_minimized_window_comes_back_as_it_was(window):
    window.showMaximized()
    window.showMinimized()
    bring_to_front(window, "")
    assert window.isMaximized()
    assert not window.isMinimized()


def test_nobody_else_may_talk_to_it(one):
    mode = os.stat(one.name()).st_mode
    assert not mode & (stat.S_IRWXG | stat.S_IRWXO)


def test_a_closed_window_takes_nothing(qtbot, window, one, place, sample):
    window.hide()
    start = Start(MEET, *place, "", str(sample))
    QTimer.singleShot(500, one, one.stop)
    qtbot.waitUntil(start.ended, timeout=20_000)
    # It waited until it could be the window itself.
    assert re.search(r"handed=False, lock=\d+, reason=''", start.said())
    assert window.all_tabs() == []


def test_a_socket_left_behind_is_replaced(window, place):
    import socket

    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(place.socket)
    made = OneWindow(window, place.socket, file_lock.take(place.lock))
    assert made.listening
    made.stop()


def test_where_it_cannot_listen_another_may_try(window, place, short_folder):
    lock = file_lock.take(place.lock)
    made = OneWindow(window, str(short_folder / "none" / "s"), lock)
    assert not made.listening
    os.close(file_lock.take(place.lock))


def test_why_there_are_two_windows():
    sentences = {
        alone_sentence(reason) for reason in (handing_over.STUCK, handing_over.OTHER_VERSION)
    }
    assert len(sentences) == 2
