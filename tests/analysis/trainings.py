"""Small trainings by torch: every optimizer and every scheduler, a few steps on."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import lr_scheduler

from inspector_app.analysis.training_state import TrainingState, training_state
from inspector_app.checkpoint import open_checkpoint

# Of Muon, which takes matrices alone, and of SparseAdam, which takes sparse gradients.
OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, nesterov=True),
    "Adam": lambda p: torch.optim.Adam(p, amsgrad=True),
    "AdamW": torch.optim.AdamW,
    "NAdam": torch.optim.NAdam,
    "RAdam": torch.optim.RAdam,
    "Adamax": torch.optim.Adamax,
    "Adadelta": torch.optim.Adadelta,
    "Adagrad": torch.optim.Adagrad,
    "RMSprop": lambda p: torch.optim.RMSprop(p, momentum=0.9, centered=True),
    "Rprop": torch.optim.Rprop,
    "ASGD": torch.optim.ASGD,
    "LBFGS": torch.optim.LBFGS,
    "SparseAdam": torch.optim.SparseAdam,
    "Adafactor": torch.optim.Adafactor,
    "Muon": torch.optim.Muon,
}

SCHEDULERS: dict[str, Callable[[torch.optim.Optimizer], Any]] = {
    "StepLR": lambda o: lr_scheduler.StepLR(o, 3),
    "MultiStepLR": lambda o: lr_scheduler.MultiStepLR(o, [2, 4]),
    "ExponentialLR": lambda o: lr_scheduler.ExponentialLR(o, 0.9),
    "ConstantLR": lr_scheduler.ConstantLR,
    "LinearLR": lr_scheduler.LinearLR,
    "PolynomialLR": lr_scheduler.PolynomialLR,
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, 10),
    "CosineAnnealingWarmRestarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 5),
    "CyclicLR": lambda o: lr_scheduler.CyclicLR(o, 0.01, 0.1),
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, 0.1, 10),
    "ReduceLROnPlateau": lr_scheduler.ReduceLROnPlateau,
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, lambda epoch: 0.9**epoch),
    "MultiplicativeLR": lambda o: lr_scheduler.MultiplicativeLR(o, lambda epoch: 0.9),
    "SequentialLR": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.ConstantLR(o), lr_scheduler.ExponentialLR(o, 0.9)], [2]
    ),
    "ChainedScheduler": lambda o: lr_scheduler.ChainedScheduler(
        [lr_scheduler.ConstantLR(o), lr_scheduler.ExponentialLR(o, 0.9)]
    ),
    "SWALR": lambda o: torch.optim.swa_utils.SWALR(o, 0.05),
}


def network() -> nn.Sequential:
    """Each shape of a parameter occurs once, but for the norm's."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 5), nn.Linear(5, 2)
    )


def trained(name: str, steps: int = 3) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A network and the optimizer `name`, after a few steps."""
    if name == "SparseAdam":
        model: nn.Module = nn.Embedding(5, 3, sparse=True)
        data = torch.tensor([1, 2])
    else:
        model, data = network(), torch.randn(8, 4)
    parameters = [p for p in model.parameters() if name != "Muon" or p.ndim == 2]
    optimizer = OPTIMIZERS[name](parameters)

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = model(data).pow(2).mean()
        value.backward()
        return value

    for _ in range(steps):
        loss()
        optimizer.step(loss if name == "LBFGS" else None)  # type: ignore[arg-type]
    return model, optimizer


def scheduled(name: str, steps: int = 3) -> tuple[torch.optim.Optimizer, Any]:
    """An optimizer of one parameter and the scheduler `name`, after a few steps."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(2))], lr=0.1, momentum=0.9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, of schedulers within schedulers
        scheduler = SCHEDULERS[name](optimizer)
        for _ in range(steps):
            optimizer.step()
            scheduler.step(*([1.0] if name == "ReduceLROnPlateau" else []))
    return optimizer, scheduler


def state_of(path: Path, value: Any) -> TrainingState:
    """What is found in a file with `value`."""
    torch.save(value, path)
    return training_state(open_checkpoint(path))
