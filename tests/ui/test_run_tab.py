"""A run in the window: its checkpoints, what comes while training writes, drift."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from PySide6.QtCore import Qt

from inspector_app.analysis.run_checkpoints import FileState
from inspector_app.ui.run_tab import RunTab
from inspector_app.ui.run_words import STATES

LEFT = Qt.MouseButton.LeftButton


def write(folder: Path, epoch: int, loss: float) -> Path:
    torch.manual_seed(0)
    model = {"fc.weight": torch.randn(4, 4) + 0.1 * epoch, "fc.bias": torch.zeros(4)}
    path = folder / f"epoch_{epoch}.pth"
    torch.save({"model": model, "epoch": epoch, "val_loss": loss}, path)
    return path


def age(path: Path, seconds: float = 60) -> None:
    """As if it had been written a while ago."""
    moment = path.stat().st_mtime - seconds
    os.utime(path, (moment, moment))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "run"
    made.mkdir()
    for epoch, loss in ((1, 0.9), (2, 0.4), (10, 0.6)):
        age(write(made, epoch, loss))
    return made


@pytest.fixture
def run_tab(qtbot, window):
    def open_it(path: Path) -> RunTab:
        (tab,) = window.open_paths([str(path)])
        assert isinstance(tab, RunTab)
        qtbot.waitUntil(tab.is_settled, timeout=10_000)
        return tab

    return open_it


def names(tab: RunTab) -> list[str]:
    return [row[0] for row in tab.table.rows()]


def test_a_folder_is_a_run(qtbot, window, run_tab, folder: Path) -> None:
    tab = run_tab(folder)
    assert names(tab) == ["epoch_1.pth", "epoch_2.pth", "epoch_10.pth"]
    states = [row[3] for row in tab.table.rows()]
    assert states == ["", "best", "latest"]
    assert "3 checkpoints" in tab.summary()
    assert "epoch 1 – 10" in tab.summary()
    assert "best val_loss 0.4: epoch_2.pth" in tab.summary()
    ((_, chart), *_) = tab.curves.charts
    assert list(chart.lines()[0].values) == [0.9, 0.4, 0.6]
    assert window.open_paths([str(folder)]) == [tab], "it is raised, not opened twice"
    assert not window.actions_by_id["export"].isEnabled()
    assert window.windowTitle().startswith("run")


def test_open_and_compare_what_is_selected(qtbot, window, run_tab, folder: Path) -> None:
    tab = run_tab(folder)
    assert not tab.open_button.isEnabled()
    tab.table.select([str(folder / "epoch_10.pth"), str(folder / "epoch_1.pth")])
    qtbot.mouseClick(tab.compare_button, LEFT)
    comparison = window.tab()
    assert [Path(each).name for each in comparison.paths()] == ["epoch_1.pth", "epoch_10.pth"]
    window.tabs.setCurrentWidget(tab)
    row = tab.table.visualRect(tab.table.model().index(1, 0)).center()
    qtbot.mouseClick(tab.table.viewport(), LEFT, pos=row)
    qtbot.mouseDClick(tab.table.viewport(), LEFT, pos=row)
    assert window.tab().path == str(folder / "epoch_2.pth")


def test_search_sort_and_best_by_another_metric(qtbot, run_tab, folder: Path) -> None:
    for epoch, accuracy in ((1, 0.1), (2, 0.2), (10, 0.9)):
        path = folder / f"epoch_{epoch}.pth"
        whole = torch.load(path, weights_only=True) | {"val_acc": accuracy}
        torch.save(whole, path)
        age(path)
    tab = run_tab(folder)
    qtbot.keyClicks(tab.search, "_1")
    assert names(tab) == ["epoch_1.pth", "epoch_10.pth"]
    tab.search.clear()
    header = tab.table.horizontalHeader()
    losses = [tab.table.model().headerData(c, Qt.Orientation.Horizontal) for c in range(8)]
    place = losses.index("val_loss")
    qtbot.mouseClick(
        header.viewport(),
        LEFT,
        pos=header.rect().center().__class__(header.sectionPosition(place) + 8, 8),
    )
    assert names(tab) in (
        ["epoch_2.pth", "epoch_10.pth", "epoch_1.pth"],
        ["epoch_1.pth", "epoch_10.pth", "epoch_2.pth"],
    )
    tab.curves.metric.setCurrentIndex(tab.curves.metric.findData("val_acc"))
    tab.curves.metric.activated.emit(tab.curves.metric.currentIndex())
    assert "best val_acc 0.9: epoch_10.pth" in tab.summary()


def test_a_checkpoint_that_training_writes_meanwhile(qtbot, run_tab, folder: Path) -> None:
    tab = run_tab(folder)
    tab.table.select([str(folder / "epoch_2.pth")])
    whole = write(folder.parent, 11, 0.3)
    data = whole.read_bytes()
    torn = folder / "epoch_11.pth"
    torn.write_bytes(data[: len(data) // 2])

    def state() -> str:
        return {row[0]: row[3] for row in tab.table.rows()}.get("epoch_11.pth", "")

    qtbot.waitUntil(lambda: state() == "being written", timeout=10_000)
    assert [each.name for each in tab.table.selected()] == ["epoch_2.pth"]
    torn.write_bytes(data)
    qtbot.waitUntil(lambda: state() == "best, latest", timeout=10_000)
    assert [each.name for each in tab.table.selected()] == ["epoch_2.pth"]
    broken = folder / "epoch_12.pth"
    broken.write_bytes(data[: len(data) // 2])
    age(broken)
    rows = {row[0]: row[3] for row in tab.table.rows()}
    qtbot.waitUntil(
        lambda: {row[0]: row[3] for row in tab.table.rows()}.get("epoch_12.pth") == "incomplete",
        timeout=10_000,
    )
    assert rows["epoch_2.pth"] == ""
    torn.unlink()
    qtbot.waitUntil(lambda: "epoch_11.pth" not in names(tab), timeout=10_000)


def test_drift_in_the_background(qtbot, run_tab, folder: Path) -> None:
    tab = run_tab(folder)
    qtbot.mouseClick(tab.drift.button, LEFT)
    assert tab.drift.button.text() == "Cancel"
    qtbot.waitUntil(tab.drift.is_settled, timeout=60_000)
    assert tab.drift.words() == ""
    first = torch.load(folder / "epoch_1.pth", weights_only=True)["model"]
    last = torch.load(folder / "epoch_10.pth", weights_only=True)["model"]
    away = torch.cat([(last[key] - first[key]).flatten() for key in first]).norm()
    expected = away / torch.cat([first[key].flatten() for key in first]).norm()
    assert tab.drift.chart.lines()[0].values[-1] == pytest.approx(float(expected), rel=1e-6)
    assert [bar.name for bar in tab.drift.layers.bars()] == ["fc"]


def test_drift_can_be_cancelled(qtbot, run_tab, folder: Path) -> None:
    tab = run_tab(folder)
    qtbot.mouseClick(tab.drift.button, LEFT)
    assert tab.cancel()
    assert tab.drift.is_settled()
    assert "Cancelled" in tab.drift.words()
    assert not tab.cancel()


def test_an_empty_folder_waits_and_one_that_goes_is_told(qtbot, run_tab, tmp_path: Path) -> None:
    empty = tmp_path / "new"
    empty.mkdir()
    tab = run_tab(empty)
    assert "no checkpoint in this folder yet" in tab.card.title()
    age(write(empty, 1, 0.5))
    qtbot.waitUntil(lambda: names(tab) == ["epoch_1.pth"], timeout=10_000)
    shutil.rmtree(empty)
    qtbot.waitUntil(lambda: tab.error is not None, timeout=10_000)
    assert names(tab) == ["epoch_1.pth"]
    assert tab.banner.isVisible()


def test_two_hundred_at_once(qtbot, run_tab, tmp_path: Path) -> None:
    folder = tmp_path / "long"
    folder.mkdir()
    for epoch in range(200):
        age(write(folder, epoch, 1 / (epoch + 1)))
    tab = run_tab(folder)
    assert len(names(tab)) == 200
    assert "best val_loss 0.005: epoch_199.pth" in tab.summary()


def test_every_state_has_a_word() -> None:
    states: dict[str, Any] = {n: v for n, v in vars(FileState).items() if n.isupper()}
    assert set(states.values()) == STATES.keys()
