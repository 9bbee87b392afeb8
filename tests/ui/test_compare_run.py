"""Bytes are compared in a process of their own: it can be cancelled, killed and swapped under."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from comparison_waiting import wait_for_comparison
from pair_files import save

from inspector_app.analysis.comparison import Status
from inspector_app.analysis.quantities import count_text

COUNT = 3_000


@pytest.fixture
def many(tmp_path):
    """So many small tensors that it takes a second, all of them changed."""
    a = {f"w{n:04}": torch.full((300,), float(n)) for n in range(COUNT)}
    return save(tmp_path, "a.pth", a), save(tmp_path, "b.pth", {k: v + 1 for k, v in a.items()})


@pytest.fixture
def running(qtbot, window, many):
    """The tab while it compares, the first outcomes being there."""
    tab = window.compare(*map(str, many))
    qtbot.waitUntil(lambda: measured(tab) > 0, timeout=30_000)
    assert tab.body.run.is_running
    return tab


def measured(tab) -> int:
    return sum(p.metrics is not None for p in tab.comparison.pairs) if tab.comparison else 0


def process_of(tab) -> subprocess.Popen:
    (process,) = tab.body.run._processes
    return process._process


def test_the_window_imports_no_kernels(tmp_path, many):
    script = (
        "import sys\n"
        "from inspector_app.ui import settings, windows\n"
        "from inspector_app.ui.collector import Collector\n"
        "app = windows.application()\n"
        "window = windows.MainWindow(settings.Settings(remember=False), Collector(app))\n"
        "window.show()\n"
        "tab = window.compare(*sys.argv[1:])\n"
        "def done():\n"
        "    if tab.body.side is None or not tab.is_settled():\n"
        "        return\n"
        "    print('numba' in sys.modules, dict(tab.comparison.summary()))\n"
        "    window.close()\n"
        "tab.settled.connect(done)\n"
        "app.exec()\n"
    )
    command = [sys.executable, "-c", script, *map(str, many)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == f"False {{'changed': {COUNT}}}"


def test_cancelling_ends_the_process_and_keeps_what_is_done(qtbot, running):
    process = process_of(running)
    said = []
    running.message.connect(said.append)
    assert running.cancel()
    assert process.poll() is not None
    assert running.is_settled()
    kept = measured(running)
    assert 0 < kept < COUNT
    assert said == [f"{count_text(kept)} of {count_text(COUNT)} tensors were compared"]
    assert running.tree.differences.waiting == COUNT - kept
    running.compare_values()
    wait_for_comparison(qtbot, running)
    assert measured(running) == COUNT
    assert running.tree.differences.waiting == 0


def test_a_process_that_is_killed_says_so_in_a_sentence(qtbot, running):
    said = []
    running.message.connect(said.append)
    with qtbot.waitSignal(running.body.run.ended):
        process_of(running).kill()
    assert "The comparison broke off: the process that computes was ended by signal" in said[-1]
    assert running.body.header.values_button.isVisible()
    assert 0 < measured(running) < COUNT
    running.compare_values()
    wait_for_comparison(qtbot, running)
    assert measured(running) == COUNT


def test_swapping_ends_the_process_and_begins_anew(qtbot, running):
    process = process_of(running)
    running.swap_sides()
    assert process.poll() is not None
    wait_for_comparison(qtbot, running)
    assert measured(running) == COUNT
    assert running.comparison.pairs[0].metrics.rel_l2 == pytest.approx(1)  # from 1 to 0


def test_closing_the_tab_ends_the_process(qtbot, window, running):
    process = process_of(running)
    window.actions_by_id["close_tab"].trigger()
    assert process.poll() is not None


def test_tied_weights_come_out_for_every_key(compared, tmp_path):
    files = []
    for name, value in (("a", 1.0), ("b", 3.0)):
        tied = torch.full((6,), value)
        state = {"in.weight": tied, "out.weight": tied, "own": torch.full((6,), value)}
        files.append(save(tmp_path, f"{name}.pth", state))
    tab = compared(*files)
    assert [p.metrics.rel_l2 for p in tab.comparison.pairs] == [2.0] * 3
    assert {p.status for p in tab.comparison.pairs} == {Status.CHANGED}
