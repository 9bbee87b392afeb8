"""The same export as a Python program with public APIs, which runs as it is.

Text from the checkpoint or the request enters the program through `repr` alone, from which
it cannot break out.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inspector_app.checkpoint.model import Checkpoint
from inspector_app.worker.graph_facts import DATA_SUFFIX, has_attention
from inspector_app.worker.model_source import Model
from inspector_app.worker.protocol import (
    Export,
    FormatOptions,
    OnnxOptions,
    SourceKind,
    TorchScriptOptions,
)
from inspector_app.worker.script_formats import Exporting, export_lines
from inspector_app.worker.script_inputs import input_lines
from inspector_app.worker.script_model import NoScript, Program, add_model, add_weights, moved_to

if TYPE_CHECKING:
    from inspector_app.worker.export import Written

_FORMATS = {
    "onnx": "ONNX",
    "torchscript": "TorchScript",
    "torch-export": "torch.export",
    "safetensors": "safetensors",
    "state-dict": "a state_dict",
}


def script_of(request: Export, model: Model, written: Written, prepared: object) -> str:
    """The program, or "" where there is no short one for this.

    Args:
        request: what was exported.
        model: as it was built.
        written: what the export says of itself.
        prepared: `export.Prepared`, of a format with a graph.
    """
    assert model.checkpoint is not None
    try:
        return _script(request, model, model.checkpoint, written, prepared)
    except NoScript:
        return ""


def _script(
    request: Export, model: Model, checkpoint: Checkpoint, written: Written, prepared: Any
) -> str:
    program = Program({"import torch"}, [])
    choice = request.model
    # The staging folder lies beside the target.
    target = os.path.join(os.path.dirname(os.path.abspath(request.staging)), request.name)
    program.add(f"CHECKPOINT = {os.path.abspath(choice.checkpoint)!r}", f"TARGET = {target!r}", "")
    add_model(program, choice, model.form, checkpoint)
    if choice.source.source != SourceKind.FILE and choice.weights.load:
        add_weights(program, choice, checkpoint, model.report)
    if model.form != "torch-export":
        program.add("model.eval()")
        moved = moved_to(choice)
        if moved:
            program.add(f"model.to({moved})")
    program.add("")
    exporting = Exporting(request.options)
    traced = isinstance(request.options, TorchScriptOptions) and request.options.way == "trace"
    if traced and any("." in each.name for each in prepared.outputs):
        raise NoScript("torch.jit.trace refuses outputs within outputs, which are flattened here")
    if prepared is not model:
        imports, lines = input_lines(prepared.example, choice.device)
        program.need(*imports)
        program.add(*lines)
        exporting = Exporting(
            _as_written(request),
            prepared.call,
            prepared.example.inputs.dynamic,
            parameters_of(prepared.module),
            written.outputs,
            written.inferred,
            has_attention(prepared.module),
        )
    imports, lines = export_lines(exporting)
    program.need(*imports)
    program.add(*lines)
    return _text(program, request)


def _as_written(request: Export) -> FormatOptions:
    """The options, with the place that external data were given."""
    data = os.path.join(request.staging, request.name + DATA_SUFFIX)
    if isinstance(request.options, OnnxOptions) and os.path.exists(data):
        return replace(request.options, external_data="beside")
    return request.options


def parameters_of(module: Any) -> list[str] | None:
    """Names of forward's parameters in their order; None where they have none."""
    from inspector_app.worker.example_inputs import forward_parameters

    parameters = None if module is None else forward_parameters(module)
    if parameters is None or any(each.kind == each.VAR_POSITIONAL for each in parameters):
        return None
    return [each.name for each in parameters]


def _text(program: Program, request: Export) -> str:
    name = Path(request.model.checkpoint).name
    return program.text(f"Exports {name!a} to {_FORMATS[request.options.kind]}.")
