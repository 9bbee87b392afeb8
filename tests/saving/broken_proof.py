"""A proof that finds something, as if the writer had a fault: what it writes is clean."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import pytest

from inspector_app.analysis import clean_copy
from inspector_app.analysis.safety_report import FoundGlobal, Group, SafetyReport
from inspector_app.checkpoint.model import Checkpoint, Progress


def broken_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the examination before a clean copy gets its name report ``os.system``."""
    examine = clean_copy.examine
    found = FoundGlobal("os.system", Group.OTHER, False, (), 1, (("call", 1),))

    def examined(checkpoint: Checkpoint) -> Generator[Progress, None, SafetyReport]:
        report = yield from examine(checkpoint)
        return replace(report, globals=(*report.globals, found))

    monkeypatch.setattr(clean_copy, "examine", examined)
