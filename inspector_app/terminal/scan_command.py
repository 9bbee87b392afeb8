"""`scan`: what files would import and call, and what is odd about them."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from inspector_app.terminal.command import Trouble
from inspector_app.terminal.progress_line import ProgressLine
from inspector_app.terminal.scan_files import Found, files_of
from inspector_app.terminal.scan_results import Form, Scanned, Totals

if TYPE_CHECKING:
    from inspector_app.analysis.safety_report import SafetyReport
    from inspector_app.analysis.source_texts import SourceText
    from inspector_app.checkpoint.errors import CheckpointError
    from inspector_app.checkpoint.model import Checkpoint


class _Wanted(NamedTuple):
    """What of each file: checksums, too; uses of allowed globals, too, unless `briefly`."""

    verify: bool
    briefly: bool


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="FILE|FOLDER",
        help="checkpoints, and folders in which every checkpoint is scanned",
    )
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--json", action="store_true", help="print one JSON object, compact")
    forms.add_argument(
        "--sarif", action="store_true", help="print a SARIF 2.1.0 log, as code hosts take them"
    )
    parser.add_argument(
        "--verify",
        action="store_true",
        help="read all bytes, too: compare the checksums that archives state, and the indices of "
        "sparse and the scales of quantized tensors with their sizes",
    )
    parser.add_argument(
        "--code",
        action="store_true",
        help="print the source texts in files, too, as those of TorchScript; JSON has them always",
    )
    parser.add_argument("--quiet", action="store_true", help="only files with findings")
    parser.add_argument("--no-progress", action="store_true", help="no progress on stderr")


def scan(arguments: argparse.Namespace, write: Callable[[Iterable[str]], None]) -> int:
    """Scan and print; the exit status. Troubles go to stderr, a line each.

    Raises:
        Trouble: there is nothing to scan.
    """
    form = _form(arguments)
    totals = Totals()
    write(_parts(arguments, form, totals))
    if not totals.clean and not totals.findings and not totals.troubles:
        raise Trouble(f"{', '.join(arguments.paths)}: there is no checkpoint")
    return totals.status


def _form(arguments: argparse.Namespace) -> Form:
    if arguments.json:
        from inspector_app.terminal.scan_json import JsonForm

        return JsonForm()
    if arguments.sarif:
        from inspector_app.terminal.scan_sarif import SarifForm

        return SarifForm()
    from inspector_app.terminal.scan_text import TextForm
    from inspector_app.terminal.style import Style

    return TextForm(Style.of(sys.stdout), quiet=arguments.quiet, code=arguments.code)


def _parts(arguments: argparse.Namespace, form: Form, totals: Totals) -> Iterator[str]:
    line = ProgressLine(not (arguments.no_progress or arguments.quiet))
    wanted = _Wanted(verify=arguments.verify, briefly=not arguments.json)
    yield from form.begin()
    for number, found in enumerate(files_of(arguments.paths), 1):
        try:
            scanned = _scanned(found, wanted, number, line)
        finally:
            line.erase()
        totals.count(scanned)
        if scanned.trouble and sys.stderr is not None:
            sys.stdout.flush()
            print(f"checkpoint-inspector: {scanned.trouble}", file=sys.stderr)
        yield from form.file(scanned)
    yield from form.end(totals)


def _scanned(found: Found, wanted: _Wanted, number: int, line: ProgressLine) -> Scanned:
    from inspector_app.checkpoint.errors import CheckpointError, UnreadableFile, UnrecognisedFormat
    from inspector_app.checkpoint.text import plain

    if found.skipped:
        return Scanned(found)
    if found.failed:
        return Scanned(found, trouble=f"{plain(found.path)}: {found.failed}")
    try:
        return Scanned(found, *_examined(found.path, wanted, number, line))
    except UnrecognisedFormat as error:
        if not found.named:
            return Scanned(found._replace(skipped=error.message))
        return Scanned(found, trouble=str(error))
    except UnreadableFile as error:
        return Scanned(found, trouble=str(error))
    except CheckpointError as error:
        # Recognised, but nothing of it can be shown: its pickles may still name something.
        return Scanned(found, _broken(found.path, error, number, line))
    except MemoryError:
        return Scanned(found, trouble=f"{plain(found.path)}: there is not enough memory")


def _examined(
    path: str, wanted: _Wanted, number: int, line: ProgressLine
) -> tuple[SafetyReport, tuple[SourceText, ...]]:
    from dataclasses import replace

    from inspector_app.analysis import checksum_check, tensor_checks
    from inspector_app.analysis.safety import examine
    from inspector_app.analysis.source_texts import reading_sources
    from inspector_app.checkpoint import reading
    from inspector_app.checkpoint.limits import DEFAULT

    # All local headers, however many there are: this is no start that must be quick.
    limits = DEFAULT._replace(checked_headers=DEFAULT.directory_entries)
    checkpoint: Checkpoint = _driven(reading(path, limits), path, number, line)
    report: SafetyReport = _driven(examine(checkpoint, briefly=wanted.briefly), path, number, line)
    sources = _driven(reading_sources(checkpoint, report), path, number, line)
    if not wanted.verify:
        return report, sources
    checked = _driven(checksum_check.checking(checkpoint), path, number, line)
    parts = _driven(tensor_checks.checking(checkpoint), path, number, line)
    known = {(problem.code, problem.where) for problem in report.anomalies}
    found = (*checked.problems, *parts)
    more = [each for each in found if (each.code, each.where) not in known]
    return replace(report, anomalies=(*report.anomalies, *more)), sources


def _broken(path: str, error: CheckpointError, number: int, line: ProgressLine) -> SafetyReport:
    from inspector_app.analysis.safety import examine_broken

    report: SafetyReport = _driven(examine_broken(path, error), path, number, line)
    return report


def _driven(steps: Any, path: str, number: int, line: ProgressLine) -> Any:
    from inspector_app.checkpoint.text import plain

    name = ""
    try:
        while True:
            progress = next(steps)
            if line.due:
                name = name or plain(os.path.basename(path), 60)
                share = f" {100 * progress.done // progress.total} %" if progress.total else ""
                line.show(f"{number:,}: {name}: {plain(progress.stage, 40)}{share}")
    except StopIteration as end:
        return end.value
