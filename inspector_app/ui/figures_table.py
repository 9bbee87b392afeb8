"""A small table to read: as tall as its rows, up to some, with figures at the right."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from inspector_app.ui.copying import offer_copy
from inspector_app.ui.text_widgets import tooltip

_LONG = 40  # characters of a cell that has a tooltip


class FiguresTable(QTableWidget):
    """Names in the first column, which takes the room, and figures in the others.

    Args:
        name: for those who do not see it.
        heads: of the columns.
        most: rows that are shown without scrolling.
    """

    def __init__(
        self, name: str, heads: Sequence[str], most: int = 9, parent: QWidget | None = None
    ) -> None:
        super().__init__(0, len(heads), parent)
        self._most = most
        self.setAccessibleName(name)
        self.setHorizontalHeaderLabels(list(heads))
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setTabKeyNavigation(False)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + 10)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setStyleSheet(_STYLE)
        self.setAlternatingRowColors(True)
        offer_copy(self)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column in range(len(heads)):
            self.horizontalHeaderItem(column).setTextAlignment(_side(column))

    def show_rows(self, rows: Sequence[Sequence[str]]) -> None:
        """Show these."""
        self.setRowCount(len(rows))
        for row, cells in enumerate(rows):
            for column, text in enumerate(cells):
                item = QTableWidgetItem(text)
                item.setTextAlignment(_side(column))
                item.setToolTip(tooltip(text) if len(text) > _LONG else "")
                self.setItem(row, column, item)
        shown = min(max(len(rows), 1), self._most)
        height = self.horizontalHeader().sizeHint().height() + 2 * self.frameWidth() + 2
        self.setFixedHeight(height + shown * self.verticalHeader().defaultSectionSize())

    def rows(self) -> list[list[str]]:
        """What is shown."""
        return [
            [self.item(row, column).text() for column in range(self.columnCount())]
            for row in range(self.rowCount())
        ]


def _side(column: int) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignRight if column else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter


# Cells and headings begin and end at the same places.
_STYLE = (
    "QTableView::item { padding: 0 3px; }"
    "QHeaderView::section { padding: 3px 6px; border: 0; background: palette(window);"
    " border-bottom: 1px solid palette(mid); }"
)
