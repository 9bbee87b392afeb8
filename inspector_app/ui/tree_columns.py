"""The tree's columns, and what stands in them. Text from the file is made plain here."""

from __future__ import annotations

from enum import IntEnum

from PySide6.QtCore import QCoreApplication

from inspector_app.analysis.quantities import count_text, size_text
from inspector_app.checkpoint.model import Kind, Node, TensorInfo
from inspector_app.checkpoint.text import plain
from inspector_app.ui.tree_nodes import RowKind, TreeRows

LONGEST_VALUE = 120
LONGEST_FLOAT = 12  # characters; the tooltip has all digits
LONGEST_SHAPE = 12  # sizes
# What is wrong with a row's values.
BROKEN, EMPTY = "broken", "empty"
# A number beyond this is a lie of the file's; printing it could take seconds.
LARGEST_COUNT = 10**24


class Column(IntEnum):
    """The columns, in their order from the left."""

    NAME = 0
    SHAPE = 1
    DTYPE = 2
    PARAMETERS = 3
    SIZE = 4
    DEVICE = 5
    MEAN = 6
    STD = 7
    MIN = 8
    MAX = 9
    NORM = 10
    ZEROS = 11
    NANS = 12


# About the values: they appear when somebody asks for statistics.
STATISTICS = tuple(column for column in Column if column >= Column.MEAN)
NUMERIC = frozenset({Column.PARAMETERS, Column.SIZE, *STATISTICS})
HIDDEN_AT_FIRST = frozenset({Column.DEVICE, *STATISTICS})


def heading(column: int) -> str:
    """The column's title, translated."""
    match column:
        case Column.NAME:
            return QCoreApplication.translate("tree", "Name")
        case Column.SHAPE:
            return QCoreApplication.translate("tree", "Shape / value")
        case Column.DTYPE:
            return QCoreApplication.translate("tree", "dtype")
        case Column.PARAMETERS:
            return QCoreApplication.translate("tree", "Parameters")
        case Column.SIZE:
            return QCoreApplication.translate("tree", "Size")
        case Column.DEVICE:
            return QCoreApplication.translate("tree", "Device")
        case Column.MEAN:
            return QCoreApplication.translate("tree", "Mean")
        case Column.STD:
            return QCoreApplication.translate("tree", "Std")
        case Column.MIN:
            return QCoreApplication.translate("tree", "Min")
        case Column.MAX:
            return QCoreApplication.translate("tree", "Max")
        case Column.NORM:
            return QCoreApplication.translate("tree", "L2 norm")
        case Column.ZEROS:
            return QCoreApplication.translate("tree", "Zeros")
        case Column.NANS:
            return QCoreApplication.translate("tree", "NaN / Inf")
    return ""


def heading_hint(column: int) -> str:
    """What the column says, translated."""
    match column:
        case Column.SHAPE:
            return QCoreApplication.translate("tree", "A tensor's shape, or the value itself")
        case Column.DTYPE:
            return QCoreApplication.translate("tree", "A tensor's dtype, or the Python type")
        case Column.PARAMETERS:
            return QCoreApplication.translate("tree", "Number of elements")
        case Column.SIZE:
            return QCoreApplication.translate(
                "tree", "Bytes of the elements; 1 kB is 1,000 bytes. Shared bytes count once."
            )
        case Column.DEVICE:
            return QCoreApplication.translate("tree", "Where the tensor was when it was saved")
        case Column.MEAN:
            return QCoreApplication.translate("tree", "Mean of the finite values")
        case Column.STD:
            return QCoreApplication.translate(
                "tree", "Standard deviation of the finite values, divided by N − 1"
            )
        case Column.MIN:
            return QCoreApplication.translate("tree", "The least finite value")
        case Column.MAX:
            return QCoreApplication.translate("tree", "The greatest finite value")
        case Column.NORM:
            return QCoreApplication.translate("tree", "Root of the sum of squares")
        case Column.ZEROS:
            return QCoreApplication.translate("tree", "Share of the values that are 0")
        case Column.NANS:
            return QCoreApplication.translate("tree", "How many values are NaN or infinite")
    return heading(column)


def cell(rows: TreeRows, row: int, column: int) -> str:
    """What stands in a cell, safe to show."""
    if column == Column.NAME:
        return label(rows, row)
    if column >= Column.MEAN:
        return rows.statistics.text(row, column) if rows.statistics is not None else ""
    node = rows.nodes[row]
    if isinstance(node, TensorInfo):
        return _tensor_cell(node, column)
    totals = rows.totals.get(row)
    if column == Column.SHAPE:
        if node is None or node.kind in {Kind.MAPPING, Kind.SEQUENCE, Kind.MODULE}:
            return _contents(rows, row)
        if isinstance(node.value, float) and len(str(node.value)) > LONGEST_FLOAT:
            return f"{node.value:.8g}"
        return value_text(node)
    if column == Column.DTYPE:
        if node is not None and node.type_name:
            return plain(node.type_name.rpartition(".")[2], 60)
        if totals is None:
            return ""
        return plain(totals.dtype, 60) or QCoreApplication.translate("tree", "mixed")
    if totals is None:
        return ""
    if column == Column.PARAMETERS:
        return _count(totals.numel)
    if column == Column.SIZE:
        return _size(totals.nbytes)
    return ""


def label(rows: TreeRows, row: int) -> str:
    """What stands in the first column, safe to show."""
    text = rows.labels[row]
    return plain(text, 300) if text else "''"


def repeats(rows: TreeRows, row: int) -> int:
    """How many layers a fold stands for; 0 for other rows."""
    if rows.kinds[row] != RowKind.FOLD:
        return 0
    return sum(1 for _ in rows.children(row))


def _tensor_cell(tensor: TensorInfo, column: int) -> str:
    if column == Column.SHAPE:
        return shape_text(tensor.shape)
    if column == Column.DTYPE:
        return plain(tensor.dtype, 60)
    if column == Column.PARAMETERS:
        return _count(tensor.numel)
    if column == Column.SIZE:
        return _size(tensor.nbytes)
    return plain(tensor.device, 60)


def shape_text(shape: tuple[int, ...]) -> str:
    """``64 × 3 × 7 × 7``; of a scalar "scalar", of a ragged size ``?``."""
    if not shape:
        return QCoreApplication.translate("tree", "scalar")
    sizes = [str(size) if 0 <= size < LARGEST_COUNT else "?" for size in shape[:LONGEST_SHAPE]]
    if len(shape) > LONGEST_SHAPE:
        sizes.append("…")
    return " × ".join(sizes)


def value_text(node: Node) -> str:
    """A value as people read it, on one line."""
    value = node.value
    if node.kind == Kind.SCALAR:
        if isinstance(value, str):
            return plain(value, LONGEST_VALUE) if value else "''"
        if isinstance(value, bytes):
            return plain(repr(value[:LONGEST_VALUE]), LONGEST_VALUE)
        if value is None or isinstance(value, bool | float | complex):
            return str(value)
        if isinstance(value, int):
            return str(value) if abs(value) < LARGEST_COUNT else hex(value)[:LONGEST_VALUE]
    if isinstance(value, str):
        return plain(value.partition("\n")[0], LONGEST_VALUE)
    if isinstance(value, int | float | complex):
        return str(value)[:LONGEST_VALUE]
    if node.children:
        return _entries(len(node.children))
    return ""


def _entries(count: int) -> str:
    if count == 1:
        return QCoreApplication.translate("tree", "1 entry")
    return QCoreApplication.translate("tree", "{count} entries").format(count=count_text(count))


def _contents(rows: TreeRows, row: int) -> str:
    totals = rows.totals.get(row)
    if totals is not None:
        if totals.tensors == 1:
            return QCoreApplication.translate("tree", "1 tensor")
        return QCoreApplication.translate("tree", "{count} tensors").format(
            count=count_text(totals.tensors)
        )
    node = rows.nodes[row]
    if node is None:
        return ""
    if node.kind == Kind.SEQUENCE and node.children:
        listed = _listed(node)
        if listed:
            return listed
    if not node.children:
        return QCoreApplication.translate("tree", "empty")
    return _entries(len(node.children))


def _listed(node: Node) -> str:
    """A short sequence of numbers as it is written: ``(0.9, 0.999)``; else ""."""
    if len(node.children) > 6:
        return ""
    values = []
    for child in node.children:
        if child.kind != Kind.SCALAR or isinstance(child.value, str | bytes):
            return ""
        values.append(value_text(child))
    text = ", ".join(values)
    if len(text) > 40:
        return ""
    return f"({text})" if node.type_name == "tuple" else f"[{text}]"


def _count(count: int) -> str:
    return count_text(count) if count < LARGEST_COUNT else f"> {LARGEST_COUNT:.0e}"


def _size(nbytes: int) -> str:
    return size_text(nbytes) if nbytes < LARGEST_COUNT else f"> {size_text(10**18)}"
