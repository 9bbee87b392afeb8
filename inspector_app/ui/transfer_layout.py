"""How the transfer dialog is laid out."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QHBoxLayout,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from inspector_app.ui.banner import Banner
from inspector_app.ui.key_page import KeyPage
from inspector_app.ui.line_splitter import LineSplitter
from inspector_app.ui.save_run import SaveRun
from inspector_app.ui.save_target import SaveTarget
from inspector_app.ui.text_widgets import MutedLabel
from inspector_app.ui.transfer_choice import ChoicePanel
from inspector_app.ui.transfer_ends import TransferEnds
from inspector_app.ui.transfer_totals import FateTotals
from inspector_app.ui.transfer_usual import UsualChoices
from inspector_app.ui.transfer_view import FlowView
from inspector_app.ui.wizard_widgets import Line

_KEYS_WIDTH = 330
_MARGIN = 16


class TransferLayout(QWidget):
    """The parts, from the top: both ends, counts, the picture, choices, and the file to write.

    Args:
        source: the file that the weights come from.
        others: files that may be the target.
    """

    def __init__(self, source: str, others: list[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.ends = TransferEnds(source, others)
        self.banner = Banner()
        self.totals = FateTotals()
        self.keys_button = QPushButton(self.tr("&Match keys"))
        self.keys_button.setCheckable(True)
        self.keys_button.setToolTip(self.tr("Prefixes, renamed keys and rules"))
        self.keys_button.toggled.connect(self._show_keys)
        self.view = FlowView()
        self.empty = Banner(card=True)
        self.empty.setMaximumWidth(620)
        self.pages = QStackedWidget()
        self.pages.addWidget(self.empty.centred())
        self.pages.addWidget(self.view)
        self.keys = KeyPage()
        self.splitter = LineSplitter(Qt.Orientation.Horizontal)
        self.splitter.addWidget(self.pages)
        self.splitter.addWidget(self.keys)
        self.splitter.setStretchFactor(0, 1)
        self.splitter.setChildrenCollapsible(False)
        self.keys.hide()
        self.choice = ChoicePanel()
        self.usual = UsualChoices()
        self.target = SaveTarget(source, ".transferred", is_another=True)
        self.run = SaveRun()
        self.status = MutedLabel()
        self.status.setWordWrap(True)
        self.copy_button = QPushButton(self.tr("Cop&y Python"))
        self.copy_button.setToolTip(self.tr("Copy Python that does the same with torch alone"))
        self.save_button = QPushButton(self.tr("&Save"))
        self.close_button = QPushButton(self.tr("Close"))
        self.save_button.setDefault(True)
        for button in (self.copy_button, self.close_button, self.keys_button):
            button.setAutoDefault(False)
        self._lay_out()

    def _lay_out(self) -> None:
        counts = QHBoxLayout()
        counts.setSpacing(8)
        counts.addWidget(self.totals, 1)
        counts.addWidget(self.keys_button)
        upper = QVBoxLayout()
        upper.setContentsMargins(_MARGIN, 12, _MARGIN, 8)
        upper.setSpacing(9)
        upper.addWidget(self.ends)
        upper.addWidget(self.banner)
        upper.addLayout(counts)
        foot = QHBoxLayout()
        foot.setSpacing(8)
        foot.addWidget(self.status, 1)
        for button in (self.copy_button, self.save_button, self.close_button):
            foot.addWidget(button)
        lower = QVBoxLayout()
        lower.setContentsMargins(_MARGIN, 8, _MARGIN, 12)
        lower.setSpacing(8)
        for widget in (self.usual, self.target, self.run):
            lower.addWidget(widget)
        lower.addLayout(foot)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(upper)
        layout.addWidget(_hairline())
        layout.addWidget(self.splitter, 1)
        layout.addWidget(_hairline())
        layout.addWidget(self.choice)
        layout.addWidget(_hairline())
        layout.addLayout(lower)

    def show_view(self) -> None:
        """Show the picture, instead of what there is to say."""
        self.pages.setCurrentWidget(self.view)

    def show_empty(self, *message: object) -> None:
        """Say something instead of the picture."""
        self.empty.show_message(*message)
        self.pages.setCurrentIndex(0)

    def ask_for_target(
        self, ask_file: Callable[[], object], ask_model: Callable[[], object]
    ) -> None:
        """Say what has to be chosen first."""
        self.show_empty(
            "info",
            self.tr("What is it loaded into?"),
            self.tr(
                "Choose the checkpoint whose keys are to be filled, or a model class. What "
                "fits is taken, the rest of it stays; nothing is written until you save."
            ),
            "",
            [
                (self.tr("Choose a file…"), ask_file),
                (self.tr("A model class…"), ask_model),
            ],
        )

    def show_keys(self) -> None:
        """Show how keys are matched."""
        self.keys_button.setChecked(True)

    def _show_keys(self, shown: bool) -> None:
        self.keys.setVisible(shown)
        if shown:
            whole = self.splitter.width()
            self.splitter.setSizes([whole - _KEYS_WIDTH, _KEYS_WIDTH])


def _hairline() -> Line:
    line = Line()
    line.setFixedHeight(1)
    return line
