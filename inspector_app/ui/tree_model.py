"""The tree as Qt sees it: a flat table of the rows that can be scrolled to.

A QTreeView asks the model about every row that it lays out, and a call from C++ into
Python costs a microsecond or more; a table view asks about the rows it paints. So
expansion is ours (`tree_visible`), and Qt sees rows come and go.
"""

from __future__ import annotations

from array import array
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QCoreApplication,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
)

from inspector_app.checkpoint.model import Checkpoint, Node, TensorInfo
from inspector_app.ui.section_words import section_words
from inspector_app.ui.text_widgets import tooltip
from inspector_app.ui.tree_columns import (
    NUMERIC,
    Column,
    cell,
    heading,
    heading_hint,
    repeats,
    value_text,
)
from inspector_app.ui.tree_nodes import TreeRows
from inspector_app.ui.tree_visible import VisibleRows

if TYPE_CHECKING:
    from inspector_app.ui.tree_order import SortKey
    from inspector_app.ui.tree_search import Query

Index = QModelIndex | QPersistentModelIndex


class Role(IntEnum):
    """What the model says beyond Qt's own roles."""

    NODE = Qt.ItemDataRole.UserRole
    ROW = Qt.ItemDataRole.UserRole + 1
    DEPTH = Qt.ItemDataRole.UserRole + 2
    CAN_EXPAND = Qt.ItemDataRole.UserRole + 3
    EXPANDED = Qt.ItemDataRole.UserRole + 4


_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
_NO_PARENT = QModelIndex()


class TreeModel(QAbstractTableModel):
    """The lines of the tree.

    Attributes:
        rows: everything there is.
        view: what of it is listed.
        sections: by `id` of a node, what the section that begins there is for, translated.
        query: the search in force, to emphasise what matched; or None.
        columns: how many there are; the first has the names.
        numeric: those that are written to the right.
    """

    columns = len(Column)
    numeric: frozenset[int] = NUMERIC

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.rows = TreeRows()
        self.view = VisibleRows(self.rows)
        self.sections: dict[int, str] = {}
        self.query: Query | None = None

    def set_rows(self, checkpoint: Checkpoint | None, view: VisibleRows) -> None:
        """Show another checkpoint."""
        self.beginResetModel()
        self.rows = view.rows
        self.view = view
        self.query = None
        self.sections = {}
        for section in checkpoint.sections if checkpoint is not None else ():
            node = checkpoint.find(section.path) if checkpoint is not None else None
            if node is not None and node.parent is not None:
                self.sections.setdefault(id(node), section_words(section.kind))
        self.endResetModel()

    def set_view(self, view: VisibleRows) -> None:
        """Replace all lines by another arrangement of the same rows."""
        self.beginResetModel()
        self.view = view
        self.endResetModel()

    def insert_below(self, line: int, positions: array[int]) -> None:
        """The row at `line` was expanded; `positions` appear below it."""
        visible = self.view.visible
        self.view.expanded[self.view.row(line)] = 1
        if positions:
            self.beginInsertRows(_NO_PARENT, line + 1, line + len(positions))
            visible[line + 1 : line + 1] = positions
            self.endInsertRows()
        self._changed(line)

    def remove_below(self, line: int) -> None:
        """Collapse the row at `line`."""
        count = self.view.count_below(line)
        self.view.expanded[self.view.row(line)] = 0
        if count:
            self.beginRemoveRows(_NO_PARENT, line + 1, line + count)
            del self.view.visible[line + 1 : line + 1 + count]
            self.endRemoveRows()
        self._changed(line)

    def node(self, line: int) -> Node | None:
        """The node at `line`; None for a group."""
        return self.rows.nodes[self.view.row(line)]

    def row(self, line: int) -> int:
        """The row at `line`, or -1."""
        return self.view.row(line) if 0 <= line < len(self.view) else -1

    # What another kind of tree has otherwise.

    def cell(self, row: int, column: int) -> str:
        """What stands in a cell, safe to show."""
        return cell(self.rows, row, column)

    def heading(self, column: int) -> str:
        """A column's title, translated."""
        return heading(column)

    def heading_hint(self, column: int) -> str:
        """What a column says, translated."""
        return heading_hint(column)

    def sort_key(self, column: int) -> SortKey:
        """What rows are ordered by; None of a row puts it last."""
        from inspector_app.ui.tree_order import sort_key

        return sort_key(column)

    def statistics_changed(self) -> None:
        """Some rows' figures have come: paint them where they are on the screen."""
        if len(self.view):
            # Column by column of one line would ask the view as often.
            last = self.index(len(self.view) - 1, self.columns - 1)
            self.dataChanged.emit(self.index(0, 0), last, [Qt.ItemDataRole.DisplayRole])

    def _changed(self, line: int) -> None:
        self.dataChanged.emit(self.index(line, 0), self.index(line, self.columns - 1))

    # What Qt calls.

    def rowCount(self, parent: Index = _NO_PARENT) -> int:
        return 0 if parent.isValid() else len(self.view.visible)

    def columnCount(self, parent: Index = _NO_PARENT) -> int:
        return 0 if parent.isValid() else self.columns

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        line, column = index.row(), index.column()
        view = self.view
        if not 0 <= line < len(view.visible):
            return None
        row = view.row(line)
        if role == Qt.ItemDataRole.DisplayRole:
            return self.cell(row, column)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _RIGHT if column in self.numeric else _LEFT
        if role == Qt.ItemDataRole.ToolTipRole:
            return tooltip(self.hint(row, column))
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return self.spoken(row, column)
        if role == Role.NODE:
            return self.rows.nodes[row]
        if role == Role.ROW:
            return row
        if role == Role.DEPTH:
            return view.depth(row)
        if role == Role.CAN_EXPAND:
            return view.can_expand(row)
        if role == Role.EXPANDED:
            return bool(view.expanded[row]) and view.can_expand(row)
        return None

    def headerData(
        self,
        section: int,
        orientation: Qt.Orientation,
        role: int = Qt.ItemDataRole.DisplayRole,
    ) -> Any:
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self.heading(section)
        if role == Qt.ItemDataRole.ToolTipRole:
            return self.heading_hint(section)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _RIGHT if section in self.numeric else _LEFT
        return None

    def hint(self, row: int, column: int) -> str:
        """What does not fit in the cell: the full name, a whole value."""
        node = self.rows.nodes[row]
        if column == Column.NAME:
            return self.rows.name(row)
        if column >= Column.MEAN:
            return self.rows.statistics.hint(row, column) if self.rows.statistics else ""
        if node is not None and not isinstance(node, TensorInfo):
            if column == Column.DTYPE:
                return node.type_name
            if column == Column.SHAPE and isinstance(node.value, str):
                return node.value
            if column == Column.SHAPE:
                return value_text(node)
        if isinstance(node, TensorInfo) and column == Column.SHAPE:
            return "(" + ", ".join(map(str, node.shape[:64])) + ")"
        return ""

    def spoken(self, row: int, column: int) -> str:
        """A cell in words: a table cannot say by itself that it is a tree."""
        text = self.cell(row, column)
        if column != Column.NAME:
            return text
        parts = [text]
        if self.rows.statistics is not None and (words := self.rows.statistics.mark(row)[1]):
            parts.append(words)
        count = repeats(self.rows, row)
        if count:
            parts.append(
                QCoreApplication.translate("tree", "{count} equal layers").format(count=count)
            )
        parts.append(
            QCoreApplication.translate("tree", "level {level}").format(
                level=self.view.depth(row) + 1
            )
        )
        if self.view.can_expand(row):
            parts.append(
                QCoreApplication.translate("tree", "expanded")
                if self.view.expanded[row]
                else QCoreApplication.translate("tree", "collapsed")
            )
        return ", ".join(parts)
