"""Compares two files in our window as people do. Prints how long it was held up.

python -m tests.benchmarks.drive_comparison A B
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication

from inspector_app.ui import settings, windows
from inspector_app.ui.collector import Collector
from inspector_app.ui.diff_columns import DiffColumn
from tests.benchmarks.heartbeat import Heartbeat, wait
from tests.benchmarks.process import memory


def main() -> None:
    a, b = map(os.path.abspath, sys.argv[1:3])
    application = windows.application()
    window = windows.MainWindow(settings.Settings(remember=False), Collector(application))
    window.show()
    heart = Heartbeat(every=1)
    wait(window.isVisible)
    said: dict[str, Any] = {}

    def measure(name: str, act: Callable[[], object], done: Callable[[], bool]) -> None:
        heart.restart()
        begin = time.perf_counter()
        act()
        wait(done)
        said[f"{name}_seconds"] = time.perf_counter() - begin
        said[f"{name}_longest"] = heart.longest
        said[f"{name}_work"] = heart.most_work

    # As it does while files are dragged over it, or are being chosen.
    window.tabs.expect_comparison()
    wait(lambda: not window.tabs._expecting.running)
    shown: list[bool] = []

    def begin() -> None:
        tab = window.compare(a, b)
        tab.body.shown.connect(lambda: shown.append(True))

    measure("open", begin, lambda: bool(shown))
    tab = window.tab()
    measure("values", lambda: None, lambda: tab.is_settled() and not tab.suggestions.is_looking)
    tree = tab.tree

    def idle() -> bool:
        return not tree._arranger.is_busy

    measure("filter", tab.only_differences, idle)
    measure("list", tree.expand_all, idle)
    said["rows"] = len(tree._model.view)
    header = tree.view.horizontalHeader()
    order = Qt.SortOrder.DescendingOrder
    measure("sort", lambda: header.setSortIndicator(DiffColumn.REL_L2, order), idle)
    measure("search", lambda: tree.search_for("weight"), idle)
    measure("next", tab.next_difference, idle)
    print(json.dumps(said | memory() | {"pairs": len(tab.comparison.pairs)}), flush=True)
    # What remains would only be taken apart object by object.
    gc.disable()
    window.close()
    QApplication.processEvents()


main()
