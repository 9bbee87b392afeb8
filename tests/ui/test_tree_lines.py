"""Which lines are listed: expanded, folded, found, sorted; and what stands in them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tree_checkpoints import (
    checkpoint,
    language_model,
    mapping,
    node,
    outline,
    rows_of,
    run,
    state_dict,
    tensor,
)

from inspector_app.checkpoint.model import Kind, Node
from inspector_app.ui.tree_columns import Column, cell, repeats, shape_text, value_text
from inspector_app.ui.tree_filter import finding, naming
from inspector_app.ui.tree_nodes import RowKind
from inspector_app.ui.tree_order import ordering, sort_key
from inspector_app.ui.tree_search import parse
from inspector_app.ui.tree_visible import VisibleRows, inverse


def listed(view: VisibleRows) -> list[str]:
    view.visible = run(view.all())
    return [
        "  " * view.depth(view.row(line)) + view.rows.labels[view.row(line)]
        for line in range(len(view))
    ]


def sort(view: VisibleRows, column: int, descending: bool = False) -> None:
    skipped = RowKind.FOLDED if view.fold else RowKind.FOLD
    order = run(ordering(view.rows, sort_key(column), descending, skipped))
    assert sorted(order) == list(range(len(view.rows)))
    view.reorder(order, run(inverse(order)))


def test_at_first_only_the_top_is_listed():
    assert listed(VisibleRows(rows_of(language_model()))) == [
        "epoch",
        "model",
        "optimizer",
        "config",
    ]


def test_folding_hides_the_group_and_unfolding_the_fold():
    rows = rows_of(state_dict([f"h.{i}.{n}" for i in range(3) for n in ("w", "b")] + ["x"]))
    view = VisibleRows(rows)
    assert listed(view) == ["h.0 … h.2", "x"]
    run(view.expand_levels(1))
    assert listed(view) == ["h.0 … h.2", "  0", "  1", "  2", "x"]
    view.fold = False
    assert listed(view) == ["h", "  0", "  1", "  2", "x"]
    run(view.expand_levels(0))
    assert listed(view) == ["h", "x"]


def test_expanding_to_levels_ends_with_all():
    rows = rows_of(language_model())
    view = VisibleRows(rows, fold=False)
    counts = []
    for level in range(8):
        run(view.expand_levels(level))
        counts.append(len(listed(view)))
    assert counts == sorted(counts)
    run(view.expand_levels(-1))
    everything = listed(view)
    assert len(everything) == counts[-1] == len(rows) - rows.kinds.count(RowKind.FOLD)


def test_a_search_lists_matches_where_they_are():
    rows = rows_of(language_model(layers=3))
    view = VisibleRows(rows)
    result = run(finding(rows, run(naming(rows)), parse("up.weight")))
    view.show_only(result.shown, result.expanded)
    assert listed(view) == ["model", "  h"] + [
        line for i in range(3) for line in (f"    {i}", "      mlp.up.weight")
    ]
    view.expanded[view.row(1)] = 0
    assert listed(view) == ["model", "  h"]


def test_sorting_orders_siblings_and_keeps_equal_ones_in_order():
    root = mapping()
    for key, shape in [("b", (2,)), ("g.y", (9,)), ("a", (5,)), ("g.x", (4,)), ("c", (2,))]:
        tensor(root, key, shape)
    node(root, "v", Kind.SCALAR, "int", 3)
    view = VisibleRows(rows_of(checkpoint(root)))
    run(view.expand_levels(-1))
    sort(view, Column.SIZE)
    assert listed(view) == ["b", "c", "a", "g", "  x", "  y", "v"]
    sort(view, Column.SIZE, descending=True)
    assert listed(view) == ["g", "  y", "  x", "a", "b", "c", "v"]
    view.reorder(None, None)
    assert listed(view) == ["b", "g", "  y", "  x", "a", "c", "v"]


def test_names_sort_by_their_numbers():
    view = VisibleRows(rows_of(state_dict(["l10", "l9", "L1", "x"])))
    sort(view, Column.NAME)
    assert listed(view) == ["L1", "l9", "l10", "x"]


def test_many_siblings_sort_in_runs():
    view = VisibleRows(rows_of(state_dict([f"k{(i * 7919) % 5003}" for i in range(5003)])))
    sort(view, Column.NAME)
    assert listed(view) == [f"k{i}" for i in range(5003)]


@pytest.mark.parametrize("column", list(Column))
def test_every_column_sorts_whatever_is_there(column):
    root = mapping()
    for key, value in enumerate(
        [1, 2.5, True, math.nan, math.inf, 10**40, None, "x", b"y", 1j, "\ud800", ()]
    ):
        node(root, key, Kind.SCALAR, type(value).__name__, value)
    tensor(root, "t", (3,) * 40)
    tensor(root, "u", ())
    node(root, "o", Kind.OBJECT, "a.B")
    view = VisibleRows(rows_of(checkpoint(root)))
    for descending in (False, True):
        sort(view, column, descending)
        assert len(listed(view)) == 15


def test_what_was_expanded_is_found_again_in_another_state_of_the_file():
    before = VisibleRows(rows_of(language_model()))
    run(before.expand_levels(3))
    names = before.identities()
    after = VisibleRows(rows_of(language_model()))
    run(after.expand_named(names))
    assert listed(after) == listed(before)
    other = VisibleRows(rows_of(language_model(layers=2)))
    run(other.expand_named(names))
    assert "  h" in listed(other)


KEYS = st.lists(st.text(alphabet="ab01.", min_size=1, max_size=7), max_size=30, unique=True)


@given(KEYS, st.data())
def test_lines_agree_with_a_plain_walk(keys, data):
    rows = rows_of(state_dict(keys))
    fold = data.draw(st.booleans())
    view = VisibleRows(rows, fold)
    for row in range(len(rows)):
        view.expanded[row] = data.draw(st.booleans())
    if data.draw(st.booleans()):
        sort(view, data.draw(st.sampled_from(list(Column))), data.draw(st.booleans()))
        order = [view._order[i] for i in range(len(rows))]
    else:
        order = list(range(len(rows)))

    def shown(row: int) -> bool:
        return all(
            view.expanded[up] or rows.kinds[up] == view.skipped_kind for up in rows.ancestors(row)
        )

    lines = listed(view)
    expected = [row for row in order if rows.kinds[row] != view.skipped_kind and shown(row)]
    assert [view.row(line) for line in range(len(lines))] == expected
    for line, row in enumerate(expected):
        assert view.index(row) == line
        if rows.sizes[row]:
            below = [other for other in expected[line + 1 :] if row in rows.ancestors(other)]
            assert view.count_below(line) == len(below)


def test_cells():
    rows = rows_of(language_model())
    text = {rows.labels[row]: row for row in reversed(range(len(rows)))}
    assert cell(rows, text["epoch"], Column.SHAPE) == "10"
    assert cell(rows, text["epoch"], Column.DTYPE) == "int"
    assert cell(rows, text["lm_head.weight"], Column.SHAPE) == "500 × 64"
    assert cell(rows, text["lm_head.weight"], Column.PARAMETERS) == "32,000"
    assert cell(rows, text["lm_head.weight"], Column.SIZE) == "128 kB"
    assert cell(rows, text["model"], Column.SHAPE) == "50 tensors"
    assert cell(rows, text["model"], Column.DTYPE) == "OrderedDict"
    assert cell(rows, text["config"], Column.DTYPE) == "Namespace"
    assert cell(rows, text["param_groups"], Column.SHAPE) == "1 entry"
    fold = rows.kinds.index(RowKind.FOLD)
    assert repeats(rows, fold) == 12
    assert cell(rows, fold, Column.NAME) == "h.0 … h.11"
    assert cell(rows, fold, Column.DTYPE) == "bfloat16"


def test_text_from_the_file_is_made_plain():
    root = mapping()
    node(root, "a\u202eb\n" + "x" * 5_000, Kind.SCALAR, "str", "<b>\x1b[31m" + "y" * 10**6)
    rows = rows_of(checkpoint(root))
    for column in Column:
        shown = cell(rows, 0, column)
        assert len(shown) <= 400
        assert shown.isprintable()
    assert "\\u202e" in cell(rows, 0, Column.NAME)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "None"),
        (True, "True"),
        (0.1, "0.1"),
        ("", "''"),
        (b"\x00a", "b'\\x00a'"),
        (1 - 2j, "(1-2j)"),
    ],
)
def test_values(value, expected):
    assert value_text(Node("k", Kind.SCALAR, "x", value)) == expected


def test_numbers_that_cannot_be_printed_are_shortened():
    assert len(value_text(Node("k", Kind.SCALAR, "int", 1 << 8_000 * 8))) <= 120
    root = mapping()
    tensor(root, "t", (10**30, 10**30))
    rows = rows_of(checkpoint(root))
    assert [cell(rows, 0, column) for column in Column][1] == "? × ?"
    assert cell(rows, 0, Column.PARAMETERS).startswith(">")
    assert cell(rows, 0, Column.SIZE).startswith(">")
    assert shape_text((1,) * 1_000).endswith("…")


def test_short_lists_of_numbers_are_written_out():
    root = mapping()
    betas = node(root, "betas", Kind.SEQUENCE, "tuple")
    node(betas, 0, Kind.SCALAR, "float", 0.9)
    node(betas, 1, Kind.SCALAR, "float", 0.999)
    node(root, "none", Kind.SEQUENCE, "list")
    node(root, "loss", Kind.SCALAR, "float", 0.03879978035)
    rows = rows_of(checkpoint(root))
    assert cell(rows, 0, Column.SHAPE) == "(0.9, 0.999)"
    assert cell(rows, 3, Column.SHAPE) == "empty"
    assert cell(rows, 4, Column.SHAPE) == "0.03879978"
    assert outline(rows) == ["betas", "  0", "  1", "none", "loss"]
