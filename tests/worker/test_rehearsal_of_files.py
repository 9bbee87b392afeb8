"""The rehearsal of what is read from files: every optimizer of torch's, whole and with faults."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from inspector_app.analysis.companions import model_in
from inspector_app.analysis.training_state import training_state
from inspector_app.checkpoint import open_checkpoint
from inspector_app.worker import rehearsal_memory
from inspector_app.worker.rehearsal import rehearsing
from inspector_app.worker.rehearsal_findings import finding_advice, finding_sentence
from inspector_app.worker.rehearsal_protocol import Rehearsed
from inspector_app.worker.rehearsal_run import rehearsal_of
from tests.analysis.trainings import OPTIMIZERS, SCHEDULERS, scheduled, trained

Change = Callable[[dict[str, Any]], object]


def rehearsed(path: Path | str, chart_steps: int = 0) -> Rehearsed:
    """As window and command ask for it, without a process of its own."""
    asked = rehearsal_of(training_state(open_checkpoint(path)))
    steps = rehearsing(replace(asked, chart_steps=chart_steps))
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Rehearsed = end.value
            return result


def codes(result: Rehearsed) -> list[str]:
    """Of what was found; each has a sentence, and errors say what to do."""
    for each in result.findings:
        assert finding_sentence(each.code, each.details)
        assert finding_advice(each.code, each.details) or not each.error
    return [each.code for each in result.findings]


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 5), nn.Linear(5, 2))


def step(model: nn.Module, optimizer: Any, times: int = 3) -> None:
    for _ in range(times):
        optimizer.zero_grad()
        model(torch.randn(8, 4)).pow(2).mean().backward()
        optimizer.step()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_whole_state_of_every_optimizer(name: str, tmp_path: Path) -> None:
    model, optimizer = trained(name)
    torch.save(
        {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "args": {"opt": name}},
        tmp_path / "run.pth",
    )
    result = rehearsed(tmp_path / "run.pth", 4)
    assert (result.optimizer, codes(result)) == (name, [])
    assert result.stepped
    assert result.parameters > 0


def grouped(model: nn.Module, named: bool) -> list[dict[str, Any]]:
    pairs = list(model.named_parameters())
    wide = [pair for pair in pairs if pair[1].ndim > 1]
    flat = [pair for pair in pairs if pair[1].ndim == 1]
    return [
        {"params": each if named else [p for _, p in each], "weight_decay": decay}
        for each, decay in ((wide, 0.1), (flat, 0.0))
    ]


def frozen(model: nn.Module, named: bool) -> list[Any]:
    model[0].weight.requires_grad_(False)  # type: ignore[index]
    pairs = [pair for pair in model.named_parameters() if pair[1].requires_grad]
    return pairs if named else [p for _, p in pairs]


def tied(model: nn.Module, named: bool) -> list[Any]:
    model.append(nn.Linear(2, 5))  # type: ignore[operator]
    model.append(nn.Linear(5, 2))  # type: ignore[operator]
    model[5].weight = model[3].weight  # type: ignore[index]
    return list(model.named_parameters() if named else model.parameters())


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("given", [grouped, frozen, tied])
@pytest.mark.parametrize("name", ["SGD", "AdamW", "Adagrad", "Adafactor"])
def test_whole_state_of_groups_frozen_and_tied(
    name: str, given: Any, named: bool, tmp_path: Path
) -> None:
    model = net()
    options = {"momentum": 0.9} if name == "SGD" else {}
    optimizer = getattr(torch.optim, name)(given(model, named), lr=0.01, **options)
    step(model, optimizer)
    parts = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "args": name}
    torch.save(parts, tmp_path / "run.pth")
    result = rehearsed(tmp_path / "run.pth")
    assert codes(result) == []
    listed = sum(len(group["params"]) for group in optimizer.param_groups)
    assert result.parameters == listed


@pytest.mark.parametrize("options", [{"foreach": True}, {"fused": True}, {"maximize": True}])
@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "Adagrad"])
def test_whole_state_with_options(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    model = net()
    optimizer = getattr(torch.optim, name)(model.parameters(), lr=0.01, **options)
    step(model, optimizer)
    parts = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "args": name}
    torch.save(parts, tmp_path / "run.pth")
    result = rehearsed(tmp_path / "run.pth", 4)
    assert codes(result) == []
    assert result.stepped


def test_capturable_is_no_fault(tmp_path: Path) -> None:
    """It runs on accelerators alone; the state is as good as any other."""
    model = net()
    optimizer = torch.optim.Adam(model.parameters())
    step(model, optimizer)
    state = optimizer.state_dict()
    state["param_groups"][0]["capturable"] = True
    torch.save({"model": model.state_dict(), "optimizer": state}, tmp_path / "run.pth")
    result = rehearsed(tmp_path / "run.pth")
    assert not any(each.error for each in result.findings)
    assert result.stepped


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the Trainer of transformers writes it."""
    folder = tmp_path_factory.mktemp("trainer") / "checkpoint-3"
    folder.mkdir()
    model = net()
    optimizer = torch.optim.AdamW(grouped(model, False), lr=0.01)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / 10)
    for _ in range(3):
        step(model, optimizer, 1)
        scheduler.step()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    torch.save(optimizer.state_dict(), folder / "optimizer.pt")
    torch.save(scheduler.state_dict(), folder / "scheduler.pt")
    (folder / "trainer_state.json").write_text(json.dumps({"global_step": 3, "epoch": 1.0}))
    return folder


def test_states_beside_the_model(beside: Path) -> None:
    result = rehearsed(model_in(str(beside)) or beside)
    assert codes(result) == ["needs-functions"]
    assert not result.findings[0].error
    assert result.stepped
    assert result.parameters == 8


def swapped(parts: dict[str, Any]) -> None:
    state = parts["optimizer"]["state"]
    state[0], state[4] = state[4], state[0]


def reshaped(parts: dict[str, Any]) -> None:
    parts["optimizer"]["state"][0]["exp_avg"] = torch.zeros(9, 9)


def lost(parts: dict[str, Any]) -> None:
    del parts["optimizer"]["state"][2]


def another_group(parts: dict[str, Any]) -> None:
    scheduler = parts["scheduler"]
    scheduler["base_lrs"] = scheduler["base_lrs"] * 2
    scheduler["_last_lr"] = scheduler["_last_lr"] * 2


def later(parts: dict[str, Any]) -> None:
    parts["epoch"] = 40


def renamed(parts: dict[str, Any]) -> None:
    names = parts["optimizer"]["param_groups"][0]["param_names"]
    names[0], names[4] = names[4], names[0]


FAULTS: dict[str, tuple[Change, set[str]]] = {
    "another order": (swapped, {"order-changed", "state-shape"}),
    "a wrong shape": (reshaped, {"state-shape"}),
    "a missing state": (lost, {"state-missing"}),
    "other groups": (another_group, {"scheduler-groups"}),
    "another epoch": (later, {"scheduler-epoch"}),
    "names in another order": (renamed, {"order-changed"}),
}


@pytest.fixture(scope="module")
def parts() -> dict[str, Any]:
    """A training with names, epochs counted by its scheduler."""
    model = net()
    optimizer = torch.optim.AdamW(model.named_parameters(), lr=0.01)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
    for _ in range(5):
        step(model, optimizer, 1)
        scheduler.step()
    states = {"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}
    return {"model": model.state_dict(), **states, "epoch": 5}


def saved(parts: dict[str, Any], path: Path, change: Change = lambda _: None) -> Path:
    changed = copy.deepcopy(parts)
    change(changed)
    torch.save(changed, path)
    return path


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault: str, parts: dict[str, Any], tmp_path: Path) -> None:
    change, expected = FAULTS[fault]
    result = rehearsed(saved(parts, tmp_path / "run.pth", change))
    assert expected & set(codes(result))
    assert result.findings[0].error


@pytest.mark.parametrize("name", SCHEDULERS)
def test_whole_state_of_every_scheduler(name: str, tmp_path: Path) -> None:
    optimizer, scheduler = scheduled(name)
    (parameter,) = optimizer.param_groups[0]["params"]
    parameter.grad = torch.ones_like(parameter)  # the momentum's, which none of them has seen
    optimizer.step()
    states = {"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}
    torch.save({"model": {"weight": parameter.detach()}, **states}, tmp_path / "run.pth")
    result = rehearsed(tmp_path / "run.pth")
    assert not any(each.error for each in result.findings), codes(result)
    rates = result.rate_curves
    assert rates is not None
    assert rates.future or rates.findings


def test_too_little_memory_is_said_before_anything_is_read(
    parts: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(parts, tmp_path / "run.pth")
    monkeypatch.setattr(rehearsal_memory, "available_bytes", lambda: 1_000_000)
    result = rehearsed(path)
    assert codes(result) == ["too-little-memory"]
    assert not result.stepped
    said = finding_sentence("too-little-memory", result.findings[0].details)
    assert said.endswith("1 MB are available")
    monkeypatch.setattr(rehearsal_memory, "available_bytes", lambda: None)
    assert codes(rehearsed(path)) == []


def test_memory_that_is_needed_and_available(parts: dict[str, Any], tmp_path: Path) -> None:
    path = saved(parts, tmp_path / "run.pth")
    groups = rehearsal_of(training_state(open_checkpoint(path))).optimizer.groups
    state = open_checkpoint(path).find(("optimizer",))
    numbers = [p.numel() for name, p in parts["model"].items() if "running" not in name]
    elements = sum(numbers) - 1  # num_batches_tracked is none of them
    kept = 2 * 4 * elements + 4 * len(groups[0])
    assert rehearsal_memory.needed_bytes(groups, state) == 8 * elements + kept + 12 * max(numbers)
    available = rehearsal_memory.available_bytes()
    assert available is None or available > 0
