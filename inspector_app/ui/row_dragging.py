"""Dragging rows out of the tree: by the name of one, or anywhere on what is selected.

Elsewhere pulling with the mouse selects rows, as it does in any table.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QItemSelectionModel, QModelIndex, QObject, QPoint, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QApplication

from inspector_app.ui.tree_columns import Column
from inspector_app.ui.tree_view import TreeView

_Kind = QEvent.Type


class RowDragging(QObject):
    """Tells a drag from a click.

    Args:
        view: whose rows they are.
        drag: begins the drag of what is selected, and returns when it has ended.
    """

    def __init__(self, view: TreeView, drag: Callable[[], object]) -> None:
        super().__init__(view)
        self._view = view
        self._drag = drag
        self._from: QPoint | None = None
        self._kept = QModelIndex()
        view.viewport().installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        kind = event.type()
        if kind == _Kind.MouseButtonPress and isinstance(event, QMouseEvent):
            return self._press(event)
        if self._from is None or not isinstance(event, QMouseEvent):
            return False
        if kind == _Kind.MouseMove:
            return self._move(event)
        if kind == _Kind.MouseButtonRelease:
            self._release()
        return False

    def _press(self, event: QMouseEvent) -> bool:
        """Whether the view is not to know of it yet: it would select this row alone."""
        self._from, self._kept = None, QModelIndex()
        plain = event.modifiers() == Qt.KeyboardModifier.NoModifier
        if event.button() != Qt.MouseButton.LeftButton or not plain:
            return False
        point = event.position().toPoint()
        index = self._view.indexAt(point)
        if not index.isValid() or self._view.arrow_at(point) >= 0:
            return False
        selection = self._view.selectionModel()
        selected = selection.isSelected(index)
        if selected or index.column() == Column.NAME:
            self._from = point
        if selected and len(selection.selectedRows()) > 1:
            self._kept = index
            return True
        return False

    def _move(self, event: QMouseEvent) -> bool:
        assert self._from is not None
        if not event.buttons() & Qt.MouseButton.LeftButton:
            self._from = None
            return False
        far = (event.position().toPoint() - self._from).manhattanLength()
        if far >= QApplication.startDragDistance():
            self._from, self._kept = None, QModelIndex()
            self._drag()
        return True

    def _release(self) -> None:
        if self._kept.isValid():
            flag = QItemSelectionModel.SelectionFlag
            flags = flag.ClearAndSelect | flag.Rows
            self._view.selectionModel().setCurrentIndex(self._kept, flags)
        self._from, self._kept = None, QModelIndex()
