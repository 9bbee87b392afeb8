"""The two ends of a transfer: the source, and the target that is chosen for it."""

from __future__ import annotations

import os
from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QWidget

from inspector_app.checkpoint.model import Checkpoint
from inspector_app.checkpoint.text import plain
from inspector_app.ui.compare_header import SideLabel, SideLetter
from inspector_app.ui.text_widgets import tooltip

_LONGEST_NAME = 60


class TransferEnds(QWidget):
    """``B file → A target``, as in a comparison: B is loaded into A.

    Args:
        source: the file that the weights come from.
        others: files that are open, and may be the target.

    Signals:
        target_chosen: this file is to be the target.
        file_wanted: a file is to be chosen as the target.
        model_wanted: a model class is to be chosen.
    """

    target_chosen = Signal(str)
    file_wanted = Signal()
    model_wanted = Signal()

    def __init__(self, source: str, others: Sequence[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._models: dict[str, str] = {}
        self.source = SideLabel("B")
        self.source.show_file(source, None)
        self.target = QComboBox()
        self.target.setPlaceholderText(self.tr("Choose what it is loaded into"))
        self.target.setAccessibleName(self.tr("A: the target"))
        self.target.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        for path in others:
            self._add(path)
        self.target.setCurrentIndex(-1)
        self.target.activated.connect(
            lambda index: self.target_chosen.emit(self.target.itemData(index))
        )
        self.file_button = QPushButton(self.tr("&File…"))
        self.file_button.setToolTip(self.tr("Choose the checkpoint that it is loaded into"))
        self.file_button.clicked.connect(self.file_wanted)
        self.model_button = QPushButton(self.tr("M&odel class…"))
        self.model_button.setToolTip(
            self.tr("Build a model from its code, and load the weights into that")
        )
        self.model_button.clicked.connect(self.model_wanted)
        for button in (self.file_button, self.model_button):
            button.setAutoDefault(False)
        arrow = QLabel("→")
        font = arrow.font()
        font.setPointSizeF(font.pointSizeF() * 1.5)
        arrow.setFont(font)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(10)
        row.addWidget(self.source, 5)
        row.addWidget(arrow)
        row.addWidget(SideLetter("A"))
        row.addWidget(self.target, 4)
        row.addWidget(self.file_button)
        row.addWidget(self.model_button)

    def show_source(self, path: str, checkpoint: Checkpoint) -> None:
        """Say what is known of the source now."""
        self.source.show_file(path, checkpoint)

    def show_target(self, path: str) -> None:
        """Show that this is the target."""
        index = self.target.findData(path)
        if index < 0:
            index = self._add(path)
        self.target.setCurrentIndex(index)

    def name_model(self, path: str, name: str) -> None:
        """A file that a worker wrote is called after its model's class."""
        self._models[path] = name

    def _add(self, path: str) -> int:
        name = self._models.get(path) or os.path.basename(path) or path
        self.target.addItem(plain(name, _LONGEST_NAME), path)
        index = self.target.count() - 1
        self.target.setItemData(index, tooltip(path), Qt.ItemDataRole.ToolTipRole)
        return index
