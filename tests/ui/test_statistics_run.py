"""Counting a whole file beside its tree: order, cancelling, going on, marks."""

from __future__ import annotations

import math
import subprocess
import sys
import threading

import pytest
import torch
from PySide6.QtCore import Qt

from inspector_app.checkpoint.model import TensorInfo
from inspector_app.ui.statistics_run import BATCH_TENSORS, _Queue
from inspector_app.ui.tree_columns import STATISTICS, Column, cell


@pytest.fixture
def broken_file(tmp_path):
    """A state_dict with something wrong in each of three tensors, and a tied one."""
    good = torch.linspace(-1, 1, 2000).reshape(40, 50)
    state = {
        "layer.0.weight": good,
        "layer.0.bias": torch.zeros(40),
        "layer.1.weight": torch.where(good > 0.99, torch.nan, good),
        "layer.1.bias": torch.tensor([1.0, math.inf]),
        "head.weight": good * 10,
    }
    state["tied.weight"] = state["head.weight"]
    torch.save(state, tmp_path / "broken.pth")
    return tmp_path / "broken.pth"


def complete(qtbot, tab) -> None:
    tab.compute_statistics()
    qtbot.waitUntil(lambda: tab.statistics.is_complete and not tab.statistics.is_running)


def texts(tab, column: Column) -> dict[str, str]:
    rows = tab.tree._model.rows
    return {
        str(rows.nodes[row].key): cell(rows, row, column)
        for row in range(len(rows))
        if isinstance(rows.nodes[row], TensorInfo)
    }


def test_the_columns_appear_and_are_filled(qtbot, window, opened, broken_file):
    tab = opened(broken_file)
    assert all(tab.tree.view.isColumnHidden(column) for column in STATISTICS)
    said = []
    tab.message.connect(said.append)
    window.actions_by_id["compute_statistics"].trigger()
    assert not any(tab.tree.view.isColumnHidden(column) for column in STATISTICS)
    qtbot.waitUntil(lambda: tab.statistics.is_complete and not tab.statistics.is_running)
    assert texts(tab, Column.MAX)["layer.0.weight"] == "1"
    assert texts(tab, Column.NANS)["layer.1.weight"].startswith("⚠ ")
    assert texts(tab, Column.NANS)["layer.1.bias"] == "⚠ 1 Inf"
    assert texts(tab, Column.ZEROS)["layer.0.bias"] == "100 %"
    norm = torch.linspace(-10, 10, 2000, dtype=torch.float64).norm().item()
    assert texts(tab, Column.NORM)["tied.weight"] == f"{norm:.4g}"
    assert said[-1] == "Statistics of 6 tensors; 2 with NaN or Inf"
    assert tab.activity is None


def test_a_column_that_is_asked_for_starts_the_count(qtbot, opened, broken_file):
    tab = opened(broken_file)
    tab.tree.view.setColumnHidden(Column.NORM, False)
    qtbot.waitUntil(lambda: tab.statistics.is_complete and not tab.statistics.is_running)
    assert texts(tab, Column.NORM)["layer.0.bias"] == "0"


def test_sorting_by_a_figure_finds_the_broken_tensor(qtbot, opened, broken_file):
    tab = opened(broken_file)
    tab.tree.expand_all()
    tab.tree.view.horizontalHeader().setSortIndicator(Column.NANS, Qt.SortOrder.DescendingOrder)
    complete(qtbot, tab)
    model = tab.tree._model
    qtbot.waitUntil(
        lambda: (
            [model.rows.labels[model.row(line)] for line in range(3)] == ["layer", "1", "weight"]
        )
    )


def test_the_name_says_it_aloud(qtbot, opened, broken_file):
    tab = opened(broken_file)
    complete(qtbot, tab)
    model = tab.tree._model
    rows = model.rows
    (row,) = [row for row in range(len(rows)) if rows.name(row) == "layer.1.weight"]
    assert "NaN" in model.spoken(row, Column.NAME)
    assert "of 2,000 values" in model.hint(row, Column.NANS)
    tab.grab()  # paints every mark


def test_cancelling_keeps_what_was_counted_and_start_goes_on(qtbot, opened, tmp_path):
    count = 10 * BATCH_TENSORS
    torch.save({f"w{n:04}": torch.full((300,), float(n)) for n in range(count)}, tmp_path / "x.pth")
    tab = opened(tmp_path / "x.pth")
    tab.compute_statistics()
    run = tab.statistics
    with qtbot.waitSignal(run.ended):
        qtbot.waitUntil(lambda: len(run.figures) > 0)
        assert tab.cancel()
    known = dict(run.figures)
    assert 0 < len(known) < count
    assert not run.is_running
    assert tab.activity is None
    assert not tab.cancel()
    complete(qtbot, tab)
    assert len(run.figures) == count
    assert all(run.figures[tensor] is figures for tensor, figures in known.items())


def test_closing_the_tab_leaves_no_thread(qtbot, window, opened, tmp_path):
    torch.save({f"w{n}": torch.ones(300) for n in range(400)}, tmp_path / "x.pth")
    tab = opened(tmp_path / "x.pth")
    tab.compute_statistics()
    qtbot.waitUntil(lambda: len(tab.statistics.figures) > 0)
    window.close_tab()
    assert not [thread for thread in threading.enumerate() if thread.name == "background"]


def test_a_reload_starts_from_nothing(qtbot, opened, broken_file):
    tab = opened(broken_file)
    complete(qtbot, tab)
    tab.read()
    qtbot.waitUntil(tab.is_settled)
    assert tab.statistics.figures == {}
    assert set(texts(tab, Column.MAX).values()) == {""}
    complete(qtbot, tab)
    assert texts(tab, Column.MAX)["layer.0.weight"] == "1"


def test_a_file_that_is_gone_says_so_in_each_row(qtbot, opened, broken_file):
    tab = opened(broken_file)
    broken_file.unlink()
    complete(qtbot, tab)
    assert set(texts(tab, Column.MEAN).values()) == {"–"}


def test_what_is_wanted_comes_first_and_the_tied_together(qtbot, opened, broken_file):
    checkpoint = opened(broken_file).checkpoint
    tensors = checkpoint.tensors
    queue = _Queue(tensors, frozenset({id(tensors[0])}))
    for _ in queue.filling():
        pass
    queue.prefer([tensors[5]])
    keys = [tensor.key for tensor in queue.batch()]
    assert keys == [
        "head.weight",
        "tied.weight",
        "layer.0.bias",
        "layer.1.weight",
        "layer.1.bias",
    ]
    assert queue.batch() == []
    # The bytes of the tied one count once.
    assert queue.total == 3 * 8000 + 160 + 8
    assert queue.done == 8000


def test_neither_numpy_nor_numba_comes_into_the_window(broken_file):
    script = (
        "import sys\n"
        "from inspector_app.ui import windows\n"
        "from inspector_app.ui.settings import Settings\n"
        "from inspector_app.ui.main_window import MainWindow\n"
        "app = windows.application()\n"
        "window = MainWindow(Settings(remember=False))\n"
        "(tab,) = window.open_paths([sys.argv[1]])\n"
        "def begin():\n"
        "    tab.statistics.ended.connect(end)\n"
        "    tab.compute_statistics()\n"
        "def end():\n"
        "    heavy = {'numpy', 'numba', 'torch'} & set(sys.modules)\n"
        "    print(sorted(heavy), len(tab.statistics.figures), tab.statistics.is_complete)\n"
        "    window.close()\n"
        "tab.settled.connect(begin)\n"
        "window.show()\n"
        "app.exec()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(broken_file)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split("\n")[0] == "[] 6 True"


def test_a_process_that_is_gone_says_so(qtbot, opened, tmp_path):
    torch.save({f"w{n:04}": torch.full((300,), float(n)) for n in range(900)}, tmp_path / "x.pth")
    tab = opened(tmp_path / "x.pth")
    said = []
    tab.message.connect(said.append)
    tab.compute_statistics()
    run = tab.statistics
    qtbot.waitUntil(lambda: len(run.figures) > 0)
    (process,) = run._processes
    with qtbot.waitSignal(run.ended):
        process._process.kill()
    assert "The statistics broke off: the process that computes was ended by signal" in said[-1]
    assert not run.is_running
    complete(qtbot, tab)
    assert len(run.figures) == 900


def test_a_file_that_was_replaced_is_not_measured(qtbot, opened, broken_file):
    tab = opened(broken_file)
    torch.save({"other": torch.ones(99)}, broken_file)
    complete(qtbot, tab)
    assert set(texts(tab, Column.MEAN).values()) == {"–"}
    rows = tab.tree._model.rows
    (row,) = [row for row in range(len(rows)) if rows.name(row) == "head.weight"]
    assert "changed after it was opened" in tab.tree._model.hint(row, Column.MEAN)


def test_columns_without_figures_are_not_restored(qtbot, opened, broken_file, sample):
    tab = opened(broken_file)
    before = tab.tree.column_state()
    complete(qtbot, tab)
    other = opened(sample)
    for state in (tab.tree.column_state(), before):
        other.tree.restore_column_state(state)
        assert all(other.tree.view.isColumnHidden(column) for column in STATISTICS)
    assert not other.statistics.is_running
    tab.tree.restore_column_state(before)
    assert not any(tab.tree.view.isColumnHidden(column) for column in STATISTICS)
