"""The two windows of the Help menu. Neither holds up the main window."""

from __future__ import annotations

import platform

from PySide6 import __version__ as pyside_version
from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from inspector_app import __version__
from inspector_app.ui import icons
from inspector_app.ui.actions import ACTIONS, MENUS, key_sequences, text_of
from inspector_app.ui.text_widgets import Heading, MutedLabel


class AboutDialog(QDialog):
    """What the program is, its version and what it runs on."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(self.tr("About Checkpoint Inspector"))
        logo = QLabel()
        logo.setPixmap(icons.application_icon().pixmap(64, 64))
        title = QLabel("Checkpoint Inspector")
        font = title.font()
        font.setPointSizeF(font.pointSizeF() * 1.5)
        font.setBold(True)
        title.setFont(font)
        version = MutedLabel(
            self.tr("Version {version}, on Python {python} and PySide6 {pyside}").format(
                version=__version__, python=platform.python_version(), pyside=pyside_version
            )
        )
        version.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        purpose = QLabel(
            self.tr(
                "Shows what is inside a PyTorch checkpoint: without importing, calling or running "
                "anything that the file names."
            )
        )
        purpose.setWordWrap(True)
        licence = MutedLabel(self.tr("Free software under the MIT licence."))
        words = QVBoxLayout()
        words.setSpacing(6)
        for label in (title, version, purpose, licence):
            words.addWidget(label)
        words.addStretch()
        row = QHBoxLayout()
        row.setSpacing(18)
        row.addWidget(logo, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(words, 1)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 20, 20, 16)
        layout.setSpacing(16)
        layout.addLayout(row)
        layout.addWidget(buttons)
        self.setMinimumWidth(460)


class ShortcutsDialog(QDialog):
    """Every key of the window, taken from the table of actions, and those of the tree."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(self.tr("Keyboard Shortcuts"))
        content = QWidget()
        self._grid = QGridLayout(content)
        self._grid.setContentsMargins(20, 16, 20, 16)
        self._grid.setHorizontalSpacing(32)
        self._grid.setVerticalSpacing(5)
        self._grid.setColumnStretch(0, 1)
        for menu, title in MENUS.items():
            rows = [
                # The first: a platform's others are keys such as "Copy" on few keyboards.
                (text_of(spec.text), _shown(key_sequences(spec.keys)[0]))
                for spec in ACTIONS
                if spec.menu.split("/")[0] == menu and spec.keys
            ]
            if rows:
                self._add(_without_mnemonic(text_of(title)), rows)
        self._add(
            self.tr("In the tree"),
            [
                (self.tr("Open a row, or go into it"), _shown(QKeySequence("Right"))),
                (self.tr("Close a row, or go to what holds it"), _shown(QKeySequence("Left"))),
                (self.tr("Open or close a row"), _shown(QKeySequence("Return"))),
                (self.tr("Open everything below a row"), "*"),
            ],
        )
        self._grid.setRowStretch(self._grid.rowCount(), 1)
        area = QScrollArea()
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(content)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.setContentsMargins(20, 8, 20, 14)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(area)
        layout.addWidget(buttons)
        self.resize(470, 600)

    def _add(self, title: str, rows: list[tuple[str, str]]) -> None:
        heading = Heading(title)
        if self._grid.count():
            heading.setContentsMargins(0, 12, 0, 0)
        self._grid.addWidget(heading, self._grid.rowCount(), 0, 1, 2)
        for text, keys in rows:
            row = self._grid.rowCount()
            self._grid.addWidget(QLabel(_without_mnemonic(text)), row, 0)
            label = MutedLabel(keys)
            self._grid.addWidget(label, row, 1, Qt.AlignmentFlag.AlignRight)


def _shown(key: QKeySequence) -> str:
    return key.toString(QKeySequence.SequenceFormat.NativeText)


def _without_mnemonic(text: str) -> str:
    return text.replace("&", "").rstrip("…")
