"""The first elements that differ, with their places and values."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHeaderView,
    QTableView,
    QWidget,
)

from inspector_app.analysis.quantities import count_text
from inspector_app.ui.copying import offer_copy
from inspector_app.ui.pair_source import PairSource
from inspector_app.ui.pair_view import PairView
from inspector_app.ui.text_blocks import fixed_font
from inspector_app.ui.text_widgets import MutedLabel, tooltip
from inspector_app.ui.value_source import figure

if TYPE_CHECKING:
    from inspector_app.analysis.pair_views import Difference

MOST_LISTED = 200
DIGITS, ALL_DIGITS = 5, 17
_Index = QModelIndex | QPersistentModelIndex
_Role = Qt.ItemDataRole


class _Elements(QAbstractTableModel):
    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.found: list[Difference] = []

    def show(self, found: list[Difference]) -> None:
        self.beginResetModel()
        self.found = found
        self.endResetModel()

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.found)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else 4

    def data(self, index: _Index, role: int = _Role.DisplayRole) -> Any:
        if role == _Role.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if not 0 <= index.row() < len(self.found):
            return None
        if role == _Role.DisplayRole:
            return self.text(index.row(), index.column(), DIGITS)
        if role == _Role.ToolTipRole:
            found = self.found[index.row()]
            code = found.a_code if index.column() == 1 else found.b_code
            text = self.text(index.row(), index.column(), ALL_DIGITS)
            return tooltip(f"{text}\n0x{code:x}" if index.column() in {1, 2} else text)
        return None

    def text(self, row: int, column: int, digits: int) -> str:
        found = self.found[row]
        if column == 0:
            return "[" + ", ".join(map(str, found.place)) + "]"
        if column == 3:
            return _apart(found, digits)
        return figure(found.a if column == 1 else found.b, digits)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = _Role.DisplayRole
    ) -> Any:
        if orientation == Qt.Orientation.Horizontal and role == _Role.DisplayRole:
            return (self.tr("Place"), "A", "B", "B − A")[section]
        if role == _Role.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None


def _apart(found: Difference, digits: int) -> str:
    a, b = found.a, found.b
    if isinstance(a, bool) or isinstance(b, bool):
        return figure(int(b) - int(a), digits)
    return figure(b - a, digits)


class PairElements(PairView):
    """A table of elements."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(MutedLabel(), parent)
        self._pair_differs = 0
        self._model = _Elements(self)
        self.table = QTableView()
        self.table.setModel(self._model)
        self.table.setAccessibleName(self.tr("First elements that differ"))
        self.table.setFont(fixed_font())
        # As they are listed they have been rounded.
        offer_copy(
            self.table, lambda index: self._model.text(index.row(), index.column(), ALL_DIGITS)
        )
        self.table.setShowGrid(False)
        self.table.setFrameShape(QFrame.Shape.NoFrame)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setTabKeyNavigation(False)
        self.table.verticalHeader().hide()
        lines = self.table.verticalHeader()
        lines.setDefaultSectionSize(self.table.fontMetrics().height() + 5)
        header = self.table.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        self._column.addWidget(self._words)
        self._column.addWidget(self.table, 1)

    def show_source(self, source: PairSource | None) -> None:
        self._model.show([])
        metrics = source.pair.metrics if source is not None else None
        self._pair_differs = metrics.differing if metrics is not None else 0
        super().show_source(source)

    def texts(self) -> list[tuple[str, ...]]:
        """The rows of the table."""
        rows = range(self._model.rowCount())
        return [tuple(self._model.text(row, c, DIGITS) for c in range(4)) for row in rows]

    @staticmethod
    def _steps(source: PairSource) -> Generator[list[Difference] | None, None, None]:
        from inspector_app.analysis.pair_views import first_differences

        metrics = source.pair.metrics
        first = max(metrics.first, 0) if metrics is not None else 0
        yield from first_differences(source.readers, source.a, source.b, MOST_LISTED, first)

    def _show(self, found: list[Difference]) -> None:
        self._model.show(found)
        if not found:
            self._words.setText(self.tr("No element differs."))
        elif self._pair_differs > len(found):
            self._words.setText(
                self.tr("The first {n} of {all} elements that differ").format(
                    n=count_text(len(found)), all=count_text(self._pair_differs)
                )
            )
        elif len(found) == MOST_LISTED:
            self._words.setText(
                self.tr("The first {n} elements that differ").format(n=count_text(len(found)))
            )
        elif len(found) == 1:
            self._words.setText(self.tr("The one element that differs"))
        else:
            self._words.setText(
                self.tr("All {n} elements that differ").format(n=count_text(len(found)))
            )
