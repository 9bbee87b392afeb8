"""Saves two objects and compares them, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from inspector_app.analysis.comparison import Comparison
from inspector_app.analysis.diff import comparing
from inspector_app.analysis.key_mapping import NO_MAPPING, KeyMapping
from inspector_app.checkpoint import open_checkpoint


def finished(steps: Any) -> Any:
    """Drive a generator to its end; what it returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def compared_files(a: Path, b: Path, mapping: KeyMapping = NO_MAPPING) -> Comparison:
    return finished(comparing(open_checkpoint(a), open_checkpoint(b), mapping))


def compared(folder: Path, a: Any, b: Any, mapping: KeyMapping = NO_MAPPING) -> Comparison:
    torch.save(a, folder / "a.pth")
    torch.save(b, folder / "b.pth")
    return compared_files(folder / "a.pth", folder / "b.pth", mapping)
