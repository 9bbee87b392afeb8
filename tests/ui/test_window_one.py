from __future__ import annotations

import json
import os
import stat
import sys

import pytest
from comparison_waiting import wait_for_comparison
from PySide6.QtNetwork import QLocalSocket

from inspector_app.ui import meeting_place, one_window


@pytest.fixture
def name(tmp_path, monkeypatch):
    # A socket's path may have 107 characters; pytest's folders come close.
    folder = tmp_path / "run"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return "socket" if sys.platform != "win32" else f"inspector-test-{os.getpid()}"


@pytest.fixture
def server(window, name, tmp_path):
    made = one_window.listen(window, str(tmp_path / "run" / "s"))
    assert made is not None
    yield made
    made.close()


def talk(qtbot, server, data: bytes) -> bytes:
    """Send `data` as a second start would, while this window handles its events."""
    connection = QLocalSocket()
    connection.connectToServer(server.fullServerName())
    qtbot.waitUntil(lambda: connection.state() == QLocalSocket.LocalSocketState.ConnectedState)
    connection.write(data)
    connection.flush()
    qtbot.waitUntil(
        lambda: (
            connection.bytesAvailable() > 0
            or connection.state() == QLocalSocket.LocalSocketState.UnconnectedState
        )
    )
    answer = bytes(connection.readAll().data())
    connection.abort()
    return answer


@pytest.mark.qt_log_ignore("does not support raise")
def test_a_second_start_opens_its_files_here(qtbot, window, server, sample):
    assert talk(qtbot, server, json.dumps([str(sample)]).encode() + b"\n") == b"ok\n"
    (tab,) = window.all_tabs()
    assert tab.path == str(sample)
    qtbot.waitUntil(tab.is_settled)
    assert talk(qtbot, server, json.dumps([str(sample)]).encode() + b"\n") == b"ok\n"
    assert window.all_tabs() == [tab]


@pytest.mark.qt_log_ignore("does not support raise")
def test_a_second_start_compares_here(qtbot, window, server, sample, samples):
    other = samples / "digits_cnn_epoch_2.pth"
    request = json.dumps({"compare": [str(sample), str(other)]}).encode()
    assert talk(qtbot, server, request + b"\n") == b"ok\n"
    (tab,) = window.all_tabs()
    assert (tab.path, tab.path_b) == (str(sample), str(other))
    wait_for_comparison(qtbot, tab)


@pytest.mark.parametrize(
    "data",
    [
        b'{"compare": ["a"]}\n',
        b'{"compare": 1}\n',
        b"nonsense\n",
        b'{"a": 1}\n',
        b"[1, 2]\n",
        b"[" * 90_000 + b"\n",
    ],
)
def test_what_is_no_list_of_files_is_dropped(qtbot, window, server, data):
    assert talk(qtbot, server, data) == b""
    assert window.all_tabs() == []


def test_nobody_else_may_talk_to_it(server):
    mode = os.stat(server.fullServerName()).st_mode
    assert not mode & (stat.S_IRWXG | stat.S_IRWXO)
    assert meeting_place.is_taken(server.fullServerName())


def test_without_a_window_nothing_is_handed_over(tmp_path):
    assert not meeting_place.is_taken(str(tmp_path / "none"))
    assert not one_window.hand_over(["a.pth"], str(tmp_path / "none"))


def test_a_socket_left_behind_is_replaced(window, tmp_path):
    import socket

    path = str(tmp_path / "old")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    assert os.path.exists(path)
    made = one_window.listen(window, path)
    assert made is not None
    made.close()


def test_the_name_is_the_users_and_the_displays(monkeypatch):
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    first = meeting_place.server_name()
    assert first == meeting_place.server_name()
    monkeypatch.setenv("DISPLAY", ":1/../..")
    second = meeting_place.server_name()
    assert second != first
    assert os.path.dirname(second) == os.path.dirname(first)
