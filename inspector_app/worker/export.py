"""Exports: builds the model, runs it once, and lets the format's own module write it.

Each format is a generator function ``(prepared, options, path)`` that writes `path`, and
files beside it whose names begin with its own, yields `Progress` and returns `Written`.
They are written into a folder of the client's, which moves them to their place or removes
them: a target is never half written.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from inspector_app.worker.example_inputs import Call, ExampleInputs, call_of
from inspector_app.worker.failures import Failure
from inspector_app.worker.model_source import Model, building
from inspector_app.worker.outputs import infos
from inspector_app.worker.protocol import Export, Exported, FormatOptions, OutputInfo, Progress
from inspector_app.worker.script_text import script_of
from inspector_app.worker.trial import forward
from inspector_app.worker.user_errors import failure_of

# `FormatOptions.kind` and the generator function that writes it.
FORMATS = {
    "onnx": "inspector_app.worker.export_onnx:writing",
    "torchscript": "inspector_app.worker.export_torchscript:writing",
    "torch-export": "inspector_app.worker.export_program:writing",
    "safetensors": "inspector_app.worker.export_weights:writing_safetensors",
    "state-dict": "inspector_app.worker.export_weights:writing_state_dict",
}
# Weights alone: no forward, so no inputs.
WITHOUT_GRAPH = ("safetensors", "state-dict")
# A forward of a second is a tenth of an export: these need no other one than their own.
RUN_THE_MODEL = ("torchscript",)


@dataclass(slots=True)
class Prepared:
    """What a format's module gets.

    Attributes:
        model: in eval mode, with its weights.
        example: makes its inputs.
        call: how they are passed.
        tensors: the example, dynamic axes at least 2 where their bounds allow it.
        outputs: what the model gave for it; () until the module of a format that runs the model
            itself has set it, and where nothing ran it, as with a script that is not checked.
    """

    model: Model
    example: ExampleInputs
    call: Call
    tensors: dict[str, Any]
    outputs: tuple[OutputInfo, ...]

    @property
    def module(self) -> Any:
        return self.model.module


@dataclass(slots=True)
class Written:
    """What a format's module says of what it wrote.

    Attributes:
        operators: of the graph, each with how often it occurs.
        notes: sentences worth knowing.
        outputs: names of an ONNX graph's outputs.
        inferred: torch.export was left to infer the ranges of dynamic axes.
    """

    operators: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    inferred: bool = False


Writing = Generator[Progress, None, Written]
Writer = Callable[[Any, Any, str], Writing]


def exporting(request: Export) -> Generator[Progress, None, Exported]:
    """Write the model as the request asks."""
    path = os.path.join(request.staging, request.name)
    writer = _writer(request.options)
    model = yield from building(request.model)
    prepared: Any = model
    notes: list[str] = []
    if request.options.kind not in WITHOUT_GRAPH:
        prepared = yield from preparing(model, request)
        notes = prepared.example.notes()
    _demand_room(model, request)
    start = time.perf_counter()
    try:
        written = yield from writer(prepared, request.options, path)
    except Exception as error:
        raise _writing_failure(error, request) from error
    seconds = time.perf_counter() - start
    outputs = () if prepared is model else prepared.outputs
    files = _files(request.staging, request.name)
    return Exported(
        files=tuple(name for name, _ in files),
        nbytes=sum(size for _, size in files),
        seconds=seconds,
        outputs=outputs,
        operators=written.operators,
        notes=(*model.notes, *notes, *written.notes),
        script=script_of(request, model, written, prepared),
    )


def preparing(model: Model, request: Export) -> Generator[Progress, None, Prepared]:
    """Make the example inputs, and run the model on them once unless exporting it does."""
    example = ExampleInputs(request.inputs, request.model.device)
    call = call_of(model.module, [spec.name for spec in request.inputs.specs])
    tensors = example.tensors(sizes=example.traced_sizes())
    outputs: tuple[OutputInfo, ...] = ()
    if request.options.kind not in RUN_THE_MODEL:
        yield Progress("run the model")
        outputs = infos(forward(model.module, call, tensors, request.inputs.specs))
    return Prepared(model, example, call, tensors, outputs)


def _writer(options: FormatOptions) -> Writer:
    module, _, name = FORMATS[options.kind].partition(":")
    writer: Writer = getattr(import_module(module), name)
    return writer


def _files(folder: str, first: str) -> list[tuple[str, int]]:
    """Names and sizes of what was written, `first` at the front."""
    names = sorted(os.listdir(folder), key=lambda name: (name != first, name))
    return [(name, Path(folder, name).stat().st_size) for name in names]


def _writing_failure(error: Exception, request: Export) -> Failure:
    """Words for an export that failed; torch tells of a full disk in words of its own."""
    if isinstance(error, Failure):
        return error
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    torch_writes = any(word in str(error) for word in ("PytorchStreamWriter", "inline_container"))
    if full or (torch_writes and not _room(request.staging)):
        return Failure("disk-full", file=request.name)
    if isinstance(error, OSError):
        return Failure("not-writable", file=request.name, reason=str(error.strerror or error))
    return failure_of("worker-fault", error)


def _demand_room(model: Model, request: Export) -> None:
    """Raise `Failure` if the weights alone do not fit on the disk: some of torch's writers
    abort the process when it is full, after minutes perhaps."""
    sizes = {
        each.data_ptr(): each.nbytes
        for each in model.module.state_dict().values()
        if hasattr(each, "data_ptr")
    }
    if shutil.disk_usage(request.staging).free < sum(sizes.values()):
        raise Failure("disk-full", file=request.name)


def _room(folder: str) -> bool:
    """Whether a mebibyte is left on the disk."""
    return shutil.disk_usage(folder).free > 1 << 20
