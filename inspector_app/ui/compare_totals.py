"""How many keys have each status: a chip for each, which lists them alone when it is clicked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from PySide6.QtCore import QEvent, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPalette, QPen, QResizeEvent
from PySide6.QtWidgets import QAbstractButton, QHBoxLayout, QSizePolicy, QWidget

from inspector_app.analysis.comparison import Status
from inspector_app.analysis.quantities import count_text
from inspector_app.ui import diff_status, theme
from inspector_app.ui.diff_model import EVERYTHING

BADGE = 15
PADDING = 7
GAP = 6
SPACING = 6


class StatusChip(QAbstractButton):
    """One status with its count. Checked while its pairs are listed.

    Args:
        looks: says how statuses look, and what they are called, as `diff_status` does.
    """

    def __init__(self, status: str, looks: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.status = status
        self._looks = looks
        self.count = 0
        self._compact = False
        self.setCheckable(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setToolTip(looks.explanation(status))

    def set_count(self, count: int) -> None:
        """Show another count; a chip for none is not shown."""
        if count == self.count and self.accessibleName():
            return
        self.count = count
        self.setVisible(count > 0)
        self.setAccessibleName(self.words())
        self.updateGeometry()
        self.update()

    def words(self) -> str:
        """``12 changed``."""
        return str(self._looks.counted(self.status, self.count))

    def set_compact(self, compact: bool) -> None:
        """Show the count alone, where words have no room."""
        if compact != self._compact:
            self._compact = compact
            self.updateGeometry()
            self.update()

    def width_of(self, compact: bool) -> int:
        """How wide it is, or would be."""
        text = count_text(self.count) if compact else self.words()
        return self.fontMetrics().horizontalAdvance(text) + BADGE + GAP + 2 * PADDING + 2

    def nextCheckState(self) -> None:
        # What is listed decides, and that is not this chip's alone.
        pass

    def sizeHint(self) -> QSize:
        return QSize(self.width_of(self._compact), self.fontMetrics().height() + 9)

    def paintEvent(self, event: QPaintEvent) -> None:
        palette = QPalette()
        colours = self._looks.look(self.status, palette)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        on = self.isChecked()
        edge = QColor(colours.text)
        edge.setAlphaF(1.0 if self.hasFocus() else 0.45 if on else 0.25)
        fill = QColor(colours.fill)
        if not on:
            fill.setAlphaF(0.55 if self.underMouse() else 0.0)
        painter.setPen(QPen(edge, 1.6 if self.hasFocus() else 1))
        painter.setBrush(fill)
        body = QRectF(self.rect()).adjusted(1, 1, -1, -1)
        painter.drawRoundedRect(body, 6, 6)
        badge = QRectF(PADDING, (self.height() - BADGE) / 2, BADGE, BADGE)
        self._looks.draw_badge(painter, self.status, badge, palette)
        text = colours.text if on else theme.tones(palette).muted
        painter.setPen(QColor(text))
        left = PADDING + BADGE + GAP
        painter.drawText(
            self.rect().adjusted(left, 0, -PADDING + 4, 0),
            Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter,
            count_text(self.count) if self._compact else self.words(),
        )
        painter.end()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self.update()


class ChipRow(QWidget):
    """Chips side by side: with their words where these have room, else with their counts.

    Args:
        statuses: in their order.
        looks: as a `StatusChip`'s.
    """

    def __init__(self, statuses: Iterable[Any], looks: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.chips = {status: StatusChip(status, looks) for status in statuses}
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(SPACING)
        for status, chip in self.chips.items():
            chip.clicked.connect(lambda _checked=False, status=status: self._clicked(status))
            row.addWidget(chip)
        row.addStretch(1)
        self.set_totals({})

    def set_totals(self, totals: Mapping[Any, int]) -> None:
        """Show other counts."""
        for status, chip in self.chips.items():
            chip.set_count(totals.get(status, 0))
        self.updateGeometry()
        self._fit()

    def _clicked(self, status: Any) -> None:
        raise NotImplementedError

    def minimumSizeHint(self) -> QSize:
        return QSize(self._width(compact=True), super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _width(self, compact: bool) -> int:
        shown = [chip for chip in self.chips.values() if chip.count]
        return sum(chip.width_of(compact) + SPACING for chip in shown)

    def _fit(self) -> None:
        compact = self._width(compact=False) > self.width()
        for chip in self.chips.values():
            chip.set_compact(compact)


class StatusTotals(ChipRow):
    """The chips.

    A click lists one status alone, a second one all differences again; with Ctrl or Shift a
    status is added to what is listed, or taken away.

    Signals:
        wanted_changed: the statuses to list.
    """

    wanted_changed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(diff_status.SHOWN_STATUSES, diff_status, parent)
        self._wanted: frozenset[str] = diff_status.DIFFERENCES

    def set_wanted(self, wanted: frozenset[str]) -> None:
        """Show that these are listed."""
        self._wanted = wanted
        for status, chip in self.chips.items():
            chip.setChecked(status in wanted)

    def _clicked(self, status: str) -> None:
        from PySide6.QtGui import QGuiApplication

        several = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
        if QGuiApplication.keyboardModifiers() & several:
            wanted = self._wanted ^ {status}
        elif self._wanted == {status}:
            wanted = diff_status.DIFFERENCES
        else:
            wanted = frozenset({status})
        if not wanted:
            wanted = diff_status.DIFFERENCES
        self.wanted_changed.emit(wanted)


def toggled_identical(wanted: frozenset[str]) -> frozenset[str]:
    """What to list when only the differences are wanted, or everything again."""
    return diff_status.DIFFERENCES if Status.IDENTICAL in wanted else EVERYTHING
