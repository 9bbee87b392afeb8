"""What a worker has done and is doing, one line each with its time."""

from __future__ import annotations

from time import perf_counter

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QGridLayout, QLabel, QWidget

from inspector_app.ui import icons, theme
from inspector_app.ui.text_widgets import Heading, MutedLabel
from inspector_app.ui.worker_words import seconds_text

_MOST = 40
_ICON = 14
_GOING, _DONE, _STOPPED = "next", "check", "close"


class StageList(QWidget):
    """Stages in groups; the last one is going on until the next begins."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(8)
        self._grid.setVerticalSpacing(4)
        self._grid.setColumnStretch(1, 1)
        self._rows: list[tuple[QLabel, QLabel, QLabel]] = []
        self._signs: list[str] = []
        self._going = False
        self._began = 0.0

    def clear(self) -> None:
        """Forget everything."""
        while (item := self._grid.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        self._rows.clear()
        self._signs.clear()
        self._going = False

    def begin_group(self, title: str) -> None:
        """What follows belongs together."""
        heading = Heading(title)
        if self._rows:
            heading.setContentsMargins(0, 8, 0, 0)
        self._grid.addWidget(heading, self._grid.rowCount(), 0, 1, 3)

    def begin(self, text: str) -> None:
        """The stage before is done, and this one begins; again the same one goes on."""
        if self._going and self._rows[-1][1].text() == text:
            return
        self.end(True)
        if len(self._rows) >= _MOST:
            return
        row = (QLabel(), QLabel(text), MutedLabel())
        place = self._grid.rowCount()
        row[2].setAlignment(Qt.AlignmentFlag.AlignRight)
        for column, widget in enumerate(row):
            self._grid.addWidget(widget, place, column)
        self._rows.append(row)
        self._signs.append(_GOING)
        self._going = True
        self._began = perf_counter()
        self._follow()

    def end(self, done: bool) -> None:
        """The stage that is going on has ended."""
        if self._going:
            self.tick()
            self._signs[-1] = _DONE if done else _STOPPED
            self._going = False
            self._follow()

    def tick(self) -> None:
        """Show how long the stage has taken so far."""
        if self._going:
            self._rows[-1][2].setText(seconds_text(perf_counter() - self._began))

    def texts(self) -> list[str]:
        """The stages, from the first."""
        return [row[1].text() for row in self._rows]

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._follow()

    def _follow(self) -> None:
        tones = theme.tones(QPalette())
        colours = {_GOING: tones.accent, _DONE: tones.info, _STOPPED: tones.error}
        for (label, _, _), sign in zip(self._rows, self._signs, strict=True):
            label.setPixmap(icons.icon(sign, colours[sign]).pixmap(_ICON, _ICON))
