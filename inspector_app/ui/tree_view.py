"""The table that shows the tree's lines, and takes keys and clicks as a tree does."""

from __future__ import annotations

from time import monotonic, perf_counter

from PySide6.QtCore import (
    QByteArray,
    QEvent,
    QItemSelectionModel,
    QModelIndex,
    QPoint,
    QSignalBlocker,
    Qt,
    Signal,
)
from PySide6.QtGui import QFocusEvent, QKeyEvent, QKeySequence, QMouseEvent, QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from inspector_app.ui.tree_arranger import TreeArranger
from inspector_app.ui.tree_columns import HIDDEN_AT_FIRST, STATISTICS, Column
from inspector_app.ui.tree_delegate import PADDING, TreeDelegate, row_height
from inspector_app.ui.tree_model import TreeModel
from inspector_app.ui.tree_visible import MATCH

NARROWEST_NAME = 180
# With columns about values one scrolls to the side in any case.
NARROWEST_BESIDE_FIGURES = 300
# Typing ahead looks no further than this.
SEARCH_SECONDS = 0.03
TYPING_SECONDS = 1.0

# What each column must have room for, in the window's font.
_SAMPLES = {
    Column.SHAPE: "4096 × 4096 × 3",
    Column.DTYPE: "float8_e4m3fn",
    Column.PARAMETERS: "100,000,000",
    Column.SIZE: "999.9 MB",
    Column.DEVICE: "cuda:00",
    Column.ZEROS: "> 99.99 %",
    Column.NANS: "⚠ 12 NaN, 3 Inf",
    **dict.fromkeys(STATISTICS[:-2], "-1.234e-5"),
}


class TreeView(QTableView):
    """The lines of a `TreeModel`.

    Signals:
        row_selected: the current row's number, or -1.
        copy_requested: Ctrl+C.
        sort_changed: a column and whether descending; -1 is the file's order.
        statistics_wanted: a column about values is to be shown, and there is none to show.
    """

    row_selected = Signal(int)
    copy_requested = Signal()
    sort_changed = Signal(int, bool)
    statistics_wanted = Signal()

    # What another kind of tree has otherwise.
    delegate_class = TreeDelegate
    samples: dict[int, str] = _SAMPLES
    hidden_at_first: frozenset[int] = HIDDEN_AT_FIRST
    on_request: tuple[int, ...] = STATISTICS

    def __init__(
        self, model: TreeModel, arranger: TreeArranger, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        # Asked for Qt's own, of which it knows no more than that it is a widget, PySide makes
        # every class of widgets there is to find out.
        self.setViewport(QWidget())
        self._tree = model
        self._arranger = arranger
        self._delegate = self.delegate_class(model, self)
        self._selected = -1
        self._typed = ""
        self._typed_at = 0.0
        self._name_by_hand = False
        self._fitting = False
        self.hovered_line = -1
        self.setMouseTracking(True)
        self.entered.connect(self._entered)
        self.viewportEntered.connect(self._left)
        self.setItemDelegate(self._delegate)
        self.setModel(model)
        self.setAccessibleName(self.tr("Checkpoint tree"))
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setCornerButtonEnabled(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setTabKeyNavigation(False)
        self.setFrameShape(QTableView.Shape.NoFrame)
        lines = self.verticalHeader()
        lines.hide()
        lines.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        columns = self.horizontalHeader()
        columns.setSectionsClickable(True)
        columns.setSectionsMovable(True)
        columns.setFirstSectionMovable(False)
        columns.setHighlightSections(False)
        columns.setSortIndicatorShown(True)
        columns.setSortIndicatorClearable(True)
        columns.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        columns.setMinimumSectionSize(48)
        columns.sortIndicatorChanged.connect(self._sort_changed)
        columns.sectionResized.connect(self._section_resized)
        model.modelReset.connect(self._find_line_again)
        for column in self.hidden_at_first:
            self.setColumnHidden(column, True)
        self._size_for_font()

    # What others ask

    def current_row(self) -> int:
        """The number of the current row, or -1."""
        return self._tree.row(self.currentIndex().row())

    def selected_lines(self) -> list[int]:
        """The selected lines from the top, without asking for an index of each."""
        lines: set[int] = set()
        for part in self.selectionModel().selection():
            lines.update(range(part.top(), part.bottom() + 1))
        return sorted(lines)

    def go_to_row(self, row: int) -> bool:
        """Make `row` the current one; False where it is not listed."""
        line = self._tree.view.index(row)
        if line < 0:
            return False
        self.go_to_line(line)
        return True

    def go_to_line(self, line: int) -> None:
        """Make the row at `line` the current one and scroll to it."""
        index = self._tree.index(line, 0)
        self._select(index)
        # Qt would scroll to the left edge of the cell too.
        left = self.horizontalScrollBar().value()
        self.scrollTo(index)
        self.horizontalScrollBar().setValue(left)

    def is_at_match(self, shown: bytearray) -> bool:
        """The current row is among those that a search found."""
        row = self.current_row()
        return row >= 0 and bool(shown[row] & MATCH)

    def go_to_match(self, shown: bytearray) -> None:
        """Go to the first listed row that a search found."""
        view = self._tree.view
        for line in range(len(view)):
            if shown[view.row(line)] & MATCH:
                self.go_to_line(line)
                return

    def restore_columns(self, state: QByteArray) -> None:
        """Arrange the columns as the header's state says. Sorting is not restored."""
        header = self.horizontalHeader()
        self._fitting = True
        with QSignalBlocker(header):
            header.restoreState(state)
            header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self._fitting = False
        self.setColumnHidden(Column.NAME, False)
        # Those about values come with them, and older states do not know them.
        for column in self.on_request:
            self._size_column(column)
        self.show_statistics(self._tree.rows.statistics is not None)

    def setColumnHidden(self, column: int, hide: bool) -> None:
        """Hide or show a column; one about values asks for them."""
        super().setColumnHidden(column, hide)
        if not hide and column in self.on_request and self._tree.rows.statistics is None:
            self.statistics_wanted.emit()

    def show_statistics(self, shown: bool) -> None:
        """Show or hide all columns about values."""
        for column in self.on_request:
            super().setColumnHidden(column, not shown)
        self.fit_name()

    def toggle(self, line: int) -> None:
        """Expand or collapse."""
        view = self._tree.view
        if view.expanded[view.row(line)]:
            self._arranger.collapse(line)
        else:
            self._arranger.expand(line)

    def fit_name(self) -> None:
        """Give the name what the other columns leave, unless the user has set its width."""
        if self._name_by_hand:
            return
        others = sum(map(self.columnWidth, range(Column.NAME + 1, self._tree.columns)))
        self._fitting = True
        figures = any(not self.isColumnHidden(column) for column in self.on_request)
        least = NARROWEST_BESIDE_FIGURES if figures else NARROWEST_NAME
        self.setColumnWidth(Column.NAME, max(self.viewport().width() - others, least))
        self._fitting = False

    # Keys and clicks

    def keyPressEvent(self, event: QKeyEvent) -> None:
        line = self.currentIndex().row()
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy_requested.emit()
            return
        key = event.key()
        plain = not event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        starred = key == Qt.Key.Key_Asterisk
        if line < 0 or not (plain or starred) or not self._tree_key(key, line):
            super().keyPressEvent(event)

    def _tree_key(self, key: int, line: int) -> bool:
        view = self._tree.view
        row = view.row(line)
        can_expand, expanded = view.can_expand(row), bool(view.expanded[row])
        if key in {Qt.Key.Key_Right, Qt.Key.Key_Plus}:
            if can_expand and not expanded:
                self._arranger.expand(line)
            elif can_expand and key == Qt.Key.Key_Right and line + 1 < len(view):
                self.go_to_line(line + 1)
        elif key in {Qt.Key.Key_Left, Qt.Key.Key_Minus}:
            if can_expand and expanded:
                self._arranger.collapse(line)
            elif key == Qt.Key.Key_Left:
                parent = view.parent(row)
                if parent >= 0:
                    self.go_to_row(parent)
        elif key in {Qt.Key.Key_Return, Qt.Key.Key_Enter}:
            self.toggle(line)
        elif key == Qt.Key.Key_Asterisk:
            self._arranger.expand_levels(-1, below=row)
        elif key == Qt.Key.Key_Home:
            self.go_to_line(0)
        elif key == Qt.Key.Key_End:
            self.go_to_line(len(view) - 1)
        else:
            return False
        return True

    def keyboardSearch(self, search: str) -> None:
        """Go to the next line whose name begins with what was typed within a second."""
        now = monotonic()
        fresh = now - self._typed_at > TYPING_SECONDS
        self._typed_at = now
        self._typed = search if fresh else self._typed + search
        wanted = self._typed.lower()
        view, labels = self._tree.view, self._tree.rows.labels
        count = len(view)
        if not count or not wanted.strip():
            return
        # Another character narrows what was found; the first one moves on.
        start = max(self.currentIndex().row(), 0) + (1 if len(wanted) == 1 else 0)
        end = perf_counter() + SEARCH_SECONDS
        for step in range(count):
            line = (start + step) % count
            if labels[view.row(line)][: len(wanted)].lower() == wanted:
                self.go_to_line(line)
                return
            if step % 256 == 255 and perf_counter() > end:
                return

    def mousePressEvent(self, event: QMouseEvent) -> None:
        line = self.arrow_at(event.position().toPoint())
        if line >= 0 and event.button() == Qt.MouseButton.LeftButton:
            self.toggle(line)
            return
        super().mousePressEvent(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        point = event.position().toPoint()
        if event.button() == Qt.MouseButton.LeftButton:
            line = self.indexAt(point).row()
            # The second click on an arrow is a click of its own.
            if line >= 0:
                self.toggle(line)
                return
        super().mouseDoubleClickEvent(event)

    def arrow_at(self, point: QPoint) -> int:
        """The line whose arrow is at `point`, or -1."""
        index = self.indexAt(point)
        if not index.isValid() or index.column() != Column.NAME:
            return -1
        line = index.row()
        if not self._tree.view.can_expand(self._tree.view.row(line)):
            return -1
        return (
            line if self._delegate.arrow_rect(line, self.visualRect(index)).contains(point) else -1
        )

    # Selection

    def _entered(self, index: QModelIndex) -> None:
        self.hovered_line = index.row()

    def _left(self) -> None:
        self.hovered_line = -1

    def leaveEvent(self, event: QEvent) -> None:
        self._left()
        super().leaveEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        # Coming by key, one must see where one is.
        by_key = event.reason() in {
            Qt.FocusReason.TabFocusReason,
            Qt.FocusReason.BacktabFocusReason,
            Qt.FocusReason.ShortcutFocusReason,
        }
        if by_key and len(self._tree.view) and not self.selectionModel().hasSelection():
            self.go_to_line(max(self.currentIndex().row(), 0))

    def currentChanged(self, current: QModelIndex, previous: QModelIndex) -> None:
        super().currentChanged(current, previous)
        row = self._tree.row(current.row())
        if row >= 0 and row != self._selected:
            self._selected = row
            self.row_selected.emit(row)

    def forget_selection(self) -> None:
        """Other rows are shown now."""
        self._selected = -1

    def _find_line_again(self) -> None:
        """The lines are others: go to the row that was the current one, if it is listed."""
        rows = self._tree.rows
        if 0 <= self._selected < len(rows):
            line = self._tree.view.index(self._selected)
            if line >= 0:
                self._select(self._tree.index(line, 0))

    def _select(self, index: QModelIndex) -> None:
        # setCurrentIndex() of the view would look at the modifier keys: Ctrl adds to the
        # selection, also where the key belongs to a shortcut that led here.
        flag = QItemSelectionModel.SelectionFlag
        self.selectionModel().setCurrentIndex(index, flag.ClearAndSelect | flag.Rows)

    # Columns

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in {QEvent.Type.FontChange, QEvent.Type.StyleChange}:
            self._size_for_font()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.fit_name()

    def _size_for_font(self) -> None:
        height = row_height(self.fontMetrics())
        lines = self.verticalHeader()
        lines.setMinimumSectionSize(height)
        lines.setDefaultSectionSize(height)
        self.verticalScrollBar().setSingleStep(height)
        self.horizontalScrollBar().setSingleStep(height)
        for column in self.samples:
            self._size_column(column)
        self.fit_name()

    def _size_column(self, column: int) -> None:
        advance = self.fontMetrics().horizontalAdvance(self.samples[column])
        self.setColumnWidth(column, advance + 2 * PADDING + 4)

    def _section_resized(self, column: int, old: int, new: int) -> None:
        if self._fitting or old == 0 or new == 0:
            return
        if column == Column.NAME:
            self._name_by_hand = True
        else:
            self.fit_name()

    def _sort_changed(self, column: int, order: Qt.SortOrder) -> None:
        self.sort_changed.emit(column, order == Qt.SortOrder.DescendingOrder)
