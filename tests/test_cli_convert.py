"""`checkpoint-inspector convert`: what it writes, what it says, its exit statuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from inspector_app.cli import run
from tests.checkpoint import torch_files

Capture = pytest.CaptureFixture[str]
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def training(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    model = nn.DataParallel(nn.Sequential(nn.Linear(40, 30), nn.BatchNorm1d(30)))
    optimizer = torch.optim.Adam(model.parameters())
    sum(parameter.sum() for parameter in model.parameters()).backward()
    optimizer.step()
    path = tmp_path / "run.pth"
    torch.save({"epoch": 3, "model": model.state_dict(), "optimizer": optimizer.state_dict()}, path)
    return path


def said(capsys: Capture, *arguments: object) -> tuple[int, str, str]:
    capsys.readouterr()
    status = run(["convert", *map(str, arguments)])
    written = capsys.readouterr()
    return status, written.out, written.err


def load(path: Path) -> Any:
    return torch.load(path, weights_only=True)


def test_a_training_becomes_weights_alone(training: Path, tmp_path: Path, capsys: Capture) -> None:
    target = tmp_path / "w.safetensors"
    status, out, _ = said(capsys, training, target, "--strip-prefix", "module.")
    assert status == 0
    model = load(training)["model"]
    after = safetensors.torch.load_file(target)
    assert {f"module.{key}" for key in after} == set(model)
    assert all(torch.equal(after[key], model[f"module.{key}"]) for key in after)
    assert f"{target}: 7 tensors" in out
    assert "smaller than" in out
    assert "optimizer (12 tensors, 10.3 kB): it was not chosen" in out


def test_json_tells_all(training: Path, tmp_path: Path, capsys: Capture) -> None:
    target = tmp_path / "w.pth"
    arguments = (training, target, "--section", "model", "--dtype", "bf16", "--json")
    status, out, _ = said(capsys, *arguments)
    assert status == 0
    told = json.loads(out)
    assert told["schema"] == 1
    assert told["file_bytes"] == target.stat().st_size
    assert told["files"] == [str(target)]
    assert told["source_bytes"] == training.stat().st_size
    assert {each["name"]: each["dtype"] for each in told["tensors"]}["module.0.bias"] == "bfloat16"
    assert {each["name"] for each in told["left"]} == {"epoch", "optimizer"}
    assert all(each["chosen"] for each in told["left"])
    assert told["tensors"][0]["source"] == "model/module.0.weight"
    assert load(target)["module.0.weight"].dtype == torch.bfloat16


def test_a_dry_run_writes_nothing(training: Path, tmp_path: Path, capsys: Capture) -> None:
    before = sorted(os.listdir(tmp_path))
    status, out, _ = said(capsys, training, tmp_path / "w.npz", "--dry-run")
    assert status == 0
    assert "would be written, about" in out
    assert sorted(os.listdir(tmp_path)) == before


def test_options_may_stand_anywhere(training: Path, tmp_path: Path, capsys: Capture) -> None:
    target = tmp_path / "w.pth"
    assert said(capsys, "--section", "model", training, "--quiet", target, "--force")[0] == 0
    assert set(load(target)) == set(load(training)["model"])
    assert said(capsys, training, "--drop", "opt*", target, "--force")[0] == 0
    assert list(load(target)) == ["epoch", "model"]


def test_nothing_is_replaced_without_force(training: Path, tmp_path: Path, capsys: Capture) -> None:
    target = tmp_path / "w.pth"
    target.write_bytes(b"mine")
    status, out, err = said(capsys, training, target)
    assert (status, out) == (2, "")
    assert err == f"checkpoint-inspector: {target}: there is such a file already\n"
    assert target.read_bytes() == b"mine"
    assert said(capsys, training, target, "--force")[0] == 0
    assert load(target)["epoch"] == 3


def test_the_best_lies_beside(training: Path, tmp_path: Path, capsys: Capture) -> None:
    assert said(capsys, training, "--best")[0] == 0
    assert load(tmp_path / "run_best.pth")["epoch"] == 3
    assert said(capsys, training, "--best")[0] == 2


def test_averages(tmp_path: Path, capsys: Capture) -> None:
    for number in range(3):
        torch.save({"a.weight": torch.full((3,), float(number))}, tmp_path / f"{number}.pth")
    sources = [tmp_path / f"{number}.pth" for number in range(3)]
    target = tmp_path / "mean.pth"
    for option, wanted in (
        (["--average"], 1.0),
        (["--weights", "0,1,3"], 1.75),
        (["--ema-decay", "0.5"], 1.25),
    ):
        assert said(capsys, *sources, target, *option, "--force")[0] == 0
        assert load(target)["a.weight"].tolist() == [wanted] * 3
    status, _, err = said(capsys, *sources, target)
    assert status == 2
    assert "several SRC become one by --average" in err


def test_shards(training: Path, tmp_path: Path, capsys: Capture) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    arguments = (training, folder / "m.safetensors", "--max-shard-size", "3kB")
    status, out, _ = said(capsys, *arguments)
    assert status == 0
    assert "m.safetensors.index.json: 7 tensors" in out
    assert "in 2 files" in out
    assert len(list(folder.glob("m-*-of-00002.safetensors"))) == 2
    assert said(capsys, folder, tmp_path / "back.pth")[0] == 0
    assert set(load(tmp_path / "back.pth")) == set(load(training)["model"])


def test_lost_tensors_are_something_found(tmp_path: Path, capsys: Capture) -> None:
    value = {"a.weight": torch.ones(2).bfloat16(), "b.weight": torch.ones(2), "n": np.float64(2)}
    torch.save(value, tmp_path / "a.pth")
    status, out, _ = said(capsys, tmp_path / "a.pth", tmp_path / "b.npz")
    assert status == 1
    assert "not written:" in out
    assert "a.weight (1 tensor, 4 B): the file cannot hold its dtype (strided bfloat16)" in out
    assert said(capsys, tmp_path / "a.pth", tmp_path / "b.npz", "--quiet", "--force")[0] == 1


def test_what_overflows_is_told(tmp_path: Path, capsys: Capture) -> None:
    torch.save({"a.weight": torch.tensor([1.0, 1e6, float("inf")])}, tmp_path / "a.pth")
    arguments = (tmp_path / "a.pth", tmp_path / "b.pth", "--dtype", "a.*=float16")
    status, out, _ = said(capsys, *arguments)
    assert status == 0
    assert "a.weight: 1 finite values are too large for float16" in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere.pth", "x.pth"], "nowhere.pth: there is no such file"),
        (["{run}", "x.bmp"], "its ending says no form that is written"),
        (["{run}"], "name what to write: convert SRC DST"),
        (["{run}", "x.pth", "--section", "nothing"], "no such part; parts are model at model"),
        (["{run}", "x.pth", "--section", "ema"], "no part of this kind"),
        (["{run}", "x.pth", "--map", "a"], "a rule is written REGEX=>REPLACEMENT"),
        (["{run}", "x.pth", "--map", "(=>x"], "--map (=>x"),
        (["{run}", "x.pth", "--dtype", "int8"], "int8 is no dtype to cast to"),
        (["{run}", "x.safetensors", "--max-shard-size", "many"], "write a size such as 5GB"),
        (["{run}", "x.pth", "--max-shard-size", "5GB"], "a shard size is only for .safetensors"),
        (["{run}", "x.pth", "--average"], "to average, name two files or more"),
        (["{run}", "x.pth", "--weights", "a"], "--weights are numbers"),
        (["{run}", "x.pth", "--average", "--ema-decay", "1"], "one is enough"),
        (["{run}", "x.pth", "--ema"], "no moving average"),
        (["{run}", "x.pth", "--best"], "--best takes one SRC"),
        (["{run}", "x.pth", "--drop", "*"], "nothing would be left to write"),
    ],
)
def test_trouble_is_one_sentence(
    training: Path, tmp_path: Path, capsys: Capture, arguments: list[str], sentence: str
) -> None:
    given = [str(tmp_path / each) if "." in each[-8:-2] else each for each in arguments]
    given = [str(training) if each == "{run}" else each for each in given]
    status, out, err = said(capsys, *given)
    assert (status, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1
    assert sorted(os.listdir(tmp_path)) == ["run.pth"]


def test_no_torch_and_no_qt_are_needed(training: Path, tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from inspector_app.cli import run\n"
        f"status = run(['convert', {str(training)!r}, {str(tmp_path / 'x.safetensors')!r},"
        " '--dtype', 'bf16', '--strip-prefix', 'module.', '--quiet'])\n"
        "wrong = {'torch', 'PySide6', 'safetensors', 'numba'} & set(sys.modules)\n"
        "sys.exit(status or (str(wrong) if wrong else 0))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_files_of_other_people(corpus: Path, tmp_path: Path, capsys: Capture) -> None:
    """Whatever it was, the result loads with weights_only, and has the same tensors."""
    written = 0
    for path in sorted(corpus.glob("*/*")):
        target = tmp_path / f"{written}.pth"
        status, _, err = said(capsys, path, target, "--device", "cpu", "--quiet")
        if status == 2:
            assert err.count("\n") == 1
            assert not target.exists()
            continue
        with torch_files.prototypes():
            load(target)
        written += 1
    assert written > 20
