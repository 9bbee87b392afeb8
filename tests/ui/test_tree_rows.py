"""Rows: nesting at dots, folding, totals, hostile keys."""

from __future__ import annotations

import itertools

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
    state_dict,
    tensor,
)

from inspector_app.checkpoint.model import Kind, Node, StorageRef, TensorInfo
from inspector_app.ui.tree_building import building
from inspector_app.ui.tree_nesting import MAX_NESTING
from inspector_app.ui.tree_nodes import RowKind, TreeRows


def labelled(rows: TreeRows, label: str) -> int:
    return rows.labels.index(label)


def test_keys_nest_at_their_dots():
    rows = rows_of(
        state_dict(["layer1.0.conv1.weight", "layer1.0.conv1.bias", "layer1.0.bn.weight", "fc"])
    )
    assert outline(rows) == [
        "layer1.0",
        "  conv1",
        "    weight",
        "    bias",
        "  bn.weight",
        "fc",
    ]


def test_a_group_keeps_entries_that_the_file_has_apart():
    rows = rows_of(state_dict(["a.x", "b.x", "a.y", "b.y"]))
    assert outline(rows) == ["a", "  x", "  y", "b", "  x", "  y"]


def test_a_key_may_be_a_tensor_and_the_beginning_of_others():
    rows = rows_of(state_dict(["a", "a.b.x", "a.b.y", "a.c"]))
    assert outline(rows) == ["a", "a", "  b", "    x", "    y", "  c"]
    assert [rows.nodes[row] is None for row in rows.children(-1)] == [False, True]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["a..b", "a..c"], ["a", "  .b", "  .c"]),
        (["...", "..", "."], ["...", "..", "."]),
        (["a.", "a.b.", "a.c"], ["a.", "a", "  b.", "  c"]),
        ([".a.b", ".a.c"], [".a", "  b", "  c"]),
        (["", "x.y", "x.z"], ["", "x", "  y", "  z"]),
    ],
)
def test_a_dot_with_nothing_beside_it_separates_nothing(keys, expected):
    assert outline(rows_of(state_dict(keys))) == expected


def test_ten_thousand_dots_nest_no_deeper_than_the_limit():
    deep = ".".join("x" * 10_000)
    rows = rows_of(state_dict([f"{deep}.a", f"{deep}.b", "y"]))
    row = len(rows) - 2
    assert sum(1 for _ in rows.ancestors(row)) <= MAX_NESTING
    assert rows.name(row) == f"{deep}.b"


def test_a_key_of_ten_megabytes_is_one_row():
    rows = rows_of(state_dict(["k" * 10_000_000, "a.b", "a.c"]))
    assert len(rows) == 4


def test_keys_of_mappings_without_tensors_stay_whole():
    root = mapping()
    config = node(root, "config", Kind.MAPPING, "dict")
    node(config, "model.lr", Kind.SCALAR, "float", 0.1)
    node(config, "model.wd", Kind.SCALAR, "float", 0.2)
    assert outline(rows_of(checkpoint(root))) == ["config", "  model.lr", "  model.wd"]


def test_state_by_parameter_name_nests_too():
    root = mapping()
    for name in ("fc.weight", "fc.bias"):
        tensor(node(root, name, Kind.MAPPING, "dict"), "exp_avg")
    assert outline(rows_of(checkpoint(root))) == [
        "fc",
        "  weight",
        "    exp_avg",
        "  bias",
        "    exp_avg",
    ]


def test_equal_layers_fold_and_speak_for_their_group():
    rows = rows_of(state_dict([f"layers.{i}.{n}" for i in range(4) for n in ("w", "b")]))
    assert outline(rows)[:3] == ["layers", "  layers.0 … layers.3", "    0"]
    assert [rows.kinds[row] for row in range(3)] == [RowKind.FOLDED, RowKind.FOLD, RowKind.GROUP]
    assert sum(1 for _ in rows.children(1)) == 4


def test_a_fold_among_others_has_a_row_of_its_own():
    keys = [f"seq.{i}.w" for i in range(3)] + ["seq.norm.w"]
    assert outline(rows_of(state_dict(keys))) == [
        "seq",
        "  0 … 2",
        "    0.w",
        "    1.w",
        "    2.w",
        "  norm.w",
    ]


def test_layers_that_differ_or_are_few_do_not_fold():
    unequal = mapping()
    for layer in range(4):
        tensor(unequal, f"h.{layer}.w", (2, 2 + layer % 2))
        tensor(unequal, f"h.{layer}.b", (2,))
    few = state_dict([f"h.{i}.{n}" for i in range(2) for n in ("w", "b")])
    gap = state_dict([f"h.{i}.{n}" for i in (0, 1, 3, 4) for n in ("w", "b")])
    for source in (checkpoint(unequal), few, gap):
        assert RowKind.FOLD not in rows_of(source).kinds


@pytest.mark.parametrize("change", ["name", "dtype", "count", "child"])
def test_every_difference_keeps_layers_apart(change):
    root = mapping()
    for layer in range(3):
        odd = layer == 2
        tensor(root, f"h.{layer}.{'v' if odd and change == 'name' else 'w'}")
        last = tensor(
            root, f"h.{layer}.b", dtype="int8" if odd and change == "dtype" else "float32"
        )
        if odd and change == "count":
            tensor(root, f"h.{layer}.more")
        if odd and change == "child":
            tensor(last, "scales")
    assert RowKind.FOLD not in rows_of(checkpoint(root)).kinds


def test_layers_come_in_the_order_of_their_numbers():
    keys = sorted(f"h.{i}.{n}" for i in range(12) for n in ("w", "b"))
    assert keys[2].startswith("h.1.")
    assert keys[4].startswith("h.10.")
    rows = rows_of(state_dict(keys))
    assert [rows.labels[row] for row in rows.children(1)] == [str(i) for i in range(12)]


def test_the_rows_of_a_copied_layer_are_those_that_would_be_made():
    copied = rows_of(state_dict([f"h.{i}.{n}" for i in range(5) for n in ("a.x", "a.y.0", "b")]))
    shared = StorageRef("s", 24)
    root = mapping()
    for layer in range(5):
        for name in ("a.x", "a.y.0", "b"):
            # A shared storage keeps a layer from being copied.
            tensor(root, f"h.{layer}.{name}", storage=shared)
    made = rows_of(checkpoint(root))
    for name in ("labels", "parents", "sizes", "kinds"):
        assert getattr(copied, name) == getattr(made, name)
    assert [n.key if n else None for n in copied.nodes] == [
        n.key if n else None for n in made.nodes
    ]
    assert {row: t.tensors for row, t in copied.totals.items()} == {
        row: t.tensors for row, t in made.totals.items()
    }


def test_an_optimizers_state_folds_where_it_is_equal():
    root = mapping()
    for index in range(3):
        entry = node(root, index, Kind.MAPPING, "dict")
        node(entry, "step", Kind.SCALAR, "int", index)
        tensor(entry, "exp_avg")
    assert outline(rows_of(checkpoint(root)))[:3] == ["0 … 2", "  0", "    step"]


def test_lists_of_numbers_do_not_fold():
    root = mapping()
    values = node(root, "values", Kind.SEQUENCE, "list")
    for index in range(5):
        node(values, index, Kind.SCALAR, "int", 7)
    assert RowKind.FOLD not in rows_of(checkpoint(root)).kinds


def test_totals_count_shared_bytes_once_and_parts_not_at_all():
    root = mapping()
    model = node(root, "model", Kind.MAPPING, "dict")
    first = tensor(model, "a.weight", (10, 10))
    tensor(model, "b.weight", (10, 10), storage=first.storage)
    tensor(model, "b.bias", (10,), "float16")
    wrapper = TensorInfo("q", "float32", (8, 8), None, None, None, parent=model)
    model.children = [*model.children, wrapper]
    tensor(wrapper, "data", (8, 8), "int8")
    tensor(wrapper, "scale", (8,))
    rows = rows_of(checkpoint(root))
    totals = rows.totals[labelled(rows, "model")]
    assert totals == (4, 100 + 100 + 10 + 64, 400 + 20 + 64 + 32, "")
    assert rows.totals[labelled(rows, "b")] == (2, 110, 420, "")
    assert labelled(rows, "q") not in rows.totals
    assert rows.shared == {id(first.storage)}


def test_overlapping_views_count_no_more_than_their_storage():
    root = mapping()
    storage = StorageRef("s", 40)
    for key in "abc":
        tensor(root, f"x.{key}", (8,), storage=storage)
    rows = rows_of(checkpoint(root))
    assert rows.totals[0].nbytes == 40


def test_a_file_of_one_tensor_or_value_has_one_row():
    lone = Node("", Kind.SCALAR, "int", 3)
    assert outline(rows_of(checkpoint(lone))) == ["int"]
    bare = TensorInfo("", "float32", (2,), (1,), StorageRef("0", 8), 0)
    assert outline(rows_of(checkpoint(bare))) == ["torch.Tensor"]


def test_names_and_identities_of_rows_no_file_has():
    rows = rows_of(language_model())
    fold = rows.kinds.index(RowKind.FOLD)
    assert rows.identity(fold) == (("model",), "h.h.0 … h.11")
    group = labelled(rows, "attn.qkv")
    assert rows.name(group).endswith(".0.attn.qkv")
    identities = [rows.identity(row) for row in range(len(rows))]
    assert len(set(identities)) == len(rows)


@pytest.mark.parametrize("names", [1, 2, 3, 4, 6, 40])
@pytest.mark.parametrize("fold", [True, False])
def test_rows_are_made_in_small_steps(names, fold):
    parts = [f"n{i}" for i in range(names)]
    source = state_dict([f"h.{i}.{part}" for i in range(12_000 // names) for part in parts])
    if not fold:
        for index, entry in enumerate(source.tensors):
            entry.dtype = ("int8", "int16")[index // names % 2]
    counts = [0]
    counts += [step.done for step in building(source) if step.done > counts[-1]]
    assert max(after - before for before, after in itertools.pairwise(counts)) <= 6_000


KEYS = st.lists(
    st.one_of(
        st.text(alphabet="ab.01", max_size=9),
        st.tuples(st.sampled_from("ab"), st.integers(0, 5), st.sampled_from(["w", "b.c"])).map(
            lambda parts: ".".join(map(str, parts))
        ),
    ),
    max_size=40,
    unique=True,
)


@given(KEYS)
def test_whatever_the_keys_each_has_one_row_and_its_labels_spell_it(keys):
    rows = rows_of(state_dict(keys))
    found = []
    for row, entry in enumerate(rows.nodes):
        end = row + rows.sizes[row]
        assert end < len(rows)
        for child in rows.children(row):
            assert rows.parents[child] == row
            assert child + rows.sizes[child] <= end
        if entry is None:
            assert rows.sizes[row]
            continue
        found.append(entry.key)
        if entry.parent is None:
            continue
        parts = [rows.labels[row]]
        parts += [rows.labels[up] for up in rows.ancestors(row) if rows.kinds[up] != RowKind.FOLD]
        assert ".".join(reversed(parts)) == entry.key
    assert sorted(map(str, found)) == sorted(keys or [""])
    for row, totals in rows.totals.items():
        below = rows.nodes[row + 1 : row + 1 + rows.sizes[row]]
        tensors = [entry for entry in below if isinstance(entry, TensorInfo)]
        assert totals.tensors == len(tensors)
        assert totals.nbytes == sum(entry.nbytes for entry in tensors)
