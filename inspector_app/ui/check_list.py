"""A list of what was looked at: a sign and a word for how it turned out, and the reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QGridLayout, QLabel, QWidget

from inspector_app.analysis.resume_check import CheckStatus
from inspector_app.ui import icons, theme
from inspector_app.ui.text_blocks import TextBlock
from inspector_app.ui.text_widgets import Heading, MutedLabel
from inspector_app.ui.training_words import STATUSES, translated

ICON = 16
_ICONS = {
    CheckStatus.OK: "check",
    CheckStatus.NOTE: "info",
    CheckStatus.WARNING: "warning",
    CheckStatus.FAILED: "error",
}


class CheckLine(NamedTuple):
    """One line.

    Attributes:
        status: of `CheckStatus`.
        title: what it is about.
        text: the reason.
    """

    status: str
    title: str
    text: str


class CheckList(QWidget):
    """Lines of a sign, a title with a word, and a text below it. Lines are kept and reused."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._lines: list[tuple[QLabel, Heading, MutedLabel, TextBlock]] = []
        self._shown: list[CheckLine] = []
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(8)
        self._grid.setVerticalSpacing(1)
        self._grid.setColumnStretch(2, 1)

    def show_lines(self, lines: Sequence[CheckLine]) -> None:
        """Show these."""
        self._shown = list(lines)
        while len(self._lines) < len(lines):
            self._add()
        for place, (sign, title, word, text) in enumerate(self._lines):
            used = place < len(lines)
            if used:
                line = lines[place]
                title.setText(line.title)
                word.setText(translated(STATUSES[line.status]))
                text.set_text(line.text)
                text.setAccessibleName(f"{line.title}: {word.text()}")
            for widget in (sign, title, word, text):
                widget.setVisible(used)
        self._follow()

    def lines(self) -> list[tuple[str, str, str]]:
        """What is shown: the word, the title and the text of each line."""
        return [
            (word.text(), title.text(), text.toPlainText())
            for _, title, word, text in self._lines[: len(self._shown)]
        ]

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._follow()

    def _add(self) -> None:
        row = 2 * len(self._lines)
        sign = QLabel()
        sign.setFixedWidth(ICON)
        title, word, text = Heading(), MutedLabel(), TextBlock(max_lines=40)
        left = Qt.AlignmentFlag.AlignLeft
        self._grid.addWidget(sign, row, 0, Qt.AlignmentFlag.AlignVCenter)
        self._grid.addWidget(title, row, 1, left)
        self._grid.addWidget(word, row, 2, left)
        self._grid.addWidget(text, row + 1, 1, 1, 2)
        self._grid.setRowMinimumHeight(row, title.sizeHint().height() + 6)
        self._lines.append((sign, title, word, text))

    def _follow(self) -> None:
        tones = theme.tones(QPalette())
        colours = {
            CheckStatus.OK: tones.accent,
            CheckStatus.NOTE: tones.muted,
            CheckStatus.WARNING: tones.warning,
            CheckStatus.FAILED: tones.error,
        }
        for (sign, *_), line in zip(self._lines, self._shown, strict=False):
            icon = icons.icon(_ICONS[line.status], colours[line.status])
            sign.setPixmap(icon.pixmap(ICON, ICON))
