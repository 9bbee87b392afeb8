"""What becomes of each key when a file is saved: a list to scroll, filter and read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from PySide6.QtCore import (
    QAbstractTableModel,
    QCoreApplication,
    QEvent,
    QModelIndex,
    QPersistentModelIndex,
    QRect,
    QRectF,
    QSize,
    Qt,
    QTimer,
)
from PySide6.QtGui import QColor, QPainter, QPalette, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from inspector_app.analysis.quantities import count_text, size_text
from inspector_app.checkpoint.text import plain
from inspector_app.ui import theme
from inspector_app.ui.copying import offer_copy
from inspector_app.ui.diff_status import Look, paint_badge
from inspector_app.ui.tasks import Steps
from inspector_app.ui.text_widgets import MutedLabel, tooltip
from inspector_app.ui.tree_delegate import draw_panel, row_height

_LONGEST_KEY = 400
TYPING_MS = 150
_ROWS_A_STEP = 2_000
_BADGE = 15
_PADDING = 5
_NARROWEST = 240
_NO_PARENT = QModelIndex()


class Fate:
    """What becomes of a key."""

    KEPT = "kept"
    RENAMED = "renamed"
    CHANGED = "changed"
    DROPPED = "dropped"


FATES = (Fate.KEPT, Fate.RENAMED, Fate.CHANGED, Fate.DROPPED)
_LETTERS = {Fate.KEPT: "K", Fate.RENAMED: "R", Fate.CHANGED: "C", Fate.DROPPED: "D"}
_LIGHT = {
    Fate.KEPT: Look("#5b6472", "#eef0f3"),
    Fate.RENAMED: Look("#234a96", "#e6eefc"),
    Fate.CHANGED: Look("#6f2c86", "#f5e6fa"),
    Fate.DROPPED: Look("#744a00", "#fff1d0"),
}
_DARK = {
    Fate.KEPT: Look("#a3acba", "#2a2f38"),
    Fate.RENAMED: Look("#b6cffc", "#22304a"),
    Fate.CHANGED: Look("#e3b4f3", "#3c2745"),
    Fate.DROPPED: Look("#ffd58a", "#3d311a"),
}


class PreviewRow(NamedTuple):
    """One key.

    Attributes:
        fate: one of `Fate`; `CHANGED` where its values or their form are others.
        old, new: its name in the file, and the one it is given ("" where it is dropped).
        form: shape and dtype, ``float32 → bfloat16`` where it is cast; why it is dropped; what
            else is to be said.
        nbytes: of what is written; of what is left out where it is dropped.
    """

    fate: str
    old: str
    new: str
    form: str
    nbytes: int


class Column:
    """The columns of the list."""

    KEY, FORM, SIZE = range(3)


class _Rows(QAbstractTableModel):
    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.rows: Sequence[PreviewRow] = ()
        self.listed: Sequence[int] = ()

    def show(self, rows: Sequence[PreviewRow], listed: Sequence[int]) -> None:
        self.beginResetModel()
        self.rows, self.listed = rows, listed
        self.endResetModel()

    def row(self, line: int) -> PreviewRow:
        return self.rows[self.listed[line]]

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = _NO_PARENT) -> int:
        return 0 if parent.isValid() else len(self.listed)

    def columnCount(self, parent: QModelIndex | QPersistentModelIndex = _NO_PARENT) -> int:
        return 0 if parent.isValid() else 3

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.TextAlignmentRole:
            right = section == Column.SIZE
            side = Qt.AlignmentFlag.AlignRight if right else Qt.AlignmentFlag.AlignLeft
            return side | Qt.AlignmentFlag.AlignVCenter
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        return (self.tr("Key"), self.tr("Shape, dtype, why"), self.tr("Size"))[section]

    def data(
        self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if not 0 <= index.row() < len(self.listed):
            return None
        row = self.row(index.row())
        if role == Qt.ItemDataRole.DisplayRole:
            return self._cell(row, index.column())
        if role == Qt.ItemDataRole.AccessibleTextRole and index.column() == Column.KEY:
            return f"{word(row.fate)}: {self._cell(row, Column.KEY)}"
        if role == Qt.ItemDataRole.ToolTipRole:
            cells = [word(row.fate), *(self._cell(row, each) for each in range(3))]
            return tooltip("\n".join(filter(None, cells)))
        return None

    @staticmethod
    def _cell(row: PreviewRow, column: int) -> str:
        if column == Column.KEY:
            old = plain(row.old, _LONGEST_KEY)
            if row.new and row.new != row.old:
                return f"{old} → {plain(row.new, _LONGEST_KEY)}"
            return old
        if column == Column.SIZE:
            # Of what is no tensor nobody knows a size.
            known = row.nbytes or row.fate in (Fate.KEPT, Fate.RENAMED)
            return size_text(row.nbytes) if known else ""
        return plain(row.form, _LONGEST_KEY)


class _Delegate(QStyledItemDelegate):
    def __init__(self, model: _Rows, parent: QWidget) -> None:
        super().__init__(parent)
        self._model = model

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        # PySide does not list the members that QStyleOption inherits for a view's item.
        item: Any = option
        view, rect, palette = item.widget, item.rect, item.palette
        selected = view.selectionModel().isSelected(index)
        if selected:
            draw_panel(painter, item, view)
        row = self._model.row(index.row())
        column = index.column()
        left = rect.left() + _PADDING
        if column == Column.KEY:
            place = QRectF(left, rect.top() + (rect.height() - _BADGE) / 2, _BADGE, _BADGE)
            draw_badge(painter, row.fate, place, QPalette())
            left += _BADGE + _PADDING + 1
        active = view.isActiveWindow()
        group = QPalette.ColorGroup.Active if active else QPalette.ColorGroup.Inactive
        role = QPalette.ColorRole.HighlightedText if selected else QPalette.ColorRole.Text
        muted = row.fate == Fate.DROPPED or column != Column.KEY
        tones = theme.tones(palette)
        pen = palette.color(group, role)
        painter.setPen(QColor(tones.muted) if muted and not selected else pen)
        room = QRect(left, rect.top(), rect.right() - left - _PADDING, rect.height())
        side = Qt.AlignmentFlag.AlignRight if column == Column.SIZE else Qt.AlignmentFlag.AlignLeft
        text = self._model.data(index)
        shown = item.fontMetrics.elidedText(text, Qt.TextElideMode.ElideMiddle, room.width())
        painter.drawText(room, side | Qt.AlignmentFlag.AlignVCenter, shown)


class KeyPreview(QWidget):
    """The list, with a search and a choice of what is listed."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: Sequence[PreviewRow] = ()
        self._model = _Rows(self)
        self._steps: Steps | None = None
        self.search = QLineEdit()
        self.search.setPlaceholderText(self.tr("Search keys"))
        self.search.setAccessibleName(self.tr("Search keys"))
        self.search.setClearButtonEnabled(True)
        self.which = QComboBox()
        self.which.setAccessibleName(self.tr("Which keys are listed"))
        self.which.addItem("", "")
        for fate in FATES:
            self.which.addItem("", fate)
        self.which.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.table = QTableView()
        self.table.setModel(self._model)
        self.table.setItemDelegate(_Delegate(self._model, self.table))
        self.table.setAccessibleName(self.tr("What becomes of each key"))
        offer_copy(self.table)
        self.table.setShowGrid(False)
        self.table.setWordWrap(False)
        self.table.setTabKeyNavigation(False)
        self.table.setCornerButtonEnabled(False)
        self.table.setFrameShape(QFrame.Shape.NoFrame)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        lines = self.table.verticalHeader()
        lines.hide()
        lines.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header = self.table.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(Column.KEY, QHeaderView.ResizeMode.Stretch)
        self._nothing = MutedLabel()
        self._nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._nothing.hide()
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.search, 1)
        row.addWidget(self.which)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addLayout(row)
        layout.addWidget(self.table, 1)
        layout.addWidget(self._nothing)
        self._typing = QTimer(self)
        self._typing.setSingleShot(True)
        self._typing.setInterval(TYPING_MS)
        self._typing.timeout.connect(self._list)
        self.search.textChanged.connect(lambda _text: self._typing.start())
        self.which.activated.connect(lambda _index: self._list())
        self._size_for_font()

    def show_rows(self, rows: Sequence[PreviewRow], counts: dict[str, int]) -> None:
        """Show other keys, of which these are the counts by fate."""
        self._rows = rows
        whole = sum(counts.values())
        self.which.setItemText(0, self.tr("All {n} keys").format(n=count_text(whole)))
        for place, fate in enumerate(FATES, start=1):
            count = count_text(counts.get(fate, 0))
            self.which.setItemText(place, f"{count} {word(fate)}")
        self._list()

    def listed(self) -> list[PreviewRow]:
        """The keys on show."""
        return [self._model.row(line) for line in range(self._model.rowCount())]

    def stop(self) -> None:
        """End what is going on."""
        self._typing.stop()
        if self._steps is not None:
            self._steps.cancel()
            self._steps.deleteLater()
            self._steps = None

    def _list(self) -> None:
        self.stop()
        fate, wanted = self.which.currentData(), self.search.text().strip().lower()
        rows = self._rows
        if not fate and not wanted:
            self._listed(range(len(rows)))
            return
        steps = self._steps = Steps(_matching(rows, fate, wanted), self)
        steps.finished.connect(self._listed)
        steps.start()

    def _listed(self, found: Sequence[int]) -> None:
        self.stop()
        place = self.table.verticalScrollBar().value()
        self._model.show(self._rows, found)
        self.table.verticalScrollBar().setValue(place)
        none = bool(self._rows) and not len(found)
        self._nothing.setText(self.tr("No key is like this") if none else "")
        self._nothing.setVisible(none)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in {QEvent.Type.FontChange, QEvent.Type.StyleChange}:
            self._size_for_font()

    def _size_for_font(self) -> None:
        metrics = self.fontMetrics()
        lines = self.table.verticalHeader()
        lines.setMinimumSectionSize(row_height(metrics))
        lines.setDefaultSectionSize(row_height(metrics))
        for column, sample in (
            (Column.FORM, "1000 × 512 · float32 → bfloat16"),
            (Column.SIZE, "999.9 MB"),
        ):
            wanted = metrics.horizontalAdvance(sample) + 3 * _PADDING
            if column == Column.FORM:
                # In a narrow window the keys come first.
                wanted = min(wanted, int(0.45 * max(self.width(), _NARROWEST)))
            self.table.setColumnWidth(column, wanted)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._size_for_font()

    def minimumSizeHint(self) -> QSize:
        return QSize(_NARROWEST, 160)


def _matching(rows: Sequence[PreviewRow], fate: str, wanted: str) -> Any:
    found = []
    for place, row in enumerate(rows):
        if place % _ROWS_A_STEP == _ROWS_A_STEP - 1:
            yield
        if fate and row.fate != fate:
            continue
        if wanted and wanted not in row.old.lower() and wanted not in row.new.lower():
            continue
        found.append(place)
    return found


def word(fate: str) -> str:
    """A fate in a word, translated."""
    translate = QCoreApplication.translate
    return {
        Fate.KEPT: translate("KeyPreview", "kept"),
        Fate.RENAMED: translate("KeyPreview", "renamed"),
        Fate.CHANGED: translate("KeyPreview", "changed"),
        Fate.DROPPED: translate("KeyPreview", "dropped"),
    }[fate]


def draw_badge(painter: QPainter, fate: str, rect: QRectF, palette: QPalette) -> None:
    """Paint the letter of a fate into a small square of its colour."""
    colours = (_DARK if theme.is_dark(palette) else _LIGHT)[fate]
    quiet = fate == Fate.KEPT
    fill, text = (colours.fill, colours.text) if quiet else (colours.text, colours.fill)
    paint_badge(painter, _LETTERS[fate], rect, fill, text)
