"""``quantize``: the command, its words and its exit statuses. The workers are real."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from inspector_app.__main__ import main

SOURCE = """
from torch import nn
print("imported")
class Net(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.first, self.last = nn.Linear(8, width), nn.Linear(width, 3)
    def forward(self, x):
        return self.last(self.first(x).relu())
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A training checkpoint of DataParallel, its source and data beside it."""
    import numpy

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    torch.manual_seed(0)
    first, last = torch.nn.Linear(8, 32), torch.nn.Linear(32, 3)
    state = {f"module.first.{key}": each for key, each in first.state_dict().items()}
    state |= {f"module.last.{key}": each for key, each in last.state_dict().items()}
    torch.save({"epoch": 3, "model": state, "optimizer": {"state": {}}}, "run.pth")
    (tmp_path / "net.py").write_text(SOURCE)
    x = torch.randn(60, 8)
    numpy.savez("data.npz", x=x.numpy(), labels=(torch.arange(60) % 3).numpy())
    return tmp_path


def left(folder: Path) -> set[str]:
    own = {"__pycache__", "run.pth", "net.py", "data.npz"}
    return {each.name for each in folder.iterdir()} - own


MODEL = ["--model", "net.py:Net"]
DATA = ["--calibration", "data.npz"]


# Of torch.ao.quantization, which the loading code uses.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_file_is_written_measured_and_said(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reports = ["--report", "a.json", "--report", "a.html"]
    arguments = ["quantize", "run.pth", "out.pth", "--method", "static", *MODEL, *DATA, *reports]
    assert main(arguments) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "imported" not in said.out
    for text in (
        "2 of 2 layers quantized",
        "calibrated with 48 samples",
        "measured on 12 of 60 samples: 2, 7, 12, 17, 22, … 57",
        "the same class",
        "accuracy ",
        "peak memory of loading and running ",
        f"{folder / 'out.pth'}: ",
    ):
        assert text in said.out
    assert left(folder) == {"out.pth", "a.json", "a.html"}
    report = json.loads(Path("a.json").read_text())
    assert report["method"]["engine"] == "fx"
    assert report["measured"]["outputs"][0]["agreement"] is not None
    assert report["quantized"]["ratio"] > 0
    assert "static int8" in Path("a.html").read_text().lower()
    names: dict[str, object] = {}
    exec(report["quantized"]["loading_code"], names)
    assert names["model"](torch.zeros(5, 8)).shape == (5, 3)


def test_json_of_onnx_with_a_layer_left(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["quantize", "run.pth", "out.onnx", "--method", "onnx-dynamic", *MODEL]
    arguments += ["--input", "x:2,8", "--dynamic", "x:0=batch", "--skip", "last", "--json"]
    assert main(arguments) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["schema"] == 1
    assert report["measured"] is None
    layers = {each["name"]: each["reason"] for each in report["quantized"]["layers"]}
    assert layers == {"first": "", "last": "left in float as asked"}
    assert left(folder) == {"out.onnx"}


def test_a_cast_needs_no_model(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["quantize", "run.pth", "out.pth", "--method", "cast", "--dtype", "bfloat16"]
    assert main([*arguments, "--skip", "*.bias", "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    state = torch.load("out.pth")
    assert {key: str(each.dtype) for key, each in state.items()} == {
        "module.first.weight": "torch.bfloat16",
        "module.first.bias": "torch.float32",
        "module.last.weight": "torch.bfloat16",
        "module.last.bias": "torch.float32",
    }


def test_bounds_that_do_not_hold_are_an_exit_status(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["quantize", "run.pth", "out.pth", "--method", "dynamic", *MODEL, *DATA]
    bounds = ["--least-sqnr", "200", "--least-agreement", "1.1", "--most-loss", "-1"]
    assert main([*arguments, *bounds]) == 1
    said = capsys.readouterr().out
    for text in ("dB instead of 200", "agree instead of 110.00%", "of accuracy are lost instead"):
        assert text in said
    assert "out.pth was not written" in said
    assert left(folder) == set()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run.pth"], "--preview shows what each scheme would cost, OUT and --method"),
        (["run.pth", "out.pth"], "OUT and --method"),
        (["run.pth", "out.pth", "--preview"], "leave OUT and --method away"),
        (["run.pth", "out.pth", "--method", "static", *MODEL], "needs calibration data"),
        (["run.pth", "out.onnx", "--method", "static", *MODEL, *DATA], "ends in .pth or .pt"),
        (["run.pth", "out.pth", "--method", "dynamic", "--bits", "4"], "of the method weight-only"),
        (["run.pth", "out.pth", "--method", "static", "--engine", "torchao"], "fx or pt2e or"),
        (["run.pth", "out.pth", "--method", "dynamic", *DATA], "name the class or factory"),
        (["run.pth", "out.pth", "--method", "dynamic", "--dtype", "float8_e5m2"], "method cast"),
        (
            ["run.pth", "out.pth", "--method", "dynamic", *MODEL, "--most-loss", "0.01"],
            "give --calibration",
        ),
        (["run.pth", "out.pth", "--method", "dynamic", *MODEL, *DATA, "--resize", "a"], "224x224"),
        (["run.pth", "out.pth", "--method", "dynamic", *MODEL, *DATA, "--mean", "a"], "0.485"),
        (["run.pth", "run.pth", "--method", "cast"], "the quantization reads that very file"),
        (["run.pth", "out.pth", "--method", "cast", *DATA], "no model to run on them"),
        (["gone.pth", "out.pth", "--method", "cast"], "there is no such file"),
        (["run.pth", "nowhere/out.pth", "--method", "cast"], "cannot be written"),
        (["run.pth", "out.pth", "--method", "cast", "--report", "x.txt"], "neither in .json"),
    ],
    ids=lambda each: " ".join(each[1:]) if isinstance(each, list) else "",
)
def test_trouble_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert main(["quantize", *arguments, "--no-progress"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert says in said.err
    assert left(folder) == set()
