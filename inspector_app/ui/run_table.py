"""The checkpoints of a run, a row each; rows keep their selection while others come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    Qt,
    Signal,
)
from PySide6.QtGui import QGuiApplication, QKeyEvent, QPalette
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from inspector_app.analysis.quantities import size_text
from inspector_app.analysis.run_checkpoints import FileState, Run, RunCheckpoint
from inspector_app.checkpoint.text import plain
from inspector_app.ui import icons, theme
from inspector_app.ui.copying import copy_text, offer_copy
from inspector_app.ui.run_words import number, state_text, time_text
from inspector_app.ui.text_widgets import tooltip

NAME, EPOCH, STEP, STATE = range(4)
_Index = QModelIndex | QPersistentModelIndex
_Role = Qt.ItemDataRole
_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_ICONS = {
    FileState.BEING_WRITTEN: "reload",
    FileState.INCOMPLETE: "warning",
    FileState.UNREADABLE: "error",
}
_MOST_METRICS = 4
# Figures at the right of one column stand clear of words at the left of the next.
_STYLE = "QTableView::item { padding: 0 6px; } QHeaderView::section { padding: 3px 6px; }"


class _Rows(QAbstractTableModel):
    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.run: Run | None = None
        self.metrics: list[str] = []
        self.shown: list[RunCheckpoint] = []
        self._text = ""
        self._order: tuple[int, Qt.SortOrder] | None = None

    def show(self, run: Run) -> None:
        metrics = [curve.name for curve in run.curves][:_MOST_METRICS]
        if run.metric and run.metric not in metrics:
            metrics = [run.metric, *metrics[: _MOST_METRICS - 1]]
        self.beginResetModel()
        self.run, self.metrics = run, metrics
        self._arrange()
        self.endResetModel()

    def keep(self, text: str) -> None:
        self.beginResetModel()
        self._text = text.casefold()
        self._arrange()
        self.endResetModel()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        self.beginResetModel()
        self._order = (column, order) if column >= 0 else None
        self._arrange()
        self.endResetModel()

    def _arrange(self) -> None:
        checkpoints = self.run.checkpoints if self.run is not None else ()
        self.shown = [each for each in checkpoints if self._text in each.name.casefold()]
        if self._order is not None:
            column, order = self._order
            backwards = order == Qt.SortOrder.DescendingOrder
            known = [each for each in self.shown if self._key(each, column) is not None]
            others = [each for each in self.shown if self._key(each, column) is None]
            known.sort(key=lambda each: self._key(each, column), reverse=backwards)
            self.shown = known + others  # what has no such figure comes last

    def _key(self, each: RunCheckpoint, column: int) -> Any:
        place = column - STATE - 1
        if 0 <= place < len(self.metrics):
            return each.metrics.get(self.metrics[place])
        keys: dict[int, Any] = {
            NAME: each.name,
            EPOCH: each.place.epoch,
            STEP: each.place.step,
            STATE: state_text(self.run, each) if self.run is not None else "",
            STATE + 1 + len(self.metrics): each.nbytes,
            STATE + 2 + len(self.metrics): each.modified_ns,
        }
        return keys[column]

    def heads(self) -> list[str]:
        names = [self.tr("Checkpoint"), self.tr("Epoch"), self.tr("Step"), self.tr("State")]
        names += [plain(name, 40) for name in self.metrics]
        return [*names, self.tr("Size"), self.tr("Written")]

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.shown)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.heads())

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = _Role.DisplayRole
    ) -> Any:
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == _Role.DisplayRole:
            return self.heads()[section]
        if role == _Role.TextAlignmentRole:
            return _LEFT if section in (NAME, STATE) else _RIGHT
        return None

    def data(self, index: _Index, role: int = _Role.DisplayRole) -> Any:
        each = self.shown[index.row()]
        column = index.column()
        if role == _Role.DisplayRole:
            return self._texts(each)[column]
        if role == _Role.TextAlignmentRole:
            return _LEFT if column in (NAME, STATE) else _RIGHT
        if role == _Role.ToolTipRole:
            return tooltip(f"{each.path}\n{each.reason}".strip()) or None
        if role == _Role.DecorationRole and column == STATE and each.state in _ICONS:
            tones = theme.tones(QPalette())
            colour = tones.muted if each.state == FileState.BEING_WRITTEN else tones.warning
            return icons.icon(_ICONS[each.state], colour)
        if role == _Role.FontRole and column == NAME and self._is_best(each):
            font = QGuiApplication.font()
            font.setBold(True)
            return font
        return None

    def _is_best(self, each: RunCheckpoint) -> bool:
        best = self.run.best if self.run is not None else None
        return best is not None and best.path == each.path

    def _texts(self, each: RunCheckpoint) -> list[str]:
        assert self.run is not None
        return [
            plain(each.name, 200),
            number(each.place.epoch),
            number(each.place.step),
            state_text(self.run, each),
            *(number(each.metrics.get(name)) for name in self.metrics),
            size_text(each.nbytes),
            time_text(each.modified_ns),
        ]


class RunTable(QTableView):
    """The rows.

    Signals:
        chosen: the path of a checkpoint, by a double click or the Enter key.
        selection_changed: other rows are selected.
    """

    chosen = Signal(str)
    selection_changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = _Rows(self)
        self.setModel(self._model)
        self.setAccessibleName(self.tr("Checkpoints of the run"))
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setTabKeyNavigation(False)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setAlternatingRowColors(True)
        self.setSortingEnabled(True)
        offer_copy(self, more=[(self.tr("Copy &Paths"), self.copy_paths)])
        self.setStyleSheet(_STYLE)
        self.verticalHeader().hide()
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + 8)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        header.setSortIndicatorClearable(True)
        self.doubleClicked.connect(lambda index: self.chosen.emit(self.at(index.row()).path))
        self.selectionModel().selectionChanged.connect(lambda *_: self.selection_changed.emit())
        self._fitted = False

    def show_run(self, run: Run) -> None:
        """Show it as it is by now; what was selected stays so."""
        self._keeping(lambda: self._model.show(run))
        if not self._fitted and run.checkpoints:
            self._fitted = True
            self.resizeColumnsToContents()
            self.setColumnWidth(NAME, min(max(self.columnWidth(NAME) + 12, 160), 320))

    def search(self, text: str) -> None:
        """Show those alone whose names have `text`."""
        self._keeping(lambda: self._model.keep(text))

    def at(self, row: int) -> RunCheckpoint:
        """The checkpoint of a row."""
        return self._model.shown[row]

    def selected(self) -> list[RunCheckpoint]:
        """Those that are selected, in the order of the run."""
        chosen = {self.at(index.row()).path for index in self.selectionModel().selectedRows()}
        run = self._model.run
        return [each for each in (run.checkpoints if run else ()) if each.path in chosen]

    def select(self, paths: Sequence[str]) -> None:
        """Select these."""
        wanted = set(paths)
        selection = QItemSelection()
        last = self._model.columnCount() - 1
        rows = [row for row, each in enumerate(self._model.shown) if each.path in wanted]
        for row in rows:
            selection.select(self._model.index(row, 0), self._model.index(row, last))
        flags = QItemSelectionModel.SelectionFlag
        self.selectionModel().select(selection, flags.ClearAndSelect)
        if rows:
            index = self._model.index(rows[0], 0)
            self.selectionModel().setCurrentIndex(index, flags.NoUpdate)

    def copy_paths(self) -> None:
        """Copy where the selected checkpoints lie."""
        copy_text("\n".join(each.path for each in self.selected()))

    def heads(self) -> list[str]:
        """What stands above the columns."""
        return self._model.heads()

    def rows(self) -> list[list[str]]:
        """What is shown, from top to bottom."""
        return [self._model._texts(each) for each in self._model.shown]

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.selected():
            for each in self.selected():
                self.chosen.emit(each.path)
        else:
            super().keyPressEvent(event)

    def _keeping(self, change: Any) -> None:
        selected = [each.path for each in self.selected()]
        top = self.verticalScrollBar().value()
        blocked = self.selectionModel().blockSignals(True)
        change()
        self.select(selected)
        self.selectionModel().blockSignals(blocked)
        self.verticalScrollBar().setValue(top)
        if [each.path for each in self.selected()] != selected:
            self.selection_changed.emit()
        self.viewport().update()
