"""What a worker says, in the window's language."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtCore import QCoreApplication

from inspector_app.checkpoint.text import plain
from inspector_app.worker.failures import FAILURES, Failed, sentence
from inspector_app.worker.protocol import OutputInfo

_translate = QCoreApplication.translate


def cause_text(failed: Failed) -> str:
    """What is wrong, as a sentence."""
    return _sentence(failed, 0)


def next_step_text(failed: Failed) -> str:
    """What can be done."""
    return _sentence(failed, 1)


def _sentence(failed: Failed, which: int) -> str:
    template = _translate("worker", FAILURES[failed.code][which])
    text = sentence(template, failed.details).strip()
    if not text:
        return ""
    first = text.partition(" ")[0]
    # Paths and names, as torch.export, are not to be changed.
    start = text[:1].upper() if first.isalpha() else text[:1]
    return start + text[1:].rstrip(".") + "."


def stage_text(stage: str) -> str:
    """What a worker is doing."""
    text = plain(_translate("worker", stage))
    return text[:1].upper() + text[1:]


def shape_text(shape: Sequence[int]) -> str:
    """``1 × 3 × 224 × 224``."""
    return " × ".join(map(str, shape)) or _translate("ExportWords", "scalar")


def tensor_text(info: OutputInfo) -> str:
    """Shape and dtype."""
    return f"{shape_text(info.shape)}   {plain(info.dtype)}"


def seconds_text(seconds: float) -> str:
    """``0.82 ms``, ``4.1 s``."""
    if not math.isfinite(seconds) or seconds < 0:
        return "—"
    if seconds < 1e-3:
        return f"{seconds * 1e6:.3g} µs"
    if seconds < 0.9995:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def figure_text(value: float) -> str:
    """A measured error: ``2.4e-07``, ``0``."""
    if math.isnan(value):
        return "NaN"
    return "0" if value == 0 else f"{value:.2g}"
