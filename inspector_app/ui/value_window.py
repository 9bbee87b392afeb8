"""The values that a grid shows, read where it looks and kept for a while."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Generator
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from inspector_app.ui.latest_work import LatestWork
from inspector_app.ui.value_source import ValueSource

BLOCK_ROWS, BLOCK_COLUMNS = 32, 32
KEPT_BLOCKS = 256
ASKED_BLOCKS = 64  # what was asked for before these has scrolled by
# A block whose rows lie farther apart is read row by row, not with all that is between.
SPREAD_ELEMENTS = 1 << 16

Key = tuple[int, int]


class ValueWindow(QObject):
    """Blocks of a plane's values.

    Signals:
        arrived: the rows and columns ``(top, left, bottom, right)`` of a block can be shown.
        failed: an error ended the reading.
    """

    arrived = Signal(int, int, int, int)
    failed = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._source: ValueSource | None = None
        self._blocks: OrderedDict[Key, list[list[Any]]] = OrderedDict()
        self._wanted: deque[Key] = deque()
        self._asked: set[Key] = set()
        self._work = LatestWork(self)
        self._begin = QTimer(self)
        self._begin.setSingleShot(True)
        self._begin.setInterval(0)
        self._begin.timeout.connect(self._read)

    def show(self, source: ValueSource | None) -> None:
        """Show other values; those shown so far are forgotten."""
        self._work.cancel()
        self._source = source
        self._blocks.clear()
        # A new one: the thread that is ending may still look into the old.
        self._wanted = deque()
        self._asked.clear()

    def stop(self) -> None:
        """End the reading before the reader is closed."""
        self.show(None)
        self._work.stop()

    def value(self, row: int, column: int) -> Any:
        """A Python number, or None: then its block is being read."""
        key = row // BLOCK_ROWS, column // BLOCK_COLUMNS
        block = self._blocks.get(key)
        if block is not None:
            self._blocks.move_to_end(key)
            return block[row % BLOCK_ROWS][column % BLOCK_COLUMNS]
        if self._source is not None and key not in self._asked:
            self._ask(key)
        return None

    def _ask(self, key: Key) -> None:
        self._asked.add(key)
        self._wanted.append(key)
        if len(self._wanted) > ASKED_BLOCKS:
            try:
                self._asked.discard(self._wanted.popleft())
            except IndexError:  # the thread took them all meanwhile
                return
        if not self._work.running:
            self._begin.start()

    def _read(self) -> None:
        if self._source is not None and self._wanted and not self._work.running:
            reading = _reading(self._source, self._wanted)
            self._work.run(reading, self._keep, self._read_again, self._fail)

    def _read_again(self, _result: object) -> None:
        self._read()

    def _keep(self, found: tuple[Key, list[list[Any]]]) -> None:
        key, block = found
        self._asked.discard(key)
        self._blocks[key] = block
        while len(self._blocks) > KEPT_BLOCKS:
            self._blocks.popitem(last=False)
        top, left = key[0] * BLOCK_ROWS, key[1] * BLOCK_COLUMNS
        if block and block[0]:
            self.arrived.emit(top, left, top + len(block) - 1, left + len(block[0]) - 1)

    def _fail(self, error: Exception) -> None:
        # Asked for again and again, it would fail again and again.
        self._source = None
        self.failed.emit(error)


def _reading(
    source: ValueSource, wanted: deque[Key]
) -> Generator[tuple[Key, list[list[Any]]], None, None]:
    """Read blocks, those asked for last first, until nobody asks for more."""
    while True:
        try:
            key = wanted.pop()
        except IndexError:
            return
        yield key, _block(source, key)


def _block(source: ValueSource, key: Key) -> list[list[Any]]:
    from inspector_app.analysis.decimate import as_floats, read_plane

    plane = source.plane
    assert plane is not None
    top, left = key[0] * BLOCK_ROWS, key[1] * BLOCK_COLUMNS
    columns = slice(left, left + BLOCK_COLUMNS)
    bottom = min(top + BLOCK_ROWS, len(plane.rows))
    stride = source.reader.elements(source.tensor, source.raw).stride
    spread = plane.row_axis >= 0 and stride[plane.row_axis] * abs(plane.rows.step) > SPREAD_ELEMENTS
    parts = [slice(row, row + 1) for row in range(top, bottom)] if spread else [slice(top, bottom)]
    rows: list[list[Any]] = []
    for part in parts:
        values = read_plane(source.reader, source.tensor, plane, part, columns, source.raw)
        if values.dtype.isbuiltin != 1:
            values = as_floats(values)
        rows += values.tolist()
    return rows
