"""Quantizations that are done in the test's own process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from real_workers import choice_of, failed_of, result_of

from inspector_app.worker.failures import Failed
from inspector_app.worker.protocol import Inputs
from inspector_app.worker.quantize import quantizing
from inspector_app.worker.quantize_protocol import (
    CalibrationData,
    LeftInFloat,
    Measure,
    Measured,
    MeasureSettings,
    Quantize,
    Quantized,
)
from inspector_app.worker.quantized_truth import measuring

NOTHING = LeftInFloat()


def request_of(
    checkpoint: Path,
    source: Path,
    options: Any,
    data: CalibrationData | None,
    *,
    name: str = "Net",
    ending: str = ".pth",
    left: LeftInFloat = NOTHING,
    inputs: Inputs | None = None,
    choice: Any = None,
    **arguments: Any,
) -> Quantize:
    """A request with a folder of its own beside the checkpoint."""
    number = sum(1 for _ in checkpoint.parent.glob("staging*"))
    staging = checkpoint.parent / f"staging{number}"
    staging.mkdir()
    return Quantize(
        choice or choice_of(checkpoint, source, name, **arguments),
        inputs or Inputs(()),
        options,
        left,
        data,
        str(staging),
        f"out{ending}",
        str(staging / f"out{ending}"),
    )


def quantized_of(request: Quantize) -> Quantized:
    return result_of(quantizing(request))


def failure_of(request: Quantize) -> Failed:
    return failed_of(quantizing(request))


def measured_of(request: Quantize, quantized: Quantized, **settings: Any) -> Measured:
    """What it costs."""
    assert request.data is not None
    chosen = {"repeats": 0, "memory": False, **settings}
    measure = Measure(
        request.model,
        request.inputs,
        request.options,
        request.left,
        request.data,
        quantized,
        request.staging,
        MeasureSettings(**chosen),
    )
    return result_of(measuring(measure))


def save_samples(path: Path, **arrays: Any) -> CalibrationData:
    """A file of samples."""
    import numpy

    numpy.savez(path, **{name: torch.as_tensor(each).numpy() for name, each in arrays.items()})
    return CalibrationData(path=str(path), batch=8)
