"""The tree of a comparison with its search field, and the line that says what is hidden."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from inspector_app.analysis.comparison import Comparison, KeyPair, Status, ValueDifference
from inspector_app.analysis.quantities import count_text
from inspector_app.checkpoint.model import Checkpoint
from inspector_app.ui import diff_columns, diff_status
from inspector_app.ui.checkpoint_tree import CheckpointTree
from inspector_app.ui.diff_columns import DiffColumn
from inspector_app.ui.diff_delegate import DiffDelegate
from inspector_app.ui.diff_figures import Differences
from inspector_app.ui.diff_model import EVERYTHING, DiffArranger, DiffModel
from inspector_app.ui.diff_nodes import PairNode, ValueNode, pairing
from inspector_app.ui.text_widgets import MutedLabel
from inspector_app.ui.tree_filter import Found
from inspector_app.ui.tree_steps import Task
from inspector_app.ui.tree_view import TreeView


class DiffView(TreeView):
    """The lines of a `DiffModel`."""

    delegate_class = DiffDelegate
    samples = diff_columns.SAMPLES
    hidden_at_first = diff_columns.HIDDEN_AT_FIRST
    on_request = ()


class DiffTree(CheckpointTree):
    """Shows a comparison, and finds some of its pairs.

    Signals:
        pair_selected: the current row's `KeyPair` or `ValueDifference`; None for others.
        filter_changed: other statuses are listed now.
    """

    pair_selected = Signal(object)
    filter_changed = Signal()

    model_class = DiffModel
    arranger_class = DiffArranger
    view_class = DiffView
    can_export = False

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.checkpoint: Checkpoint | None = None
        self._pairing = Task(self)
        self._room = True, True
        self.view.setAccessibleName(self.tr("Comparison"))
        self.search_field.setPlaceholderText(
            self.tr("Search:  attn weight   *.bias   /layers\\.\\d+/   shape:*x4096")
        )
        self._hidden = MutedLabel()
        self._show_all = QToolButton()
        self._show_all.setAutoRaise(True)
        self._show_all.setText(self.tr("Show them"))
        self._show_all.clicked.connect(lambda: self.show_statuses(EVERYTHING))
        line = QHBoxLayout()
        line.setContentsMargins(10, 0, 8, 4)
        line.addWidget(self._hidden)
        line.addWidget(self._show_all)
        line.addStretch()
        self._line = QWidget()
        self._line.setLayout(line)
        self._line.hide()
        layout = self.layout()
        assert isinstance(layout, QVBoxLayout)
        layout.addWidget(self._line)
        self._arranger.loaded.connect(self._say_hidden)
        self.node_selected.connect(self._pair_selected)

    @property
    def differences(self) -> Differences | None:
        """The statuses of the rows on show."""
        return self._model.rows.differences

    @property
    def wanted(self) -> frozenset[str]:
        """The statuses that are listed."""
        return self._arranger.wanted

    def show_comparison(self, comparison: Comparison) -> None:
        """Show another comparison; `loaded` follows."""
        # A later one drops an earlier one; where nothing is left of it, neither is its tree.
        self._pairing.run(pairing(comparison), self._paired)

    def show_statuses(self, wanted: frozenset[str]) -> None:
        """List only pairs of these statuses."""
        self._arranger.show_statuses(wanted)
        self.filter_changed.emit()

    @property
    def is_arranging(self) -> bool:
        """Lines are being made anew."""
        return self._arranger.is_busy

    def statuses_changed(self) -> None:
        """Pairs have other statuses now: list those that are wanted."""
        self._arranger.filter_again()

    def go_to_difference(self, forward: bool) -> bool:
        """Go to the next or the previous pair that is not identical; False if there is none."""
        row = self._arranger.next_difference(self.view.current_row(), forward)
        if row < 0:
            return False
        self._select_row(row)
        return True

    def select_pair(self, pair: KeyPair) -> None:
        """Go to a pair, and list its status if it is not."""
        row = self._arranger.row_of(pair)
        if row < 0:
            return
        if pair.status not in self.wanted:
            self.show_statuses(self.wanted | {pair.status})
        self._select_row(row)

    def pairs_on_screen(self) -> list[KeyPair]:
        """The pairs whose rows can be seen, from the top."""
        return [node.pair for node in self.tensors_on_screen() if isinstance(node, PairNode)]

    def stop(self) -> Checkpoint | None:
        """End everything; returns the tree's nodes, to be taken apart."""
        self._pairing.cancel()
        self._arranger.forget()
        self._checkpoint = self._menu.checkpoint = None
        shown, self.checkpoint = self.checkpoint, None
        return shown

    def _paired(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self.load(checkpoint)

    def _pair_selected(self, node: object) -> None:
        shown: KeyPair | ValueDifference | None = None
        if isinstance(node, PairNode):
            shown = node.pair
        elif isinstance(node, ValueNode):
            shown = node.difference
        self.pair_selected.emit(shown)

    def _arranged(self, found: Found | None) -> None:
        super()._arranged(found)
        self._count.setVisible(found is not None and bool(self._arranger.query))
        self._say_hidden()

    def _say_hidden(self) -> None:
        differences = self.differences
        hidden = 0
        if differences is not None:
            hidden = sum(n for s, n in differences.totals.items() if s not in self.wanted)
        self._line.setVisible(hidden > 0)
        if differences is None or not hidden:
            return
        if set(diff_status.SHOWN_STATUSES) - self.wanted == {Status.IDENTICAL}:
            words = self.tr("{n} identical tensors are hidden.")
            if hidden == 1:
                words = self.tr("1 identical tensor is hidden.")
        else:
            words = self.tr("{n} entries of other statuses are hidden.")
        self._hidden.setText(words.format(n=count_text(hidden)))

    def make_room(self) -> None:
        """Keep columns away while nothing that says anything can stand in them."""
        differences = self.differences
        if differences is None:
            return
        shown = differences.may_have_metrics(), differences.structures_differ()
        if shown == self._room:
            return
        metrics = diff_columns.METRICS - diff_columns.HIDDEN_AT_FIRST
        for columns, before, now in zip((metrics, {DiffColumn.B}), self._room, shown, strict=True):
            if before != now:
                for column in columns:
                    self.view.setColumnHidden(column, not now)
        self._room = shown
        self.view.fit_name()
