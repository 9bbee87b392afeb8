"""A whole export, as window and command run it: write, prove, put in place.

The worker that exports writes into a folder beside the target; another one loads the
original afresh and compares. Only what passed is moved to the target.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from contextlib import closing, suppress
from dataclasses import dataclass

from inspector_app.worker.client import events
from inspector_app.worker.failures import Failed, Failure
from inspector_app.worker.protocol import (
    Event,
    Export,
    Exported,
    Finished,
    FormatOptions,
    Inputs,
    ModelChoice,
    ProofSettings,
    Prove,
    Proved,
)
from inspector_app.worker.staging import Staging
from inspector_app.worker.target_check import belongings, demand_other_files

# What an ending says; ``.pth`` is a state_dict.
ENDINGS = {
    ".onnx": "onnx",
    ".pt": "torchscript",
    ".pt2": "torch-export",
    ".safetensors": "safetensors",
    ".pth": "state-dict",
}
_NO_ROOM = 1 << 16  # bytes
DEFAULT_PROOF = ProofSettings()


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """What is exported, how, and to where.

    Attributes:
        model, inputs, options: as in `protocol.Export`.
        target: the file to write.
        interpreter: a Python's path; "" for this one.
        proof: None writes without a proof.
        folder: the working directory of the model's code; None for ours.
    """

    model: ModelChoice
    inputs: Inputs
    options: FormatOptions
    target: str
    interpreter: str = ""
    proof: ProofSettings | None = DEFAULT_PROOF
    folder: str | None = None


@dataclass(frozen=True, slots=True)
class ExportOutcome:
    """
    Attributes:
        files: what stands at the target now; () if nothing was written.
        exported: what the exporter said; None if it failed.
        proved: what the proof said; None if there was none.
        failed: why nothing was written; None if the proof found a difference or all is well.
    """

    files: tuple[str, ...] = ()
    exported: Exported | None = None
    proved: Proved | None = None
    failed: Failed | None = None


def exporting(
    plan: ExportPlan, *, tick: float | None = None
) -> Generator[Event | None, None, ExportOutcome]:
    """Run `plan`. Yields the events of its workers; the outcome is the return value.

    Closing the generator cancels: the workers die, and nothing is left beside the target.
    """
    try:
        inputs = [spec.file for spec in plan.inputs.specs]
        demand_other_files(plan.target, plan.model.checkpoint, inputs, beside_of(plan.options))
        staging = Staging(plan.target)
    except Failure as failure:
        yield failure.failed
        return ExportOutcome(failed=failure.failed)
    with staging:
        request = Export(plan.model, plan.inputs, staging.folder, staging.name, plan.options)
        last = yield from _relayed(request, plan, tick)
        if isinstance(last, Failed):
            return ExportOutcome(failed=last)
        exported = last.result
        assert isinstance(exported, Exported)
        proved: Proved | None = None
        if plan.proof is not None:
            file = os.path.join(staging.folder, staging.name)
            proof = Prove(plan.model, plan.inputs, file, plan.options, plan.proof)
            last = yield from _relayed(proof, plan, tick)
            if isinstance(last, Failed):
                return ExportOutcome(exported=exported, failed=last)
            assert isinstance(last.result, Proved)
            proved = last.result
            if not proved.passed:
                return ExportOutcome(exported=exported, proved=proved)
        try:
            # Weights beside a model that is replaced go with it.
            stale = belongings(plan.target, beside_of(plan.options))
            files = staging.place(exported.files)
            for path in stale:
                if os.path.basename(path) not in exported.files:
                    with suppress(OSError):  # what stays behind does no harm
                        os.remove(path)
        except Failure as failure:
            yield failure.failed
            return ExportOutcome(exported=exported, proved=proved, failed=failure.failed)
        return ExportOutcome(tuple(files), exported, proved)


def beside_of(options: FormatOptions) -> tuple[str, ...]:
    """Endings of what may be written beside the target."""
    return (".data",) if options.kind == "onnx" else ()


def _relayed(
    request: Export | Prove, plan: ExportPlan, tick: float | None
) -> Generator[Event | None, None, Finished | Failed]:
    """Yield a worker's events and return the last."""
    steps = events(request, plan.interpreter, folder=plan.folder, tick=tick)
    with closing(steps):
        for event in steps:
            if isinstance(event, Failed) and isinstance(request, Export):
                event = _of_full_disk(event, request, plan)
            yield event
            if isinstance(event, (Finished, Failed)):
                return event
    raise AssertionError("a worker's last event is Finished or Failed")


def _of_full_disk(failed: Failed, request: Export, plan: ExportPlan) -> Failed:
    """Some of torch's writers abort the process when the disk is full."""
    if failed.code == "worker-crashed" and shutil.disk_usage(request.staging).free < _NO_ROOM:
        return Failed("disk-full", {"file": plan.target}, failed.traceback)
    return failed
