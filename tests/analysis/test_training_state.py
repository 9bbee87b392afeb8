"""Epoch, metrics, configuration, versions and parts, wherever scripts put them."""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn
from torch.optim import lr_scheduler
from trainings import network, state_of, trained

from inspector_app.analysis.resume_checklist import checklist
from inspector_app.analysis.training_figures import Figure, is_metric
from inspector_app.analysis.training_signs import trains
from inspector_app.analysis.training_state import TrainingState, training_state
from inspector_app.checkpoint import open_checkpoint


def values(figures: tuple[Figure, ...]) -> dict[str, Any]:
    return {figure.name: figure.value for figure in figures}


def test_a_script_of_its_own(tmp_path: Path) -> None:
    model, optimizer = trained("SGD")
    state = state_of(
        tmp_path / "x.pth",
        {
            "epoch": 7,
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "loss": torch.tensor(0.25),
            "val_acc": np.float32(0.5),
            "best_acc1": torch.tensor(81.5, dtype=torch.bfloat16),
            "metrics": {"f1": 0.75, "support": 40, "per_class": [0.5, 1.0]},
            "train_losses": [3.0, 2.0, 1.0],
            "iter_num": 700,
            "args": argparse.Namespace(lr=0.1, batch_size=32, epoch=90, layers=[1, 2], name="r18"),
            "torch_version": torch.__version__,
            "saved_at": "2026-01-02 03:04",
            "arch": "resnet18",
            "is_best": True,
        },
    )
    assert state.epoch == Figure("epoch", 7, ("epoch",))
    assert state.step == Figure("iter_num", 700, ("iter_num",))
    assert values(state.metrics) == {
        "loss": 0.25,
        "val_acc": 0.5,
        "metrics/f1": 0.75,
        "metrics/support": 40,
    }
    assert values(state.best) == {"best_acc1": 81.5}
    assert {h.name: h.values for h in state.histories} == {
        "train_losses": (3.0, 2.0, 1.0),
        "metrics/per_class": (0.5, 1.0),
    }
    assert values(state.facts) == {
        "torch_version": str(torch.__version__),
        "saved_at": "2026-01-02 03:04",
    }
    config = values(state.config)
    assert config["args/batch_size"] == 32
    assert config["args/epoch"] == 90
    assert config["args/layers"] == "[1, 2]"
    assert config["arch"] == "resnet18"
    assert config["is_best"] is True
    assert state.is_training


def test_nested_counters(tmp_path: Path) -> None:
    model = network().state_dict()
    saved = {
        "meta": {"epoch": 12, "iter": 1200, "mmengine_version": "0.10.4", "seed": 3},
        "state_dict": model,
        "message_hub": {"runtime_info": {"epoch": 99}},
    }
    state = state_of(tmp_path / "x.pth", saved)
    assert state.epoch is not None
    assert state.epoch.path == ("meta", "epoch")
    assert state.step is not None
    assert state.step.value == 1200
    assert state.framework == "MMEngine 0.10.4"


def test_counters_of_states_are_not_the_runs(tmp_path: Path) -> None:
    model, optimizer = trained("Adam")
    scheduler = lr_scheduler.StepLR(optimizer, 3)
    state = state_of(
        tmp_path / "x.pth",
        {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "scheduler": scheduler.state_dict(),
        },
    )
    assert state.epoch is None
    assert state.step is None
    assert state.config == ()


def test_lightning(tmp_path: Path) -> None:
    model, optimizer = trained("AdamW")
    callback = "ModelCheckpoint{'monitor': 'val_loss', 'mode': 'min'}"
    saved = {
        "epoch": 4,
        "global_step": 500,
        "pytorch-lightning_version": "2.5.1",
        "state_dict": model.state_dict(),
        "loops": {"fit_loop": {"epoch_progress": {"current": {"completed": 5}}}},
        "callbacks": {
            callback: {
                "monitor": "val_loss",
                "best_model_score": torch.tensor(0.125),
                "best_model_path": "epoch=3.ckpt",
                "best_k_models": {"epoch=3-val_loss=0.13.ckpt": torch.tensor(0.125)},
            }
        },
        "optimizer_states": [optimizer.state_dict()],
        "lr_schedulers": [lr_scheduler.StepLR(optimizer, 3).state_dict()],
        "hparams_name": "hparams",
        "hyper_parameters": {"lr": 0.01, "epoch": 9},
        "MixedPrecision": {
            "scale": 1024.0,
            "growth_factor": 2.0,
            "backoff_factor": 0.5,
            "growth_interval": 2000,
            "_growth_tracker": 12,
        },
    }
    state = state_of(tmp_path / "x.ckpt", saved)
    assert state.framework == "PyTorch Lightning 2.5.1"
    assert state.epoch is not None
    assert (state.epoch.value, state.step and state.step.value) == (4, 500)
    assert values(state.best) == {"callbacks/ModelCheckpoint/best_model_score": 0.125}
    assert state.metrics == ()
    words = {part.kind: part.words.message for part in state.parts}
    assert words["grad-scaler"].startswith("Scales the loss by 1024; 12 steps")
    assert words["callbacks"] == "ModelCheckpoint"
    assert words["loops"] == "fit_loop"
    assert [scheduler.kind for scheduler in state.schedulers] == ["StepLR"]
    assert [optimizer.kind for optimizer in state.optimizers] == ["AdamW"]


def test_parts(tmp_path: Path) -> None:
    rng = {
        "torch": torch.get_rng_state(),
        "numpy": np.random.get_state(),
        "python": random.getstate(),
    }
    model = network()
    average = {key: value.clone() for key, value in model.state_dict().items()}
    saved = {
        "model": model.state_dict(),
        "model_ema": average,
        "rng": rng,
        "scaler": {},
        "dataloader": {"_snapshot": {"x": 1}, "_steps_since_snapshot": 3, "_num_yielded": 9},
    }
    state = state_of(tmp_path / "x.pth", saved)
    words = {part.kind: part.words.message for part in state.parts}
    assert words["rng"] == "States of random number generators: torch CPU, NumPy, Python."
    assert words["grad-scaler"] == "A grad scaler that was switched off."
    assert "data-loader" in words
    assert [model.path for model in state.models] == [("model",)]
    assert [average.path for average in state.averages] == [("model_ema",)]


@pytest.fixture
def trainer(tmp_path: Path) -> Path:
    """A folder as Hugging Face's Trainer writes it."""
    folder = tmp_path / "checkpoint-30"
    folder.mkdir()
    model, optimizer = trained("AdamW")
    save_file(model.state_dict(), folder / "model.safetensors")
    torch.save(optimizer.state_dict(), folder / "optimizer.pt")
    scheduler = lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    torch.save(scheduler.state_dict(), folder / "scheduler.pt")
    torch.save(argparse.Namespace(seed=42, optim="adamw_torch"), folder / "training_args.bin")
    torch.save({"cpu": torch.get_rng_state()}, folder / "rng_state.pth")
    document = {
        "epoch": 1.5,
        "global_step": 30,
        "best_metric": 0.5,
        "max_steps": 90,
        "log_history": [
            {"step": 10, "epoch": 0.5, "loss": 2.0, "learning_rate": 1e-3},
            {"step": 20, "epoch": 1.0, "loss": 1.0, "learning_rate": 5e-4},
            {"step": 20, "epoch": 1.0, "eval_loss": 1.5, "eval_runtime": 3.0},
        ],
    }
    (folder / "trainer_state.json").write_text(json.dumps(document))
    return folder


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.pt"])
def test_hugging_face(trainer: Path, name: str) -> None:
    state = training_state(open_checkpoint(trainer / name))
    assert state.framework == "Hugging Face Trainer"
    assert state.epoch is not None
    assert state.epoch == Figure(
        "epoch", 1.5, ("trainer_state.json", "epoch"), "trainer_state.json"
    )
    assert state.step is not None
    assert state.step.value == 30
    assert values(state.best) == {"best_metric": 0.5}
    assert values(state.metrics) == {"loss": 1.0, "eval_loss": 1.5}
    histories = {history.name: history for history in state.histories}
    assert histories["loss"].values == (2.0, 1.0)
    assert histories["loss"].steps == (10, 20)
    assert histories["learning_rate"].values == (1e-3, 5e-4)
    assert "eval_runtime" not in histories
    (optimizer,) = state.optimizers
    assert optimizer.entries[0].named.name == "0.weight"
    assert optimizer.kind == "AdamW"
    assert [scheduler.kind for scheduler in state.schedulers] == ["LambdaLR or MultiplicativeLR"]
    assert any(figure.name == "seed" and figure.value == 42 for figure in state.config)
    assert {part.kind for part in state.parts} == {"rng"}
    assert checklist(state).resumable


def test_accelerate(tmp_path: Path) -> None:
    model, optimizer = trained("AdamW")
    scheduler = lr_scheduler.StepLR(optimizer, 3)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    torch.save(optimizer.state_dict(), tmp_path / "optimizer.bin")
    torch.save(scheduler.state_dict(), tmp_path / "scheduler.bin")
    states = {
        "step": 3,
        "random_state": random.getstate(),
        "torch_manual_seed": torch.get_rng_state(),
    }
    torch.save(states, tmp_path / "random_states_0.pkl")
    state = training_state(open_checkpoint(tmp_path / "model.safetensors"))
    assert state.framework == "Hugging Face Accelerate"
    assert state.files == ("optimizer.bin", "random_states_0.pkl", "scheduler.bin")
    assert [each.kind for each in state.optimizers] == ["AdamW"]
    assert [each.kind for each in state.schedulers] == ["StepLR"]
    assert state.step is not None
    assert state.step.value == 3
    assert {part.kind for part in state.parts} == {"rng"}
    assert checklist(state).resumable


def test_what_others_write(tmp_path: Path) -> None:
    """The keys of scripts and libraries that many people use."""
    model, optimizer = trained("AdamW")
    weights, kept = model.state_dict(), optimizer.state_dict()
    layouts: dict[str, tuple[dict[str, Any], str, Any, Any, dict[str, Any], str]] = {
        "ImageNet": (
            {
                "epoch": 3,
                "arch": "resnet18",
                "state_dict": weights,
                "optimizer": kept,
                "best_acc1": torch.tensor(70.5),
            },
            "",
            3,
            None,
            {"best_acc1": 70.5},
            "state_dict",
        ),
        "nanoGPT": (
            {
                "model": {f"_orig_mod.{key}": value for key, value in weights.items()},
                "optimizer": kept,
                "model_args": {"n_layer": 2, "block_size": 8},
                "iter_num": 3,
                "best_val_loss": torch.tensor(1.5),
                "config": {"compile": True},
            },
            "",
            None,
            3,
            {"best_val_loss": 1.5},
            "model",
        ),
        "Ultralytics": (
            {
                "epoch": 4,
                "best_fitness": 0.5,
                "model": model,
                "ema": None,
                "updates": 9,
                "optimizer": kept,
                "train_args": {"lr0": 0.01},
                "version": "8.3.0",
            },
            "Ultralytics 8.3.0",
            4,
            None,
            {"best_fitness": 0.5},
            "model",
        ),
        "fairseq": (
            {
                "model": weights,
                "optimizer_history": [{"num_updates": 3}],
                "extra_state": {"train_iterator": {"epoch": 2}},
                "last_optimizer_state": kept,
            },
            "fairseq",
            2,
            3,
            {},
            "model",
        ),
        "Ignite": (
            {"model": weights, "optimizer": kept, "trainer": {"iteration": 30, "max_epochs": 5}},
            "",
            None,
            30,
            {},
            "model",
        ),
        "torchtune": (
            {"model": weights, "optimizer": kept, "epochs_run": 2, "total_epochs": 5},
            "torchtune",
            2,
            None,
            {},
            "model",
        ),
    }
    for saved, framework, epoch, step, best, place in layouts.values():
        state = state_of(tmp_path / "x.pth", saved)
        assert state.framework == framework
        assert (state.epoch and state.epoch.value) == epoch
        assert (state.step and state.step.value) == step
        assert values(state.best) == best
        assert [found.name for found in state.models] == [place]
        assert state.optimizers[0].kind == "AdamW"
        assert all(entry.named.name for entry in state.optimizers[0].entries)


def test_what_lies_beside_may_be_broken(trainer: Path) -> None:
    (trainer / "trainer_state.json").write_text("{")
    state = training_state(open_checkpoint(trainer / "model.safetensors"))
    assert state.framework == ""
    assert not state.is_training
    (trainer / "trainer_state.json").write_text('{"epoch": "two", "log_history": {"a": 1}}')
    (trainer / "optimizer.pt").write_bytes(b"nonsense")
    state = training_state(open_checkpoint(trainer / "model.safetensors"))
    assert state.epoch is None
    assert state.optimizers == ()
    (trainer / "trainer_state.json").write_text("[" * 100_000)
    assert training_state(open_checkpoint(trainer / "model.safetensors")).files == ()


def test_weights_alone(tmp_path: Path) -> None:
    state = state_of(tmp_path / "x.pth", network().state_dict())
    assert not state.is_training
    assert len(state.models) == 1
    assert not trains(open_checkpoint(tmp_path / "x.pth"))


def test_it_is_seen_at_once(tmp_path: Path) -> None:
    _, optimizer = trained("SGD", steps=1)
    torch.save({"x": optimizer.state_dict()}, tmp_path / "x.pth")
    assert trains(open_checkpoint(tmp_path / "x.pth"))
    torch.save({"epoch": 1}, tmp_path / "x.pth")
    assert trains(open_checkpoint(tmp_path / "x.pth"))


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("loss", True),
        ("valLoss", True),
        ("eval/top5", True),
        ("best_f1", True),
        ("mIoU", True),
        ("R2", True),
        ("loss_scale", False),
        ("loss_weight", False),
        ("losses_dir", False),
        ("accumulate", False),
        ("learning_rate", False),
        ("loss_fn", False),
        ("error_threshold", False),
    ],
)
def test_what_is_a_metric(name: str, metric: bool) -> None:
    assert is_metric(name) == metric


def test_odd_values(tmp_path: Path) -> None:
    state = state_of(
        tmp_path / "x.pth",
        {
            "epoch": 10**50,
            "step": True,
            "loss": float("nan"),
            "acc": complex(1, 2),
            "score": torch.tensor([1.0, 2.0]),
            "val_loss": torch.tensor(3, dtype=torch.int64),
            "config": {"big": 10**60, "text": "x" * 10_000, "raw": b"ab", "none": None},
            "losses": [float("inf"), 1.0],
        },
    )
    assert state.epoch is None
    assert state.step is None
    found = values(state.metrics)
    assert found.pop("loss") != found.get("loss")
    assert found == {"val_loss": 3}
    config = values(state.config)
    assert config["config/big"] == "an integer of 200 bits"
    assert len(config["config/text"]) == 2_000
    assert config["config/none"] is None
    assert state.histories[0].values == (float("inf"), 1.0)


def test_many_rows_are_cut(tmp_path: Path) -> None:
    state = state_of(tmp_path / "x.pth", {"config": {f"k{n}": n for n in range(6_000)}})
    assert state.cut
    assert len(state.config) == 5_000


TREES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([torch.ones(()), torch.ones(2, 3), torch.zeros(5, dtype=torch.uint8)]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                "state param_groups params lr betas step exp_avg epoch loss best metrics "
                "last_epoch _schedulers base_lrs scale growth_factor callbacks loops model "
                "weight".split()
            )
            | st.integers(0, 3),
            inner,
            max_size=5,
        )
    ),
    max_leaves=24,
)


@given(TREES)
def test_whatever_lies_in_a_file(tmp_path_factory: pytest.TempPathFactory, tree: Any) -> None:
    """Nothing that a file has breaks the reading, nor the checks."""
    path = tmp_path_factory.getbasetemp() / "any.pth"
    torch.save({"a": tree, "optimizer": {"state": tree, "param_groups": tree}}, path)
    state: TrainingState = training_state(open_checkpoint(path))
    found = checklist(state, values=True)
    assert found.checks
    for check in found.checks:
        assert check.words.message
    for scheduler in state.schedulers:
        for words in scheduler.words:
            assert words.message


def test_a_module_is_a_model(tmp_path: Path) -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    state = state_of(tmp_path / "x.pth", {"model": model, "o": optimizer.state_dict()})
    assert isinstance(model, nn.Module)
    names = [name for name, _ in model.named_parameters()]
    assert [entry.named.name for entry in state.optimizers[0].entries] == names
