"""Showing a file in the file manager: what is asked of it, and what happens without one."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from PySide6.QtCore import QObject, QUrl, Slot
from PySide6.QtGui import QDesktopServices

from inspector_app.ui import show_in_folder as shown

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks a file manager on D-Bus")


class Opener(QObject):
    """Takes the place of whatever opens folders."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []

    @Slot(QUrl)
    def open(self, url: QUrl) -> None:
        self.opened.append(url.toLocalFile())


@pytest.fixture
def opener():
    made = Opener()
    QDesktopServices.setUrlHandler("file", made, "open")
    yield made
    QDesktopServices.unsetUrlHandler("file")


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A folder on the PATH, alone, for what a desktop has."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def make(folder: Path, name: str, status: int) -> Path:
    """A program that notes its arguments."""
    said = folder / f"{name}.json"
    script = f"import json, sys\njson.dump(sys.argv[1:], open({str(said)!r}, 'w'))\n"
    (folder / name).write_text(f"#!{sys.executable}\n{script}sys.exit({status})\n")
    os.chmod(folder / name, 0o755)
    return said


def name_of(tmp_path: Path) -> Path:
    """A file with what shells, GVariants and lists have a meaning for."""
    return tmp_path / "it's a, b & c.onnx"


ADDRESS = "it%27s%20a%2C%20b%20%26%20c.onnx"


@pytest.mark.parametrize("program", ["gdbus", "dbus-send"])
def test_the_file_manager_is_asked_to_select_it(qtbot, tmp_path, programs, opener, program):
    said = make(programs, program, 0)
    shown.show_in_folder(str(name_of(tmp_path)))
    qtbot.waitUntil(lambda: said.is_file() and bool(said.read_text()))
    arguments = json.loads(said.read_text())
    (asked,) = [each for each in arguments if "file://" in each]
    assert asked.endswith((f"{ADDRESS}']", ADDRESS))
    assert any(each.endswith("FileManager1.ShowItems") for each in arguments)
    qtbot.wait(50)
    assert opener.opened == []


@pytest.mark.parametrize("program", ["gdbus", None])
def test_without_one_that_selects_the_folder_is_opened(qtbot, tmp_path, programs, opener, program):
    if program:
        make(programs, program, 1)  # nobody answers on the bus
    shown.show_in_folder(str(name_of(tmp_path)))
    qtbot.waitUntil(lambda: opener.opened == [str(tmp_path)])
