"""A table of many rows of text, with a field to search it: rows can be copied and chosen."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QPersistentModelIndex,
    Qt,
    Signal,
)
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLineEdit,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from inspector_app.ui.copying import offer_copy
from inspector_app.ui.tasks import Steps
from inspector_app.ui.text_widgets import tooltip

_Index = QModelIndex | QPersistentModelIndex
_Role = Qt.ItemDataRole
Row = tuple[str, ...]
_LONG = 24
_SAMPLED = 200  # rows that are measured for the width of a column
_AT_ONCE = 500  # rows that are searched between two looks at the clock
_WIDEST = 0.45  # of the table, for any column but the one that stretches


class _Rows(QAbstractTableModel):
    def __init__(self, heads: Sequence[str], parent: QWidget) -> None:
        super().__init__(parent)
        self._heads = heads
        self._rows: Sequence[Row] = ()
        self._hints: Callable[[int], str] | None = None
        self.shown: Sequence[int] = ()

    def show(self, rows: Sequence[Row], hints: Callable[[int], str] | None) -> None:
        self._rows, self._hints = rows, hints
        self.keep(range(len(rows)))

    def keep(self, numbers: Sequence[int]) -> None:
        """The rows of these numbers."""
        self.beginResetModel()
        self.shown = numbers
        self.endResetModel()

    def finding(self, text: str) -> Generator[None, None, Sequence[int]]:
        """The numbers of the rows that have `text` in any column, in short steps."""
        rows, wanted = self._rows, text.casefold()
        if not wanted:
            return range(len(rows))
        found: list[int] = []
        for start in range(0, len(rows), _AT_ONCE):
            if start:
                yield
            found += [
                number
                for number in range(start, min(start + _AT_ONCE, len(rows)))
                if any(wanted in cell.casefold() for cell in rows[number])
            ]
        return found

    def row(self, place: int) -> Row:
        return self._rows[self.shown[place]]

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.shown)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self._heads)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = _Role.DisplayRole
    ) -> Any:
        if orientation == Qt.Orientation.Horizontal and role == _Role.DisplayRole:
            return self._heads[section]
        if role == _Role.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        return None

    def data(self, index: _Index, role: int = _Role.DisplayRole) -> Any:
        if role == _Role.DisplayRole:
            return self.row(index.row())[index.column()]
        if role == _Role.ToolTipRole:
            hint = self._hints(self.shown[index.row()]) if self._hints is not None else ""
            text = self.row(index.row())[index.column()]
            return tooltip(hint or (text if len(text) > _LONG else "")) or None
        return None


class _View(QTableView):
    chosen = Signal(int)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            if self.currentIndex().isValid():
                self.chosen.emit(self.currentIndex().row())
        else:
            super().keyPressEvent(event)


class TextTable(QWidget):
    """Rows to read, search, copy and choose.

    Args:
        name: for those who do not see it.
        heads: of the columns.
        stretched: the column that takes the room.
        most: rows that are shown without scrolling.

    Signals:
        chosen: the number of a row, by a double click or the Enter key.
    """

    chosen = Signal(int)

    def __init__(
        self,
        name: str,
        heads: Sequence[str],
        *,
        stretched: int = 0,
        most: int = 9,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._most = most
        self._model = _Rows(heads, self)
        self.search = QLineEdit()
        self.search.setClearButtonEnabled(True)
        self.search.setPlaceholderText(self.tr("Search"))
        self.search.setAccessibleName(self.tr("Search: {what}").format(what=name))
        self.search.textChanged.connect(self._search)
        self._steps: Steps | None = None
        self.view = _View()
        self.view.setAccessibleName(name)
        self.view.setModel(self._model)
        offer_copy(self.view)
        self.view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.view.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.view.setTabKeyNavigation(False)
        self.view.setShowGrid(False)
        self.view.setWordWrap(False)
        self.view.setAlternatingRowColors(True)
        self.view.verticalHeader().hide()
        height = self.fontMetrics().height() + 8
        self.view.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.view.verticalHeader().setDefaultSectionSize(height)
        header = self.view.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(stretched, QHeaderView.ResizeMode.Stretch)
        self._stretched = stretched
        self.view.doubleClicked.connect(lambda index: self._choose(index.row()))
        self.view.chosen.connect(self._choose)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.search)
        layout.addWidget(self.view)

    def show_rows(self, rows: Sequence[Row], hints: Callable[[int], str] | None = None) -> None:
        """Show these.

        Args:
            rows: of cells, plain; what is many is made when it is asked for.
            hints: the tool tip of the row of a number, or "".
        """
        self.search.clear()
        self._end_search()
        self._model.show(rows, hints)
        self.search.setVisible(len(rows) > self._most)
        section = self.view.verticalHeader().defaultSectionSize()
        head = self.view.horizontalHeader().sizeHint().height()
        count = min(max(len(rows), 1), self._most)
        self.view.setFixedHeight(head + count * section + 2 * self.view.frameWidth())
        metrics = self.view.fontMetrics()
        sampled = [rows[place] for place in range(min(len(rows), _SAMPLED))]
        for column in range(self._model.columnCount()):
            if column != self._stretched:
                texts = [row[column] for row in sampled]
                texts.append(str(self._model.headerData(column, Qt.Orientation.Horizontal)))
                widest = max(map(metrics.horizontalAdvance, texts)) + 14
                most = int(_WIDEST * max(self.width(), 300))
                self.view.setColumnWidth(column, min(widest, most))

    def rows(self) -> list[Row]:
        """What the search has left, from top to bottom."""
        return [self._model.row(place) for place in range(self._model.rowCount())]

    def is_searching(self) -> bool:
        """The rows that are left are not known yet."""
        return self._steps is not None

    def _search(self, text: str) -> None:
        self._end_search()
        steps = self._model.finding(text)
        try:
            next(steps)  # few rows change with the key that is pressed
        except StopIteration as end:
            self._model.keep(end.value)
            return
        self._steps = Steps(steps, self)
        self._steps.finished.connect(self._found)
        self._steps.start()

    def _found(self, numbers: Sequence[int]) -> None:
        self._end_search()
        self._model.keep(numbers)

    def _end_search(self) -> None:
        if self._steps is not None:
            self._steps.cancel()
            self._steps.deleteLater()
            self._steps = None

    def _choose(self, place: int) -> None:
        self.chosen.emit(self._model.shown[place])
