"""Weights into a model: sections, prefixes, and what torch itself says of the rest."""

from __future__ import annotations

import argparse
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from real_workers import choice_of, failed_of, result_of, save_state
from torch import nn

from inspector_app.checkpoint import open_checkpoint
from inspector_app.worker.failures import Failure
from inspector_app.worker.loading import load
from inspector_app.worker.model_source import building
from inspector_app.worker.protocol import Weights
from inspector_app.worker.state_dict import read_state_dict


def prefixed(prefix: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda state: {prefix + key: value for key, value in state.items()}


def training(state: dict[str, Any]) -> dict[str, Any]:
    optimizer = {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 1e-3}]}
    return {"epoch": 3, "model_state_dict": state, "optimizer_state_dict": optimizer}


def refused_by_torch(state: dict[str, Any]) -> dict[str, Any]:
    return {"args": argparse.Namespace(lr=1e-3), "state_dict": state}


@pytest.mark.parametrize(
    "wrap",
    [
        prefixed("module."),
        prefixed("_orig_mod."),
        prefixed("module._orig_mod."),
        prefixed("_orig_mod.module."),
        training,
        refused_by_torch,
        lambda state: refused_by_torch(prefixed("module.")(state)),
    ],
)
def test_each_kind_of_checkpoint_loads(net: Path, wrap: Callable[[Any], Any]) -> None:
    wanted = torch.load(save_state(net, "Net"))
    path = save_state(net, "Net", wrap)
    model = result_of(building(choice_of(path, net)))
    assert model.report.fits
    for key, value in model.module.state_dict().items():
        assert torch.equal(value, wanted[key])


def test_a_prefix_that_only_the_model_has_is_added(net: Path) -> None:
    report = load(
        nn.Sequential(OrderedDict(module=nn.Linear(2, 2))), nn.Linear(2, 2).state_dict(), Weights()
    )
    assert report.fits
    assert report.added == "module."


def test_a_prefix_of_the_users_own(net: Path) -> None:
    from dataclasses import replace

    path = save_state(net, "Net", prefixed("student."))
    choice = choice_of(path, net)
    assert failed_of(building(choice)).code == "weights-do-not-fit"
    stripped = replace(choice, weights=Weights(strip_prefixes=("student.",)))
    assert result_of(building(stripped)).report.stripped == "student."


def test_renames(net: Path) -> None:
    from dataclasses import replace

    path = save_state(net, "Net", lambda s: {k.replace("first", "erste"): v for k, v in s.items()})
    choice = choice_of(path, net)
    failed = failed_of(building(choice))
    assert failed.code == "weights-do-not-fit"
    assert "2 missing, 2 unexpected" in failed.cause
    names = {"erste.weight": "first.weight", "erste.bias": "first.bias"}
    assert result_of(building(replace(choice, weights=Weights(renames=names)))).report.fits
    twice = {"erste.weight": "first.weight", "erste.bias": "first.weight"}
    failed = failed_of(building(replace(choice, weights=Weights(renames=twice))))
    assert failed.code == "weights-not-read"


def test_rules_apply_after_a_wrapper_is_dropped(net: Path) -> None:
    from dataclasses import replace

    def other_names(state: dict) -> dict:
        return {f"module.{key.replace('first', 'block_1')}": each for key, each in state.items()}

    choice = choice_of(save_state(net, "Net", other_names), net)
    rules = ((r"^block_(\d)\.", r"layer\1."), ("^layer1", "first"))
    report = result_of(building(replace(choice, weights=Weights(rules=rules)))).report
    assert report.fits
    assert report.stripped == "module."


@pytest.mark.parametrize("rule", [("(", "x"), ("a", r"\2")])
def test_a_rule_that_is_none(net: Path, rule: tuple[str, str]) -> None:
    from dataclasses import replace

    choice = choice_of(save_state(net, "Net"), net)
    failed = failed_of(building(replace(choice, weights=Weights(rules=(rule,)))))
    assert failed.code == "bad-rule"
    assert f"{rule[0]}=>{rule[1]}" in failed.cause


@pytest.mark.parametrize("dtype", ["bfloat16", "float64"])
def test_inputs_are_guessed_in_the_dtype_that_the_model_is_cast_to(net: Path, dtype: str) -> None:
    from dataclasses import replace

    from inspector_app.worker.describe import describing
    from inspector_app.worker.protocol import Describe

    choice = replace(choice_of(save_state(net, "Net"), net), dtype=dtype)
    described = result_of(describing(Describe(choice)))
    assert {key.dtype for key in described.keys} == {dtype}
    assert [guess.dtype for guess in described.guesses] == [dtype]


def test_a_section_that_is_not_there(net: Path) -> None:
    from dataclasses import replace

    choice = choice_of(save_state(net, "Net"), net)
    failed = failed_of(building(replace(choice, weights=Weights(section=("ema",)))))
    assert failed.code == "no-weights"
    assert "ema" in failed.cause


def test_versions_of_modules_are_heard() -> None:
    """A BatchNorm of before torch 0.4.1 has no num_batches_tracked, and says so."""
    old = nn.BatchNorm1d(3).state_dict()
    del old["num_batches_tracked"]
    assert load(nn.BatchNorm1d(3), old, Weights()).missing == ("num_batches_tracked",)
    old._metadata[""]["version"] = 1
    assert load(nn.BatchNorm1d(3), old, Weights()).fits
    wrapped = nn.Sequential(OrderedDict(module=nn.BatchNorm1d(3))).state_dict()
    del wrapped["module.num_batches_tracked"]
    wrapped._metadata["module"]["version"] = 1
    report = load(nn.BatchNorm1d(3), wrapped, Weights())
    assert report.stripped == "module."
    assert report.fits


def test_a_tied_weight_that_was_saved_once_is_not_missing() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(3, 3, bias=False)
            self.b = nn.Linear(3, 3, bias=False)
            self.b.weight = self.a.weight

    for key in ("a.weight", "b.weight"):
        model = Tied()
        assert load(model, {key: torch.ones(3, 3)}, Weights()).fits
        assert bool((model.b.weight == 1).all())


def test_a_module_that_loads_in_its_own_way_is_heard() -> None:
    class Renaming(nn.Linear):
        def _load_from_state_dict(self, state: Any, prefix: str, *rest: Any) -> None:
            state[prefix + "weight"] = state.pop(prefix + "kernel").T
            super()._load_from_state_dict(state, prefix, *rest)

    assert load(Renaming(2, 3), {"kernel": torch.ones(2, 3), "bias": torch.ones(3)}, Weights()).fits


class Refusing(nn.Linear):
    def _load_from_state_dict(self, *_rest: Any) -> None:
        raise KeyError("nothing for me")


def test_a_module_that_fails_on_loading() -> None:
    with pytest.raises(Failure) as caught:
        load(Refusing(2, 3), {}, Weights())
    assert caught.value.failed.code == "load"
    assert "nothing for me" in caught.value.failed.cause


# --- our own reader, with torch as the oracle


DTYPES = [
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.float8_e4m3fn,
    torch.float8_e5m2,
    torch.int8,
    torch.uint8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.uint16,
    torch.bool,
    torch.complex64,
]


def values() -> dict[str, Any]:
    torch.manual_seed(0)
    base = torch.randn(4, 6)
    state = {str(dtype): (torch.randn(3, 5) * 5).to(dtype) for dtype in DTYPES}
    state |= {
        "view": base[1:3, ::2],
        "transposed": base.T,
        "same": base,
        "scalar": torch.tensor(2.5),
    }
    return state | {"empty": torch.empty(0, 3), "conj": torch.tensor([1 + 2j]).conj()}


@pytest.mark.parametrize("legacy", [False, True])
def test_our_own_reader_gives_what_torch_gives(tmp_path: Path, legacy: bool) -> None:
    path = tmp_path / "a.pth"
    state = values()
    torch.save(
        {"args": argparse.Namespace(), "state_dict": state},
        path,
        _use_new_zipfile_serialization=not legacy,
    )
    read = read_state_dict(open_checkpoint(path), ("state_dict",))
    assert list(read) == list(state)
    for key, value in state.items():
        assert read[key].dtype == value.dtype
        assert read[key].shape == value.shape
        assert bits(read[key]) == bits(value), key
    assert read["view"].untyped_storage().data_ptr() == read["same"].untyped_storage().data_ptr()


def bits(tensor: Any) -> bytes:
    plain = tensor.resolve_conj().contiguous()
    return (
        bytes(plain.view(torch.uint8).reshape(-1).tolist())
        if plain.numel() and plain.ndim
        else str(plain).encode()
    )


def test_safetensors_without_the_package(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    state = {key: value.contiguous().clone() for key, value in values().items() if key != "conj"}
    path = tmp_path / "a.safetensors"
    save_file(state, path)
    read = read_state_dict(open_checkpoint(path), None)
    assert read.keys() == state.keys()
    assert all(bits(read[key]) == bits(value) for key, value in state.items())


def test_shards(tmp_path: Path) -> None:
    import json

    from safetensors.torch import save_file

    save_file({"a": torch.ones(2)}, tmp_path / "model-00001-of-00002.safetensors")
    save_file({"b": torch.zeros(3)}, tmp_path / "model-00002-of-00002.safetensors")
    index = {
        "weight_map": {
            "a": "model-00001-of-00002.safetensors",
            "b": "model-00002-of-00002.safetensors",
        }
    }
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(json.dumps(index))
    read = read_state_dict(open_checkpoint(path), None)
    assert {key: value.tolist() for key, value in read.items()} == {"a": [1, 1], "b": [0, 0, 0]}


def test_a_tensor_whose_bytes_are_cut_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    torch.save(
        {
            "args": argparse.Namespace(),
            "state_dict": {"fc.weight": torch.ones(1000), "fc.bias": torch.ones(3)},
        },
        path,
        _use_new_zipfile_serialization=False,
    )
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(Failure) as caught:
        read_state_dict(open_checkpoint(path), ("state_dict",))
    assert caught.value.failed.code == "weights-not-read"
    assert "fc.weight" in caught.value.failed.cause
