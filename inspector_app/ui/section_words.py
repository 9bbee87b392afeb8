"""What the sections of a checkpoint are called."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication

from inspector_app.checkpoint.model import SectionKind
from inspector_app.checkpoint.text import plain

_translate = QCoreApplication.translate


def section_words(kind: str) -> str:
    """What a section is for."""
    return {
        SectionKind.MODEL: _translate("Summary", "Model"),
        SectionKind.EMA: _translate("Summary", "Averaged model (EMA)"),
        SectionKind.OPTIMIZER: _translate("Summary", "Optimizer"),
        SectionKind.SCHEDULER: _translate("Summary", "Scheduler"),
        SectionKind.SCALER: _translate("Summary", "Gradient scaler"),
        SectionKind.HYPER_PARAMETERS: _translate("Summary", "Hyper-parameters"),
        SectionKind.RNG: _translate("Summary", "Random state"),
    }.get(kind, plain(kind))
