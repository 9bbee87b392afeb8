"""What stands beside the tree: the file as a whole, and below it the selected node."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QWidget

from inspector_app.analysis.totals import Totals
from inspector_app.checkpoint.model import Checkpoint, Node
from inspector_app.ui.line_splitter import LineSplitter
from inspector_app.ui.side_pages import SAFETY, SidePages
from inspector_app.ui.summary_view import SummaryView
from inspector_app.ui.tensor_pane import TensorPane


class SidePane(LineSplitter):
    """The summary and the details of one file.

    Signals:
        ready: the `Totals` are shown.
        copy_requested: ``loading`` or ``resume`` code is to be copied.
        message: one sentence for the status bar.
    """

    ready = Signal(object)
    copy_requested = Signal(str)
    message = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Vertical, parent)
        self.summary = SummaryView()
        self.summary.ready.connect(self._totals_ready)
        self.summary.copy_requested.connect(self.copy_requested)
        self.tensor = TensorPane()
        self.tensor.message.connect(self.message)
        self.details = self.tensor.details
        self.pages = SidePages(self.summary)
        self.pages.message.connect(self.message)
        self.addWidget(self.pages)
        self.addWidget(self.tensor)
        # The lists of that page take all the height that there is.
        self.pages.bar.currentChanged.connect(lambda page: self.tensor.setVisible(page != SAFETY))
        self.setStretchFactor(0, 1)
        self.setStretchFactor(1, 1)
        self.setSizes([360, 380])
        self.setChildrenCollapsible(False)

    def show_checkpoint(self, checkpoint: Checkpoint, node: Node | None) -> None:
        """Show a file and what is selected in it."""
        self.details.set_sharing({})
        self.tensor.set_checkpoint(checkpoint)
        self.tensor.show_node(node)
        self.pages.show_node(node)
        self.summary.show_checkpoint(checkpoint)

    def show_node(self, node: Node | None) -> None:
        """Show another selection."""
        self.tensor.show_node(node)
        self.pages.show_node(node)

    def cancel(self) -> None:
        """Stop adding up, asking workers and reading values."""
        self.summary.cancel()
        self.pages.cancel()
        self.tensor.set_checkpoint(None)

    def _totals_ready(self, totals: Totals) -> None:
        self.details.set_sharing(totals.sharing)
        self.ready.emit(totals)
