"""What the picture of a transfer is made of: nested keys, and what flows between their rows."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from inspector_app.ui.transfer_flows import FATES, Fate, Flows
from inspector_app.ui.transfer_keys import KeyTree, nesting

PARTS = st.sampled_from(["a", "b", "layer", "0", "1", "weight", ""])
KEYS = st.lists(st.lists(PARTS, min_size=1, max_size=4).map(".".join), unique=True, max_size=24)


def tree_of(keys) -> KeyTree:
    steps = nesting(keys)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def listed(tree: KeyTree) -> list[str]:
    return [tree.name(node) for node in tree.visible]


def row_of(tree: KeyTree, place: int) -> int:
    """The row in which a key is found, by walking up from it."""
    node = tree.node_of_leaf[tree.leaf_of[place]]
    while node not in tree.visible:
        node = tree.parents[node]
    return tree.visible.index(node)


def test_modules_fold_and_chains_of_one_are_one():
    keys = ["module.net.0.weight", "module.net.0.bias", "module.net.1.weight", "module.head.w"]
    tree = tree_of([*keys, "step"])
    assert listed(tree) == ["module", "step"]
    tree.expand_to_fit(20)
    tree.list_rows()
    assert [tree.labels[node] for node in tree.visible] == [
        *("module", "net", "0", "weight", "bias", "1", "weight", "head", "w", "step")
    ]
    net = tree.find("module.net")
    assert (tree.name(net), tree.leaves(net)) == ("module.net", 3)
    assert tree.find("module.nothing") == -1
    alone = tree_of(["a.b.c.weight", "a.b.c.bias"])
    assert [alone.labels[node] for node in range(3)] == ["a.b.c", "weight", "bias"]


def test_a_key_of_a_million_dots_is_not_a_million_rows():
    tree = tree_of(["." * 1_000_000, "a"])
    assert len(tree) < 100
    assert tree.name(tree.node_of_leaf[0]) == "." * 1_000_000


@given(KEYS, KEYS, st.data())
def test_ribbons_add_up_however_it_is_folded(source_keys, target_keys, data):
    source, target = tree_of(source_keys), tree_of(target_keys)
    some = st.integers(-1, len(source_keys) - 1)
    links = data.draw(st.lists(some, min_size=len(target_keys), max_size=len(target_keys)))
    kinds = st.sampled_from(FATES)
    fates = data.draw(st.lists(kinds, min_size=len(target_keys), max_size=len(target_keys)))
    for tree in (source, target):
        for node in range(len(tree)):
            tree.expand(node, data.draw(st.booleans()))
        tree.list_rows()
    flows = Flows(source, target, links, fates, [Fate.UNUSED] * len(source_keys))
    expected: Counter[tuple[int, int]] = Counter()
    worst: dict[tuple[int, int], int] = {}
    for place, linked in enumerate(links):
        if linked >= 0:
            rows = (row_of(source, linked), row_of(target, place))
            expected[rows] += 1
            worst[rows] = max(worst.get(rows, 0), fates[place])
    found = flows.between(range(len(source.visible)), range(len(target.visible)), 1_000)
    assert {(each.source, each.target): each.count for each in found} == dict(expected)
    assert {(each.source, each.target): each.fate for each in found} == worst
    # The ribbons of a row share its height, without gaps and without overlapping.
    for row in range(len(target.visible)):
        spans = sorted((each.to_top, each.to_bottom) for each in found if each.target == row)
        if spans:
            assert spans[0][0] == 0
            assert abs(spans[-1][1] - 1) < 1e-9
            assert all(abs(a[1] - b[0]) < 1e-9 for a, b in pairwise(spans))
        node = target.visible[row]
        leaves = range(target.first[node], target.last[node])
        mine = [fate for place, fate in enumerate(fates) if target.leaf_of[place] in leaves]
        assert flows.target_counts.of(node) == [mine.count(fate) for fate in FATES]


def test_the_next_key_with_a_fate():
    tree = tree_of(["a.x", "a.y", "b.x", "b.y"])
    skipped = [Fate.TAKEN, Fate.SKIPPED, Fate.TAKEN, Fate.SKIPPED]
    counts = Flows(tree_of([]), tree, [-1] * 4, skipped, []).target_counts
    assert [counts.first_leaf(Fate.SKIPPED, after) for after in range(5)] == [1, 1, 3, 3, -1]
    assert counts.first_leaf(Fate.CAST, 0) == -1


def test_both_sides_are_scrolled_by_what_is_linked():
    source, target = tree_of(["z", "a", "b", "c", "d"]), tree_of(["a", "b", "new", "c", "d", "z"])
    flows = Flows(source, target, [1, 2, -1, 3, 4, 0], [Fate.TAKEN] * 6, [Fate.TAKEN] * 5)
    assert [flows.counterpart(row, True) for row in range(5)] == [1, 2, 2.5, 3, 4]
    assert flows.counterpart(3, False) == 3
    assert flows.counterpart(9, True) == 9
    assert flows.rows_beside(5, True) == [0]
    empty = Flows(tree_of([]), tree_of([]), [], [], [])
    assert empty.between(range(1), range(1), 9) == []
    assert empty.counterpart(4, True) == 4
