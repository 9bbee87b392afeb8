"""The quantize dialog's page of data: what it is calibrated with, and measured on."""

from __future__ import annotations

import os

from PySide6.QtWidgets import (
    QButtonGroup,
    QFileDialog,
    QGridLayout,
    QLineEdit,
    QPushButton,
    QRadioButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from inspector_app.checkpoint.text import plain
from inspector_app.ui.banner import WARNING, Banner
from inspector_app.ui.model_source_code import ask_source
from inspector_app.ui.model_subject import Subject
from inspector_app.ui.quantize_images import ImagesForm
from inspector_app.ui.quantize_method_page import MethodPage
from inspector_app.ui.text_widgets import MutedLabel
from inspector_app.ui.wizard_widgets import (
    BAD,
    FORM_WIDTH,
    Box,
    Choice,
    Hint,
    WizardPage,
    field_label,
    label_width,
    row_of,
)
from inspector_app.worker.quantize_protocol import CalibrationData, DataKind, MeasureSettings

NOTHING = "nothing"
ENDINGS = (".npy", ".npz", ".pt", ".pth", ".safetensors")
KINDS = (DataKind.FILE, DataKind.IMAGES, DataKind.LOADER, NOTHING)
_MOST_SAMPLES = 1_000_000
_INDENT = 24


class DataPage(WizardPage):
    """A file, a folder of images or a loader; random data only where somebody insists.

    Args:
        subject: the checkpoint.
        method: the page of the method.
    """

    widest = FORM_WIDTH

    def __init__(self, subject: Subject, method: MethodPage, parent: QWidget | None = None) -> None:
        super().__init__(
            self.tr("Data"),
            self.tr("Samples to calibrate with, and others on which both are measured."),
            parent,
        )
        self._subject, self._method = subject, method
        self._group = QButtonGroup(self)
        self.buttons: dict[str, QRadioButton] = {}
        self._fields: dict[str, QWidget] = {}
        self._said: dict[str, MutedLabel] = {}
        self.paths = {kind: QLineEdit() for kind in KINDS if kind != NOTHING}
        self.images = ImagesForm()
        self.images.changed.connect(self._edited)
        self.labels = QLineEdit("labels")
        self.random = Box(self.tr("Use &random data instead"))
        self._warning = Banner()
        rows = QWidget()
        column = QVBoxLayout(rows)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        for kind in KINDS:
            for widget in self._choice(kind):
                column.addWidget(widget)
        self._hint = Hint()
        self.samples = self._count(128)
        self.held_out = self._count(256)
        self.batch = self._count(16)
        self._samples_label = field_label(self.tr("Samples to &calibrate with"), self.samples)
        grid_of = QWidget()
        grid = QGridLayout(grid_of)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(6)
        grid.setColumnMinimumWidth(0, label_width(self))
        grid.setColumnStretch(2, 1)
        grid.addWidget(self._samples_label, 0, 0)
        grid.addWidget(self.samples, 0, 1)
        grid.addWidget(field_label(self.tr("Samples &held out"), self.held_out), 1, 0)
        grid.addWidget(self.held_out, 1, 1)
        grid.addWidget(MutedLabel(self.tr("others than those, to measure on")), 1, 2)
        grid.addWidget(field_label(self.tr("Ba&tch"), self.batch), 2, 0)
        grid.addWidget(self.batch, 2, 1)
        grid.addWidget(MutedLabel(self.tr("samples that run at once")), 2, 2)
        self.memory = Box(self.tr("Measure peak &memory of both, each in a process of its own"))
        self.memory.setChecked(True)
        grid.addWidget(self.memory, 3, 0, 1, 3)
        self.add_part("", rows, self._hint)
        self.add_part("", self.random, self._warning)
        self._numbers = self.add_part(self.tr("How many"), grid_of)
        self.column.addStretch(1)
        for field in (*self.paths.values(), self.labels):
            field.textChanged.connect(self._edited)
        for box in (self.samples, self.held_out, self.batch):
            box.valueChanged.connect(self._edited)
        self.random.toggled.connect(self._edited)
        self.buttons[DataKind.FILE].setChecked(True)

    # --- what is chosen

    def kind(self) -> str:
        """One of `DataKind`, or `NOTHING`."""
        if self.random.isChecked():
            return DataKind.RANDOM
        return next(kind for kind, button in self.buttons.items() if button.isChecked())

    def data(self) -> CalibrationData | None:
        """The data, once there is no `problem`; None measures nothing."""
        kind = self.kind()
        if kind == NOTHING:
            return None
        data = CalibrationData(
            source=kind,
            path=self._path(kind),
            samples=self.samples.value(),
            held_out=self.held_out.value(),
            batch=self.batch.value(),
            labels=self.labels.text().strip(),
        )
        return self.images.filled(data) if kind == DataKind.IMAGES else data

    def settings(self) -> MeasureSettings:
        """How both are compared."""
        return MeasureSettings(memory=self.memory.isChecked())

    def restore(self, data: CalibrationData | None) -> None:
        """Show what was chosen before."""
        if data is None:
            self.buttons[NOTHING].setChecked(True)
            return
        self.samples.setValue(data.samples)
        self.held_out.setValue(data.held_out)
        self.batch.setValue(data.batch)
        self.labels.setText(data.labels)
        # Whoever wants random data says so each time.
        if data.source in self.paths:
            self.buttons[data.source].setChecked(True)
            self.paths[data.source].setText(data.path)
            self.images.restore(data)

    def problem(self) -> str:
        kind = self.kind()
        if kind == NOTHING and self._method.method().calibration:
            return self.tr("This method needs samples to calibrate with.")
        return self._path_problem(kind)

    def skipped(self) -> bool:
        return not self._method.needs_model() and not self._has_graph()

    def summary(self) -> str:
        kind = self.kind()
        if kind == NOTHING:
            return self.tr("none")
        if kind == DataKind.RANDOM:
            return self.tr("random")
        return plain(os.path.basename(self._path(kind).rstrip("/\\")), 40)

    def enter(self) -> None:
        needed = self._method.method().calibration
        self.buttons[NOTHING].setEnabled(not needed)
        if needed and self.buttons[NOTHING].isChecked():
            self.buttons[DataKind.FILE].setChecked(True)
        self.samples.setEnabled(needed)
        self._samples_label.setEnabled(needed)
        self._edited()

    def first_field(self) -> QWidget | None:
        kind = self.kind()
        return self.paths.get(kind) or self.buttons.get(kind) or self.random

    # --- the choices

    def _choice(self, kind: str) -> list[QWidget]:
        title, words = self._words(kind)
        button = Choice(title)
        button.toggled.connect(self._edited)
        button.setAccessibleDescription(words)
        self._group.addButton(button)
        self.buttons[kind] = button
        said = self._said[kind] = MutedLabel(words)
        said.setWordWrap(True)
        said.setContentsMargins(_INDENT, 0, 0, 2)
        made: list[QWidget] = [button, said]
        if kind in self.paths:
            fields = self._fields[kind] = QWidget()
            column = QVBoxLayout(fields)
            column.setContentsMargins(_INDENT, 0, 0, 6)
            column.setSpacing(6)
            choose = QPushButton(self.tr("Choose…"))
            choose.clicked.connect(lambda: self._ask(kind))
            self.paths[kind].setAccessibleName(title.replace("&", ""))
            self.paths[kind].setPlaceholderText(self._example(kind))
            column.addWidget(row_of(self.paths[kind], choose))
            if kind == DataKind.IMAGES:
                column.addWidget(self.images)
            if kind == DataKind.FILE:
                label = field_label(self.tr("Entry with the &labels"), self.labels)
                label.setMinimumWidth(label_width(self))
                self.labels.setPlaceholderText(self.tr("none: agreement instead of accuracy"))
                column.addWidget(row_of(label, self.labels, stretch=1))
            made.append(fields)
        return made

    def _words(self, kind: str) -> tuple[str, str]:
        return {
            DataKind.FILE: (
                self.tr("A &file of samples"),
                self.tr(
                    "One array per input by its name, or one alone, with samples along the "
                    "first axis."
                ),
            ),
            DataKind.IMAGES: (
                self.tr("A folder of &images"),
                self.tr("Folders in it are taken for classes."),
            ),
            DataKind.LOADER: (
                self.tr("A data loader of your &own"),
                self.tr("A function without arguments that gives an iterable of batches."),
            ),
            NOTHING: (
                self.tr("&None: nothing is measured"),
                self.tr("What the quantization costs is not known then."),
            ),
        }[kind]

    def _example(self, kind: str) -> str:
        return {
            DataKind.FILE: self.tr(".npy, .npz, .pt or .safetensors"),
            DataKind.IMAGES: self.tr("folder of .png, .jpg …"),
            DataKind.LOADER: "path/to/data.py:loader",
        }[kind]

    def _count(self, value: int) -> QSpinBox:
        box = QSpinBox()
        box.setRange(1, _MOST_SAMPLES)
        box.setValue(value)
        return box

    def _has_graph(self) -> bool:
        return self._method.method().method.startswith("onnx")

    def _path(self, kind: str) -> str:
        if kind not in self.paths:
            return ""
        text = os.path.expanduser(self.paths[kind].text().strip())
        if not text:
            return ""
        file, colon, name = text.rpartition(":") if kind == DataKind.LOADER else (text, "", "")
        if kind == DataKind.LOADER and not file.endswith(".py"):
            return text  # a module, which the interpreter imports
        return os.path.normpath(os.path.join(self._subject.folder, file)) + colon + name

    def _path_problem(self, kind: str) -> str:
        path = self._path(kind)
        if kind not in self.paths:
            return ""
        if not path:
            return {
                DataKind.FILE: self.tr("Choose the file with the samples."),
                DataKind.IMAGES: self.tr("Choose the folder with the images."),
                DataKind.LOADER: self.tr("Name the function that gives the data."),
            }[kind]
        if kind == DataKind.FILE:
            if not os.path.isfile(path):
                return self.tr("There is no file {file}.").format(file=plain(path))
            if os.path.splitext(path)[1].lower() not in ENDINGS:
                return self.tr("Samples are read from .npy, .npz, .pt and .safetensors.")
        elif kind == DataKind.IMAGES:
            if not os.path.isdir(path):
                return self.tr("There is no folder {folder}.").format(folder=plain(path))
            if self._method.reads_images() is False:
                return self.tr("The chosen Python has no pillow, which reads images.")
            return self.images.problem()
        else:
            file, _, name = path.rpartition(":")
            if not file or not name.isidentifier():
                return self.tr("Write path/to/data.py:NAME or package.module:NAME.")
            if file.endswith(".py") and not os.path.isfile(file):
                return self.tr("There is no file {file}.").format(file=plain(file))
        return ""

    def _edited(self) -> None:
        random = self.random.isChecked()
        chosen = next((kind for kind, each in self.buttons.items() if each.isChecked()), "")
        for kind, fields in self._fields.items():
            fields.setVisible(kind == chosen)
            fields.setEnabled(not random)
        for kind, button in self.buttons.items():
            needed = kind == NOTHING and self._method.method().calibration
            button.setEnabled(not random and not needed)
        kind = self.kind()
        typed = kind in self.paths and bool(self.paths[kind].text().strip())
        self._hint.say(self.problem() if typed else "", BAD)
        self._numbers.setEnabled(kind != NOTHING)
        if random:
            self._warning.show_message(
                WARNING,
                self.tr("Results with random data mean little"),
                self.tr(
                    "Ranges that calibration finds in noise are not those of real samples, and "
                    "neither is what the quantization costs."
                ),
                self.tr("Use it to see whether the method works at all."),
            )
        else:
            self._warning.hide()
        self.changed.emit()

    def _ask(self, kind: str) -> None:
        field = self.paths[kind]
        folder = os.path.dirname(self._path(kind)) or self._subject.folder
        if kind == DataKind.LOADER:
            ask_source(self, folder, lambda path: field.setText(f"{path}:"))
            return
        dialog = QFileDialog(self, self.tr("Choose the Samples"))
        if kind == DataKind.IMAGES:
            dialog.setFileMode(QFileDialog.FileMode.Directory)
        else:
            dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
            endings = " ".join(f"*{ending}" for ending in ENDINGS)
            dialog.setNameFilters([f"{self.tr('Arrays and tensors')} ({endings})"])
        dialog.setDirectory(folder)
        dialog.fileSelected.connect(field.setText)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()
