"""`checkpoint-inspector training`: what it prints, its JSON, its exit statuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from inspector_app.cli import run

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(6, 6))
    groups = [
        {"params": [model[0].weight, model[1].weight], "weight_decay": 0.1},
        {"params": [model[0].bias, model[1].bias, model[2].bias], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=0.01)
    scheduler = lr_scheduler.StepLR(optimizer, 4)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.randn(8, 4)).pow(2).mean().backward()
        optimizer.step()
        scheduler.step()
    path = tmp_path_factory.mktemp("training") / "train.pth"
    saved = {
        "epoch": 2,
        "global_step": 3,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "best_acc": 0.5,
        "val_loss": float("nan"),
        "train_losses": [3.0, 2.0],
        "args": {"lr": 0.01, "batch_size": 8, "note": "\x1b[31mred"},
        "rng": torch.get_rng_state(),
    }
    torch.save(saved, path)
    return str(path)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("training") / "bare.pth"
    torch.save(nn.Linear(2, 2).state_dict(), path)
    return str(path)


def as_json(capsys: Capture, *arguments: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    status = run(["training", *arguments, "--json"])
    written = capsys.readouterr().out

    def refuse(token: str) -> None:
        raise AssertionError(f"{token} in JSON")

    return status, json.loads(written, parse_constant=refuse)


def as_text(capsys: Capture, *arguments: str) -> tuple[int, str]:
    capsys.readouterr()
    status = run(["training", *arguments])
    return status, capsys.readouterr().out


def test_json(checkpoint: str, capsys: Capture) -> None:
    status, found = as_json(capsys, checkpoint)
    assert status == 0
    assert found["schema"] == 1
    assert found["path"] == checkpoint
    assert found["epoch"] == {"name": "epoch", "value": 2, "path": ["epoch"], "file": ""}
    assert found["step"]["value"] == 3
    assert found["metrics"] == [
        {"name": "val_loss", "value": None, "path": ["val_loss"], "file": ""}
    ]
    assert found["best"][0]["value"] == 0.5
    assert found["histories"][0]["values"] == [3.0, 2.0]
    assert {row["name"] for row in found["config"]} == {"args/lr", "args/batch_size", "args/note"}
    (optimizer,) = found["optimizers"]
    assert optimizer["classes"] == ["AdamW"]
    assert [group["options"]["weight_decay"] for group in optimizer["param_groups"]] == [0.1, 0]
    assert optimizer["param_groups"][0]["options"]["betas"] == [0.9, 0.999]
    rows = optimizer["parameters"]
    assert [row["name"] for row in rows] == ["0.weight", None, "0.bias", "1.bias", "2.bias"]
    assert rows[1]["candidates"] == ["1.weight", "2.weight"]
    assert rows[1]["candidate_count"] == 2
    assert rows[0]["how"] == "shape"
    assert rows[0]["state"]["exp_avg"] == ["optimizer", "state", 0, "exp_avg"]
    (scheduler,) = found["schedulers"]
    assert scheduler["classes"] == ["StepLR"]
    assert scheduler["last_epoch"] == 3
    assert scheduler["future_known"] is True
    assert found["resumable"] is True
    assert found["values_checked"] is False
    assert {check["status"] for check in found["checks"]} <= {"ok", "note", "warning"}
    loaded = torch.load(checkpoint, weights_only=True)
    kept = [v for s in loaded["optimizer"]["state"].values() for v in s.values()]
    assert optimizer["nbytes"] == sum(tensor.nbytes for tensor in kept)
    assert optimizer["model_nbytes"] == sum(v.nbytes for v in loaded["model"].values())


def test_text(checkpoint: str, capsys: Capture) -> None:
    status, text = as_text(capsys, checkpoint, "--values")
    assert status == 0
    for part in (
        "optimizer AdamW (torch.optim): optimizer",
        "ambiguous: 1.weight or 2.weight",
        "(0.9, 0.999)",
        "scheduler StepLR",
        "next at step 4",
        "train_losses: 2 values, 3 … 2",
        "args/note        \\x1b[31mred",
        "AdamW; StepLR; epoch 2; global_step 3;",
        "All weights, and all that the optimizer keeps, are finite.",
        "It can be resumed.",
    ):
        assert part in text
    assert "\x1b" not in text


def test_quiet(checkpoint: str, capsys: Capture) -> None:
    _, text = as_text(capsys, checkpoint, "--quiet")
    assert text.startswith(checkpoint)
    assert "param group" not in text


def test_weights_alone_cannot_be_resumed(bare: str, capsys: Capture) -> None:
    status, text = as_text(capsys, bare)
    assert status == 1
    assert "weights, and nothing of a training" in text
    assert "FAILS" in text
    assert text.rstrip().endswith("It cannot be resumed as it was.")
    status, found = as_json(capsys, bare)
    assert status == 1
    assert found["resumable"] is False
    assert found["optimizers"] == []
    assert found["epoch"] is None


def test_values_that_are_not_finite(tmp_path: Path, checkpoint: str, capsys: Capture) -> None:
    saved = torch.load(checkpoint, weights_only=True)
    saved["model"]["0.bias"][0] = float("nan")
    torch.save(saved, tmp_path / "x.pth")
    assert run(["training", str(tmp_path / "x.pth"), "--quiet"]) == 0
    assert run(["training", str(tmp_path / "x.pth"), "--quiet", "--values"]) == 1
    assert "model/0.bias" in capsys.readouterr().out


def test_a_trainers_folder(tmp_path: Path, checkpoint: str, capsys: Capture) -> None:
    saved = torch.load(checkpoint, weights_only=True)
    torch.save(saved["model"], tmp_path / "pytorch_model.bin")
    torch.save(saved["optimizer"], tmp_path / "optimizer.pt")
    (tmp_path / "trainer_state.json").write_text('{"epoch": 1.5, "global_step": 3}')
    status, found = as_json(capsys, str(tmp_path))
    assert status == 0
    assert found["path"] == str(tmp_path / "pytorch_model.bin")
    assert found["epoch"]["file"] == "trainer_state.json"
    assert found["optimizers"][0]["file"] == "optimizer.pt"
    assert found["optimizers"][0]["parameters"][0]["name"] == "0.weight"


def test_trouble(tmp_path: Path, capsys: Capture) -> None:
    assert run(["training", str(tmp_path / "none.pth")]) == 2
    (tmp_path / "text.pth").write_text("hello")
    assert run(["training", str(tmp_path / "text.pth"), "--json"]) == 2
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.count("\n") == 2
    assert "none.pth: there is no such file" in written.err


def test_the_corpus(corpus: Path, capsys: Capture) -> None:
    for path in sorted(corpus.glob("*/*")):
        if path.suffix not in (".pth", ".pt", ".tar", ".ckpt", ".safetensors", ".model"):
            continue
        status, found = as_json(capsys, str(path))
        assert status == (0 if found["resumable"] else 1)
        assert found["checks"]
