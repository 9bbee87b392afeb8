"""What differs outside tensors: scalars, lists, sets, objects, metadata, hostile nesting."""

from __future__ import annotations

import argparse
import math
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from inspector_app.analysis.comparison import ABSENT, Words
from inspector_app.analysis.key_mapping import KeyMapping
from inspector_app.analysis.value_diff import same_scalar
from tests.analysis.comparisons import compared, compared_files

STATE = nn.Linear(2, 2).state_dict()


def values(folder: Path, a: Any, b: Any) -> list[tuple[Any, ...]]:
    """The differences of two objects beside equal models."""
    found = compared(folder, {"model": STATE, "x": a}, {"model": STATE, "x": b})
    assert found.differs() == bool(found.values)
    return [(path[1:], *sides) for path, *sides in found.values]


@pytest.mark.parametrize(
    ("a", "b"),
    [(10, 20), (1e-3, 1e-4), ("adam", "sgd"), (True, False), (None, 3), (1, True), (0.5, "0.5")],
)
def test_scalars(tmp_path: Path, a: Any, b: Any) -> None:
    assert values(tmp_path, a, b) == [((), a, b)]
    assert values(tmp_path, a, a) == []


@pytest.mark.parametrize(
    ("a", "b"), [(math.nan, math.nan), (1, 1.0), (0.0, -0.0), (math.inf, math.inf)]
)
def test_what_is_the_same(tmp_path: Path, a: Any, b: Any) -> None:
    assert values(tmp_path, a, b) == []


def test_entries_of_a_shared_container(tmp_path: Path) -> None:
    a = {"lr": 0.1, "old": 1, "net": {"depth": 3}}
    b = {"net": {"depth": 5}, "lr": 0.1, "new": [1, 2]}
    assert values(tmp_path, a, b) == [
        (("old",), 1, ABSENT),
        (("new",), ABSENT, "[1, 2]"),
        (("net", "depth"), 3, 5),
    ]


def test_lists(tmp_path: Path) -> None:
    assert values(tmp_path, (0.9, 0.999), (0.9, 0.95)) == [((1,), 0.999, 0.95)]
    assert values(tmp_path, [1, 2], [1, 2, 3]) == [((), "[1, 2]", "[1, 2, 3]")]
    longer = list(range(400))
    assert values(tmp_path, longer, longer) == []
    other = [*longer]
    other[300] = -1
    ((_, one, two),) = values(tmp_path, longer, other)
    assert one == "[…, 299, 300, 301, 302, 303, 304, 305, 306, …] (400)"
    assert two == "[…, 299, -1, 301, 302, 303, 304, 305, 306, …] (400)"
    assert values(tmp_path, [{"lr": 1}, {"lr": 2}], [{"lr": 1}]) == [((1,), "dict of 1", ABSENT)]


def test_words_are_told_from_texts(tmp_path: Path) -> None:
    ((_, one, two),) = values(tmp_path, [1, 2], "[1, 2]")
    assert (one, type(one), two, type(two)) == ("[1, 2]", Words, "[1, 2]", str)


def test_sets_have_no_order(tmp_path: Path) -> None:
    a, b = {"x", "y", "z", 1}, {1, "z", "x", "y"}
    found = compared(tmp_path, {"model": STATE, "x": a}, {"model": STATE, "x": b})
    assert found.values == []
    assert len(values(tmp_path, a, {"x"})) == 1


def test_objects_by_their_attributes(tmp_path: Path) -> None:
    a, b = argparse.Namespace(lr=0.1, arch="vit"), argparse.Namespace(lr=0.2, arch="vit")
    assert values(tmp_path, a, b) == [(("lr",), 0.1, 0.2)]


def test_other_kinds(tmp_path: Path) -> None:
    assert values(tmp_path, {"a": 1}, 5) == [((), "dict of 1", 5)]
    assert values(tmp_path, b"ab", b"ac") == [((), "b'ab'", "b'ac'")]
    assert values(tmp_path, 1 + 2j, 1 - 2j) == [((), "(1+2j)", "(1-2j)")]
    assert values(tmp_path, torch.float32, torch.float16) == [
        ((), "torch.float32", "torch.float16")
    ]
    assert values(tmp_path, np.arange(3), np.arange(3)) == []
    assert len(values(tmp_path, np.arange(3), np.arange(3)[::-1].copy())) == 1
    assert values(tmp_path, np.float64(0.5), 0.25) == [((), 0.5, 0.25)]
    ((_, one, _),) = values(tmp_path, 1 << 4000, 1)
    assert one == "> 2^4000"


def test_a_value_where_the_other_has_a_tensor_is_told_by_the_pairs(tmp_path: Path) -> None:
    a, b = {"step": 3, "lr": 1}, {"step": torch.tensor(3.0), "lr": 1}
    found = compared(tmp_path, {"model": STATE, "x": a}, {"model": STATE, "x": b})
    assert found.values == []
    assert found.summary()["unexpected"] == 1


def test_what_only_one_file_has_at_the_top_is_no_difference(tmp_path: Path) -> None:
    found = compared(tmp_path, {"model": STATE, "epoch": 1}, {"model": STATE, "loss": {"a": 1}})
    assert found.values == []
    assert found.left_out == [("a", ("epoch",), 0), ("b", ("loss",), 0)]
    assert not found.differs()


def test_versions_of_modules_where_both_have_them(tmp_path: Path) -> None:
    a = nn.Sequential(nn.BatchNorm1d(2)).state_dict()
    b = OrderedDict(a)
    assert compared(tmp_path, a, b).values == []
    b._metadata = OrderedDict({"0": {"version": 1}})
    (found,) = compared(tmp_path, a, b).values
    assert tuple(found) == (("_metadata", "0", "version"), 2, 1)


def test_an_extra_state_that_is_missing_is_a_difference(tmp_path: Path) -> None:
    a = STATE | {"_extra_state": {"calls": 3}}
    assert [value.b for value in compared(tmp_path, a, STATE).values] == [ABSENT]
    b = {f"module.{key}": value for key, value in (STATE | {"_extra_state": {"calls": 4}}).items()}
    (found,) = compared(tmp_path, a, b, KeyMapping(strip_b=("module.",))).values
    assert tuple(found) == (("_extra_state", "calls"), 3, 4)


def test_metadata_of_safetensors(tmp_path: Path) -> None:
    for name, epoch in (("a", "1"), ("b", "2")):
        path = tmp_path / f"{name}.safetensors"
        safetensors.torch.save_file(STATE, path, metadata={"format": "pt", "epoch": epoch})
    found = compared_files(tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    assert [tuple(value) for value in found.values] == [(("__metadata__", "epoch"), "1", "2")]
    torch.save(STATE, tmp_path / "c.pth")
    found = compared_files(tmp_path / "a.safetensors", tmp_path / "c.pth")
    assert (found.values, found.left_out) == ([], [])


def test_long_texts_are_not_compared_in_silence(tmp_path: Path) -> None:
    long = "x" * (2 << 20)
    found = compared(tmp_path, {"model": STATE, "log": long}, {"model": STATE, "log": long})
    assert found.not_compared == [("log",)]
    found = compared(tmp_path, {"model": STATE, "log": long}, {"model": STATE, "log": long + "y"})
    assert len(found.values) == 1


def test_nesting_as_deep_as_a_file_likes(tmp_path: Path) -> None:
    deep: Any = 1
    for _ in range(150):
        deep = [deep]
    assert values(tmp_path, deep, deep) == []
    # Two pickles that contain themselves and share themselves a million times.
    body = b"\x80\x02]q\x00" + b"".join(
        b"]q"
        + struct.pack("B", n)
        + b"("
        + b"h"
        + struct.pack("B", n - 1)
        + b"h"
        + struct.pack("B", n - 1)
        + b"e"
        for n in range(1, 40)
    )
    for name in ("a.pkl", "b.pkl"):
        (tmp_path / name).write_bytes(body + b".")
    found = compared_files(tmp_path / "a.pkl", tmp_path / "b.pkl")
    assert found.pairs == []


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4), st.binary(max_size=4)
)
nested = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.text(max_size=3), st.integers()), inner, max_size=4),
    ),
    max_leaves=12,
)


def flat(value: Any) -> Any:
    """A value as a text in which equal values are equal."""
    if isinstance(value, dict):
        return "{" + ",".join(sorted(f"{key!r}:{flat(each)}" for key, each in value.items())) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(flat, value)) + "]"
    if (
        type(value) in (int, float)
        and value == value
        and value == int(value if abs(value) < 1e300 else 0)
    ):
        return f"number {int(value)}"
    return repr(value)


@given(nested, nested)
def test_no_difference_means_equal(tmp_path: Path, a: Any, b: Any) -> None:
    assert values(tmp_path, a, a) == []
    assert bool(values(tmp_path, a, b)) == (flat(a) != flat(b))


@given(scalars, scalars)
def test_the_same_is_symmetric(a: Any, b: Any) -> None:
    assert same_scalar(a, a)
    assert same_scalar(a, b) == same_scalar(b, a)
