"""Consent to run what is in a file: everything it would import, listed before it is asked."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QPushButton, QVBoxLayout, QWidget

from inspector_app.analysis.quantities import count_text
from inspector_app.checkpoint.text import plain
from inspector_app.ui.banner import WARNING, Banner
from inspector_app.ui.text_blocks import TextBlock
from inspector_app.ui.text_widgets import MutedLabel

_MOST = 2_000


class ConsentPart(QWidget):
    """Says what loading the file would run, and asks.

    Signals:
        given: the user agrees.
    """

    given = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.banner = Banner()
        self._names = TextBlock(framed=True, fixed_pitch=True, max_lines=10)
        self._names.setAccessibleName(self.tr("Classes and functions that would be imported"))
        self.agree = QPushButton(self.tr("I trust this file: &run its code"))
        self.agree.setAutoDefault(False)
        self.agree.clicked.connect(self.given)
        said = MutedLabel(self.tr("You are asked once for this file as it is now."))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.banner)
        layout.addWidget(self._names)
        row = QVBoxLayout()
        row.setSpacing(4)
        row.addWidget(self.agree, 0, Qt.AlignmentFlag.AlignLeft)
        row.addWidget(said)
        layout.addLayout(row)

    def show_globals(self, name: str, names: list[tuple[str, str]]) -> None:
        """List what would be imported, each with how it is used."""
        self.banner.show_message(
            WARNING,
            self.tr("Loading {name} runs code from it").format(name=plain(name, 60)),
            self.tr(
                "It would import these {n} classes and functions, and call some of them:"
            ).format(n=count_text(len(names))),
            self.tr("Whoever made the file decides what they do. Nothing has been run so far."),
        )
        width = max((len(each) for each, _ in names[:_MOST]), default=0)
        lines = [
            f"{plain(each, 200):<{min(width, 60)}}   {plain(use)}".rstrip()
            for each, use in names[:_MOST]
        ]
        if len(names) > _MOST:
            lines.append("…")
        self._names.set_text("\n".join(lines))

    def names(self) -> str:
        """What is listed."""
        return self._names.toPlainText()
