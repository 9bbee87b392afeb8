"""Real drag and drop on a real X server: two programs, one mouse."""

from __future__ import annotations

import json
import os
import selectors
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = Path(__file__).with_name("drag_source.py")
SINK = Path(__file__).with_name("drop_sink.py")
SCREEN = "1600x900x24"
SOURCE_AT = (1440, 820)
PATIENCE = 30.0

pytestmark = pytest.mark.skipif(
    not (shutil.which("Xvfb") and shutil.which("xdotool")), reason="Xvfb and xdotool are not here"
)


class Display:
    """An X server with a mouse that can be moved."""

    def __init__(self, number: str, folder: Path) -> None:
        self.environment = os.environ | {
            "DISPLAY": f":{number}",
            "QT_QPA_PLATFORM": "xcb",
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_RUNTIME_DIR": str(folder),
        }
        self._started: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._started.append(process)
        return process

    def do(self, *arguments: object) -> str:
        done = subprocess.run(
            ["xdotool", *map(str, arguments)],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout.strip()

    def window(self, title: str) -> str:
        """The window whose title has `title`, once there is one."""
        return wait(lambda: self.do("search", "--onlyvisible", "--name", title).partition("\n")[0])

    def geometry(self, window: str) -> dict[str, int]:
        lines = self.do("getwindowgeometry", "--shell", window).splitlines()
        return {name: int(value) for name, _, value in (line.partition("=") for line in lines)}

    def drag(self, window: str, x: float, y: float) -> None:
        """Drag from the source to a place within `window`, and let go."""
        self.pull((SOURCE_AT[0] + 40, SOURCE_AT[1] + 20), self.place(window, x, y))

    def place(self, window: str, x: float, y: float) -> tuple[int, int]:
        """A place within `window`."""
        found = self.geometry(window)
        return found["X"] + int(found["WIDTH"] * x), found["Y"] + int(found["HEIGHT"] * y)

    def pull(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        """Press at one place, and let go at another."""
        (left, top), (to_x, to_y) = start, end
        self.do("mousemove", left, top)
        self.do("mousedown", 1)
        steps = 12
        for step in range(1, steps + 1):
            share = step / steps
            at = int(left + (to_x - left) * share), int(top + (to_y - top) * share)
            self.do("mousemove", *at)
            time.sleep(0.05)
        time.sleep(0.3)
        self.do("mouseup", 1)

    def stop(self) -> None:
        for process in self._started:
            process.kill()
            process.communicate()


def wait(ask: Callable[[], str]) -> str:
    end = time.monotonic() + PATIENCE
    while not (answer := ask()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.1)
    return answer


@pytest.fixture
def display(tmp_path: Path) -> Iterator[Display]:
    reading, writing = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", SCREEN, "-nolisten", "tcp"],
        pass_fds=[writing],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    with os.fdopen(reading) as pipe:
        number = pipe.readline().strip()
    made = Display(number, tmp_path)
    yield made
    made.stop()
    server.terminate()
    server.wait()


def begin(display: Display, files: list[Path], *arguments: str) -> str:
    """Start the program and, once its window is there, the other one; the program's window."""
    display.start("-m", "inspector_app", "--new-window", *arguments)
    window = display.window("Checkpoint Inspector")
    display.start(str(SOURCE), *map(str, SOURCE_AT), *map(str, files))
    display.window("drag source")
    time.sleep(0.5)
    return window


def test_two_files_dropped_on_the_window_are_compared(display, samples):
    files = [samples / "digits_cnn_epoch_2.pth", samples / "digits_cnn_epoch_4.pth"]
    window = begin(display, files)
    display.drag(window, 0.5, 0.4)
    assert display.window("digits_cnn_epoch_2.pth ↔ digits_cnn_epoch_4.pth")


def test_a_file_dropped_on_the_right_of_an_open_one_is_compared_with_it(display, samples):
    mine, other = samples / "digits_cnn_epoch_2.pth", samples / "digits_cnn_epoch_4.pth"
    window = begin(display, [other], str(mine))
    assert display.window("digits_cnn_epoch_2.pth — Checkpoint")
    display.drag(window, 0.8, 0.5)
    assert display.window("digits_cnn_epoch_2.pth ↔ digits_cnn_epoch_4.pth")


def test_a_tensor_dropped_on_another_program_is_a_file(display, tmp_path):
    path = tmp_path / "flat.safetensors"
    names = [f"t{number:02}" for number in range(60)]
    header = {
        name: {"dtype": "F32", "shape": [4], "data_offsets": [16 * place, 16 * place + 16]}
        for place, name in enumerate(names)
    }
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(16 * len(names)))
    display.start("-m", "inspector_app", "--new-window", str(path))
    window = display.window("flat.safetensors — Checkpoint")
    sink = display.start(str(SINK), *map(str, SOURCE_AT))
    display.window("drop sink")
    time.sleep(0.5)
    # Every row is a tensor: whichever lies there.
    display.pull(display.place(window, 0.08, 0.5), (SOURCE_AT[0] + 40, SOURCE_AT[1] + 20))
    with selectors.DefaultSelector() as selector:
        selector.register(sink.stdout, selectors.EVENT_READ)
        assert selector.select(PATIENCE), "nothing was dropped"
    lines = [sink.stdout.readline().strip() for _ in range(2)]
    assert lines[1] == "that is all"
    size, dropped = lines[0].split(" ", 1)
    assert Path(dropped).stem in names
    assert int(size) == 128 + 16  # the header of a .npy file, and four float32
