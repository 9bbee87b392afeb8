"""One thing that was looked at before resuming."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from inspector_app.analysis.training_words import Words

_LISTED = 4


class CheckStatus:
    """How it turned out. Plain strings, as they stand in reports."""

    OK = "ok"
    NOTE = "note"  # good to know
    WARNING = "warning"  # resuming works, and something goes otherwise than it would have
    FAILED = "failed"  # the training cannot be resumed as it was


class Subject:
    """What it is about."""

    MODEL = "model"
    FINITE = "values"
    OPTIMIZER = "optimizer"
    NAMES = "parameter names"
    SHAPES = "shapes"
    COUNTERS = "step counters"
    SCHEDULER = "scheduler"
    SCALER = "grad scaler"
    RNG = "random numbers"
    PROGRESS = "progress"
    DATA = "data loader"
    AVERAGE = "averaged weights"


class Check(NamedTuple):
    """One check.

    Attributes:
        subject: of `Subject`.
        status: of `CheckStatus`.
        words: the reason, in a sentence.
        where: the part that it is about, where the file has several; else "".
    """

    subject: str
    status: str
    words: Words
    where: str = ""


def named_places(names: Sequence[str]) -> str:
    """The first of many names."""
    shown = ", ".join(names[:_LISTED])
    return f"{shown} and {len(names) - _LISTED:,} more" if len(names) > _LISTED else shown
