"""Which axes of an input are dynamic: a row for each, with a name and bounds."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QGridLayout, QLabel, QLineEdit, QWidget

from inspector_app.ui.text_widgets import MutedLabel
from inspector_app.ui.wizard_widgets import Box
from inspector_app.worker.input_text import parse_axis
from inspector_app.worker.protocol import DynamicAxis

_MOST_AXES = 8


class _Row:
    """The widgets of one axis."""

    def __init__(self, form: AxesForm, axis: int) -> None:
        self.axis = axis
        self.dynamic = Box()
        self.name = QLineEdit()
        self.least = QLineEdit()
        self.most = QLineEdit()
        self.name_label = QLabel(form.tr("called"))
        self.least_label = QLabel(form.tr("from"))
        self.most_label = QLabel(form.tr("to"))
        number = str(axis)
        for field, said in (
            (self.name, form.tr("Name of axis {n}")),
            (self.least, form.tr("Least size of axis {n}")),
            (self.most, form.tr("Largest size of axis {n}")),
        ):
            field.setAccessibleName(said.format(n=number))
            field.textChanged.connect(form.changed)
        for bound in (self.least, self.most):
            bound.setMaximumWidth(70)
            bound.setPlaceholderText(form.tr("any"))
        self.dynamic.toggled.connect(form.toggled)
        self.dynamic.clicked.connect(lambda checked: form.clicked(axis, checked))

    def widgets(self) -> list[QWidget]:
        return [self.dynamic, *self.fields()]

    def fields(self) -> list[QWidget]:
        return [
            self.name_label,
            self.name,
            self.least_label,
            self.least,
            self.most_label,
            self.most,
        ]


class AxesForm(QWidget):
    """A check box for each axis; hidden while no shape is known.

    Signals:
        changed: something was ticked or typed.
        ticked: the user makes this axis dynamic; its number and size.
    """

    changed = Signal()
    ticked = Signal(int, int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows: list[_Row] = []
        self._shape: tuple[int, ...] = ()
        # Of axes that are not known yet: a file says how many there are.
        self._later: Sequence[DynamicAxis] = ()
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 4, 0, 0)
        self._grid.setHorizontalSpacing(8)
        self._grid.setVerticalSpacing(4)
        self._grid.setColumnStretch(2, 1)
        self._grid.addWidget(MutedLabel(self.tr("Dynamic axes: any size at run time")), 0, 0, 1, 7)
        self.hide()

    def set_shape(self, shape: Sequence[int], dtype: str = "") -> None:
        """Show the axes of `shape`; what was said of an axis stays."""
        self._shape = tuple(shape)[:_MOST_AXES]
        while len(self.rows) < len(self._shape):
            row = _Row(self, len(self.rows))
            for column, widget in enumerate(row.widgets()):
                self._grid.addWidget(widget, len(self.rows) + 1, column)
            self.rows.append(row)
        names = axis_names(len(self._shape), dtype)
        for row in self.rows:
            used = row.axis < len(self._shape)
            if used:
                text = self.tr("axis {n} of size {size}")
                row.dynamic.setText(text.format(n=row.axis, size=self._shape[row.axis]))
                if not row.dynamic.isChecked():
                    row.name.setText(names[row.axis])
            row.dynamic.setVisible(used)
            for widget in row.fields():
                widget.setVisible(used and row.dynamic.isChecked())
        self.setVisible(bool(self._shape))
        if self._shape and self._later:
            later, self._later = self._later, ()
            self.set_dynamic(later)

    def fields(self) -> list[QWidget]:
        """What the Tab key goes through."""
        return [
            field for row in self.rows for field in (row.dynamic, row.name, row.least, row.most)
        ]

    def set_dynamic(self, axes: Sequence[DynamicAxis]) -> None:
        """Tick these axes, and no others."""
        if not self._shape:
            self._later = axes
        for row in self.rows:
            found = next((each for each in axes if each.axis == row.axis), None)
            row.dynamic.setChecked(found is not None)
            if found is not None:
                row.name.setText(found.name)
                row.least.setText("" if found.least is None else str(found.least))
                row.most.setText("" if found.most is None else str(found.most))

    def dynamic(self, name: str) -> list[DynamicAxis]:
        """The axes that are ticked, as those of the input `name`.

        Raises:
            Failure: a name or a bound is wrong.
        """
        found = []
        for row in self.rows[: len(self._shape)]:
            if row.dynamic.isChecked():
                least, most = row.least.text().strip(), row.most.text().strip()
                bounds = f":{least}..{most}" if least or most else ""
                found.append(parse_axis(f"{name}:{row.axis}={row.name.text().strip()}{bounds}"))
        return found

    def clicked(self, axis: int, checked: bool) -> None:
        """The user has ticked a box."""
        if checked:
            self.ticked.emit(axis, self._shape[axis])

    def tick_too(self, size: int) -> None:
        """Tick the first axis, if it has this size: another input's was ticked."""
        if self._shape and self._shape[0] == size:
            self.rows[0].dynamic.setChecked(True)

    def toggled(self) -> None:
        """A box was ticked."""
        for row in self.rows:
            for widget in row.fields():
                widget.setVisible(row.axis < len(self._shape) and row.dynamic.isChecked())
        self.changed.emit()


def axis_names(count: int, dtype: str) -> list[str]:
    """What the axes of an input are usually called."""
    if count == 4:
        return ["batch", "channels", "height", "width"]
    if count == 5:
        return ["batch", "channels", "depth", "height", "width"]
    if count in (2, 3) and (count == 3 or dtype.startswith(("int", "uint", "bool"))):
        return ["batch", "sequence", "features"][:count]
    return ["batch", *(f"axis_{number}" for number in range(1, count))][:count]
