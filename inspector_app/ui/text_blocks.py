"""Blocks of text to read, select and copy. What comes from files is made plain."""

from __future__ import annotations

from math import ceil

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QFont, QFontDatabase, QResizeEvent, QTextOption, QWheelEvent
from PySide6.QtWidgets import QFrame, QGridLayout, QPlainTextEdit, QSizePolicy, QWidget

from inspector_app.checkpoint.text import plain
from inspector_app.ui.text_widgets import MutedLabel

SHOWN_CHARACTERS = 20_000
LINE_CHARACTERS = 2_000


def plain_lines(text: str) -> str:
    """`text` with its lines kept and everything else made safe to show.

    Very long lines and texts are cut in the middle: laying out one line of a megabyte
    would hold the window for seconds.
    """
    if len(text) > SHOWN_CHARACTERS:
        half = SHOWN_CHARACTERS // 2
        text = f"{text[:half]}\n…\n{text[-half:]}"
    return "\n".join(
        plain(line.expandtabs(4), LINE_CHARACTERS)
        for line in text.replace("\r\n", "\n").split("\n")
    )


def fixed_font() -> QFont:
    """The system's font of fixed width, at the size of the window's."""
    font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
    font.setPointSizeF(max(QFont().pointSizeF(), 8.0))
    return font


class TextBlock(QPlainTextEdit):
    """Read-only plain text as tall as it needs to be, to be selected and copied.

    Args:
        framed: looks like a box of its own and can be reached with the Tab key.
        fixed_pitch: for code and values.
        max_lines: beyond these it scrolls.
    """

    def __init__(
        self,
        framed: bool = False,
        fixed_pitch: bool = False,
        max_lines: int = 12,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._max_lines = max_lines
        self._framed = framed
        self.setReadOnly(True)
        self.setAcceptDrops(False)
        self.setTabChangesFocus(True)
        self.setUndoRedoEnabled(False)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        if fixed_pitch:
            self.setFont(fixed_font())
        if framed:
            self.setFrameShape(QFrame.Shape.StyledPanel)
            self.document().setDocumentMargin(6)
        else:
            self.setFrameShape(QFrame.Shape.NoFrame)
            self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
            self.document().setDocumentMargin(0)
            self.viewport().setAutoFillBackground(False)
            self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)

    def set_text(self, text: str) -> None:
        """Show `text`, which is made plain first."""
        self.setPlainText(plain_lines(text))
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def wheelEvent(self, event: QWheelEvent) -> None:
        # The pane scrolls, unless there is something to scroll here.
        if self.verticalScrollBar().maximum() == 0:
            event.ignore()
        else:
            super().wheelEvent(event)

    def sizeHint(self) -> QSize:
        return QSize(120, self.minimumHeight())

    def minimumSizeHint(self) -> QSize:
        return QSize(40, self.minimumHeight())

    def _fit(self) -> None:
        line = self.document().firstBlock().layout()
        if line.lineCount() and line.lineAt(0).width() > self.viewport().width():
            # A scroll bar of what this lies in appeared while it was being laid out: Qt has
            # kept the lines of the width before.
            self.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
            self.setLineWrapMode(QPlainTextEdit.LineWrapMode.WidgetWidth)
        # A plain text document counts its height in lines.
        lines = min(round(self.document().size().height()), self._max_lines)
        margin = 2 * round(self.document().documentMargin()) + 2 * self.frameWidth()
        # A line is laid out a pixel taller than the font says where its ascent and descent are
        # both rounded up, as those of GNOME's 10 points are: a scroll bar would appear.
        tall = max(
            self.fontMetrics().lineSpacing(), line.lineAt(0).height() if line.lineCount() else 0
        )
        height = max(lines, 1) * ceil(tall) + margin + 1
        if height != self.minimumHeight() or height != self.maximumHeight():
            self.setFixedHeight(height)


class Facts(QWidget):
    """Rows of a name and a value. Rows are kept and reused: selections change fast."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: list[tuple[MutedLabel, TextBlock]] = []
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(14)
        self._grid.setVerticalSpacing(5)
        # The same in every pane, so that values stand below each other.
        self._grid.setColumnMinimumWidth(0, self.fontMetrics().averageCharWidth() * 14)
        self._grid.setColumnStretch(1, 1)

    def set_rows(self, rows: list[tuple[str, str]]) -> None:
        """Show these names with their values; empty values are left out."""
        rows = [(name, value) for name, value in rows if value]
        while len(self._rows) < len(rows):
            label = MutedLabel()
            value = TextBlock(max_lines=60)
            position = len(self._rows)
            self._grid.addWidget(label, position, 0, Qt.AlignmentFlag.AlignTop)
            self._grid.addWidget(value, position, 1, Qt.AlignmentFlag.AlignTop)
            self._rows.append((label, value))
        for index, (label, value) in enumerate(self._rows):
            used = index < len(rows)
            if used:
                name, text = rows[index]
                label.setText(name)
                if value.toPlainText() != text:
                    value.set_text(text)
                value.setAccessibleName(name)
            label.setVisible(used)
            value.setVisible(used)

    def rows(self) -> dict[str, str]:
        """What is shown, by name."""
        return {
            label.text(): value.toPlainText() for label, value in self._rows if not label.isHidden()
        }
