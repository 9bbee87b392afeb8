"""What a quantization gave, as text and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

from inspector_app.analysis.quantities import size_text
from inspector_app.checkpoint.text import plain
from inspector_app.worker.quantize_protocol import Latency, Measured, Quantized
from inspector_app.worker.quantize_report import document
from inspector_app.worker.quantize_run import Memory, QuantizeOutcome, QuantizePlan

_LAYERS = 10


def json_parts(plan: QuantizePlan, outcome: QuantizeOutcome) -> Iterator[str]:
    """One object: what was written, and what it costs."""
    yield json.dumps(document(plan, outcome), separators=(",", ":"), allow_nan=False)
    yield "\n"


def report_text(path: str, plan: QuantizePlan, outcome: QuantizeOutcome) -> str:
    """What is saved at `path`: a page where it ends in ``.html``, else JSON."""
    if path.lower().endswith((".html", ".htm")):
        from inspector_app.analysis.quantization_page import html_report

        return "".join(html_report(document(plan, outcome)))
    return json.dumps(document(plan, outcome), indent=1, allow_nan=False) + "\n"


def text_parts(plan: QuantizePlan, outcome: QuantizeOutcome, prefilled: str = "") -> Iterator[str]:
    """Some lines: what was quantized, what it costs, files.

    Args:
        prefilled: arguments of the model that SRC gave, or "".
    """
    if prefilled:
        yield f"from the checkpoint: {prefilled}\n"
    quantized, measured = outcome.quantized, outcome.measured
    if quantized is not None:
        yield from _quantized_lines(quantized)
    if measured is not None:
        yield from _measured_lines(measured)
        if outcome.memory is not None:
            yield from _memory_line(outcome.memory)
    elif outcome.files:
        yield "not measured: give --calibration to learn what it costs\n"
    if quantized is not None and outcome.files:
        ratio = quantized.nbytes / quantized.original_bytes if quantized.original_bytes else 0
        names = ", ".join(map(plain, outcome.files))
        sizes = f"{size_text(quantized.original_bytes)} → {size_text(quantized.nbytes)}"
        yield f"{names}: {sizes}, {ratio:.3f} of the size\n"
    for each in outcome.refused:
        yield f"not kept: {plain(each, 300)}\n"
    if not outcome.files:
        yield f"{plain(plan.target)} was not written\n"


def _quantized_lines(quantized: Quantized) -> Iterator[str]:
    done = [each for each in quantized.layers if each.quantized]
    if quantized.layers:
        yield f"{len(done):,} of {len(quantized.layers):,} layers quantized\n"
    for each in quantized.layers:
        if each.reason:
            yield f"in float: {plain(each.name)} ({each.type}): {plain(each.reason, 200)}\n"
    if quantized.calibrated:
        yield f"calibrated with {quantized.calibrated:,} samples\n"
    for note in quantized.notes:
        yield f"note: {plain(note, 500)}\n"


def _measured_lines(measured: Measured) -> Iterator[str]:
    yield f"measured on {plain(measured.held_out, 200)}\n"
    for each in measured.outputs:
        agree = "" if each.agreement is None else f", {each.agreement:.2%} the same class"
        yield (
            f"{plain(each.name)}: {decibels(each.sqnr_db)}, max abs {each.max_abs:.3g}, "
            f"cosine {each.cosine:.6f}{agree}\n"
        )
    if measured.float_accuracy is not None and measured.quantized_accuracy is not None:
        before, after = measured.float_accuracy, measured.quantized_accuracy
        yield f"accuracy {before:.2%} → {after:.2%}\n"
    worst = sorted(measured.layers, key=lambda each: -each.added)[:_LAYERS]
    for layer in worst:
        yield (
            f"{plain(layer.name)}: output {decibels(layer.sqnr_db)}, "
            f"input {decibels(layer.input_sqnr_db)}\n"
        )
    if measured.breaks:
        yield f"breaks first at {plain(measured.breaks)}, below {measured.breaks_db:g} dB\n"
    if measured.leave:
        options = " ".join(f"--skip {plain(name)}" for name in measured.leave)
        cost = size_text(measured.leave_bytes)
        yield f"too much? {options} leaves them in float, for {cost}\n"
    if measured.float_latency and measured.quantized_latency:
        yield (
            f"float {_milliseconds(measured.float_latency)} ({plain(measured.float_runtime)}), "
            f"quantized {_milliseconds(measured.quantized_latency)} "
            f"({plain(measured.quantized_runtime)}), batch of {measured.batch}\n"
        )
    for note in measured.notes:
        yield f"note: {plain(note, 500)}\n"


def _memory_line(memory: Memory) -> Iterator[str]:
    if memory.original is not None and memory.quantized is not None:
        before, after = size_text(memory.original), size_text(memory.quantized)
        yield f"peak memory of loading and running {before} → {after}\n"


def decibels(value: float) -> str:
    """``31.9 dB``; nothing is lost at an infinite one."""
    if math.isinf(value):
        return "exact" if value > 0 else "broken"
    return f"{value:.1f} dB"


def _milliseconds(latency: Latency) -> str:
    low, middle, high = (each * 1e3 for each in (latency.low, latency.median, latency.high))
    return f"{middle:.3g} ms ({low:.3g}–{high:.3g})"
