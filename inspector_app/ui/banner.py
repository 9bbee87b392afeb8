"""What went wrong, inside the tab it concerns: icon, cause, next step, buttons."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QColor, QFocusEvent, QFont, QPainter, QPaintEvent, QPalette, QPen
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from inspector_app.ui import icons, theme
from inspector_app.ui.text_blocks import TextBlock

# What one is of, and its icon. Something good is said in the colours of what is neutral.
INFO, GOOD, WARNING, ERROR = "info", "check", "warning", "error"
_ICON_SIZE = 20


class Banner(QFrame):
    """A message with what can be done about it; hidden until `show_message`.

    Args:
        card: stands alone in the middle of an empty tab instead of above its content.
    """

    def __init__(self, card: bool = False, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._kind = INFO
        self._card = card
        self._icon = QLabel()
        self._icon.setFixedSize(_ICON_SIZE, _ICON_SIZE)
        self._title = QLabel()
        self._title.setTextFormat(Qt.TextFormat.PlainText)
        self._title.setWordWrap(True)
        font = self._title.font()
        font.setWeight(QFont.Weight.DemiBold)
        self._title.setFont(font)
        self._cause = TextBlock(max_lines=8)
        self._advice = QLabel()
        self._advice.setTextFormat(Qt.TextFormat.PlainText)
        self._advice.setWordWrap(True)
        self._buttons = QHBoxLayout()
        self._buttons.setSpacing(8)

        texts = QVBoxLayout()
        texts.setSpacing(6)
        texts.addWidget(self._title)
        texts.addWidget(self._cause)
        texts.addWidget(self._advice)
        row = QHBoxLayout(self)
        margin = 20 if card else 10
        row.setContentsMargins(margin, margin - 2, margin, margin - 2)
        row.setSpacing(12)
        row.addWidget(self._icon, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(texts, 1)
        if card:
            texts.addSpacing(6)
            texts.addLayout(self._buttons)
        else:
            row.addLayout(self._buttons)
        if card:
            self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Maximum)
        self.hide()

    def centred(self) -> QWidget:
        """A page with this card a little above its middle."""
        page = QWidget()
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(self, 8)
        row.addStretch(1)
        column = QVBoxLayout(page)
        column.addStretch(2)
        column.addLayout(row)
        column.addStretch(3)
        return page

    def show_message(
        self,
        kind: str,
        title: str,
        cause: str = "",
        advice: str = "",
        buttons: list[tuple[str, Callable[[], object]]] | None = None,
    ) -> None:
        """Show a message of `kind` with buttons, the first being the usual next step."""
        self._kind = kind
        self._title.setText(title)
        self._cause.set_text(cause)
        self._cause.setVisible(bool(cause))
        self._advice.setText(advice)
        self._advice.setVisible(bool(advice))
        while (item := self._buttons.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        for text, slot in buttons or []:
            button = QPushButton(text)
            button.clicked.connect(slot)
            self._buttons.addWidget(button)
        if self._card:
            self._buttons.addStretch(1)
        self.setAccessibleName(title)
        self.setAccessibleDescription(" ".join(filter(None, (cause, advice))))
        self._follow()
        self.show()

    def title(self) -> str:
        """What is being said, in a few words."""
        return self._title.text()

    def cause(self) -> str:
        """Why."""
        return self._cause.toPlainText()

    def advice(self) -> str:
        """What can be done."""
        return self._advice.text()

    def buttons(self) -> list[QPushButton]:
        """The buttons on show."""
        found = [self._buttons.itemAt(index).widget() for index in range(self._buttons.count())]
        return [widget for widget in found if isinstance(widget, QPushButton)]

    def focusInEvent(self, event: QFocusEvent) -> None:
        # The first button takes the focus that the banner is given. Were it a focus proxy, the
        # Tab key would pass over what stands beside the banner (Qt 6.11).
        super().focusInEvent(event)
        for button in self.buttons()[:1]:
            button.setFocus(event.reason())

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._follow()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        text, fill = self._colours()
        edge = QColor(text)
        edge.setAlphaF(0.35)
        painter.setPen(QPen(edge, 1))
        painter.setBrush(QColor(fill))
        radius = 8 if self._card else 4
        painter.drawRoundedRect(self.rect().adjusted(0, 0, -1, -1), radius, radius)
        painter.end()

    def _colours(self) -> tuple[str, str]:
        tones = theme.tones(QPalette())
        return {
            INFO: (tones.info, tones.info_fill),
            GOOD: (tones.info, tones.info_fill),
            WARNING: (tones.warning, tones.warning_fill),
            ERROR: (tones.error, tones.error_fill),
        }[self._kind]

    def _follow(self) -> None:
        text, _ = self._colours()
        self._icon.setPixmap(icons.icon(self._kind, text).pixmap(_ICON_SIZE, _ICON_SIZE))
        palette = QPalette()
        for role in (QPalette.ColorRole.WindowText, QPalette.ColorRole.Text):
            palette.setColor(role, QColor(text))
        for label in (self._title, self._cause, self._advice):
            label.setPalette(palette)
        self.update()
