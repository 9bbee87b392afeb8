"""The selected key: both tensors, and how their values differ."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from inspector_app.ui.pair_details import PairDetails


class PairPane(QWidget):
    message = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.details = PairDetails()
        layout = QVBoxLayout(self)
        layout.addWidget(self.details)

    def set_comparison(self, comparison):
        pass

    def show_selected(self, selected):
        self.details.show_selected(selected)

    def compared(self, pairs):
        pass
