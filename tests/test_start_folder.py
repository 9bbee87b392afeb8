"""`python -m inspector_app` in a folder that somebody else has filled."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).parents[1]


def test_modules_beside_a_checkpoint_are_not_imported(tmp_path: Path) -> None:
    for name in ("json", "struct", "argparse", "torch", "numpy"):
        (tmp_path / f"{name}.py").write_text("open('ran', 'w'); raise RuntimeError")
    torch.save({"a": torch.ones(2)}, tmp_path / "a.pth")
    done = subprocess.run(
        [sys.executable, "-m", "inspector_app", "show", "--json", "a.pth"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["format"] == "torch-zip"
    assert not (tmp_path / "ran").exists()
