"""What is known of the rows of a comparison: how many of which status, and how far they moved.

A row with pairs below it has the counts of all of them, and of each metric the worst.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Generator

from inspector_app.analysis.comparison import Evidence, KeyPair, Metrics, Status
from inspector_app.analysis.layer_changes import is_counter, relative_change
from inspector_app.ui.diff_nodes import PairNode, ValueNode
from inspector_app.ui.diff_status import SHOWN_STATUSES, VALUE
from inspector_app.ui.tree_nodes import TreeRows

ROWS_A_STEP = 500


_BY_CONTENT = frozenset({Status.CHANGED, Status.IDENTICAL})


def needs_bytes(pair: KeyPair) -> bool:
    """Its bytes would say more: it is not compared, or changed nobody knows how far."""
    if pair.error:
        return False
    if pair.status == Status.CHANGED:
        return pair.metrics is None and pair.evidence != Evidence.BYTES
    return pair.status == Status.UNCOMPARED


class Moved:
    """The worst of the metrics below a row.

    Attributes:
        rel_l2: infinite where A is all zero and B is not.
        differing, count: sums.
    """

    __slots__ = (
        "beyond",
        "cosine",
        "count",
        "differing",
        "max_abs",
        "mean_abs",
        "nan_changes",
        "rel_l2",
        "sign_flips",
    )

    def __init__(self) -> None:
        self.rel_l2: float | None = None
        self.max_abs: float | None = None
        self.mean_abs: float | None = None
        self.cosine: float | None = None
        self.differing = self.count = self.sign_flips = self.nan_changes = self.beyond = 0

    def add(self, metrics: Metrics) -> None:
        """Take a pair in."""
        self.rel_l2 = _worse(self.rel_l2, relative_change(metrics))
        self.max_abs = _worse(self.max_abs, metrics.max_abs)
        self.mean_abs = _worse(self.mean_abs, metrics.mean_abs)
        if metrics.cosine is not None:
            known = self.cosine
            self.cosine = metrics.cosine if known is None else min(known, metrics.cosine)
        self.differing += metrics.differing
        self.count += metrics.count
        self.sign_flips += metrics.sign_flips
        self.nan_changes += metrics.nan_changes
        self.beyond += metrics.beyond


def _worse(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return one if other is None else other
    return max(one, other)


class Differences:
    """The statuses and metrics of one tree's rows.

    Attributes:
        statuses: by row; "" where a row is no pair and no value.
        leaves: the rows that have a status, in order.
        totals: how many have each status.
        evidence: how many of the changed and identical ones rest on what.
        waiting: how many need their bytes read to say all that can be said.
    """

    def __init__(self, rows: TreeRows) -> None:
        # Not the rows themselves, which have these: nothing takes such cycles apart.
        self._nodes, self._parents, self._sizes = rows.nodes, rows.parents, rows.sizes
        self.statuses: list[str] = []
        self.leaves = array("I")
        self.totals: Counter[str] = Counter()
        self.evidence: Counter[str] = Counter()
        self.waiting = 0
        self._known: dict[int, tuple[str, bool]] = {}
        self._counts: dict[str, array[int]] = {}
        self._moved: dict[int, Moved] = {}
        self._row_of: dict[int, int] = {}

    def counting(self) -> Generator[None, None, None]:
        """Count; before anything else."""
        nodes, parents = self._nodes, self._parents
        total = len(nodes)
        self.statuses = [""] * total
        counts = self._counts = {status: array("I", bytes(4 * total)) for status in SHOWN_STATUSES}
        for row, node in enumerate(nodes):
            if row % ROWS_A_STEP == 0:
                yield
            if isinstance(node, PairNode):
                status = node.pair.status
                self._row_of[id(node.pair)] = row
                self._weigh(row, node.pair)
                if node.pair.metrics is not None:
                    self._add_metrics(row, node.pair.metrics)
            elif isinstance(node, ValueNode):
                status = VALUE
            else:
                continue
            self.statuses[row] = status
            self.leaves.append(row)
            self.totals[status] += 1
            column = counts[status]
            column[row] += 1
            above = parents[row]
            while above >= 0:
                column[above] += 1
                above = parents[above]

    def row_of(self, pair: KeyPair) -> int:
        """The row of a pair, or -1."""
        return self._row_of.get(id(pair), -1)

    def pair(self, row: int) -> KeyPair | None:
        """The pair of a row, if it has one."""
        node = self._nodes[row]
        return node.pair if isinstance(node, PairNode) else None

    def update(self, pair: KeyPair) -> bool:
        """A pair has been compared; whether its status is another now."""
        row = self.row_of(pair)
        if row < 0:
            return False
        old, new = self.statuses[row], pair.status
        self._weigh(row, pair)
        if pair.metrics is not None:
            self._add_metrics(row, pair.metrics)
        if old == new:
            return False
        self.statuses[row] = new
        self.totals[old] -= 1
        self.totals[new] += 1
        before, after = self._counts[old], self._counts[new]
        while row >= 0:
            before[row] -= 1
            after[row] += 1
            row = self._parents[row]
        return True

    def may_have_metrics(self) -> bool:
        """There are pairs whose values differ, or could."""
        return bool(self._moved or self.totals[Status.CHANGED] or self.totals[Status.UNCOMPARED])

    def structures_differ(self) -> bool:
        """Something is not alike in both files without looking at elements."""
        alike = {Status.CHANGED, Status.UNCOMPARED, Status.IDENTICAL}
        return any(count for status, count in self.totals.items() if status not in alike)

    def forget_metrics(self) -> None:
        """They are to be measured anew."""
        self._moved.clear()

    def count(self, row: int, status: str) -> int:
        """How many pairs of a status are below a row, itself included."""
        return self._counts[status][row]

    def counts(self, row: int) -> list[tuple[str, int]]:
        """Each status that is below a row, with how many."""
        counted = ((status, self._counts[status][row]) for status in SHOWN_STATUSES)
        return [(status, count) for status, count in counted if count]

    def moved(self, row: int) -> Moved | None:
        """The worst metrics below a row; None while nothing is known."""
        return self._moved.get(row)

    def _weigh(self, row: int, pair: KeyPair) -> None:
        evidence, waited = self._known.get(row, ("", False))
        self.evidence[evidence] -= 1
        self.waiting -= waited
        evidence = pair.evidence if pair.status in _BY_CONTENT else ""
        waits = needs_bytes(pair)
        self._known[row] = evidence, waits
        self.evidence[evidence] += 1
        self.waiting += waits

    def _add_metrics(self, row: int, metrics: Metrics) -> None:
        node = self._nodes[row]
        counts_below = not (isinstance(node, PairNode) and is_counter(node.pair))
        while row >= 0:
            moved = self._moved.get(row)
            if moved is None:
                moved = self._moved[row] = Moved()
            moved.add(metrics)
            # What a counter has moved by would hide how far the weights beside it did.
            row = self._parents[row] if counts_below else -1
