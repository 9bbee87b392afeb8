"""Shows the report of a fault, to be read before it is copied. It is sent nowhere."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtGui import QGuiApplication, QPalette, QTextOption
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from inspector_app.environment import homeless
from inspector_app.ui import error_report, icons, state_folder, theme
from inspector_app.ui.text_blocks import fixed_font, plain_lines
from inspector_app.ui.text_widgets import ElidedLabel, Heading, MutedLabel

SIZE = (720, 520)
_ICON = 32


class ErrorDialog(QDialog):
    """One report, or several of a fault that led to others; beside it the window goes on."""

    def __init__(self, title: str, explanation: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(title)
        self.path = ""
        self.shown: list[str] = []
        self._icon = QLabel()
        self._icon.setFixedSize(_ICON, _ICON)
        self._title = Heading(title)
        font = self._title.font()
        font.setPointSizeF(font.pointSizeF() * 1.15)
        self._title.setFont(font)
        said = QLabel(explanation)
        said.setTextFormat(Qt.TextFormat.PlainText)
        said.setWordWrap(True)
        self.report = QPlainTextEdit()
        self.report.setReadOnly(True)
        self.report.setFont(fixed_font())
        self.report.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.report.setAccessibleName(self.tr("Report"))
        self.report.setTabChangesFocus(True)
        self.kept = ElidedLabel(muted=True)
        self.times = MutedLabel()
        self.times.hide()
        self.copy_button = QPushButton(self.tr("&Copy Report"))
        self.folder_button = QPushButton(self.tr("Show in &Folder"))
        self.close_button = QPushButton(self.tr("Close"))
        self.copy_button.clicked.connect(self._copy)
        self.folder_button.clicked.connect(self._show_in_folder)
        self.close_button.clicked.connect(self.close)
        for button in (self.copy_button, self.folder_button):
            button.setAutoDefault(False)
        self.close_button.setDefault(True)
        words = QVBoxLayout()
        words.setSpacing(6)
        words.addWidget(self._title)
        words.addWidget(said)
        head = QHBoxLayout()
        head.setSpacing(14)
        head.addWidget(self._icon, 0, Qt.AlignmentFlag.AlignTop)
        head.addLayout(words, 1)
        foot = QHBoxLayout()
        foot.setSpacing(8)
        foot.addWidget(self.copy_button)
        foot.addWidget(self.folder_button)
        foot.addStretch(1)
        foot.addWidget(self.close_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 18, 20, 16)
        layout.setSpacing(12)
        layout.addLayout(head)
        layout.addWidget(self.report, 1)
        layout.addWidget(self.times)
        layout.addWidget(self.kept)
        layout.addLayout(foot)
        self.resize(*SIZE)
        self.close_button.setFocus()
        self._follow()

    def add(self, text: str, path: str) -> None:
        """Show a report, below those that are shown; `path` is where it is kept, or ""."""
        self.shown.append(text)
        self.path = path or self.path
        self.report.setPlainText(plain_lines("\n\n".join(self.shown)))
        if path:
            where = self.tr("Kept as {path}; it is sent nowhere.").format(path=homeless(path))
        else:
            where = self.tr("It could not be kept on the disk, and is sent nowhere.")
        self.kept.set_text(where)
        self.folder_button.setVisible(bool(self.path))

    def count(self, times: int) -> None:
        """Say that it has happened more than once."""
        self.times.setText(self.tr("It has happened {n} times.").format(n=times))
        self.times.setVisible(times > 1)

    def changeEvent(self, event: Any) -> None:
        super().changeEvent(event)
        if event.type() == event.Type.PaletteChange:
            self._follow()

    def _follow(self) -> None:
        colour = theme.tones(QPalette()).error
        self._icon.setPixmap(icons.icon("error", colour).pixmap(_ICON, _ICON))

    def _copy(self) -> None:
        # What was read, not what it was made of: a sentence may quote what a file made up.
        QGuiApplication.clipboard().setText(self.report.toPlainText())
        self.copy_button.setText(self.tr("&Copied"))

    def _show_in_folder(self) -> None:
        from inspector_app.ui.show_in_folder import show_in_folder

        show_in_folder(self.path)


def show_fault(window: QWidget | None, which: str, text: str, times: int) -> ErrorDialog | None:
    """Show a fault once; when it comes again, how often it came.

    Args:
        which: names the fault.
        text: its report without surroundings, "" when it was shown before.
    """
    dialog = _open_dialog(window)
    if not text:
        if dialog is not None and which in dialog.property("faults"):
            dialog.count(times)
        return dialog
    text = error_report.with_surroundings(text)
    try:
        path = error_report.keep(text)
    except OSError:
        path = ""
    if dialog is None:
        title = _tr("Something went wrong in Checkpoint Inspector")
        explanation = _tr(
            "This is a fault of the program, not of your file. The window goes on, but what you "
            "did last may not have been done. The report has the places in the program's code "
            "and what it runs on; read it before you pass it on."
        )
        dialog = ErrorDialog(title, explanation, window)
        dialog.setProperty("faults", [])
    dialog.setProperty("faults", [*dialog.property("faults"), which])
    dialog.add(text, path)
    dialog.show()
    return dialog


def show_report(window: QWidget, path: str) -> ErrorDialog:
    """Show a report that was kept: of a crash, which nobody could show when it came."""
    data = state_folder.read(path)
    title = _tr("Checkpoint Inspector crashed")
    explanation = _tr(
        "The last window died of a fault. The report has the places in the code where it was, "
        "and what the program runs on; read it before you pass it on."
    )
    dialog = ErrorDialog(title, explanation, window)
    dialog.add((data or b"").decode("utf-8", "replace"), path)
    dialog.show()
    return dialog


def _open_dialog(window: QWidget | None) -> ErrorDialog | None:
    for widget in QApplication.topLevelWidgets():
        if isinstance(widget, ErrorDialog) and widget.property("faults") and widget.isVisible():
            return widget
    return None


def _tr(text: str) -> str:
    return QCoreApplication.translate("ErrorDialog", text)
