"""`export`: from a checkpoint to a file that computes the same, through a worker process."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import closing

from inspector_app.checkpoint.text import plain
from inspector_app.terminal.command import Trouble
from inspector_app.terminal.export_formats import declare_formats, options_of
from inspector_app.terminal.model_options import (
    choice_of,
    declare_inputs,
    declare_model,
    failure_text,
    inputs_of,
    prefilled_arguments,
    prefilled_text,
)
from inspector_app.terminal.progress_line import ProgressLine, drive
from inspector_app.worker.export_run import ENDINGS, ExportOutcome, ExportPlan, exporting
from inspector_app.worker.failures import Failure
from inspector_app.worker.input_text import check_axes
from inspector_app.worker.protocol import (
    Log,
    Progress,
    ProofSettings,
    SafetensorsOptions,
    StateDictOptions,
)

Write = Callable[[Iterable[str]], None]
_WITHOUT_INPUTS = (SafetensorsOptions, StateDictOptions)


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("file", metavar="SRC", help="the checkpoint")
    parser.add_argument(
        "out", metavar="OUT", help=f"the file to write; its ending says what: {' '.join(ENDINGS)}"
    )
    declare_model(parser)
    declare_inputs(parser)
    declare_formats(parser)
    proof = parser.add_argument_group("the proof")
    proof.add_argument(
        "--no-proof",
        action="store_true",
        help="write without comparing, neither the file nor a trace on other inputs",
    )
    proof.add_argument("--rtol", type=float, help="relative tolerance; that of the dtype if absent")
    proof.add_argument("--atol", type=float, help="absolute tolerance; that of the dtype if absent")
    proof.add_argument(
        "--report",
        metavar="FILE",
        action="append",
        default=[],
        help="also write what was found as .json or .html, whether it passed or not",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, compact")
    parser.add_argument("--quiet", action="store_true", help="print nothing but what is wrong")
    parser.add_argument(
        "--verbose", action="store_true", help="what the model's code prints, and its traceback"
    )
    parser.add_argument("--no-progress", action="store_true", help="no progress on stderr")


def export(arguments: argparse.Namespace, write: Write) -> bool:
    """Export and print; whether the result differs from the original.

    Raises:
        CheckpointError: SRC cannot be read.
        Trouble: it cannot be exported; the sentence has a next step.
    """
    visible = not (arguments.no_progress or arguments.quiet)
    plan, prefilled = plan_of(arguments, visible)
    _check_reports(arguments)
    outcome = _driven(plan, ProgressLine(visible and not arguments.verbose), arguments.verbose)
    from inspector_app.terminal.export_report import json_parts, report_text, text_parts

    for path in arguments.report:
        _save(path, report_text(path, plan, outcome))
    if outcome.failed is not None:
        if arguments.verbose and outcome.failed.traceback:
            print(outcome.failed.traceback, file=sys.stderr)
        raise Trouble(f"{plain(arguments.file)}: {failure_text(outcome.failed, prefilled)}")
    if arguments.json:
        write(json_parts(plan, outcome))
    elif not arguments.quiet or not outcome.files:
        write(text_parts(plan, outcome, prefilled_text(prefilled)))
    return not outcome.files


def plan_of(
    arguments: argparse.Namespace, visible: bool = False
) -> tuple[ExportPlan, dict[str, object]]:
    """What the command line asks for, and which of the model's arguments SRC gave.

    Raises:
        CheckpointError: SRC cannot be read.
        Trouble: it asks for nothing that there is.
    """
    try:
        options = options_of(arguments)
        inputs = inputs_of(arguments)
        check_axes(inputs.specs, inputs.dynamic)
    except Failure as failure:
        raise Trouble(failure_text(failure.failed)) from None
    if not inputs.specs and not isinstance(options, _WITHOUT_INPUTS):
        raise Trouble("an --input is needed, such as --input x:1,3,224,224:float32")
    checkpoint = drive(arguments.file, visible)
    prefilled = prefilled_arguments(arguments, checkpoint)
    proof = ProofSettings(rtol=arguments.rtol, atol=arguments.atol)
    plan = ExportPlan(
        model=choice_of(arguments, checkpoint, prefilled),
        inputs=inputs,
        options=options,
        target=arguments.out,
        interpreter=arguments.python,
        proof=None if arguments.no_proof else proof,
    )
    return plan, prefilled


def _check_reports(arguments: argparse.Namespace) -> None:
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


def _save(path: str, text: str) -> None:
    from inspector_app.analysis.report_file import writing

    try:
        for _ in writing(path, [text]):
            pass
    except OSError as error:
        raise Trouble(f"{plain(path)}: {error.strerror}") from None


def _driven(plan: ExportPlan, line: ProgressLine, verbose: bool) -> ExportOutcome:
    with closing(exporting(plan)) as steps:
        try:
            while True:
                event = next(steps)
                if isinstance(event, Progress):
                    line.show(f"{plain(event.stage)} …")
                elif isinstance(event, Log) and verbose:
                    print(plain(event.text, 2_000), file=sys.stderr)
        except StopIteration as end:
            outcome: ExportOutcome = end.value
            return outcome
        finally:
            line.erase()
