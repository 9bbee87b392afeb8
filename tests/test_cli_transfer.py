"""`checkpoint-inspector transfer`: from a file into a file, and into a model class."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from inspector_app.cli import run

Capture = pytest.CaptureFixture[str]
CLASS = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        torch.manual_seed(5)
        self.body = nn.Linear(4, 3)
        self.fc = nn.Linear(3, classes)
"""


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    torch.manual_seed(0)
    source = {"module.body.weight": torch.rand(3, 4), "module.body.bias": torch.rand(3)}
    source |= {"module.fc.weight": torch.rand(1000, 3), "module.fc.bias": torch.rand(1000)}
    source["module.extra.weight"] = torch.rand(2)
    target = nn.Sequential()
    target.add_module("body", nn.Linear(4, 3))
    target.add_module("fc", nn.Linear(3, 10))
    torch.save({"state_dict": source, "epoch": 9}, tmp_path / "a.pth")
    torch.save({"model": target.state_dict(), "epoch": 0}, tmp_path / "b.pth")
    return tmp_path / "a.pth", tmp_path / "b.pth"


def said(capsys: Capture, *arguments: object) -> tuple[int, str, str]:
    capsys.readouterr()
    status = run(["transfer", *map(str, arguments)])
    written = capsys.readouterr()
    return status, written.out, written.err


def load(path: Path) -> Any:
    return torch.load(path, weights_only=True)


def test_skipped_keys_are_listed_and_something_found(
    files: tuple[Path, Path], tmp_path: Path, capsys: Capture
) -> None:
    source, target = files
    out = tmp_path / "c.pth"
    arguments = (source, "--into", target, out, "--strip-prefix", "module.")
    status, text, _ = said(capsys, *arguments)
    assert status == 1
    assert "of 4 tensors: 2 taken, 2 kept" in text
    assert "module.fc.weight: its shape is [1000, 3], the target has [10, 3]" in text
    assert "module.extra.weight (as extra.weight): the target has no such key" in text
    after = load(out)
    assert after["epoch"] == 0
    given, own = load(source)["state_dict"], load(target)["model"]
    assert torch.equal(after["model"]["body.weight"], given["module.body.weight"])
    assert torch.equal(after["model"]["fc.weight"], own["fc.weight"])
    assert said(capsys, *arguments)[0] == 2
    status, text, _ = said(capsys, *arguments, "--force", "--quiet")
    assert (status, len(text.splitlines())) == (1, 3)


def test_json_and_dry_run(files: tuple[Path, Path], tmp_path: Path, capsys: Capture) -> None:
    source, target = files
    before = sorted(os.listdir(tmp_path))
    status, text, _ = said(
        capsys, source, "--into", target, tmp_path / "c.pth", "--map", r"^module\.=>",
        "--fit", "end,begin", "--json", "--dry-run",
    )  # fmt: skip
    told = json.loads(text)
    assert status == 1
    assert told["skipped"] == 1
    assert told["files"] == []
    assert [each["act"] for each in told["flows"]] == ["take", "take", "fit", "fit"]
    assert told["flows"][2]["source_key"] == "module.fc.weight"
    assert told["flows"][2]["reasons"] == ["shape"]
    assert [each["key"] for each in told["unused"]] == ["module.extra.weight"]
    assert sorted(os.listdir(tmp_path)) == before


def test_single_keys(files: tuple[Path, Path], tmp_path: Path, capsys: Capture) -> None:
    source, target = files
    out = tmp_path / "c.pth"
    status, _, _ = said(
        capsys, source, "--into", target, out, "--strip-prefix", "module.",
        "--fit", "fc.weight=centre", "--init", "fc.bias=zeros", "--keep", "body.*",
    )  # fmt: skip
    assert status == 1
    after, given, own = load(out)["model"], load(source)["state_dict"], load(target)["model"]
    assert torch.equal(after["fc.weight"], given["module.fc.weight"][495:505])
    assert not after["fc.bias"].any()
    assert torch.equal(after["body.weight"], own["body.weight"])


def test_the_python_runs(files: tuple[Path, Path], tmp_path: Path, capsys: Capture) -> None:
    source, target = files
    out = tmp_path / "c.pth"
    arguments = (source, "--into", target, out, "--strip-prefix", "module.", "--fit", "begin")
    _, code, _ = said(capsys, *arguments, "--as-python")
    assert not out.exists()
    subprocess.run([sys.executable, "-c", code], check=True)
    by_torch = load(out)["model"]
    assert said(capsys, *arguments, "--force")[0] == 1
    after = load(out)["model"]
    assert all(torch.equal(after[key], by_torch[key]) for key in by_torch)


def test_a_model_class_gives_what_it_begins_with(
    files: tuple[Path, Path], tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "net.py").write_text(CLASS)
    out = tmp_path / "c.pth"
    into = f"{tmp_path / 'net.py'}:Net"
    status, text, _ = said(
        capsys, files[0], "--into", into, out, "--strip-prefix", "module.",
        "--model-args", '{"classes": 7}',
    )  # fmt: skip
    assert status == 1, text
    assert f"into {into}" in text
    after = load(out)
    assert after["fc.weight"].shape == (7, 3)
    torch.manual_seed(5)
    body, head = nn.Linear(4, 3), nn.Linear(3, 7)
    assert torch.equal(after["fc.weight"], head.weight)
    assert not torch.equal(after["body.weight"], body.weight)
    assert torch.equal(after["body.weight"], load(files[0])["state_dict"]["module.body.weight"])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--into", "{b}", "c.pth", "--fit", "left"], "--fit left: say begin, centre, end"),
        (["--into", "{b}", "c.pth", "--init", "fc.*=magic"], "--init fc.*=magic: say one of"),
        (["--into", "{b}", "c.pth", "--keep", "no*"], "no key of TARGET matches no*"),
        (["--into", "nowhere.pth", "c.pth"], "nowhere.pth: there is no such file"),
        (["--into", "{b}", "c.txt"], "its ending says no form"),
        (["--into", "{b}"], "the following arguments are required: OUT"),
        (["c.pth"], "the following arguments are required: --into"),
        (["--into", "{b}", "c.pth", "--into-section", "ema"], "no part of this kind"),
    ],
)
def test_trouble_is_one_sentence(
    files: tuple[Path, Path],
    tmp_path: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    given = [str(files[1]) if each == "{b}" else each for each in arguments]
    status, out, err = said(capsys, files[0], *given)
    assert (status, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1
    assert sorted(os.listdir(tmp_path)) == ["a.pth", "b.pth"]


def test_a_prefix_that_would_make_keys_match_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = tmp_path / "a.pth", tmp_path / "b.pth"
    torch.save({f"module.{key}": torch.ones(2) for key in ("x", "y", "z")}, source)
    torch.save({key: torch.zeros(2) for key in ("x", "y", "z")}, target)
    out = tmp_path / "out.pth"
    assert run(["transfer", str(source), "--into", str(target), str(out)]) == 1
    said = capsys.readouterr().out
    assert "3 of 3 keys would match with --strip-prefix module.\n" in said
    again = [str(source), "--into", str(target), str(out), "--strip-prefix", "module.", "--force"]
    assert run(["transfer", *again]) == 0
    assert "would match" not in capsys.readouterr().out
