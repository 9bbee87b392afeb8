"""The legend of a picture: which colour stands for which value."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QLinearGradient, QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import QSizePolicy, QWidget

from inspector_app.ui import plot_style, theme
from inspector_app.ui.value_source import figure

BAR_WIDTH, BAR_HEIGHT = 90, 10
GAP = 6


class ColourScale(QWidget):
    """A bar from the most negative to the most positive colour, with both ends' values."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._level = 0.0
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.hide()

    def set_level(self, level: float) -> None:
        """Show the colours up to this magnitude; 0 hides the legend."""
        self._level = level
        words = self.tr("blue −{level} … orange +{level}").format(level=figure(level, 3))
        self.setAccessibleName(words)
        self.setToolTip(words)
        self.setVisible(bool(level))
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        metrics = self.fontMetrics()
        ends = sum(map(metrics.horizontalAdvance, self._ends()))
        return QSize(ends + BAR_WIDTH + 2 * GAP + 2, max(metrics.height(), BAR_HEIGHT) + 2)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def _ends(self) -> tuple[str, str]:
        text = figure(self._level, 3)
        return f"−{text}", f"+{text}"

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        tones = theme.tones(QPalette())
        low, high = self._ends()
        left = self.fontMetrics().horizontalAdvance(low) + GAP
        painter.setPen(QColor(tones.muted))
        side = Qt.AlignmentFlag.AlignVCenter
        whole = QRectF(self.rect())
        painter.drawText(whole, Qt.AlignmentFlag.AlignLeft | side, low)
        painter.drawText(whole, Qt.AlignmentFlag.AlignRight | side, high)
        bar = QRectF(left + 0.5, (self.height() - BAR_HEIGHT) // 2 + 0.5, BAR_WIDTH, BAR_HEIGHT)
        gradient = QLinearGradient(bar.topLeft(), bar.topRight())
        stops = plot_style.stops()
        for place, colour in enumerate(stops):
            gradient.setColorAt(place / (len(stops) - 1), QColor(colour))
        painter.setPen(QColor(tones.line))
        painter.setBrush(gradient)
        painter.drawRoundedRect(bar, 2, 2)
        painter.end()
