"""What commands do that let a worker work: show its progress, and save a report of it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from typing import Protocol, TypeVar

from inspector_app.checkpoint.text import plain
from inspector_app.terminal.command import Trouble
from inspector_app.terminal.model_options import failure_text
from inspector_app.terminal.progress_line import ProgressLine
from inspector_app.worker.protocol import Event, Failed, Log, Progress


class Outcome(Protocol):
    """What became of what a worker was to do.

    Attributes:
        failed: why it could not, or None.
    """

    @property
    def failed(self) -> Failed | None: ...


T = TypeVar("T", bound=Outcome)


def declare_output(parser: argparse.ArgumentParser, quiet: str) -> None:
    """Add the options that say what is printed; `quiet` says what ``--quiet`` leaves."""
    parser.add_argument("--json", action="store_true", help="print one JSON object, compact")
    parser.add_argument("--quiet", action="store_true", help=quiet)
    parser.add_argument(
        "--verbose", action="store_true", help="what the model's code prints, and its traceback"
    )
    parser.add_argument("--no-progress", action="store_true", help="no progress on stderr")


def done(
    arguments: argparse.Namespace,
    steps: Generator[Event | None, None, T],
    report_text: Callable[[str, T], str],
    prefilled: Mapping[str, object],
) -> T:
    """Run `steps` to their outcome, and save the reports of it that are asked for.

    Args:
        steps: begun by neither.
        report_text: what is saved at a path.
        prefilled: arguments of the model that SRC gave.

    Raises:
        Trouble: it has failed.
    """
    check_reports(arguments)
    visible = not (arguments.no_progress or arguments.quiet or arguments.verbose)
    outcome = driven(steps, ProgressLine(visible), arguments.verbose)
    for path in arguments.report:
        save_report(path, report_text(path, outcome))
    if outcome.failed is not None:
        if arguments.verbose and outcome.failed.traceback:
            print(outcome.failed.traceback, file=sys.stderr)
        raise Trouble(f"{plain(arguments.file)}: {failure_text(outcome.failed, prefilled)}")
    return outcome


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
