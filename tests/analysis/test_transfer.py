"""Partial loading: the dictionary filter that everybody writes is the judge."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from inspector_app.analysis.key_mapping import KeyMapping, Rule
from inspector_app.analysis.transfer import (
    Act,
    Choice,
    Initial,
    Reason,
    TransferOptions,
    TransferPlan,
    Where,
    planning_result,
    planning_transfer,
)
from inspector_app.analysis.transfer_code import transfer_code
from inspector_app.analysis.transfer_report import report_text
from inspector_app.analysis.transfer_values import overlap
from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.errors import CannotSave
from inspector_app.saving.save import saving
from tests.checkpoint import torch_files
from tests.checkpoint.torch_files import write

NOTHING = TransferOptions()


def run(steps: Generator[Any, None, Any]) -> Any:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def planned(source: Path, target: Path, options: TransferOptions = NOTHING) -> TransferPlan:
    plan: TransferPlan = run(
        planning_transfer(open_checkpoint(source), open_checkpoint(target), options)
    )
    return plan


def transferred(
    source: Path, target: Path, out: Path, options: TransferOptions = NOTHING
) -> TransferPlan:
    before = source.read_bytes(), target.read_bytes()
    plan = planned(source, target, options)
    run(saving(run(planning_result(plan, out)), force=True))
    assert (source.read_bytes(), target.read_bytes()) == before
    return plan


def load(path: Path) -> Any:
    return torch.load(path, weights_only=True)


class Net(nn.Module):
    def __init__(self, classes: int, width: int = 6) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3)
        self.norm = nn.BatchNorm2d(width)
        self.fc = nn.Linear(width, classes)


@st.composite
def states(draw: st.DrawFn) -> dict[str, torch.Tensor]:
    keys = draw(st.lists(st.sampled_from("abcdef"), unique=True, min_size=1))
    made = {}
    for key in keys:
        shape = draw(st.sampled_from([(), (2,), (3,), (2, 3), (3, 2), (0, 2)]))
        dtype = draw(st.sampled_from([torch.float32, torch.bfloat16, torch.int64]))
        torch.manual_seed(draw(st.integers(0, 999)))
        made[f"{key}.weight"] = (torch.randn(shape) * 9).to(dtype)
    return made


@settings(max_examples=40)
@given(states(), states())
def test_it_is_the_dictionary_filter_to_the_last_bit(
    tmp_path_factory: pytest.TempPathFactory,
    given_state: dict[str, torch.Tensor],
    own: dict[str, torch.Tensor],
) -> None:
    folder = tmp_path_factory.mktemp("transfer")
    source = write(given_state, folder / "a.pth")
    target = write({"model": own, "epoch": 3}, folder / "b.pth")
    plan = transferred(source, target, folder / "c.pth")
    model_dict = dict(own)
    fits = {
        k: v for k, v in given_state.items() if k in model_dict and v.shape == model_dict[k].shape
    }
    model_dict.update(fits)
    after = load(folder / "c.pth")
    assert after["epoch"] == 3
    assert list(after["model"]) == list(model_dict)
    for key, tensor in model_dict.items():
        found = after["model"][key]
        assert found.dtype == tensor.dtype
        assert torch.equal(found.view(-1).view(torch.uint8), tensor.view(-1).view(torch.uint8))
    skipped = {flow.source_key for flow in plan.flows if flow.skipped}
    skipped |= {each.key for each in plan.unused}
    assert skipped == given_state.keys() - fits.keys()
    assert plan.skipped == len(skipped)


@pytest.fixture
def nets(tmp_path: Path) -> tuple[Path, Path]:
    torch.manual_seed(0)
    large = nn.DataParallel(Net(1000))
    small = Net(10)
    optimizer = torch.optim.SGD(small.parameters(), lr=0.1, momentum=0.9)
    source = write({"state_dict": large.state_dict(), "epoch": 90}, tmp_path / "a.pth")
    value = {"model": small.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 1}
    return source, write(value, tmp_path / "b.pth")


STRIPPED = TransferOptions(mapping=KeyMapping(strip_b=("module.",)))


def test_the_head_is_skipped_and_the_rest_flows(nets: tuple[Path, Path], tmp_path: Path) -> None:
    plan = transferred(*nets, tmp_path / "c.pth", STRIPPED)
    acts = {flow.key: (flow.choice.act, flow.reasons) for flow in plan.flows}
    assert acts["fc.weight"] == (Act.KEEP, (Reason.SHAPE,))
    assert acts["fc.bias"] == (Act.KEEP, (Reason.SHAPE,))
    assert acts["conv.weight"] == (Act.TAKE, ())
    assert plan.skipped == 2
    after, source, target = (load(path) for path in (tmp_path / "c.pth", *nets))
    assert after["epoch"] == 1
    assert after["optimizer"] == target["optimizer"]
    Net(10).load_state_dict(after["model"], strict=True)
    assert torch.equal(after["model"]["conv.weight"], source["state_dict"]["module.conv.weight"])
    assert torch.equal(after["model"]["fc.weight"], target["model"]["fc.weight"])
    text = report_text(plan, "c.pth")
    assert "7 taken, 2 kept" in text
    assert "module.fc.weight: its shape is [1000, 6], the target has [10, 6]" in text


@pytest.mark.parametrize("where", [Where.BEGIN, Where.CENTRE, Where.END])
def test_a_head_is_sliced_and_padded(nets: tuple[Path, Path], tmp_path: Path, where: str) -> None:
    options = TransferOptions(mapping=STRIPPED.mapping, mismatched=Choice(Act.FIT, (where,)))
    plan = transferred(*nets, tmp_path / "c.pth", options)
    assert plan.skipped == 0
    after, source = load(tmp_path / "c.pth")["model"], load(nets[0])["state_dict"]
    first = {Where.BEGIN: 0, Where.CENTRE: 495, Where.END: 990}[where]
    assert torch.equal(after["fc.weight"], source["module.fc.weight"][first : first + 10])
    # The other way round there is room for more than comes.
    back = write({f"module.{key}": value for key, value in after.items()}, tmp_path / "d.pth")
    big = write({key[7:]: value for key, value in source.items()}, tmp_path / "e.pth")
    transferred(back, big, tmp_path / "f.pth", options)
    padded, own = load(tmp_path / "f.pth"), load(big)
    wanted = own["fc.weight"].clone()
    wanted[first : first + 10] = after["fc.weight"]
    assert torch.equal(padded["fc.weight"], wanted)
    zeros = TransferOptions(
        mapping=STRIPPED.mapping, mismatched=Choice(Act.FIT, (where,), Initial("zeros"))
    )
    transferred(back, big, tmp_path / "g.pth", zeros)
    wanted = torch.zeros_like(wanted)
    wanted[first : first + 10] = after["fc.weight"]
    assert torch.equal(load(tmp_path / "g.pth")["fc.weight"], wanted)


@settings(max_examples=60)
@given(st.data())
def test_parts_that_are_fitted_lie_within_both(data: st.DataObject) -> None:
    count = data.draw(st.integers(0, 3))
    sizes = st.lists(st.integers(0, 7), min_size=count, max_size=count)
    source, target = data.draw(sizes), data.draw(sizes)
    where = data.draw(st.lists(st.sampled_from([Where.BEGIN, Where.CENTRE, Where.END]), min_size=1))
    into, out_of = overlap(source, target, where)
    for theirs, ours, mine, other in zip(source, target, into, out_of, strict=True):
        assert mine.stop - mine.start == other.stop - other.start == min(theirs, ours)
        assert 0 <= mine.start <= mine.stop <= ours
        assert 0 <= other.start <= other.stop <= theirs


def test_a_large_tensor_is_fitted_in_pieces(tmp_path: Path) -> None:
    torch.manual_seed(0)
    source = write({"a.weight": torch.randn(1500, 1300).bfloat16()}, tmp_path / "a.pth")
    target = write({"a.weight": torch.randn(1300, 1700).t()}, tmp_path / "b.pth")
    target_shape = load(target)["a.weight"].shape
    options = TransferOptions(choices={"a.weight": Choice(Act.FIT, (Where.END, Where.CENTRE))})
    transferred(source, target, tmp_path / "c.pth", options)
    wanted = load(target)["a.weight"].clone()
    assert wanted.shape == target_shape == (1700, 1300)
    wanted[200:, :] = load(source)["a.weight"].float()
    assert torch.equal(load(tmp_path / "c.pth")["a.weight"], wanted)


def test_new_values_are_those_of_the_seed(nets: tuple[Path, Path], tmp_path: Path) -> None:
    made = {}
    for name, seed in (("c", 1), ("d", 1), ("e", 2)):
        options = TransferOptions(
            mapping=STRIPPED.mapping,
            choices={
                "fc.weight": Choice(Act.INITIALISE, initial=Initial("kaiming_uniform", seed=seed)),
                "fc.bias": Choice(Act.INITIALISE, initial=Initial("zeros")),
                "conv.weight": Choice(Act.INITIALISE, initial=Initial("normal", 0.02, seed)),
            },
        )
        plan = transferred(*nets, tmp_path / f"{name}.pth", options)
        made[name] = load(tmp_path / f"{name}.pth")["model"]
    assert torch.equal(made["c"]["fc.weight"], made["d"]["fc.weight"])
    assert not torch.equal(made["c"]["fc.weight"], made["e"]["fc.weight"])
    assert not made["c"]["fc.bias"].any()
    bound = (6 / 6) ** 0.5
    assert made["c"]["fc.weight"].abs().max() <= bound
    assert abs(made["c"]["conv.weight"].std() - 0.02) < 0.005
    # The source had something for all three.
    assert plan.skipped == 3
    reasons = {flow.key: flow.reasons for flow in plan.flows}
    assert reasons["conv.weight"] == (Reason.CHOSEN,)


def test_another_dtype_flows_as_it_is_or_is_cast(tmp_path: Path) -> None:
    source = write({"a.weight": torch.arange(4).half() / 3}, tmp_path / "a.pth")
    target = write({"a.weight": torch.zeros(4)}, tmp_path / "b.pth")
    plan = transferred(source, target, tmp_path / "c.pth")
    assert plan.flows[0].reasons == (Reason.DTYPE,)
    assert plan.skipped == 0
    assert load(tmp_path / "c.pth")["a.weight"].dtype == torch.float16
    transferred(source, target, tmp_path / "d.pth", TransferOptions(cast=True))
    after = load(tmp_path / "d.pth")["a.weight"]
    assert torch.equal(after, load(source)["a.weight"].float())
    numbers = write({"a.weight": torch.arange(4, dtype=torch.int32)}, tmp_path / "e.pth")
    wide = write({"a.weight": torch.zeros(4, dtype=torch.int64)}, tmp_path / "f.pth")
    transferred(numbers, wide, tmp_path / "g.pth", TransferOptions(cast=True))
    assert torch.equal(load(tmp_path / "g.pth")["a.weight"], torch.arange(4))


def test_quantized_and_sparse_tensors_flow_too(tmp_path: Path) -> None:
    with torch_files.prototypes():
        value = {
            "q.weight": torch_files.quantized()["qint8 per channel"],
            "s.weight": torch_files.sparse()["coo"],
        }
        source = write(value, tmp_path / "a.pth")
        own = {"q.weight": torch.zeros(4, 3), "s.weight": torch.zeros(4, 6)}
        target = write(own, tmp_path / "b.pth")
        transferred(source, target, tmp_path / "c.pth")
        after = load(tmp_path / "c.pth")
    assert torch.equal(after["q.weight"].dequantize(), value["q.weight"].dequantize())
    assert torch.equal(after["s.weight"].to_dense(), value["s.weight"].to_dense())


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ({"nowhere": Choice(Act.KEEP)}, "the target has no key nowhere"),
        ({"fc.weight": Choice(Act.TAKE)}, "fc.weight cannot be fitted: its shape differs"),
        ({"extra.weight": Choice(Act.TAKE)}, "the source has nothing for extra.weight"),
        ({"extra.weight": Choice(Act.FIT)}, "the source has nothing for extra.weight"),
        ({"turned": Choice(Act.FIT)}, "it has 1 dimensions and the source's has 2"),
    ],
)
def test_choices_that_cannot_be_are_a_sentence(
    choices: dict[str, Choice], sentence: str, tmp_path: Path
) -> None:
    given = {"fc.weight": torch.ones(5, 2), "turned": torch.ones(2, 2)}
    own = {"fc.weight": torch.ones(3, 2), "extra.weight": torch.ones(1), "turned": torch.ones(2)}
    source, target = write(given, tmp_path / "a.pth"), write(own, tmp_path / "b.pth")
    with pytest.raises(CannotSave, match=sentence):
        planned(source, target, TransferOptions(choices=choices))


CODE_OPTIONS = {
    "plain": NOTHING,
    "stripped": STRIPPED,
    "rules": TransferOptions(mapping=KeyMapping(rules=(Rule(r"^module\.", ""),))),
    "renamed": TransferOptions(
        mapping=KeyMapping(strip_b=("module.",), renames=(("module.norm.bias", "fc.bias"),))
    ),
    "fitted": TransferOptions(
        mapping=STRIPPED.mapping, mismatched=Choice(Act.FIT, (Where.END, Where.BEGIN))
    ),
    "kept": TransferOptions(
        mapping=STRIPPED.mapping,
        choices={"conv.weight": Choice(Act.KEEP), "fc.bias": Choice(Act.INITIALISE)},
        cast=True,
    ),
}


def test_the_python_does_the_same(nets: tuple[Path, Path], tmp_path: Path) -> None:
    lines = []
    for name, options in CODE_OPTIONS.items():
        plan = transferred(*nets, tmp_path / f"{name}.pth", options)
        lines.append(transfer_code(plan, str(tmp_path / f"{name} by torch.pth")))
    script = tmp_path / "script.py"
    script.write_text("\n".join(lines))
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    for name in CODE_OPTIONS:
        mine, torchs = load(tmp_path / f"{name}.pth"), load(tmp_path / f"{name} by torch.pth")
        assert list(mine) == list(torchs)
        assert list(mine["model"]) == list(torchs["model"])
        for key, tensor in mine["model"].items():
            assert torch.equal(tensor, torchs["model"][key]), (name, key)
