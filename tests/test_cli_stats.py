"""`checkpoint-inspector stats`: the JSON contract, the table, exit statuses, any terminal."""

from __future__ import annotations

import json
import math
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from inspector_app.cli import run

Capture = pytest.CaptureFixture[str]


def saved(path: Path, value: Any) -> str:
    torch.save(value, path)
    return str(path)


@pytest.fixture
def healthy(tmp_path: Path) -> str:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    return saved(tmp_path / "healthy.pth", {"model_state_dict": model.state_dict(), "epoch": 3})


def as_json(capsys: Capture, *arguments: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    status = run(["stats", *arguments, "--json"])
    written = capsys.readouterr()

    def refuse(token: str) -> None:
        raise AssertionError(f"{token} in JSON")

    return status, json.loads(written.out, parse_constant=refuse)


def test_json(healthy: str, capsys: Capture) -> None:
    status, found = as_json(capsys, healthy)
    assert status == 0
    assert found["schema"] == 1
    assert found["path"] == healthy
    loaded = torch.load(healthy, weights_only=True)["model_state_dict"]
    assert [row["path"] for row in found["tensors"]] == [["model_state_dict", k] for k in loaded]
    for row, tensor in zip(found["tensors"], loaded.values(), strict=True):
        values = tensor.double()
        assert row["name"] == "/".join(row["path"])
        assert row["min"] == values.min()
        assert row["max"] == values.max()
        assert row["mean"] == pytest.approx(float(values.mean()), rel=1e-6)
        assert row["l2"] == pytest.approx(float(values.norm()), rel=1e-6)
        assert row["count"] == values.numel() == sum(row["histogram"]["counts"])
        assert len(row["histogram"]["edges"]) == len(row["histogram"]["counts"]) + 1
        assert row["zeros"] == int((values == 0).sum())
        assert row["nans"] == row["infs"] == 0
        assert row["exact"] is True
        quantiles = torch.tensor([float(part) for part in row["quantiles"]]).double()
        expected = torch.quantile(values.flatten(), quantiles).tolist()
        assert list(row["quantiles"].values()) == pytest.approx(expected, rel=1e-6)
        if values.numel() > 1:
            assert row["std"] == pytest.approx(float(values.std()), rel=1e-6)
        else:
            assert row["std"] is None
    assert list(found["tensors"][0]["quantiles"]) == "0.01 0.05 0.25 0.5 0.75 0.95 0.99".split()


def test_what_is_undefined_is_null(tmp_path: Path, capsys: Capture) -> None:
    made = {"none": torch.empty(0), "nan": torch.tensor([math.nan, math.inf, -math.inf])}
    status, found = as_json(capsys, saved(tmp_path / "x.pth", made))
    assert status == 1
    for row in found["tensors"]:
        assert row["count"] == 0
        assert [row[name] for name in ("min", "max", "mean", "std")] == [None] * 4
        assert set(row["quantiles"].values()) == {None}
        assert row["histogram"] == {"edges": [], "counts": []}
    assert (found["tensors"][1]["nans"], found["tensors"][1]["infs"]) == (1, 2)
    assert found["tensors"][1]["findings"] == ["nan", "infinity"]


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ({"w": torch.ones(3)}, 0),
        ({"w": torch.tensor([1.0, math.nan])}, 1),
        ({"w": torch.tensor([1.0, -math.inf])}, 1),
        ({"fc.weight": torch.zeros(3, 2)}, 1),
        ({"fc.bias": torch.zeros(3)}, 0),
        ({"fc.weight": torch.zeros(3, dtype=torch.int64)}, 0),
        ({"fc.weight": torch.empty(0, 3)}, 0),
        ({"w": torch.tensor([0.0, -0.0], dtype=torch.bfloat16)}, 1),
        ({}, 0),
    ],
)
def test_exit_status(tmp_path: Path, value: Any, status: int, capsys: Capture) -> None:
    path = saved(tmp_path / "x.pth", value)
    assert run(["stats", path]) == status
    assert run(["stats", path, "--quiet"]) == status
    found, _ = as_json(capsys, path)
    assert found == status


def test_zeros_in_an_optimizer_are_no_finding(tmp_path: Path, capsys: Capture) -> None:
    model = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())
    (model(torch.zeros(1, 3)).sum() * 0).backward()
    optimizer.step()
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    path = saved(tmp_path / "x.pth", state)
    status, found = as_json(capsys, path)
    zero = [row for row in found["tensors"] if row["zeros"] and row["zeros"] == row["count"]]
    assert len(zero) >= 4
    assert status == 0


def test_table(tmp_path: Path, capsys: Capture) -> None:
    made = {
        "fine": torch.tensor([1.0, 2.0, 3.0]),
        "dead.weight": torch.zeros(2, 2),
        "broken": torch.tensor([1.0, math.nan, math.inf]),
        "meta": torch.empty(2, device="meta"),
    }
    path = saved(tmp_path / "x.pth", made)
    assert run(["stats", path]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == "tensor dtype min max mean std norm zeros".split()
    assert lines[1].split() == ["fine", "float32", "1", "3", "2", "1", "3.742", "0"]
    assert lines[2].split()[-3:] == ["100%", "all", "zero"]
    assert lines[3].endswith("1 NaN, 1 Inf")
    assert "meta device" in lines[4]
    assert lines[6:8] == ["dead.weight: all zero", "broken: 1 NaN, 1 Inf"]
    assert lines[-1].startswith(f"{path}: 4 tensors, 10 values; 1 without readable values; ")
    assert run(["stats", path, "--quiet"]) == 1
    assert capsys.readouterr().out.splitlines() == lines[6:]


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        (["*.weight"], ["0.weight", "1.weight"]),
        (["0.*"], ["0.weight", "0.bias"]),
        (["model_state_dict/1.*"], ["1." + n for n in "weight bias running_mean".split()]),
        (["0.bias", "1.bias"], ["0.bias", "1.bias"]),
        (["1.running_[mv]*"], ["1.running_mean", "1.running_var"]),
    ],
)
def test_select(healthy: str, patterns: list[str], names: list[str], capsys: Capture) -> None:
    arguments = [part for pattern in patterns for part in ("--select", pattern)]
    _, found = as_json(capsys, healthy, *arguments)
    keys = [row["path"][-1] for row in found["tensors"]]
    assert keys[: len(names)] == names
    if "model_state_dict/1.*" not in patterns:
        assert keys == names


def test_select_nothing(healthy: str, capsys: Capture) -> None:
    assert run(["stats", healthy, "--select", "nope*"]) == 2
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err == (f"checkpoint-inspector: {healthy}: no tensor's name matches nope*\n")


def test_quantized_have_raw_figures_too(tmp_path: Path, capsys: Capture) -> None:
    from tests.checkpoint import torch_files

    with torch_files.prototypes():
        made = torch.quantize_per_tensor(torch.arange(8.0), 0.5, 10, torch.quint8)
        path = saved(tmp_path / "q.pth", {"w": made})
    _, found = as_json(capsys, path)
    (row,) = found["tensors"]
    assert (row["min"], row["max"]) == (0.0, 7.0)
    assert (row["raw"]["min"], row["raw"]["max"]) == (10, 24)
    assert type(row["raw"]["min"]) is int


def test_exact_on_demand(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inspector_app.analysis.passes.EXACT_BYTES", 1000)
    torch.manual_seed(0)
    path = saved(tmp_path / "x.pth", {"w": torch.randn(100_000)})
    _, found = as_json(capsys, path)
    (row,) = found["tensors"]
    assert row["exact"] is False
    assert row["quantile_error"] == 2**-7
    assert sum(row["histogram"]["counts"]) == 100_000
    _, found = as_json(capsys, path, "--exact")
    (row,) = found["tensors"]
    assert row["exact"] is True
    assert row["quantile_error"] == 0


def test_trouble(tmp_path: Path, capsys: Capture) -> None:
    assert run(["stats", str(tmp_path / "absent.pth")]) == 2
    assert capsys.readouterr().err.endswith("absent.pth: there is no such file\n")
    assert run(["stats"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_cut_file_tells_what_can_be_told(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "x.pth"
    made = {"a": torch.ones(5000), "b": torch.ones(5000)}
    torch.save(made, path, _use_new_zipfile_serialization=False)
    os.truncate(path, path.stat().st_size - 100)
    status, found = as_json(capsys, str(path))
    assert status == 2
    assert sorted(row["count"] or 0 for row in found["tensors"]) == [0, 5000]
    errors = [row["error"]["code"] for row in found["tensors"] if "error" in row]
    assert errors == ["values-missing"]
    assert run(["stats", str(path)]) == 2
    error = capsys.readouterr().err
    assert error == f"checkpoint-inspector: {path}: the values are not in the file\n"


def test_hostile_names_are_made_plain(tmp_path: Path, capsys: Capture) -> None:
    path = saved(
        tmp_path / "x.pth", {"a\x1b[31m\n\u202eb": torch.ones(2), "漢字" * 60: torch.ones(1)}
    )
    assert run(["stats", path]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert r"a\x1b[31m\x0a" in out
    assert len(out.splitlines()) == 5


def on_terminal(command: list[str]) -> tuple[int, str]:
    """The status and the output of a command whose standard streams are a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, stdout=theirs, stderr=theirs, stdin=theirs)
    os.close(theirs)
    parts: list[bytes] = []

    def collect() -> None:
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the other end was closed
                return
            if not part:
                return
            parts.append(part)

    reader = threading.Thread(target=collect)
    reader.start()
    status = process.wait(timeout=60)
    reader.join(timeout=10)
    os.close(ours)
    return status, b"".join(parts).decode()


def test_progress_bar_on_a_terminal(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pth", [torch.rand(200, 50) for _ in range(30)])
    patched = (
        "import inspector_app.terminal.progress_line as p\n"
        "p._SILENT_SECONDS = p._EVERY_SECONDS = 0\n"
        "import sys; from inspector_app.cli import run; sys.exit(run(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", patched, "stats", path]
    status, out = on_terminal(command)
    assert status == 0
    assert "] 100 %" in out or "#" in out
    assert "\r\x1b[K" in out
    status, out = on_terminal([*command, "--no-progress"])
    assert status == 0
    assert "\r\x1b[K" not in out


def test_an_interrupt_ends_the_threads(
    healthy: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("inspector_app.analysis.findings.Findings.of", interrupt)
    before = threading.active_count()
    assert run(["stats", healthy]) == 130
    assert threading.active_count() == before
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("module", ["torch", "PySide6", "pyqtgraph", "onnx"])
def test_imports_nothing_heavy(healthy: str, module: str) -> None:
    code = (
        "import sys; from inspector_app.cli import run; run(['stats', sys.argv[1]]);"
        f"sys.exit({module!r} in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, healthy], check=True, stdout=subprocess.DEVNULL)


def test_real_files(corpus: Path, capsys: Capture) -> None:
    """Every file gives one JSON object or one clear line."""
    told: Callable[[str], object] = json.loads
    for path in sorted(corpus.rglob("*")):
        if not path.is_file() or path.suffix == ".md" or path.stat().st_size > 30e6:
            continue
        status = run(["stats", "--json", str(path)])
        written = capsys.readouterr()
        if path.name == "adam1.dat":
            assert status == 2
            continue
        assert status in (0, 1), (path, written.err)
        assert told(written.out)
        assert written.err == ""
