"""Where a file is saved, in which format, and whether it may replace what is there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from PySide6.QtCore import QT_TRANSLATE_NOOP, QCoreApplication, QSignalBlocker, Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from inspector_app.checkpoint.text import plain
from inspector_app.ui.form_fields import ASKED_EACH_TIME
from inspector_app.ui.wizard_widgets import BAD, Box, Choice, Hint, row_of

_LONGEST_NAME = 120


class SaveFormat(NamedTuple):
    """A format to save in, with the ending that says so and other endings that do."""

    title: str
    ending: str
    others: tuple[str, ...] = ()


FORMATS = (
    SaveFormat(QT_TRANSLATE_NOOP("SaveTarget", "s&afetensors"), ".safetensors"),
    SaveFormat(
        QT_TRANSLATE_NOOP("SaveTarget", "PyTorch (.&pth)"), ".pth", (".pt", ".ckpt", ".bin")
    ),
    SaveFormat(QT_TRANSLATE_NOOP("SaveTarget", "NumPy (.np&z)"), ".npz"),
)
ENDINGS = {ending: form for form in FORMATS for ending in (form.ending, *form.others)}


class SaveTarget(QWidget):
    """The name of the file to write; its ending is the format.

    Args:
        source: the file that it is made from, which is never replaced.
        suffix: what the suggested name has before its ending where it would be the source's;
            or always, if `is_another` model is written.

    Signals:
        changed: another name, or another answer to whether to replace what is there.
    """

    changed = Signal()

    def __init__(
        self,
        source: str,
        suffix: str,
        parent: QWidget | None = None,
        *,
        is_another: bool = False,
    ) -> None:
        super().__init__(parent)
        self._is_another = is_another
        self._only = ""
        self._sources = [source]
        self._base = source
        self._suffix = suffix
        self._suggested = self._named = self._written = ""
        self._group = QButtonGroup(self)
        self.buttons: dict[str, Choice] = {}
        row = QHBoxLayout()
        row.setSpacing(16)
        for form in FORMATS:
            button = Choice(QCoreApplication.translate("SaveTarget", form.title))
            button.clicked.connect(lambda _checked=False, form=form: self._chosen(form))
            self._group.addButton(button)
            self.buttons[form.ending] = button
            row.addWidget(button)
        row.addStretch(1)
        self.path_field = QLineEdit()
        self.path_field.setAccessibleName(self.tr("File to write"))
        self.path_field.textChanged.connect(self._edited)
        self.choose_button = QPushButton(self.tr("C&hoose…"))
        self.choose_button.setAutoDefault(False)
        self.choose_button.clicked.connect(self.ask)
        self.hint = Hint()
        self.replace = Box(self.tr("&Replace the file that is there"))
        self.replace.setProperty(ASKED_EACH_TIME, True)
        self.replace.toggled.connect(self._edited)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addLayout(row)
        layout.addWidget(row_of(self.path_field, self.choose_button))
        layout.addWidget(self.hint)
        layout.addWidget(self.replace)
        self.suggest(FORMATS[0].ending)

    def path(self) -> str:
        """The file to write; a relative name begins at the source's folder."""
        text = os.path.expanduser(self.path_field.text().strip())
        folder = _folder(self._sources[0])
        return os.path.normpath(os.path.join(folder, text)) if text else ""

    def ending(self) -> str:
        """The ending of the format that is chosen: ``.safetensors``, ``.pth``, ``.npz``."""
        return next(each for each, button in self.buttons.items() if button.isChecked())

    def keep_to(self, ending: str) -> None:
        """Offer one format only."""
        for each, button in self.buttons.items():
            button.hide()
            button.setEnabled(each == ending)
        self._only = ending
        self.suggest(ending)

    def name_after(self, path: str) -> None:
        """Suggest a name beside another file than the source."""
        self._base = path
        self.suggest(self.ending())

    def set_sources(self, sources: Sequence[str]) -> None:
        """All files that are read, none of which may be replaced."""
        self._sources = list(sources)
        self._edited()

    def suggest(self, ending: str) -> None:
        """Choose a format; a name of the user's own keeps all but its ending."""
        self.buttons[ending].setChecked(True)
        text = self.path_field.text().strip()
        if text and text != self._suggested:
            stem, old = os.path.splitext(text)
            if old.lower() in ENDINGS:
                self.path_field.setText(stem + ending)
            return
        source = self._base
        stem = os.path.join(source, "model") if os.path.isdir(source) else _stem(source)
        path = stem + ending
        if self._is_another or _same(path, source):
            path = f"{stem}{self._suffix}{ending}"
        self._suggested = path
        self.path_field.setText(path)

    def problem(self) -> str:
        """What is wrong with the name, in a sentence, or ""."""
        path = self.path()
        if not path:
            return self.tr("Name the file to write.")
        ending = os.path.splitext(path)[1].lower()
        if self._only and ENDINGS.get(ending, FORMATS[0]).ending != self._only:
            return self.tr("The name has to end in {endings}.").format(endings=self._only)
        if ending not in ENDINGS:
            return self.tr("The name has to end in {endings}.").format(
                endings=", ".join(form.ending for form in FORMATS)
            )
        folder = os.path.dirname(path)
        if not os.path.isdir(folder):
            return self.tr("There is no folder {folder}.").format(folder=plain(folder, 200))
        if os.path.isdir(path):
            return self.tr("There is a folder of this name.")
        if not os.access(folder, os.W_OK):
            return self.tr("Files cannot be written to {folder}.").format(folder=plain(folder, 200))
        if any(_same(path, source) for source in self._sources):
            return self.tr("This file is read: choose another name.")
        if os.path.exists(path) and not self.replace.isChecked():
            text = self.tr("{name} exists: choose another name, or to replace it.")
            return text.format(name=plain(os.path.basename(path), _LONGEST_NAME))
        return ""

    def may_replace(self) -> bool:
        """The user has agreed to replace the file that is there."""
        return self.replace.isChecked()

    def written(self) -> None:
        """It was written: the next time there is something to replace, which is no news now."""
        self._written = self.path()
        with QSignalBlocker(self):
            self.replace.setChecked(False)
            self._edited()

    def ask(self) -> QFileDialog:
        """Choose the file in a dialog, which asks before something is replaced."""
        dialog = QFileDialog(self, self.tr("Save As"))
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        ending = self.ending()
        dialog.setNameFilters([f"{ending[1:]} (*{ending})"])
        dialog.setDefaultSuffix(ending[1:])
        dialog.setDirectory(os.path.dirname(self.path()) or _folder(self._sources[0]))
        dialog.selectFile(os.path.basename(self.path()))
        dialog.fileSelected.connect(self._asked)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()
        return dialog

    def _asked(self, path: str) -> None:
        self.path_field.setText(path)
        self.replace.setChecked(os.path.isfile(path))

    def _chosen(self, form: SaveFormat) -> None:
        self.suggest(form.ending)
        self._edited()

    def _edited(self) -> None:
        path = self.path()
        form = ENDINGS.get(os.path.splitext(path)[1].lower())
        if form is not None:
            self.buttons[form.ending].setChecked(True)
        there = os.path.isfile(path) and not any(_same(path, each) for each in self._sources)
        if path != self._named:
            # Consent is for one file, not for whatever is named next.
            self._named = path
            self._written = ""
            self.replace.setChecked(False)
        self.replace.setVisible(there)
        known = bool(path) and path == self._written
        self.hint.say("" if known else self.problem(), BAD)
        self.changed.emit()


def _folder(path: str) -> str:
    return path if os.path.isdir(path) else os.path.dirname(os.path.abspath(path))


def _stem(path: str) -> str:
    stem, ending = os.path.splitext(path)
    # ``model.safetensors.index.json``
    return os.path.splitext(os.path.splitext(stem)[0])[0] if ending == ".json" else stem


def _same(path: str, other: str) -> bool:
    try:
        return os.path.samefile(path, other)
    except OSError:
        return os.path.normcase(os.path.abspath(path)) == os.path.normcase(os.path.abspath(other))
