"""Schedulers are recognised by their states, and say what they do and what they do next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler
from trainings import SCHEDULERS, scheduled, state_of

from inspector_app.analysis.scheduler_state import SchedulerState

UNKNOWN = {"ReduceLROnPlateau", "LambdaLR", "MultiplicativeLR"}


def found_in(folder: Path, state: Any) -> SchedulerState:
    (found,) = state_of(folder / "x.pth", {"scheduler": state}).schedulers
    return found


def test_every_scheduler_of_torch_is_tried() -> None:
    made = {
        name
        for name, each in vars(lr_scheduler).items()
        if isinstance(each, type) and issubclass(each, lr_scheduler.LRScheduler)
    }
    assert made - {"LRScheduler", "_LRScheduler"} == set(SCHEDULERS) - {"SWALR"}


@pytest.mark.parametrize("name", SCHEDULERS)
def test_after_some_steps(name: str, tmp_path: Path) -> None:
    _, scheduler = scheduled(name)
    found = found_in(tmp_path, scheduler.state_dict())
    # The two keep the same: a list of functions.
    alike = ("LambdaLR", "MultiplicativeLR")
    assert found.names == (alike if name in alike else (name,))
    assert found.library.startswith("torch.optim.")
    assert found.last_epoch == 3
    assert found.rates == tuple(scheduler.get_last_lr())
    assert found.future == (name not in UNKNOWN)
    assert (found.why is None) == found.future
    assert found.words
    assert all("None" not in words.message for words in found.words)
    assert f"{found.rates[0]:.6g}" in found.words[-1].message


@pytest.mark.parametrize("name", SCHEDULERS)
def test_before_the_first_step_and_pickled(name: str, tmp_path: Path) -> None:
    _, scheduler = scheduled(name, steps=0)
    found = found_in(tmp_path, scheduler.state_dict())
    assert name in found.names
    assert found.words
    if name not in ("LambdaLR", "MultiplicativeLR"):  # a lambda cannot be pickled
        assert found_in(tmp_path, scheduler).names == (name,)


@pytest.mark.parametrize(
    ("name", "steps", "part"),
    [
        ("StepLR", 3, "next at step 6"),
        ("MultiStepLR", 3, "at the steps 2, 4 of the scheduler; next at 4"),
        ("MultiStepLR", 5, "all of them are behind"),
        ("ConstantLR", 6, "these are over"),
        ("LinearLR", 6, "these are over"),
        ("PolynomialLR", 5, "nothing more would be learned"),
        ("CosineAnnealingLR", 11, "rises again"),
        ("CosineAnnealingWarmRestarts", 7, "It is at 2 of 5"),
        ("OneCycleLR", 9, "another step raises an error"),
        ("CyclicLR", 3, "cycles of 4000 steps, 2000 of them up"),
        ("ReduceLROnPlateau", 3, "not improved on 1 for more than 10 steps"),
        ("SequentialLR", 3, "ConstantLR → ExponentialLR, changing at the steps 2. Now it is Exp"),
        ("ChainedScheduler", 3, "ConstantLR × ExponentialLR"),
    ],
)
def test_words(name: str, steps: int, part: str, tmp_path: Path) -> None:
    _, scheduler = scheduled(name, steps)
    found = found_in(tmp_path, scheduler.state_dict())
    assert part in " ".join(words.message for words in found.words)


def test_what_cannot_be_known(tmp_path: Path) -> None:
    _, plateau = scheduled("ReduceLROnPlateau", 4)
    found = found_in(tmp_path, plateau.state_dict())
    assert found.why is not None
    # The first of 4 was the best: 3 bad ones, and more than 10 are waited for.
    assert "after 8 more steps without an improvement" in found.why.message
    for _ in range(8):
        plateau.step(1.0)
    assert plateau.get_last_lr()[0] < 0.1
    _, functions = scheduled("LambdaLR")
    why = found_in(tmp_path, functions.state_dict()).why
    assert why is not None
    assert "the functions of LambdaLR or MultiplicativeLR are code" in why.message


def test_a_part_that_is_not_known(tmp_path: Path) -> None:
    optimizer, _ = scheduled("StepLR", 0)
    parts = [
        lr_scheduler.LambdaLR(optimizer, lambda epoch: 1.0),
        lr_scheduler.ConstantLR(optimizer),
    ]
    scheduler = lr_scheduler.SequentialLR(optimizer, parts, [5])
    found = found_in(tmp_path, scheduler.state_dict())
    assert not found.future
    assert found.why is not None
    assert "because of its LambdaLR or MultiplicativeLR" in found.why.message
    assert [part.names[0] for part in found.parts] == ["LambdaLR", "ConstantLR"]


def test_a_function_that_scales_cycles(tmp_path: Path) -> None:
    optimizer, _ = scheduled("StepLR", 0)
    scheduler = lr_scheduler.CyclicLR(optimizer, 0.01, 0.1, scale_fn=Halved())
    found = found_in(tmp_path, scheduler.state_dict())
    assert not found.future


class Halved:
    def __init__(self) -> None:
        self.by = 0.5

    def __call__(self, cycle: float) -> float:
        return self.by


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ({"num_lrs": 1, "current_step": 3, "base_lrs": [0.1], "last_epoch": -1}, ""),
        ({"base_lrs": [0.1], "last_epoch": 3, "gamma": 0.5, "warmup": 9}, ""),
        ({"step_size": 0, "gamma": 0.1, "base_lrs": [0.1], "last_epoch": 3}, "StepLR"),
        ({"milestones": "many", "gamma": 0.1, "base_lrs": [1], "last_epoch": 2}, "MultiStepLR"),
        ({"total_size": 1e308, "step_ratio": 1e308, "base_lrs": [1], "last_epoch": 2}, "CyclicLR"),
        ({"T_max": "x", "eta_min": [], "base_lrs": [1], "last_epoch": 10**40}, "CosineAnnealingLR"),
        (
            {
                "patience": 1 << 90,
                "num_bad_epochs": -(1 << 90),
                "cooldown_counter": float("nan"),
                "last_epoch": 2,
                "base_lrs": [torch.tensor(1.0)],
            },
            "ReduceLROnPlateau",
        ),
        ({"_schedulers": [], "_milestones": {}, "last_epoch": 1}, "SequentialLR"),
    ],
)
def test_odd_states_are_told(state: dict[str, Any], kind: str, tmp_path: Path) -> None:
    found = found_in(tmp_path, state)
    assert found.kind == kind
    for words in (*found.words, *([found.why] if found.why else [])):
        assert words.message
