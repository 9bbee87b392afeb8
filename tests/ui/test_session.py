"""Sessions as files: whole, damaged, hostile, of windows that live, ended and died."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.ui import file_lock, session_files, state_folder
from inspector_app.ui.session import (
    COMPARISON,
    FILE,
    MOST_TABS,
    RUN,
    BrokenSessionError,
    DialogState,
    Session,
    TabState,
    read_session,
    session_bytes,
)
from inspector_app.ui.session_files import WindowRecord, dead_windows, last_session

ROOT = Path(__file__).resolve().parent.parent.parent
ONE = Session((TabState(FILE, ("/a.pth",), {"selected": ["state", 0]}),))
ANY_PATH = st.binary(min_size=1, max_size=20).map(
    lambda name: "/" + os.fsdecode(name.replace(b"\0", b""))
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
DETAILS = st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2)
TABS = st.one_of(
    st.builds(lambda a, d: TabState(FILE, (a,), d), ANY_PATH, DETAILS),
    st.builds(lambda a, b, d: TabState(COMPARISON, (a, b), d), ANY_PATH, ANY_PATH, DETAILS),
    st.builds(lambda a: TabState(RUN, tuple(a)), st.lists(ANY_PATH, min_size=1, max_size=3)),
)


@given(st.lists(TABS, max_size=4), st.data())
def test_a_session_is_read_as_it_was_written(tabs, data):
    front = data.draw(st.integers(0, max(len(tabs) - 1, 0)))
    dialogs = (DialogState("save", ("/a.pth",), {"fields": {"x": True}}),)
    session = Session(tuple(tabs), front, dialogs)
    assert read_session(session_bytes(session)) == session


@given(JSON)
def test_any_json_is_a_session_or_none(said):
    for data in (said, {"schema": 1, "tabs": said, "dialogs": said, "front": said}):
        try:
            session = read_session(json.dumps(data).encode())
        except BrokenSessionError:
            continue
        assert 0 <= session.front <= len(session.tabs)


@pytest.mark.parametrize(
    "data",
    [b"", b"\0", b"{", b"[" * 100_000, b"null", b'{"schema": 2}', b"\xff\xfe{}", b'{"schema":"1"}'],
)
def test_what_is_no_session_is_refused(data):
    with pytest.raises(BrokenSessionError):
        read_session(data)


@pytest.mark.parametrize(
    "entry",
    [
        {"kind": FILE, "paths": []},
        {"kind": FILE, "paths": ["/a", "/b"]},
        {"kind": FILE, "paths": ["relative"]},
        {"kind": FILE, "paths": ["/nul\0"]},
        {"kind": FILE, "paths": ["/lone\ud800"]},
        {"kind": FILE, "paths": ["/" + "x" * 40_000]},
        {"kind": COMPARISON, "paths": ["/a"]},
        {"kind": "shell", "paths": ["/a"]},
        {"kind": 1, "paths": ["/a"]},
        {"paths": "/a"},
        "x",
        None,
    ],
)
def test_of_a_tab_that_is_none_the_others_stay(entry):
    good = {"kind": FILE, "paths": ["/good"], "details": "none"}
    data = json.dumps({"schema": 1, "tabs": [entry, good], "front": 1}).encode()
    assert read_session(data) == Session((TabState(FILE, ("/good",)),), 0)


def test_a_session_has_no_end_of_tabs():
    tabs = [{"kind": FILE, "paths": [f"/{n}"]} for n in range(MOST_TABS + 10)]
    data = json.dumps({"schema": 1, "tabs": tabs, "front": 10**30}).encode()
    assert len(read_session(data).tabs) == MOST_TABS


def test_two_sessions_are_joined_without_repeating():
    other = Session((TabState(FILE, ("/a.pth",)), TabState(FILE, ("/b.pth",))), 1)
    joined = ONE.joined(other)
    assert [tab.paths for tab in joined.tabs] == [("/a.pth",), ("/b.pth",)]
    assert Session().joined(other) == other


# --- the files


def test_a_window_that_lives_is_not_dead(state):
    record = WindowRecord()
    record.save(ONE)
    assert dead_windows() == []
    other = WindowRecord()
    other.save(Session())
    assert record.session != other.session
    record.end()
    other.end()
    assert not list((state / "windows").iterdir())


CHILD = """
import os, sys, time
from inspector_app.ui import state_folder
state_folder.folder = lambda: sys.argv[1]
from inspector_app.ui.session import *
from inspector_app.ui.session_files import WindowRecord
record = WindowRecord()
record.save(Session((TabState(FILE, ("/a.pth",), {"selected": ["state", 0]}),)))
if sys.argv[2] == "crash":
    import faulthandler
    log = open(record.crash, "w")
    faulthandler.enable(log)
    record.keep_open(log)
print("kept", flush=True)
sys.stdin.readline()
os.abort()
"""


@pytest.fixture
def child(state):
    made = []

    def start(how: str) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(state), how],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        made.append(process)
        assert process.stdout.readline() == "kept\n"
        return process

    yield start
    for process in made:
        process.kill()
        process.communicate()


def test_what_a_killed_window_had_open_is_found_once(child):
    process = child("kill")
    assert dead_windows() == []
    process.kill()
    process.wait()
    (dead,) = dead_windows()
    assert dead.session == ONE
    assert (dead.crash, dead.broken) == ("", "")
    # It is this window's to deal with as long as it has the lock.
    assert dead_windows() == []
    os.close(dead.lock)
    (dead,) = dead_windows()
    dead.forget()
    assert dead_windows() == []


def test_a_crash_says_where_it_was(child, state):
    process = child("crash")
    process.stdin.write("\n")
    process.stdin.flush()
    process.wait()
    (dead,) = dead_windows()
    assert dead.session == ONE
    assert "Fatal Python error: Aborted" in dead.crash
    dead.forget_crash()
    os.close(dead.lock)
    (again,) = dead_windows()
    assert again.crash == ""
    again.forget()
    assert not list((state / "windows").iterdir())


def test_of_several_dead_windows_one_may_be_damaged(child, state):
    for _ in range(2):
        process = child("kill")
        process.kill()
        process.wait()
    damaged = sorted((state / "windows").glob("*.json"))[0]
    damaged.write_bytes(b"\0" * 100)
    dead = dead_windows()
    assert sorted(bool(each.session) for each in dead) == [False, True]
    (broken,) = [each.broken for each in dead if each.broken]
    assert Path(broken).read_bytes() == b"\0" * 100
    for each in dead:
        each.forget()
    assert Path(broken).exists()


def refuse_like_windows(monkeypatch) -> None:
    """No file is removed that is open."""
    unlink = os.unlink

    def remove(path: str) -> None:
        for descriptor in range(256):
            if file_lock.is_of(path, descriptor):
                raise PermissionError(13, "used by another process", path)
        unlink(path)

    monkeypatch.setattr(os, "unlink", remove)
    monkeypatch.setattr(sys, "platform", "win32")


def test_where_no_open_file_is_removed_none_is_left(child, state, monkeypatch):
    process = child("kill")
    process.kill()
    process.wait()
    record = WindowRecord()
    record.save(ONE)
    record.keep_open(open(record.crash, "w"))  # noqa: SIM115
    with monkeypatch.context() as context:
        refuse_like_windows(context)
        (dead,) = dead_windows()
        dead.forget()
        record.end()
    assert not list((state / "windows").iterdir())


@pytest.mark.parametrize("holds", [False, True])
def test_another_start_may_take_a_lock_that_is_being_made(state, monkeypatch, holds):
    """It is faster between the file and its lock, and has ended, or still holds it."""
    lock, taken = file_lock._lock, []

    def late(descriptor: int) -> None:
        if not taken:
            (path,) = (state / "windows").iterdir()
            taken.append(os.open(path, os.O_RDWR))
            lock(taken[0])
            if not holds:
                file_lock.give_up(str(path), taken[0])
        lock(descriptor)

    monkeypatch.setattr(file_lock, "_lock", late)
    record = WindowRecord()
    record.save(ONE)
    monkeypatch.undo()
    monkeypatch.setattr(state_folder, "folder", lambda: str(state))
    # Other starts see that it is alive.
    assert file_lock.take(record.session.replace(".json", ".lock")) is None
    if holds:
        os.close(taken[0])
    assert dead_windows() == []
    record.end()
    assert not list((state / "windows").iterdir())


def test_a_window_whose_locks_are_all_taken_keeps_nothing(state, monkeypatch):
    monkeypatch.setattr(file_lock, "take", lambda path: None)
    with pytest.raises(OSError, match="take each lock"):
        WindowRecord()


def test_an_empty_window_leaves_nothing_to_offer(state):
    record = WindowRecord()
    record.save(Session())
    os.close(record._lock)
    record._lock = None
    assert dead_windows() == []
    assert not list((state / "windows").iterdir())


def test_other_peoples_files_in_the_folder_are_left_alone(state):
    folder = state / "windows"
    folder.mkdir(parents=True)
    for name in ("notes.txt", "1-x.lock", "..lock"):
        (folder / name).touch()
    assert dead_windows() == []
    assert len(list(folder.iterdir())) == 3


def test_a_pipe_among_the_files_is_not_waited_for(state):
    folder = state / "windows"
    folder.mkdir(parents=True)
    (folder / "1-0123456789abcdef.lock").touch()
    os.mkfifo(folder / "1-0123456789abcdef.json")
    (dead,) = dead_windows()
    assert dead.session == Session()
    dead.forget()


def test_the_last_session_is_kept_and_a_damaged_one_set_aside(state):
    assert last_session() == (Session(), "")
    session_files.keep_last(ONE)
    assert last_session() == (ONE, "")
    (state / "last.json").write_bytes(b'{"schema": 99}')
    nothing, broken = last_session()
    assert nothing == Session()
    assert Path(broken).name == "last.json.broken"
    assert last_session() == (Session(), "")


def test_a_file_that_cannot_be_written_stays_as_it_was(state, monkeypatch):
    session_files.keep_last(ONE)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        session_files.keep_last(Session())
    assert last_session() == (ONE, "")
    assert [path.name for path in state.iterdir()] == ["last.json"]


def test_a_file_that_is_too_large_is_not_read(state, monkeypatch):
    session_files.keep_last(ONE)
    monkeypatch.setattr(state_folder, "LARGEST_FILE", 10)
    assert last_session()[1]


def test_the_folder_is_where_the_system_wants_it(monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    if sys.platform.startswith("linux"):
        assert state_folder.folder().endswith("/.local/state/checkpoint-inspector")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "Application Support" in state_folder.folder()
