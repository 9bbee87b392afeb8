"""A comparison on the screen: the tree of both files, their totals, and what is beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, Qt, QTimer, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from inspector_app.analysis.comparison import (
    EXACT,
    Comparison,
    KeyPair,
    Status,
    Tolerance,
    ValueDifference,
)
from inspector_app.analysis.key_mapping import NO_MAPPING, KeyMapping
from inspector_app.analysis.quantities import count_text
from inspector_app.checkpoint.model import Checkpoint
from inspector_app.ui import diff_status
from inspector_app.ui.banner import Banner
from inspector_app.ui.compare_header import CompareHeader
from inspector_app.ui.compare_reading import Plan, planning
from inspector_app.ui.compare_report import CompareReports
from inspector_app.ui.compare_run import CompareRun
from inspector_app.ui.compare_tolerance import ask_for_tolerance
from inspector_app.ui.compare_totals import toggled_identical
from inspector_app.ui.diff_tree import DiffTree
from inspector_app.ui.document_tab import CARD_WIDTH
from inspector_app.ui.line_splitter import LineSplitter
from inspector_app.ui.tasks import Steps

if TYPE_CHECKING:
    from inspector_app.ui.compare_side import CompareSide

AFTER_PAINT_MS = 40
LEAST_SIDE = 320
SIDE_SHARE = 0.31
# So much is compared byte by byte without being asked: about a second.
READ_AT_ONCE = 2 << 30


class CompareBody(QWidget):
    """Shows one comparison after the other.

    Signals:
        shown: the tree is on the screen.
        painted: what stands beside it is, too.
        settled: nothing is going on any more.
        activity_changed: an `Activity`, or None when nothing is going on.
        state_changed: what actions can be done has changed.
        tolerance_chosen: this `Tolerance` is to be in force.
        message: one sentence for the status bar.
    """

    shown = Signal()
    painted = Signal()
    settled = Signal()
    activity_changed = Signal(object)
    state_changed = Signal()
    tolerance_chosen = Signal(object)
    message = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.comparison: Comparison | None = None
        self.mapping: KeyMapping = NO_MAPPING
        self.tolerance = EXACT
        self.selected: KeyPair | ValueDifference | None = None
        self.is_building = False
        self._arranged = False
        self._moved = False  # pairs have other statuses than when they were arranged
        self._planning: Steps | None = None
        self.header = CompareHeader()
        self.tree = DiffTree()
        self.tree.setMinimumWidth(380)
        self.empty = Banner(card=True)
        self.empty.setMaximumWidth(CARD_WIDTH)
        self._tree_pages = QStackedWidget()
        self._tree_pages.addWidget(self.tree)
        self._tree_pages.addWidget(self.empty.centred())
        self.side: CompareSide | None = None
        self.splitter = LineSplitter(Qt.Orientation.Horizontal)
        self.splitter.addWidget(self._tree_pages)
        self.splitter.addWidget(QWidget())
        self.splitter.setStretchFactor(0, 1)
        self.splitter.setChildrenCollapsible(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.header)
        layout.addWidget(self.splitter, 1)

        self.reports = CompareReports(lambda: (self.comparison, self.mapping, self.tolerance), self)
        self.reports.message.connect(self.message)
        self.header.report_button.setMenu(self.reports.menu())
        self._painted = QTimer(self)
        self._painted.setSingleShot(True)
        self._painted.setInterval(AFTER_PAINT_MS)
        self._painted.timeout.connect(self._after_painting)
        self.run = CompareRun(self)
        self.run.activity_changed.connect(self.activity_changed)
        self.run.compared.connect(self._compared)
        self.run.changed.connect(self._changed)
        self.run.ended.connect(self._run_ended)
        self.run.message.connect(self.message)
        self.tree.loaded.connect(self._tree_loaded)
        self.tree.message.connect(self.message)
        self.tree.pair_selected.connect(self._pair_selected)
        self.tree.filter_changed.connect(self._filter_changed)
        self.header.values_requested.connect(self.compare_values)
        self.header.tolerance_requested.connect(self.ask_for_tolerance)
        self.header.next_requested.connect(lambda: self.go_to_difference(forward=True))
        self.header.previous_requested.connect(lambda: self.go_to_difference(forward=False))
        self.header.totals.wanted_changed.connect(self.tree.show_statuses)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if not self._arranged:
            self._arranged = True
            side = max(int(self.width() * SIDE_SHARE), LEAST_SIDE)
            self.splitter.setSizes([self.width() - side, side])

    def restore_layout(self, splitter: bytes) -> None:
        """Put the splitter where it was."""
        self._arranged = self.splitter.restoreState(QByteArray(splitter))

    def show_comparison(
        self, comparison: Comparison, mapping: KeyMapping, tolerance: Tolerance
    ) -> list[Checkpoint]:
        """Show another comparison, made with `mapping`; `shown` follows.

        Args:
            tolerance: what is to count as identical.

        Returns what is shown no more after that.
        """
        self.mapping, self.tolerance = mapping, tolerance
        self.header.show_tolerance(tolerance)
        self._stop_work()
        old, self.comparison = self.comparison, comparison
        left = [self.tree.checkpoint]
        if old is not None:
            left += [each for each in (old.a, old.b) if each not in (comparison.a, comparison.b)]
        self.selected = None
        self._moved = False
        if self.side is not None:
            self.side.forget()
        self.is_building = True
        self.header.totals.set_wanted(self.tree.wanted)
        self.tree.show_comparison(comparison)
        return [each for each in left if each is not None]

    def stop(self) -> list[Checkpoint]:
        """End everything; returns what was shown."""
        self._stop_work()
        if self.side is not None:
            self.side.stop()
        found = [self.tree.stop()]
        comparison, self.comparison = self.comparison, None
        self.selected = None
        if comparison is not None:
            found += [comparison.a, comparison.b]
        return [each for each in found if each is not None]

    def _stop_work(self) -> None:
        self._painted.stop()
        self._drop_planning()
        self.reports.stop()
        self.run.stop()

    def _tree_loaded(self) -> None:
        self._show_totals()
        self.shown.emit()
        self.state_changed.emit()
        self._painted.start()

    def _after_painting(self) -> None:
        comparison = self.comparison
        assert comparison is not None
        self.is_building = False
        if self.side is None:
            self._make_side()
        assert self.side is not None
        self.side.show_comparison(comparison, self.mapping)
        self.side.show_selected(self.selected)
        self.painted.emit()
        self._plan(False, most=READ_AT_ONCE)

    def _make_side(self) -> None:
        from inspector_app.ui.compare_side import CompareSide

        side = self.side = CompareSide()
        side.setMinimumWidth(LEAST_SIDE)
        side.message.connect(self.message)
        side.pair_chosen.connect(self.tree.select_pair)
        side.pair.prepare_with(self.tree.view)
        sizes = self.splitter.sizes()
        placeholder = self.splitter.replaceWidget(1, side)
        self.splitter.setSizes(sizes)
        if placeholder is not None:
            placeholder.deleteLater()

    @property
    def is_busy(self) -> bool:
        """Something is going on."""
        return self.is_building or self._planning is not None or self.run.is_running

    def ask_for_tolerance(self) -> None:
        """Ask by how much values may differ."""
        ask_for_tolerance(self.tolerance, self, self.tolerance_chosen.emit)

    # Values

    def compare_values(self, every: bool = False) -> None:
        """Compare the bytes that have not been; with `every` also what checksums decided."""
        if self.comparison is None or self.is_building or self.run.is_running:
            return
        self._plan(every)

    def _plan(self, every: bool, most: int | None = None) -> None:
        assert self.comparison is not None
        self._drop_planning()
        first = self.tree.pairs_on_screen()
        steps = self._planning = Steps(planning(self.comparison, first, every), self)
        steps.finished.connect(lambda plan: self._planned(plan, most))
        steps.start()

    def _planned(self, plan: Plan, most: int | None) -> None:
        self._drop_planning()
        assert self.comparison is not None
        if plan.pairs and (most is None or plan.nbytes <= most):
            self.run.start(self.comparison, plan, self.tolerance)
            self._show_totals()
        else:
            self.settled.emit()

    def _drop_planning(self) -> None:
        if self._planning is not None:
            self._planning.cancel()
            self._planning.deleteLater()
            self._planning = None

    def _compared(self, pairs: list[KeyPair]) -> None:
        differences = self.tree.differences
        if differences is not None:
            for pair in pairs:
                self._moved |= differences.update(pair)

    def _changed(self, pairs: list[KeyPair]) -> None:
        self.tree.statistics_changed(complete=False)
        # A large tree takes longer than the next outcomes: not anew before it is arranged.
        if self._moved and not self.tree.is_arranging:
            self._moved = False
            self.tree.statuses_changed()
        self._show_totals()
        if self.side is not None:
            self.side.compared(pairs)

    def _run_ended(self) -> None:
        if self._moved:
            self._moved = False
            self.tree.statuses_changed()
        self.tree.statistics_changed(complete=True)
        self._show_totals()
        if self.side is not None:
            self.side.all_compared()
        self.settled.emit()

    # What is listed

    def only_differences(self) -> None:
        """List the differences alone, or everything again."""
        self.tree.show_statuses(toggled_identical(self.tree.wanted))

    def go_to_difference(self, forward: bool) -> None:
        """Go to the next pair that is not identical, or to the one before."""
        if not self.tree.go_to_difference(forward):
            below = self.tr("There is no difference below this")
            self.message.emit(below if forward else self.tr("There is no difference above this"))

    def _filter_changed(self) -> None:
        self.header.totals.set_wanted(self.tree.wanted)
        self._show_totals()

    def _show_totals(self) -> None:
        differences = self.tree.differences
        self.header.totals.set_totals(differences.totals if differences is not None else {})
        self.header.show_evidence(differences, self.run.is_running)
        self.tree.make_room()
        self._show_empty()

    def _show_empty(self) -> None:
        """Say why there is nothing in the tree, if there is nothing."""
        differences = self.tree.differences
        totals = differences.totals if differences is not None else {}
        listed = sum(n for status, n in totals.items() if status in self.tree.wanted)
        if differences is None or listed:
            self._tree_pages.setCurrentIndex(0)
            return
        same = totals.get(Status.IDENTICAL, 0)
        if not sum(totals.values()):
            self.empty.show_message(
                "info",
                self.tr("There is nothing to compare"),
                self.tr("Neither file has a tensor or a value that the other could have."),
            )
        elif self.tree.wanted >= diff_status.DIFFERENCES:
            exact = self.tolerance == EXACT
            self.empty.show_message(
                "info",
                self.tr("No differences")
                if exact
                else self.tr("No differences beyond the tolerance"),
                self.tr("All {n} tensors are identical, and no value differs.").format(
                    n=count_text(same)
                ),
                "",
                [(self.tr("Show the tensors"), self.only_differences)],
            )
        else:
            self.empty.show_message(
                "info",
                self.tr("No key has this status"),
                "",
                "",
                [(self.tr("Show all differences"), self._show_differences)],
            )
        self._tree_pages.setCurrentIndex(1)

    def _show_differences(self) -> None:
        self.tree.show_statuses(diff_status.DIFFERENCES)

    def _pair_selected(self, selected: KeyPair | ValueDifference | None) -> None:
        self.selected = selected
        if self.side is not None:
            self.side.show_selected(selected)
        self.state_changed.emit()
