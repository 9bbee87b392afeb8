"""`diff --html` and `--markdown`, as people ask for them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from inspector_app.cli import run
from tests.analysis.report_samples import Page

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    weights = {"fc.weight": torch.arange(6.0).view(2, 3), "fc.bias": torch.ones(2)}
    moved = {f"module.{key}": value + 1 for key, value in weights.items()}
    torch.save(weights, tmp_path / "a.pth")
    torch.save(moved, tmp_path / "b.pth")
    return str(tmp_path / "a.pth"), str(tmp_path / "b.pth")


def test_both_reports(files: tuple[str, str], tmp_path: Path, capsys: Capture) -> None:
    page, text = tmp_path / "r.html", tmp_path / "r.md"
    asked = ["--html", str(page), "--markdown", str(text), "--strip-prefix", "module."]
    assert run(["diff", *files, *asked]) == 1
    assert "fc.weight" in capsys.readouterr().out
    found = Page(page.read_text(encoding="utf-8"))
    keys = [row for row in found.rows if row[0].startswith("C")]
    assert [row[1] for row in keys] == ["fc.weight", "fc.bias"]
    assert [row[5] for row in keys] == ["1.000", "1.000"]
    assert dict(zip(found.texts["dt"], found.texts["dd"], strict=True))["B's keys lose"] == (
        "module."
    )
    assert "| C | `fc.bias` | `[2]` | `float32` | 1.000 |" in text.read_text(encoding="utf-8")


def test_what_would_match_more_is_said(
    files: tuple[str, str], tmp_path: Path, capsys: Capture
) -> None:
    page, text = tmp_path / "r.html", tmp_path / "r.md"
    assert run(["diff", *files, "--html", str(page), "--markdown", str(text)]) == 1
    assert "- 100 % of A's keys match if B's keys lose `module.`\n" in text.read_text()
    found = Page(page.read_text(encoding="utf-8"))
    assert "100 % of A's keys match if B's keys lose module." in found.texts["li"]


def test_a_report_never_replaces_a_checkpoint(
    files: tuple[str, str], tmp_path: Path, capsys: Capture
) -> None:
    before = Path(files[1]).read_bytes()
    for option in ("--html", "--markdown"):
        assert run(["diff", *files, option, files[1]]) == 2
        assert capsys.readouterr().err == (
            f"checkpoint-inspector: {files[1]}: it is one of the files that are compared\n"
        )
    assert Path(files[1]).read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pth", "b.pth"]


def test_tolerance_and_globs_are_named(
    files: tuple[str, str], tmp_path: Path, capsys: Capture
) -> None:
    text = tmp_path / "r.md"
    asked = ["--markdown", str(text), "--select", "*.bias", "--atol", "2", "--map", "^module.=>"]
    assert run(["diff", *files, *asked, "--quiet"]) == 0
    said = text.read_text(encoding="utf-8")
    assert "## 1 key\n" in said
    for line in ("Only keys like: `*.bias`", "Identical up to: `2.000 + 0 · |a|`",
                 "B's keys are mapped: `^module.=>`"):  # fmt: skip
        assert f"- {line}\n" in said
