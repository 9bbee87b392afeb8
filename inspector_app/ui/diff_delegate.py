"""Paints the rows of a comparison: badges with letters, and what differs in its colour."""

from __future__ import annotations

from PySide6.QtCore import QObject, QRect, QRectF
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPalette

from inspector_app.analysis.comparison import Status
from inspector_app.analysis.quantities import count_text
from inspector_app.checkpoint.text import plain
from inspector_app.ui import diff_status, theme
from inspector_app.ui.diff_columns import DiffColumn
from inspector_app.ui.diff_model import DiffModel
from inspector_app.ui.diff_nodes import PairNode, ValueNode
from inspector_app.ui.tree_delegate import TreeDelegate

LONGEST_OTHER_NAME = 48


class DiffDelegate(TreeDelegate):
    """Paints all columns of a `DiffModel`."""

    _model: DiffModel

    def __init__(self, model: DiffModel, parent: QObject | None = None) -> None:
        super().__init__(model, parent)

    def _draw_symbol(
        self,
        painter: QPainter,
        row: int,
        rect: QRect,
        selected: bool,
        muted: QColor,
        tones: theme.Tones,
    ) -> None:
        differences = self._model.rows.differences
        status = differences.statuses[row] if differences is not None else ""
        if status:
            diff_status.draw_badge(painter, status, QRectF(rect), QPalette())
        else:
            super()._draw_symbol(painter, row, rect, selected, muted, tones)

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
        node = self._model.rows.nodes[row]
        differences = self._model.rows.differences
        status = differences.statuses[row] if differences is not None else ""
        colour = muted
        if status and not selected and self._is_different(node, status, column):
            colour = QColor(diff_status.look(status, QPalette()).text)
        elif isinstance(node, PairNode) and column not in {DiffColumn.A, DiffColumn.B}:
            colour = pen
        painter.setPen(colour)
        self._draw_text(painter, column, text, inner, metrics)

    @staticmethod
    def _is_different(node: object, status: str, column: int) -> bool:
        """The cell is one that says what the status is."""
        if column == DiffColumn.STATUS:
            return status != Status.IDENTICAL
        if isinstance(node, ValueNode):
            return column in {DiffColumn.A, DiffColumn.B}
        match status:
            case Status.MISMATCHED:
                return column in {DiffColumn.A, DiffColumn.B}
            case Status.MISSING:
                return column == DiffColumn.A
            case Status.UNEXPECTED:
                return column == DiffColumn.B
        return False

    def _note(self, row: int) -> str:
        """Behind a name: what is hidden below it, or what B calls it."""
        notes = [super()._note(row)]
        node = self._model.rows.nodes[row]
        if isinstance(node, PairNode):
            pair = node.pair
            if "renamed" in pair.notes and pair.b is not None:
                name = plain(str(pair.b.key), LONGEST_OTHER_NAME)
                notes.append(self.tr("in B: {name}").format(name=name))
        else:
            hidden = self._model.identical_hidden(row)
            if hidden:
                notes.append(self.tr("{n} identical").format(n=count_text(hidden)))
        return " · ".join(filter(None, notes))
