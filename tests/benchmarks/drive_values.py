"""Looks at values in our window as people do. Prints how long it took, and the memory.

    python -m tests.benchmarks.drive_values statistics FILE
    python -m tests.benchmarks.drive_values picture FILE [SECONDS]

``statistics`` computes the statistics of the whole file; ``picture`` selects the largest
tensor with the picture in front as the first thing that is done in the window: so many seconds
after the mouse came over the tree, or as soon as that was painted and settled.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time

from PySide6.QtCore import QEvent, QObject, QPoint
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from inspector_app.ui import settings, windows
from inspector_app.ui.checkpoint_tab import CheckpointTab
from inspector_app.ui.collector import Collector
from tests.benchmarks.heartbeat import Heartbeat, wait
from tests.benchmarks.process import largest_child, memory

HEAVY = ("numba", "numpy", "pyqtgraph")


def computed(tab: CheckpointTab, heart: Heartbeat) -> dict:
    run, ended = tab.statistics, []
    before = memory()
    run.ended.connect(lambda: ended.append(True))
    first: list[float] = []
    heart.restart()
    begin = time.perf_counter()
    run.changed.connect(
        lambda: run.found and not first and first.append(time.perf_counter() - begin)
    )
    tab.compute_statistics()
    wait(lambda: bool(ended))
    took = time.perf_counter() - begin
    assert run.is_complete
    assert not any(figures.error for figures in run.figures.values())
    longest, work = heart.longest, heart.most_work
    heavy = [name for name in HEAVY if name in sys.modules]
    # Memory is compared with all imports done.
    tab.side.tensor._imports.begin()
    wait(lambda: tab.side.tensor._imports.is_ready)
    return {
        "seconds": took,
        "first": first[0],
        "longest": longest,
        "work": work,
        "before": before["rss"],
        **memory(),
        "child": largest_child(),
        "heavy": heavy,
    }


class Painted(QObject):
    """Notes when a widget is painted."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 0.0

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Paint and not self.at:
            self.at = time.perf_counter()
        return False


def pictured(tab: CheckpointTab, heart: Heartbeat, pause: float) -> dict:
    from inspector_app.ui.tensor_pane import PICTURE

    end = time.perf_counter() + pause
    heart.restart()
    if pause:
        # Somebody turns to the tree.
        viewport = tab.tree.view.viewport()
        window = tab.window()
        window.activateWindow()
        wait(window.isActiveWindow)
        for x in (20, 24):
            QTest.mouseMove(viewport, QPoint(x, 30))
    wait(lambda: time.perf_counter() >= end)
    idle = heart.longest
    pane = tab.side.tensor
    largest = max(tab.checkpoint.tensors, key=lambda tensor: tensor.nbytes)
    ended: list[float] = []
    pane.settled.connect(lambda: ended.append(time.perf_counter()))
    ready = [name for name in HEAVY if name in sys.modules]
    heart.restart()
    begin = time.perf_counter()
    pane.tabs.setCurrentIndex(PICTURE)
    tab.tree.select_path(largest.path)
    wait(lambda: PICTURE in pane._pages and pane.page(PICTURE)._whole is not None)
    # It has arrived and is laid out; what is painted from now on shows it.
    painted = Painted()
    plot = pane.page(PICTURE).frame.plot
    plot.viewport().installEventFilter(painted)
    plot.viewport().update()
    wait(lambda: painted.at > 0)
    first = time.perf_counter() - begin
    wait(lambda: bool(ended))
    return {
        "first": first,
        "whole": ended[0] - begin,
        "longest": heart.longest,
        "idle_longest": idle,
        "ready": ready,
        "bytes": largest.nbytes,
        **memory(),
    }


def main() -> None:
    what, path = sys.argv[1:3]
    application = windows.application()
    window = windows.MainWindow(settings.Settings(remember=False), Collector(application))
    window.show()
    heart = Heartbeat(every=1)
    wait(window.isVisible)
    (tab,) = window.open_paths([os.path.abspath(path)])
    wait(lambda: tab.is_settled() and tab.side is not None)
    if tab.error is not None:
        raise tab.error
    if what == "statistics":
        said = computed(tab, heart)
    else:
        said = pictured(tab, heart, float(sys.argv[3]) if len(sys.argv) > 3 else 0.0)
    print(json.dumps(said), flush=True)
    # What remains would only be taken apart object by object.
    gc.disable()
    window.close()
    QApplication.processEvents()


main()
