"""What flows from which row to which: the keys of two trees, added up over folded modules."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from inspector_app.ui.transfer_keys import KeyTree


_MOST_ANCHORS = 20_000


class Fate:
    """What becomes of a key, by how much it asks for attention: small whole numbers, to be
    added up. The first three flow; a key that is skipped has a source, and keeps its own."""

    TAKEN = 0
    CAST = 1
    FITTED = 2
    KEPT = 3
    NEW = 4
    ABSENT = 5
    UNUSED = 6
    SKIPPED = 7


FATES = tuple(range(8))
FLOWING = frozenset({Fate.TAKEN, Fate.CAST, Fate.FITTED})


class Ribbon(NamedTuple):
    """Keys that lead from one row to another.

    Attributes:
        source, target: which rows, counted from the top.
        from_top, from_bottom: which part of the source's row, from 0 to 1.
        to_top, to_bottom: which part of the target's.
        fate: the one that asks for the most attention.
        count: of keys.
    """

    source: int
    target: int
    from_top: float
    from_bottom: float
    to_top: float
    to_bottom: float
    fate: int
    count: int


class Counts:
    """How many keys of each fate are at or below each node of a tree."""

    def __init__(self, tree: KeyTree, fates: Sequence[int]) -> None:
        import numpy as np

        self._tree = tree
        by_leaf = np.empty(len(tree.keys), np.int8)
        by_leaf[np.frombuffer(tree.leaf_of, np.int32)] = np.asarray(fates, np.int8)
        self._sums: Any = np.zeros((len(FATES), len(by_leaf) + 1), np.int32)
        for fate in FATES:
            np.cumsum(by_leaf == fate, out=self._sums[fate, 1:])

    def of(self, node: int) -> list[int]:
        """By fate, how many keys."""
        first, last = self._tree.first[node], self._tree.last[node]
        counts: list[int] = (self._sums[:, last] - self._sums[:, first]).tolist()
        return counts

    def worst(self, node: int) -> int:
        """The fate below a node that asks for the most attention."""
        counts = self.of(node)
        return max((fate for fate in FATES if counts[fate]), default=Fate.TAKEN)

    def first_leaf(self, fate: int, after: int) -> int:
        """The first leaf from `after` on that has this fate, or -1."""
        sums = self._sums[fate]
        leaf = int(sums.searchsorted(sums[min(after, len(sums) - 1)] + 1)) - 1
        return leaf if leaf < len(sums) - 1 else -1


class Flows:
    """The links between two trees, as they are folded now.

    Args:
        source, target: the trees.
        sources: of each key of the target the place of its source's key, or -1.
        fates: of each key of the target, and of each of the source.
    """

    def __init__(
        self,
        source: KeyTree,
        target: KeyTree,
        sources: Sequence[int],
        fates: Sequence[int],
        source_fates: Sequence[int],
    ) -> None:
        import numpy as np

        self.source, self.target = source, target
        self.source_counts = Counts(source, source_fates)
        self.target_counts = Counts(target, fates)
        linked = np.asarray(sources, np.int64)
        places = np.flatnonzero(linked >= 0)
        leaves = np.frombuffer(target.leaf_of, np.int32)
        self._to: Any = leaves[places]
        self._from: Any = np.frombuffer(source.leaf_of, np.int32)[linked[places]]
        self._fates: Any = np.asarray(fates, np.int8)[places]
        self._pairs: Any = None
        self.fold()

    def fold(self) -> None:
        """Add up anew: other rows are listed."""
        import numpy as np

        from_rows = _rows(self.source, self._from)
        to_rows = _rows(self.target, self._to)
        wide = len(self.target.visible) + 1
        pairs, which, counts = np.unique(
            from_rows * wide + to_rows, return_inverse=True, return_counts=True
        )
        worst = np.zeros(len(pairs), np.int8)
        np.maximum.at(worst, which, self._fates)
        rows_from, rows_to = pairs // wide, pairs % wide
        top_from, bottom_from = _parts(rows_from, counts, np.arange(len(pairs)))
        by_target = np.lexsort((rows_from, rows_to))
        top_to, bottom_to = _parts(rows_to, counts, by_target)
        self._pairs = (
            rows_from,
            rows_to,
            top_from,
            bottom_from,
            top_to,
            bottom_to,
            worst,
            counts,
        )
        self._by_target = by_target
        self._sorted_to = rows_to[by_target]
        self._anchors: Any = _anchors(rows_to[by_target], rows_from[by_target])

    def between(self, sources: range, targets: range, most: int) -> list[Ribbon]:
        """The ribbons with an end in one of these rows, `most` at the most."""
        import numpy as np

        rows_from = self._pairs[0]
        low, high = np.searchsorted(rows_from, [sources.start, sources.stop])
        mine = np.arange(low, high)
        low, high = np.searchsorted(self._sorted_to, [targets.start, targets.stop])
        found = np.unique(np.concatenate([mine, self._by_target[low:high]]))
        if len(found) > most:
            found = found[np.linspace(0, len(found) - 1, most).astype(int)]
        columns = [column[found].tolist() for column in self._pairs]
        ribbons = [Ribbon(*each) for each in zip(*columns, strict=True)]
        # What asks for attention is painted last, on top.
        ribbons.sort(key=lambda ribbon: ribbon.fate)
        return ribbons

    def counterpart(self, row: float, of_target: bool) -> float:
        """Which row of the other side is beside a row, between rows where need be."""
        import numpy as np

        to_rows, from_rows = self._anchors
        if not len(to_rows):
            return row
        known, wanted = (to_rows, from_rows) if of_target else (from_rows, to_rows)
        beside = float(np.interp(row, known, wanted))
        # Beyond the first and the last link both sides go on alike.
        return beside + min(row - float(known[0]), 0.0) + max(row - float(known[-1]), 0.0)

    def rows_beside(self, row: int, of_target: bool) -> list[int]:
        """The rows of the other side that a row is linked to."""
        rows_from, rows_to = self._pairs[0], self._pairs[1]
        mine, other = (rows_to, rows_from) if of_target else (rows_from, rows_to)
        found: list[int] = other[mine == row].tolist()
        return found


def _rows(tree: KeyTree, leaves: Any) -> Any:
    """The listed rows that leaves are in."""
    import numpy as np

    visible = np.asarray(tree.visible, np.int64)
    expanded = np.frombuffer(bytes(tree.expanded), np.uint8)[visible] != 0
    ending = np.flatnonzero(~expanded)
    starts = np.frombuffer(tree.first, np.int32)[visible[ending]]
    return ending[np.searchsorted(starts, leaves, side="right") - 1]


def _parts(rows: Any, counts: Any, order: Any) -> tuple[Any, Any]:
    """Which part of its row each link has, the links of a row below each other in `order`."""
    import numpy as np

    if not len(rows):
        return np.zeros(0), np.zeros(0)
    ordered, sums = rows[order], np.cumsum(counts[order])
    begins = np.searchsorted(ordered, ordered, side="left")
    ends = np.searchsorted(ordered, ordered, side="right")
    before = np.concatenate([[0], sums])
    base = before[begins]
    whole = (before[ends] - base).astype(float)
    tops, bottoms = np.empty(len(rows)), np.empty(len(rows))
    tops[order] = (sums - counts[order] - base) / whole
    bottoms[order] = (sums - base) / whole
    return tops, bottoms


def _anchors(to_rows: Any, from_rows: Any) -> tuple[Any, Any]:
    """Most of the links that never go back up, by which the two sides are scrolled together."""
    import numpy as np

    step = max(len(to_rows) // _MOST_ANCHORS, 1)
    to_rows, from_rows = to_rows[::step], from_rows[::step]
    # The longest run that rises, by patience sorting.
    lasts: list[int] = []
    places: list[int] = []
    before: list[int] = []
    for place, row in enumerate(from_rows.tolist()):
        at = bisect_left(lasts, row)
        if at == len(lasts):
            lasts.append(row)
            places.append(place)
        else:
            lasts[at], places[at] = row, place
        before.append(places[at - 1] if at else -1)
    chain = []
    place = places[-1] if places else -1
    while place >= 0:
        if not chain or to_rows[place] < to_rows[chain[-1]]:
            chain.append(place)
        place = before[place]
    chain.reverse()
    picked = np.array(chain, np.int64)
    return to_rows[picked], from_rows[picked]
