"""What quantization costs: float and quantized, run side by side on held-out samples.

It is a request of its own, done by another process than the quantization. The original is
built anew from its source, and the file is loaded by the program that people get for it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

from inspector_app.worker.calibration import Samples
from inspector_app.worker.failures import Failure
from inspector_app.worker.protocol import Progress
from inspector_app.worker.quantize_protocol import (
    CastOptions,
    Latency,
    LayerDamage,
    Measure,
    Measured,
)
from inspector_app.worker.quantized_layers import compared, modules_of, to_leave
from inspector_app.worker.quantized_loading import Side, loaded
from inspector_app.worker.quantized_outputs import OutputSums
from inspector_app.worker.quantized_sides import original_side, session_dtypes
from inspector_app.worker.user_errors import failure_of, one_line

BREAKS_DB = 20.0
_LAYER_BATCHES = 2
_WARM = 3
_ONE_EACH = 4  # quartiles need so many


@dataclass(slots=True)
class _Both:
    """The two sides, and what has been found so far."""

    request: Measure
    original: Side
    quantized: Side
    samples: Samples
    outputs: list[OutputSums] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def measuring(request: Measure) -> Generator[Progress, None, Measured]:
    """Compare the original and the quantized file.

    Raises:
        Failure: one of them cannot be loaded or run.
    """
    original, samples = yield from original_side(request)
    yield Progress("open the quantized file")
    quantized = loaded(request.quantized, request.staging, original.call)
    if quantized.session is not None:
        for name, dtype in session_dtypes(quantized.session).items():
            samples.dtypes.setdefault(_own_name(name, quantized), dtype)
    both = _Both(request, original, quantized, samples, notes=list(samples.notes))
    yield from _run_all(both)
    deterministic = _same_again(both)
    layers: list[LayerDamage] = []
    if request.settings.layers:
        yield Progress("compare the layers")
        layers = _layers(both)
    latencies: tuple[Latency | None, Latency | None] = (None, None)
    if request.settings.repeats > 0:
        yield Progress("measure the time of both")
        latencies = _latencies(both, request.settings.repeats)
    return _measured(both, layers, latencies, deterministic)


def _measured(
    both: _Both,
    layers: list[LayerDamage],
    latencies: tuple[Latency | None, Latency | None],
    deterministic: bool,
) -> Measured:
    labelled = [each for each in both.outputs if each.labelled]
    accuracy: tuple[float | None, float | None] = (None, None)
    if labelled:
        first = labelled[0]
        accuracy = (first.right[0] / first.labelled, first.right[1] / first.labelled)
    broken = [each.name for each in both.outputs if each.distance.broken]
    if broken:
        both.notes.append(f"Not finite where the original is: {', '.join(broken)}.")
    if not deterministic:
        both.notes.append("The quantized model gives other outputs each time.")
    leave = to_leave(layers)
    return Measured(
        samples=len(both.samples.held_out),
        held_out=both.samples.words,
        outputs=tuple(each.damage() for each in both.outputs),
        float_accuracy=accuracy[0],
        quantized_accuracy=accuracy[1],
        layers=tuple(layers),
        breaks=next((each.name for each in layers if each.sqnr_db < BREAKS_DB), ""),
        breaks_db=BREAKS_DB,
        leave=tuple(each.name for each in leave),
        leave_bytes=sum(each.saved_bytes for each in leave),
        float_latency=latencies[0],
        quantized_latency=latencies[1],
        batch=min(both.samples.data.batch, len(both.samples.held_out)),
        float_runtime=both.original.runtime,
        quantized_runtime=both.quantized.runtime,
        deterministic=deterministic,
        notes=tuple(both.notes),
    )


def _run_all(both: _Both) -> Generator[Progress, None, None]:
    samples = both.samples
    done, total = 0, len(samples.held_out)
    for numbers, tensors in samples.batches(samples.held_out):
        yield Progress("compare", done, total)
        wanted, found = _run_both(both, tensors)
        if not both.outputs:
            both.outputs = [OutputSums(name) for name, _ in wanted]
        labels = samples.labels(numbers)
        for sums, (_, expected), (_, actual) in zip(both.outputs, wanted, found, strict=True):
            sums.add(expected, _as_float(actual), labels, len(numbers))
        done += len(numbers)


def _run_both(both: _Both, tensors: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    # Copies: a model may write into its inputs.
    wanted = both.original.run({name: each.clone() for name, each in tensors.items()})
    try:
        found = both.quantized.run(tensors)
    except Exception as error:
        advice = "It may hold a shape that it was traced with; use another form of file."
        raise failure_of("quantized-fails", error, advice=advice) from error
    if len(found) != len(wanted):
        said = f"it gives {len(found)} outputs instead of {len(wanted)}"
        raise Failure("quantized-fails", error=said, advice="Use another form of file.")
    for (name, expected), (_, actual) in zip(wanted, found, strict=True):
        if expected.shape != actual.shape:
            said = f"output {name} has shape {list(actual.shape)}, not {list(expected.shape)}"
            raise Failure("quantized-fails", error=said, advice="Use another form of file.")
    return wanted, found


def _same_again(both: _Both) -> bool:
    import torch

    numbers = both.samples.held_out[: both.samples.data.batch]
    tensors = both.samples.take(numbers)
    first = both.quantized.run({name: each.clone() for name, each in tensors.items()})
    again = both.quantized.run(tensors)
    return all(
        torch.equal(_as_float(one).nan_to_num(), _as_float(other).nan_to_num())
        for (_, one), (_, other) in zip(first, again, strict=True)
    )


def _layers(both: _Both) -> list[LayerDamage]:
    """Layers of modules of torch, or of ONNX graphs; that they cannot be compared is a note."""
    request, samples = both.request, both.samples
    numbers = samples.held_out[: _LAYER_BATCHES * samples.data.batch]
    batches = [tensors for _, tensors in samples.batches(numbers)]
    try:
        if both.quantized.session is not None:
            from inspector_app.worker.quantized_onnx_layers import compared_graphs

            return compared_graphs(request, both.quantized, batches)
        assert both.original.call is not None
        from inspector_app.worker.quantized_graph import compared_program, is_program

        if is_program(both.quantized.module) and not request.quantized.beside:
            return compared_program(
                both.original.module,
                both.quantized.module,
                both.original.call,
                batches,
                request.quantized.layers,
            )
        side = both.quantized
        if request.quantized.beside:
            side = loaded(request.quantized, request.staging, both.original.call, beside=True)
        layers = request.quantized.layers
        if isinstance(request.options, CastOptions):
            layers = modules_of(layers)
        return compared(both.original.module, side.module, both.original.call, batches, layers)
    except Exception as error:
        # What it costs is known; this would only have said where.
        both.notes.append(f"The layers could not be compared: {one_line(error)}")
        return []


def _latencies(both: _Both, repeats: int) -> tuple[Latency, Latency]:
    """Of a forward of both, in turns: a machine that slows down slows both."""
    tensors = both.samples.take(both.samples.held_out[: both.samples.data.batch])
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(repeats + _WARM):
        for place, side in enumerate((both.original, both.quantized)):
            given = {name: each.clone() for name, each in tensors.items()}
            start = time.perf_counter()
            side.run(given)
            if turn >= _WARM:
                times[place].append(time.perf_counter() - start)
    return _latency(times[0]), _latency(times[1])


def _latency(seconds: Sequence[float]) -> Latency:
    if len(seconds) < _ONE_EACH:
        return Latency(statistics.median(seconds), min(seconds), max(seconds))
    low, middle, high = statistics.quantiles(seconds, n=4)
    return Latency(middle, low, high)


def _own_name(name: str, side: Side) -> str:
    """The model's name of a graph's input."""
    for own, other in (side.names or {}).items():
        if other == name:
            return own
    return name


def _as_float(tensor: Any) -> Any:
    return tensor.dequantize() if tensor.is_quantized else tensor
