"""What stands beside the tree of a comparison: the whole, and below it the selected key."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QStackedWidget, QTabBar, QVBoxLayout, QWidget

from inspector_app.analysis.comparison import Comparison, KeyPair, ValueDifference
from inspector_app.analysis.key_mapping import KeyMapping
from inspector_app.ui.changes_page import ChangesPage
from inspector_app.ui.key_page import KeyPage
from inspector_app.ui.line_splitter import LineSplitter
from inspector_app.ui.load_page import LoadPage
from inspector_app.ui.pair_pane import PairPane

CHANGES, KEYS, LOAD = range(3)
KEYS_HEIGHT = 520


class CompareSide(LineSplitter):
    """Pages about the comparison, and the pane of the selected key.

    Signals:
        pair_chosen: the `KeyPair` to go to.
        message: one sentence for the status bar.
    """

    pair_chosen = Signal(object)
    message = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Vertical, parent)
        self.changes = ChangesPage()
        self.changes.pair_chosen.connect(self.pair_chosen)
        self.keys = KeyPage()
        self.load = LoadPage()
        self.load.message.connect(self.message)
        self.bar = QTabBar()
        self.bar.setDrawBase(False)
        self.bar.setExpanding(False)
        self.bar.setAccessibleName(self.tr("About the comparison"))
        for title in (self.tr("Changes"), self.tr("Keys"), self.tr("As PyTorch says it")):
            self.bar.addTab(title)
        self._pages = QStackedWidget()
        for page in (self.changes, self.keys, self.load):
            self._pages.addWidget(page)
        self.bar.currentChanged.connect(self._turn)
        holder = QWidget()
        layout = QVBoxLayout(holder)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.bar)
        layout.addWidget(self._pages, 1)
        self.pair = PairPane()
        self.pair.message.connect(self.message)
        self.addWidget(holder)
        self.addWidget(self.pair)
        self.setStretchFactor(0, 1)
        self.setStretchFactor(1, 1)
        self.setSizes([330, 390])
        self.setChildrenCollapsible(False)

    def show_comparison(self, comparison: Comparison, mapping: KeyMapping) -> None:
        """Show another comparison, made with `mapping`."""
        self.changes.show_comparison(comparison)
        self.load.show_comparison(comparison, mapping)
        self.pair.set_comparison(comparison)

    def show_selected(self, selected: KeyPair | ValueDifference | None) -> None:
        """Show another selection."""
        self.pair.show_selected(selected)

    def compared(self, pairs: list[KeyPair]) -> None:
        """The bytes of these pairs have been compared."""
        self.changes.compared(pairs)
        self.pair.compared(pairs)

    def all_compared(self) -> None:
        """No more is being compared."""
        self.changes.look()

    def show_keys(self) -> None:
        """Turn to the page of keys."""
        self.bar.setCurrentIndex(KEYS)
        upper, lower = self.sizes()
        if upper < KEYS_HEIGHT:
            self.setSizes([KEYS_HEIGHT, max(upper + lower - KEYS_HEIGHT, 0)])

    def forget(self) -> None:
        """Another comparison is about to come: stop reading."""
        self.changes.forget()
        self.keys.forget()
        self.load.forget()
        self.pair.set_comparison(None)

    def stop(self) -> None:
        """End all work."""
        self.forget()

    def _turn(self, page: int) -> None:
        self._pages.setCurrentIndex(page)
        self.load.set_looked_at(page == LOAD)
