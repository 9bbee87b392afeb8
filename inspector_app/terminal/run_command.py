"""`run`: the checkpoints of a run, in order, with what each says."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from inspector_app.terminal.command import Trouble
from inspector_app.terminal.progress_line import ProgressLine, share_bar
from inspector_app.terminal.style import Style
from inspector_app.terminal.training_command import driven

if TYPE_CHECKING:
    from inspector_app.analysis.run_checkpoints import Run
    from inspector_app.analysis.run_drift import Drift


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "paths", nargs="+", metavar="FOLDER|FILE", help="a run's folder, or its checkpoints"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, compact")
    parser.add_argument(
        "--drift",
        action="store_true",
        help="read the weights: how far each layer is from the first checkpoint and the one before",
    )
    parser.add_argument(
        "--metric", metavar="NAME", help="the metric that says which checkpoint is the best"
    )
    parser.add_argument("--quiet", action="store_true", help="the summary only")
    parser.add_argument("--no-progress", action="store_true", help="no progress on stderr")


def run_checkpoints(arguments: argparse.Namespace, write: Callable[[Iterable[str]], None]) -> bool:
    """List and print; whether some checkpoint is not complete.

    Raises:
        CheckpointError: a folder cannot be listed.
        Trouble: there is no checkpoint, or no such metric.
    """
    from inspector_app.analysis.run_checkpoints import FileState, judged_by
    from inspector_app.analysis.run_watch import SETTLED_SECONDS, RunWatch

    line = ProgressLine(not (arguments.no_progress or arguments.quiet))
    watches = []
    files = []
    for path in arguments.paths:
        if os.path.isdir(path):
            watches.append(RunWatch(path))
        elif os.path.exists(path):
            files.append(path)
        else:
            raise Trouble(f"{path}: there is no such file or folder")
    if files:
        watches.append(RunWatch(files=files))
    for watch in watches:
        driven(watch.scanning(time.time()), line)
    if any(watch.waiting for watch in watches):
        # What was written just now may be complete: a moment tells.
        time.sleep(SETTLED_SECONDS)
        for watch in watches:
            driven(watch.scanning(time.time()), line)
    found = _joined(watches)
    if not found.checkpoints:
        raise Trouble(f"{', '.join(arguments.paths)}: there is no checkpoint")
    if arguments.metric is not None:
        if all(curve.name != arguments.metric for curve in found.curves):
            known = ", ".join(curve.name for curve in found.curves) or "none"
            raise Trouble(f"no checkpoint has the metric {arguments.metric} (there is: {known})")
        found = judged_by(found, arguments.metric)
    drift = _drift(found, line) if arguments.drift else None
    if arguments.json:
        from inspector_app.terminal.run_report import json_text

        write([json_text(found, drift)])
    else:
        from inspector_app.terminal.run_report import text_parts

        write(text_parts(found, drift, Style.of(sys.stdout), not arguments.quiet))
    return any(each.state != FileState.COMPLETE for each in found.checkpoints)


def _joined(watches: Iterable[object]) -> Run:
    from inspector_app.analysis.run_checkpoints import run_of
    from inspector_app.analysis.run_watch import RunWatch

    return run_of(
        each for watch in watches if isinstance(watch, RunWatch) for each in watch.checkpoints
    )


def _drift(found: Run, line: ProgressLine) -> Drift:
    from inspector_app.analysis.run_drift import Drift, measuring_drift

    rows = []
    layers: tuple[str, ...] = ()
    try:
        for step in measuring_drift([each.path for each in found.checkpoints if each.complete]):
            layers = step.layers
            if step.row is not None:
                rows.append(step.row)
            if line.due:
                line.show(f"weights {share_bar(step.done, step.total)}")
    finally:
        line.erase()
    return Drift(layers, tuple(rows))
