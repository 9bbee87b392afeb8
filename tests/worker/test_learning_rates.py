"""The learning rate that was and that comes, against torch's schedulers stepped by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler as of_torch

from inspector_app.worker.learning_rates import looking_ahead
from inspector_app.worker.rehearsal_findings import finding_sentence
from inspector_app.worker.rehearsal_protocol import RateCurves, Rates, SchedulerChoice

Make = Callable[[torch.optim.Optimizer], Any]
SCHEDULERS: dict[str, Make] = {
    "StepLR": lambda o: of_torch.StepLR(o, 4, 0.3),
    "MultiStepLR": lambda o: of_torch.MultiStepLR(o, [3, 9, 9, 20], 0.5),
    "ConstantLR": lambda o: of_torch.ConstantLR(o, 0.25, 9),
    "LinearLR": lambda o: of_torch.LinearLR(o, 0.1, 1.0, 12),
    "ExponentialLR": lambda o: of_torch.ExponentialLR(o, 0.9),
    "PolynomialLR": lambda o: of_torch.PolynomialLR(o, 15, 2.0),
    "CosineAnnealingLR": lambda o: of_torch.CosineAnnealingLR(o, 10, 1e-4),
    "CosineAnnealingWarmRestarts": lambda o: of_torch.CosineAnnealingWarmRestarts(o, 3, 2, 1e-5),
    "OneCycleLR": lambda o: of_torch.OneCycleLR(o, [0.2, 0.02], total_steps=30, pct_start=0.4),
    "OneCycleLR linear": lambda o: of_torch.OneCycleLR(
        o, 0.2, total_steps=30, anneal_strategy="linear", three_phase=True, div_factor=10
    ),
    "CyclicLR": lambda o: of_torch.CyclicLR(o, 0.01, 0.1, 4, 6, mode="triangular2"),
    "CyclicLR exp": lambda o: of_torch.CyclicLR(
        o, [0.01, 0.02], 0.1, 5, mode="exp_range", gamma=0.99
    ),
    "SequentialLR": lambda o: of_torch.SequentialLR(
        o, [of_torch.LinearLR(o, 0.1, 1.0, 5), of_torch.CosineAnnealingLR(o, 12)], [5]
    ),
    "ChainedScheduler": lambda o: of_torch.ChainedScheduler(
        [of_torch.ConstantLR(o, 0.1, 4), of_torch.ExponentialLR(o, 0.95)]
    ),
}
PARTS = {
    "SequentialLR": ("LinearLR", "CosineAnnealingLR"),
    "ChainedScheduler": ("ConstantLR", "ExponentialLR"),
}
AT, AHEAD = 7, 16


def optimizer_of(kind: str = "SGD") -> torch.optim.Optimizer:
    groups = [
        {"params": [torch.nn.Parameter(torch.zeros(2))], "lr": 0.1},
        {"params": [torch.nn.Parameter(torch.zeros(3))], "lr": 0.01},
    ]
    if kind == "SGD":
        return torch.optim.SGD(groups, momentum=0.9)
    return torch.optim.AdamW(groups)


def rates(optimizer: torch.optim.Optimizer) -> list[float]:
    return [float(group["lr"]) for group in optimizer.param_groups]


def end_of(work: Generator[Any, None, Any]) -> RateCurves:
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def curves_of(path: Path, name: str, states: dict[str, Any], ahead: int = AHEAD) -> RateCurves:
    torch.save(states, path)
    parts = tuple(
        SchedulerChoice(("scheduler", "_schedulers", index), part)
        for index, part in enumerate(PARTS.get(name, ()))
    )
    choice = SchedulerChoice(("scheduler",), name, parts)
    has = ("optimizer",) if "optimizer" in states else None
    return end_of(looking_ahead(Rates(str(path), choice, has, ahead)))


@pytest.mark.filterwarnings("ignore:.*lr_scheduler.*")
@pytest.mark.parametrize("optimizer_kind", ["SGD", "AdamW"])
@pytest.mark.parametrize("kind", SCHEDULERS)
def test_as_torch_stepped_by_hand(kind: str, optimizer_kind: str, tmp_path: Path) -> None:
    optimizer = optimizer_of(optimizer_kind)
    scheduler = SCHEDULERS[kind](optimizer)
    seen = [rates(optimizer)]
    for _ in range(AT):
        optimizer.step()
        scheduler.step()
        seen.append(rates(optimizer))
    states = {"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}
    curves = curves_of(tmp_path / "x.pth", kind.split(maxsplit=1)[0], states)
    for _ in range(AHEAD):
        scheduler.step()
        seen.append(rates(optimizer))

    assert curves.findings == ()
    assert curves.at == AT
    assert [list(each) for each in zip(*curves.past, strict=True)] == seen[: AT + 1]
    assert [list(each) for each in zip(*curves.future, strict=True)] == seen[AT + 1 :]


def test_one_cycle_ends_with_its_last_step(tmp_path: Path) -> None:
    optimizer = optimizer_of()
    scheduler = of_torch.OneCycleLR(optimizer, 0.1, total_steps=10)
    optimizer.step()
    scheduler.step()
    states = {"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}
    curves = curves_of(tmp_path / "x.pth", "OneCycleLR", states, ahead=500)
    assert len(curves.past[0]) + len(curves.future[0]) == 10
    suggested = curves_of(tmp_path / "x.pth", "OneCycleLR", states, ahead=0)
    assert suggested.future == curves.future


def test_functions_of_the_script_cannot_be_known(tmp_path: Path) -> None:
    optimizer = optimizer_of()
    scheduler = of_torch.LambdaLR(optimizer, lambda step: 0.9**step)
    states = {"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}
    curves = curves_of(tmp_path / "x.pth", "LambdaLR", states)
    assert (curves.past, curves.future) == ((), ())
    (finding,) = curves.findings
    assert "LambdaLR" in finding_sentence(finding.code, finding.details)


def test_plateau_is_drawn_as_if_the_metric_never_improved(tmp_path: Path) -> None:
    optimizer = optimizer_of()
    scheduler = of_torch.ReduceLROnPlateau(optimizer, factor=0.5, patience=2, cooldown=1)
    for metric in (1.0, 0.5, 0.7):
        scheduler.step(metric)
    states = {"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}
    curves = curves_of(tmp_path / "x.pth", "ReduceLROnPlateau", states)
    expected = []
    for _ in range(AHEAD):
        scheduler.step(math.inf)
        expected.append(rates(optimizer))
    assert [list(each) for each in zip(*curves.future, strict=True)] == expected
    assert curves.assumption == "no-improvement"
    assert curves.past == ()
    assert [each.code for each in curves.findings] == ["needs-metric"]


def test_rate_that_was_changed_by_hand(tmp_path: Path) -> None:
    optimizer = optimizer_of()
    scheduler = of_torch.CosineAnnealingLR(optimizer, 10)
    optimizer.step()
    scheduler.step()
    optimizer.param_groups[0]["lr"] = 0.5
    states = {"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}
    curves = curves_of(tmp_path / "x.pth", "CosineAnnealingLR", states)
    assert curves.past == ()
    assert [each.code for each in curves.findings] == ["past-unknown"]
    scheduler.step()
    assert [each[0] for each in curves.future] == rates(optimizer)


def test_scheduler_without_its_optimizer(tmp_path: Path) -> None:
    optimizer = optimizer_of()
    scheduler = of_torch.StepLR(optimizer, 2, 0.1)
    for _ in range(3):
        optimizer.step()
        scheduler.step()
    curves = curves_of(tmp_path / "x.pth", "StepLR", {"scheduler": scheduler.state_dict()}, 4)
    assert curves.past[0] == (0.1, 0.1, 0.1 * 0.1, 0.1 * 0.1)
    assert len(curves.future) == 2
    assert curves.findings == ()


def test_damaged_state_is_a_finding(tmp_path: Path) -> None:
    curves = curves_of(tmp_path / "x.pth", "StepLR", {"scheduler": {"last_epoch": 3, "gamma": 0.5}})
    assert [each.code for each in curves.findings] == ["scheduler-fails"]
