"""The message of `load_state_dict(strict=True)`, against torch itself on random module trees."""

from __future__ import annotations

import re
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from inspector_app.analysis.comparison import Status
from inspector_app.analysis.key_mapping import KeyMapping, Rule
from inspector_app.analysis.strict_load import strict_load
from tests.analysis.comparisons import compared
from tests.analysis.module_trees import loaded, modules


def torchs_message(model: nn.Module, state: Any, name: str = "Module") -> str:
    try:
        model.load_state_dict(state, strict=True)
    except RuntimeError as error:
        return re.sub(r"(?<=state_dict for )\w+(?=:)", name, str(error), count=1)
    return ""


def holds_tensors(state: Any) -> bool:
    return any(isinstance(value, torch.Tensor) for value in state.values())


@given(data=st.data())
def test_as_torch_says_it(tmp_path: Path, data: st.DataObject) -> None:
    model = data.draw(modules.filter(lambda made: holds_tensors(made.state_dict())))
    state = data.draw(loaded(model))
    wrapped = data.draw(st.booleans())
    a, b = model.state_dict(), state
    if wrapped:
        a, b = {"state_dict": a, "epoch": 1}, {"model": b, "epoch": 2}
    found = compared(tmp_path, a, b)
    if wrapped and found.sections != (("state_dict",), ("model",)):
        return  # too little is left of it to be recognised as a model
    assert strict_load(found).message == torchs_message(model, state)
    if wrapped:
        return
    mine = {key: value for key, value in model.state_dict().items() if torch.is_tensor(value)}
    theirs = {key: value for key, value in state.items() if torch.is_tensor(value)}
    statuses = {pair.key: pair.status for pair in found.pairs}
    assert set(statuses) == mine.keys() | theirs.keys()
    for key, status in statuses.items():
        assert (status == Status.MISSING) == (key not in theirs)
        assert (status == Status.UNEXPECTED) == (key not in mine)
        if key in mine and key in theirs:
            one, two = mine[key], theirs[key]
            fits = one.shape == two.shape and one.dtype == two.dtype
            assert (status == Status.MISMATCHED) == (not fits)


@given(data=st.data())
def test_without_metadata_of_a_the_same_is_said_in_another_order(
    tmp_path: Path, data: st.DataObject
) -> None:
    model = data.draw(modules.filter(lambda made: holds_tensors(made.state_dict())))
    state = data.draw(loaded(model))
    found = strict_load(compared(tmp_path, dict(model.state_dict()), state))
    message = torchs_message(model, state)
    assert sorted(re.findall('"[^"]*"', found.message)) == sorted(re.findall('"[^"]*"', message))
    assert found.loads == (not message)


def test_a_whole_model_has_its_name(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    other = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(1, 1))
    found = compared(tmp_path, model, other.state_dict())
    said = strict_load(found).message
    assert said == torchs_message(model, other.state_dict(), "Sequential")
    assert said.startswith("Error(s) in loading state_dict for Sequential:\n\tUnexpected key(s)")


@pytest.mark.parametrize("version", [None, 1, 2])
def test_the_counter_is_missing_only_since_version_2(tmp_path: Path, version: int | None) -> None:
    model = nn.Sequential(nn.BatchNorm1d(3))
    state = OrderedDict(model.state_dict())
    del state["0.num_batches_tracked"]
    if version is not None:
        state._metadata = OrderedDict({"": {"version": 1}, "0": {"version": version}})
    found = compared(tmp_path, model.state_dict(), state)
    said = strict_load(found).message
    assert said == torchs_message(model, state)
    assert bool(said) == (version == 2)
    # The comparison itself says what is there, whatever torch makes of it.
    assert found.summary()[Status.MISSING] == 1


def test_a_whole_model_says_its_versions(tmp_path: Path) -> None:
    model = nn.Sequential(nn.BatchNorm1d(3))
    other = nn.Sequential(nn.BatchNorm1d(3))
    del other[0]._buffers["num_batches_tracked"]
    found = compared(tmp_path, model.state_dict(), other)
    assert strict_load(found).message == torchs_message(model, other.state_dict())


def test_a_prefix_is_stripped_from_the_versions_as_well(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    state = nn.DataParallel(model).state_dict()
    del state["module.1.num_batches_tracked"]
    mapping = KeyMapping(strip_b=("module.",))
    found = compared(tmp_path, model.state_dict(), state, mapping)
    said = strict_load(found, mapping).message
    torch.nn.modules.utils.consume_prefix_in_state_dict_if_present(state, "module.")
    assert said == torchs_message(model, state)
    assert "num_batches_tracked" in said


def test_rules_and_renames(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4))
    state = {"net.a.weight": torch.ones(3, 2), "net.a.bias": torch.ones(3), "w": torch.ones(4, 3)}
    mapping = KeyMapping(
        strip_b=("net.",), rules=(Rule.parse("^a=>0"),), renames=(("w", "1.weight"),)
    )
    found = compared(tmp_path, model.state_dict(), state, mapping)
    assert strict_load(found, mapping).missing == ("1.bias",)
    assert [pair.notes for pair in found.pairs] == [(), (), ("renamed",), ()]
