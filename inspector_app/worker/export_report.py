"""What an export gave, as one JSON document: for ``--json``, for files, and for the HTML page."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

from inspector_app.worker.export_run import ExportOutcome, ExportPlan
from inspector_app.worker.failures import Failed
from inspector_app.worker.input_text import axis_text, text_of
from inspector_app.worker.json_form import to_json
from inspector_app.worker.protocol import Exported, OutputError, Proved

SCHEMA = 1


def document(plan: ExportPlan, outcome: ExportOutcome) -> dict[str, Any]:
    """The report. Figures that are not finite are null, as JSON has no others.

    Args:
        plan: what was asked for.
        outcome: what became of it.
    """
    exported, proved = outcome.exported, outcome.proved
    section = plan.model.weights.section
    return {
        "schema": SCHEMA,
        "src": plan.model.checkpoint,
        "src_bytes": _size(plan.model.checkpoint),
        "model": {
            "source": plan.model.source.source,
            "spec": plan.model.source.spec or None,
            "arguments": dict(plan.model.source.arguments),
            "section": None if section is None else list(section),
            "device": plan.model.device,
            "dtype": plan.model.dtype or None,
        },
        "inputs": [text_of(each) for each in plan.inputs.specs],
        "dynamic": [axis_text(each) for each in plan.inputs.dynamic],
        "out": plan.target,
        "format": plan.options.kind,
        "options": _options(plan),
        "files": list(outcome.files),
        **_exported(exported),
        "proof": None if proved is None else _proof(proved),
        "failure": None if outcome.failed is None else _failure(outcome.failed),
    }


def _options(plan: ExportPlan) -> Any:
    options = to_json(plan.options)
    assert isinstance(options, Mapping)
    return {name: value for name, value in options.items() if name != "kind"}


def _exported(exported: Exported | None) -> dict[str, Any]:
    outputs = exported.outputs if exported else ()
    return {
        "nbytes": exported.nbytes if exported else None,
        "seconds": exported.seconds if exported else None,
        "outputs": [
            {"name": each.name, "shape": list(each.shape), "dtype": each.dtype} for each in outputs
        ],
        "operators": dict(exported.operators) if exported else {},
        "notes": list(exported.notes) if exported else [],
        "script": (exported.script or None) if exported else None,
    }


def _proof(proved: Proved) -> dict[str, Any]:
    return {
        "passed": proved.passed,
        "rtol": proved.rtol,
        "atol": proved.atol,
        "runtime": proved.runtime,
        "original_seconds": proved.original_seconds or None,
        "result_seconds": proved.result_seconds or None,
        "departs": proved.departs or None,
        "cases": [
            {
                "sizes": dict(case.sizes),
                "within": case.within,
                "error": case.error or None,
                "outputs": [_output(each) for each in case.outputs],
            }
            for case in proved.cases
        ],
        "notes": list(proved.notes),
    }


def _output(error: OutputError) -> dict[str, Any]:
    return {
        "name": error.name,
        "max_abs": error.max_abs if math.isfinite(error.max_abs) else None,
        "max_rel": error.max_rel if math.isfinite(error.max_rel) else None,
        "within": error.within,
    }


def _failure(failed: Failed) -> dict[str, Any]:
    return {"code": failed.code, "cause": failed.cause, "next_step": failed.next_step}


def _size(path: str) -> int | None:
    try:
        return os.stat(path).st_size
    except OSError:
        return None
