"""What the tree's columns say about values, once they have been counted.

A tensor has the figures of its own; a row with tensors below it those of all of them
together, as soon as all of them are known. Tensors are counted as often as they are listed.
Figures have four significant digits.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QCoreApplication

from inspector_app.analysis.quantities import count_text
from inspector_app.checkpoint.model import TensorInfo
from inspector_app.checkpoint.text import plain
from inspector_app.ui.tree_columns import BROKEN, EMPTY, Column

if TYPE_CHECKING:
    from inspector_app.analysis.figures import Figures
    from inspector_app.ui.tree_nodes import TreeRows

ROWS_A_STEP = 2_000
DIGITS = 4
LEAST_IN_FULL = 1e-3  # less would take more room than 1.234e-4
_MISSING = "–"
translate = QCoreApplication.translate


class StatisticsColumns:
    """The figures of one tree's rows.

    Attributes:
        own: figures by row, of tensors.
        below: figures by row, of rows with tensors below them.
    """

    def __init__(self, rows: TreeRows) -> None:
        # Not the rows themselves, which have these statistics: nothing takes such cycles apart.
        self._nodes, self._parents, self._sizes = rows.nodes, rows.parents, rows.sizes
        self.own: dict[int, Figures] = {}
        self.below: dict[int, Figures] = {}
        self._row_of: dict[int, int] = {}
        self._missing = array("I")
        self._broken: Counter[int] = Counter()

    def preparing(self, tensors: Iterable[TensorInfo]) -> Generator[None, None, None]:
        """Find the rows of the tensors that will be counted; before anything else."""
        nodes, parents = self._nodes, self._parents
        wanted = set(map(id, tensors))
        missing = array("I", bytes(4 * len(nodes)))
        for row in range(len(nodes) - 1, -1, -1):
            if row % ROWS_A_STEP == 0:
                yield
            identity = id(nodes[row])
            if identity in wanted:
                self._row_of[identity] = row
                missing[row] += 1
            parent = parents[row]
            if parent >= 0 and missing[row]:
                missing[parent] += missing[row]
        self._missing = missing

    def row_of(self, tensor: TensorInfo) -> int:
        """The row of a tensor that is counted, or -1."""
        return self._row_of.get(id(tensor), -1)

    def add(self, tensor: TensorInfo, figures: Figures) -> None:
        """What was found out about one tensor."""
        # Here, because counting began before: it would bring numpy to the first picture.
        from inspector_app.analysis.figures import together

        row = self.row_of(tensor)
        if row < 0 or row in self.own:
            return
        self.own[row] = figures
        broken = figures.nans + figures.infinities > 0
        self._missing[row] -= 1
        above = row
        while (above := self._parents[above]) >= 0:
            self._missing[above] -= 1
            if broken:
                self._broken[above] += 1
            if not figures.error:
                known = self.below.get(above)
                self.below[above] = figures if known is None else together(known, figures)

    def figures(self, row: int) -> Figures | None:
        """What is known of a row; None while it is not, or where there is nothing to know."""
        own = self.own.get(row)
        if own is not None:
            return own
        if not self._missing or self._missing[row] or not self._sizes[row]:
            return None
        return self.below.get(row)

    def mark(self, row: int) -> tuple[str, str]:
        """What is wrong with a row, `BROKEN`, `EMPTY` or "", and its sign in words."""
        own = self.own.get(row)
        if own is not None:
            if own.nans:
                return BROKEN, translate("statistics", "NaN")
            if own.infinities:
                return BROKEN, translate("statistics", "Inf")
            if own.all_zero and own.count > 1:
                return EMPTY, translate("statistics", "all zero")
            return "", ""
        count = self._broken.get(row, 0)
        if count:
            words = translate("statistics", "{n} with NaN or Inf")
            return BROKEN, words.format(n=count_text(count))
        return "", ""

    def text(self, row: int, column: int) -> str:
        """What stands in a cell."""
        figures = self.figures(row)
        if figures is None:
            return ""
        if figures.error:
            return _MISSING if column == Column.MEAN else ""
        if column == Column.ZEROS:
            return share_text(figures.zeros, figures.values)
        if column == Column.NANS:
            return broken_text(figures.nans, figures.infinities)
        return figure_text(_figure(figures, column))

    def hint(self, row: int, column: int) -> str:
        """What does not fit in a cell: all digits, counts, and why there are none."""
        figures = self.figures(row)
        if figures is None:
            return ""
        if figures.error:
            return plain(figures.error, 400)
        if column == Column.ZEROS:
            return translate("statistics", "{n} of {all} values").format(
                n=count_text(figures.zeros), all=count_text(figures.values)
            )
        if column == Column.NANS:
            return translate(
                "statistics", "{nans} NaN, {infinities} infinite, of {all} values"
            ).format(
                nans=count_text(figures.nans),
                infinities=count_text(figures.infinities),
                all=count_text(figures.values),
            )
        value = _figure(figures, column)
        if isinstance(value, int):
            return count_text(value)
        return "" if math.isnan(value) else repr(value)

    def key(self, row: int, column: int) -> tuple[Any, ...] | None:
        """What a row is sorted by; None comes last."""
        figures = self.figures(row)
        if figures is None or figures.error:
            return None
        if column == Column.ZEROS:
            # By share: which is all zero?
            return (_share(figures.zeros, figures.values), figures.values)
        if column == Column.NANS:
            return (figures.nans + figures.infinities, figures.nans)
        value = _figure(figures, column)
        return None if math.isnan(value) else (value,)


def _figure(figures: Figures, column: int) -> float | int:
    match column:
        case Column.MEAN:
            return figures.mean
        case Column.STD:
            return figures.std
        case Column.MIN:
            return figures.least
        case Column.MAX:
            return figures.most
        case Column.NORM:
            return figures.l2
    return math.nan


def figure_text(value: float | int) -> str:
    """Four significant digits; integers that have no more than eight in full."""
    if isinstance(value, int) and abs(value) < 10**8:
        return f"{value:,}"
    if isinstance(value, int) and value.bit_length() > 1_000:
        return count_text(abs(value))
    if math.isnan(value):
        return _MISSING
    small = 0 < abs(value) < LEAST_IN_FULL
    text = f"{float(value):.{DIGITS - 1}e}" if small else f"{float(value):.{DIGITS}g}"
    return text.replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")


def share_text(part: int, whole: int) -> str:
    """A share in percent; "0" for none at all."""
    if not part:
        return "0"
    if part == whole:
        return "100 %"
    percent = _share(part, whole) * 100
    if percent > 99.99:
        return "> 99.99 %"
    return f"{percent:.2f} %" if percent >= 0.01 else "< 0.01 %"


def broken_text(nans: int, infinities: int) -> str:
    """``⚠ 3 NaN``, ``⚠ 2 Inf``, ``⚠ 3 NaN, 2 Inf``; "0" for none."""
    parts = []
    if nans:
        parts.append(translate("statistics", "{n} NaN").format(n=count_text(nans)))
    if infinities:
        parts.append(translate("statistics", "{n} Inf").format(n=count_text(infinities)))
    return "⚠ " + ", ".join(parts) if parts else "0"


def _share(part: int, whole: int) -> float:
    # Integers that may be beyond float64 divide well.
    return part / whole if whole else 0.0
