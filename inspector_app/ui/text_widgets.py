"""Labels: text from files is never taken for rich text, nor wider than its place."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import QColor, QContextMenuEvent, QFont, QPainter, QPalette
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QWidget

from inspector_app.checkpoint.text import plain
from inspector_app.ui import icons, theme


def tooltip(text: str) -> str:
    """`text` for a tooltip, which would otherwise take ``<b>`` for markup."""
    shown = plain(text, 1_000)
    return f"<p style='white-space:pre-wrap'>{_escaped(shown)}</p>" if shown else ""


def _escaped(text: str) -> str:
    # Not `html.escape`: importing it takes as long as painting the window.
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class MutedLabel(QLabel):
    """A plain label in the colour of less weight."""

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self._follow()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._follow()

    def _follow(self) -> None:
        palette = QPalette()
        palette.setColor(QPalette.ColorRole.WindowText, theme.tones(palette).muted)
        self.setPalette(palette)


class Heading(QLabel):
    """The title of a part of a pane."""

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        font = self.font()
        font.setWeight(QFont.Weight.DemiBold)
        self.setFont(font)


class WarningHeading(QWidget):
    """A title with the sign of a warning before it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._icon = QLabel()
        self._heading = Heading()
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(7)
        layout.addWidget(self._icon)
        layout.addWidget(self._heading, 1)
        self._follow()

    def setText(self, text: str) -> None:
        """Show `text`, as a label does."""
        self._heading.setText(text)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._follow()

    def _follow(self) -> None:
        colour = theme.tones(QPalette()).warning
        self._icon.setPixmap(icons.icon("warning", colour).pixmap(16, 16))


class ElidedLabel(QWidget):
    """One line of plain text, shortened in the middle where it does not fit."""

    def __init__(self, text: str = "", muted: bool = False, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._text = ""
        self._muted = muted
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.set_text(text)

    def set_text(self, text: str) -> None:
        """Show `text`."""
        self._text = plain(text, 1_000)
        self.setToolTip(tooltip(text))
        self.setAccessibleName(self._text)
        self.updateGeometry()
        self.update()

    def text(self) -> str:
        """The whole text."""
        return self._text

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        from inspector_app.ui.copying import copy_menu

        # The whole of it, also where it is shortened.
        copy_menu(self, self._text).popup(event.globalPos())

    def sizeHint(self) -> QSize:
        metrics = self.fontMetrics()
        return QSize(metrics.horizontalAdvance(self._text) + 2, metrics.height())

    def minimumSizeHint(self) -> QSize:
        return QSize(self.fontMetrics().averageCharWidth() * 8, self.fontMetrics().height())

    def paintEvent(self, event: object) -> None:
        painter = QPainter(self)
        shown = self.fontMetrics().elidedText(
            self._text, Qt.TextElideMode.ElideMiddle, self.width()
        )
        palette = self.palette()
        muted = QColor(theme.tones(palette).muted)
        painter.setPen(muted if self._muted else palette.color(self.foregroundRole()))
        painter.drawText(
            self.rect(), Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, shown
        )
        painter.end()
