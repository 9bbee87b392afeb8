"""How large the file is and how large it will be: in figures, and as a bar."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QRectF, QSize, Qt
from PySide6.QtGui import (
    QBrush,
    QColor,
    QFont,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPalette,
)
from PySide6.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget

from inspector_app.analysis.quantities import size_text
from inspector_app.ui import theme
from inspector_app.ui.text_widgets import MutedLabel

_BAR_HEIGHT = 12
_LEAST_PART = 3.0  # pixels
_TITLE_SCALE = 1.55


class SizeBar(QWidget):
    """What is written, of what is there: filled; what is left out is hatched."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._written = self._whole = 0
        self.setFixedHeight(_BAR_HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def set_sizes(self, written: int, whole: int) -> None:
        """Show `written` of `whole` bytes; what is larger than before fills the bar."""
        self._written, self._whole = written, whole
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(240, _BAR_HEIGHT)

    def paintEvent(self, event: QPaintEvent) -> None:
        palette = QPalette()
        tones = theme.tones(palette)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        outline = QPainterPath()
        outline.addRoundedRect(QRectF(self.rect()), _BAR_HEIGHT / 2, _BAR_HEIGHT / 2)
        painter.setClipPath(outline)
        painter.fillRect(self.rect(), palette.color(QPalette.ColorRole.Base))
        hatched = QBrush(QColor(tones.muted), Qt.BrushStyle.BDiagPattern)
        painter.fillRect(self.rect(), hatched)
        whole = max(self._whole, self._written)
        if self._written and whole:
            width = max(self._written / whole * self.width(), _LEAST_PART)
            painter.fillRect(QRectF(0, 0, width, _BAR_HEIGHT), QColor(tones.series[0]))
        painter.setClipping(False)
        painter.setPen(QColor(tones.line))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        inner = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.drawRoundedRect(inner, _BAR_HEIGHT / 2, _BAR_HEIGHT / 2)
        painter.end()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self.update()


class SizeSummary(QWidget):
    """``1.2 GB → 402 MB``, the bar, and what is left out."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = QLabel()
        self.title.setTextFormat(Qt.TextFormat.PlainText)
        font = self.title.font()
        font.setPointSizeF(font.pointSizeF() * _TITLE_SCALE)
        font.setWeight(QFont.Weight.DemiBold)
        self.title.setFont(font)
        self.bar = SizeBar()
        self.note = MutedLabel()
        self.note.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        for widget in (self.title, self.bar, self.note):
            layout.addWidget(widget)

    def show_sizes(self, before: int, after: int, said: Sequence[str]) -> None:
        """Show both sizes, and what makes the difference: a phrase each."""
        text = self.tr("{before} → {after}").format(
            before=size_text(before), after=size_text(after)
        )
        self.title.setText(text)
        self.bar.set_sizes(after, before)
        self.note.setText("; ".join(said))
        self.setAccessibleName(text)
        self.bar.setAccessibleName(text)
        self.bar.setAccessibleDescription(self.note.text())

    def words(self) -> str:
        """What is said beside the bar."""
        return f"{self.title.text()} ({self.note.text()})"
