"""`diff`: read two checkpoints, compare them as far as was asked, and print what differs."""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from fnmatch import translate
from typing import TYPE_CHECKING, TypeVar

from inspector_app.analysis.comparison import Comparison, KeyPair, Status
from inspector_app.analysis.diff import comparing, model_keys
from inspector_app.analysis.key_mapping import (
    BadRuleError,
    KeyMapping,
    PrefixSuggestion,
    RenameSuggestion,
    Rule,
    stripping,
    suggesting_prefixes,
    suggesting_renames,
)
from inspector_app.analysis.quantities import size_text
from inspector_app.terminal.command import Trouble
from inspector_app.terminal.progress_line import ProgressLine, drive, share_bar
from inspector_app.terminal.style import Style

if TYPE_CHECKING:
    from collections.abc import Generator

    from inspector_app.checkpoint.model import Progress

Result = TypeVar("Result")
Hints = tuple[list[PrefixSuggestion], list[RenameSuggestion]]
Write = Callable[[Iterable[str]], None]


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    checkpoint = "a checkpoint, a shard index or its folder"
    parser.add_argument("a", metavar="A", help=f"{checkpoint}: what B is loaded into")
    parser.add_argument("b", metavar="B", help=checkpoint)
    parser.add_argument("--json", action="store_true", help="print one JSON object, compact")
    parser.add_argument(
        "--values", action="store_true", help="read the values and measure how far they differ"
    )
    parser.add_argument(
        "--strip-prefix",
        metavar="P",
        action="append",
        default=[],
        help="keys lose this prefix, in the file where that makes them match; may be repeated",
    )
    parser.add_argument(
        "--map",
        metavar="REGEX=>REPL",
        action="append",
        default=[],
        help="replace in B's keys what matches; may be repeated",
    )
    parser.add_argument(
        "--select",
        metavar="GLOB",
        action="append",
        help="only what has a matching key or name; may be repeated",
    )
    for name, what in (("rtol", "times |a|"), ("atol", "as a number")):
        parser.add_argument(
            f"--{name}",
            type=_tolerance,
            default=0.0,
            metavar="X",
            help=f"differences up to this, {what}, count as identical; implies --values",
        )
    parser.add_argument(
        "--html",
        metavar="OUT",
        help="also write a page with charts, which needs nothing else; implies --values",
    )
    parser.add_argument(
        "--markdown",
        metavar="OUT",
        help="also write a report as Markdown; implies --values",
    )
    parser.add_argument("--window", action="store_true", help="compare in a window instead")
    parser.add_argument("--quiet", action="store_true", help="the summary only")
    parser.add_argument("--no-progress", action="store_true", help="no progress on stderr")


def _tolerance(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0 up")
    return value


def diff(arguments: argparse.Namespace, write: Write) -> bool:
    """Compare and print; whether anything differs.

    Raises:
        CheckpointError: a file cannot be read.
        Trouble: a rule or a glob is wrong, or tensors could not be compared.
    """
    visible = not (arguments.no_progress or arguments.quiet)
    line = ProgressLine(visible)
    try:
        rules = tuple(Rule.parse(text) for text in arguments.map)
    except BadRuleError as error:
        raise Trouble(f"--map {error}") from None
    a, b = drive(arguments.a, visible), drive(arguments.b, visible)
    try:
        mapping = KeyMapping(rules=rules)
        _refuse_sources(arguments, Comparison(a, b))
        comparison = _finished(comparing(a, b, mapping), line)
        if arguments.strip_prefix:
            mapping = stripping(arguments.strip_prefix, *model_keys(comparison), mapping)
            comparison = _finished(comparing(a, b, mapping), line)
        hints: Hints = ([], [])
        if arguments.json or not arguments.quiet:
            hints = _hints(comparison, mapping, line)
        if arguments.select:
            _select(comparison, arguments.select)
        tolerance = arguments.rtol, arguments.atol
        values = arguments.values or any(tolerance) or bool(_reports(arguments))
        _compare_bytes(comparison, values, tolerance, line)
    finally:
        line.erase()
    _write_reports(arguments, comparison, mapping, hints)
    if arguments.json:
        from inspector_app.analysis.diff_json import json_parts

        write(json_parts(comparison, hints, values))
    else:
        from inspector_app.terminal.diff_text import text_parts

        write(text_parts(comparison, hints, Style.of(sys.stdout), table=not arguments.quiet))
    _complain_of_errors(comparison)
    return comparison.differs()


def _finished(steps: Generator[Progress, None, Result], line: ProgressLine) -> Result:
    """Drive work to its end and return its result."""
    try:
        while True:
            progress = next(steps)
            if line.due:
                line.show(f"comparing: {progress.stage}")
    except StopIteration as end:
        result: Result = end.value
        return result
    finally:
        steps.close()


def _hints(comparison: Comparison, mapping: KeyMapping, line: ProgressLine) -> Hints:
    """What could be done so that more keys match."""
    found = comparison.summary()
    if not (found[Status.MISSING] and found[Status.UNEXPECTED]):
        return [], []
    mine, theirs = model_keys(comparison)
    keys = [mapping.a_key(key) for key in mine], [mapping.b_key(key) for key in theirs]
    prefixes = _finished(suggesting_prefixes(*keys), line)
    if prefixes:
        return prefixes, []  # Until it is dropped each key would look renamed.
    return [], _finished(suggesting_renames(comparison, mapping), line)


def _select(comparison: Comparison, patterns: Sequence[str]) -> None:
    """Keep what matches one of the globs."""
    wanted = re.compile("|".join(f"(?:{translate(pattern)})" for pattern in patterns))

    def chosen(pair: KeyPair) -> bool:
        tensors = (tensor for tensor in (pair.a, pair.b) if tensor is not None)
        return bool(wanted.match(pair.key)) or any(wanted.match(each.name) for each in tensors)

    comparison.pairs = list(filter(chosen, comparison.pairs))
    comparison.values = [
        value for value in comparison.values if wanted.match("/".join(map(str, value.path)))
    ]
    comparison.left_out = []
    if not comparison.pairs and not comparison.values:
        raise Trouble(f"no tensor's name matches {' or '.join(patterns)}")


def _compare_bytes(
    comparison: Comparison, values: bool, tolerance: tuple[float, float], line: ProgressLine
) -> None:
    """Read what has to be read: what nothing else tells, and with `values` what differs too."""
    statuses = {Status.UNCOMPARED, Status.CHANGED} if values else {Status.UNCOMPARED}
    pairs = [
        pair
        for pair in comparison.pairs
        if pair.status in statuses or (values and pair.reasons == ("dtype",))
    ]
    if not pairs:
        return
    from inspector_app.analysis.content import Tolerance, measuring

    with closing(measuring(comparison, pairs, Tolerance(*tolerance), metrics=values)) as steps:
        for step in steps:
            if line.due:
                done = f"{size_text(step.done)} of {size_text(step.total)}"
                line.show(f"{share_bar(step.done, step.total)}  {done}")


def _reports(arguments: argparse.Namespace) -> list[tuple[str, str]]:
    """The kinds of report that are to be written, and where to."""
    given = (("html", arguments.html), ("markdown", arguments.markdown))
    return [(kind, path) for kind, path in given if path is not None]


def _refuse_sources(arguments: argparse.Namespace, comparison: Comparison) -> None:
    """Before anything is compared, which may take long."""
    from inspector_app.analysis.report_file import refuse_sources

    for _, path in _reports(arguments):
        try:
            refuse_sources(path, comparison)
        except OSError as error:
            raise Trouble(f"{path}: {error.strerror}") from None


def _write_reports(
    arguments: argparse.Namespace, comparison: Comparison, mapping: KeyMapping, hints: Hints
) -> None:
    """Write the reports; where that fails nothing is left of one, and what was there stays."""
    for kind, path in _reports(arguments):
        from inspector_app.analysis.diff_html import html_report
        from inspector_app.analysis.diff_markdown import MOST_KEYS, markdown_report
        from inspector_app.analysis.diff_report import ReportOptions
        from inspector_app.analysis.report_file import writing_report

        select = tuple(arguments.select or ())
        options = ReportOptions(
            mapping,
            select,
            arguments.rtol,
            arguments.atol,
            prefixes=hints[0],
            renames=hints[1],
        )
        if kind == "html":
            parts = html_report(comparison, options)
        else:
            parts = markdown_report(comparison, replace(options, most_keys=MOST_KEYS))
        try:
            for _ in writing_report(path, parts, comparison):
                pass
        except OSError as error:
            raise Trouble(f"{path}: {error.strerror}") from None


def without_other_options(arguments: argparse.Namespace) -> None:
    """Raise `Trouble` where an option asks for what the window does in its own way."""
    others = "json values strip_prefix map select rtol atol html markdown quiet".split()
    asked = [f"--{name.replace('_', '-')}" for name in others if getattr(arguments, name)]
    if asked:
        raise Trouble(f"--window opens the two files; {', '.join(asked)} is chosen there")


def _complain_of_errors(comparison: Comparison) -> None:
    failed = [pair for pair in comparison.pairs if pair.error and pair.status == Status.UNCOMPARED]
    if failed:
        more = f" (and {len(failed) - 1:,} more)" if len(failed) > 1 else ""
        place = f"{comparison.a.path}, {comparison.b.path}: {failed[0].key}"
        raise Trouble(f"{place} could not be compared: {failed[0].error}{more}")
