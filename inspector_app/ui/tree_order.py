"""Sorting the tree by a column: siblings among themselves, equal ones in the file's order."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Generator, Iterator
from functools import partial
from heapq import merge
from math import isnan
from typing import Any

from inspector_app.checkpoint.model import Kind, TensorInfo
from inspector_app.ui.tree_columns import STATISTICS, Column
from inspector_app.ui.tree_nodes import TreeRows

_DIGITS = re.compile(r"([0-9]{1,18})")
LONGEST_KEY = 200
# Sorted in one go; more are sorted in runs that are merged step by step.
RUN = 2_000

Key = tuple[Any, ...]
SortKey = Callable[[TreeRows, int], Key | None]


def ordering(
    rows: TreeRows, key: SortKey, descending: bool, skipped_kind: int
) -> Generator[None, None, array[int]]:
    """The rows by position, sorted, each followed by all that lies below it.

    Args:
        rows: what to sort.
        key: what siblings are ordered by.
        descending: the greatest first; rows without a value come last either way.
        skipped_kind: the kind of rows whose children count as their parent's.
    """
    order: array[int] = array("I")
    stack = [iter((yield from _sorted(_listed(rows, -1, skipped_kind), rows, key, descending)))]
    steps = 0
    while stack:
        for row in stack[-1]:
            steps += 1
            if steps % 512 == 0:
                yield
            order.append(row)
            if rows.sizes[row] and rows.kinds[row] != skipped_kind:
                listed = _listed(rows, row, skipped_kind)
                stack.append(iter((yield from _sorted(listed, rows, key, descending))))
                break
        else:
            stack.pop()
    return order


def sort_key(column: int) -> SortKey:
    """What rows are ordered by for a `tree_columns.Column`."""
    return partial(_by_figure, column) if column in STATISTICS else _KEYS.get(column, by_name)


def _listed(rows: TreeRows, row: int, skipped_kind: int) -> Iterator[tuple[int, bool]]:
    """The children of `row` and whether each is passed over; those of such a row follow it."""
    for child in rows.children(row):
        skipped = rows.kinds[child] == skipped_kind
        yield child, skipped
        if skipped:
            yield from _listed(rows, child, skipped_kind)


def _sorted(
    listed: Iterator[tuple[int, bool]],
    rows: TreeRows,
    key: SortKey,
    descending: bool,
) -> Generator[None, None, list[int]]:
    # Rows that are passed over go first: nobody sees where they are.
    ordered: list[int] = []
    valued: list[tuple[Key, int]] = []
    rest: list[int] = []
    runs: list[list[tuple[Key, int]]] = []
    for count, (row, skipped) in enumerate(listed):
        if count % 256 == 255:
            yield
        if skipped:
            ordered.append(row)
            continue
        value = key(rows, row)
        if value is None:
            rest.append(row)
            continue
        # Row numbers ascend in the file's order, in which equal ones stay.
        valued.append((value, -row if descending else row))
        if len(valued) == RUN:
            valued.sort(reverse=descending)
            runs.append(valued)
            valued = []
    valued.sort(reverse=descending)
    runs.append(valued)
    merged = merge(*runs, reverse=descending) if len(runs) > 1 else valued
    for count, (_, row) in enumerate(merged):
        if count % 256 == 255:
            yield
        ordered.append(abs(row))
    return ordered + rest


def by_name(rows: TreeRows, row: int) -> Key:
    """Numbers within the text by value: layer2 before layer10."""
    parts = _DIGITS.split(rows.labels[row][:LONGEST_KEY].lower())
    return tuple((1, "", int(p)) if i % 2 else (0, p, 0) for i, p in enumerate(parts))


def _by_shape(rows: TreeRows, row: int) -> Key | None:
    node = rows.nodes[row]
    if isinstance(node, TensorInfo):
        return (2, len(node.shape), node.shape[:16])
    if node is None or node.kind != Kind.SCALAR:
        totals = rows.totals.get(row)
        return (3, totals.tensors, ()) if totals is not None else None
    value = node.value
    if isinstance(value, bool | int) or (isinstance(value, float) and not isnan(value)):
        return (0, value, ())
    return (1, str(value)[:LONGEST_KEY], ()) if isinstance(value, str) else None


def _by_dtype(rows: TreeRows, row: int) -> Key | None:
    node = rows.nodes[row]
    if isinstance(node, TensorInfo):
        return (node.dtype,)
    totals = rows.totals.get(row)
    if node is not None and node.type_name:
        return (node.type_name,)
    return (totals.dtype,) if totals is not None else None


def _by_parameters(rows: TreeRows, row: int) -> Key | None:
    node = rows.nodes[row]
    if isinstance(node, TensorInfo):
        return (node.numel,)
    totals = rows.totals.get(row)
    return (totals.numel,) if totals is not None else None


def _by_size(rows: TreeRows, row: int) -> Key | None:
    node = rows.nodes[row]
    if isinstance(node, TensorInfo):
        return (node.nbytes,)
    totals = rows.totals.get(row)
    return (totals.nbytes,) if totals is not None else None


def _by_device(rows: TreeRows, row: int) -> Key | None:
    node = rows.nodes[row]
    return (node.device,) if isinstance(node, TensorInfo) else None


def _by_figure(column: int, rows: TreeRows, row: int) -> Key | None:
    return rows.statistics.key(row, column) if rows.statistics is not None else None


_KEYS: dict[int, SortKey] = {
    Column.SHAPE: _by_shape,
    Column.DTYPE: _by_dtype,
    Column.PARAMETERS: _by_parameters,
    Column.SIZE: _by_size,
    Column.DEVICE: _by_device,
}
