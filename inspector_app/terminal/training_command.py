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
    parser.add_argument("file", metavar="FILE", help="a checkpoint, a shard index, or its folder")
    parser.add_argument("--json", action="store_true", help="print one JSON object, compact")
    parser.add_argument(
        "--values",
        action="store_true",
        help="read the weights, too: a NaN or an infinite value stands against resuming",
    )
    parser.add_argument(
        "--rehearse",
        action="store_true",
        help="resume in another process: rebuild optimizer and scheduler, take a step, and "
        "compute the learning rate before and after",
    )
    parser.add_argument(
        "--python", metavar="INTERPRETER", default="", help="a Python with torch for --rehearse"
    )
    parser.add_argument("--quiet", action="store_true", help="the summary and the checklist only")
    parser.add_argument("--no-progress", action="store_true", help="no progress on stderr")


def training(arguments: argparse.Namespace, write: Callable[[Iterable[str]], None]) -> bool:
    """Read, check and print; whether something stands against resuming.

    Raises:
        CheckpointError: the file cannot be read.
        Trouble: a rehearsal cannot be made; the sentence has a next step.
    """
    from inspector_app.analysis.companions import model_in
    from inspector_app.analysis.resume_checklist import checking
    from inspector_app.analysis.training_state import reading_training

    visible = not (arguments.no_progress or arguments.quiet)
    checkpoint = drive(model_in(arguments.file) or arguments.file, visible)
    line = ProgressLine(visible)
    state = driven(reading_training(checkpoint), line)
    found = driven(checking(state, arguments.values), line)
    tried = None
    if arguments.rehearse:
        from inspector_app.terminal.rehearsal import rehearse

        tried = rehearse(state, arguments.python, line)
    if arguments.json:
        from inspector_app.terminal.training_json import json_parts

        write(json_parts(state, found, tried))
    else:
        from inspector_app.terminal.training_text import text_parts

        write(text_parts(state, found, Style.of(sys.stdout), whole=not arguments.quiet))
        if tried is not None:
            from inspector_app.terminal.rehearsal import text_lines

            write(f"{line}\n" for line in text_lines(tried, Style.of(sys.stdout)))
    return not found.resumable or (tried is not None and not tried.works)


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
