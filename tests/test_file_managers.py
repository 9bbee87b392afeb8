"""Two files in the file manager, compared: what its menu runs is the real command."""

from __future__ import annotations

import configparser
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "packaging" / "linux" / "file-managers"
SCRIPT = FOLDER / "Compare checkpoints"
SAMPLES = Path(__file__).parents[1] / "resources" / "samples"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="these menus are of Linux")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Where `checkpoint-inspector` is this one, and the settings are nobody's."""
    command = tmp_path / "bin" / "checkpoint-inspector"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m inspector_app "$@"\n')
    command.chmod(0o755)
    (tmp_path / "run").mkdir(mode=0o700)
    return {
        **os.environ,
        "PATH": f"{command.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(FOLDER.parents[2]),
        "QT_QPA_PLATFORM": "offscreen",
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "XDG_RUNTIME_DIR": str(tmp_path / "run"),
        "TMPDIR": str(tmp_path),
    }


@pytest.mark.parametrize("variable", ["NAUTILUS", "CAJA", "NEMO"])
def test_two_selected_files_open_a_window(tmp_path, environment, variable):
    selected = []
    for name in ("digits_cnn_epoch_2.pth", "digits_cnn_epoch_4.pth"):
        path = tmp_path / f"with spaces, 'quotes' and * {name}"
        path.write_bytes((SAMPLES / name).read_bytes())
        selected.append(str(path))
    environment[f"{variable}_SCRIPT_SELECTED_FILE_PATHS"] = "\n".join(selected) + "\n"
    with subprocess.Popen([SCRIPT], env=environment, stderr=subprocess.PIPE, text=True) as window:
        try:
            # A shell, then the program under its own name: exec keeps the process.
            wanted = ["diff", "--window", *selected]
            deadline = time.monotonic() + 20
            while arguments(window.pid)[-4:] != wanted and time.monotonic() < deadline:
                assert window.poll() is None, window.stderr.read()
                time.sleep(0.02)
            assert arguments(window.pid)[-4:] == wanted
        finally:
            window.terminate()


def arguments(process: int) -> list[str]:
    return Path(f"/proc/{process}/cmdline").read_bytes().decode().split("\0")[:-1]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_another_number_of_files_is_one_line(environment, count):
    paths = [str(path) for path in sorted(SAMPLES.glob("*.pth"))[:count]]
    environment["NAUTILUS_SCRIPT_SELECTED_FILE_PATHS"] = "\n".join(paths) + "\n"
    ended = subprocess.run(
        [SCRIPT], check=False, env=environment, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("checkpoint-inspector: ")
    assert len(ended.stderr.splitlines()) == 1


def test_the_menu_of_dolphin_runs_the_same():
    entry = configparser.ConfigParser(interpolation=None)
    entry.optionxform = str
    entry.read(FOLDER / "compare-checkpoints.desktop")
    assert entry["Desktop Entry"]["X-KDE-RequiredNumberOfUrls"] == "2"
    action = entry[f"Desktop Action {entry['Desktop Entry']['Actions']}"]
    assert shlex.split(action["Exec"]) == ["checkpoint-inspector", "diff", "--window", "%F"]
