"""The file as a whole, on pages: what it is, at a glance, its training, what it would import."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, Signal
from PySide6.QtGui import QIcon, QPalette
from PySide6.QtWidgets import QStackedWidget, QTabBar, QVBoxLayout, QWidget

from inspector_app.checkpoint.allowed_globals import names_outside
from inspector_app.ui import icons, theme
from inspector_app.ui.summary_view import SummaryView

if TYPE_CHECKING:
    from inspector_app.analysis.totals import Totals
    from inspector_app.checkpoint.model import Checkpoint, Node
    from inspector_app.ui.checkpoint_tree import CheckpointTree
    from inspector_app.ui.overview_page import OverviewPage
    from inspector_app.ui.safety_page import SafetyPage
    from inspector_app.ui.statistics_run import StatisticsRun
    from inspector_app.ui.training_page import TrainingPage

SUMMARY, OVERVIEW, TRAINING, SAFETY = range(4)


class SidePages(QWidget):
    """A bar to choose by, and the page; all but the summary are made when they are first looked at.

    Signals:
        statistics_requested: the values of all tensors are to be counted.
        clean_copy_requested: tensors and plain data are to be saved alone.
        message: one sentence for the status bar.
    """

    statistics_requested = Signal()
    clean_copy_requested = Signal()
    message = Signal(str)

    def __init__(self, summary: SummaryView, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.overview: OverviewPage | None = None
        self.training: TrainingPage | None = None
        self.safety: SafetyPage | None = None
        self._node: Node | None = None
        self._served: tuple[CheckpointTree, StatisticsRun] | None = None
        self._summary = summary
        summary.ready.connect(self._totals_ready)
        summary.statistics_requested.connect(self.statistics_requested)
        summary.safety_requested.connect(self.show_safety)
        self._shown: tuple[Checkpoint, Totals] | None = None
        self.bar = QTabBar()
        self.bar.setDrawBase(False)
        self.bar.setExpanding(False)
        self.bar.setAccessibleName(self.tr("About the file"))
        self.bar.addTab(self.tr("Summary"))
        self.bar.addTab(self.tr("Overview"))
        self.bar.addTab(self.tr("Training"))
        self.bar.setTabVisible(TRAINING, False)
        self.bar.addTab(self.tr("Safety"))
        self.bar.currentChanged.connect(self._turn)
        self._pages = QStackedWidget()
        self._pages.addWidget(summary)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.bar)
        layout.addWidget(self._pages, 1)

    def serve(self, tree: CheckpointTree, run: StatisticsRun) -> None:
        """What is clicked is gone to in `tree`; figures come from `run`."""
        self._served = tree, run

    def cancel(self) -> None:
        """Stop what is going on."""
        self._shown = None
        if self.overview is not None:
            self.overview.cancel()
        if self.training is not None:
            self.training.cancel()
        if self.safety is not None:
            self.safety.cancel()

    def show_node(self, node: Node | None) -> None:
        """Another node is selected in the tree."""
        self._node = node
        if self.safety is not None:
            self.safety.follow(node.path if node is not None else None)

    def show_safety(self) -> None:
        """Turn to what the file would import and call."""
        self.bar.setCurrentIndex(SAFETY)

    def show_opcodes(self) -> None:
        """Turn to the opcodes of the selected node."""
        self.show_safety()
        if self.safety is not None:
            self.safety.show_opcodes()

    def mark_safety(self) -> None:
        """Put a sign beside the title of a page that has something to say."""
        checkpoint = self._summary.checkpoint
        telling = checkpoint is not None and bool(names_outside(checkpoint) or checkpoint.problems)
        colour = theme.tones(QPalette()).warning
        self.bar.setTabIcon(SAFETY, icons.icon("warning", colour) if telling else QIcon())

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self.mark_safety()

    def _totals_ready(self, totals: Totals) -> None:
        assert self._summary.checkpoint is not None
        self._shown = self._summary.checkpoint, totals
        if self.overview is not None:
            self.overview.show_checkpoint(*self._shown)
        self.mark_safety()
        if self.safety is not None:
            self.safety.show_checkpoint(self._summary.checkpoint)
        from inspector_app.analysis.training_signs import trains

        training = trains(self._summary.checkpoint)
        if not training and self.bar.currentIndex() == TRAINING:
            self.bar.setCurrentIndex(SUMMARY)
        self.bar.setTabVisible(TRAINING, training)
        if self.training is not None:
            self._show_training()

    def _turn(self, page: int) -> None:
        if self._served is None:
            return
        if page == OVERVIEW:
            self._pages.setCurrentWidget(self._overview_made(*self._served))
        elif page == TRAINING:
            self._pages.setCurrentWidget(self._training_made(self._served[0]))
        elif page == SAFETY:
            self._pages.setCurrentWidget(self._safety_made(self._served[0]))
        else:
            self._pages.setCurrentWidget(self._summary)

    def _overview_made(self, tree: CheckpointTree, run: StatisticsRun) -> OverviewPage:
        if self.overview is None:
            from inspector_app.ui.overview_page import OverviewPage

            made = self.overview = OverviewPage(run)
            made.span_chosen.connect(tree.select_span)
            made.search_chosen.connect(tree.search_for)
            made.statistics_requested.connect(self.statistics_requested)
            self._pages.addWidget(made)
            if self._shown is not None:
                made.show_checkpoint(*self._shown)
        return self.overview

    def _training_made(self, tree: CheckpointTree) -> TrainingPage:
        if self.training is None:
            from inspector_app.ui.training_page import TrainingPage

            made = self.training = TrainingPage()
            made.span_chosen.connect(tree.select_span)
            self._pages.addWidget(made)
            self._show_training()
        return self.training

    def _safety_made(self, tree: CheckpointTree) -> SafetyPage:
        if self.safety is None:
            from inspector_app.ui.safety_page import SafetyPage

            made = self.safety = SafetyPage()
            made.path_chosen.connect(tree.select_path)
            made.clean_copy_requested.connect(self.clean_copy_requested)
            made.message.connect(self.message)
            self._pages.addWidget(made)
            if self._shown is not None:
                made.show_checkpoint(self._shown[0])
            self.show_node(self._node)
        return self.safety

    def _show_training(self) -> None:
        """Show it anew, if there is any: of a file that was replaced there may be none."""
        if self.training is None or self._shown is None:
            return
        if self.bar.isTabVisible(TRAINING):
            self.training.show_checkpoint(self._shown[0])
        else:
            self.training.cancel()
