"""What a file would import: groups, the names in them, and where and how each is used."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import (
    QAbstractItemModel,
    QEvent,
    QItemSelection,
    QModelIndex,
    QPersistentModelIndex,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QFont, QGuiApplication, QKeyEvent, QKeySequence, QPalette
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QSizePolicy,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTreeView,
    QWidget,
)

from inspector_app.analysis.quantities import count_text
from inspector_app.analysis.safety_report import GROUPS, FoundGlobal, Group, SafetyReport, Use
from inspector_app.checkpoint.text import plain
from inspector_app.ui import safety_words
from inspector_app.ui.text_widgets import tooltip

MOST_NAMES = 2_000  # of one group
MOST_USES = 200  # of one name
MOST_LINES = 14
_NO_PARENT = QModelIndex()
_Index = QModelIndex | QPersistentModelIndex
_Role = Qt.ItemDataRole


class _Entry:
    """A row. What is below it is made when it is unfolded."""

    __slots__ = ("below", "content", "parent", "place")

    def __init__(self, content: Any, parent: _Entry | None, place: int) -> None:
        self.content = content
        self.parent = parent
        self.place = place
        self.below: list[_Entry] | None = None


class _Model(QAbstractItemModel):
    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._report: SafetyReport | None = None
        self._top = _Entry(None, None, 0)
        self._top.below = []
        self._bold = QFont()
        self._bold.setWeight(QFont.Weight.DemiBold)

    def show(self, report: SafetyReport | None) -> None:
        self.beginResetModel()
        self._report = report
        found: dict[str, list[FoundGlobal]] = {group: [] for group in GROUPS}
        for each in report.globals if report is not None else ():
            found[each.group].append(each)
        self._top.below = []
        for group, names in found.items():
            if names:
                entry = _Entry((group, len(names)), self._top, len(self._top.below))
                shown = names[:MOST_NAMES]
                entry.below = [_Entry(each, entry, place) for place, each in enumerate(shown)]
                if len(names) > len(shown):
                    entry.below.append(_Entry(len(names) - len(shown), entry, len(shown)))
                self._top.below.append(entry)
        self.endResetModel()

    def entry(self, index: _Index) -> _Entry:
        return index.internalPointer() if index.isValid() else self._top

    def _below(self, entry: _Entry) -> list[_Entry]:
        if entry.below is None:
            found = entry.content
            uses = found.uses[:MOST_USES] if isinstance(found, FoundGlobal) else ()
            entry.below = [_Entry(use, entry, place) for place, use in enumerate(uses)]
            if uses and found.count > len(uses):
                entry.below.append(_Entry(found.count - len(uses), entry, len(uses)))
        return entry.below

    def index(self, row: int, column: int, parent: _Index = _NO_PARENT) -> QModelIndex:
        below = self._below(self.entry(parent))
        if 0 <= row < len(below) and 0 <= column < 2:
            return self.createIndex(row, column, below[row])
        return QModelIndex()

    def parent(self, index: _Index = _NO_PARENT) -> QModelIndex:  # type: ignore[override]
        entry = self.entry(index).parent
        if entry is None or entry is self._top:
            return QModelIndex()
        return self.createIndex(entry.place, 0, entry)

    def rowCount(self, parent: _Index = _NO_PARENT) -> int:
        return 0 if parent.column() > 0 else len(self._below(self.entry(parent)))

    def columnCount(self, parent: _Index = _NO_PARENT) -> int:
        return 2

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = _Role.DisplayRole
    ) -> Any:
        if orientation == Qt.Orientation.Horizontal and role == _Role.DisplayRole:
            return (self.tr("Class or function"), self.tr("How it is used"))[section]
        return None

    def data(self, index: _Index, role: int = _Role.DisplayRole) -> Any:
        content, column = self.entry(index).content, index.column()
        if role in {_Role.DisplayRole, _Role.AccessibleTextRole}:
            return self._texts(content)[column]
        if role == _Role.DecorationRole and column == 0:
            group = content.group if isinstance(content, FoundGlobal) else None
            if isinstance(content, tuple):
                group = content[0]
            return safety_words.badge(group, QPalette()) if group is not None else None
        if role == _Role.FontRole and isinstance(content, tuple) and column == 0:
            return self._bold
        if role == _Role.ToolTipRole:
            if isinstance(content, tuple):
                return tooltip(safety_words.group_hint(content[0]))
            return tooltip("\n".join(filter(None, self._texts(content))))
        return None

    def _texts(self, content: Any) -> tuple[str, str]:
        if isinstance(content, tuple):
            group, count = content
            return safety_words.group_text(group), count_text(count)
        if isinstance(content, FoundGlobal):
            return plain(content.name, 300), safety_words.counts_text(content)
        if isinstance(content, int):
            return self.tr("… and {n} more").format(n=count_text(content)), ""
        assert isinstance(content, Use)
        assert self._report is not None
        how = safety_words.how_text(content.how)
        given = f"{how} ({content.arguments})" if content.arguments else how
        return safety_words.place_text(content, self._report.pickles), given


class _FromTheLeft(QStyledItemDelegate):
    """Arguments are read from the left; of a name both ends tell."""

    def initStyleOption(self, option: QStyleOptionViewItem, index: _Index) -> None:
        super().initStyleOption(option, index)
        # PySide does not list the members that QStyleOption inherits for a view's item.
        item: Any = option
        item.textElideMode = Qt.TextElideMode.ElideRight


class GlobalsTree(QTreeView):
    """The groups, names and uses.

    Signals:
        use_selected: a `Use`, or None where what is selected is none.
        use_chosen: by a double click or the Return key.
    """

    use_selected = Signal(object)
    use_chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = _Model(self)
        self.setModel(self._model)
        self.setAccessibleName(self.tr("Classes and functions that the file names"))
        self.setUniformRowHeights(True)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setIndentation(14)
        self.setItemDelegateForColumn(1, _FromTheLeft(self))
        self.setExpandsOnDoubleClick(True)
        self.header().setStretchLastSection(True)
        self.header().setSectionsMovable(False)
        self.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Interactive)
        self.expanded.connect(self._fit)
        self.collapsed.connect(self._fit)
        self.activated.connect(self._activate)

    def show_report(self, report: SafetyReport | None) -> None:
        """Show what a report found; what is outside the allowlist is unfolded."""
        self._model.show(report)
        for row in range(self._model.rowCount()):
            index = self._model.index(row, 0)
            if self._model.entry(index).content[0] != Group.TENSORS:
                self.expand(index)
                if self._model.rowCount(index) <= 3:
                    self._unfold_all(index)
        self._fit()

    def texts(self) -> list[tuple[str, str]]:
        """The rows that are unfolded, from top to bottom."""
        found = []
        index = self._model.index(0, 0)
        while index.isValid():
            found.append((index.data(), index.siblingAtColumn(1).data()))
            index = self.indexBelow(index)
        return found

    def select(self, text: str) -> bool:
        """Select the first row on show that begins with `text`."""
        index = self._model.index(0, 0)
        while index.isValid() and not str(index.data()).startswith(text):
            index = self.indexBelow(index)
        self.setCurrentIndex(index)
        return bool(index.isValid())

    def _unfold_all(self, group: QModelIndex) -> None:
        for row in range(self._model.rowCount(group)):
            below = self._model.index(row, 0, group)
            if self._model.rowCount(below) <= 5:
                self.expand(below)

    def _use_at(self, index: _Index) -> Use | None:
        content = self._model.entry(index).content
        if isinstance(content, FoundGlobal) and content.uses:
            return content.uses[0]
        return content if isinstance(content, Use) else None

    def _activate(self, index: QModelIndex) -> None:
        content = self._model.entry(index).content
        if isinstance(content, Use):
            self.use_chosen.emit(content)

    def selectionChanged(self, selected: QItemSelection, deselected: QItemSelection) -> None:
        super().selectionChanged(selected, deselected)
        index = self.currentIndex()
        self.use_selected.emit(self._use_at(index) if index.isValid() else None)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Copy):
            index = self.currentIndex()
            cells = [index.siblingAtColumn(column).data() for column in range(2)]
            QGuiApplication.clipboard().setText("\t".join(filter(None, cells)))
            return
        super().keyPressEvent(event)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in {QEvent.Type.FontChange, QEvent.Type.StyleChange}:
            self._fit()

    def resizeEvent(self, event: Any) -> None:
        super().resizeEvent(event)
        self.setColumnWidth(0, int(self.viewport().width() * 0.56))

    def sizeHint(self) -> QSize:
        return QSize(240, self.height())

    def _fit(self) -> None:
        """As tall as what is unfolded, up to `MOST_LINES`."""
        lines, index = 0, self._model.index(0, 0)
        while index.isValid() and lines < MOST_LINES:
            lines += 1
            index = self.indexBelow(index)
        height = self.sizeHintForRow(0) if lines else self.fontMetrics().height()
        head = self.header().sizeHint().height()
        self.setFixedHeight(head + max(lines, 1) * height + 2 * self.frameWidth() + 2)
