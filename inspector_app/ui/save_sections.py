"""Which parts of a checkpoint are written: a list to tick, with what each takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QGridLayout, QWidget

from inspector_app.analysis.quantities import count_text, size_text
from inspector_app.checkpoint.model import TreePath
from inspector_app.checkpoint.text import plain
from inspector_app.ui.section_words import section_words
from inspector_app.ui.text_widgets import ElidedLabel, MutedLabel, tooltip
from inspector_app.ui.wizard_widgets import Box

_LONGEST_NAME = 80


class Part(NamedTuple):
    """A part of a checkpoint.

    Attributes:
        path: where it is; () is the whole file, or what else is in it.
        kind: its `SectionKind`, or "" of what is none.
        tensors, nbytes: what it adds up to.
        others: of what is in no other part, the names.
    """

    path: TreePath
    kind: str
    tensors: int
    nbytes: int
    others: tuple[str, ...] = ()

    def name(self) -> str:
        """The path as it is shown, or ""."""
        if not self.kind:
            return ", ".join(plain(name, 40) for name in self.others)
        return plain("/".join(map(str, self.path)), _LONGEST_NAME)


class SectionList(QWidget):
    """The parts, one below the other.

    Signals:
        changed: others are ticked.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.parts: list[Part] = []
        self.boxes: list[Box] = []
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(12)
        self._grid.setVerticalSpacing(3)
        self._grid.setColumnStretch(1, 1)

    def show_parts(self, parts: Sequence[Part], ticked: Sequence[TreePath]) -> None:
        """Show these parts, some of them ticked."""
        self.parts = list(parts)
        self.boxes = []
        for row, part in enumerate(parts):
            alone = self.tr("Everything") if len(parts) == 1 else self.tr("Other values")
            what = section_words(part.kind) if part.kind else alone
            box = Box(what)
            box.setChecked(part.path in ticked)
            size = size_text(part.nbytes) if part.tensors else ""
            described = self.tr("{path}, {n} tensors, {size}").format(
                path=part.name(), n=count_text(part.tensors), size=size
            )
            box.setAccessibleDescription(described)
            box.setToolTip(tooltip(described))
            box.toggled.connect(self.changed)
            self.boxes.append(box)
            self._grid.addWidget(box, row, 0)
            self._grid.addWidget(ElidedLabel(part.name(), muted=True), row, 1)
            self._grid.addWidget(MutedLabel(size), row, 2)

    def set_values_usable(self, usable: bool) -> None:
        """Values that are no tensors fit into the file that is written, or do not."""
        for part, box in zip(self.parts, self.boxes, strict=True):
            if not part.kind and len(self.parts) > 1:
                box.setEnabled(usable)

    def tick_all(self) -> None:
        """All parts are to be written."""
        for box in self.boxes:
            box.setChecked(True)

    def ticked(self) -> list[Part]:
        """The parts to write."""
        return [part for part, box in zip(self.parts, self.boxes, strict=True) if box.isChecked()]
