"""Which dtypes a file is made of: a bar and a table."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPaintEvent, QPalette
from PySide6.QtWidgets import QGridLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from inspector_app.analysis.quantities import size_text
from inspector_app.analysis.totals import Share
from inspector_app.checkpoint.text import plain
from inspector_app.ui import theme
from inspector_app.ui.summary_text import tensors_text
from inspector_app.ui.text_widgets import MutedLabel

BAR_HEIGHT = 10
SMALLEST_PART = 3.0  # pixels


def _colour(index: int) -> QColor:
    series = theme.tones(QPalette()).series
    return QColor(series[min(index, len(series) - 1)])


class _Bar(QWidget):
    """Parts of a whole, side by side."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._parts: list[int] = []
        self.setFixedHeight(BAR_HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def set_parts(self, parts: list[int]) -> None:
        self._parts = parts
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(200, BAR_HEIGHT)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        outline = QPainterPath()
        outline.addRoundedRect(QRectF(self.rect()), BAR_HEIGHT / 2, BAR_HEIGHT / 2)
        painter.setClipPath(outline)
        whole = sum(self._parts)
        painter.fillRect(self.rect(), QColor(theme.tones(QPalette()).line))
        if whole:
            left = 0.0
            for index, part in enumerate(self._parts):
                width = max(part / whole * self.width(), SMALLEST_PART if part else 0.0)
                painter.fillRect(QRectF(left, 0, width, BAR_HEIGHT), _colour(index))
                left += width
        painter.end()


class _Swatch(QWidget):
    """The colour of a part of the bar."""

    def __init__(self, index: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._index = index
        self.setFixedSize(10, 10)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(_colour(self._index))
        painter.drawRoundedRect(self.rect(), 2, 2)
        painter.end()


class DtypeMix(QWidget):
    """Bytes by dtype. What exceeds the colours at hand is summed up in the last row."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bar = _Bar()
        self._rows = 0
        self._table = QWidget()
        self._grid = QGridLayout(self._table)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(14)
        self._grid.setVerticalSpacing(3)
        self._grid.setColumnStretch(5, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 2, 0, 0)
        layout.setSpacing(7)
        layout.addWidget(self._bar)
        layout.addWidget(self._table)

    def set_shares(self, shares: dict[str, Share]) -> None:
        """Show these dtypes, the largest first."""
        while (item := self._grid.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        limit = len(theme.tones(QPalette()).series)
        rows = list(shares.items())
        if len(rows) > limit:
            rest = Share()
            for _, share in rows[limit - 1 :]:
                rest.tensors += share.tensors
                rest.elements += share.elements
                rest.nbytes += share.nbytes
            rows = [*rows[: limit - 1], (self.tr("others"), rest)]
        whole = sum(share.nbytes for _, share in rows)
        self._bar.set_parts([share.nbytes for _, share in rows])
        for index, (name, share) in enumerate(rows):
            percent = f"{share.nbytes / whole:.1%}" if whole else ""
            label = QLabel(plain(name))
            label.setTextFormat(Qt.TextFormat.PlainText)
            self._grid.addWidget(_Swatch(index), index, 0, Qt.AlignmentFlag.AlignVCenter)
            self._grid.addWidget(label, index, 1)
            cells = (
                tensors_text(share.tensors),
                size_text(share.nbytes),
                percent,
            )
            for column, text in enumerate(cells, start=2):
                cell = MutedLabel(text)
                cell.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self._grid.addWidget(cell, index, column)
        self._rows = len(rows)
        text = ", ".join(f"{plain(name)} {size_text(share.nbytes)}" for name, share in rows)
        self._bar.setAccessibleName(self.tr("Dtypes: {mix}").format(mix=text))
