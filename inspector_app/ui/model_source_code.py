"""A model's Python source: the file or module, and which of its classes or functions."""

from __future__ import annotations

import os
from collections.abc import Callable

from PySide6.QtCore import QCoreApplication, QTimer, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QGridLayout,
    QPushButton,
    QSizePolicy,
    QWidget,
)

from inspector_app.checkpoint.text import plain
from inspector_app.ui.model_arguments import ArgumentsForm
from inspector_app.ui.model_subject import Subject
from inspector_app.ui.source_reading import SourceReading
from inspector_app.ui.text_widgets import MutedLabel
from inspector_app.ui.wizard_widgets import BAD, QUIET, Hint, field_label, label_width, row_of
from inspector_app.ui.worker_words import cause_text
from inspector_app.worker.failures import Failed
from inspector_app.worker.protocol import ModelSource, SourceKind
from inspector_app.worker.source_listing import Listing, Offer

TYPING_MS = 300
_MOST_LINES = 3


class SourceCode(QWidget):
    """Names a class or factory and its arguments.

    Args:
        subject: the checkpoint, whose folder relative paths begin at.

    Signals:
        changed: something was typed or chosen.
    """

    changed = Signal()

    def __init__(self, subject: Subject, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._subject = subject
        self._listing = Listing(())
        self._read = ""
        self._wrong = ""
        self._restored: ModelSource | None = None  # once its source has been read
        self._reading = SourceReading(self)
        self._reading.read.connect(self._show_listing)
        self._typing = QTimer(self)
        self._typing.setSingleShot(True)
        self._typing.setInterval(TYPING_MS)
        self._typing.timeout.connect(self._read_source)
        self.source = _edited_combo()
        self.source.addItems(list(subject.sources))
        self.source.setCurrentIndex(-1)
        self.source.lineEdit().setPlaceholderText(self.tr("path/to/model.py or package.module"))
        self.source.currentTextChanged.connect(self._source_changed)
        self.choose = QPushButton(self.tr("Choose…"))
        self.choose.setToolTip(self.tr("Choose the Python file with the model's code"))
        self.choose.clicked.connect(self._ask)
        self._source_hint = Hint()
        self.name = _edited_combo()
        self.name.lineEdit().setPlaceholderText(self.tr("Class or function"))
        self.name.currentTextChanged.connect(self._name_changed)
        self._name_hint = Hint()
        self.arguments = ArgumentsForm(self.name)
        self.arguments.changed.connect(self.changed)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(10)
        grid.setVerticalSpacing(4)
        grid.setColumnMinimumWidth(0, label_width(self))
        grid.setColumnStretch(1, 1)
        grid.addWidget(field_label(self.tr("Python &file or module"), self.source), 0, 0)
        grid.addWidget(row_of(self.source, self.choose), 0, 1)
        grid.addWidget(self._source_hint, 1, 1)
        grid.addWidget(field_label(self.tr("&Class or function"), self.name), 2, 0)
        grid.addWidget(self.name, 2, 1)
        grid.addWidget(self._name_hint, 3, 1)
        self._arguments_label = MutedLabel(self.tr("Its arguments"))
        grid.addWidget(self._arguments_label, 4, 0)
        grid.addWidget(self.arguments, 5, 0, 1, 2)
        self._show_arguments()

    def model_source(self) -> ModelSource:
        """What is chosen, once there is no `problem`."""
        spec = f"{self._path()}:{self.name.currentText().strip()}"
        return ModelSource(SourceKind.CODE, spec, self.arguments.values())

    def problem(self) -> str:
        """What is wrong or missing, or ""."""
        if not self.source.currentText().strip():
            return self.tr("Choose the Python file or module that has the model's class.")
        if self._typing.isActive() or self._reading.running:
            return self.tr("Reading the source…")
        if self._wrong:
            return self._wrong
        name = self.name.currentText().strip()
        if not name:
            return self.tr("Choose the class or function that builds the model.")
        if not all(part.isidentifier() for part in name.split(".")):
            return self.tr("{name} is no name of a class or function.").format(name=plain(name))
        return self.arguments.problem()

    def restore(self, source: ModelSource) -> None:
        """Show what was chosen before."""
        self.source.setCurrentText(source.spec.rpartition(":")[0])
        self._typing.stop()
        self._restored = source
        self._read_source()

    def stop(self) -> None:
        """End what is going on."""
        self._typing.stop()
        self._reading.cancel()

    def offer(self) -> Offer | None:
        """What the source says of the chosen name."""
        name = self.name.currentText().strip()
        return next((each for each in self._listing.offers if each.name == name), None)

    def _path(self) -> str:
        """A file's absolute path; a module's name as it is."""
        text = self.source.currentText().strip()
        if text.endswith(".py") or os.sep in text or "/" in text:
            return os.path.normpath(os.path.join(self._subject.folder, os.path.expanduser(text)))
        return text

    def _ask(self) -> None:
        folder = os.path.dirname(self._path()) or self._subject.folder
        ask_source(self, folder, self.source.setCurrentText)

    def _source_changed(self) -> None:
        self._restored = None
        self._typing.start()
        self.changed.emit()

    def _read_source(self) -> None:
        path = self._path()
        if path == self._read and not self._reading.running:
            self._fill_in()
            self.changed.emit()
            return
        self._read = path
        if path.endswith(".py"):
            self._reading.start(path, self._subject.config)
        else:
            self._reading.cancel()
            self._show_listing(Listing(()))
        if self._reading.running:
            self._source_hint.say(self.tr("Reading the source…"))
            self.changed.emit()

    def _show_listing(self, found: Listing | Failed) -> None:
        self._wrong = cause_text(found) if isinstance(found, Failed) else ""
        self._listing = Listing(()) if isinstance(found, Failed) else found
        self._say_of_source(self._read)
        name = self.name.currentText()
        self.name.blockSignals(True)
        self.name.clear()
        for offer in self._listing.offers:
            self.name.addItem(offer.name)
        names = [offer.name for offer in self._listing.offers]
        # Something else that is typed may be imported by the source, or be a nested name.
        self.name.setCurrentText(name if name in names or not names else names[0])
        self.name.blockSignals(False)
        self._fill_in()
        self._name_changed()

    def _fill_in(self) -> None:
        """Show the name and the arguments that were chosen before."""
        source, self._restored = self._restored, None
        if source is not None:
            self.name.setCurrentText(source.spec.rpartition(":")[2])
            self.arguments.set_values(source.arguments)

    def _say_of_source(self, path: str) -> None:
        if self._wrong:
            self._source_hint.say(self._wrong, BAD)
        elif self._listing.runs:
            lines = ", ".join(map(str, self._listing.runs[:_MOST_LINES]))
            self._source_hint.say(
                self.tr("Importing it also runs the code of line {lines}.").format(lines=lines)
            )
        elif path.endswith(".py") and not self._listing.offers:
            self._source_hint.say(
                self.tr("It defines neither a class derived from nn.Module nor a function."), BAD
            )
        elif path and not path.endswith(".py"):
            said = self.tr("A module is imported by the interpreter chosen above.")
            self._source_hint.say(said)
        else:
            self._source_hint.say("")

    def _name_changed(self) -> None:
        offer = self.offer()
        summary = offer.summary if offer is not None else ""
        self._name_hint.say(plain(summary, 300), QUIET)
        self._show_arguments()
        self.changed.emit()

    def _show_arguments(self) -> None:
        offer = self.offer()
        self.arguments.set_offer(offer)
        named = bool(self.name.currentText().strip())
        some = offer is None or bool(offer.arguments) or offer.any_keyword
        self.arguments.setVisible(named and some)
        self._arguments_label.setVisible(named and some)


def ask_source(parent: QWidget, folder: str, chosen: Callable[[str], object]) -> QFileDialog:
    """Ask for a Python file; `chosen` gets its path."""
    translate = QCoreApplication.translate
    dialog = QFileDialog(parent, translate("SourceCode", "Choose the Model's Source"))
    dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
    python, everything = (
        translate("SourceCode", "Python files"),
        translate("SourceCode", "All files"),
    )
    dialog.setNameFilters([f"{python} (*.py)", f"{everything} (*)"])
    dialog.setDirectory(folder)
    dialog.fileSelected.connect(chosen)
    dialog.finished.connect(dialog.deleteLater)
    dialog.open()
    return dialog


def _edited_combo() -> QComboBox:
    combo = QComboBox()
    combo.setEditable(True)
    combo.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
    combo.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return combo
