"""Paints the tree's cells: indentation, arrow, symbol, name, and what a search matched.

Painting by hand takes a third of the calls that QStyledItemDelegate needs; the style
still draws selection, hover and focus.
"""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import (
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QPointF,
    QRect,
    QRectF,
    QSize,
    Qt,
)
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPalette, QPen, QPolygonF
from PySide6.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem, QWidget

from inspector_app.checkpoint.model import Kind, TensorInfo
from inspector_app.ui import theme
from inspector_app.ui.tree_columns import BROKEN, EMPTY, Column, repeats
from inspector_app.ui.tree_model import TreeModel
from inspector_app.ui.tree_nodes import RowKind
from inspector_app.ui.tree_symbols import Symbol, draw_symbol

INDENT = 16
ARROW_WIDTH = 16
SYMBOL = 14
PADDING = 4
GAP = 6
# Beyond this the names of deep rows would leave the column.
DEEPEST_INDENT = 24

# Behind what a search matched; text has a contrast of 5 to 1 or more on them.
_MATCH_LIGHT = "#ffdf80"
_MATCH_DARK = "#6b4f10"

_VALUE_KINDS = frozenset({Kind.SCALAR})
# The cell that says what is wrong; the name says it in words.
_MARKED = {Column.ZEROS: EMPTY, Column.NANS: BROKEN}


class TreeDelegate(QStyledItemDelegate):
    """Paints all columns of a `TreeModel`."""

    def __init__(self, model: TreeModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._model = model

    def sizeHint(
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QSize:
        line, column = index.row(), index.column()
        metrics = option.fontMetrics
        row = self._model.row(line)
        if row < 0:
            return QSize(0, 0)
        width = metrics.horizontalAdvance(self._model.cell(row, column)) + 2 * PADDING
        if column == Column.NAME:
            width += self._text_left(row) + 2 * GAP
            note = self._note(row)
            if note:
                width += metrics.horizontalAdvance(note) + 3 * GAP
        return QSize(width, row_height(metrics))

    def arrow_rect(self, line: int, cell_rect: QRect) -> QRect:
        """Where the arrow of a line is, to be clicked."""
        depth = min(self._model.view.depth(self._model.view.row(line)), DEEPEST_INDENT)
        left = cell_rect.left() + PADDING // 2 + depth * INDENT
        return QRect(left, cell_rect.top(), ARROW_WIDTH, cell_rect.height())

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        model = self._model
        line, column = index.row(), index.column()
        row = model.row(line)
        if row < 0:
            return
        # PySide does not list the members that QStyleOption inherits for a view's item.
        item: Any = option
        view = item.widget
        selected = view.selectionModel().isSelected(index)
        if selected or line == view.hovered_line:
            draw_panel(painter, item, view)
        palette: QPalette = item.palette
        group = (
            QPalette.ColorGroup.Active if view.isActiveWindow() else QPalette.ColorGroup.Inactive
        )
        text_role = QPalette.ColorRole.HighlightedText if selected else QPalette.ColorRole.Text
        pen = palette.color(group, text_role)
        tones = theme.tones(palette)
        muted = _blend(pen, 0.85) if selected else QColor(tones.muted)
        rect: QRect = item.rect
        metrics: QFontMetrics = item.fontMetrics
        if column == Column.NAME:
            self._paint_name(painter, row, rect, metrics, pen, muted, selected, tones)
            return
        text = model.cell(row, column)
        if text:
            inner = rect.adjusted(PADDING, 0, -PADDING, 0)
            self._paint_cell(
                painter, row, column, text, inner, metrics, pen, muted, selected, tones
            )

    def _paint_cell(
        self,
        painter: QPainter,
        row: int,
        column: int,
        text: str,
        inner: QRect,
        metrics: QFontMetrics,
        pen: QColor,
        muted: QColor,
        selected: bool,
        tones: theme.Tones,
    ) -> None:
        model = self._model
        node = model.rows.nodes[row]
        tensor = isinstance(node, TensorInfo)
        value = node is not None and node.kind in _VALUE_KINDS and column == Column.SHAPE
        mark = self._mark(row)[0] if column in _MARKED else ""
        if mark and mark == _MARKED[column] and not selected:
            painter.setPen(QColor(_mark_colour(mark, tones)))
        else:
            painter.setPen(pen if tensor or value else muted)
        self._draw_text(painter, column, text, inner, metrics)

    def _draw_text(
        self, painter: QPainter, column: int, text: str, inner: QRect, metrics: QFontMetrics
    ) -> None:
        right = column in self._model.numeric
        align = Qt.AlignmentFlag.AlignRight if right else Qt.AlignmentFlag.AlignLeft
        if metrics.horizontalAdvance(text) > inner.width():
            text = metrics.elidedText(text, Qt.TextElideMode.ElideRight, inner.width())
        painter.drawText(inner, align | Qt.AlignmentFlag.AlignVCenter, text)

    def _text_left(self, row: int) -> int:
        depth = min(self._model.view.depth(row), DEEPEST_INDENT)
        return PADDING // 2 + depth * INDENT + ARROW_WIDTH + SYMBOL + GAP

    def _paint_name(
        self,
        painter: QPainter,
        row: int,
        rect: QRect,
        metrics: QFontMetrics,
        pen: QColor,
        muted: QColor,
        selected: bool,
        tones: theme.Tones,
    ) -> None:
        model = self._model
        view = model.view
        painter.save()
        painter.setClipRect(rect)
        depth = min(view.depth(row), DEEPEST_INDENT)
        left = rect.left() + PADDING // 2
        if depth and not selected:
            painter.setPen(QPen(QColor(tones.line), 1))
            for level in range(depth):
                x = left + level * INDENT + ARROW_WIDTH // 2
                painter.drawLine(x, rect.top(), x, rect.bottom())
        left += depth * INDENT
        if view.can_expand(row):
            draw_arrow(painter, left, rect, bool(view.expanded[row]), muted)
        left += ARROW_WIDTH
        symbol_rect = QRect(left, rect.top() + (rect.height() - SYMBOL) // 2, SYMBOL, SYMBOL)
        self._draw_symbol(painter, row, symbol_rect, selected, muted, tones)
        left += SYMBOL + GAP
        right = rect.right() - PADDING
        text = model.cell(row, Column.NAME)
        count = repeats(model.rows, row)
        mark = self._mark(row)[0]
        note = self._note(row)
        note_width = metrics.horizontalAdvance(note) + 2 * GAP if note else 0
        room = right - left - (note_width + GAP if note else 0)
        crowded = metrics.horizontalAdvance(text) > room and not count and not mark
        if note and (crowded or room < metrics.averageCharWidth() * 4):
            room, note = right - left, ""
        shown = text
        if metrics.horizontalAdvance(text) > room:
            # The end of a key says more than its middle.
            shown = metrics.elidedText(text, Qt.TextElideMode.ElideMiddle, max(room, 0))
        text_rect = QRect(left, rect.top(), max(room, 0), rect.height())
        if model.query and shown == text:
            dark = pen.lightnessF() > 0.5
            self._paint_matches(painter, row, text, text_rect, metrics, dark, selected)
        painter.setPen(pen)
        align = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(text_rect, align, shown)
        if note:
            height = min(metrics.height(), rect.height() - 4)
            note_rect = QRectF(
                left + min(metrics.horizontalAdvance(shown), room) + GAP + 2,
                rect.top() + (rect.height() - height) / 2 + 0.5,
                note_width,
                height - 1,
            )
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            fill = QColor(pen)
            fill.setAlphaF(0.10 if not selected else 0.22)
            if mark and not selected:
                fill = QColor(_mark_fill(mark, tones))
                muted = QColor(_mark_colour(mark, tones))
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(fill)
            painter.drawRoundedRect(note_rect, height / 3, height / 3)
            painter.setPen(muted)
            painter.drawText(note_rect, Qt.AlignmentFlag.AlignCenter, note)
        painter.restore()

    def _paint_matches(
        self,
        painter: QPainter,
        row: int,
        text: str,
        rect: QRect,
        metrics: QFontMetrics,
        dark: bool,
        selected: bool,
    ) -> None:
        """Lay a colour behind the parts of the label that a search matched."""
        model = self._model
        assert model.query is not None
        label = model.rows.labels[row]
        # Escaped or shortened text has other places than the name.
        if text != label:
            return
        name = model.rows.name(row)
        if not name.endswith(label) or len(name) > 1_000:
            return
        offset = len(name) - len(label)
        fill = QColor(_MATCH_DARK if dark or selected else _MATCH_LIGHT)
        for start, end in model.query.spans(name):
            start, end = max(start - offset, 0), end - offset
            if end > start:
                x = rect.left() + metrics.horizontalAdvance(text[:start])
                width = metrics.horizontalAdvance(text[start:end])
                top = rect.top() + (rect.height() - metrics.height()) / 2
                painter.fillRect(QRectF(x, top, width, metrics.height()), fill)

    def _draw_symbol(
        self,
        painter: QPainter,
        row: int,
        rect: QRect,
        selected: bool,
        muted: QColor,
        tones: theme.Tones,
    ) -> None:
        rows = self._model.rows
        symbol = _symbol(rows.kinds[row], rows.nodes[row])
        colour = QColor(tones.accent) if symbol == Symbol.TENSOR and not selected else muted
        draw_symbol(painter, symbol, rect, colour)

    def _mark(self, row: int) -> tuple[str, str]:
        statistics = self._model.rows.statistics
        return statistics.mark(row) if statistics is not None else ("", "")

    def _note(self, row: int) -> str:
        """What stands behind a name: how often it is repeated, or its part; what is wrong."""
        count = repeats(self._model.rows, row)
        note = f"×{count:,}" if count else self._chip(row)
        words = self._mark(row)[1]
        return f"{note} · {words}" if note and words else words or note

    def _chip(self, row: int) -> str:
        node = self._model.rows.nodes[row]
        return self._model.sections.get(id(node), "") if node is not None else ""


def row_height(metrics: QFontMetrics) -> int:
    """The height of a line: text, symbol and some air."""
    return max(metrics.height() + 7, SYMBOL + 8)


def _mark_colour(mark: str, tones: theme.Tones) -> str:
    return tones.error if mark == BROKEN else tones.warning


def _mark_fill(mark: str, tones: theme.Tones) -> str:
    return tones.error_fill if mark == BROKEN else tones.warning_fill


def _symbol(kind: int, node: Any) -> Symbol:
    if kind == RowKind.FOLD:
        return Symbol.FOLD
    if node is None:
        return Symbol.GROUP
    return _SYMBOLS.get(node.kind, Symbol.OBJECT)


_SYMBOLS = {
    Kind.MAPPING: Symbol.MAPPING,
    Kind.SEQUENCE: Symbol.SEQUENCE,
    Kind.SCALAR: Symbol.VALUE,
    Kind.TENSOR: Symbol.TENSOR,
    Kind.ARRAY: Symbol.TENSOR,
    Kind.STORAGE: Symbol.STORAGE,
    Kind.MODULE: Symbol.MODULE,
    Kind.GLOBAL: Symbol.CODE,
    Kind.REFERENCE: Symbol.REFERENCE,
    Kind.CODE: Symbol.CODE,
}


def draw_arrow(painter: QPainter, left: int, rect: QRect, open_: bool, colour: QColor) -> None:
    x = left + ARROW_WIDTH / 2
    y = rect.top() + rect.height() / 2
    if open_:
        points = [QPointF(x - 3.5, y - 1.75), QPointF(x, y + 1.75), QPointF(x + 3.5, y - 1.75)]
    else:
        points = [QPointF(x - 1.75, y - 3.5), QPointF(x + 1.75, y), QPointF(x - 1.75, y + 3.5)]
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    pen = QPen(colour, 1.5)
    pen.setCapStyle(Qt.PenCapStyle.RoundCap)
    pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    painter.setPen(pen)
    painter.drawPolyline(QPolygonF(points))
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)


def _blend(colour: QColor, alpha: float) -> QColor:
    blended = QColor(colour)
    blended.setAlphaF(alpha)
    return blended


def draw_panel(painter: QPainter, option: Any, view: QWidget) -> None:
    """What the style puts behind a row that is selected or under the mouse."""
    # Not at the top: QStyle's many enumerations take 6 ms, and the first picture has no such row.
    from PySide6.QtWidgets import QStyle

    panel = QStyle.PrimitiveElement.PE_PanelItemViewItem
    view.style().drawPrimitive(panel, option, painter, view)
