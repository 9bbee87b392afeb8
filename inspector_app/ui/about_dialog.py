"""What the program is and what it runs on. None of its windows holds up the main one."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from inspector_app import __version__
from inspector_app.ui import icons
from inspector_app.ui.close_box import close_box
from inspector_app.ui.copying import copy_text
from inspector_app.ui.environment_report import report
from inspector_app.ui.text_blocks import fixed_font
from inspector_app.ui.text_widgets import Heading, MutedLabel

LOGO_SIZE = 64
LEAST_WIDTH = 640
REPORT_LINES, LEAST_LINES = 14, 4


class EnvironmentBox(QPlainTextEdit):
    """The report of what the program runs on, to be read and copied."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(report().rstrip(), parent)
        self.setReadOnly(True)
        self.setTabChangesFocus(True)
        self.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.setFont(fixed_font())
        self.setAccessibleName(self.tr("What the program runs on"))
        self.setMinimumHeight(self._height(LEAST_LINES))

    def sizeHint(self) -> QSize:
        return QSize(super().sizeHint().width(), self._height(REPORT_LINES))

    def _height(self, lines: int) -> int:
        return (
            lines * self.fontMetrics().lineSpacing()
            + self.horizontalScrollBar().sizeHint().height()
            + 8
        )

    def copy_all(self) -> None:
        """Put the whole report into the clipboard."""
        copy_text(self.toPlainText() + "\n")


class _ReportDialog(QDialog):
    """A dialog with the report, a button that copies it, and one that closes."""

    def __init__(self, title: str, parent: QWidget | None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(title)
        self.report = EnvironmentBox()
        self.copy_button = QPushButton(icons.icon("copy"), self.tr("&Copy Report"))
        self.copy_button.clicked.connect(self._copy)
        buttons = close_box(self, self.copy_button)
        self.copied = MutedLabel()
        row = QHBoxLayout()
        row.addWidget(self.copied)
        row.addWidget(buttons, 1)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(20, 20, 20, 16)
        self._layout.setSpacing(10)
        self._layout.addWidget(self.report, 1)
        self._layout.addLayout(row)
        self.setMinimumWidth(LEAST_WIDTH)
        self.copy_button.setFocus()

    def _copy(self) -> None:
        self.report.copy_all()
        self.copied.setText(self.tr("Copied"))


class AboutDialog(_ReportDialog):
    """What the program is, its version and what it runs on."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(self.tr("About Checkpoint Inspector"), parent)
        logo = QLabel()
        logo.setPixmap(icons.application_icon().pixmap(LOGO_SIZE, LOGO_SIZE))
        title = QLabel("Checkpoint Inspector")
        font = title.font()
        font.setPointSizeF(font.pointSizeF() * 1.5)
        font.setBold(True)
        title.setFont(font)
        version = MutedLabel(self.tr("Version {version}").format(version=__version__))
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
        self._layout.insertLayout(0, row)
        self._layout.insertSpacing(1, 4)
        self._layout.insertWidget(2, Heading(self.tr("What it runs on")))


class ProblemDialog(_ReportDialog):
    """What to say of a problem; nothing is sent."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(self.tr("Report a Problem"), parent)
        words = QLabel(
            self.tr(
                "Say what you did, what you expected and what happened instead, and add the "
                "report below: it says what the program runs on. It has nothing of your files, "
                "and your home folder is written “~”. Nothing is ever sent: copy it, read it, "
                "and decide to whom you give it."
            )
        )
        words.setWordWrap(True)
        self._layout.insertWidget(0, words)
