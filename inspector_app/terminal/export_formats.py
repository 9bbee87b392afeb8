"""The options of `export` for each kind of file."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from inspector_app.checkpoint.text import plain
from inspector_app.terminal.command import Trouble
from inspector_app.worker.export_run import ENDINGS
from inspector_app.worker.failures import Failure
from inspector_app.worker.protocol import (
    ExportedProgramOptions,
    FormatOptions,
    OnnxOptions,
    SafetensorsOptions,
    StateDictOptions,
    TorchScriptOptions,
)

# Each option of a file, and the kinds of files that have it.
_KINDS = {
    "torchscript": ("torchscript",),
    "freeze": ("torchscript",),
    "optimize": ("torchscript",),
    "exporter": ("onnx",),
    "opset": ("onnx",),
    "no_optimize": ("onnx",),
    "external_data": ("onnx",),
    "input_names": ("onnx",),
    "output_names": ("onnx",),
    "metadata": ("onnx", "safetensors"),
    "strict_export": ("torch-export",),
}


def declare_formats(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how the file is made."""
    script = parser.add_argument_group("a TorchScript file (.pt)")
    script.add_argument("--torchscript", choices=("trace", "script"), help="how; trace if absent")
    script.add_argument("--freeze", action="store_true", help="freeze the graph")
    script.add_argument(
        "--optimize", action="store_true", help="optimize the graph for inference, which freezes it"
    )
    onnx = parser.add_argument_group("an ONNX file (.onnx)")
    onnx.add_argument("--exporter", choices=("dynamo", "torchscript"), help="dynamo if absent")
    onnx.add_argument("--opset", type=int, help="the exporter's own if absent")
    onnx.add_argument("--no-optimize", action="store_true", help="leave the graph unsimplified")
    onnx.add_argument(
        "--external-data",
        choices=("auto", "beside", "inside"),
        help="the weights: beside the model as OUT.data, inside it, or beside it where they are "
        "too large (auto, if absent)",
    )
    onnx.add_argument("--input-names", metavar="A,B", help="of the graph, in the order of forward")
    onnx.add_argument("--output-names", metavar="A,B", help="of the graph, in their order")
    both = parser.add_argument_group("an ONNX or a safetensors file")
    both.add_argument(
        "--metadata", metavar="KEY=TEXT", action="append", help="kept in the file; may be repeated"
    )
    program = parser.add_argument_group("an exported program (.pt2)")
    program.add_argument(
        "--strict-export",
        action="store_true",
        help="trace with TorchDynamo, which refuses more and is sound",
    )


def options_of(arguments: argparse.Namespace) -> FormatOptions:
    """What OUT's ending and the options ask for.

    Raises:
        Failure: the ending says no format.
        Trouble: an option is of another kind of file.
    """
    kind = ENDINGS.get(Path(arguments.out).suffix.lower())
    if kind is None:
        raise Failure("unknown-format", name=arguments.out)
    for name, kinds in _KINDS.items():
        if getattr(arguments, name) and kind not in kinds:
            endings = " or ".join(end for end, each in ENDINGS.items() if each in kinds)
            raise Trouble(
                f"--{name.replace('_', '-')} is for {endings}, not {plain(arguments.out)}"
            )
    if kind == "onnx":
        return OnnxOptions(
            exporter=arguments.exporter or "dynamo",
            opset=arguments.opset,
            optimize=not arguments.no_optimize,
            external_data=arguments.external_data or "auto",
            input_names=_names(arguments.input_names),
            output_names=_names(arguments.output_names),
            metadata=_metadata(arguments.metadata),
        )
    if kind == "torchscript":
        how = TorchScriptOptions(
            arguments.torchscript or "trace", arguments.freeze, arguments.optimize
        )
        # Running a trace on other inputs is a proof too.
        return replace(how, check_inputs=0) if arguments.no_proof else how
    if kind == "torch-export":
        return ExportedProgramOptions(arguments.strict_export)
    if kind == "safetensors":
        return SafetensorsOptions(_metadata(arguments.metadata))
    return StateDictOptions()


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(each.strip() for each in text.split(",")) if text else ()


def _metadata(texts: list[str] | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise Trouble(f"--metadata {plain(text)}: it is written KEY=TEXT")
        found[key.strip()] = value
    return found
