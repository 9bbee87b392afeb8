"""What is said of a run's checkpoints."""

from __future__ import annotations

import math
from datetime import datetime

from PySide6.QtCore import QT_TRANSLATE_NOOP, QCoreApplication

from inspector_app.analysis.quantities import count_text, size_text
from inspector_app.analysis.run_checkpoints import FileState, Run, RunCheckpoint
from inspector_app.analysis.training_words import number_text
from inspector_app.checkpoint.text import plain

STATES = {
    FileState.COMPLETE: QT_TRANSLATE_NOOP("Run", "complete"),
    FileState.BEING_WRITTEN: QT_TRANSLATE_NOOP("Run", "being written"),
    FileState.INCOMPLETE: QT_TRANSLATE_NOOP("Run", "incomplete"),
    FileState.UNREADABLE: QT_TRANSLATE_NOOP("Run", "unreadable"),
}


def _tr(text: str) -> str:
    return QCoreApplication.translate("Run", text)


def state_text(run: Run, checkpoint: RunCheckpoint) -> str:
    """How far its file is, and what it is in the run."""
    words = [] if checkpoint.complete else [_tr(STATES[checkpoint.state])]
    if run.best is not None and run.best.path == checkpoint.path:
        words.append(_tr("best"))
    if run.latest is not None and run.latest.path == checkpoint.path:
        words.append(_tr("latest"))
    return ", ".join(words)


def number(value: float | None) -> str:
    """A number, or "" where there is none."""
    return "" if value is None else number_text(value)


def time_text(modified_ns: int) -> str:
    """When a file was written, in local time."""
    try:
        return datetime.fromtimestamp(modified_ns / 1e9).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, OSError, ValueError):
        return ""


def summary(run: Run) -> str:
    """The run in one line."""
    count = len(run.checkpoints)
    words = [
        _tr("1 checkpoint") if count == 1 else _tr("{n} checkpoints").format(n=count_text(count)),
        size_text(run.nbytes),
    ]
    for what in ("epoch", "step"):
        places = [getattr(each.place, what) for each in run.checkpoints if each.complete]
        known = [each for each in places if each is not None]
        if known and run.by == what:
            first, last = number_text(min(known)), number_text(max(known))
            words.append(f"{what} {first}" if first == last else f"{what} {first} – {last}")
    if run.best is not None:
        value = number_text(run.best.metrics[run.metric])
        words.append(
            _tr("best {metric} {value}: {name}").format(
                metric=plain(run.metric, 40), value=value, name=plain(run.best.name, 80)
            )
        )
    odd = sum(not each.complete for each in run.checkpoints)
    if odd:
        words.append(_tr("{n} not complete").format(n=count_text(odd)))
    return " · ".join(words)


def share_text(value: float) -> str:
    """A relative distance as a percentage."""
    if math.isnan(value):
        return ""
    return "∞" if math.isinf(value) else f"{100 * value:.3g} %"
