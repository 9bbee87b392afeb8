"""A rehearsal against torch itself, and what it must find."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import torch

from inspector_app.worker.client import events
from inspector_app.worker.protocol import Finished
from inspector_app.worker.rehearsal import Rebuilt, rebuild, rehearsing, step_once
from inspector_app.worker.rehearsal_findings import FINDINGS, finding_advice, finding_sentence
from inspector_app.worker.rehearsal_protocol import (
    OptimizerChoice,
    ParameterSpec,
    Rates,
    Rehearse,
    Rehearsed,
    SchedulerChoice,
)
from inspector_app.worker.training_objects import States

OPTIMIZERS = {
    "SGD": {"lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3},
    "Adam": {"lr": 1e-3, "amsgrad": True},
    "AdamW": {"lr": 1e-3, "weight_decay": 0.1},
    "RMSprop": {"lr": 1e-3, "momentum": 0.5, "centered": True},
    "Adagrad": {"lr": 1e-2},
    "Adadelta": {"lr": 1.0},
    "Adamax": {"lr": 1e-3},
    "NAdam": {"lr": 1e-3},
    "RAdam": {"lr": 1e-3},
    "Rprop": {"lr": 1e-2},
    "ASGD": {"lr": 1e-2},
    "Adafactor": {"lr": 1e-2},
}


def model_of(seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return torch.nn.Sequential(
        OrderedDict(
            first=torch.nn.Linear(6, 8), norm=torch.nn.BatchNorm1d(8), last=torch.nn.Linear(8, 3)
        )
    )


def train(model: torch.nn.Module, optimizer: Any, steps: int, scheduler: Any = None) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.randn(16, 6)).square().mean().backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()


def specs(model: torch.nn.Module) -> tuple[ParameterSpec, ...]:
    return tuple(
        ParameterSpec(name, tuple(p.shape), "float32", ("model", name))
        for name, p in model.named_parameters()
    )


def end_of(work: Generator[Any, None, Any]) -> Any:
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def rehearsed(path: Path, **options: Any) -> Rehearsed:
    return end_of(rehearsing(Rehearse(str(path), **options)))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_next_step_is_that_of_the_uninterrupted_run(name: str, tmp_path: Path) -> None:
    model = model_of()
    optimizer = getattr(torch.optim, name)(model.parameters(), **OPTIMIZERS[name])
    train(model, optimizer, 4)
    path = tmp_path / "training.pth"
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, path)
    gradients = {each: torch.randn_like(p) for each, p in model.named_parameters()}

    choice = OptimizerChoice(("optimizer",), name, (specs(model),))
    rebuilt = rebuild(choice, States(str(path)))
    assert isinstance(rebuilt, Rebuilt)
    assert not rebuilt.findings
    step_once(rebuilt, gradients)

    for each, parameter in model.named_parameters():
        parameter.grad = gradients[each]
    optimizer.step()
    expected = dict(model.named_parameters())
    for each, parameter in rebuilt.parameters():
        assert torch.equal(parameter, expected[each]), each


def saved(path: Path, change: Any = None, **options: Any) -> torch.nn.Module:
    """A checkpoint of a training that `change` has spoiled."""
    model = model_of()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, **options)
    train(model, optimizer, 3)
    state = optimizer.state_dict()
    if change is not None:
        change(state)
    torch.save({"model": model.state_dict(), "optimizer": state}, path)
    return model


def test_whole_state_has_no_finding(tmp_path: Path) -> None:
    path = tmp_path / "whole.pth"
    model = saved(path)
    result = rehearsed(path, optimizer=OptimizerChoice(("optimizer",), "AdamW", (specs(model),)))
    assert result.stepped
    assert result.findings == ()
    assert result.parameters == 6
    assert result.rates == ((1e-3, 1e-3),)
    curves = result.curves
    assert curves is not None
    assert curves.whole
    assert len(curves.with_state) == len(curves.without_state) == 61
    assert curves.with_state[0] == curves.without_state[0] == 1
    assert curves.with_state != curves.without_state
    assert curves.with_state[-1] < 0.7


def codes(result: Rehearsed) -> list[str]:
    for each in result.findings:
        assert finding_sentence(each.code, each.details)
        if each.error:
            assert finding_advice(each.code, each.details)
    return [each.code for each in result.findings]


def test_wrong_shape(tmp_path: Path) -> None:
    path = tmp_path / "shape.pth"

    def widen(state: dict[str, Any]) -> None:
        for key in ("exp_avg", "exp_avg_sq"):
            state["state"][0][key] = torch.zeros(9, 6)

    model = saved(path, widen)
    result = rehearsed(path, optimizer=OptimizerChoice(("optimizer",), "AdamW", (specs(model),)))
    assert codes(result) == ["state-shape", "step-fails"]
    said = finding_sentence("state-shape", result.findings[0].details)
    assert said == "exp_avg of first.weight is [9, 6], the parameter is [8, 6]"
    assert not result.stepped


def test_missing_state(tmp_path: Path) -> None:
    path = tmp_path / "missing.pth"

    def forget(state: dict[str, Any]) -> None:
        del state["state"][4], state["state"][5]

    model = saved(path, forget)
    result = rehearsed(path, optimizer=OptimizerChoice(("optimizer",), "AdamW", (specs(model),)))
    assert codes(result) == ["state-missing"]
    said = finding_sentence("state-missing", result.findings[0].details)
    assert said == "2 of 6 parameters have no optimizer state: last.weight, last.bias"
    assert result.stepped


def test_empty_state_is_missing_and_sgd_without_momentum_needs_none(tmp_path: Path) -> None:
    path = tmp_path / "empty.pth"
    model = saved(path, lambda state: state["state"].clear())
    choice = OptimizerChoice(("optimizer",), "AdamW", (specs(model),))
    assert codes(rehearsed(path, optimizer=choice)) == ["state-missing"]

    plain = torch.optim.SGD(model.parameters(), lr=0.1)
    train(model, plain, 2)
    torch.save({"model": model.state_dict(), "optimizer": plain.state_dict()}, path)
    choice = OptimizerChoice(("optimizer",), "SGD", (specs(model),))
    assert codes(rehearsed(path, optimizer=choice)) == []


@pytest.mark.parametrize("named", [False, True])
def test_changed_order(named: bool, tmp_path: Path) -> None:
    path = tmp_path / "order.pth"
    model = model_of()
    given: Any = model.named_parameters() if named else model.parameters()
    optimizer = torch.optim.AdamW(given, lr=1e-3)
    train(model, optimizer, 3)
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, path)
    turned = tuple(reversed(specs(model)))
    result = rehearsed(path, optimizer=OptimizerChoice(("optimizer",), "AdamW", (turned,)))
    assert codes(result)[0] == "order-changed"
    details = result.findings[0].details
    assert details["name"] == "last.bias"
    assert details["belongs"] == "first.weight"


def test_equal_shapes_in_another_order_are_found_by_name(tmp_path: Path) -> None:
    path = tmp_path / "twins.pth"
    model = torch.nn.ModuleDict({"a": torch.nn.Linear(4, 4), "b": torch.nn.Linear(4, 4)})
    optimizer = torch.optim.Adam(model.named_parameters(), lr=1e-3)
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    optimizer.step()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, path)
    own = specs(model)
    turned = own[2:] + own[:2]
    result = rehearsed(path, optimizer=OptimizerChoice(("optimizer",), "Adam", (turned,)))
    assert codes(result) == ["order-changed"]
    assert result.stepped, "torch takes it without a word"


def test_extra_groups_and_group_sizes(tmp_path: Path) -> None:
    path = tmp_path / "groups.pth"
    model = saved(path)
    own = specs(model)
    split = OptimizerChoice(("optimizer",), "AdamW", (own[:2], own[2:]))
    result = rehearsed(path, optimizer=split)
    assert codes(result) == ["groups-differ"]
    assert result.findings[0].details == {"saved": 1, "given": 2}
    fewer = OptimizerChoice(("optimizer",), "AdamW", (own[:4],))
    result = rehearsed(path, optimizer=fewer)
    assert codes(result) == ["group-size"]
    with pytest.raises(ValueError, match="doesn't match the size"):
        torch.optim.AdamW([model.first.weight]).load_state_dict(
            torch.load(path, weights_only=True)["optimizer"]
        )


def test_state_of_another_optimizer(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    model = saved(path)
    result = rehearsed(path, optimizer=OptimizerChoice(("optimizer",), "Adagrad", (specs(model),)))
    assert codes(result)[-1] in ("load-refused", "step-fails")
    assert not result.stepped
    result = rehearsed(path, optimizer=OptimizerChoice(("optimizer",), "Lion", (specs(model),)))
    assert codes(result) == ["unknown-class"]


def test_nan_in_the_state(tmp_path: Path) -> None:
    path = tmp_path / "nan.pth"

    def spoil(state: dict[str, Any]) -> None:
        state["state"][2]["exp_avg"][0] = float("nan")

    model = saved(path, spoil)
    result = rehearsed(path, optimizer=OptimizerChoice(("optimizer",), "AdamW", (specs(model),)))
    assert "not-finite" in codes(result)


def test_shapes_of_the_state_serve_where_the_model_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "alone.pth"
    saved(path)
    result = rehearsed(path, optimizer=OptimizerChoice(("optimizer",), "AdamW"))
    assert result.stepped
    assert codes(result) == []
    assert result.parameters == 6


def with_scheduler(path: Path, epochs: int, epoch: int, change: Any = None) -> Rehearsed:
    model = model_of()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 3, 0.5)
    train(model, optimizer, epochs, scheduler)
    states = {"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}
    states = copy.deepcopy(states)
    if change is not None:
        change(states)
    torch.save({"model": model.state_dict(), **states, "epoch": epoch}, path)
    return rehearsed(
        path,
        optimizer=OptimizerChoice(("optimizer",), "SGD", (specs(model),)),
        scheduler=SchedulerChoice(("scheduler",), "StepLR"),
        epoch=epoch,
    )


@pytest.mark.parametrize("epoch", [4, 5])
def test_scheduler_that_matches(epoch: int, tmp_path: Path) -> None:
    result = with_scheduler(tmp_path / "a.pth", 5, epoch)
    assert codes(result) == []
    assert result.scheduler_stepped
    assert result.rates == ((0.05, 0.025),)


def test_scheduler_that_does_not_match_the_epoch(tmp_path: Path) -> None:
    result = with_scheduler(tmp_path / "b.pth", 5, 9)
    assert codes(result) == ["scheduler-epoch"]
    said = finding_sentence("scheduler-epoch", result.findings[0].details)
    assert said == "The scheduler has counted 5 steps, the checkpoint says epoch 9"


def test_scheduler_whose_rate_is_not_the_optimizer_s(tmp_path: Path) -> None:
    def reset(states: dict[str, Any]) -> None:
        states["optimizer"]["param_groups"][0]["lr"] = 0.1

    assert codes(with_scheduler(tmp_path / "c.pth", 5, 5, reset)) == ["scheduler-rate"]


def test_scheduler_over_other_groups(tmp_path: Path) -> None:
    def more(states: dict[str, Any]) -> None:
        states["scheduler"]["base_lrs"] = [0.1, 0.1]
        states["scheduler"]["_last_lr"] = [0.05, 0.05]

    assert codes(with_scheduler(tmp_path / "d.pth", 5, 5, more)) == ["scheduler-groups"]


def test_file_that_torch_refuses(tmp_path: Path) -> None:
    """Somebody's class beside the states: they are read by the inspector's own reader."""
    path = tmp_path / "namespace.pth"
    model = saved(path)
    whole = torch.load(path, weights_only=True)
    import argparse

    torch.save(whole | {"args": argparse.Namespace(lr=1)}, path)
    result = rehearsed(path, optimizer=OptimizerChoice(("optimizer",), "AdamW", (specs(model),)))
    assert result.stepped
    assert codes(result) == []


def test_through_a_worker_process(tmp_path: Path) -> None:
    path = tmp_path / "training.pth"
    model = model_of()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.1)
    train(model, optimizer, 3, scheduler)
    states = {"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}
    torch.save({"model": model.state_dict(), **states, "epoch": 2}, path)
    choice = SchedulerChoice(("scheduler",), "StepLR")
    asked = Rehearse(
        str(path),
        OptimizerChoice(("optimizer",), "SGD", (specs(model),)),
        choice,
        epoch=2,
        rates=Rates(str(path), choice, ("optimizer",), 4),
    )
    *_, last = events(asked)
    assert isinstance(last, Finished), last
    result = last.result
    assert isinstance(result, Rehearsed)
    assert result == end_of(rehearsing(asked))
    assert result.rate_curves is not None
    assert len(result.rate_curves.future[0]) == 4


def test_every_sentence_takes_its_arguments() -> None:
    assert all(sentence for sentence, _ in FINDINGS.values())
