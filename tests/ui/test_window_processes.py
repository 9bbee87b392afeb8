"""Real processes: many starts at once, a window that is stopped, killed, or loses its display."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from inspector_app.ui import state_folder
from inspector_app.ui.session import BrokenSessionError, Session, read_session
from inspector_app.ui.session_files import dead_windows

pytestmark = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="Linux' signals")
ROOT = Path(__file__).resolve().parent.parent.parent
STARTS = 8
PATIENCE_SECONDS = 40


class Desk:
    """Windows of one user, who sees nothing of the one that runs the tests."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.state = home / "checkpoint-inspector"
        names = ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "TMPDIR")
        self.environment = {**os.environ, **dict.fromkeys(names, str(home)), **environment}
        self.processes: list[subprocess.Popen] = []

    def start(self, *arguments: object) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-m", "inspector_app", *map(str, arguments)],
            cwd=ROOT,
            env=self.environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def alive(self) -> list[subprocess.Popen]:
        return [each for each in self.processes if each.poll() is None]

    def sessions(self) -> list[Session]:
        found = []
        for path in (self.state / "windows").glob("*.json"):
            try:
                found.append(read_session(path.read_bytes()))
            except (OSError, BrokenSessionError):
                continue
        return found

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
            process.stderr.close()


@pytest.fixture
def desk(short_folder) -> Iterator[Desk]:
    made = Desk(short_folder, QT_QPA_PLATFORM="offscreen")
    yield made
    made.end()


def wait(what: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)


def paths_of(sessions: list[Session]) -> set[str]:
    return {path for session in sessions for tab in session.tabs for path in tab.paths}


def test_of_many_starts_at_once_one_is_the_window(desk, sample, monkeypatch):
    files = []
    for number in range(STARTS):
        files.append(str(sample.with_name(f"{number}.pth")))
        shutil.copy(sample, files[-1])
    for file in files:
        desk.start(file)
    wait(lambda: len(desk.alive()) == 1 and paths_of(desk.sessions()) == set(files))
    (window,) = desk.alive()
    assert {each.returncode for each in desk.processes} == {0, None}

    # Stopped it says nothing: the next double click has a window of its own.
    window.send_signal(signal.SIGSTOP)
    other = desk.start(sample)
    wait(lambda: len(desk.sessions()) == 2)
    assert other.poll() is None
    window.send_signal(signal.SIGCONT)

    # Killed it loses nothing.
    for process in desk.alive():
        process.kill()
        process.wait()
    monkeypatch.setattr(state_folder, "folder", lambda: str(desk.state))
    dead = dead_windows()
    assert paths_of([each.session for each in dead]) == {*files, str(sample)}
    for each in dead:
        each.forget()


@pytest.mark.skipif(not shutil.which("Xvfb"), reason="needs Xvfb")
def test_a_display_that_dies_leaves_a_sentence_and_the_session(short_folder, sample, monkeypatch):
    read, write = os.pipe()
    display = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x900x24", "-nolisten", "tcp"],
        pass_fds=[write],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as said:
        number = said.readline().strip()
    desk = Desk(short_folder, DISPLAY=f":{number}", QT_QPA_PLATFORM="xcb")
    try:
        window = desk.start(sample)
        wait(lambda: paths_of(desk.sessions()) == {str(sample)})
        display.terminate()
        display.wait()
        wait(lambda: window.poll() is not None)
        assert window.returncode not in (0, None)
        assert "X11 connection broke" in window.stderr.read()
        monkeypatch.setattr(state_folder, "folder", lambda: str(desk.state))
        (dead,) = dead_windows()
        assert paths_of([dead.session]) == {str(sample)}
        assert dead.crash == ""
        dead.forget()
    finally:
        display.kill()
        display.wait()
        desk.end()
