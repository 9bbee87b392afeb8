"""The tensors with what quantization would cost each, the most damaged first."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QPersistentModelIndex,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPalette
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from inspector_app.analysis.quantities import size_text
from inspector_app.analysis.quantization_figures import SchemeError, TensorPreview
from inspector_app.checkpoint.text import plain
from inspector_app.ui import theme
from inspector_app.ui.quantize_words import (
    BAD_DB,
    DOUBTFUL_DB,
    cosine_text,
    damage_share,
    db_text,
    kept_text,
    percent_text,
)
from inspector_app.ui.text_widgets import tooltip
from inspector_app.ui.worker_words import figure_text

NAME, DAMAGE, MAX_ABS, COSINE, CLIPPED, BEFORE, AFTER = range(7)
SHARE = Qt.ItemDataRole.UserRole  # how long the bar of damage is, of 1
DB = Qt.ItemDataRole.UserRole + 1
BAR_WIDTH, BAR_HEIGHT = 52, 7
_Index = QModelIndex | QPersistentModelIndex
_Role = Qt.ItemDataRole
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter


class PreviewModel(QAbstractTableModel):
    """A row for each tensor; those that the scheme leaves alone come last."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._scheme = ""
        self._rows: list[TensorPreview] = []
        self._order = (DAMAGE, Qt.SortOrder.DescendingOrder)
        self._heads = [
            self.tr("Tensor"),
            self.tr("SQNR"),
            self.tr("Max abs"),
            self.tr("Cosine"),
            self.tr("Clipped"),
            self.tr("Before"),
            self.tr("After"),
        ]
        self._hints = [
            "",
            self.tr("Signal to quantization noise: 20 dB are a tenth, 40 dB a hundredth"),
            self.tr("The largest difference of a value"),
            self.tr("Cosine similarity of the values before and after"),
            self.tr("Share of the values beyond the ends of the grid"),
            self.tr("Bytes in the file"),
            self.tr("Bytes once quantized, scales and zero points included"),
        ]

    def show(self, found: Iterable[TensorPreview], scheme: str) -> None:
        """Show these figures."""
        self.beginResetModel()
        self._scheme = scheme
        self._rows = list(found)
        self._arrange()
        self.endResetModel()

    def at(self, row: int) -> TensorPreview:
        """The tensor of a row."""
        return self._rows[row]

    def row_of(self, number: int) -> int:
        """Where the tensor of that number is, or -1."""
        return next((row for row, each in enumerate(self._rows) if each.number == number), -1)

    def error_of(self, found: TensorPreview) -> SchemeError | None:
        """What the scheme costs it, or None where it is kept."""
        return found.schemes.get(self._scheme)

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self._heads)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = _Role.DisplayRole
    ) -> Any:
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == _Role.DisplayRole:
            return self._heads[section]
        if role == _Role.ToolTipRole:
            return self._hints[section] or None
        if role == _Role.TextAlignmentRole:
            return _LEFT if section in (NAME, DAMAGE) else _RIGHT
        return None

    def data(self, index: _Index, role: int = _Role.DisplayRole) -> Any:
        if not index.isValid():
            return None
        column = index.column()
        if role == _Role.TextAlignmentRole:
            return _LEFT if column in (NAME, DAMAGE) else _RIGHT
        found = self._rows[index.row()]
        error = self.error_of(found)
        if role == _Role.DisplayRole:
            return self._text(found, error, column)
        if role == _Role.ForegroundRole and error is None:
            return QColor(theme.tones(QPalette()).muted)
        if role == _Role.ToolTipRole and column == NAME:
            return tooltip(found.tensor.name)
        if column == DAMAGE and error is not None:
            if role == SHARE:
                return damage_share(error.sqnr_db)
            if role == DB:
                return error.sqnr_db
        return None

    def _text(self, found: TensorPreview, error: SchemeError | None, column: int) -> str:
        if column == NAME:
            return plain(found.tensor.name, 200)
        if column == BEFORE:
            return size_text(found.nbytes)
        if error is None:
            if column == DAMAGE:
                return self.tr("kept: {reason}").format(reason=kept_text(found.kept))
            return size_text(found.nbytes) if column == AFTER else ""
        if column == DAMAGE:
            return db_text(error.sqnr_db)
        if column == MAX_ABS:
            return figure_text(error.max_abs)
        if column == COSINE:
            return cosine_text(error.cosine)
        if column == CLIPPED:
            return percent_text(error.clipped) if error.clipped else "0"
        return size_text(error.nbytes)

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        self._order = (column, order)
        self.beginResetModel()
        self._arrange()
        self.endResetModel()

    def _arrange(self) -> None:
        column, order = self._order
        descending = order == Qt.SortOrder.DescendingOrder
        taken = [each for each in self._rows if self._scheme in each.schemes]
        kept = [each for each in self._rows if self._scheme not in each.schemes]
        taken.sort(key=lambda each: each.number)
        taken.sort(key=self._key(column), reverse=descending)
        kept.sort(key=lambda each: each.number)
        self._rows = taken + kept

    def _key(self, column: int) -> Callable[[TensorPreview], Any]:
        scheme = self._scheme
        if column == NAME:
            return lambda each: each.tensor.name
        if column == BEFORE:
            return lambda each: each.nbytes

        def figure(each: TensorPreview) -> float:
            error = each.schemes[scheme]
            value = {
                DAMAGE: error.damage,
                MAX_ABS: error.max_abs,
                COSINE: error.cosine,
                CLIPPED: error.clipped,
                AFTER: error.nbytes,
            }[column]
            return -math.inf if math.isnan(value) else value

        return figure


class DamageDelegate(QStyledItemDelegate):
    """A bar as long as the damage, and the figure behind it."""

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:
        hint = super().sizeHint(option, index)
        return QSize(hint.width(), max(hint.height(), option.fontMetrics.height() + 7))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        share = index.data(SHARE)
        if share is None:
            super().paint(painter, option, index)
            return
        style = option.widget.style()
        own = QStyleOptionViewItem(option)
        self.initStyleOption(own, index)
        own.text = ""
        style.drawControl(QStyle.ControlElement.CE_ItemViewItem, own, painter, option.widget)
        tones = theme.tones(QPalette())
        area = option.rect.adjusted(6, 0, -4, 0)
        top = area.center().y() - BAR_HEIGHT / 2 + 1
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(tones.line))
        painter.drawRoundedRect(QRectF(area.left(), top, BAR_WIDTH, BAR_HEIGHT), 3, 3)
        if share > 0:
            painter.setBrush(damage_colour(index.data(DB)))
            width = max(BAR_WIDTH * share, 3.0)
            painter.drawRoundedRect(QRectF(area.left(), top, width, BAR_HEIGHT), 3, 3)
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        role = QPalette.ColorRole.HighlightedText if selected else QPalette.ColorRole.Text
        painter.setPen(option.palette.color(role))
        painter.drawText(
            area.adjusted(BAR_WIDTH + 8, 0, 0, 0),
            _LEFT,
            own.fontMetrics.elidedText(
                str(index.data()), Qt.TextElideMode.ElideRight, area.width() - BAR_WIDTH - 8
            ),
        )
        painter.restore()


def damage_colour(sqnr_db: float) -> QColor:
    """The colour of a bar."""
    series = theme.tones(QPalette()).series
    if sqnr_db < BAD_DB:
        return QColor(series[5])
    return QColor(series[1] if sqnr_db < DOUBTFUL_DB else series[0])


class PreviewTable(QTableView):
    """The table.

    Signals:
        chosen: the `TensorPreview` of the current row, or None.
    """

    chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(self.tr("Tensors and what quantization would cost them"))
        self.tensors = PreviewModel(self)
        self._number = -1
        self._by_hand = False
        self.setModel(self.tensors)
        self.setItemDelegateForColumn(DAMAGE, DamageDelegate(self))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setTabKeyNavigation(False)
        self.setShowGrid(False)
        self.setAlternatingRowColors(True)
        self.setWordWrap(False)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + 8)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        metrics = self.fontMetrics()
        header.resizeSection(DAMAGE, BAR_WIDTH + 26 + metrics.horizontalAdvance("overflows"))
        widest = {MAX_ABS: "1.2e-05", COSINE: "0.99999…", CLIPPED: "0.0123%"}
        for column in (MAX_ABS, COSINE, CLIPPED, BEFORE, AFTER):
            text = widest.get(column, "1000 MB")
            header.resizeSection(column, metrics.horizontalAdvance(text) + 14)
        header.setSortIndicator(DAMAGE, Qt.SortOrder.DescendingOrder)
        self.setSortingEnabled(True)

    def show_found(self, found: Iterable[TensorPreview], scheme: str) -> None:
        """Show these figures; a tensor that was chosen by hand stays the current one, else it
        is the first."""
        number, at = self._number, self.verticalScrollBar().value()
        self.tensors.show(found, scheme)
        row = self.tensors.row_of(number) if self._by_hand else 0
        if 0 <= row < self.tensors.rowCount():
            self.selectRow(row)
        self.verticalScrollBar().setValue(at)

    def select(self, number: int) -> None:
        """Make the tensor of that number the current one."""
        row = self.tensors.row_of(number)
        if row >= 0:
            self._by_hand = True
            self.selectRow(row)
            self.scrollTo(self.tensors.index(row, NAME))

    def current(self) -> TensorPreview | None:
        """The tensor of the current row."""
        row = self.currentIndex().row()
        return self.tensors.at(row) if 0 <= row < self.tensors.rowCount() else None

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._by_hand = True
        super().mousePressEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        self._by_hand = True
        super().keyPressEvent(event)

    def currentChanged(self, current: QModelIndex, previous: QModelIndex) -> None:
        super().currentChanged(current, previous)
        found = self.current()
        if found is not None:
            self._number = found.number
            self.chosen.emit(found)
