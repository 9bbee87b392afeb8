"""What the tree's columns about values say, and how they sort."""

from __future__ import annotations

import math

import pytest
from tree_checkpoints import mapping, node, rows_of, run, tensor

from inspector_app.analysis.figures import Figures
from inspector_app.checkpoint.model import Kind
from inspector_app.ui.statistics_columns import (
    StatisticsColumns,
    broken_text,
    figure_text,
    share_text,
)
from inspector_app.ui.tree_columns import BROKEN, EMPTY, STATISTICS, Column, cell
from inspector_app.ui.tree_order import ordering, sort_key

NAN = math.nan


def figures(**facts) -> Figures:
    plain = {
        "count": 6,
        "nans": 0,
        "infinities": 0,
        "zeros": 0,
        "least": -1.0,
        "most": 2.0,
        "mean": 0.5,
        "std": 1.0,
        "l2": 3.0,
    }
    return Figures(**{**plain, **facts})


@pytest.fixture
def tree():
    """Rows of two models with two tensors each, and their statistics."""
    root = mapping()
    tensors = []
    for name in ("a", "b"):
        model = node(root, name, Kind.MAPPING, "dict")
        tensors += [tensor(model, "w"), tensor(model, "v")]
    source = rows_of(_checkpoint(root, tensors))
    source.statistics = StatisticsColumns(source)
    run(source.statistics.preparing(tensors))
    return source, tensors


def _checkpoint(root, tensors):
    from inspector_app.checkpoint.model import Checkpoint

    return Checkpoint("x", "torch-zip", 1, root, tensors=tensors)


def row_of(rows, name: str) -> int:
    return next(row for row in range(len(rows)) if rows.name(row) == name)


def order(rows, column: Column, descending: bool) -> list[str]:
    return [rows.name(row) for row in run(ordering(rows, sort_key(column), descending, -1))]


def test_nothing_is_said_before_it_is_known(tree):
    rows, _ = tree
    assert {cell(rows, row, column) for row in range(len(rows)) for column in STATISTICS} == {""}
    rows.statistics = None
    assert {cell(rows, row, column) for row in range(len(rows)) for column in STATISTICS} == {""}


def test_a_row_speaks_for_those_below_once_all_are_known(tree):
    rows, tensors = tree
    above = row_of(rows, "a")
    rows.statistics.add(tensors[0], figures())
    assert cell(rows, above, Column.MAX) == ""
    rows.statistics.add(tensors[1], figures(most=5.0, nans=2, zeros=3, l2=4.0))
    assert cell(rows, above, Column.MAX) == "5"
    assert cell(rows, above, Column.NORM) == "5"
    assert cell(rows, above, Column.NANS) == "⚠ 2 NaN"
    assert cell(rows, above, Column.ZEROS) == "21.43 %"
    assert cell(rows, row_of(rows, "b"), Column.MAX) == ""


def test_figures_that_come_twice_count_once(tree):
    rows, tensors = tree
    for _ in range(2):
        rows.statistics.add(tensors[0], figures())
    rows.statistics.add(tensors[1], figures())
    assert rows.statistics.figures(row_of(rows, "a")).count == 12


def test_marks_are_words_as_well_as_colours(tree):
    rows, tensors = tree
    mark = rows.statistics.mark
    rows.statistics.add(tensors[0], figures(nans=1, infinities=1))
    rows.statistics.add(tensors[1], figures(infinities=1))
    rows.statistics.add(tensors[2], figures(zeros=6, least=0.0, most=0.0))
    rows.statistics.add(tensors[3], figures())
    assert mark(row_of(rows, "a/w")) == (BROKEN, "NaN")
    assert mark(row_of(rows, "a/v")) == (BROKEN, "Inf")
    assert mark(row_of(rows, "a")) == (BROKEN, "2 with NaN or Inf")
    assert mark(row_of(rows, "b/w")) == (EMPTY, "all zero")
    assert mark(row_of(rows, "b/v")) == ("", "")
    assert mark(row_of(rows, "b")) == ("", "")


def test_a_tensor_without_values_says_why(tree):
    rows, tensors = tree
    row = row_of(rows, "a/w")
    rows.statistics.add(tensors[0], Figures(0, 0, 0, 0, NAN, NAN, NAN, NAN, NAN, "no\nvalues"))
    assert cell(rows, row, Column.MEAN) == "–"
    assert cell(rows, row, Column.MAX) == ""
    assert "\n" not in rows.statistics.hint(row, Column.MEAN)
    # It keeps nobody from speaking for the rest.
    rows.statistics.add(tensors[1], figures())
    assert cell(rows, row_of(rows, "a"), Column.MAX) == "2"


def test_sorting_by_what_was_found(tree):
    rows, tensors = tree
    for place, entry in enumerate(tensors):
        rows.statistics.add(entry, figures(l2=float(place), nans=place % 2, zeros=3 * (place % 2)))
    assert order(rows, Column.NORM, True) == ["b", "b/v", "b/w", "a", "a/v", "a/w"]
    assert order(rows, Column.NORM, False) == ["a", "a/w", "a/v", "b", "b/w", "b/v"]
    assert order(rows, Column.NANS, True)[:3] == ["a", "a/v", "a/w"]
    assert order(rows, Column.ZEROS, True)[1] == "a/v"


def test_what_has_no_figure_comes_last_either_way(tree):
    rows, tensors = tree
    rows.statistics.add(tensors[3], figures())
    for descending in (False, True):
        found = order(rows, Column.STD, descending)
        assert found[-2:] == ["b/v", "b/w"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1234567.0, "1.235e6"),
        (0.123456, "0.1235"),
        (-0.00001234567, "-1.235e-5"),
        (0.00045678, "4.568e-4"),
        (0.0045678, "0.004568"),
        (12, "12"),
        (-1234567, "-1,234,567"),
        (10**12, "1e12"),
        (math.nan, "–"),
        (math.inf, "inf"),
        (1e-310, "1.000e-310"),
    ],
)
def test_four_significant_digits(value, text):
    assert figure_text(value) == text


def test_shares_never_round_to_none_or_all():
    assert share_text(0, 10) == "0"
    assert share_text(10, 10) == "100 %"
    assert share_text(1, 10**6) == "< 0.01 %"
    assert share_text(10**6 - 1, 10**6) == "> 99.99 %"
    assert share_text(1, 3) == "33.33 %"
    assert share_text(10**400, 3 * 10**400) == "33.33 %"


def test_broken_values_in_words():
    assert broken_text(0, 0) == "0"
    assert broken_text(3, 0) == "⚠ 3 NaN"
    assert broken_text(1, 2000) == "⚠ 1 NaN, 2,000 Inf"
