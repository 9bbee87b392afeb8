"""Decides which lines the tree has: what is searched, sorted, folded and expanded.

Every change is a new arrangement, made beside the one on the screen and put in its place
when it is complete. Small ones are ready within the event that asked for them; large ones
are made in slices, and a newer wish drops the older.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Generator, Iterable
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QTimer, Signal

from inspector_app.checkpoint.model import Checkpoint
from inspector_app.ui.tree_building import building
from inspector_app.ui.tree_columns import STATISTICS
from inspector_app.ui.tree_filter import Found, Names, finding, naming
from inspector_app.ui.tree_model import TreeModel
from inspector_app.ui.tree_nodes import RowIdentity, RowKind, TreeRows
from inspector_app.ui.tree_order import ordering
from inspector_app.ui.tree_steps import Task
from inspector_app.ui.tree_visible import VisibleRows, inverse

if TYPE_CHECKING:
    from inspector_app.ui.tree_search import Query

# What a tree that was just opened may show without being asked.
FIRST_LINES = 44
FIRST_CHILDREN = 24

Steady = Generator[Any, None, Any]


class TreeArranger(QObject):
    """Fills a `TreeModel`.

    Signals:
        loaded: the rows of a checkpoint are in the model.
        arranged: the lines are as last asked for; a `Found` while a search is in force.
        busy: an arrangement takes longer than an event.

    Attributes:
        by_figures: the columns whose figures come after the rows.
    """

    by_figures: frozenset[int] = frozenset(STATISTICS)

    loaded = Signal()
    arranged = Signal(object)
    busy = Signal()

    def __init__(self, model: TreeModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.model = model
        self.fold = True
        self.column = -1
        self.descending = False
        self.query: Query | None = None
        self.found: Found | None = None
        self._names: Names | None = None
        self._order: tuple[array[int], array[int]] | None = None
        self._work = Task(self)
        self._naming = Task(self)
        self._searched = False
        self._loading = False
        self._wished = False  # while loading
        self._loaded = QTimer(self)
        self._loaded.setSingleShot(True)
        self._loaded.timeout.connect(self._say_loaded)

    @property
    def is_busy(self) -> bool:
        """An arrangement is being made."""
        return self._work.is_running

    # What can be asked for

    def load(self, checkpoint: Checkpoint) -> None:
        """Show `checkpoint`."""
        self._naming.cancel()
        self._names = None
        self._order = None
        self.found = None
        self._searched = False
        self._loading, self._wished = True, False
        self._loaded.stop()

        def make() -> Steady:
            rows = yield from building(checkpoint)
            view = VisibleRows(rows, self.fold)
            _open_first(view)
            yield from self._prepare(view)
            if self.column >= 0:
                yield from self._sort(view)
            view.visible = yield from view.all()
            return view

        def show(view: VisibleRows) -> None:
            self._loading = False
            self.model.set_rows(checkpoint, view)
            self._name_rows(view.rows)
            # Not within the call: whoever asked is not ready yet.
            self._loaded.start(0)

        if not self._work.run(make(), show):
            # The nodes of the old tree may be taken apart from now on.
            self.model.set_rows(None, VisibleRows(TreeRows(), self.fold))

    def search(self, query: Query | None) -> None:
        """List only what `query` finds; None lists all."""
        self.query = query
        self._searched = False
        self.arrange()

    def sort(self, column: int, descending: bool) -> None:
        """Order siblings by `column`; -1 is the file's order."""
        self.column = column
        self.descending = descending
        self._order = None
        self.arrange()

    def sort_again(self) -> None:
        """The figures have changed: where rows are ordered by them, order them anew."""
        if self.column in self.by_figures:
            self._order = None
            self.arrange()

    def set_fold(self, fold: bool) -> None:
        """Show repeated layers as one row, or each."""
        if fold != self.fold:
            self.fold = fold
            self._order = None
            self.arrange()

    def expand(self, line: int) -> None:
        """List what is below the row at `line`."""
        view = self.model.view
        row = view.row(line)
        if not view.can_expand(row) or view.expanded[row]:
            return

        def make() -> Steady:
            return (yield from view.below(row))

        def show(positions: array[int]) -> None:
            at = view.index(row)
            if at >= 0 and view is self.model.view:
                self.model.insert_below(at, positions)

        if self.is_busy:
            # It will be part of what is being made.
            view.expanded[row] = 1
            self.arrange()
        else:
            self._work.run(make(), show)

    def collapse(self, line: int) -> None:
        """List the row at `line` alone."""
        view = self.model.view
        row = view.row(line)
        if not view.can_expand(row) or not view.expanded[row]:
            return
        if self.is_busy:
            view.expanded[row] = 0
            self.arrange()
        else:
            self.model.remove_below(line)

    def expand_levels(self, levels: int, below: int = -1) -> None:
        """List the upper `levels` levels; -1 is all of them, 0 the top alone.

        Args:
            levels: how many levels to expand.
            below: only what is below this row; then `levels` is -1 or 0.
        """
        view = self.model.view
        if below < 0:
            self.arrange(view.expand_levels(levels))
        else:
            end = below + view.rows.sizes[below] + 1
            view.expanded[below:end] = (b"\x01" if levels else b"\x00") * (end - below)
            self.arrange()

    def reveal(self, row: int, then: Callable[[], None]) -> None:
        """Expand all that `row` lies in, and go on with `then`."""
        view = self.model.view
        for above in view.rows.ancestors(row):
            view.expanded[above] = 1
        self.arrange(then=then)

    def restore(self, names: Iterable[RowIdentity], then: Callable[[], None]) -> None:
        """Expand the rows that `VisibleRows.identities` gave, of this file or an earlier state."""
        view = self.model.view
        view.expanded[:] = bytes(len(view.expanded))
        self.arrange(view.expand_named(names), then)

    # How it is done

    def arrange(self, first: Steady | None = None, then: Callable[[], None] | None = None) -> None:
        """Make the lines anew, after the steps of `first`."""
        if self._loading:
            # It would take the place of the load, with no rows to arrange.
            self._wished = True
            return
        model = self.model
        rows = model.rows

        def make() -> Steady:
            if first is not None:
                yield from first
            view = model.view.sibling(self.fold)
            if not self.is_narrowed:
                self.found = None
            elif not self._searched or self.found is None:
                self.found = yield from self._narrowing(rows)
                self._searched = True
            if self.found is not None:
                view.show_only(self.found.shown, self.found.expanded)
            else:
                view.show_only(None, bytearray())
            yield from self._sort(view)
            view.visible = yield from view.all()
            return view

        def show(view: VisibleRows) -> None:
            model.query = self.query
            model.set_view(view)
            if then is not None:
                then()
            self.arranged.emit(self.found)

        if not self._work.run(make(), show):
            self.busy.emit()

    # What another kind of tree does otherwise.

    @property
    def is_narrowed(self) -> bool:
        """Not all rows are to be listed."""
        return bool(self.query)

    def _prepare(self, view: VisibleRows) -> Generator[Any, None, None]:
        """Find out what must be known of rows that were just made."""
        yield from ()

    def _narrowing(self, rows: TreeRows) -> Generator[Any, None, Found]:
        """Which rows to list, while not all are."""
        assert self.query is not None
        return (yield from finding(rows, (yield from self._named(rows)), self.query))

    def _named(self, rows: TreeRows) -> Generator[Any, None, Names]:
        if self._names is None:
            self._naming.cancel()
            self._names = yield from naming(rows)
        return self._names

    def _sort(self, view: VisibleRows) -> Generator[Any, None, None]:
        if self.column < 0:
            view.reorder(None, None)
            return
        if self._order is None:
            skipped = RowKind.FOLDED if self.fold else RowKind.FOLD
            key = self.model.sort_key(self.column)
            order = yield from ordering(view.rows, key, self.descending, skipped)
            self._order = order, (yield from inverse(order))
        view.reorder(*self._order)

    def cancel(self) -> None:
        """Drop what is being made; the screen stays as it is."""
        self._work.cancel()

    def forget(self) -> None:
        """The tree is shown no more: hold none of its nodes."""
        self.cancel()
        self._loading = False
        self._loaded.stop()
        self._naming.cancel()
        self._names = self._order = self.found = None
        self.model.set_rows(None, VisibleRows(TreeRows()))

    def _say_loaded(self) -> None:
        self.loaded.emit()
        if self._wished or (self.query and not self._searched):
            self._wished = False
            self.arrange()

    def _name_rows(self, rows: TreeRows) -> None:
        """Collect the names for searches while nobody waits for them."""

        def named(names: Names) -> None:
            if rows is self.model.rows and self._names is None:
                self._names = names

        self._naming.run(naming(rows), named)


def _open_first(view: VisibleRows) -> None:
    """Expand the upper levels as far as they fit on a screen."""
    rows = view.rows
    level = [row for row, _ in zip(rows.children(-1), range(FIRST_LINES), strict=False)]
    lines = len(level)
    while level:
        below: list[int] = []
        for row in level:
            if not rows.sizes[row] or rows.kinds[row] == RowKind.FOLD:
                continue
            if rows.kinds[row] == view.skipped_kind:
                below.extend(rows.children(row))
                continue
            children: list[int] = []
            for child in rows.children(row):
                children.append(child)
                if len(children) > FIRST_CHILDREN:
                    break
            if len(children) <= FIRST_CHILDREN and lines + len(children) <= FIRST_LINES:
                view.expanded[row] = 1
                lines += len(children)
                below += children
        level = below
