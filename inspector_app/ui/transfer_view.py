"""The picture of a transfer: source and target beside each other, and what flows between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from PySide6.QtCore import QEvent, QObject, QPointF, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPaintEvent, QPalette, QPen, QWheelEvent
from PySide6.QtWidgets import QGridLayout, QSizePolicy, QWidget

from inspector_app.ui import theme, transfer_fates
from inspector_app.ui.transfer_column import FlowColumn
from inspector_app.ui.transfer_flows import FLOWING, Fate, Flows, Ribbon

ROWS_AT_FIRST = 42
MOST_REVEALED = 60
MOST_RIBBONS = 500
BAND_WIDTH = 128
_THIN = 3.0  # pixels around a ribbon, so that neighbours do not touch
_SIGN = 4.0


class RibbonBand(QWidget):
    """Paints what flows from the rows on its left to those on its right."""

    def __init__(self, source: FlowColumn, target: FlowColumn, parent: QWidget | None = None):
        super().__init__(parent)
        self._source, self._target = source, target
        self.flows: Flows | None = None
        self.setMinimumWidth(64)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)
        self.setFixedWidth(BAND_WIDTH)

    def wheelEvent(self, event: QWheelEvent) -> None:
        self._target.wheelEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        palette = QPalette()
        painter.fillRect(self.rect(), palette.color(QPalette.ColorRole.Base))
        if self.flows is not None:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            source, target = self._source, self._target
            ribbons = self.flows.between(
                source.rows_on_screen(), target.rows_on_screen(), MOST_RIBBONS
            )
            here = (source.currentIndex().row(), target.currentIndex().row())
            chosen = None if -1 in here else here
            for ribbon in ribbons:
                strong = chosen is not None and (ribbon.source, ribbon.target) == chosen
                self._paint(painter, ribbon, palette, strong)
        painter.end()

    def _paint(self, painter: QPainter, ribbon: Ribbon, palette: QPalette, strong: bool) -> None:
        height = self._source.height_of_rows()
        room = height - _THIN
        top = self._source.top_of(ribbon.source) + _THIN / 2
        left = (top + ribbon.from_top * room, top + ribbon.from_bottom * room)
        top = self._target.top_of(ribbon.target) + _THIN / 2
        right = (top + ribbon.to_top * room, top + ribbon.to_bottom * room)
        colour = QColor(transfer_fates.look(ribbon.fate, palette).text)
        dark = theme.is_dark(palette)
        flowing = ribbon.fate in FLOWING
        path = _band(0.0, left, float(self.width()), right)
        fill = QColor(colour)
        fill.setAlphaF((0.62 if strong else 0.34 if dark else 0.26) if flowing else 0.10)
        edge = QColor(colour)
        edge.setAlphaF(1.0 if strong else 0.5 if flowing else 0.9)
        pen = QPen(edge, 1.6 if strong else 0.8 if flowing else 1.2)
        if not flowing:
            pen.setStyle(Qt.PenStyle.DashLine)
        painter.setPen(pen)
        painter.setBrush(fill)
        painter.drawPath(path)
        if ribbon.fate == Fate.SKIPPED:
            middle = QPointF(self.width() / 2, (sum(left) + sum(right)) / 4)
            self._paint_cross(painter, middle, palette, colour)

    @staticmethod
    def _paint_cross(painter: QPainter, middle: QPointF, palette: QPalette, colour: QColor) -> None:
        """The sign that nothing flows here."""
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(palette.color(QPalette.ColorRole.Base))
        painter.drawEllipse(middle, 2 * _SIGN, 2 * _SIGN)
        pen = QPen(colour, 2.0)
        pen.setCapStyle(Qt.PenCapStyle.RoundCap)
        painter.setPen(pen)
        for slope in (1, -1):
            aside = QPointF(_SIGN, slope * _SIGN)
            painter.drawLine(middle - aside, middle + aside)


class FlowView(QWidget):
    """Source on the left, target on the right; modules are unfolded on both sides together.

    Signals:
        key_selected: a key of the target, by its place, or -1 where the current row is none;
            and a key of the source likewise.
        key_chosen: Enter was pressed on a key of the target.
    """

    key_selected = Signal(int, int)
    key_chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.flows: Flows | None = None
        self.source, self.target = FlowColumn(False), FlowColumn(True)
        self.source.setAccessibleName(self.tr("Keys of the source"))
        self.target.setAccessibleName(self.tr("Keys of the target"))
        self.band = RibbonBand(self.source, self.target)
        self._scrolling = self._following = False
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.source, 0, 0)
        layout.addWidget(self.band, 0, 1)
        layout.addWidget(self.target, 0, 2)
        layout.setColumnStretch(0, 1)
        layout.setColumnStretch(2, 1)
        for column in (self.source, self.target):
            column.verticalScrollBar().valueChanged.connect(
                lambda _value, column=column: self._scrolled(column)
            )
            column.node_selected.connect(lambda _node, column=column: self._selected(column))
            column.toggle_requested.connect(
                lambda node, expanded, column=column: self.expand(column, node, expanded)
            )
            column.viewport().installEventFilter(self)
        self.target.key_chosen.connect(self.key_chosen)

    def describe(
        self, source: tuple[Callable[[int], str], ...], target: tuple[Callable[[int], str], ...]
    ) -> None:
        """Say what gives facts and reasons of the keys, by their places."""
        self.source.rows.facts, self.source.rows.reason = source
        self.target.rows.facts, self.target.rows.reason = target

    def show_flows(self, flows: Flows) -> None:
        """Show another picture; as far as its trees are those on show, folded as they are."""
        before = self.flows
        self.flows = self.band.flows = flows
        fresh = before is None or before.target is not flows.target
        fresh = fresh or before.source is not flows.source
        if fresh:
            self._unfold(flows)
            self.source.rows.show(flows.source, flows.source_counts)
            self.target.rows.show(flows.target, flows.target_counts)
            for column in (self.source, self.target):
                column.forget()
                column.verticalScrollBar().setValue(0)
        else:
            self.source.rows.set_counts(flows.source_counts)
            self.target.rows.set_counts(flows.target_counts)
        self.band.update()

    def _unfold(self, flows: Flows) -> None:
        """As much as fits, and where keys are skipped."""
        for tree, counts in (
            (flows.source, flows.source_counts),
            (flows.target, flows.target_counts),
        ):
            tree.expand_to_fit(ROWS_AT_FIRST)
            leaf, revealed = -1, 0
            while revealed < MOST_REVEALED:
                leaf = counts.first_leaf(Fate.SKIPPED, leaf + 1)
                if leaf < 0:
                    break
                tree.reveal(tree.node_of_leaf[leaf])
                revealed += 1
            tree.list_rows()
        flows.fold()

    # Folding

    def expand(self, column: FlowColumn, node: int, expanded: bool) -> None:
        """Unfold a module or fold it, and what it is linked to on the other side."""
        flows = self.flows
        if flows is None:
            return
        is_target = column is self.target
        other = self.source if is_target else self.target
        row = column.rows.tree.visible.index(node)
        mates = [other.rows.node(each) for each in flows.rows_beside(row, is_target)]
        if not expanded:
            mates = self._mates_of_unfolded(column, node, other)
        column.rows.tree.expand(node, expanded)
        if len(mates) == 1:
            other.rows.tree.expand(mates[0], expanded)
        self._list_again(column, node)

    @staticmethod
    def _mates_of_unfolded(column: FlowColumn, node: int, other: FlowColumn) -> list[int]:
        """The module of the other side that has the same name, or ends alike."""
        parts = column.rows.tree.name(node).split(".")
        for start in range(len(parts)):
            found = other.rows.tree.find(".".join(parts[start:]))
            if found >= 0:
                return [found]
        return []

    def reveal(self, column: FlowColumn, node: int) -> None:
        """Unfold what is above a node, and go there."""
        column.rows.tree.reveal(node)
        self._list_again(column, node)

    def _list_again(self, chosen: FlowColumn, node: int) -> None:
        """Other rows are listed; `node` of the column `chosen` is the current one."""
        flows = self.flows
        assert flows is not None
        other = self.source if chosen is self.target else self.target
        beside = other.current_node()
        for column in (self.source, self.target):
            place = column.verticalScrollBar().value()
            column.rows.tree.list_rows()
            column.rows.fold()
            column.verticalScrollBar().setValue(place)
        flows.fold()
        # What was the current row beside may be linked to another than is chosen now.
        self._following = True
        other.keep_current(beside)
        self._following = False
        chosen.keep_current(node)
        self._scrolled(chosen)

    def go_to_key(self, place: int) -> None:
        """Go to a key of the target."""
        tree = self.target.rows.tree
        self.reveal(self.target, tree.node_of_leaf[tree.leaf_of[place]])

    def next_with(self, fate: int) -> bool:
        """Go to the next key of the target that has this fate; from the last to the first."""
        flows = self.flows
        if flows is None:
            return False
        node = self.target.current_node()
        after = self.target.rows.tree.last[node] if node >= 0 else 0
        leaf = flows.target_counts.first_leaf(fate, after)
        if leaf < 0:
            leaf = flows.target_counts.first_leaf(fate, 0)
        if leaf < 0:
            return False
        self.reveal(self.target, flows.target.node_of_leaf[leaf])
        return True

    # What belongs together

    def _selected(self, column: FlowColumn) -> None:
        flows = self.flows
        if flows is None or self._following:
            return
        is_target = column is self.target
        other = self.source if is_target else self.target
        beside = flows.rows_beside(column.currentIndex().row(), is_target)
        if beside:
            node = other.rows.node(beside[0])
            if other.current_node() != node:
                self._following = True
                with _quietly(self):
                    other.go_to(node)
                self._following = False
        elif column.hasFocus() or not other.hasFocus():
            other.clearSelection()
            other.setCurrentIndex(other.rows.index(-1, -1))
            other.forget()
        self.band.update()
        self.key_selected.emit(_key(self.target), _key(self.source))

    def _scrolled(self, column: FlowColumn) -> None:
        """Scroll the other side along, so that what is linked stays side by side."""
        self.band.update()
        if self._scrolling or self.flows is None:
            return
        other = self.source if column is self.target else self.target
        height = column.height_of_rows()
        half = column.viewport().height() / 2
        middle = (column.verticalScrollBar().value() + half) / height - 0.5
        beside = self.flows.counterpart(middle, column is self.target)
        with _quietly(self):
            other.verticalScrollBar().setValue(round((beside + 0.5) * height - half))
        self.band.update()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize:
            self.band.update()
        return super().eventFilter(watched, event)


@contextmanager
def _quietly(view: FlowView) -> Iterator[None]:
    """While one side follows the other, it is not followed."""
    before, view._scrolling = view._scrolling, True
    try:
        yield
    finally:
        view._scrolling = before


def _key(column: FlowColumn) -> int:
    node = column.current_node()
    return column.rows.tree.key[node] if node >= 0 else -1


def _band(
    x: float, left: tuple[float, float], x_right: float, right: tuple[float, float]
) -> QPainterPath:
    """From a part of one side to a part of the other."""
    bend = (x_right - x) / 2
    path = QPainterPath(QPointF(x, left[0]))
    path.cubicTo(x + bend, left[0], x_right - bend, right[0], x_right, right[0])
    path.lineTo(x_right, right[1])
    path.cubicTo(x_right - bend, right[1], x + bend, left[1], x, left[1])
    path.closeSubpath()
    return path
