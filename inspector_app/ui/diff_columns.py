"""The columns of a comparison's tree, what stands in them, and how they are ordered."""

from __future__ import annotations

import math
from enum import IntEnum
from typing import Any

from PySide6.QtCore import QCoreApplication

from inspector_app.analysis.comparison import ABSENT, Evidence, KeyPair, Metrics, Status, Words
from inspector_app.analysis.layer_changes import relative_change
from inspector_app.analysis.quantities import count_text
from inspector_app.checkpoint.model import TensorInfo
from inspector_app.checkpoint.text import plain
from inspector_app.ui import diff_status
from inspector_app.ui.diff_figures import Moved
from inspector_app.ui.diff_nodes import PairNode, ValueNode
from inspector_app.ui.statistics_columns import figure_text, share_text
from inspector_app.ui.tree_columns import LONGEST_VALUE, cell, label, shape_text
from inspector_app.ui.tree_columns import Column as FileColumn
from inspector_app.ui.tree_nodes import TreeRows
from inspector_app.ui.tree_order import Key, SortKey, by_name

translate = QCoreApplication.translate
LONGEST_HINT = 400
# Of the statuses below a row, as many as the column has room for.
MOST_COUNTED = 3


class DiffColumn(IntEnum):
    """The columns, in their order from the left."""

    NAME = 0
    STATUS = 1
    A = 2
    B = 3
    REL_L2 = 4
    MAX_ABS = 5
    COSINE = 6
    DIFFERING = 7
    MEAN_ABS = 8
    SIGN_FLIPS = 9
    NAN_CHANGES = 10
    EVIDENCE = 11


METRICS = frozenset(
    {
        DiffColumn.REL_L2,
        DiffColumn.MAX_ABS,
        DiffColumn.COSINE,
        DiffColumn.DIFFERING,
        DiffColumn.MEAN_ABS,
        DiffColumn.SIGN_FLIPS,
        DiffColumn.NAN_CHANGES,
    }
)
HIDDEN_AT_FIRST = frozenset(
    {
        DiffColumn.MEAN_ABS,
        DiffColumn.SIGN_FLIPS,
        DiffColumn.NAN_CHANGES,
        DiffColumn.EVIDENCE,
    }
)
SAMPLES: dict[int, str] = {
    DiffColumn.STATUS: "not compared",
    DiffColumn.A: "512 × 512 × 3 × 3 float32",
    DiffColumn.B: "1000 × 10 float32",
    DiffColumn.EVIDENCE: "checksum",
    DiffColumn.DIFFERING: "> 99.99 %",
    **dict.fromkeys((DiffColumn.REL_L2, DiffColumn.MAX_ABS, DiffColumn.MEAN_ABS), "-1.234e-5"),
    **dict.fromkeys((DiffColumn.COSINE, DiffColumn.NAN_CHANGES), "0.99999"),
    DiffColumn.SIGN_FLIPS: "Sign flips 0",
}


def heading(column: int) -> str:
    """The column's title, translated."""
    match column:
        case DiffColumn.NAME:
            return translate("comparison", "Key")
        case DiffColumn.STATUS:
            return translate("comparison", "Status")
        case DiffColumn.A:
            return translate("comparison", "A")
        case DiffColumn.B:
            return translate("comparison", "B")
        case DiffColumn.REL_L2:
            return translate("comparison", "Rel. L2")
        case DiffColumn.MAX_ABS:
            return translate("comparison", "Max abs")
        case DiffColumn.COSINE:
            return translate("comparison", "Cosine")
        case DiffColumn.DIFFERING:
            return translate("comparison", "Differing")
        case DiffColumn.MEAN_ABS:
            return translate("comparison", "Mean abs")
        case DiffColumn.SIGN_FLIPS:
            return translate("comparison", "Sign flips")
        case DiffColumn.NAN_CHANGES:
            return translate("comparison", "NaN")
    return translate("comparison", "Evidence")


def heading_hint(column: int) -> str:
    """What the column says, translated."""
    match column:
        case DiffColumn.STATUS:
            return translate("comparison", "What became of the key when B is loaded into A")
        case DiffColumn.A:
            return translate("comparison", "Shape and dtype in A, or the value itself")
        case DiffColumn.B:
            return translate("comparison", "Shape and dtype in B, or the value itself")
        case DiffColumn.REL_L2:
            return translate(
                "comparison", "L2 norm of B − A, divided by that of A; of a group the largest"
            )
        case DiffColumn.MAX_ABS:
            return translate("comparison", "The largest |B − A|")
        case DiffColumn.COSINE:
            return translate(
                "comparison", "Cosine similarity of A and B as vectors; of a group the smallest"
            )
        case DiffColumn.DIFFERING:
            return translate("comparison", "Share of the elements whose bits differ")
        case DiffColumn.MEAN_ABS:
            return translate("comparison", "The mean of |B − A|; of a group the largest")
        case DiffColumn.SIGN_FLIPS:
            return translate(
                "comparison", "Elements that are above zero in one file and below it in the other"
            )
        case DiffColumn.NAN_CHANGES:
            return translate("comparison", "Elements that are NaN in exactly one of the two files")
        case DiffColumn.EVIDENCE:
            return translate(
                "comparison", "What the status rests on: names and shapes, checksums, or every byte"
            )
    return heading(column)


def tensor_text(tensor: TensorInfo) -> str:
    """``64 × 3 × 7 × 7 float32``."""
    return f"{shape_text(tensor.shape)} {plain(tensor.dtype, 60)}"


def value_text(value: object, longest: int = LONGEST_VALUE) -> str:
    """A value of a `ValueDifference`, as it is read."""
    if value is ABSENT:
        return translate("comparison", "absent")
    if isinstance(value, str) and not isinstance(value, Words):
        return plain(repr(value) if len(value) < longest else repr(value[:longest]) + "…", longest)
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 80:
        return count_text(abs(value))
    return plain(str(value), longest)


def evidence_word(evidence: str) -> str:
    """What a status rests on, translated."""
    if evidence == Evidence.BYTES:
        return translate("comparison", "bytes")
    if evidence == Evidence.CHECKSUM:
        return translate("comparison", "checksum")
    return translate("comparison", "header")


def diff_cell(rows: TreeRows, row: int, column: int) -> str:
    """What stands in a cell, safe to show."""
    if column == DiffColumn.NAME:
        return label(rows, row)
    differences = rows.differences
    if differences is None:
        return ""
    node = rows.nodes[row]
    if column in METRICS:
        if isinstance(node, PairNode):
            return metric_text(node.pair.metrics, column)
        return moved_text(differences.moved(row), column)
    if isinstance(node, PairNode):
        return _pair_cell(node.pair, column)
    if isinstance(node, ValueNode):
        if column == DiffColumn.STATUS:
            return translate("comparison", "changed")
        if column == DiffColumn.A:
            return value_text(node.difference.a)
        return value_text(node.difference.b) if column == DiffColumn.B else ""
    if column == DiffColumn.STATUS:
        counts = [pair for pair in differences.counts(row) if pair[0] != Status.IDENTICAL]
        if not counts:
            return diff_status.letter(Status.IDENTICAL)
        text = " ".join(f"{diff_status.letter(s)} {count_text(n)}" for s, n in counts[:3])
        return text if len(counts) <= MOST_COUNTED else f"{text} …"
    if column == DiffColumn.A:
        return cell(rows, row, FileColumn.SHAPE)
    return ""


def _pair_cell(pair: KeyPair, column: int) -> str:
    if column == DiffColumn.STATUS:
        if pair.error:
            return f"⚠ {diff_status.word(pair.status)}"
        return diff_status.word(pair.status)
    if column == DiffColumn.EVIDENCE:
        return evidence_word(pair.evidence)
    a, b = pair.a, pair.b
    if column == DiffColumn.B and a is not None and b is not None and not pair.reasons:
        # What is equal is not worth reading twice.
        return "="
    tensor = a if column == DiffColumn.A else b
    return tensor_text(tensor) if tensor is not None else "–"


def metric_text(metrics: Metrics | None, column: int) -> str:
    """A metric of one pair; "" while it is not known."""
    if metrics is None:
        return ""
    match column:
        case DiffColumn.DIFFERING:
            return share_text(metrics.differing, metrics.count)
        case DiffColumn.SIGN_FLIPS:
            return count_text(metrics.sign_flips)
        case DiffColumn.NAN_CHANGES:
            return count_text(metrics.nan_changes)
    return _figure(_measure(metrics, column), column)


def moved_text(moved: Moved | None, column: int) -> str:
    """The worst of a metric below a row."""
    if moved is None:
        return ""
    match column:
        case DiffColumn.DIFFERING:
            return share_text(moved.differing, moved.count)
        case DiffColumn.SIGN_FLIPS:
            return count_text(moved.sign_flips)
        case DiffColumn.NAN_CHANGES:
            return count_text(moved.nan_changes)
    return _figure(_measure(moved, column), column)


def _measure(source: Metrics | Moved, column: int) -> float | None:
    match column:
        case DiffColumn.REL_L2:
            return relative_change(source) if isinstance(source, Metrics) else source.rel_l2
        case DiffColumn.MAX_ABS:
            return source.max_abs
        case DiffColumn.COSINE:
            return source.cosine
    return source.mean_abs


def _figure(value: float | None, column: int) -> str:
    if value is None:
        return "–"
    if math.isinf(value):
        return "∞"
    if column == DiffColumn.COSINE:
        # Nearly all are close to 1, where four digits say nothing.
        return f"{value:.5f}"
    return figure_text(value)


def hint(rows: TreeRows, row: int, column: int) -> str:
    """What does not fit in a cell."""
    if column == DiffColumn.NAME:
        return rows.name(row)
    node = rows.nodes[row]
    if isinstance(node, ValueNode):
        if column in {DiffColumn.A, DiffColumn.B}:
            value = node.difference.a if column == DiffColumn.A else node.difference.b
            return value_text(value, LONGEST_HINT)
        return ""
    if not isinstance(node, PairNode):
        if rows.differences is None or column != DiffColumn.STATUS:
            return ""
        counts = rows.differences.counts(row)
        return ", ".join(diff_status.counted(status, n) for status, n in counts)
    pair = node.pair
    if column == DiffColumn.STATUS:
        return pair.error or diff_status.explanation(pair.status)
    if column in {DiffColumn.A, DiffColumn.B}:
        tensor = pair.a if column == DiffColumn.A else pair.b
        return tensor.name if tensor is not None else ""
    if column in METRICS and pair.metrics is not None:
        if column == DiffColumn.DIFFERING:
            return translate("comparison", "{n} of {all} elements").format(
                n=count_text(pair.metrics.differing), all=count_text(pair.metrics.count)
            )
        if column == DiffColumn.REL_L2 and pair.metrics.rel_l2 is None:
            return translate("comparison", "A is all zero and B is not")
        value = _measure(pair.metrics, column)
        return repr(value) if value is not None else ""
    return ""


def sort_key(column: int) -> SortKey:
    """What rows are ordered by."""
    if column == DiffColumn.NAME:
        return by_name
    if column == DiffColumn.STATUS:
        return _by_status
    if column in METRICS:
        return lambda rows, row: _by_metric(rows, row, column)
    return lambda rows, row: _by_text(rows, row, column)


def _by_status(rows: TreeRows, row: int) -> Key | None:
    differences = rows.differences
    if differences is None:
        return None
    # First what matters most, then who has most of it.
    return tuple(-differences.count(row, status) for status in diff_status.SHOWN_STATUSES)


def _by_metric(rows: TreeRows, row: int, column: int) -> Key | None:
    moved = rows.differences.moved(row) if rows.differences is not None else None
    if moved is None:
        return None
    value: Any
    match column:
        case DiffColumn.DIFFERING:
            value = moved.differing / moved.count if moved.count else 0.0
        case DiffColumn.SIGN_FLIPS:
            value = moved.sign_flips
        case DiffColumn.NAN_CHANGES:
            value = moved.nan_changes
        case _:
            value = _measure(moved, column)
    return None if value is None else (value,)


def _by_text(rows: TreeRows, row: int, column: int) -> Key | None:
    node = rows.nodes[row]
    if isinstance(node, PairNode) and column in {DiffColumn.A, DiffColumn.B}:
        tensor = node.pair.a if column == DiffColumn.A else node.pair.b
        return (len(tensor.shape), tensor.shape[:16], tensor.dtype) if tensor is not None else None
    if isinstance(node, PairNode):
        return (0, (), node.pair.evidence)
    return None
