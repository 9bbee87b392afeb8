"""A form of options: labels, and fields below each other."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QComboBox, QGridLayout, QLineEdit, QWidget

from inspector_app.ui.wizard_widgets import Box, field_label, label_width


class OptionsForm(QWidget):
    """The options of one format or method.

    Signals:
        changed: another option.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(10)
        self._grid.setVerticalSpacing(6)
        self._grid.setColumnMinimumWidth(0, label_width(self))
        self._grid.setColumnStretch(1, 1)

    def options(self) -> Any:
        """What is chosen."""
        raise NotImplementedError

    def restore(self, options: Any) -> None:
        """Show what was chosen before."""

    def problem(self) -> str:
        """What is wrong, or ""."""
        return ""

    def add(self, text: str, field: QWidget) -> None:
        """A row with a label; "" for a check box, which has its own."""
        place = self._grid.rowCount()
        if text:
            self._grid.addWidget(field_label(text, field), place, 0)
        self._grid.addWidget(field, place, 1)

    def combo(self, *texts: str) -> QComboBox:
        combo = QComboBox()
        combo.addItems(list(texts))
        combo.currentIndexChanged.connect(self.changed)
        return combo

    def box(self, text: str, checked: bool = False) -> QCheckBox:
        box = Box(text)
        box.setChecked(checked)
        box.toggled.connect(self.changed)
        return box

    def line(self, placeholder: str) -> QLineEdit:
        line = QLineEdit()
        line.setPlaceholderText(placeholder)
        line.textChanged.connect(self.changed)
        return line
