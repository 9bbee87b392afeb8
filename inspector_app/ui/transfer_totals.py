"""How many keys have each fate: a chip for each, which leads from one such key to the next."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import QSize, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QWidget

from inspector_app.ui import transfer_fates
from inspector_app.ui.compare_totals import SPACING, StatusChip


class FateTotals(QWidget):
    """The chips.

    Signals:
        next_wanted: go to the next key of this fate.
    """

    next_wanted = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.chips = {fate: StatusChip(fate, transfer_fates) for fate in transfer_fates.SHOWN}
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(SPACING)
        for fate, chip in self.chips.items():
            chip.setChecked(True)
            chip.clicked.connect(lambda _checked=False, fate=fate: self.next_wanted.emit(fate))
            row.addWidget(chip)
        row.addStretch(1)
        self.set_totals({})

    def set_totals(self, totals: Mapping[int, int]) -> None:
        """Show other counts."""
        for fate, chip in self.chips.items():
            chip.set_count(totals.get(fate, 0))
        self.updateGeometry()
        self._fit()

    def words(self) -> list[str]:
        """What the chips say."""
        return [chip.words() for chip in self.chips.values() if chip.count]

    def minimumSizeHint(self) -> QSize:
        return QSize(self._width(compact=True), super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _width(self, compact: bool) -> int:
        shown = [chip for chip in self.chips.values() if chip.count]
        return sum(chip.width_of(compact) + SPACING for chip in shown)

    def _fit(self) -> None:
        compact = self._width(compact=False) > self.width()
        for chip in self.chips.values():
            chip.set_compact(compact)
