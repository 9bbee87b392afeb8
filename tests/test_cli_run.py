"""`checkpoint-inspector run`: a run's checkpoints in text and JSON, and its exit statuses."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from inspector_app.cli import run

Capture = pytest.CaptureFixture[str]


def saved(path: Path, value: Any, age: float = 60.0) -> Path:
    torch.save(value, path)
    then = time.time() - age
    os.utime(path, (then, then))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for epoch in (10, 2, 1):
        weights = {"fc.weight": torch.full((2, 2), float(epoch)), "fc.bias": torch.ones(2)}
        state = {"epoch": epoch, "model": weights, "val_loss": abs(epoch - 2) / 10, "acc": 5.0}
        saved(tmp_path / f"model_{epoch}.pth", state)
    return tmp_path


def as_json(capsys: Capture, *arguments: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    status = run(["run", *arguments, "--json"])

    def refuse(token: str) -> None:
        raise AssertionError(f"{token} in JSON")

    return status, json.loads(capsys.readouterr().out, parse_constant=refuse)


def test_json(folder: Path, capsys: Capture) -> None:
    status, found = as_json(capsys, str(folder))
    assert status == 0
    assert found["schema"] == 1
    assert found["sorted_by"] == "epoch"
    assert [row["epoch"] for row in found["checkpoints"]] == [1, 2, 10]
    assert found["metric"] == "val_loss"
    assert found["best"] == str(folder / "model_2.pth")
    assert found["latest"] == str(folder / "model_10.pth")
    row = found["checkpoints"][0]
    assert row["name"] == "model_1.pth"
    assert row["state"] == "complete"
    assert row["metrics"] == {"val_loss": 0.1, "acc": 5.0}
    assert row["nbytes"] == (folder / "model_1.pth").stat().st_size
    assert {
        "name": "val_loss",
        "lower_is_better": True,
        "points": [[1, 0.1], [2, 0], [10, 0.8]],
    } in (found["curves"])
    assert found["drift"] is None


def test_drift(folder: Path, capsys: Capture) -> None:
    _, found = as_json(capsys, str(folder), "--drift")
    drift = found["drift"]
    assert drift["layers"] == ["fc"]
    first, second = drift["checkpoints"]
    # From (1, 1) to (2, 1) and (10, 1): a weight of four elements, a bias of two.
    assert first["from_first"] == pytest.approx((4 / 6) ** 0.5)
    assert second["from_first"] == pytest.approx((4 * 81 / 6) ** 0.5)
    assert second["layers_from_previous"][0] == pytest.approx((4 * 64 / 18) ** 0.5)
    run(["run", str(folder), "--drift"])
    text = capsys.readouterr().out
    assert "81.6 %" in text
    assert "moved most since the first checkpoint" in text


def test_text(folder: Path, capsys: Capture) -> None:
    assert run(["run", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["checkpoint", "epoch", "step", "val_loss", "acc", "size"]
    assert [line.split()[0] for line in lines[1:4]] == [f"model_{n}.pth" for n in (1, 2, 10)]
    assert lines[2].endswith("best")
    assert lines[3].endswith("latest")
    assert lines[-1].startswith("3 checkpoints, ")
    assert lines[-1].endswith("sorted by epoch; latest model_10.pth; best model_2.pth (val_loss 0)")
    run(["run", str(folder), "--quiet"])
    assert capsys.readouterr().out.count("\n") == 1


def test_another_metric(folder: Path, capsys: Capture) -> None:
    status, found = as_json(capsys, str(folder), "--metric", "acc")
    assert status == 0
    assert found["best"] == str(folder / "model_1.pth")
    assert run(["run", str(folder), "--metric", "f1"]) == 2
    assert "there is: val_loss, acc" in capsys.readouterr().err


def test_files_by_name(folder: Path, capsys: Capture) -> None:
    files = [str(folder / f"model_{epoch}.pth") for epoch in (10, 1)]
    _, found = as_json(capsys, *files)
    assert [row["epoch"] for row in found["checkpoints"]] == [1, 10]


def test_one_that_is_torn(folder: Path, capsys: Capture) -> None:
    torn = folder / "model_11.pth"
    torn.write_bytes((folder / "model_10.pth").read_bytes()[:700])
    status, found = as_json(capsys, str(folder))
    assert status == 1
    assert found["checkpoints"][-1]["state"] == "being written"
    then = time.time() - 11
    os.utime(torn, (then, then))
    status, found = as_json(capsys, str(folder))
    assert status == 1
    assert found["checkpoints"][-1]["state"] == "incomplete"
    assert found["checkpoints"][-1]["reason"]
    assert found["latest"] == str(folder / "model_10.pth")
    run(["run", str(folder)])
    assert "1 not complete" in capsys.readouterr().out


def test_one_that_was_written_just_now(folder: Path, capsys: Capture) -> None:
    saved(folder / "model_12.pth", {"epoch": 12}, age=0)
    status, found = as_json(capsys, str(folder))
    assert status == 0
    assert found["latest"] == str(folder / "model_12.pth")


def test_trouble(tmp_path: Path, capsys: Capture) -> None:
    assert run(["run", str(tmp_path)]) == 2
    assert "there is no checkpoint" in capsys.readouterr().err
    assert run(["run", str(tmp_path / "none")]) == 2
    assert "there is no such file or folder" in capsys.readouterr().err
