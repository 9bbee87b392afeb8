"""The window as people start it: in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtGui import QImage

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "onnx", "numba", "numpy", "pyqtgraph")


def start(*arguments: str, tmp_path: Path, **environment: str) -> subprocess.CompletedProcess:
    """Start the program without a display."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in {"DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"}
    }
    return subprocess.run(
        [sys.executable, "-X", "faulthandler", *arguments],
        cwd=ROOT,
        env=inherited | {"XDG_CONFIG_HOME": str(tmp_path / "config")} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_picture_without_a_display(tmp_path, sample):
    picture = tmp_path / "window.png"
    done = start(
        "-m", "inspector_app", str(sample), "--screenshot", str(picture), tmp_path=tmp_path
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")
    image = QImage(str(picture))
    assert (image.width(), image.height()) == (1280, 800)
    colours = {image.pixel(x, y) for x in range(0, 1280, 7) for y in range(0, 800, 7)}
    assert len(colours) > 20
    assert not (tmp_path / "config").exists()
    assert [file.name for file in tmp_path.glob("window*")] == ["window.png"]


def test_a_picture_of_a_comparison(tmp_path, sample, samples):
    picture = tmp_path / "window.png"
    run = (
        "import sys; from inspector_app.ui import app; "
        "sys.exit(app.run(sys.argv[1:3], screenshot=sys.argv[3], compare=True))"
    )
    other = str(samples / "digits_cnn_epoch_2.pth")
    done = start("-c", run, other, str(sample), str(picture), tmp_path=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert not QImage(str(picture)).isNull()
    done = start("-c", run, other, "none.pth", str(picture), tmp_path=tmp_path)
    assert done.returncode == 2
    assert "none.pth: there is no such file" in done.stderr


def test_a_picture_of_the_start_page(tmp_path):
    picture = tmp_path / "window.png"
    done = start("-m", "inspector_app", "open", "--screenshot", str(picture), tmp_path=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert not QImage(str(picture)).isNull()


def test_a_file_that_is_none_is_trouble(tmp_path):
    missing, picture = tmp_path / "no.pth", tmp_path / "window.png"
    done = start(
        "-m", "inspector_app", str(missing), "--screenshot", str(picture), tmp_path=tmp_path
    )
    assert done.returncode == 2
    assert done.stderr == f"checkpoint-inspector: {missing}: there is no such file\n"
    assert not QImage(str(picture)).isNull()


def test_a_picture_that_cannot_be_written(tmp_path, sample):
    picture = tmp_path / "nowhere" / "window.png"
    done = start(
        "-m", "inspector_app", str(sample), "--screenshot", str(picture), tmp_path=tmp_path
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert str(picture) in done.stderr


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only there is DISPLAY needed")
def test_without_a_display_there_is_one_sentence(tmp_path, sample):
    done = start("-m", "inspector_app", str(sample), tmp_path=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "no display" in done.stderr


def test_nothing_heavy_is_imported_to_paint_the_tree(tmp_path, sample):
    program = (
        "import sys\n"
        "from inspector_app.ui.app import run\n"
        f"assert run([{str(sample)!r}], {str(tmp_path / 'x.png')!r}) == 0\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = start("-c", program, tmp_path=tmp_path)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "[]", "")


def test_double_the_pixels(tmp_path, sample):
    picture = tmp_path / "window.png"
    done = start(
        "-m",
        "inspector_app",
        str(sample),
        "--screenshot",
        str(picture),
        tmp_path=tmp_path,
        QT_SCALE_FACTOR="2",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert QImage(str(picture)).width() == 2560
