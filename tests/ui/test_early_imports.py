"""Imports ahead of need: not at once, once, and stopped with their owner."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from inspector_app.ui import early_imports
from inspector_app.ui.early_imports import AHEAD_MS, EarlyImports


@pytest.fixture
def imports():
    made = EarlyImports()
    yield made
    made.stop()


def test_it_waits_for_its_time_and_is_ready_once(qtbot, imports, monkeypatch):
    monkeypatch.setattr(early_imports, "_NAMES", ("json", "decimal"))
    said = []
    imports.ready.connect(lambda: said.append(imports.is_ready))
    imports.expect()
    assert imports._later.isActive()
    assert not imports._work.running
    imports._later.setInterval(1)
    with qtbot.waitSignal(imports.ready):
        imports.expect()
    imports.expect()
    imports.begin()
    assert not imports._later.isActive()
    assert not imports._work.running
    assert said == [True]


def test_who_needs_it_does_not_wait(qtbot, imports, monkeypatch):
    monkeypatch.setattr(early_imports, "_NAMES", ("json",))
    imports.expect()
    with qtbot.waitSignal(imports.ready):
        imports.begin()
    assert not imports._later.isActive()


def test_what_is_missing_is_told_by_who_needs_it(qtbot, imports, monkeypatch):
    monkeypatch.setattr(early_imports, "_NAMES", ("no_such_module",))
    with qtbot.waitSignal(imports.ready):
        imports.begin()
    assert imports.is_ready


def test_a_window_at_rest_imports_what_pictures_need_and_no_more(tmp_path):
    torch.save({"weight": torch.ones(30, 40)}, tmp_path / "x.pth")
    script = f"""
import sys
from PySide6.QtTest import QTest
from inspector_app.ui import windows
from inspector_app.ui.settings import Settings
application = windows.application()
window = windows.MainWindow(Settings(remember=False))
(tab,) = window.open_paths(sys.argv[1:])
window.show()
while not tab.is_settled() or tab.side is None:
    QTest.qWait(10)
assert not {{"numpy", "pyqtgraph", "numba"}} & set(sys.modules)
waited = 0
while not tab.side.tensor._imports.is_ready:
    QTest.qWait(20)
    waited += 20
assert waited > {AHEAD_MS} // 2
heavy = {{"numpy", "pyqtgraph", "numba", "torch", "onnx"}} & set(sys.modules)
assert heavy == {{"numpy", "pyqtgraph"}}, heavy
window.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "x.pth")],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
