"""What a quantization gave, as one JSON document: for ``--json``, for files, for the HTML page."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

from inspector_app.worker.failures import Failed
from inspector_app.worker.input_text import axis_text, text_of
from inspector_app.worker.json_form import to_json
from inspector_app.worker.quantize_methods import method_of
from inspector_app.worker.quantize_protocol import Measured, Quantized
from inspector_app.worker.quantize_run import QuantizeOutcome, QuantizePlan

SCHEMA = 1


def document(plan: QuantizePlan, outcome: QuantizeOutcome) -> dict[str, Any]:
    """The report. Figures that are not finite are null, as JSON has no others.

    Args:
        plan: what was asked for.
        outcome: what became of it.
    """
    method = method_of(plan.options)
    return {
        "schema": SCHEMA,
        "src": plan.model.checkpoint,
        "src_bytes": _size(plan.model.checkpoint),
        "model": {
            "source": plan.model.source.source,
            "spec": plan.model.source.spec or None,
            "arguments": dict(plan.model.source.arguments),
        },
        "inputs": [text_of(each) for each in plan.inputs.specs],
        "dynamic": [axis_text(each) for each in plan.inputs.dynamic],
        "out": plan.target,
        "method": {
            "name": method.method,
            "engine": method.engine or None,
            "title": method.title,
            "state": method.state,
            "options": _without_kind(plan.options),
        },
        "left_in_float": _plain(plan.left),
        "data": None if plan.data is None else _plain(plan.data),
        "files": list(outcome.files),
        "quantized": None if outcome.quantized is None else _quantized(outcome.quantized),
        "measured": None if outcome.measured is None else _measured(outcome.measured),
        "memory": None if outcome.memory is None else _plain_memory(outcome),
        "refused": list(outcome.refused),
        "failure": None if outcome.failed is None else _failure(outcome.failed),
    }


def _plain(value: object) -> Any:
    return _finite(to_json(value))


def _without_kind(value: object) -> dict[str, Any]:
    plain = _plain(value)
    return {name: each for name, each in plain.items() if name != "kind"}


def _quantized(quantized: Quantized) -> dict[str, Any]:
    said = _without_kind(quantized)
    for name in ("beside", "beside_code", "files", "inputs", "keywords"):
        del said[name]
    said["ratio"] = (
        quantized.nbytes / quantized.original_bytes if quantized.original_bytes else None
    )
    said["script"] = quantized.script or None
    said["held_out"] = quantized.held_out or None
    return said


def _measured(measured: Measured) -> dict[str, Any]:
    said = _without_kind(measured)
    said["breaks"] = measured.breaks or None
    fast, slow = measured.quantized_latency, measured.float_latency
    ratio = fast.median / slow.median if fast and slow and slow.median else None
    said["latency_ratio"] = ratio
    return said


def _plain_memory(outcome: QuantizeOutcome) -> dict[str, Any]:
    assert outcome.memory is not None
    return {"float": outcome.memory.original, "quantized": outcome.memory.quantized}


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return value


def _failure(failed: Failed) -> dict[str, Any]:
    return {"code": failed.code, "cause": failed.cause, "next_step": failed.next_step}


def _size(path: str) -> int | None:
    try:
        return os.stat(path).st_size
    except OSError:
        return None
