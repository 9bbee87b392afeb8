"""Git shows what changed in a checkpoint, with the settings that the README gives."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn

from inspector_app.cli import run

ROOT = Path(__file__).resolve().parent.parent
GIT = shutil.which("git")
pytestmark = pytest.mark.skipif(GIT is None, reason="git is not installed")


def state(seed: int, epoch: int) -> dict[str, Any]:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))
    return {"model": model.state_dict(), "epoch": epoch, "losses": [0.5] * 100 + [float(epoch)]}


class Repository:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # The command that users have on their PATH.
        program = folder / "bin" / "checkpoint-inspector"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m inspector_app "$@"\n')
        program.chmod(0o755)
        self.environment = {
            "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "HOME": str(folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "LANG": "C.UTF-8",
        }
        self.git("init", "--quiet", ".")
        for key, value in (("user.name", "A"), ("user.email", "a@b.example")):
            self.git("config", key, value)

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            [str(GIT), *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def commit(self, name: str, value: Any) -> None:
        torch.save(value, self.folder / name)
        self.git("add", name, ".gitattributes")
        self.git("commit", "--quiet", "-m", "x")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path)
    (tmp_path / ".gitattributes").write_text("*.pth diff=checkpoint\n")
    made.git("config", "diff.checkpoint.textconv", "checkpoint-inspector show --textconv")
    made.git("config", "difftool.checkpoint.cmd", 'checkpoint-inspector diff "$LOCAL" "$REMOTE"')
    made.commit("model.pth", state(0, 10))
    return made


def test_textconv(repository: Repository) -> None:
    torch.save(state(0, 20), repository.folder / "model.pth")
    changed = [
        line for line in repository.git("diff").splitlines() if re.match(r"[+-](?![+-])", line)
    ]
    assert [line[:12] for line in changed] == [
        "-epoch: 10",
        "-losses: [0.",
        "+epoch: 20",
        "+losses: [0.",
    ]
    values = state(0, 10)
    values["model"]["0.bias"][0] += 1
    torch.save(values, repository.folder / "model.pth")
    (old, new) = re.findall(r"^[+-](model/.*)$", repository.git("diff"), re.MULTILINE)
    assert old.startswith("model/0.bias  [2] float32 crc32 ")
    assert new.startswith("model/0.bias  [2] float32 crc32 ")
    # `git log -p` says the same of what was committed.
    repository.commit("model.pth", values)
    assert f"+{new}" in repository.git("log", "-p", "-1").splitlines()
    torch.save(values, repository.folder / "model.pth")
    assert repository.git("diff") == ""


def test_difftool(repository: Repository) -> None:
    values = state(1, 10)
    torch.save(values, repository.folder / "model.pth")
    said = repository.git("difftool", "--no-prompt", "--tool=checkpoint")
    assert "C model/0.weight" not in said
    assert re.search(r"^C 0\.weight\s+\[2, 3\] float32\s+by checksum$", said, re.MULTILINE)
    assert "epoch" not in said


def test_lines_are_the_same_for_equal_values(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Zip, legacy and safetensors: with the archive's checksums, or by reading."""
    value = state(0, 1)["model"] | {"half": torch.rand(70, 9).bfloat16(), "empty": torch.ones(0, 2)}
    said = []
    for name, options in (("a.pth", {}), ("b.pth", {"_use_new_zipfile_serialization": False})):
        torch.save(dict(value), tmp_path / name, **options)
        assert run(["show", "--textconv", str(tmp_path / name)]) == 0
        said.append(capsys.readouterr().out.splitlines())
    safetensors.torch.save_file(value, tmp_path / "c.safetensors")
    assert run(["show", "--textconv", str(tmp_path / "c.safetensors")]) == 0
    said.append(capsys.readouterr().out.splitlines())
    assert said[0][1:] == said[1][1:]
    assert sorted(said[0][1:]) == sorted(said[2][1:])
    assert [lines[0] for lines in said] == [
        "format: torch-zip",
        "format: torch-legacy",
        "format: safetensors",
    ]


def test_views_of_one_storage_have_their_own_checksums(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = torch.arange(10.0)
    torch.save({"a": base[2:5], "b": base[3:6], "c": base[2:5].clone()}, tmp_path / "x.pth")
    assert run(["show", "--textconv", str(tmp_path / "x.pth")]) == 0
    a, b, c = (line.split()[-1] for line in capsys.readouterr().out.splitlines()[1:])
    assert a == c != b


def test_long_texts_and_lists_have_a_checksum(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = []
    for last in (0, 1):
        value = {"text": "x" * 500 + str(last), "list": [0] * 500 + [last], "w": torch.ones(1)}
        torch.save(value, tmp_path / "x.pth")
        assert run(["show", "--textconv", str(tmp_path / "x.pth")]) == 0
        lines.append(capsys.readouterr().out.splitlines())
    assert [one == two for one, two in zip(*lines, strict=True)] == [True, False, False, True]
