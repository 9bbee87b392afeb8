"""How many keys have each fate: a chip for each, which leads from one such key to the next."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from inspector_app.ui import transfer_fates
from inspector_app.ui.compare_totals import ChipRow


class FateTotals(ChipRow):
    """The chips.

    Signals:
        next_wanted: go to the next key of this fate.
    """

    next_wanted = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(transfer_fates.SHOWN, transfer_fates, parent)
        for chip in self.chips.values():
            chip.setChecked(True)

    def words(self) -> list[str]:
        """What the chips say."""
        return [chip.words() for chip in self.chips.values() if chip.count]

    def _clicked(self, fate: int) -> None:
        self.next_wanted.emit(fate)
