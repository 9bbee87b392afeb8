"""Pairs of real checkpoints for the tests of comparisons, written by torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch


def layers(seed: int = 0) -> dict[str, torch.Tensor]:
    """A small model's state_dict: six layers, a head, one counter."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for layer in range(6):
        found[f"layers.{layer}.weight"] = torch.randn(8, 6, generator=generator)
        found[f"layers.{layer}.bias"] = torch.randn(8, generator=generator)
    found["head.weight"] = torch.randn(4, 8, generator=generator)
    found["head.num_batches_tracked"] = torch.tensor(7)
    return found


def training(model: dict[str, torch.Tensor], epoch: int, rate: float) -> dict[str, Any]:
    """A checkpoint of a training."""
    state = {number: {"exp_avg": torch.full((3,), 0.5)} for number in range(2)}
    groups = [{"lr": rate, "params": [0, 1]}]
    return {
        "epoch": epoch,
        "model_state_dict": model,
        "optimizer_state_dict": {"state": state, "param_groups": groups},
    }


def changed(model: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same with one of each status: layers 1 and 4 moved, 4 most."""
    other = {key: value.clone() for key, value in model.items()}
    other["layers.1.weight"][0, 0] += 0.25
    other["layers.4.weight"] *= 3
    other["head.weight"] = torch.zeros(5, 8)
    other["layers.2.bias"] = other["layers.2.bias"].double()
    del other["layers.3.bias"]
    other["extra.scale"] = torch.ones(2)
    return other


def save(folder: Path, name: str, content: Any) -> Path:
    """Write a file with torch."""
    path = folder / name
    torch.save(content, path)
    return path
