"""One side of the picture of a transfer: a list that is used as a tree."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QItemSelectionModel, QModelIndex, QPoint, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QAbstractItemView, QFrame, QHeaderView, QTableView, QWidget

from inspector_app.ui.copying import offer_copy
from inspector_app.ui.transfer_rows import FlowDelegate, FlowRows, row_height


class FlowColumn(QTableView):
    """The rows of the source or of the target.

    Signals:
        node_selected: the number of the node that is the current one.
        toggle_requested: unfold this module, or fold it.
        key_chosen: Enter was pressed on a key, or it was double-clicked.
    """

    node_selected = Signal(int)
    toggle_requested = Signal(int, bool)
    key_chosen = Signal(int)

    def __init__(self, is_target: bool, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows = FlowRows(is_target, self)
        self._delegate = FlowDelegate(self.rows, self)
        self._selected = -1
        self.setItemDelegate(self._delegate)
        self.setModel(self.rows)
        offer_copy(self, lambda index: self.rows.words(self.rows.node(index.row())))
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setTabKeyNavigation(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        if not is_target:
            self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        lines = self.verticalHeader()
        lines.hide()
        lines.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header = self.horizontalHeader()
        header.hide()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self._size_for_font()

    # What others ask

    def height_of_rows(self) -> int:
        """The height of one row, in pixels."""
        return self.verticalHeader().defaultSectionSize()

    def rows_on_screen(self) -> range:
        """Which rows are seen, in part at least."""
        height = self.height_of_rows()
        top = self.verticalScrollBar().value()
        first = top // height
        last = (top + self.viewport().height()) // height + 1
        return range(first, max(min(last, self.rows.rowCount()), first))

    def top_of(self, row: int) -> int:
        """Where a row begins, in pixels from the top of what is seen."""
        return row * self.height_of_rows() - self.verticalScrollBar().value()

    def current_node(self) -> int:
        """The number of the current node, or -1."""
        return self.rows.node(self.currentIndex().row())

    def go_to(self, node: int) -> bool:
        """Make a node the current one, if it is listed, and scroll to it."""
        visible = self.rows.tree.visible
        low, high = 0, len(visible)
        while low < high:  # they are listed by number
            middle = (low + high) // 2
            low, high = (middle + 1, high) if visible[middle] < node else (low, middle)
        if low == len(visible) or visible[low] != node:
            return False
        flag = QItemSelectionModel.SelectionFlag
        index = self.rows.index(low, 0)
        self.selectionModel().setCurrentIndex(index, flag.ClearAndSelect | flag.Rows)
        self.scrollTo(index)
        return True

    def keep_current(self, node: int) -> None:
        """After other rows were listed: the node, or the module that it is folded into."""
        while node >= 0 and not self.go_to(node):
            node = self.rows.tree.parents[node]

    def forget(self) -> None:
        """Another tree is shown now."""
        self._selected = -1

    # Keys and clicks

    def keyPressEvent(self, event: QKeyEvent) -> None:
        plain = not event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        node = self.current_node()
        if node < 0 or not plain or not self._tree_key(event.key(), node):
            super().keyPressEvent(event)

    def _tree_key(self, key: int, node: int) -> bool:
        tree = self.rows.tree
        module, expanded = tree.can_expand(node), bool(tree.expanded[node])
        if key in {Qt.Key.Key_Right, Qt.Key.Key_Plus}:
            if module and not expanded:
                self.toggle_requested.emit(node, True)
            elif module and key == Qt.Key.Key_Right:
                self.go_to(node + 1)
            return True
        if key in {Qt.Key.Key_Left, Qt.Key.Key_Minus}:
            if module and expanded:
                self.toggle_requested.emit(node, False)
            elif key == Qt.Key.Key_Left and tree.parents[node] >= 0:
                self.go_to(tree.parents[node])
            return True
        if key in {Qt.Key.Key_Return, Qt.Key.Key_Enter}:
            self._act(node)
            return True
        if key in {Qt.Key.Key_Home, Qt.Key.Key_End}:
            visible = tree.visible
            self.go_to(visible[0 if key == Qt.Key.Key_Home else -1])
            return True
        return False

    def _act(self, node: int) -> None:
        tree = self.rows.tree
        if tree.can_expand(node):
            self.toggle_requested.emit(node, not tree.expanded[node])
        else:
            self.key_chosen.emit(tree.key[node])

    def mousePressEvent(self, event: QMouseEvent) -> None:
        node = self._arrow_at(event.position().toPoint())
        if node >= 0 and event.button() == Qt.MouseButton.LeftButton:
            self.toggle_requested.emit(node, not self.rows.tree.expanded[node])
            return
        super().mousePressEvent(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        point = event.position().toPoint()
        node = self.rows.node(self.indexAt(point).row())
        if node >= 0 and event.button() == Qt.MouseButton.LeftButton:
            self._act(node)
            return
        super().mouseDoubleClickEvent(event)

    def _arrow_at(self, point: QPoint) -> int:
        index = self.indexAt(point)
        node = self.rows.node(index.row())
        if node < 0 or not self.rows.tree.can_expand(node):
            return -1
        place = self._delegate.arrow_rect(node, self.visualRect(index))
        return node if place.contains(point) else -1

    def currentChanged(self, current: QModelIndex, previous: QModelIndex) -> None:
        super().currentChanged(current, previous)
        node = self.rows.node(current.row())
        if node >= 0 and node != self._selected:
            self._selected = node
            self.node_selected.emit(node)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in {QEvent.Type.FontChange, QEvent.Type.StyleChange}:
            self._size_for_font()

    def _size_for_font(self) -> None:
        height = row_height(self.fontMetrics())
        lines = self.verticalHeader()
        lines.setMinimumSectionSize(height)
        lines.setDefaultSectionSize(height)
        self.verticalScrollBar().setSingleStep(height)
