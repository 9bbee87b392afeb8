"""One input of the model: name, shape, dtype, values, and which of its axes are dynamic."""

from __future__ import annotations

import os
from dataclasses import replace

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFrame,
    QGridLayout,
    QLineEdit,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from inspector_app.checkpoint.text import plain
from inspector_app.ui import icons
from inspector_app.ui.input_axes import AxesForm
from inspector_app.ui.text_widgets import MutedLabel
from inspector_app.ui.wizard_widgets import BAD, Hint, field_label, row_of
from inspector_app.ui.worker_words import cause_text
from inspector_app.worker.failures import Failure
from inspector_app.worker.input_text import parse_input
from inspector_app.worker.protocol import DynamicAxis, InputSpec

DTYPES = (
    "float32",
    "float16",
    "bfloat16",
    "float64",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint8",
    "bool",
    "complex64",
)
RANDOM, FILE = 0, 1


class InputCard(QFrame):
    """The fields of one input.

    Signals:
        changed: something was typed or chosen.
        remove_requested: this input is not wanted.
    """

    changed = Signal()
    remove_requested = Signal()

    def __init__(self, spec: InputSpec, folder: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self._folder = folder
        self._file_shape: tuple[int, ...] = ()
        self.name = QLineEdit()
        self.shape = QLineEdit()
        self.shape.setPlaceholderText("1, 3, 224, 224")
        self.dtype = QComboBox()
        self.dtype.addItems(list(DTYPES))
        self.values = QComboBox()
        self.values.addItems([self.tr("random"), self.tr("from a file")])
        self.low = QLineEdit()
        self.high = QLineEdit()
        for field in (self.low, self.high):
            field.setMaximumWidth(90)
        self.file = QLineEdit()
        self.file.setPlaceholderText(self.tr(".npy, .npz or .pt"))
        self.entry = QLineEdit()
        self.entry.setPlaceholderText(self.tr("array or key in it"))
        self.entry.setMaximumWidth(150)
        self.choose = QPushButton(self.tr("Choose…"))
        self.choose.clicked.connect(self._ask)
        self.remove = QToolButton()
        self.remove.setIcon(icons.icon("close"))
        self.remove.setAutoRaise(True)
        self.remove.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.remove.setToolTip(self.tr("Remove this input"))
        self.remove.setAccessibleName(self.tr("Remove this input"))
        self.remove.clicked.connect(self.remove_requested)
        self._hint = Hint()
        self.axes = AxesForm()
        self.axes.changed.connect(self._edited)
        # Whether it has axes to show is one thing, whether anybody wants to see them another.
        self._axes_part = row_of(self.axes)
        self._lay_out()
        self.set_spec(spec)
        for field in (self.name, self.shape, self.low, self.high, self.file, self.entry):
            field.textChanged.connect(self._edited)
        self.dtype.currentIndexChanged.connect(self._edited)
        self.values.currentIndexChanged.connect(self._edited)
        self._edited()

    def _lay_out(self) -> None:
        self._low_label = field_label(self.tr("from"), self.low)
        self._high_label = field_label(self.tr("to below"), self.high)
        self._normal = MutedLabel(self.tr("empty: standard normal"))
        self._range = row_of(
            self._low_label, self.low, self._high_label, self.high, self._normal, stretch=-1
        )
        self._file_row = row_of(self.file, self.entry, self.choose)
        self.file.setAccessibleName(self.tr("File with the values"))
        self.entry.setAccessibleName(self.tr("Array or key in the file"))
        self._shape_label = field_label(self.tr("Shape"), self.shape)
        grid = QGridLayout()
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(6)
        for column, (label, field) in enumerate(
            (
                (field_label(self.tr("Name"), self.name), self.name),
                (self._shape_label, self.shape),
                (field_label(self.tr("Dtype"), self.dtype), self.dtype),
            )
        ):
            grid.addWidget(label, 0, 2 * column)
            grid.addWidget(field, 0, 2 * column + 1)
        grid.addWidget(self.remove, 0, 6)
        grid.addWidget(field_label(self.tr("Values"), self.values), 1, 0)
        grid.addWidget(self.values, 1, 1)
        grid.addWidget(self._range, 1, 2, 1, 5)
        grid.addWidget(self._file_row, 1, 2, 1, 5)
        grid.setColumnStretch(1, 2)
        grid.setColumnStretch(3, 4)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 10, 12, 10)
        layout.setSpacing(6)
        layout.addLayout(grid)
        layout.addWidget(self._hint)
        layout.addWidget(self._axes_part)

    def show_axes(self, wanted: bool) -> None:
        """Ask which axes are dynamic, or do not."""
        self._axes_part.setVisible(wanted)

    def fields(self) -> list[QWidget]:
        """What the Tab key goes through."""
        return [
            self.name,
            self.shape,
            self.dtype,
            self.remove,
            self.values,
            self.low,
            self.high,
            self.file,
            self.entry,
            self.choose,
            *self.axes.fields(),
        ]

    # --- what is given

    def spec(self) -> InputSpec:
        """The input, once there is no `problem`."""
        name = self.name.text().strip()
        if self.values.currentIndex() == FILE:
            text = os.path.expanduser(self.file.text().strip())
            path = os.path.normpath(os.path.join(self._folder, text))
            return replace(parse_input(f"{name}=@{path}"), entry=self.entry.text().strip())
        text = f"{name}:{self.shape.text().strip()}:{self.dtype.currentText()}"
        low, high = self.low.text().strip(), self.high.text().strip()
        return parse_input(f"{text}:{low}..{high}" if low or high else text)

    def dynamic(self) -> list[DynamicAxis]:
        """Its dynamic axes, once there is no `problem`."""
        return self.axes.dynamic(self.name.text().strip())

    def problem(self) -> str:
        """What is wrong, or ""."""
        if not self.name.text().strip():
            return self.tr("An input has no name.")
        if self.values.currentIndex() == FILE and not self.file.text().strip():
            return self.tr("Choose the file with the values.")
        try:
            spec = self.spec()
            self.dynamic()
        except Failure as failure:
            return cause_text(failure.failed)
        if spec.file and not os.path.isfile(spec.file):
            return self.tr("There is no file {file}.").format(file=plain(spec.file))
        return ""

    def set_spec(self, spec: InputSpec) -> None:
        """Show an input."""
        self.name.setText(spec.name)
        self.shape.setText(", ".join(map(str, spec.shape)))
        if spec.dtype and self.dtype.findText(spec.dtype) < 0:
            self.dtype.addItem(spec.dtype)
        self.dtype.setCurrentText(spec.dtype or "float32")
        self.low.setText(_bound_text(spec.low))
        self.high.setText(_bound_text(spec.high))
        self.file.setText(spec.file)
        self.entry.setText(spec.entry)
        self.values.setCurrentIndex(FILE if spec.file else RANDOM)

    def set_file_shape(self, shape: tuple[int, ...]) -> None:
        """The shape that a file has turned out to have."""
        if self.values.currentIndex() == FILE and shape != self._file_shape:
            self._file_shape = shape
            self.axes.set_shape(shape)

    def _edited(self) -> None:
        from_file = self.values.currentIndex() == FILE
        self._range.setVisible(not from_file)
        self._file_row.setVisible(from_file)
        self.shape.setEnabled(not from_file)
        self.dtype.setEnabled(not from_file)
        self._normal.setVisible(self.dtype.currentText().startswith(("float", "bfloat", "complex")))
        if from_file:
            self.axes.set_shape(self._file_shape)
        else:
            self._show_axes()
        self._hint.say(self.problem(), BAD)
        self.changed.emit()

    def _show_axes(self) -> None:
        try:
            spec = parse_input(f"x:{self.shape.text().strip()}:{self.dtype.currentText()}")
        except Failure:
            return  # the hint says what is wrong; the axes stay as they were
        self.axes.set_shape(spec.shape, spec.dtype)

    def _ask(self) -> None:
        dialog = QFileDialog(self, self.tr("Choose the Values"))
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setNameFilters([self.tr("Arrays and tensors") + " (*.npy *.npz *.pt *.pth)"])
        dialog.setDirectory(self._folder)
        dialog.fileSelected.connect(self.file.setText)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()


def _bound_text(bound: float | int | None) -> str:
    return "" if bound is None else f"{bound:g}" if isinstance(bound, float) else str(bound)
