"""The tree of a comparison as Qt sees it, and which of its rows are listed."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from inspector_app.analysis.comparison import KeyPair, Status
from inspector_app.ui import diff_columns, diff_status
from inspector_app.ui.diff_columns import METRICS, DiffColumn
from inspector_app.ui.diff_figures import Differences
from inspector_app.ui.diff_nodes import PairNode
from inspector_app.ui.tree_arranger import TreeArranger
from inspector_app.ui.tree_filter import Found, finding
from inspector_app.ui.tree_model import TreeModel
from inspector_app.ui.tree_nodes import TreeRows
from inspector_app.ui.tree_order import SortKey
from inspector_app.ui.tree_visible import ABOVE, MATCH, VisibleRows

LEAVES_A_STEP = 2_000
EVERYTHING = frozenset(diff_status.SHOWN_STATUSES)


class DiffModel(TreeModel):
    """The lines of a comparison.

    Attributes:
        wanted: the statuses that are listed.
    """

    columns = len(DiffColumn)
    numeric = METRICS
    wanted: frozenset[str] = EVERYTHING

    def cell(self, row: int, column: int) -> str:
        return diff_columns.diff_cell(self.rows, row, column)

    def heading(self, column: int) -> str:
        return diff_columns.heading(column)

    def heading_hint(self, column: int) -> str:
        return diff_columns.heading_hint(column)

    def hint(self, row: int, column: int) -> str:
        return diff_columns.hint(self.rows, row, column)

    def sort_key(self, column: int) -> SortKey:
        return diff_columns.sort_key(column)

    def spoken(self, row: int, column: int) -> str:
        text = super().spoken(row, column)
        differences = self.rows.differences
        if column != DiffColumn.NAME or differences is None:
            return text
        counts = differences.counts(row)
        if isinstance(self.rows.nodes[row], PairNode):
            words = ", ".join(diff_status.word(status) for status, _ in counts)
        else:
            words = ", ".join(diff_status.counted(status, count) for status, count in counts)
        return f"{text}, {words}" if words else text

    def identical_hidden(self, row: int) -> int:
        """How many identical pairs below a row are not listed."""
        differences, shown = self.rows.differences, self.view.shown
        if differences is None or shown is None or Status.IDENTICAL in self.wanted:
            return 0
        return differences.count(row, Status.IDENTICAL)


class DiffArranger(TreeArranger):
    """Lists the rows of the statuses that are wanted.

    Attributes:
        wanted: the statuses to list.
    """

    by_figures = METRICS | {DiffColumn.STATUS}
    model: DiffModel

    def __init__(self, model: DiffModel, parent: Any = None) -> None:
        super().__init__(model, parent)
        self.wanted: frozenset[str] = diff_status.DIFFERENCES

    def show_statuses(self, wanted: frozenset[str]) -> None:
        """List only pairs of these statuses."""
        if wanted != self.wanted:
            self.wanted = wanted
            self.filter_again()

    def filter_again(self) -> None:
        """Statuses have changed: list those that are wanted, and order them anew."""
        self._searched = False
        if self.column in self.by_figures:
            self._order = None
        self.arrange()

    @property
    def is_narrowed(self) -> bool:
        return bool(self.query) or self.wanted != EVERYTHING

    def _prepare(self, view: VisibleRows) -> Generator[Any, None, None]:
        differences = Differences(view.rows)
        yield from differences.counting()
        view.rows.differences = differences
        if self.is_narrowed and not self.query:
            self.found = yield from self._narrowing(view.rows)
            self._searched = True
            self.model.wanted = self.wanted
            view.show_only(self.found.shown, self.found.expanded)

    def _narrowing(self, rows: TreeRows) -> Generator[Any, None, Found]:
        searched: Found | None = None
        if self.query:
            names = yield from self._named(rows)
            searched = yield from finding(rows, names, self.query)
        self.model.wanted = self.wanted
        differences = rows.differences
        if differences is None:
            return Found(bytearray(len(rows)), bytearray(len(rows)), 0, 0, 0)
        before = self.found if self.found and len(self.found.shown) == len(rows) else None
        shown, expanded = bytearray(len(rows)), bytearray(len(rows))
        parents, statuses, wanted = rows.parents, differences.statuses, self.wanted
        matches = 0
        for number, row in enumerate(differences.leaves):
            if number % LEAVES_A_STEP == 0:
                yield
            if statuses[row] not in wanted:
                continue
            if searched is not None and not searched.shown[row] & MATCH:
                continue
            matches += 1
            shown[row] |= MATCH
            row = parents[row]
            while row >= 0 and not shown[row] & ABOVE:
                shown[row] |= ABOVE
                # What somebody has closed stays closed, also while statuses come in.
                closed = before is not None and before.shown[row] & ABOVE
                expanded[row] = before.expanded[row] if closed and before is not None else 1
                row = parents[row]
        total = searched.entries if searched is not None else len(differences.leaves)
        too_long = searched.too_long if searched is not None else 0
        return Found(shown, expanded, matches, total, too_long)

    def next_difference(self, row: int, forward: bool) -> int:
        """The next listed pair or value that is not identical, in the order in force; or -1."""
        view, differences = self.model.view, self.model.rows.differences
        if differences is None:
            return -1
        total = len(self.model.rows)
        at = view.position(row) if row >= 0 else (-1 if forward else total)
        places = range(at + 1, total) if forward else range(at - 1, -1, -1)
        for place in places:
            other = view.at(place)
            if differences.statuses[other] not in diff_status.DIFFERENCES:
                continue
            if view.shown is None or view.shown[other] & MATCH:
                return other
        return -1

    def row_of(self, pair: KeyPair) -> int:
        """The row of a pair, or -1."""
        differences = self.model.rows.differences
        return differences.row_of(pair) if differences is not None else -1
