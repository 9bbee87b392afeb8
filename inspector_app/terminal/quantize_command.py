"""`quantize`: what quantization would cost, and a file that is quantized."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable

from inspector_app.terminal.command import Trouble

Write = Callable[[Iterable[str]], None]


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    from inspector_app.terminal.model_options import declare_inputs, declare_model
    from inspector_app.terminal.quantize_options import CASTS, declare_data, declare_methods
    from inspector_app.terminal.quantize_preview import declare_preview
    from inspector_app.terminal.worker_steps import declare_output
    from inspector_app.worker.protocol import FLOAT_DTYPES

    parser.add_argument("file", metavar="SRC", help="a checkpoint, a shard index or its folder")
    parser.add_argument(
        "out",
        metavar="OUT",
        nargs="?",
        help="the file to write; its ending says what: .pth a state_dict, .pt TorchScript, .pt2, "
        ".onnx, or .safetensors of cast",
    )
    declare_preview(parser)
    declare_methods(parser)
    dtypes = tuple(dict.fromkeys((*FLOAT_DTYPES, *CASTS)))
    declare_model(parser, dtypes, "of cast: what weights become; else: cast them to this first")
    declare_inputs(parser)
    declare_data(parser)
    parser.add_argument(
        "--report",
        metavar="FILE",
        action="append",
        default=[],
        help="also write what was found as .json or .html",
    )
    declare_output(parser, "the summary only")


def quantize(arguments: argparse.Namespace, write: Write) -> bool:
    """Do what the command line asks for.

    Returns:
        Whether anything was found that is worth an exit status of 1.

    Raises:
        CheckpointError: the file cannot be read.
        Trouble: the arguments do not go together, or the model cannot be quantized.
    """
    if arguments.preview:
        if arguments.out or arguments.method:
            raise Trouble("--preview writes nothing: leave OUT and --method away")
        from inspector_app.terminal.quantize_preview import preview

        return preview(arguments, write)
    if not arguments.out or not arguments.method:
        raise Trouble(
            "say what to do: --preview shows what each scheme would cost, OUT and --method write "
            "a quantized file"
        )
    return _write(arguments, write)


def _write(arguments: argparse.Namespace, write: Write) -> bool:
    from inspector_app.terminal.model_options import prefilled_text
    from inspector_app.terminal.quantize_report import json_parts, report_text, text_parts
    from inspector_app.terminal.worker_steps import done
    from inspector_app.worker.quantize_run import QuantizeOutcome, quantizing

    visible = not (arguments.no_progress or arguments.quiet)
    plan, prefilled = plan_of(arguments, visible)

    def report(path: str, outcome: QuantizeOutcome) -> str:
        return report_text(path, plan, outcome)

    outcome = done(arguments, quantizing(plan), report, prefilled)
    if arguments.json:
        write(json_parts(plan, outcome))
    elif not arguments.quiet or outcome.refused:
        write(text_parts(plan, outcome, prefilled_text(prefilled)))
    return bool(outcome.refused)


def plan_of(arguments: argparse.Namespace, visible: bool = False) -> tuple:
    """What the command line asks for, and which of the model's arguments SRC gave.

    Raises:
        CheckpointError: SRC cannot be read.
        Trouble: it asks for nothing that there is.
    """
    import os
    from dataclasses import replace

    from inspector_app.terminal.model_options import (
        choice_of,
        failure_text,
        inputs_of,
        prefilled_arguments,
    )
    from inspector_app.terminal.progress_line import drive
    from inspector_app.terminal.quantize_options import bounds_of, data_of, left_of, options_of
    from inspector_app.worker.failures import Failure
    from inspector_app.worker.input_text import check_axes
    from inspector_app.worker.model_choice import ModelChoice
    from inspector_app.worker.protocol import FLOAT_DTYPES
    from inspector_app.worker.quantize_run import DEFAULT_SETTINGS, QuantizePlan, check_plan

    options = options_of(arguments)
    data = data_of(arguments)
    bounds = bounds_of(arguments)
    cast = arguments.method == "cast"
    if arguments.dtype and not cast and arguments.dtype not in FLOAT_DTYPES:
        raise Trouble(f"--dtype {arguments.dtype} is of the method cast")
    if cast:
        arguments.dtype = ""
    try:
        inputs = inputs_of(arguments)
        check_axes(inputs.specs, inputs.dynamic)
    except Failure as failure:
        raise Trouble(failure_text(failure.failed)) from None
    checkpoint = drive(arguments.file, visible)
    prefilled = prefilled_arguments(arguments, checkpoint)
    if checkpoint.format == "onnx" or (cast and not arguments.model):
        model = ModelChoice(os.path.abspath(arguments.file))
    else:
        model = choice_of(arguments, checkpoint, prefilled)
    settings = None if arguments.no_measure else replace(DEFAULT_SETTINGS)
    plan = QuantizePlan(
        model,
        inputs,
        options,
        arguments.out,
        left_of(arguments),
        data,
        arguments.python,
        settings,
        bounds,
    )
    try:
        check_plan(plan)
    except Failure as failure:
        raise Trouble(failure_text(failure.failed)) from None
    return plan, prefilled
