"""`export`: from a checkpoint to a file that computes the same, through a worker process."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable

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
from inspector_app.terminal.progress_line import drive
from inspector_app.terminal.worker_steps import declare_output, done
from inspector_app.worker.export_run import ENDINGS, ExportOutcome, ExportPlan, exporting
from inspector_app.worker.failures import Failure
from inspector_app.worker.input_text import check_axes
from inspector_app.worker.protocol import (
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
    declare_output(parser, "print nothing but what is wrong")


def export(arguments: argparse.Namespace, write: Write) -> bool:
    """Export and print; whether the result differs from the original.

    Raises:
        CheckpointError: SRC cannot be read.
        Trouble: it cannot be exported; the sentence has a next step.
    """
    visible = not (arguments.no_progress or arguments.quiet)
    plan, prefilled = plan_of(arguments, visible)
    from inspector_app.terminal.export_report import json_parts, report_text, text_parts

    def report(path: str, outcome: ExportOutcome) -> str:
        return report_text(path, plan, outcome)

    outcome = done(arguments, exporting(plan), report, prefilled)
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
