"""What commands do that let a worker work: show its progress, and save a report of it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Generator
from contextlib import closing
from typing import TypeVar

from inspector_app.checkpoint.text import plain
from inspector_app.terminal.command import Trouble
from inspector_app.terminal.progress_line import ProgressLine
from inspector_app.worker.protocol import Event, Log, Progress

T = TypeVar("T")


def driven(steps: Generator[Event | None, None, T], line: ProgressLine, verbose: bool) -> T:
    """Run `steps` to their end, and show what they do; their return value."""
    with closing(steps):
        try:
            while True:
                event = next(steps)
                if isinstance(event, Progress):
                    line.show(f"{plain(event.stage)}{_share(event)} …")
                elif isinstance(event, Log) and verbose:
                    print(plain(event.text, 2_000), file=sys.stderr)
        except StopIteration as end:
            outcome: T = end.value
            return outcome
        finally:
            line.erase()


def _share(progress: Progress) -> str:
    return f" {progress.done:,} of {progress.total:,}" if progress.total else ""


def check_reports(arguments: argparse.Namespace) -> None:
    """Raise `Trouble` before minutes of work where a report has no place to go."""
    taken = [os.path.realpath(arguments.file), os.path.realpath(arguments.out)]
    for path in arguments.report:
        if not path.lower().endswith((".json", ".html", ".htm")):
            raise Trouble(f"--report {plain(path)}: it ends neither in .json nor in .html")
        if os.path.realpath(path) in taken:
            raise Trouble(f"--report {plain(path)}: that is SRC, OUT or another report")
        taken.append(os.path.realpath(path))
        if not os.path.isdir(os.path.dirname(os.path.abspath(path))):
            raise Trouble(f"{plain(path)}: No such file or directory")
        try:
            os.lstat(path)  # tells of a name that is too long
        except FileNotFoundError:
            continue
        except OSError as error:
            raise Trouble(f"{plain(path)}: {error.strerror}") from None


def save_report(path: str, text: str) -> None:
    from inspector_app.analysis.report_file import writing

    try:
        for _ in writing(path, [text]):
            pass
    except OSError as error:
        raise Trouble(f"{plain(path)}: {error.strerror}") from None
