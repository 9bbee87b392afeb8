"""What `make` does on a machine that lacks something, with the system's tools replaced."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="for Linux alone")


class Machine:
    """A PATH whose `ldd` misses libraries, whose `apt-get` notes what it is asked for."""

    def __init__(self, folder: Path, missing: list[str], user: int) -> None:
        self.folder = folder
        self.log = folder / "apt.log"
        lines = "".join(f"echo '\t{library} => not found'\n" for library in missing)
        self.tool("ldd", f'[ -e "{self.log}" ] && exit 0\n{lines}')
        self.tool("apt-get", f'[ "$1" = install ] && echo "$@" >> "{self.log}"\nexit 0')
        self.tool("id", f"echo {user}")
        self.tool("sudo", "exit 1")

    def tool(self, name: str, script: str) -> None:
        path = self.folder / name
        path.write_text(f"#!/bin/bash\n{script}\n")
        path.chmod(0o755)

    def run(self, script: str, *arguments: str, **environment: str):
        path = f"{self.folder}:{os.environ['PATH']}"
        return subprocess.run(
            [ROOT / "packaging" / script, *arguments],
            env={**os.environ, "PATH": path, **environment},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def venv() -> str:
    return sys.prefix


def test_root_gets_the_packages_of_missing_libraries(tmp_path: Path, venv: str) -> None:
    machine = Machine(tmp_path, ["libxcb-cursor.so.0", "libEGL.so.1", "libQt6Own.so.6"], user=0)
    done = machine.run("linux/system-libraries.sh", venv, "window")
    assert done.returncode == 0, done.stderr
    asked = machine.log.read_text().split()
    assert {"libxcb-cursor0", "libegl1"} <= set(asked)
    assert not any("qt" in package.lower() for package in asked)


def test_others_are_told_the_one_command(tmp_path: Path, venv: str) -> None:
    machine = Machine(tmp_path, ["libxcb-cursor.so.0"], user=1000)
    done = machine.run("linux/system-libraries.sh", venv, "window")
    assert done.returncode == 1
    assert not machine.log.exists()
    assert "sudo apt-get install libxcb-cursor0" in done.stderr


def test_a_library_of_no_known_package_is_named(tmp_path: Path, venv: str) -> None:
    machine = Machine(tmp_path, ["libodd.so.7"], user=0)
    done = machine.run("linux/system-libraries.sh", venv, "offscreen")
    assert done.returncode == 1
    assert "libodd.so.7" in done.stderr


def test_a_python_that_is_too_old_is_refused(tmp_path: Path) -> None:
    machine = Machine(tmp_path, [], user=0)
    machine.tool("old-python", "exit 1")
    target = tmp_path / "venv"
    done = machine.run("environment.sh", str(target), "", PYTHON="old-python")
    assert done.returncode == 1
    assert "Python 3.10 or newer" in done.stderr
    assert not target.exists()


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_everything_is_set_up_before_the_window_opens(tmp_path: Path) -> None:
    done = subprocess.run(
        ["make", "-n", "run", f"VENV={tmp_path / 'venv'}", "FILE=a b.pth"],
        cwd=ROOT,
        env={**os.environ, "DISPLAY": ":0"},
        capture_output=True,
        text=True,
        check=True,
    )
    environment = done.stdout.index("packaging/environment.sh")
    libraries = done.stdout.index("system-libraries.sh")
    window = done.stdout.index("run-window.sh")
    assert environment < libraries < window
    assert '"a b.pth"' in done.stdout
