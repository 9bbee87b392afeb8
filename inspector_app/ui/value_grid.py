"""A tensor's values in a grid, of which only what is seen is read."""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QEvent,
    QModelIndex,
    QPersistentModelIndex,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QGuiApplication, QPalette
from PySide6.QtWidgets import QAbstractItemView, QFrame, QHeaderView, QTableView, QWidget

from inspector_app.analysis.quantities import count_text
from inspector_app.ui import theme
from inspector_app.ui.copying import offer_copy
from inspector_app.ui.latest_work import LatestWork
from inspector_app.ui.text_blocks import fixed_font
from inspector_app.ui.text_widgets import tooltip
from inspector_app.ui.value_source import ValueSource, figure
from inspector_app.ui.value_window import ValueWindow

# A header of Qt keeps a few bytes for each of its sections, and counts pixels in 31 bits.
MOST_ROWS, MOST_COLUMNS = 2_000_000, 200_000
MOST_COPIED = 1_000_000
_COPIED_ROWS_BYTES = 1 << 22
_WIDEST = "-1.2346e-05 "
_Index = QModelIndex | QPersistentModelIndex
_Role = Qt.ItemDataRole


class ValueModel(QAbstractTableModel):
    """A plane of a tensor."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.source: ValueSource | None = None
        self.window = ValueWindow(self)
        self.window.arrived.connect(self._arrived)
        self._rows = self._columns = 0
        self.follow_palette()

    def show(self, source: ValueSource | None) -> None:
        """Show other values."""
        self.beginResetModel()
        self.source = source
        plane = source.plane if source is not None else None
        self._rows = min(len(plane.rows), MOST_ROWS) if plane else 0
        self._columns = min(len(plane.columns), MOST_COLUMNS) if plane else 0
        self.window.show(source if plane else None)
        self.endResetModel()

    def follow_palette(self) -> None:
        """Take the colours from the palette in force."""
        tones = theme.tones(QPalette())
        self._muted, self._error = QColor(tones.muted), QColor(tones.error)

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else self._rows

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else self._columns

    def data(self, index: _Index, role: int = _Role.DisplayRole) -> Any:
        if role == _Role.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if role not in (_Role.DisplayRole, _Role.ForegroundRole, _Role.ToolTipRole):
            return None
        value = self.window.value(index.row(), index.column())
        if role == _Role.DisplayRole:
            return "…" if value is None else figure(value)
        if role == _Role.ForegroundRole:
            return self._colour(value)
        return tooltip(f"{self.place_text(index.row(), index.column())} = {figure(value, 17)}")

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = _Role.DisplayRole
    ) -> Any:
        if role != _Role.DisplayRole or self.source is None or self.source.plane is None:
            return None
        plane = self.source.plane
        if orientation == Qt.Orientation.Vertical:
            return str(plane.rows[section]) if plane.row_axis >= 0 else ""
        return str(plane.columns[section]) if plane.column_axis >= 0 else ""

    def place_text(self, row: int, column: int) -> str:
        """The index of an entry in the tensor: ``[3, 0, 17]``."""
        if self.source is None or self.source.plane is None:
            return ""
        return "[" + ", ".join(map(str, self.source.plane.place(row, column))) + "]"

    def _colour(self, value: Any) -> QColor | None:
        if value is None or value == 0:
            return self._muted
        if isinstance(value, float) and not math.isfinite(value):
            return self._error
        return None

    def _arrived(self, top: int, left: int, bottom: int, right: int) -> None:
        bottom, right = min(bottom, self._rows - 1), min(right, self._columns - 1)
        self.dataChanged.emit(self.index(top, left), self.index(bottom, right))


class ValueGrid(QTableView):
    """The grid, and copying from it.

    Signals:
        message: one sentence.
        failed: the values could not be read.
    """

    message = Signal(str)
    failed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(self.tr("Values"))
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setFont(fixed_font())
        self.setSelectionMode(QAbstractItemView.SelectionMode.ContiguousSelection)
        self.setTabKeyNavigation(False)
        self.setWordWrap(False)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerItem)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerItem)
        self.setCornerButtonEnabled(False)
        self.values = ValueModel(self)
        self.values.window.failed.connect(self.failed)
        self.setModel(self.values)
        self._copying = LatestWork(self)
        offer_copy(self, copy=self.copy)
        metrics = self.fontMetrics()
        for header, size in (
            (self.horizontalHeader(), metrics.horizontalAdvance(_WIDEST) + 8),
            (self.verticalHeader(), metrics.height() + 6),
        ):
            header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
            header.setMinimumSectionSize(8)
            header.setDefaultSectionSize(size)
            header.setHighlightSections(True)
            header.setFont(self.font())
        # Room beside a bold number of one digit.
        self.verticalHeader().setMinimumWidth(4 * metrics.averageCharWidth())
        self.verticalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignCenter)

    def show_source(self, source: ValueSource | None) -> None:
        """Show other values."""
        self._copying.cancel()
        self.values.show(source)
        if self.values.rowCount() and self.values.columnCount():
            self.setCurrentIndex(self.values.index(0, 0))

    def stop(self) -> None:
        """End all reading before the reader is closed."""
        self._copying.stop()
        self.values.show(None)
        self.values.window.stop()

    def note(self) -> str:
        """What of the plane the grid leaves out, as a sentence, or ""."""
        source = self.values.source
        if source is None or source.plane is None:
            return ""
        rows, columns = len(source.plane.rows), len(source.plane.columns)
        if rows <= MOST_ROWS and columns <= MOST_COLUMNS:
            return ""
        return self.tr("The first {rows} × {columns} of {all} values; slice to see others.").format(
            rows=count_text(min(rows, MOST_ROWS)),
            columns=count_text(min(columns, MOST_COLUMNS)),
            all=count_text(rows * columns),
        )

    def copy(self) -> None:
        """Copy the selected values, a line for each row, tabs between."""
        chosen = self.selectionModel().selection()
        source = self.values.source
        if source is None or not chosen:
            return
        part = chosen[0]
        count = part.width() * part.height()
        if count > MOST_COPIED:
            self.message.emit(
                self.tr("{count} values are too many to copy; save the tensor as .npy").format(
                    count=count_text(count)
                )
            )
            return
        rows = slice(part.top(), part.bottom() + 1)
        columns = slice(part.left(), part.right() + 1)
        self._copying.run(
            _lines(source, rows, columns),
            lambda _: None,
            lambda text: self._copied(text, count),
            self.failed.emit,
        )

    def _copied(self, text: str, count: int) -> None:
        QGuiApplication.clipboard().setText(text)
        self.message.emit(self.tr("{count} values copied").format(count=count_text(count)))

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self.values.follow_palette()
            self.viewport().update()


def _lines(source: ValueSource, rows: slice, columns: slice) -> Generator[None, None, str]:
    """The values as text, each with the digits that tell it from its neighbours."""
    from inspector_app.analysis.decimate import as_floats, read_plane

    assert source.plane is not None
    step = max(1, _COPIED_ROWS_BYTES // (64 * (columns.stop - columns.start)))
    lines = []
    for top in range(rows.start, rows.stop, step):
        part = slice(top, min(top + step, rows.stop))
        values = read_plane(source.reader, source.tensor, source.plane, part, columns, source.raw)
        if values.dtype.isbuiltin != 1:
            values = as_floats(values)
        lines += ["\t".join(row) for row in values.astype(str).tolist()]
        yield
    return "\n".join(lines)
