"""A wizard's list of steps: which there are, which is on show, what was chosen in each."""

from __future__ import annotations

from PySide6.QtCore import QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QPainter, QPaintEvent, QPalette, QPen
from PySide6.QtWidgets import QAbstractButton, QSizePolicy, QVBoxLayout, QWidget

from inspector_app.ui import icons, theme

_CIRCLE = 24
_MARGIN = 12
_GAP = 10


class StepButton(QAbstractButton):
    """One step: a number in a circle, its name, and what was chosen."""

    def __init__(self, number: int, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._number = number
        self._summary = ""
        self._done = False
        self.setText(name)
        self.setCheckable(True)
        self.setAutoExclusive(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def set_state(self, done: bool, enabled: bool, summary: str) -> None:
        """Whether it is done, can be gone to, and what was chosen."""
        self._done = done
        self._summary = summary
        self.setEnabled(enabled)
        self.setAccessibleName(f"{self._number}. {self.text()}")
        self.setAccessibleDescription(summary)
        self.update()

    def sizeHint(self) -> QSize:
        height = 2 * self.fontMetrics().height() + 16
        return QSize(self.fontMetrics().averageCharWidth() * 24, max(height, _CIRCLE + 16))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        palette = self.palette()
        tones = theme.tones(palette)
        accent, muted = QColor(tones.accent), QColor(tones.muted)
        area = self.rect().adjusted(4, 2, -4, -2)
        if self.isChecked():
            painter.setPen(Qt.PenStyle.NoPen)
            fill = QColor(accent)
            fill.setAlphaF(0.14)
            painter.setBrush(fill)
            painter.drawRoundedRect(area, 6, 6)
        elif self.underMouse() and self.isEnabled():
            painter.setPen(Qt.PenStyle.NoPen)
            fill = QColor(muted)
            fill.setAlphaF(0.12)
            painter.setBrush(fill)
            painter.drawRoundedRect(area, 6, 6)
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(accent, 1.5))
            painter.drawRoundedRect(area, 6, 6)
        self._paint_circle(painter, accent, muted, palette)
        self._paint_words(painter, muted, palette)
        painter.end()

    def _paint_circle(
        self, painter: QPainter, accent: QColor, muted: QColor, palette: QPalette
    ) -> None:
        circle = QRect(_MARGIN, (self.height() - _CIRCLE) // 2, _CIRCLE, _CIRCLE)
        filled = self.isChecked()
        painter.setPen(QPen(accent if filled or self._done else muted, 1.3))
        painter.setBrush(accent if filled else Qt.BrushStyle.NoBrush)
        painter.drawEllipse(circle.adjusted(1, 1, -1, -1))
        inside = palette.color(QPalette.ColorRole.Window) if filled else accent
        if self._done and not filled:
            icons.draw(painter, "check", circle.adjusted(5, 5, -5, -5), inside)
            return
        painter.setPen(inside if filled else muted)
        painter.drawText(circle, Qt.AlignmentFlag.AlignCenter, str(self._number))

    def _paint_words(self, painter: QPainter, muted: QColor, palette: QPalette) -> None:
        left = _MARGIN + _CIRCLE + _GAP
        words = QRect(left, 0, self.width() - left - _MARGIN, self.height())
        metrics = self.fontMetrics()
        usable = self.isEnabled() or self.isChecked()
        painter.setPen(palette.color(QPalette.ColorRole.WindowText) if usable else muted)
        font = QFont(self.font())
        font.setWeight(QFont.Weight.DemiBold if self.isChecked() else QFont.Weight.Normal)
        painter.setFont(font)
        if not self._summary:
            painter.drawText(words, Qt.AlignmentFlag.AlignVCenter, self.text())
            return
        middle = self.height() // 2
        top = QRect(words.left(), middle - metrics.height() - 1, words.width(), metrics.height())
        painter.drawText(top, Qt.AlignmentFlag.AlignVCenter, self.text())
        painter.setFont(self.font())
        painter.setPen(muted)
        shown = metrics.elidedText(self._summary, Qt.TextElideMode.ElideRight, words.width())
        below = QRect(words.left(), middle + 1, words.width(), metrics.height())
        painter.drawText(below, Qt.AlignmentFlag.AlignVCenter, shown)


class StepList(QWidget):
    """The steps, one below the other.

    Signals:
        chosen: the user goes to the step of this number, from 0.
    """

    chosen = Signal(int)

    def __init__(self, names: list[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(self.tr("Steps"))
        self.steps = [StepButton(number, name) for number, name in enumerate(names, 1)]
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 14, 6, 14)
        layout.setSpacing(2)
        for index, step in enumerate(self.steps):
            step.clicked.connect(lambda _checked=False, index=index: self.chosen.emit(index))
            layout.addWidget(step)
        layout.addStretch(1)
