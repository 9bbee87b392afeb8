"""A desktop of a test's own: an X server, a window manager, a user's folders, double clicks."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 30.0
TITLE = "Checkpoint Inspector"
NEEDED = ("Xvfb", "openbox", "xdotool", "xdg-open", "xdg-mime", "gio", "update-mime-database")
Found = TypeVar("Found")


def missing_programs(*more: str) -> str:
    """What a desktop needs and is not installed here, or ""."""
    return ", ".join(name for name in (*NEEDED, *more) if shutil.which(name) is None)


def wait(ask: Callable[[], Found], what: str) -> Found:
    """What `ask` answers, once that is true."""
    end = time.monotonic() + PATIENCE
    while not (answer := ask()):
        assert time.monotonic() < end, f"{what} did not happen"
        time.sleep(0.05)
    return answer


class Desk:
    """One user's desktop.

    Args:
        folder: for all that the user has.
        desktop: as XDG_CURRENT_DESKTOP says it; GNOME asks GLib, X-Generic the tools themselves.

    Attributes:
        home: the user's folder.
        environment: of the user's programs.
    """

    def __init__(self, folder: Path, desktop: str = "GNOME") -> None:
        self.home = folder / "home"
        self.home.mkdir()
        runtime = folder / "run"
        runtime.mkdir(mode=0o700)
        kept = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH")
        self.environment = {
            **{name: os.environ[name] for name in kept if name in os.environ},
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(runtime),
            "XDG_CURRENT_DESKTOP": desktop,
            "TMPDIR": str(folder),
            "QT_QPA_PLATFORM": "xcb",
            "GIO_USE_VFS": "local",
        }
        self._started: list[subprocess.Popen[bytes]] = []
        self._errors = folder / "errors"

    def show(self) -> None:
        """Begin a session on a screen."""
        reading, writing = os.pipe()
        screen = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1400x900x24"]
        self._start([*screen, "-nolisten", "tcp"], pass_fds=[writing])
        os.close(writing)
        with os.fdopen(reading) as pipe:
            self.environment["DISPLAY"] = f":{pipe.readline().strip()}"
        self._start(["openbox", "--sm-disable"])
        wait(
            lambda: "#" in self.run("xprop", "-root", "_NET_SUPPORTING_WM_CHECK").stdout, "openbox"
        )

    def _start(self, command: list[str], pass_fds: list[int] | None = None) -> None:
        self._started.append(
            subprocess.Popen(
                command,
                env=self.environment,
                pass_fds=pass_fds or [],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )

    def run(self, *command: str | bytes | Path, **more: object) -> subprocess.CompletedProcess[str]:
        """Run a program of the user's to its end."""
        return subprocess.run(  # type: ignore[call-overload,no-any-return]
            command,
            env=self.environment,
            **{"cwd": self.home, **more},
            capture_output=True,
            text=True,
            errors="surrogateescape",
            check=False,
            timeout=60,
        )

    def inspector(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run our command, as a user of a clone would."""
        command = [sys.executable, "-m", "inspector_app", *arguments]
        return subprocess.run(
            command,
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def file_type(self, path: Path) -> str:
        """What the desktop takes a file for."""
        return self.run("xdg-mime", "query", "filetype", path).stdout.strip()

    def default(self, mime_type: str) -> str:
        """Which desktop entry opens a type."""
        return self.run("xdg-mime", "query", "default", mime_type).stdout.strip()

    def double_click(self, path: str | bytes | Path) -> None:
        """What a file manager does then. The program's errors are kept."""
        with self._errors.open("ab") as errors:
            opened = subprocess.Popen(
                ["xdg-open", path],
                env=self.environment,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )
        self._started.append(opened)

    @property
    def errors(self) -> str:
        """What programs have said on stderr."""
        return self._errors.read_text(errors="replace") if self._errors.exists() else ""

    def windows(self) -> dict[str, str]:
        """Our windows, and their titles."""
        found = self.run("xdotool", "search", "--onlyvisible", "--name", TITLE).stdout.split()
        return {each: self.run("xdotool", "getwindowname", each).stdout.strip() for each in found}

    def window(self, title: str) -> str:
        """The window whose title has `title`, once there is one."""

        def look() -> str:
            return next((each for each, name in self.windows().items() if title in name), "")

        return wait(look, f"a window {title!r} (there are {self.windows()}; {self.errors})")

    def process_of(self, window: str) -> int:
        """The process that a window belongs to."""
        return int(self.run("xdotool", "getwindowpid", window).stdout)

    def processes(self) -> list[int]:
        """Our processes on this desktop."""
        found = []
        mark = f"\0XDG_RUNTIME_DIR={self.environment['XDG_RUNTIME_DIR']}\0".encode()
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            try:
                command = (folder / "cmdline").read_bytes()
                ours = b"inspector_app" in command or b"checkpoint-inspector" in command
                if ours and mark in b"\0" + (folder / "environ").read_bytes():
                    found.append(int(folder.name))
            except OSError:
                continue
        return found

    def picture(self, path: Path) -> None:
        """Save what the screen shows."""
        program = (
            "import sys; from PySide6.QtGui import QGuiApplication; a = QGuiApplication([]); "
            "a.primaryScreen().grabWindow(0).save(sys.argv[1])"
        )
        self.run(sys.executable, "-c", program, str(path))

    def close(self) -> None:
        """End the session."""
        for process in self.processes():
            try:
                os.kill(process, signal.SIGTERM)
            except ProcessLookupError:
                continue
        for each in reversed(self._started):
            each.terminate()
        for each in reversed(self._started):
            try:
                each.wait(10)
            except subprocess.TimeoutExpired:
                each.kill()
                each.wait()


def tree(folder: Path) -> dict[str, bytes | None]:
    """All below a folder: the content of files, None for folders."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }
