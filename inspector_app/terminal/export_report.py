"""What an export gave, as text and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from inspector_app.analysis.quantities import size_text
from inspector_app.checkpoint.text import plain
from inspector_app.worker.export_run import ExportOutcome, ExportPlan
from inspector_app.worker.protocol import OutputError, Proved

SCHEMA = 1


def json_parts(plan: ExportPlan, outcome: ExportOutcome) -> Iterator[str]:
    """One object: what was written, and the proof."""
    exported, proved = outcome.exported, outcome.proved
    report: dict[str, Any] = {
        "schema": SCHEMA,
        "src": plan.model.checkpoint,
        "out": plan.target,
        "format": plan.options.kind,
        "files": list(outcome.files),
        "nbytes": exported.nbytes if exported else None,
        "seconds": exported.seconds if exported else None,
        "outputs": [
            {"name": each.name, "shape": list(each.shape), "dtype": each.dtype}
            for each in (exported.outputs if exported else ())
        ],
        "operators": dict(exported.operators) if exported else {},
        "notes": list(exported.notes) if exported else [],
        "proof": None if proved is None else _proof(proved),
    }
    yield json.dumps(report, separators=(",", ":"), allow_nan=False)
    yield "\n"


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


def text_parts(plan: ExportPlan, outcome: ExportOutcome) -> Iterator[str]:
    """A few lines: outputs, proof, files."""
    exported, proved = outcome.exported, outcome.proved
    if exported is not None:
        for each in exported.outputs:
            shape = " × ".join(map(str, each.shape)) or "scalar"
            yield f"{plain(each.name)}  {shape}  {each.dtype}\n"
        for note in exported.notes:
            yield f"note: {plain(note, 500)}\n"
    if proved is not None:
        yield from _proof_lines(proved)
    if outcome.files and exported is not None:
        names = ", ".join(plain(each) for each in outcome.files)
        yield f"{names}: {size_text(exported.nbytes)}\n"
    else:
        yield f"{plain(plan.target)} was not written\n"


def _proof_lines(proved: Proved) -> Iterator[str]:
    for case in proved.cases:
        sizes = ", ".join(f"{plain(name)} {size}" for name, size in case.sizes.items()) or "example"
        if case.error:
            yield f"{sizes}: {plain(case.error, 500)}\n"
        for each in case.outputs:
            verdict = "equal" if each.within else "DIFFERS"
            yield (
                f"{sizes}: {plain(each.name)} {verdict}, "
                f"max abs {each.max_abs:.3g}, max rel {each.max_rel:.3g}\n"
            )
    if proved.departs:
        yield f"the first that departs is {plain(proved.departs)}\n"
    if proved.original_seconds and proved.result_seconds:
        original, result = proved.original_seconds * 1e3, proved.result_seconds * 1e3
        yield f"original {original:.3g} ms, {plain(proved.runtime)} {result:.3g} ms\n"
    for note in proved.notes:
        yield f"note: {plain(note, 500)}\n"
    verdict = "computes the same" if proved.passed else "computes something else"
    yield f"the result {verdict} (rtol {proved.rtol:g}, atol {proved.atol:g})\n"
