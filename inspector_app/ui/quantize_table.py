"""The table of the preview: a row for each tensor, with a bar for its damage."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRectF, QSize, Qt, Signal
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

from inspector_app.analysis.quantization_figures import TensorPreview
from inspector_app.ui import theme
from inspector_app.ui.copying import offer_copy
from inspector_app.ui.quantize_table_model import (
    AFTER,
    BEFORE,
    CLIPPED,
    COSINE,
    DAMAGE,
    DB,
    MAX_ABS,
    NAME,
    SHARE,
    PreviewModel,
)
from inspector_app.ui.quantize_words import BAD_DB, DOUBTFUL_DB

BAR_WIDTH, BAR_HEIGHT = 52, 7
_Index = QModelIndex | QPersistentModelIndex
_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter


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


class CheckDelegate(QStyledItemDelegate):
    """Check boxes that are seen on dark, too: the Fusion style outlines them in next to
    nothing there."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        super().paint(painter, option, index)
        if index.data(Qt.ItemDataRole.CheckStateRole) is None or not theme.is_dark(QPalette()):
            return
        own = QStyleOptionViewItem(option)
        self.initStyleOption(own, index)
        part = QStyle.SubElement.SE_ItemViewItemCheckIndicator
        place = QRectF(option.widget.style().subElementRect(part, own, option.widget))
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QColor(theme.tones(QPalette()).muted))
        painter.drawRoundedRect(place.adjusted(0.5, 0.5, -0.5, -0.5), 2, 2)
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
        self._top = 0
        self.tensors.modelAboutToBeReset.connect(self._about_to_change)
        self.setModel(self.tensors)
        offer_copy(self)
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
        # After the view itself, which forgets the current row then.
        self.tensors.modelReset.connect(self._changed)

    def show_found(self, found: Sequence[TensorPreview], scheme: str) -> None:
        """Show these figures; a tensor that was chosen by hand stays the current one, else it
        is the first."""
        self.tensors.show(found, scheme)

    def _about_to_change(self) -> None:
        self._top = self.verticalScrollBar().value()

    def _changed(self) -> None:
        row = self.tensors.row_of(self._number) if self._by_hand else 0
        if 0 <= row < self.tensors.rowCount():
            self.selectRow(row)
        self.verticalScrollBar().setValue(self._top)

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
