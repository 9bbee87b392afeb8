"""Opens a file in our window, then types and scrolls as people do. Prints how long it took.

    python -m tests.benchmarks.drive_window FILE

Everything that blocks the window is noticed by a heartbeat: a zero timer, whose longest
pause is the longest time in which the window could not have answered. The processor time of
a turn is noted beside it: where the pause is much longer, the machine was busy with others.
"""

from __future__ import annotations

import gc
import json
import statistics
import sys
import time
from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from inspector_app.ui import settings, windows
from inspector_app.ui.checkpoint_tab import CheckpointTab
from inspector_app.ui.collector import Collector
from inspector_app.ui.tree_arranger import TreeArranger
from tests.benchmarks.heartbeat import Heartbeat, wait
from tests.benchmarks.process import memory

# Typed letter by letter, and taken back letter by letter: keys, a glob, an expression, a field.
QUERIES = ("blocks.12.attn", "*fc1.weight", "/norm[12]/", "shape:4x3", "qkv -blocks.1")
SCROLL_STEPS = 300


def opened(window: windows.MainWindow, path: str, heart: Heartbeat) -> tuple[CheckpointTab, dict]:
    seen = []
    heart.restart()
    begin = time.perf_counter()
    (tab,) = window.open_paths([path])
    tab.activity_changed.connect(seen.append)
    loaded: list[float] = []
    tab.tree.loaded.connect(lambda: loaded.append(time.perf_counter() - begin))
    wait(lambda: bool(loaded) and tab.is_settled())
    if tab.error is not None:
        raise tab.error
    return tab, {
        "tensors": len(tab.checkpoint.tensors),
        "open_seconds": loaded[0],
        "settled_seconds": time.perf_counter() - begin,
        "open_longest": heart.longest,
        "open_work": heart.most_work,
        "progress": len({(a.done, a.total) for a in seen if a is not None}),
    }


def expanded(tab: CheckpointTab, arranger: TreeArranger, heart: Heartbeat) -> dict:
    heart.restart()
    begin = time.perf_counter()
    tab.tree.expand_all()
    wait(lambda: not arranger.is_busy)
    return {
        "rows": tab.tree.view.model().rowCount(),
        "expand_seconds": time.perf_counter() - begin,
        "expand_longest": heart.longest,
        "expand_work": heart.most_work,
    }


def scrolled(tab: CheckpointTab, heart: Heartbeat) -> dict:
    view, bar = tab.tree.view, tab.tree.view.verticalScrollBar()
    assert bar.maximum() > 10_000, "there is nothing to scroll"
    heart.restart()
    steps = []
    places = [bar.maximum() * step // SCROLL_STEPS for step in range(SCROLL_STEPS + 1)]
    for place in [*places, *range(bar.maximum() // 2, bar.maximum() // 2 + SCROLL_STEPS)]:
        begin = time.perf_counter()
        bar.setValue(place)
        QApplication.processEvents()
        steps.append(time.perf_counter() - begin)
    view.setFocus()
    for key in (Qt.Key.Key_Home, *[Qt.Key.Key_PageDown] * 30, Qt.Key.Key_End, Qt.Key.Key_PageUp):
        begin = time.perf_counter()
        QTest.keyClick(view, key)
        QApplication.processEvents()
        steps.append(time.perf_counter() - begin)
    return {
        "scroll_median": statistics.median(steps),
        "scroll_longest": max(*steps, heart.longest),
        "scroll_work": heart.most_work,
    }


def searched(tab: CheckpointTab, arranger: TreeArranger, heart: Heartbeat) -> dict:
    field = tab.tree.search_field
    field.setFocus()
    heart.restart()
    keystrokes, found = [], set()

    def press(click: Callable[[], None]) -> None:
        begin = time.perf_counter()
        click()
        wait(lambda: not arranger.is_busy)
        keystrokes.append(time.perf_counter() - begin)
        if arranger.found is not None:
            found.add(arranger.found.matches)

    for query in QUERIES:
        for letter in query:
            press(lambda letter=letter: QTest.keyClick(field, letter))
        for _ in query:
            press(lambda: QTest.keyClick(field, Qt.Key.Key_Backspace))
    assert len(found) > len(QUERIES), "the searches found nothing different"
    return {
        "keystrokes": len(keystrokes),
        "search_median": statistics.median(keystrokes),
        "search_slowest": max(keystrokes),
        "search_longest": heart.longest,
        "search_work": heart.most_work,
    }


def main() -> None:
    application = windows.application()
    window = windows.MainWindow(settings.Settings(remember=False), Collector(application))
    window.show()
    heart = Heartbeat()
    wait(window.isVisible)
    tab, said = opened(window, sys.argv[1], heart)
    arranger = tab.tree.findChild(TreeArranger)
    said |= memory()
    said |= searched(tab, arranger, heart)
    said |= expanded(tab, arranger, heart)
    said |= scrolled(tab, heart)
    print(json.dumps(said), flush=True)
    # What remains would only be taken apart object by object.
    gc.disable()
    window.close()


main()
