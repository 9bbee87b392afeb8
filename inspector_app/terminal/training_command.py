"""`training`: the state of a training, and whether it can be resumed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from typing import Any

from inspector_app.checkpoint.model import Progress
from inspector_app.terminal.progress_line import ProgressLine, drive, share_bar
from inspector_app.terminal.style import Style


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("file", metavar="FILE", help="a checkpoint, a shard index or its folder")
    parser.add_argument("--json", action="store_true", help="print one JSON object, compact")
    parser.add_argument(
        "--values",
        action="store_true",
        help="read the weights, too: a NaN or an infinite value stands against resuming",
    )
    parser.add_argument("--quiet", action="store_true", help="the summary and the checklist only")
    parser.add_argument("--no-progress", action="store_true", help="no progress on stderr")


def training(arguments: argparse.Namespace, write: Callable[[Iterable[str]], None]) -> bool:
    """Read, check and print; whether something stands against resuming.

    Raises:
        CheckpointError: the file cannot be read.
    """
    from inspector_app.analysis.resume_checklist import checking
    from inspector_app.analysis.training_state import reading_training

    visible = not (arguments.no_progress or arguments.quiet)
    checkpoint = drive(arguments.file, visible)
    line = ProgressLine(visible)
    state = driven(reading_training(checkpoint), line)
    found = driven(checking(state, arguments.values), line)
    if arguments.json:
        from inspector_app.terminal.training_json import json_parts

        write(json_parts(state, found))
    else:
        from inspector_app.terminal.training_text import text_parts

        write(text_parts(state, found, Style.of(sys.stdout), whole=not arguments.quiet))
    return not found.resumable


def driven(steps: Generator[Progress, None, Any], line: ProgressLine) -> Any:
    """What `steps` return, with a line of progress."""
    with closing(steps):
        try:
            while True:
                progress = next(steps)
                if line.due:
                    line.show(f"{progress.stage} {share_bar(progress.done, progress.total or 0)}")
        except StopIteration as end:
            return end.value
        finally:
            line.erase()
