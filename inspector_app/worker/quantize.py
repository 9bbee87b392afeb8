"""Quantizes: builds the model, runs the steps of the method, calibrates, writes the file.

As an export it writes into a folder of the client's, which moves the files or removes them.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inspector_app.worker.calibration import (
    Samples,
    example_of,
    fitting,
    parameter_names,
    samples_of,
    tried,
)
from inspector_app.worker.example_inputs import Call, ExampleInputs, call_of
from inspector_app.worker.export import _writing_failure as writing_failure
from inspector_app.worker.failures import Failure
from inspector_app.worker.graph_facts import has_attention
from inspector_app.worker.model_source import Model, building
from inspector_app.worker.module_flow import fusable
from inspector_app.worker.protocol import Progress
from inspector_app.worker.quantize_code import dynamic_shapes_text, zeros
from inspector_app.worker.quantize_forms import Written, write_form
from inspector_app.worker.quantize_layers import Candidate, as_stored, candidates
from inspector_app.worker.quantize_methods import method_of
from inspector_app.worker.quantize_protocol import (
    CastOptions,
    DynamicOptions,
    Quantize,
    Quantized,
    StaticOptions,
    WeightOnlyOptions,
)
from inspector_app.worker.quantize_steps import (
    Steps,
    attention_lines,
    dynamic_steps,
    eager_steps,
    fx_steps,
    pt2e_steps,
    torchao_steps,
)
from inspector_app.worker.torch_import import import_package, import_torch
from inspector_app.worker.user_errors import failure_of

Quantizing = Generator[Progress, None, Quantized]
# What to do where a method cannot, by its engine.
ADVICE = {
    "eager": "Use FX graph mode or dynamic quantization, or leave the layer it names in float.",
    "fx": "Use PT2E, eager mode with stubs, or dynamic quantization.",
    "pt2e": "Use FX graph mode or dynamic quantization.",
    "torchao": "Use dynamic quantization of the engine eager, or leave layers in float.",
    "int8": "Leave the layers it names in float, or use dynamic quantization.",
    "int4": "Use 8 bits, or leave the layers it names in float.",
    "": "Leave the nodes it names in float, or use another method.",
}
_NOT_COMPILED = (
    "PT2E's file computes in float32 between int8 weights and int8 activations until "
    "torch.compile, which needs a C++ compiler, makes int8 kernels of it: its latency here is not "
    "what it is made for."
)
_NOT_COMPILED_EITHER = (
    "torchao's tensors are made for torch.compile: without it they may be slower."
)


@dataclass(slots=True)
class Ready:
    """A model, with the data and inputs of the request.

    Attributes:
        model: float.
        samples: None where there are no data.
        example: makes the inputs that it is traced with; None where nobody gave any.
        call: how they are passed.
        notes: sentences worth knowing.
    """

    model: Model
    samples: Samples | None
    example: ExampleInputs | None
    call: Call | None
    notes: list[str] = field(default_factory=list)

    def tensors(self) -> dict[str, Any]:
        assert self.example is not None
        return self.example.tensors(sizes=self.example.traced_sizes())


def quantizing(request: Quantize) -> Quantizing:
    """Write the model quantized as the request asks."""
    if request.options.kind in ("onnx-dynamic", "onnx-static"):
        from inspector_app.worker.quantize_onnx import quantizing_onnx

        return (yield from quantizing_onnx(request))
    if isinstance(request.options, CastOptions):
        from inspector_app.worker.quantize_cast import quantizing_cast

        return (yield from quantizing_cast(request))
    if not isinstance(request.options, (DynamicOptions, StaticOptions, WeightOnlyOptions)):
        raise Failure("protocol", reason=f"no worker does {request.options.kind}")
    torch = import_torch()
    check_packages(request)
    model = yield from building(request.model)
    _demand_layers(model, request)
    ready = yield from making_ready(request, model)
    found = candidates(model.module, request.options, request.left)
    backend = _backend(request, torch)
    original = saved_size(model.module.state_dict())
    start = time.perf_counter()
    steps = _steps(request, ready, found, backend)
    yield Progress("prepare the model")
    made = _Run(request, ready, steps)
    made.run(steps.before)
    calibrated = 0
    if steps.after and ready.samples is not None:
        calibrated = yield from made.calibrate(ready.samples)
    if steps.after:
        yield Progress("convert the model")
        made.run(steps.after)
    if ready.example is not None:
        yield Progress("run the quantized model")
        made.try_out()
    half = isinstance(request.options, DynamicOptions) and request.options.dtype == "float16"
    layers = as_stored(made.model, found, half)
    yield Progress("write the file")
    try:
        written: Written = write_form(request, ready, steps, made, found, calibrated)
    except Exception as error:
        raise writing_failure(error, request) from error
    seconds = time.perf_counter() - start
    method = method_of(request.options)
    notes = [*model.notes, *ready.notes, *written.notes]
    if method.engine == "pt2e":
        notes.append(_NOT_COMPILED)
        layers = written.layers or layers
    elif method.engine in ("torchao", "int8", "int4"):
        notes.append(_NOT_COMPILED_EITHER)
    return Quantized(
        files=(request.name,),
        nbytes=Path(request.staging, request.name).stat().st_size,
        original_bytes=original,
        seconds=seconds,
        layers=tuple(layers),
        calibrated=calibrated,
        held_out=ready.samples.words if ready.samples else "",
        notes=tuple(notes),
        loading_code=written.loading_code,
        script=written.script,
        beside=written.beside,
        beside_code=written.beside_code,
        inputs=ready.call.positional if ready.call else (),
        keywords=ready.call.keywords if ready.call else (),
    )


def making_ready(request: Any, model: Model) -> Generator[Progress, None, Ready]:
    """Open the data, and run the model on some of them.

    Args:
        request: with `inputs` and `data`.
    """
    module = model.module
    samples = None
    notes: list[str] = []
    if request.data is not None:
        yield Progress("read the data")
        samples = samples_of(request.data, request.inputs, parameter_names(module))
        fitting(samples, module)
        yield Progress("run the model")
        tried(module, samples)
        notes += samples.notes
    inputs = example_of(request.inputs, samples)
    if not inputs.specs:
        return Ready(model, samples, None, None, notes)
    call = call_of(module, [spec.name for spec in inputs.specs])
    return Ready(model, samples, ExampleInputs(inputs, request.model.device), call, notes)


def check_packages(request: Quantize) -> None:
    """Raise `Failure` that names what the method needs and this environment lacks."""
    method = method_of(request.options)
    if method.engine in ("torchao", "pt2e", "int8", "int4"):
        import_package("torchao", method.title)
        name = "torchao.quantization"
        if method.engine == "pt2e":
            name = "torchao.quantization.pt2e.quantizer.x86_inductor_quantizer"
        elif method.engine == "int4":
            name = "torchao.prototype.quantization.int4"
        try:
            import_package(name, method.title)
        except Failure as failure:
            import sys

            import torchao

            raise Failure(
                "method-missing",
                method=method.title,
                interpreter=sys.executable,
                reason=f"torchao {torchao.__version__} has no {name}",
            ) from failure


@dataclass(slots=True)
class _Run:
    """Runs the lines of the steps; `model` is what they have made."""

    request: Quantize
    ready: Ready
    steps: Steps
    names: dict[str, Any] = field(default_factory=dict)

    @property
    def model(self) -> Any:
        return self.names["model"]

    def run(self, lines: tuple[str, ...]) -> None:
        if not self.names:
            import torch

            self.names.update(torch=torch, model=self.ready.model.module)
            lines = (*self.steps.imports, *lines)
        try:
            with warnings.catch_warnings():
                # torch says of each of these functions that it is deprecated; so do we.
                warnings.simplefilter("ignore")
                exec("\n".join(lines), self.names)
        except Exception as error:
            method = method_of(self.request.options)
            raise failure_of(
                "not-quantizable",
                error,
                method=method.title,
                advice=ADVICE[method.engine],
            ) from error

    def calibrate(self, samples: Samples) -> Generator[Progress, None, int]:
        """Run all samples for calibration through the prepared model; their number."""
        import torch

        call = self.ready.call
        assert call is not None
        done, total = 0, len(samples.calibrate)
        for numbers, tensors in samples.batches(samples.calibrate):
            yield Progress("calibrate", done, total)
            try:
                with torch.no_grad():
                    call(self.model, tensors)
            except Exception as error:
                raise self._fails(error) from error
            done += len(numbers)
        yield Progress("calibrate", done, total)
        return done

    def try_out(self) -> None:
        import torch

        assert self.ready.call is not None
        try:
            with torch.no_grad():
                self.ready.call(self.model, self.ready.tensors())
        except Exception as error:
            raise self._fails(error) from error

    def _fails(self, error: Exception) -> Failure:
        method = method_of(self.request.options)
        advice = ADVICE[method.engine]
        text = str(error)
        eager = method.engine == "eager" and method.method == "static"
        if eager and "quantized" in text.lower():
            advice = (
                "Operators that int8 lacks stand between the stubs: use FloatFunctional, move "
                "the stubs, leave layers in float, or use FX graph mode."
            )
        return failure_of("quantized-fails", error, advice=advice)


def _demand_layers(model: Model, request: Quantize) -> None:
    if model.form != "module":
        found = "a TorchScript archive" if model.form == "torchscript" else "an exported program"
        raise Failure(
            "not-quantizable",
            method=method_of(request.options).title,
            error=f"the file is {found}, whose layers are fixed",
            advice="Name the class or factory that builds the model, or use ONNX Runtime.",
        )


def _backend(request: Quantize, torch: Any) -> str:
    """The engine of torch's own int8 kernels, that of the request or this machine's own."""
    options = request.options
    asked = getattr(options, "backend", "")
    engine = method_of(options).engine
    if engine == "pt2e":
        if asked not in ("", "x86"):
            raise Failure("backend-missing", backend=asked, known="x86 for PT2E")
        return "x86"
    known = [each for each in torch.backends.quantized.supported_engines if each != "none"]
    chosen: str = asked or torch.backends.quantized.engine
    if chosen not in known:
        raise Failure("backend-missing", backend=chosen, known=", ".join(known) or "none")
    return chosen


def _steps(request: Quantize, ready: Ready, found: list[Candidate], backend: str) -> Steps:
    options = request.options
    fused = attention_lines(has_attention(ready.model.module))
    if isinstance(options, DynamicOptions) and options.engine == "eager":
        steps = dynamic_steps(options, found, backend)
    elif isinstance(options, (DynamicOptions, WeightOnlyOptions)):
        steps = torchao_steps(options, found)
    else:
        assert isinstance(options, StaticOptions)
        steps = _static_steps(request, options, ready, found, backend)
    if not fused:
        return steps
    return Steps(steps.imports, (*fused, *steps.before), steps.after, steps.assign, steps.half)


def _static_steps(
    request: Quantize, options: StaticOptions, ready: Ready, found: list[Candidate], backend: str
) -> Steps:
    assert ready.call is not None
    tensors = ready.tensors()
    names = [*ready.call.positional, *ready.call.keywords]
    if options.engine == "fx":
        return fx_steps(options, found, backend, [zeros(tensors[name]) for name in names])
    if options.engine == "pt2e":
        positional = "".join(f"{zeros(tensors[name])}, " for name in ready.call.positional)
        keywords = ", ".join(f"{name!r}: {zeros(tensors[name])}" for name in ready.call.keywords)
        return pt2e_steps(
            options, found, f"({positional}), {{{keywords}}}", dynamic_shapes_text(ready)
        )
    from torch.ao.quantization import DeQuantStub, QuantStub, QuantWrapper

    kinds = {type(each) for each in ready.model.module.modules()}
    if not kinds & {QuantStub, QuantWrapper} or not kinds & {DeQuantStub, QuantWrapper}:
        raise Failure("no-stubs")
    groups = fusable(ready.model.module, ready.call, tensors) if options.fuse else []
    left = {each.name for each in found if each.reason}
    groups = [each for each in groups if each[0] not in left]
    return eager_steps(options, found, backend, groups)


class _Counter:
    """A file that only counts what is written to it."""

    def __init__(self) -> None:
        self.size = 0

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        self.size += size
        return size

    def flush(self) -> None:
        """Nothing is kept."""


def saved_size(state: Mapping[str, Any]) -> int:
    """Bytes of the tensors of a state_dict as torch.save writes them."""
    import torch

    counter = _Counter()
    torch.save({key: each for key, each in state.items() if torch.is_tensor(each)}, counter)
    return counter.size
