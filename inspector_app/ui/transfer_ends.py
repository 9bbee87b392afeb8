"""The two ends of a transfer: the source, and the target that is chosen for it."""

from __future__ import annotations

import os
from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QWidget

from inspector_app.checkpoint.model import Checkpoint, SectionKind, TreePath
from inspector_app.checkpoint.text import plain
from inspector_app.ui.compare_header import SideLabel, SideLetter
from inspector_app.ui.text_widgets import tooltip

_LONGEST_NAME = 60
_LONGEST_PART = 24
_WEIGHTS = (SectionKind.MODEL, SectionKind.EMA)


class TransferEnds(QWidget):
    """``B file → A target``, as in a comparison: B is loaded into A.

    Args:
        source: the file that the weights come from.
        others: files that are open, and may be the target.

    Signals:
        target_chosen: this file is to be the target.
        file_wanted: a file is to be chosen as the target.
        model_wanted: a model class is to be chosen.
        parts_chosen: other parts of the files are to be matched.
    """

    target_chosen = Signal(str)
    file_wanted = Signal()
    model_wanted = Signal()
    parts_chosen = Signal()

    def __init__(self, source: str, others: Sequence[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._models: dict[str, str] = {}
        self._parts: dict[QComboBox, list[TreePath]] = {}
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
        self.source_part, self.target_part = QComboBox(), QComboBox()
        self.source_part.setAccessibleName(self.tr("Which weights of the source"))
        self.target_part.setAccessibleName(self.tr("Which weights of the target"))
        for combo in (self.source_part, self.target_part):
            combo.hide()
            combo.activated.connect(lambda _index: self.parts_chosen.emit())
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(10)
        row.addWidget(self.source, 5)
        row.addWidget(self.source_part)
        row.addWidget(arrow)
        row.addWidget(SideLetter("A"))
        row.addWidget(self.target, 4)
        row.addWidget(self.target_part)
        row.addWidget(self.file_button)
        row.addWidget(self.model_button)

    def show_source(self, path: str, checkpoint: Checkpoint) -> None:
        """Say what is known of the source now."""
        self.source.show_file(path, checkpoint)

    def show_parts(self, source: Checkpoint | None, target: Checkpoint | None) -> None:
        """Offer the weights that are in the files, where there is a choice."""
        for combo, checkpoint in ((self.source_part, source), (self.target_part, target)):
            paths = _weights(checkpoint)
            if self._parts.get(combo) == paths:
                continue
            self._parts[combo] = paths
            combo.clear()
            combo.addItems([plain("/".join(map(str, path)), _LONGEST_PART) for path in paths])
            combo.setVisible(len(paths) > 1)

    def chosen_parts(self) -> tuple[TreePath | None, TreePath | None]:
        """The paths of both state_dicts; None where there is no choice."""
        source, target = (
            self._parts[combo][combo.currentIndex()] if combo.count() > 1 else None
            for combo in (self.source_part, self.target_part)
        )
        return source, target

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


def _weights(checkpoint: Checkpoint | None) -> list[TreePath]:
    """Models first, then their averages."""
    sections = checkpoint.sections if checkpoint is not None else []
    return [each.path for kind in _WEIGHTS for each in sections if each.kind == kind]
