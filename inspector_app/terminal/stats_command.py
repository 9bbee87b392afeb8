"""`stats`: choose tensors, measure them, and print what was found as it comes."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from fnmatch import translate
from typing import TYPE_CHECKING

from inspector_app.analysis.quantities import size_text
from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.model import Checkpoint, TensorInfo
from inspector_app.checkpoint.values import open_values
from inspector_app.terminal.progress_line import ProgressLine, drive, share_bar
from inspector_app.terminal.style import Style

if TYPE_CHECKING:
    from inspector_app.analysis.findings import Finding
    from inspector_app.analysis.stats import StatsProgress, TensorStats

_MOST_THREADS = 4


def stats(
    arguments: argparse.Namespace, write: Callable[[Iterable[str]], None]
) -> tuple[bool, CheckpointError | None]:
    """Measure and print.

    Returns:
        Whether anything was found that is wrong, and the first error of those tensors whose
        values should be in the file and cannot be read.

    Raises:
        CheckpointError: the file cannot be read.
        LookupError: no tensor has a name that was asked for.
    """
    from inspector_app.analysis.findings import Findings
    from inspector_app.analysis.stats import measuring

    visible = not (arguments.no_progress or arguments.quiet)
    checkpoint = drive(arguments.file, visible)
    tensors = selected(checkpoint, arguments.select)
    findings = Findings(checkpoint)
    line = ProgressLine(visible)
    threads = min(os.cpu_count() or 1, _MOST_THREADS)
    wrong = False
    failed: CheckpointError | None = None

    def results() -> Iterator[tuple[TensorStats, tuple[Finding, ...]]]:
        nonlocal wrong, failed
        for result in _in_order(steps, line):
            found = findings.of(result)
            wrong = wrong or bool(found)
            if failed is None and result.error is not None and result.error.code != "no-values":
                failed = result.error
            yield result, found

    with open_values(checkpoint) as reader:
        steps = measuring(reader, tensors, threads=threads, exact=arguments.exact)
        with closing(steps):
            try:
                if arguments.json:
                    from inspector_app.terminal.stats_json import json_parts

                    write(json_parts(checkpoint, results()))
                else:
                    from inspector_app.terminal.stats_text import text_parts

                    style = Style.of(sys.stdout)
                    table = not arguments.quiet
                    write(text_parts(checkpoint, tensors, results(), style, table))
            finally:
                line.erase()
    return wrong, failed


def selected(checkpoint: Checkpoint, patterns: list[str] | None) -> list[TensorInfo]:
    """The tensors whose name, or whose key alone, matches one of the globs; all if there are none.

    Raises:
        LookupError: none does.
    """
    if not patterns:
        return checkpoint.tensors
    wanted = re.compile("|".join(f"(?:{translate(pattern)})" for pattern in patterns))
    chosen = [
        tensor
        for tensor in checkpoint.tensors
        if wanted.match(tensor.name) or wanted.match(str(tensor.key))
    ]
    if not chosen:
        raise LookupError(f"no tensor's name matches {' or '.join(patterns)}")
    return chosen


def _in_order(steps: Iterable[StatsProgress], line: ProgressLine) -> Iterator[TensorStats]:
    """The results in the order of the tensors; those that come early wait."""
    waiting: dict[int, TensorStats] = {}
    following = 0
    for progress in steps:
        waiting.update((result.number, result) for result in progress.finished)
        if following in waiting:
            line.erase()
        while following in waiting:
            yield waiting.pop(following)
            following += 1
        if line.due:
            line.show(_bar(progress))


def _bar(progress: StatsProgress) -> str:
    sizes = f"{size_text(progress.done)} of {size_text(progress.total)}"
    return f"{share_bar(progress.done, progress.total)}  {sizes}"
