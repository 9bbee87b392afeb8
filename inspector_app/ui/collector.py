"""When Python's cyclic garbage collector runs.

A tree of a million nodes takes the collector half a second to walk, and it would walk it
whenever enough other objects were made: in the middle of scrolling. So automatic collection
is off. What has been loaded is set aside (`gc.freeze`), and a closed file is freed by taking
its cycles apart in slices. What cycles are left are collected while nobody uses the window.
"""

from __future__ import annotations

import gc
from collections.abc import Generator
from itertools import islice

from PySide6.QtCore import QObject, QTimer

from inspector_app.checkpoint.model import Checkpoint

INTERVAL_MS = 5_000
WORTH_COLLECTING = 2_000  # objects made since the last time
TOO_MANY_TO_WALK = 100_000  # about 25 ms
NODES_PER_STEP = 200
LISTED_PER_STEP = 5_000


class Collector(QObject):
    """Takes the place of automatic collection while it lives."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._unfrozen = 0
        gc.disable()
        gc.freeze()
        self._timer = QTimer(self)
        self._timer.setInterval(INTERVAL_MS)
        self._timer.timeout.connect(self._collect)
        self._timer.start()

    def settle(self) -> None:
        """A file has been loaded: leave its nodes out of every later collection."""
        gc.freeze()
        self._unfrozen = 0

    def _collect(self) -> None:
        made = gc.get_count()[0]
        if made < WORTH_COLLECTING:
            return
        if made + self._unfrozen > TOO_MANY_TO_WALK:
            self.settle()
            return
        gc.collect()
        self._unfrozen += made
        if self._unfrozen > TOO_MANY_TO_WALK // 2:
            self.settle()


def taking_apart(checkpoint: Checkpoint) -> Generator[None, None, None]:
    """Break the cycles of parents and children, so that nodes go with their last reference."""
    # Emptied rather than let go: a reader may hold the same list.
    while checkpoint.tensors:
        del checkpoint.tensors[-LISTED_PER_STEP:]
        yield
    while checkpoint.storages:
        for _ in range(min(len(checkpoint.storages), LISTED_PER_STEP)):
            checkpoint.storages.popitem()
        yield
    nodes = checkpoint.root.walk()
    while True:
        # walk() pushes a node's children before it hands the node out.
        batch = list(islice(nodes, NODES_PER_STEP))
        if not batch:
            return
        for node in batch:
            node.children = ()
            node.parent = None
        yield
