"""Which rows are on the screen: expanded, folded, filtered and sorted.

`visible` holds positions in the order in force, ascending, so that a row is found by
bisection and an expansion is one splice. Whatever may touch many rows is a generator of
steps of about a millisecond.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Generator, Iterable, Sequence

from inspector_app.ui.tree_nodes import RowIdentity, RowKind, TreeRows

ROWS_A_STEP = 4_000
MOST_REMEMBERED = 10_000

HIDDEN, MATCH, ABOVE = 0, 1, 2  # bits of `shown`

Flattening = Generator[None, None, "array[int]"]


class VisibleRows:
    """The rows that can be scrolled to.

    Attributes:
        rows: all of them.
        visible: positions in the order in force.
        fold: repeated layers are one row.
        expanded: a flag for each row, whether its children are listed.
        shown: while a search is in force, bits for each row; else None.
    """

    def __init__(self, rows: TreeRows, fold: bool = True) -> None:
        self.rows = rows
        self.fold = fold
        self.visible: array[int] = array("I")
        self.shown: bytearray | None = None
        self._own_expanded = bytearray(len(rows))
        self._found_expanded = bytearray()
        self._order: array[int] | None = None
        self._place: array[int] | None = None

    def __len__(self) -> int:
        return len(self.visible)

    def sibling(self, fold: bool) -> VisibleRows:
        """Another arrangement of the same rows, with the same ones expanded."""
        other = VisibleRows(self.rows, fold)
        other._own_expanded = self._own_expanded
        return other

    @property
    def expanded(self) -> bytearray:
        return self._own_expanded if self.shown is None else self._found_expanded

    @property
    def skipped_kind(self) -> int:
        """The kind of rows that are not listed though their children are.

        Results of a search are listed where they are, so folds are open then.
        """
        return RowKind.FOLDED if self.fold and self.shown is None else RowKind.FOLD

    def row(self, index: int) -> int:
        """The row on line `index` of the screen."""
        position = self.visible[index]
        return position if self._order is None else self._order[position]

    def at(self, position: int) -> int:
        """The row at a place of the order in force, listed or not."""
        return position if self._order is None else self._order[position]

    def index(self, row: int) -> int:
        """The line that shows `row`, or -1."""
        position = self.position(row)
        index = bisect_left(self.visible, position)
        return index if index < len(self.visible) and self.visible[index] == position else -1

    def position(self, row: int) -> int:
        """The place of `row` in the order in force."""
        return row if self._place is None else self._place[row]

    def parent(self, row: int) -> int:
        """The row that `row` is listed below, or -1."""
        kinds, parents, skipped = self.rows.kinds, self.rows.parents, self.skipped_kind
        row = parents[row]
        while row >= 0 and kinds[row] == skipped:
            row = parents[row]
        return row

    def depth(self, row: int) -> int:
        """How many rows it is listed below."""
        depth = -1
        while row >= 0:
            depth += 1
            row = self.parent(row)
        return depth

    def can_expand(self, row: int) -> bool:
        if self.shown is not None:
            return bool(self.shown[row] & ABOVE)
        return self.rows.sizes[row] > 0

    def flattened(self, first: int, last: int) -> Flattening:
        """The positions from `first` up to `last` that are visible, parents expanded."""
        found: array[int] = array("I")
        add = found.append
        order, shown, expanded = self._order, self.shown, self.expanded
        kinds, sizes, skipped = self.rows.kinds, self.rows.sizes, self.skipped_kind
        position = first
        steps = 0
        while position < last:
            steps += 1
            if steps % ROWS_A_STEP == 0:
                yield
            row = position if order is None else order[position]
            if kinds[row] == skipped:
                position += 1
            elif shown is not None and not shown[row]:
                position += sizes[row] + 1
            else:
                add(position)
                position += 1 if expanded[row] else sizes[row] + 1
        return found

    def all(self) -> Flattening:
        """The same for the whole tree."""
        return self.flattened(0, len(self.rows))

    def below(self, row: int) -> Flattening:
        """What appears when `row` is expanded."""
        first = self.position(row) + 1
        return self.flattened(first, first + self.rows.sizes[row])

    def count_below(self, index: int) -> int:
        """How many of the lines after `index` lie below its row."""
        end = self.visible[index] + self.rows.sizes[self.row(index)]
        return bisect_right(self.visible, end, index) - index - 1

    def expand_levels(self, levels: int) -> Generator[None, None, None]:
        """Mark the upper `levels` levels as expanded and the rest as not; -1 is every level."""
        expanded = self.expanded
        if levels < 0:
            # Leaves too: it does them no harm, and this takes no time.
            expanded[:] = b"\x01" * len(expanded)
            return
        expanded[:] = bytes(len(expanded))
        sizes = self.rows.sizes
        level: list[int] = list(self.rows.children(-1))
        done = 0
        while levels and level:
            below: list[int] = []
            for row in level:
                done += 1
                if done % ROWS_A_STEP == 0:
                    yield
                skipped = self.rows.kinds[row] == self.skipped_kind
                if sizes[row]:
                    expanded[row] = 1
                    children = self.rows.children(row)
                    if skipped:
                        level.extend(children)
                    else:
                        below.extend(children)
            level = below
            levels -= 1

    def show_only(self, found: bytearray | None, expanded: bytearray) -> None:
        """List the rows marked in `found`; of None all."""
        self.shown = found
        self._found_expanded = expanded

    def reorder(self, order: array[int] | None, place: array[int] | None) -> None:
        """List the rows in `order` (rows by position), of which `place` is the inverse."""
        self._order = order
        self._place = place

    def identities(self) -> set[RowIdentity]:
        """The expanded rows by name, as far as one can remember."""
        names: set[RowIdentity] = set()
        start = 0
        expanded, sizes = self._own_expanded, self.rows.sizes
        while len(names) < MOST_REMEMBERED:
            row = expanded.find(1, start)
            if row < 0:
                break
            if sizes[row]:
                names.add(self.rows.identity(row))
            start = row + 1
        return names

    def expand_named(self, names: Iterable[RowIdentity]) -> Generator[None, None, None]:
        """Expand the rows of these names, as far as there are any."""
        wanted = set(names)
        sizes, expanded = self.rows.sizes, self._own_expanded
        row = done = 0
        while row < len(self.rows):
            done += 1
            if done % 256 == 0:
                yield
            # What lies below a row that was closed is not worth a search.
            if not sizes[row] or self.rows.identity(row) not in wanted:
                listed_through = sizes[row] and self.rows.kinds[row] == self.skipped_kind
                row += 1 if listed_through else sizes[row] + 1
                continue
            expanded[row] = 1
            row += 1


def inverse(order: Sequence[int]) -> Generator[None, None, array[int]]:
    """The position of each row in `order`."""
    place: array[int] = array("I", bytes(4 * len(order)))
    for position, row in enumerate(order):
        if position % ROWS_A_STEP == 0:
            yield
        place[row] = position
    return place
