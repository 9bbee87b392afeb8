"""What a start does before Qt, against windows that behave in every way."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from inspector_app.ui import file_lock, handing_over, meeting_place
from inspector_app.ui import window_protocol as protocol
from inspector_app.ui.meeting_place import MeetingPlace
from inspector_app.ui.window_protocol import Request

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sockets with a path")
REQUEST = Request(("/a.pth",))


@pytest.fixture
def place(short_folder) -> MeetingPlace:
    return MeetingPlace(str(short_folder / "s"), str(short_folder / "s.lock"))


@pytest.fixture
def impatient(monkeypatch):
    for name in ("QUIET_SECONDS", "LONGEST_GREETING_SECONDS", "STARTING_SECONDS"):
        monkeypatch.setattr(handing_over, name, 0.2)
    monkeypatch.setattr(handing_over, "LONGEST_ANSWER_SECONDS", 0.2)


@contextmanager
def window(place: MeetingPlace, serve: Callable[[socket.socket], object]) -> Iterator[None]:
    """Another process' window, as far as a start sees it: its lock and its socket."""
    lock = file_lock.take(place.lock)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(place.socket)
    listener.listen()

    def run() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                serve(connection)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        os.close(lock)


def greet(connection: socket.socket) -> protocol.Request:
    connection.sendall(protocol.greeting("1.0"))
    with connection.makefile("rb") as lines:
        return protocol.read_request(lines.readline())


def test_the_first_start_has_the_lock_until_it_ends(place):
    met = handing_over.meet(place, REQUEST)
    assert met.lock is not None
    assert not met.handed
    assert file_lock.take(place.lock) is None
    os.close(met.lock)
    again = handing_over.meet(place, REQUEST)
    assert again.lock is not None
    os.close(again.lock)


def test_a_request_arrives_as_it_was(place):
    arrived = []

    def serve(connection: socket.socket) -> None:
        arrived.append(greet(connection))
        connection.sendall(protocol.answer(protocol.TAKEN))

    asked = Request((os.fsdecode(b"/\xff \n\"'.pth"), "/" + "long/" * 800), True, "token")
    with window(place, serve):
        assert handing_over.meet(place, asked).handed
    assert arrived == [asked]


def test_a_window_that_is_stuck_swallows_nothing(place, impatient):
    heard = []
    stopped = threading.Event()

    def serve(connection: socket.socket) -> None:
        stopped.wait()
        try:
            heard.append(greet(connection))
        except (OSError, protocol.NotUnderstoodError):
            heard.append(None)

    with window(place, serve):
        met = handing_over.meet(place, REQUEST)
        stopped.set()
    assert met == handing_over.Meeting(reason=handing_over.STUCK)
    # It was told nothing: once it goes on it opens nothing for the second time.
    assert heard == [None]


@pytest.mark.parametrize(
    "serve",
    [
        lambda connection: connection.sendall(b'{"protocol": 2, "version": "9"}\n'),
        lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n"),
        lambda connection: connection.sendall(b"x" * 100_000),
        lambda connection: (greet(connection), connection.sendall(protocol.answer("refused"))),
        lambda connection: (greet(connection), connection.sendall(b"[[[[\n")),
    ],
)
def test_a_window_of_another_version_is_left_alone(place, impatient, serve):
    with window(place, serve):
        met = handing_over.meet(place, REQUEST)
    assert met == handing_over.Meeting(reason=handing_over.OTHER_VERSION)


def test_an_answer_that_does_not_come_is_waited_for_in_bounds(place, impatient):
    with window(place, lambda connection: (greet(connection), threading.Event().wait(0.5))):
        assert handing_over.meet(place, REQUEST).reason == handing_over.STUCK


def test_a_lock_without_a_window_is_waited_for_in_bounds(place, impatient):
    lock = file_lock.take(place.lock)
    assert handing_over.meet(place, REQUEST) == handing_over.Meeting(reason=handing_over.STUCK)
    os.close(lock)


def test_a_start_that_dies_before_its_window_is_succeeded(place):
    lock = file_lock.take(place.lock)
    timer = threading.Timer(0.2, os.close, [lock])
    timer.start()
    met = handing_over.meet(place, REQUEST)
    timer.join()
    assert met.lock is not None
    os.close(met.lock)


def test_the_system_takes_the_lock_of_a_process_that_is_killed(place):
    code = (
        "import sys, time\nfrom inspector_app.ui import file_lock\n"
        "lock = file_lock.take(sys.argv[1])\nprint(lock, flush=True)\ntime.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, place.lock], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline().strip().isdigit()
    assert file_lock.take(place.lock) is None
    process.kill()
    process.communicate()
    os.close(file_lock.take(place.lock))


def test_where_no_lock_can_be_had_each_start_has_its_window(tmp_path):
    nowhere = MeetingPlace("s", str(tmp_path / "none" / "lock"))
    assert handing_over.meet(nowhere, REQUEST) == handing_over.Meeting()


def test_a_pipe_is_read_in_bounds(tmp_path):
    # A FIFO that is open both ways answers with what was written, as a pipe of Windows may.
    path = str(tmp_path / "pipe")
    os.mkfifo(path)
    line = handing_over.PipeLine(path)
    line.write(b"greeting\n")
    assert line.read(5) == b"greeting\n"
    assert line.read(0.05) is None
    line.close()
    with open(path, "wb", buffering=0) as other:  # lets the thread end
        other.write(b"\n")


@pytest.fixture
def bare(monkeypatch, short_folder):
    for name in ("WAYLAND_DISPLAY", "DISPLAY", "QT_QPA_PLATFORM", "TMPDIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_folder))
    return monkeypatch


def test_the_place_is_the_users_and_the_displays(bare):
    found = set()
    for display in (":0", ":1", ":1/../..", "far:0.1", "x" * 300, ""):
        bare.setenv("DISPLAY", display)
        place = meeting_place.find()
        assert place == meeting_place.find()
        assert len(os.fsencode(place.socket)) < 90
        found.add(place)
    bare.setenv("QT_QPA_PLATFORM", "offscreen:size=1x1")
    found.add(meeting_place.find())
    assert len(found) == 7
    assert len({os.path.dirname(place.socket) for place in found}) == 1


def test_the_place_is_private(bare, short_folder):
    place = meeting_place.find()
    folder = os.path.dirname(place.socket)
    assert os.path.dirname(folder) == str(short_folder)
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700


def test_a_folder_that_others_can_write_is_not_trusted(bare, short_folder):
    folder = os.path.dirname(meeting_place.find().socket)
    os.chmod(folder, 0o777)
    assert not meeting_place.make_private(folder)
    assert os.path.dirname(meeting_place.find().socket) != folder
    os.chmod(folder, 0o700)
    os.rename(folder, f"{folder}-real")
    os.symlink(f"{folder}-real", folder)
    assert not meeting_place.make_private(folder)


def test_a_long_or_strange_folder_is_passed_over(bare, tmp_path):
    bare.setenv("XDG_RUNTIME_DIR", "relative")
    bare.setenv("TMPDIR", str(tmp_path / ("long" * 20)))
    bare.setattr(meeting_place, "PROGRAM", "checkpoint-inspector-test")
    place = meeting_place.find()
    folder = os.path.dirname(place.socket)
    assert os.path.dirname(folder) == "/tmp"
    os.rmdir(folder)
