"""One column of the picture of a transfer: the rows that are listed, and how they are painted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QCoreApplication,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QRectF,
    QSize,
    Qt,
)
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPalette
from PySide6.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem

from inspector_app.analysis.quantities import count_text
from inspector_app.checkpoint.text import plain
from inspector_app.ui import theme, transfer_fates
from inspector_app.ui.text_widgets import tooltip
from inspector_app.ui.transfer_flows import FATES, Counts, Fate
from inspector_app.ui.transfer_keys import KeyTree
from inspector_app.ui.tree_delegate import (
    ARROW_WIDTH,
    DEEPEST_INDENT,
    INDENT,
    draw_arrow,
    draw_panel,
)

BADGE = 15
PADDING = 5
GAP = 6
LONGEST_NAME = 400
_NO_PARENT = QModelIndex()
_EMPTY = KeyTree(())
# What a folded module says of itself: these are what one expects.
_USUAL = frozenset({Fate.TAKEN, Fate.UNUSED})


class FlowRows(QAbstractTableModel):
    """The rows of one tree that are listed.

    Args:
        is_target: they are the target's.

    Attributes:
        tree: modules and keys.
        counts: the fates at or below each node; None while there is nothing.
        facts: gives what stands behind a key, by its place: ``10 × 512 · float32``.
        reason: gives why a key has its fate, in words, by its place.
    """

    def __init__(self, is_target: bool, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.is_target = is_target
        self.tree = _EMPTY
        self.counts: Counts | None = None
        self.facts: Callable[[int], str] = lambda _place: ""
        self.reason: Callable[[int], str] = lambda _place: ""

    def show(self, tree: KeyTree, counts: Counts) -> None:
        """Show these rows."""
        self.beginResetModel()
        self.tree, self.counts = tree, counts
        self.endResetModel()

    def fold(self) -> None:
        """Other rows are listed."""
        self.beginResetModel()
        self.endResetModel()

    def set_counts(self, counts: Counts) -> None:
        """The keys have other fates."""
        self.counts = counts
        if rows := self.rowCount():
            self.dataChanged.emit(self.index(0, 0), self.index(rows - 1, 0))

    def node(self, row: int) -> int:
        """The number of the node in a row, or -1."""
        visible = self.tree.visible
        return visible[row] if 0 <= row < len(visible) else -1

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = _NO_PARENT) -> int:
        return 0 if parent.isValid() else len(self.tree.visible)

    def columnCount(self, parent: QModelIndex | QPersistentModelIndex = _NO_PARENT) -> int:
        return 0 if parent.isValid() else 1

    def data(
        self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        node = self.node(index.row())
        if node < 0:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return plain(self.tree.labels[node], LONGEST_NAME)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return self.words(node)
        if role == Qt.ItemDataRole.ToolTipRole:
            return tooltip(self.words(node))
        return None

    def words(self, node: int) -> str:
        """A row in words: its name, what it is, and what becomes of it."""
        name = plain(self.tree.name(node), LONGEST_NAME)
        key = self.tree.key[node]
        if key >= 0:
            return ", ".join(filter(None, (name, self.facts(key), self.reason(key))))
        said = [
            transfer_fates.counted(fate, count)
            for fate, count in zip(FATES, self.fates(node), strict=True)
            if count
        ]
        return f"{name}: {', '.join(said)}"

    def fates(self, node: int) -> list[int]:
        """By fate, how many keys are at or below a node."""
        return self.counts.of(node) if self.counts is not None else [0] * len(FATES)

    def note(self, node: int) -> str:
        """What stands behind a name: facts of a key, how many keys a module has."""
        key = self.tree.key[node]
        if key >= 0:
            return self.facts(key)
        if self.tree.expanded[node]:
            return ""
        counts = self.fates(node)
        worst = worst_of(counts)
        whole = self.tree.leaves(node)
        if worst in _USUAL or counts[worst] == whole:
            return count_text(whole)
        text = QCoreApplication.translate("transfer", "{n} of {all}")
        return text.format(n=count_text(counts[worst]), all=count_text(whole))


class FlowDelegate(QStyledItemDelegate):
    """Paints a row: indentation, arrow, name, facts, and its badge beside the ribbons."""

    def __init__(self, rows: FlowRows, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows = rows

    def sizeHint(
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QSize:
        return QSize(80, row_height(option.fontMetrics))

    def arrow_rect(self, node: int, cell: QRect) -> QRect:
        """Where the arrow of a module is, to be clicked."""
        return QRect(self._left(node, cell), cell.top(), ARROW_WIDTH, cell.height())

    def _left(self, node: int, cell: QRect) -> int:
        depth = min(self._rows.tree.depths[node], DEEPEST_INDENT)
        badge = BADGE + GAP if self._rows.is_target else 0
        return cell.left() + PADDING + badge + depth * INDENT

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        rows = self._rows
        node = rows.node(index.row())
        if node < 0:
            return
        # PySide does not list the members that QStyleOption inherits for a view's item.
        item: Any = option
        view = item.widget
        palette: QPalette = item.palette
        rect: QRect = item.rect
        metrics: QFontMetrics = item.fontMetrics
        selected = view.selectionModel().isSelected(index)
        if selected:
            draw_panel(painter, item, view)
        group = (
            QPalette.ColorGroup.Active if view.isActiveWindow() else QPalette.ColorGroup.Inactive
        )
        role = QPalette.ColorRole.HighlightedText if selected else QPalette.ColorRole.Text
        pen = palette.color(group, role)
        tones = theme.tones(palette)
        muted = pen if selected else QColor(tones.muted)
        counts = rows.fates(node)
        fate = worst_of(counts)
        colours = transfer_fates.look(fate, palette)
        marked = fate in {Fate.SKIPPED, Fate.ABSENT} and not selected
        badge_left = rect.left() + PADDING
        right = rect.right() - PADDING
        if not rows.is_target:
            badge_left = rect.right() - PADDING - BADGE
            right = badge_left - GAP
        if not rows.tree.expanded[node]:
            top = rect.top() + (rect.height() - BADGE) / 2
            transfer_fates.draw_badge(painter, fate, QRectF(badge_left, top, BADGE, BADGE), palette)
        left = self._left(node, rect)
        if rows.tree.can_expand(node):
            draw_arrow(painter, left, rect, bool(rows.tree.expanded[node]), muted)
        left += ARROW_WIDTH
        note = rows.note(node)
        width = metrics.horizontalAdvance(note)
        name = plain(rows.tree.labels[node], LONGEST_NAME)
        if note and left + metrics.averageCharWidth() * 10 + width < right:
            painter.setPen(QColor(colours.text) if marked else muted)
            align = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(QRect(left, rect.top(), right - left, rect.height()), align, note)
            right -= width + 2 * GAP
        painter.setPen(QColor(colours.text) if marked else pen)
        shown = metrics.elidedText(name, Qt.TextElideMode.ElideMiddle, max(right - left, 0))
        align = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(QRect(left, rect.top(), right - left, rect.height()), align, shown)


def worst_of(counts: list[int]) -> int:
    """The fate that asks for the most attention."""
    return max((fate for fate in FATES if counts[fate]), default=Fate.TAKEN)


def row_height(metrics: QFontMetrics) -> int:
    """The height of a row."""
    return max(metrics.height() + 7, BADGE + 7)
