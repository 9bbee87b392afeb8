"""What was measured of float and quantized, as rows of text, and the verdict in a sentence."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QCoreApplication

from inspector_app.analysis.quantities import size_text
from inspector_app.checkpoint.text import plain
from inspector_app.ui.quantize_words import BAD_DB, cosine_text, db_text, percent_text
from inspector_app.ui.worker_words import figure_text, seconds_text
from inspector_app.worker.quantize_protocol import (
    DataKind,
    Latency,
    Measured,
    QuantizedLayer,
)
from inspector_app.worker.quantize_run import QuantizeOutcome, QuantizePlan

# From here on what is lost is worth a warning.
_MUCH_ACCURACY, _LITTLE_AGREEMENT = 0.02, 0.95
_SAME = 0.04  # of it: what neither is nor looks like a change
_NOTHING = "—"

Verdict = tuple[str, str, str, str]


def _tr(text: str) -> str:
    return QCoreApplication.translate("Quantize", text)


def verdict(name: str, outcome: QuantizeOutcome, plan: QuantizePlan | None = None) -> Verdict:
    """Kind of the banner, title, cause and advice."""
    measured, quantized = outcome.measured, outcome.quantized
    if outcome.refused:
        title = _tr("{name} was not written: it loses too much").format(name=name)
        return "error", title, "; ".join(plain(each, 300) for each in outcome.refused), ""
    share = ""
    if quantized is not None and quantized.original_bytes:
        share = f"{quantized.nbytes / quantized.original_bytes:.0%}"
    title = _tr("{name} was written: {share} of the size").format(name=name, share=share)
    if not share:
        title = _tr("{name} was written").format(name=name)
    if measured is None:
        said = _tr("What it costs was not measured: there were no data.")
        return "info", title, "", said
    if plan is not None and plan.data is not None and plan.data.source == DataKind.RANDOM:
        said = _tr("It was calibrated and measured with random data: that means little.")
        return "warning", title, _losses(measured), said
    if _is_much(measured):
        said = _tr("Below are the layers that lose most, to be left in float.")
        return "warning", title, _losses(measured), said if measured.layers else ""
    return "good", title, _losses(measured), ""


def _losses(measured: Measured) -> str:
    said = []
    before, after = measured.float_accuracy, measured.quantized_accuracy
    if before is not None and after is not None:
        text = _tr("Accuracy {before} → {after}")
        said.append(text.format(before=percent_text(before), after=percent_text(after)))
    agreements = [each.agreement for each in measured.outputs if each.agreement is not None]
    if agreements:
        text = _tr("the same arg-max for {share} of the samples")
        said.append(text.format(share=percent_text(min(agreements))))
    if measured.outputs:
        worst = min(measured.outputs, key=lambda each: each.sqnr_db)
        text = _tr("outputs at {db}")
        said.append(text.format(db=db_text(worst.sqnr_db)))
    text = ", ".join(said)
    return text[:1].upper() + text[1:] + "." if text else ""


def _is_much(measured: Measured) -> bool:
    before, after = measured.float_accuracy, measured.quantized_accuracy
    if before is not None and after is not None:
        return before - after > _MUCH_ACCURACY
    agreements = [each.agreement for each in measured.outputs if each.agreement is not None]
    if agreements:
        return min(agreements) < _LITTLE_AGREEMENT
    return any(each.sqnr_db < BAD_DB for each in measured.outputs)


def truth_rows(outcome: QuantizeOutcome) -> list[list[str]]:
    """Both sides, and what has changed."""
    quantized, measured, memory = outcome.quantized, outcome.measured, outcome.memory
    rows = []
    if quantized is not None:
        rows.append(_sizes(_tr("Size of the file"), quantized.original_bytes, quantized.nbytes))
    if measured is not None:
        before, after = measured.float_accuracy, measured.quantized_accuracy
        if before is not None and after is not None:
            points = _tr("{n} points").format(n=f"{100 * (after - before):+.2f}")
            rows.append([_tr("Accuracy"), percent_text(before), percent_text(after), points])
        rows += _latency(measured)
    if memory is not None and memory.original is not None and memory.quantized is not None:
        rows.append(_sizes(_tr("Peak memory of a forward"), memory.original, memory.quantized))
    if measured is not None and (measured.float_runtime or measured.quantized_runtime):
        runtimes = [plain(measured.float_runtime, 60), plain(measured.quantized_runtime, 60)]
        rows.append([_tr("Run by"), *runtimes, ""])
    return rows


def _sizes(title: str, before: int, after: int) -> list[str]:
    change = _NOTHING
    if before and _is_about(after, before):
        change = _tr("about the same")
    elif before and after <= before:
        change = _tr("{share} of it").format(share=f"{after / before:.0%}")
    elif before:
        change = _tr("{n} times as much").format(n=f"{after / before:.2g}")
    return [title, size_text(before), size_text(after), change]


def _is_about(after: float, before: float) -> bool:
    return abs(after - before) < _SAME * before


def _latency(measured: Measured) -> list[list[str]]:
    before, after = measured.float_latency, measured.quantized_latency
    if before is None or after is None:
        return []
    title = _tr("Latency of {n} samples").format(n=measured.batch)
    if measured.batch == 1:
        title = _tr("Latency of one sample")
    if after.median <= 0 or before.median <= 0:
        change = _NOTHING
    elif _is_about(after.median, before.median):
        change = _tr("about the same")
    elif after.median <= before.median:
        change = _tr("{n} times as fast").format(n=f"{before.median / after.median:.2g}")
    else:
        change = _tr("{n} times as slow").format(n=f"{after.median / before.median:.2g}")
    return [[title, _spread(before), _spread(after), change]]


def _spread(latency: Latency) -> str:
    """The median, and the quartiles around it."""
    low, high = seconds_text(latency.low), seconds_text(latency.high)
    return f"{seconds_text(latency.median)} ({low} … {high})"


def output_rows(measured: Measured) -> list[list[str]]:
    """What each output loses."""
    return [
        [
            plain(each.name, 60),
            db_text(each.sqnr_db),
            figure_text(each.max_abs),
            figure_text(each.mean_abs),
            cosine_text(each.cosine),
            percent_text(each.agreement),
        ]
        for each in measured.outputs
    ]


def layer_rows(layers: Sequence[QuantizedLayer]) -> list[list[str]]:
    """How each is stored, or why it was left in float."""
    return [
        [
            plain(each.name, 120),
            plain(each.type, 40),
            plain(each.stored if each.quantized else f"{each.stored} ({each.reason})", 80),
            size_text(each.float_bytes),
            size_text(each.nbytes),
        ]
        for each in layers
    ]
