"""The file to write: its name, a dialog to choose it, and what is wrong with it."""

from __future__ import annotations

import os

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFileDialog, QLineEdit, QPushButton, QVBoxLayout, QWidget

from inspector_app.checkpoint.text import plain
from inspector_app.ui.form_fields import ASKED_EACH_TIME
from inspector_app.ui.wizard_widgets import BAD, Box, Hint, row_of


class TargetField(QWidget):
    """Names a file beside the checkpoint until somebody names another.

    Args:
        source: the checkpoint, which is never replaced.
        folder: where relative paths begin.
        title: of the dialog.

    Signals:
        changed: another name, or it may be replaced.
    """

    changed = Signal()

    def __init__(self, source: str, folder: str, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._source, self._folder, self._title = source, folder, title
        self._ending, self._kind = "", ""
        # What the target was when we named it; another text is the user's own.
        self._suggested = ""
        self.text = QLineEdit()
        self.text.setAccessibleName(self.tr("File to write"))
        self.choose = QPushButton(self.tr("Choose…"))
        self.choose.clicked.connect(self._ask)
        self._hint = Hint()
        self.replace = Box(self.tr("&Replace the file that is there"))
        self.replace.setProperty(ASKED_EACH_TIME, True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(row_of(self.text, self.choose))
        layout.addWidget(self._hint)
        layout.addWidget(self.replace)
        self.text.textChanged.connect(self._renamed)
        self.replace.toggled.connect(self._edited)

    def suggest(self, tag: str, ending: str, kind: str) -> None:
        """A file beside the checkpoint; of one that the user has named, the ending.

        Args:
            tag: what tells it from the checkpoint, such as ``int8``.
            ending: of the files of this kind.
            kind: what they are called in the dialog.
        """
        before, self._ending, self._kind = self._ending, ending, kind
        text = self.text.text().strip()
        if text and text != self._suggested:
            if before and text.lower().endswith(before):
                self.text.setText(text[: -len(before)] + ending)
            self._edited()
            return
        stem = os.path.splitext(self._source)[0]
        if os.path.isdir(self._source):
            stem = os.path.join(self._source, "model")
        self._suggested = f"{stem}.{tag}{ending}"
        self.text.setText(self._suggested)
        self._edited()

    def restore(self, path: str) -> None:
        """Show the name that was used before."""
        if path:
            self.text.setText(path)

    def path(self) -> str:
        """The file to write."""
        text = os.path.expanduser(self.text.text().strip())
        return os.path.normpath(os.path.join(self._folder, text)) if text else ""

    def problem(self) -> str:
        """What is wrong with it, or ""."""
        path = self.path()
        if not path:
            return self.tr("Name the file to write.")
        if os.path.splitext(path)[1].lower() != self._ending:
            return self.tr("The name has to end in {ending}.").format(ending=self._ending)
        folder = os.path.dirname(path)
        if not os.path.isdir(folder):
            return self.tr("There is no folder {folder}.").format(folder=plain(folder))
        if os.path.isdir(path):
            return self.tr("There is a folder of this name.")
        if not os.access(folder, os.W_OK):
            return self.tr("Files cannot be written to {folder}.").format(folder=plain(folder))
        if os.path.exists(path):
            if self._is_source(path):
                return self.tr("This is the checkpoint itself: choose another name.")
            if not self.replace.isChecked():
                text = self.tr("{name} exists: choose another name, or to replace it.")
                return text.format(name=plain(os.path.basename(path)))
        return ""

    def check(self) -> None:
        """Look again: the disk may have changed."""
        self._edited()

    def _is_source(self, path: str) -> bool:
        return os.path.exists(self._source) and os.path.samefile(path, self._source)

    def _renamed(self) -> None:
        # Whoever lets one file be replaced has not said so of another.
        self.replace.setChecked(False)
        self._edited()

    def _edited(self) -> None:
        path = self.path()
        self.replace.setVisible(os.path.isfile(path) and not self._is_source(path))
        self._hint.say(self.problem(), BAD)
        self.changed.emit()

    def _ask(self) -> None:
        dialog = QFileDialog(self, self._title)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setNameFilters([f"{self._kind} (*{self._ending})"])
        dialog.setDefaultSuffix(self._ending[1:])
        dialog.setDirectory(os.path.dirname(self.path()) or self._folder)
        dialog.selectFile(os.path.basename(self.path()))
        dialog.fileSelected.connect(self._asked)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _asked(self, path: str) -> None:
        self.text.setText(path)
        # The dialog has asked already.
        self.replace.setChecked(True)
