"""A whole quantization, as window and command run it: write, measure, put in place.

The worker that quantizes writes into a folder beside the target. Another one loads the
original afresh, and the file by the loading code that users are given, and measures what was
lost; two more say how much memory each of both takes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from inspector_app.worker.client import events
from inspector_app.worker.failures import Failed, Failure
from inspector_app.worker.model_choice import Inputs, ModelChoice, SourceKind
from inspector_app.worker.protocol import Event, Finished, Request
from inspector_app.worker.quantize_methods import method_of
from inspector_app.worker.quantize_protocol import (
    CalibrationData,
    CastOptions,
    DataKind,
    DynamicOptions,
    LeftInFloat,
    Measure,
    Measured,
    MeasureSettings,
    MethodsProbed,
    ProbeMethods,
    Quantize,
    Quantized,
    QuantizeOptions,
    Weigh,
    Weighed,
)
from inspector_app.worker.staging import Staging

DEFAULT_SETTINGS = MeasureSettings()
NOTHING_LEFT = LeftInFloat()
_NO_ROOM = 1 << 16  # bytes


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the result must keep to be written.

    Attributes:
        agreement: share of samples with the same arg-max.
        loss: of accuracy, at most.
        sqnr_db: of each output.
    """

    agreement: float | None = None
    loss: float | None = None
    sqnr_db: float | None = None


@dataclass(frozen=True, slots=True)
class QuantizePlan:
    """What is quantized, how, and to where.

    Attributes:
        model, inputs, options, left, data: as in `quantize_protocol.Quantize`.
        target: the file to write.
        interpreter: a Python's path; "" for this one.
        settings: None measures nothing.
        bounds: what must be kept.
        folder: the working directory of the model's code; None for ours.
    """

    model: ModelChoice
    inputs: Inputs
    options: QuantizeOptions
    target: str
    left: LeftInFloat = NOTHING_LEFT
    data: CalibrationData | None = None
    interpreter: str = ""
    settings: MeasureSettings | None = DEFAULT_SETTINGS
    bounds: Bounds = Bounds()
    folder: str | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """Peak bytes of both, beyond what the process had before; None where nobody can tell."""

    original: int | None
    quantized: int | None


@dataclass(frozen=True, slots=True)
class QuantizeOutcome:
    """
    Attributes:
        files: what stands at the target now; () if nothing was written.
        quantized: what was written; None if that failed.
        measured: what it costs; None without data.
        memory: None if it was not measured.
        refused: which bound does not hold, sentences; nothing was written then.
        failed: why nothing was written; None if a bound does not hold or all is well.
    """

    files: tuple[str, ...] = ()
    quantized: Quantized | None = None
    measured: Measured | None = None
    memory: Memory | None = None
    refused: tuple[str, ...] = ()
    failed: Failed | None = None


def quantizing(
    plan: QuantizePlan, *, tick: float | None = None
) -> Generator[Event | None, None, QuantizeOutcome]:
    """Run `plan`. Yields the events of its workers; the outcome is the return value.

    Closing the generator cancels: the workers die, and nothing is left beside the target.
    """
    try:
        check_plan(plan)
        staging = Staging(plan.target)
    except Failure as failure:
        yield failure.failed
        return QuantizeOutcome(failed=failure.failed)
    with staging:
        outcome = yield from _staged(plan, staging, tick)
        if outcome.failed is not None or outcome.refused or outcome.quantized is None:
            return outcome
        try:
            files = staging.place(outcome.quantized.files)
        except Failure as failure:
            yield failure.failed
            return QuantizeOutcome((), outcome.quantized, outcome.measured, failed=failure.failed)
        return QuantizeOutcome(tuple(files), outcome.quantized, outcome.measured, outcome.memory)


def probing_methods(
    interpreter: str = "", *, tick: float | None = None
) -> Generator[Event | None, None, MethodsProbed | Failed]:
    """Ask an interpreter which methods work there; yields the worker's events."""
    last = yield from _relayed(ProbeMethods(), interpreter, None, tick)
    if isinstance(last, Failed):
        return last
    assert isinstance(last.result, MethodsProbed)
    return last.result


def check_plan(plan: QuantizePlan) -> None:
    """Raise `Failure` for what can be known before anything runs."""
    method = method_of(plan.options)
    target = plan.target
    ending = Path(target).suffix.lower()
    if ending not in method.endings:
        raise Failure(
            "quantized-form",
            method=method.title,
            name=os.path.basename(target),
            endings=" or ".join(method.endings),
        )
    half = isinstance(plan.options, DynamicOptions) and plan.options.dtype == "float16"
    if half and ending != ".pth":
        # torch writes packed weights of float16 as float32 there.
        raise Failure(
            "quantized-form", method="Dynamic fp16", name=os.path.basename(target), endings=".pth"
        )
    if method.calibration and plan.data is None:
        raise Failure("calibration-needed", method=method.title)
    bare = isinstance(plan.options, CastOptions) and plan.model.source.source == SourceKind.FILE
    if bare and plan.data is not None:
        raise Failure("model-needed")
    read = [plan.model.checkpoint, *(spec.file for spec in plan.inputs.specs if spec.file)]
    if plan.data is not None and plan.data.source == DataKind.FILE:
        read.append(plan.data.path)
    for path in filter(os.path.exists, read):
        if os.path.exists(plan.target) and os.path.samefile(plan.target, path):
            reason = "the quantization reads that very file"
            raise Failure("not-writable", file=plan.target, reason=reason)


def _staged(
    plan: QuantizePlan, staging: Staging, tick: float | None
) -> Generator[Event | None, None, QuantizeOutcome]:
    target = os.path.abspath(plan.target)
    request = Quantize(
        plan.model,
        plan.inputs,
        plan.options,
        plan.left,
        plan.data,
        staging.folder,
        staging.name,
        target,
    )
    last = yield from _relayed(request, plan.interpreter, plan.folder, tick)
    if isinstance(last, Failed):
        return QuantizeOutcome(failed=_of_full_disk(last, staging.folder, plan.target))
    quantized = last.result
    assert isinstance(quantized, Quantized)
    if plan.settings is None or plan.data is None:
        return QuantizeOutcome(quantized=quantized)
    measure = Measure(
        plan.model,
        plan.inputs,
        plan.options,
        plan.left,
        plan.data,
        quantized,
        staging.folder,
        plan.settings,
    )
    last = yield from _relayed(measure, plan.interpreter, plan.folder, tick)
    if isinstance(last, Failed):
        return QuantizeOutcome(quantized=quantized, failed=last)
    measured = last.result
    assert isinstance(measured, Measured)
    refused = tuple(_refused(plan.bounds, measured))
    memory = None
    if plan.settings.memory and not refused:
        weighed = yield from _memory(plan, quantized, staging.folder, tick)
        if isinstance(weighed, Failed):
            return QuantizeOutcome(quantized=quantized, measured=measured, failed=weighed)
        memory = weighed
    return QuantizeOutcome((), quantized, measured, memory, refused)


def _memory(
    plan: QuantizePlan, quantized: Quantized, staging: str, tick: float | None
) -> Generator[Event | None, None, Memory | Failed]:
    assert plan.data is not None
    peaks: list[int | None] = []
    for side in (None, quantized):
        request = Weigh(plan.model, plan.inputs, plan.data, side, staging)
        last = yield from _relayed(request, plan.interpreter, plan.folder, tick)
        if isinstance(last, Failed):
            return last
        assert isinstance(last.result, Weighed)
        peaks.append(last.result.peak)
    return Memory(*peaks)


def _refused(bounds: Bounds, measured: Measured) -> Generator[str, None, None]:
    for each in measured.outputs:
        if bounds.sqnr_db is not None and not each.sqnr_db >= bounds.sqnr_db:
            yield f"output {each.name} has {each.sqnr_db:.1f} dB instead of {bounds.sqnr_db:g}"
    agreements = [each.agreement for each in measured.outputs if each.agreement is not None]
    if bounds.agreement is not None:
        if not agreements:
            yield "no output looks like class scores, so there is no agreement"
        elif min(agreements) < bounds.agreement:
            yield f"{min(agreements):.2%} agree instead of {bounds.agreement:.2%}"
    if bounds.loss is not None:
        if measured.float_accuracy is None or measured.quantized_accuracy is None:
            yield "the data have no labels, so there is no accuracy"
        elif measured.float_accuracy - measured.quantized_accuracy > bounds.loss + 1e-12:
            lost = measured.float_accuracy - measured.quantized_accuracy
            yield f"{lost:.2%} of accuracy are lost instead of {bounds.loss:.2%}"


def _relayed(
    request: Request, interpreter: str, folder: str | None, tick: float | None
) -> Generator[Event | None, None, Finished | Failed]:
    """Yield a worker's events and return the last."""
    steps = events(request, interpreter, folder=folder, tick=tick)
    with closing(steps):
        for event in steps:
            yield event
            if isinstance(event, (Finished, Failed)):
                return event
    raise AssertionError("a worker's last event is Finished or Failed")


def _of_full_disk(failed: Failed, folder: str, target: str) -> Failed:
    """Some of torch's writers abort the process when the disk is full."""
    if failed.code == "worker-crashed" and shutil.disk_usage(folder).free < _NO_ROOM:
        return Failed("disk-full", {"file": target}, failed.traceback)
    return failed
