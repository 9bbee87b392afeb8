"""`checkpoint-inspector quantize --preview`: the JSON contract, the tables, exit statuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from inspector_app.analysis.quantization_schemes import SCHEMES
from inspector_app.cli import run

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def model(tmp_path: Path) -> str:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(40, 30), nn.ReLU(), nn.Linear(30, 5))
    with torch.no_grad():
        model[2].weight[1] *= 50
    path = tmp_path / "model.pth"
    torch.save({"model_state_dict": model.state_dict(), "epoch": 3}, path)
    return str(path)


def as_json(capsys: Capture, *arguments: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    status = run(["quantize", "--preview", "--json", *arguments])
    written = capsys.readouterr()

    def refuse(token: str) -> None:
        raise AssertionError(f"{token} in JSON")

    return status, json.loads(written.out, parse_constant=refuse)


def as_text(capsys: Capture, *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    status = run(["quantize", *arguments])
    written = capsys.readouterr()
    return status, written.out, written.err


def test_json(model: str, capsys: Capture) -> None:
    status, found = as_json(capsys, model)
    assert status == 0
    assert found["schema"] == 1
    assert found["path"] == model
    assert found["schemes"].keys() == {scheme.name for scheme in SCHEMES}
    assert [row["name"].split("/")[1] for row in found["tensors"]] == [
        "2.weight",
        "0.weight",
        "0.bias",
        "2.bias",
    ]
    weight = torch.load(model)["model_state_dict"]["0.weight"]
    row = found["tensors"][1]
    assert row["path"] == ["model_state_dict", "0.weight"]
    assert (row["shape"], row["dtype"], row["nbytes"]) == ([30, 40], "float32", 4800)
    assert row["kept"] is None
    here = row["schemes"]["int8-per-channel"]
    assert here.keys() >= {"sqnr_db", "max_abs", "cosine", "clipped", "nbytes"}
    scale = weight.double().abs().amax(1, keepdim=True) / 127.5
    made = (weight / scale).round().clamp(-128, 127) * scale
    noise, signal = (weight - made).square().sum(), weight.double().square().sum()
    assert here["sqnr_db"] == pytest.approx(float(10 * torch.log10(signal / noise)), rel=1e-4)
    assert here["nbytes"] == 30 * 40 + 30 * 4
    assert found["tensors"][2]["kept"] == "no-weight"
    assert found["schemes"]["int8-per-channel"]["nbytes"] == sum(
        row["schemes"].get("int8-per-channel", row)["nbytes"] for row in found["tensors"]
    )
    assert found["findings"] == []


def test_chosen_schemes_and_tensors(model: str, capsys: Capture) -> None:
    chosen = ["--scheme", "fp16", "--scheme", "int8-per-tensor", "--select", "*.weight"]
    _, found = as_json(capsys, model, *chosen)
    assert list(found["schemes"]) == ["fp16", "int8-per-tensor"]
    assert all(list(row["schemes"]) == ["fp16", "int8-per-tensor"] for row in found["tensors"])
    assert len(found["tensors"]) == 2


def test_overflow_nan_and_infinity_are_found(tmp_path: Path, capsys: Capture) -> None:
    path = str(tmp_path / "x.pth")
    bad = torch.tensor([[1.0, float("nan")], [float("-inf"), 2.0]])
    torch.save({"large": torch.tensor([[7e4, -1e6], [1.0, 2.0]]), "bad": bad}, path)
    status, found = as_json(capsys, path)
    assert status == 1
    assert {(each["code"], each["name"], each["values"]) for each in found["findings"]} == {
        ("fp16-overflow", "large", 2),
        ("nan", "bad", 1),
        ("infinity", "bad", 1),
    }
    large = next(row for row in found["tensors"] if row["name"] == "large")
    assert large["schemes"]["fp16"]["overflows"] == 2
    assert large["schemes"]["fp16"]["sqnr_db"] is None
    status, text, _ = as_text(capsys, path, "--preview")
    assert status == 1
    assert "large: 2 become infinite in fp16" in text
    assert "bad: 1 NaN" in text
    status, _, _ = as_text(capsys, path, "--preview", "--scheme", "bf16", "--select", "large")
    assert status == 0


def test_text(model: str, capsys: Capture) -> None:
    status, text, complaint = as_text(capsys, model, "--preview")
    assert (status, complaint) == (0, "")
    lines = text.splitlines()
    assert lines[0] == "SQNR in dB, by damage of int8-per-channel"
    assert lines[2].startswith("model_state_dict/2.weight")
    assert lines[3].startswith("model_state_dict/0.weight")
    assert "kept as they are: 2 with fewer than two dimensions" in text
    assert all(any(line.startswith(f"{s.name} ") for line in lines) for s in SCHEMES)
    assert lines[-1].endswith("4 tensors, 2 of them weights that can be quantized")
    _, one, _ = as_text(capsys, model, "--preview", "--scheme", "int4-group-32")
    assert one.splitlines()[0] == "int4-group-32, the most damaged first"
    _, quiet, _ = as_text(capsys, model, "--preview", "--quiet")
    assert "0.weight" not in quiet


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--scheme", "int3"], "there is no scheme 'int3'; there are int8-per-tensor, "),
        (["--select", "nothing"], "no tensor's name matches nothing"),
    ],
)
def test_trouble(model: str, capsys: Capture, arguments: list[str], complaint: str) -> None:
    status, text, error = as_text(capsys, model, "--preview", *arguments)
    assert (status, text) == (2, "")
    assert complaint in error
    assert len(error.splitlines()) == 1


def test_a_cut_file(model: str, tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "cut.pth"
    path.write_bytes(Path(model).read_bytes()[:1500])
    status, _, error = as_text(capsys, str(path), "--preview")
    assert status == 2
    assert len(error.splitlines()) == 1
