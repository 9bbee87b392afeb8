"""The bundled sample checkpoints are what they say: a real network that was really trained."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch

from inspector_app.resources_path import resource

SCRIPT = Path(__file__).resolve().parent.parent / "packaging" / "make_samples.py"


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_samples", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load(path: Path) -> dict:
    return torch.load(path, weights_only=True, map_location="cpu")


def accuracy_of(maker: ModuleType, state: dict, config: dict) -> float:
    model = maker.DigitsCNN(
        config["channels"], config["classes"], config["image_size"], config["dropout"]
    )
    model.load_state_dict(state)
    # A seed that the training never saw.
    images, labels = maker.generate_digits(1000, config["image_size"], seed=1234)
    return maker.evaluate(model, images, labels)[1]


def test_all_samples_together_are_small(samples: Path) -> None:
    sizes = [path.stat().st_size for path in samples.iterdir()]
    assert len(sizes) == 3
    assert sum(sizes) < 1_000_000


@pytest.mark.parametrize("epoch", [2, 4])
def test_a_training_checkpoint_reaches_the_accuracy_it_states(
    maker: ModuleType, samples: Path, epoch: int
) -> None:
    checkpoint = load(samples / f"digits_cnn_epoch_{epoch}.pth")
    assert checkpoint["epoch"] == epoch == len(checkpoint["history"]["accuracy"])
    assert checkpoint["accuracy"] > 0.98
    accuracy = accuracy_of(maker, checkpoint["model_state_dict"], checkpoint["config"])
    assert accuracy == pytest.approx(checkpoint["accuracy"], abs=0.015)


def test_a_sample_resumes(maker: ModuleType, samples: Path) -> None:
    checkpoint = load(samples / "digits_cnn_epoch_2.pth")
    config = checkpoint["config"]
    model = maker.DigitsCNN(
        config["channels"], config["classes"], config["image_size"], config["dropout"]
    )
    model.load_state_dict(checkpoint["model_state_dict"])
    optimizer = torch.optim.AdamW(model.parameters())
    optimizer.load_state_dict(checkpoint["optimizer_state_dict"])
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=1)
    scheduler.load_state_dict(checkpoint["scheduler_state_dict"])
    assert scheduler.last_epoch == checkpoint["global_step"]
    images, labels = maker.generate_digits(256, config["image_size"], seed=5)
    random_state = torch.get_rng_state()
    try:
        torch.set_rng_state(checkpoint["rng_state"])
        loss = maker.train_epoch(model, optimizer, scheduler, images, labels)
    finally:
        torch.set_rng_state(random_state)
    assert loss < 0.3


def test_the_data_parallel_sample_has_the_weights_of_the_last_epoch(samples: Path) -> None:
    parallel = load(samples / "digits_cnn_data_parallel.pth")
    last = load(samples / "digits_cnn_epoch_4.pth")["model_state_dict"]
    assert list(parallel) == [f"module.{key}" for key in last]
    assert all(torch.equal(parallel[f"module.{key}"], value) for key, value in last.items())


def test_a_resource_that_is_not_there_is_named() -> None:
    assert resource("samples").is_dir()
    with pytest.raises(FileNotFoundError, match="samples/none"):
        resource("samples", "none")
