"""Which part of a tensor is shown: a field for slices, and sliders for the outer dimensions."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSlider,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from inspector_app.analysis.slices import Plane, SliceError, free_axes, parse, plane
from inspector_app.ui import theme
from inspector_app.ui.text_blocks import fixed_font
from inspector_app.ui.text_widgets import MutedLabel
from inspector_app.ui.value_source import slice_error_text

MOST_SLIDERS = 6
_LARGEST = (1 << 31) - 1  # of a spin box


class SliceField(QWidget):
    """Chooses a plane of a tensor.

    Signals:
        changed: another plane was chosen; `plane` has it.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shape: tuple[int, ...] = ()
        self._items: tuple[slice | int, ...] = ()
        self._plane: Plane | None = plane((), ())
        self._field = QLineEdit()
        self._field.setFont(fixed_font())
        self._field.setAccessibleName(self.tr("Slice of the tensor"))
        self._field.setToolTip(
            self.tr("Which part is shown, as numpy writes it: [0, :, 3] or [..., 10:20]")
        )
        self._field.textEdited.connect(self._edited)
        label = QLabel(self.tr("S&lice"))
        label.setBuddy(self._field)
        self._error = QLabel()
        self._error.setTextFormat(Qt.TextFormat.PlainText)
        self._error.setWordWrap(True)
        self._error.hide()
        self._sliders: list[tuple[QLabel, QSpinBox, QSlider]] = []
        self._outer = QGridLayout()
        self._outer.setContentsMargins(0, 0, 0, 0)
        row = QHBoxLayout()
        row.addWidget(label)
        row.addWidget(self._field, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(row)
        layout.addWidget(self._error)
        layout.addLayout(self._outer)

    def set_shape(self, shape: tuple[int, ...]) -> None:
        """Show the whole of a tensor of `shape`; what was chosen stays where it fits."""
        if shape == self._shape and self._error.isHidden():
            self._choose()
            return
        self._shape = shape
        self._field.setText("[" + ", ".join(":" * len(shape)) + "]")
        self._error.hide()
        self._items = parse("", shape)
        self._show_sliders(reset=True)
        self._choose()

    @property
    def plane(self) -> Plane | None:
        """What is chosen; None if it is empty."""
        return self._plane

    def error(self) -> str:
        """What is wrong with the text, or ""."""
        return "" if self._error.isHidden() else self._error.text()

    def _edited(self, text: str) -> None:
        try:
            self._items = parse(text, self._shape)
        except SliceError as error:
            palette = QPalette()
            palette.setColor(QPalette.ColorRole.WindowText, QColor(theme.tones(QPalette()).error))
            self._error.setPalette(palette)
            self._error.setText(slice_error_text(error))
            self._error.show()
            return
        self._error.hide()
        self._show_sliders(reset=False)
        self._choose()
        self.changed.emit()

    def _choose(self) -> None:
        places = [spin.value() for _, spin, _ in self._sliders if not spin.isHidden()]
        self._plane = plane(self._items, self._shape, places)

    def _moved(self) -> None:
        self._choose()
        self.changed.emit()

    def _show_sliders(self, reset: bool) -> None:
        outer = free_axes(self._items, self._shape)[:-2][:MOST_SLIDERS]
        while len(self._sliders) < len(outer):
            self._add_slider()
        for number, (label, spin, slider) in enumerate(self._sliders):
            used = number < len(outer)
            for widget in (label, spin, slider):
                widget.setVisible(used)
            if not used:
                continue
            axis, indices = outer[number]
            last = min(max(len(indices) - 1, 0), _LARGEST)
            place = 0 if reset else min(spin.value(), last)
            name = self.tr("Dimension {axis}").format(axis=axis)
            label.setText(name)
            for control in (spin, slider):
                control.blockSignals(True)
                control.setRange(0, last)
                control.setValue(place)
                control.blockSignals(False)
                control.setAccessibleName(name)
            spin.setSuffix(self.tr(" of {size}").format(size=len(indices)))

    def _add_slider(self) -> None:
        label, spin, slider = MutedLabel(), QSpinBox(), QSlider(Qt.Orientation.Horizontal)
        spin.valueChanged.connect(slider.setValue)
        slider.valueChanged.connect(spin.setValue)
        spin.valueChanged.connect(self._moved)
        row = len(self._sliders)
        for column, widget in enumerate((label, spin, slider)):
            self._outer.addWidget(widget, row, column)
        self._outer.setColumnStretch(2, 1)
        self._sliders.append((label, spin, slider))
