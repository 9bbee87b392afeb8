"""Which Pythons are found, and how they are told apart."""

from __future__ import annotations

import sys
import venv
from pathlib import Path

import pytest

from inspector_app.worker.interpreters import found, missing, pip_line, release
from inspector_app.worker.protocol import Probed


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with nothing on it but this Python."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", "")
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_EXE", "WORKON_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(home)
    return home


def paths(near: list[str]) -> list[str]:
    return [each.path for each in found(near)]


def test_this_one_is_first_unless_we_are_a_bundle(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = found()[0]
    assert (first.path, first.origin) == (sys.executable, "this")
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert sys.executable not in paths([])


@pytest.mark.skipif(sys.platform == "win32", reason="other folders there")
def test_environments_beside_the_checkpoint_and_above(home: Path) -> None:
    project = home / "project"
    checkpoint = project / "runs" / "one" / "model.pth"
    checkpoint.parent.mkdir(parents=True)
    venv.EnvBuilder(symlinks=True, with_pip=False).create(project / ".venv")
    (project / "venv").mkdir()  # no environment
    listed = [each for each in found([str(checkpoint)]) if each.origin == "venv"]
    assert [(each.path, each.name) for each in listed] == [
        (str(project / ".venv" / "bin" / "python"), "project/.venv")
    ]
    assert paths(["/nowhere/at/all.pth"]) == paths([])


@pytest.mark.skipif(sys.platform == "win32", reason="other folders there")
def test_conda_and_its_environments(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = home / "elsewhere"
    for folder in (home / "miniconda3", home / "miniconda3/envs/train", other):
        (folder / "bin").mkdir(parents=True)
        (folder / "conda-meta").mkdir()
        (folder / "bin" / "python").symlink_to(sys.executable)
    (home / ".conda").mkdir()
    (home / ".conda" / "environments.txt").write_text(f"{other}\n/gone\n")
    (home / ".virtualenvs" / "work" / "bin").mkdir(parents=True)
    (home / ".virtualenvs" / "work" / "pyvenv.cfg").touch()
    (home / ".virtualenvs" / "work" / "bin" / "python").symlink_to(sys.executable)
    monkeypatch.setenv("CONDA_PREFIX", str(home / "miniconda3/envs/train"))
    names = [(each.origin, each.name) for each in found() if str(home) in each.path]
    assert names == [
        ("conda", "train"),
        ("venv", "work"),
        ("conda", "miniconda3"),
        ("conda", "elsewhere"),
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_one_python_under_two_names_is_one(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("a", "b"):
        (home / folder).mkdir()
    (home / "a" / "python3").write_text("#!/bin/sh\n")
    (home / "a" / "python3").chmod(0o755)
    (home / "b" / "python3").symlink_to(home / "a" / "python3")
    monkeypatch.setenv("PATH", f"{home}/a:{home}/b:/nowhere")
    assert [each.path for each in found() if each.origin == "path"] == [f"{home}/a/python3"]


def test_what_is_missing_and_how_to_get_it() -> None:
    probed = Probed("/a b/python", "3.12.1", {"torch": "2.5.1", "onnx": "1.16.0"})
    assert missing(probed, "onnx") == ["torch>=2.6", "onnxscript", "onnxruntime"]
    if sys.platform != "win32":
        line = pip_line(probed.executable, missing(probed, "torch-export"))
        assert line == "'/a b/python' -m pip install 'torch>=2.6'"


@pytest.mark.parametrize(
    ("text", "numbers"), [("2.13.0+cpu", (2, 13)), ("2.6.0a0+git1", (2, 6)), ("nightly", (0,))]
)
def test_a_version_is_read(text: str, numbers: tuple[int, ...]) -> None:
    assert release(text) == numbers
