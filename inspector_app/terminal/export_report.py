"""What an export gave, as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator

from inspector_app.analysis.export_page import html_report
from inspector_app.analysis.quantities import size_text
from inspector_app.checkpoint.text import plain
from inspector_app.worker.export_report import document
from inspector_app.worker.export_run import ExportOutcome, ExportPlan
from inspector_app.worker.protocol import Proved


def json_parts(plan: ExportPlan, outcome: ExportOutcome) -> Iterator[str]:
    """One object: what was written, and the proof."""
    yield json.dumps(document(plan, outcome), separators=(",", ":"), allow_nan=False)
    yield "\n"


def report_text(path: str, plan: ExportPlan, outcome: ExportOutcome) -> str:
    """What is saved at `path`: a page where it ends in ``.html``, else JSON."""
    if path.lower().endswith((".html", ".htm")):
        return "".join(html_report(document(plan, outcome)))
    return json.dumps(document(plan, outcome), indent=1, allow_nan=False) + "\n"


def text_parts(plan: ExportPlan, outcome: ExportOutcome, prefilled: str = "") -> Iterator[str]:
    """A few lines: outputs, proof, files.

    Args:
        prefilled: arguments of the model that nobody gave.
    """
    if prefilled:
        yield f"note: {prefilled} comes from the checkpoint's own configuration\n"
    exported, proved = outcome.exported, outcome.proved
    if exported is not None:
        for each in exported.outputs:
            shape = " × ".join(map(str, each.shape)) or "scalar"
            yield f"{plain(each.name)}  {shape}  {each.dtype}\n"
        for note in exported.notes:
            yield f"note: {plain(note, 500)}\n"
    if proved is not None:
        yield from _proof_lines(proved)
    elif outcome.files:
        yield "not proven: nothing was compared (--no-proof)\n"
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
