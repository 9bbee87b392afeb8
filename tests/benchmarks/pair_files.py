"""Second files to compare with those of `files`: made once by torch, kept in the same folder.

They take 2.5 GB more.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.benchmarks import files

THIS = "tests.benchmarks.pair_files"


def one_element() -> Path:
    """`files.large_file` with another number in one element of 622 million."""
    return _made("bf16-1200mb-one-element", "one")


def every_element() -> Path:
    """`files.large_file` after some training: nearly every element has moved a little."""
    return _made("bf16-1200mb-moved", "moved")


def _made(name: str, kind: str) -> Path:
    first = files.large_file()
    path = files.folder() / f"{name}-v{files.VERSION}.pth"
    if not path.exists():
        print(f"making {path}", flush=True)
        partial = path.with_suffix(".partial")
        # In a process of its own: this one stays small, and never imports torch.
        command = [sys.executable, "-m", THIS, kind, str(first), str(partial)]
        subprocess.run(command, check=True)
        os.replace(partial, path)
    return path


def _save(kind: str, first: str, path: str) -> None:
    import torch

    torch.manual_seed(1)
    state = torch.load(first, weights_only=True)
    if kind == "one":
        # In the middle of the file, within a large tensor.
        weight = state["model.layers.10.mlp.up_proj.weight"]
        weight[2000, 700] += 1
    else:
        for tensor in state.values():
            tensor += torch.empty_like(tensor).normal_(std=0.002)
    torch.save(state, path)


if __name__ == "__main__":
    _save(*sys.argv[1:])
