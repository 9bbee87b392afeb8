"""Imports ahead of need: not at once, once, and stopped with their owner."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QTreeView

from inspector_app.ui import early_imports
from inspector_app.ui.early_imports import EarlyImports


@pytest.fixture
def imports():
    made = EarlyImports()
    yield made
    made.stop()


@pytest.fixture
def tree(qtbot):
    made = QTreeView()
    qtbot.addWidget(made)
    made.setMouseTracking(True)
    with qtbot.waitActive(made):
        made.show()
    return made


@pytest.mark.parametrize(
    "turn",
    [
        lambda qtbot, tree: qtbot.mouseMove(tree.viewport(), QPoint(20, 30)),
        lambda qtbot, tree: qtbot.keyClick(tree, Qt.Key.Key_Down),
    ],
    ids=["mouse", "key"],
)
def test_it_begins_once_somebody_turns_to_the_tree(qtbot, imports, tree, turn, monkeypatch):
    monkeypatch.setattr(early_imports, "_NAMES", ("json", "decimal"))
    said = []
    imports.ready.connect(lambda: said.append(imports.is_ready))
    imports.watch(tree)
    turn(qtbot, tree)
    assert not imports.running  # there is nothing to picture yet
    imports.expect()
    qtbot.mouseMove(tree.viewport(), QPoint(1, 1))
    with qtbot.waitSignal(imports.ready):
        turn(qtbot, tree)
    imports.expect()
    turn(qtbot, tree)
    imports.begin()
    assert not imports.running
    assert said == [True]


def test_a_window_that_is_not_in_use_begins_nothing(qtbot, imports, tree):
    imports.watch(tree)
    imports.expect()
    tree.hide()
    qtbot.waitUntil(lambda: not tree.isActiveWindow())
    qtbot.mouseMove(tree.viewport(), QPoint(20, 30))
    assert not imports.running


def test_who_needs_it_does_not_wait(qtbot, imports, monkeypatch):
    monkeypatch.setattr(early_imports, "_NAMES", ("json",))
    with qtbot.waitSignal(imports.ready):
        imports.begin()
    assert imports.is_ready


def test_what_another_file_interrupted_goes_on_with_it(qtbot, imports, tree, monkeypatch):
    monkeypatch.setattr(early_imports, "_NAMES", ("json",))
    imports.watch(tree)
    imports.expect()
    qtbot.keyClick(tree, Qt.Key.Key_Down)
    assert imports.running
    imports.stop()
    assert not imports.running
    with qtbot.waitSignal(imports.ready):
        imports.expect()


def test_what_is_missing_is_told_by_who_needs_it(qtbot, imports, monkeypatch):
    monkeypatch.setattr(early_imports, "_NAMES", ("no_such_module",))
    with qtbot.waitSignal(imports.ready):
        imports.begin()
    assert imports.is_ready


def test_a_thread_makes_no_class_of_qt_while_the_window_may():
    """PySide makes classes when they are asked for, and dies of two threads that ask at once."""
    script = """
from PySide6 import QtCore, QtGui, QtWidgets
from inspector_app.ui import early_imports
modules = (QtCore, QtGui, QtWidgets)
def waiting():
    return {name for module in modules for name in set(dir(module)) - set(vars(module))}
assert "QGraphicsPixmapItem" in waiting()
application = QtCore.QCoreApplication([])
found = []
def importing():
    found.append(waiting())
    yield
early_imports._importing = importing
imports = early_imports.EarlyImports()
imports.ready.connect(application.quit)
imports.begin()
application.exec()
assert found == [set()], found
"""
    run(script)


def test_a_window_at_rest_imports_nothing_and_one_in_use_what_pictures_need(tmp_path):
    torch.save({"weight": torch.ones(30, 40)}, tmp_path / "x.pth")
    script = """
import sys
from PySide6.QtCore import QPoint
from PySide6.QtTest import QTest
from inspector_app.ui import windows
from inspector_app.ui.settings import Settings
application = windows.application()
window = windows.MainWindow(Settings(remember=False))
(tab,) = window.open_paths(sys.argv[1:])
window.show()
while not tab.is_settled() or tab.side is None:
    QTest.qWait(10)
QTest.qWait(1_200)
assert not {"numpy", "pyqtgraph", "numba"} & set(sys.modules)
QTest.mouseMove(tab.tree.view.viewport(), QPoint(20, 20))
QTest.mouseMove(tab.tree.view.viewport(), QPoint(30, 30))
assert tab.side.tensor._imports.running
while not tab.side.tensor._imports.is_ready:
    QTest.qWait(20)
heavy = {"numpy", "pyqtgraph", "numba", "torch", "onnx"} & set(sys.modules)
assert heavy == {"numpy", "pyqtgraph"}, heavy
window.close()
"""
    run(script, str(tmp_path / "x.pth"))


def run(script: str, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
