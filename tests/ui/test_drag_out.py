"""Dragging tensors and files out of the window."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QMimeData, QPoint, Qt
from PySide6.QtGui import QDrag
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QProgressDialog

from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.model import TensorInfo
from inspector_app.checkpoint.values import open_values
from inspector_app.ui import drag_out
from inspector_app.ui.drag_out import TensorFiles, file_names
from inspector_app.ui.drop_targets import dropped_paths
from inspector_app.ui.tree_columns import Column

WEIGHT = ("model_state_dict", "features.0.weight")
BIAS = ("model_state_dict", "features.1.bias")
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def dragged(monkeypatch) -> list[QMimeData]:
    """What each drag offers; none waits for a mouse."""
    offered: list[QMimeData] = []

    def begin(drag: QDrag, actions: Qt.DropAction) -> Qt.DropAction:
        assert actions == Qt.DropAction.CopyAction, "a move would delete the file"
        assert not drag.pixmap().isNull()
        offered.append(drag.mimeData())
        return actions

    monkeypatch.setattr(drag_out.QDrag, "exec", begin)
    return offered


@pytest.fixture
def tab(qtbot, window, opened, sample):
    made = opened(sample)
    made.tree.expand_all()
    return made


def pull(view, index, far: int = 60) -> None:
    """Press on a row's name and move the mouse on."""
    start = view.visualRect(index).center()
    port = view.viewport()
    QTest.mousePress(port, LEFT, pos=start)
    for step in (5, far // 2, far):
        QTest.mouseMove(port, start + QPoint(step, step))
        QApplication.processEvents()
        move(port, start + QPoint(step, step))
    QTest.mouseRelease(port, LEFT, pos=start + QPoint(far, far))


def move(port, point: QPoint) -> None:
    """A move with the button down, which QTest does not say."""
    from PySide6.QtCore import QEvent, QPointF
    from PySide6.QtGui import QMouseEvent

    event = QMouseEvent(
        QEvent.Type.MouseMove,
        QPointF(point),
        QPointF(port.mapToGlobal(point)),
        Qt.MouseButton.NoButton,
        LEFT,
        Qt.KeyboardModifier.NoModifier,
    )
    QApplication.sendEvent(port, event)


def line_of(tab, path) -> int:
    tree = tab.tree
    node = tab.checkpoint.find(path)
    return tree._model.view.index(tree._model.rows.find(node))


def name_index(tab, path):
    return tab.tree._model.index(line_of(tab, path), Column.NAME)


def test_a_row_is_dragged_as_a_npy_file(qtbot, tab, dragged):
    tab.tree.select_path(WEIGHT)
    pull(tab.tree.view, name_index(tab, WEIGHT))
    (data,) = dragged
    assert data.text() == "model_state_dict/features.0.weight"
    assert data.hasUrls()
    (url,) = data.urls()
    path = Path(url.toLocalFile())
    assert path.name == "model_state_dict_features.0.weight.npy"
    with open_values(tab.checkpoint) as reader:
        expected = reader.read(tab.checkpoint.find(WEIGHT), [slice(0, n) for n in (12, 1, 3, 3)])
    assert np.array_equal(np.load(path, allow_pickle=False), expected)


def test_nothing_is_written_before_it_is_asked_for(tab, dragged):
    tab.tree.select_path(WEIGHT)
    pull(tab.tree.view, name_index(tab, WEIGHT))
    (data,) = dragged
    assert data.formats()[0] == "text/uri-list"
    assert data._written is None
    # The window itself would not open what it shows already, nor write it to find out.
    assert dropped_paths(data) == []
    assert data._written is None


def test_several_rows_are_several_files_and_stay_selected(qtbot, tab, dragged):
    view = tab.tree.view
    tab.tree.select_path(WEIGHT)
    line = line_of(tab, WEIGHT)
    view.selectRow(line)
    qtbot.keyClick(view, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    qtbot.keyClick(view, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    assert len(view.selected_lines()) == 3
    pull(view, view.model().index(line + 1, Column.NAME))
    assert len(view.selected_lines()) == 3
    (data,) = dragged
    assert len(data.text().split("\n")) == 3
    names = [os.path.basename(url.toLocalFile()) for url in data.urls()]
    # One of the three is the group of the last.
    assert names == [f"model_state_dict_features.{n}.weight.npy" for n in range(2)]


def test_a_click_on_one_of_several_selects_it_alone(qtbot, tab, dragged):
    view = tab.tree.view
    tab.tree.select_path(WEIGHT)
    line = line_of(tab, WEIGHT)
    view.selectRow(line)
    qtbot.keyClick(view, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    place = view.visualRect(view.model().index(line, Column.NAME)).center()
    qtbot.mouseClick(view.viewport(), LEFT, pos=place)
    assert view.selected_lines() == [line]
    assert dragged == []


def test_a_group_is_dragged_as_its_name(tab, dragged):
    tab.tree.select_path(("model_state_dict",))
    pull(tab.tree.view, name_index(tab, ("model_state_dict",)))
    (data,) = dragged
    assert data.text() == "model_state_dict"
    assert not data.hasUrls()


def test_elsewhere_pulling_selects_rows(tab, dragged):
    view = tab.tree.view
    line = line_of(tab, WEIGHT)
    view.clearSelection()
    pull(view, view.model().index(line, Column.DTYPE), far=3 * view.rowHeight(line))
    assert dragged == []
    assert len(view.selected_lines()) > 1


def test_a_tab_pulled_out_of_the_bar_is_its_file(qtbot, window, tab, dragged):
    bar = window.tabs.tabBar()
    start = bar.tabRect(0).center()
    QTest.mousePress(bar, LEFT, pos=start)
    move(bar, start + QPoint(0, 10))
    assert dragged == []
    move(bar, start + QPoint(0, bar.height() + 40))
    (data,) = dragged
    assert [url.toLocalFile() for url in data.urls()] == [tab.path]
    assert data.text() == tab.path
    QTest.mouseRelease(bar, LEFT, pos=start)


@pytest.fixture
def files(sample):
    """Makes what a drag of these paths offers; beside it what was said."""
    checkpoint = open_checkpoint(sample)
    said: list[str] = []

    def make(*paths) -> TensorFiles:
        tensors = [checkpoint.find(path) for path in paths]
        assert all(isinstance(tensor, TensorInfo) for tensor in tensors)
        return TensorFiles(checkpoint, tensors, "names", said.append)

    make.said = said
    return make


def test_a_file_that_vanished_is_said(qtbot, files, sample):
    data = files(WEIGHT)
    sample.unlink()
    assert data.files() == []
    assert not data.urls()
    assert len(files.said) == 1


def test_a_full_disk_leaves_nothing(qtbot, files, monkeypatch):
    data = files(WEIGHT, BIAS)
    real, opened_files = open, []

    def full(path, mode="r", *rest, **named):
        if "x" in mode and str(path).endswith(".part"):
            opened_files.append(path)
            if len(opened_files) > 1:
                raise OSError(28, "No space left on device")
        return real(path, mode, *rest, **named)

    monkeypatch.setattr("builtins.open", full)
    assert data.files() == []
    assert files.said == ["The tensor was not written: No space left on device"]
    assert os.listdir(os.path.dirname(opened_files[0])) == []


def test_writing_can_be_cancelled(qtbot, files, monkeypatch):
    data = files(WEIGHT, BIAS)
    shares = iter((0.1, 0.2, 0.3))
    monkeypatch.setattr(drag_out, "QUIET_SECONDS", -1.0)
    monkeypatch.setattr(drag_out, "_writing", lambda *_: shares)
    monkeypatch.setattr(QProgressDialog, "wasCanceled", lambda self: self.value() >= 200)
    assert data.files() == []
    assert list(shares) == [0.3]
    assert files.said == ["Writing was cancelled"]


def test_what_was_dragged_goes_with_the_program(tmp_path, samples):
    import subprocess
    import sys

    code = f"""
import os
os.environ["QT_QPA_PLATFORM"] = "offscreen"
from PySide6.QtWidgets import QApplication
app = QApplication([])
from inspector_app.checkpoint import open_checkpoint
from inspector_app.ui.drag_out import TensorFiles
checkpoint = open_checkpoint({str(samples / "digits_cnn_epoch_4.pth")!r})
print(TensorFiles(checkpoint, checkpoint.tensors[:2], "", print).files()[0])
"""
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().startswith(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


@given(st.lists(st.text(max_size=150), max_size=8))
def test_file_names_are_harmless_and_differ(names):
    made = list(file_names(names))
    assert len(made) == len(names)
    assert len({name.lower() for name in made}) == len(names)
    for name in made:
        assert name == os.path.basename(name)
        assert name[0] not in ".-"
        assert name.isascii()
        assert len(name) <= drag_out.LONGEST_NAME + 4
