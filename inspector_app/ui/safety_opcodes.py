"""Millions of opcodes to scroll: only the rows in sight are asked for and painted."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QGuiApplication,
    QHelpEvent,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QResizeEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QToolTip, QWidget

from inspector_app.checkpoint.disassembly import Disassembly, Row
from inspector_app.checkpoint.errors import UnreadableFile
from inspector_app.checkpoint.pickle_opcodes import DESCRIPTIONS
from inspector_app.checkpoint.text import plain
from inspector_app.ui import theme
from inspector_app.ui.text_blocks import fixed_font
from inspector_app.ui.text_widgets import tooltip

MOST_ROWS = 2_000_000_000  # what a scroll bar can count
_DEEPEST_INDENT = 12
_GAP = 12
_MARGIN = 8
# What a file would make happen, as against what it only says.
ACTIVE = frozenset(
    {0x63, 0x69, 0x93, 0x52, 0x81, 0x92, 0x6F, 0x62, 0x82, 0x83, 0x84, 0x50, 0x51}
)  # GLOBAL INST STACK_GLOBAL REDUCE NEWOBJ NEWOBJ_EX OBJ BUILD EXT1-4 PERSID BINPERSID


class OpcodeList(QAbstractScrollArea):
    """Offset, opcode and argument of each row.

    Signals:
        selected: the row, chosen by the user.
        activated: the row, by a double click or the Return key.
    """

    selected = Signal(object)
    activated = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: Disassembly | None = None
        self._current = -1
        self._marked = (0, -1)  # offsets, of the node that is selected in the tree
        self._notes: dict[int, str] = {}
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Opcodes"))
        self.viewport().setBackgroundRole(QPalette.ColorRole.Base)
        self.viewport().setAutoFillBackground(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.verticalScrollBar().valueChanged.connect(lambda _value: self.viewport().update())
        self._follow_font()

    def show_rows(self, rows: Disassembly | None, notes: dict[int, str] | None = None) -> None:
        """Show another stream from its beginning.

        Args:
            notes: said beside the arguments of the rows at these offsets.
        """
        self._rows, self._notes = rows, notes or {}
        self._current = -1
        self._marked = (0, -1)
        self.verticalScrollBar().setValue(0)
        self.grown()

    def grown(self) -> None:
        """More rows are known."""
        self._fit()
        self.viewport().update()

    def mark(self, first: int, last: int) -> None:
        """Tint the rows at these offsets, both included."""
        self._marked = (first, last)
        self.viewport().update()

    def current(self) -> int:
        """The number of the row that is selected, or -1."""
        return self._current

    def current_row(self) -> Row | None:
        """The row that is selected."""
        return self.row(self._current) if self._current >= 0 else None

    def go_to(self, number: int, tell: bool = False) -> None:
        """Select a row and bring it into sight; `selected` is emitted if `tell`."""
        if not 0 <= number < self.count():
            return
        self._current = number
        bar, fitting = self.verticalScrollBar(), self._fitting()
        if not bar.value() <= number < bar.value() + fitting:
            bar.setValue(number - fitting // 3)
        self.viewport().update()
        row = self.row(number)
        self.setAccessibleDescription(f"{row.offset} {row.name} {row.argument}" if row else "")
        if tell and row is not None:
            self.selected.emit(row)

    def count(self) -> int:
        """How many rows there are so far."""
        return 0 if self._rows is None else min(self._rows.count, MOST_ROWS)

    def row(self, number: int) -> Row | None:
        """A row, or None if the file cannot be read any more."""
        if self._rows is None:
            return None
        try:
            return self._rows.row(number)
        except (UnreadableFile, IndexError):
            return None

    def shown(self) -> list[Row]:
        """The rows in sight."""
        first = self.verticalScrollBar().value()
        numbers = range(first, min(first + self._fitting(), self.count()))
        return [row for row in map(self.row, numbers) if row is not None]

    # --- painting

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self.viewport())
        palette = self.palette()
        tones = theme.tones(palette)
        first = self.verticalScrollBar().value()
        width, height = self.viewport().width(), self._height
        for place in range(self._fitting() + 1):
            number = first + place
            if number >= self.count():
                break
            top = place * height
            if top > event.rect().bottom():
                break
            row = self.row(number)
            chosen = number == self._current
            if chosen:
                active = self.hasFocus() and self.isActiveWindow()
                group = QPalette.ColorGroup.Active if active else QPalette.ColorGroup.Inactive
                painter.fillRect(
                    0, top, width, height, palette.color(group, QPalette.ColorRole.Highlight)
                )
                text = muted = palette.color(group, QPalette.ColorRole.HighlightedText)
                lively = odd = text
            else:
                text = palette.color(QPalette.ColorRole.Text)
                muted, lively = QColor(tones.muted), QColor(tones.accent)
                odd = QColor(tones.error)
            if row is None:
                painter.setPen(odd)
                self._write(painter, _MARGIN, top, width, self.tr("cannot be read any more"))
                continue
            if not chosen and self._marked[0] <= row.offset <= self._marked[1]:
                painter.fillRect(0, top, width, height, QColor(tones.info_fill))
            painter.setPen(muted)
            left = _MARGIN
            rect = QRect(left, top, self._offset_width, height)
            painter.drawText(
                rect, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, str(row.offset)
            )
            left += self._offset_width + _GAP
            indent = min(row.level, _DEEPEST_INDENT) * self._indent
            painter.setPen(lively if row.opcode in ACTIVE else text)
            used = self._write(painter, left + indent, top, width - left, row.name)
            left = max(left + self._name_width, left + indent + used) + _GAP
            painter.setPen(text if row.sound else odd)
            said = row.argument
            note = self._notes.get(row.offset)
            if note:
                said = f"{said}  {note}" if said else note
                painter.setPen(lively if not chosen else text)
            self._write(painter, left, top, width - _MARGIN - left, said)
        painter.end()

    def _write(self, painter: QPainter, left: int, top: int, room: int, text: str) -> int:
        metrics = self.fontMetrics()
        shown = metrics.elidedText(text, Qt.TextElideMode.ElideRight, max(room, 0))
        painter.drawText(
            QRect(left, top, max(room, 0), self._height),
            Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter,
            shown,
        )
        return metrics.horizontalAdvance(shown)

    # --- keys and mouse

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key, page = event.key(), max(self._fitting() - 1, 1)
        last = self.count() - 1
        moves = {
            Qt.Key.Key_Up: self._current - 1,
            Qt.Key.Key_Down: self._current + 1,
            Qt.Key.Key_PageUp: self._current - page,
            Qt.Key.Key_PageDown: self._current + page,
            Qt.Key.Key_Home: 0,
            Qt.Key.Key_End: last,
        }
        if key in moves and last >= 0:
            self.go_to(min(max(moves[Qt.Key(key)], 0), last), tell=True)
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            row = self.current_row()
            if row is not None:
                self.activated.emit(row)
        elif event.matches(QKeySequence.StandardKey.Copy):
            row = self.current_row()
            if row is not None:
                QGuiApplication.clipboard().setText(line_of(row))
        else:
            super().keyPressEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self.go_to(self._number_at(event.position().toPoint()), tell=True)
        super().mousePressEvent(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        row = self.row(self._number_at(event.position().toPoint()))
        if event.button() == Qt.MouseButton.LeftButton and row is not None:
            self.activated.emit(row)

    def viewportEvent(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            number = self._number_at(event.pos())
            row = self.row(number) if number < self.count() else None
            if row is not None:
                about = " ".join(DESCRIPTIONS[row.opcode].partition("\n\n")[0].split())
                text = "\n".join(filter(None, (line_of(row), self._notes.get(row.offset), about)))
                QToolTip.showText(event.globalPos(), _lines(text), self)
            return True
        return super().viewportEvent(event)

    def _number_at(self, point: QPoint) -> int:
        return self.verticalScrollBar().value() + point.y() // self._height

    # --- sizes

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in {QEvent.Type.ApplicationFontChange, QEvent.Type.StyleChange}:
            self._follow_font()

    def focusInEvent(self, event: QEvent) -> None:
        if self._current < 0 and self.count():
            self.go_to(self.verticalScrollBar().value())
        self.viewport().update()

    def focusOutEvent(self, event: QEvent) -> None:
        self.viewport().update()

    def minimumSizeHint(self) -> QSize:
        return QSize(200, 6 * self._height)

    def _fitting(self) -> int:
        return max(self.viewport().height() // self._height, 1)

    def _fit(self) -> None:
        metrics = self.fontMetrics()
        end = self._rows.end if self._rows is not None else 0
        self._offset_width = metrics.horizontalAdvance("0" * max(len(str(end)), 5))
        bar = self.verticalScrollBar()
        bar.setPageStep(self._fitting())
        bar.setRange(0, max(self.count() - self._fitting(), 0))

    def _follow_font(self) -> None:
        self.setFont(fixed_font())
        metrics = self.fontMetrics()
        self._height = metrics.height() + 5
        self._indent = metrics.horizontalAdvance("·")
        self._name_width = metrics.horizontalAdvance("SHORT_BINUNICODE")
        self._fit()


def line_of(row: Row) -> str:
    """A row as one line of text."""
    return f"{row.offset}: {row.name} {row.argument}".rstrip()


def _lines(text: str) -> str:
    """`text` as a tool tip that keeps its lines."""
    return "".join(tooltip(plain(line, 400)) for line in text.split("\n"))
