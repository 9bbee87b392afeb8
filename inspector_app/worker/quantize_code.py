"""Programs that people get: one that loads the file, one that quantizes as was done here.

The comparison loads the file by the first of them, in a process of its own, so it is known to
work. Text from the request enters them through `repr` alone.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inspector_app.worker.model_choice import SourceKind
from inspector_app.worker.model_source import Model
from inspector_app.worker.quantize_methods import method_of
from inspector_app.worker.quantize_protocol import CalibrationData, DataKind, Quantize
from inspector_app.worker.quantize_steps import Steps
from inspector_app.worker.script_inputs import input_lines
from inspector_app.worker.script_text import NoScript, Program, add_model, add_weights, moved_to

if TYPE_CHECKING:
    from inspector_app.worker.quantize import Ready

FILE = "FILE"
_PER_LINE = 20
_STATE = ("torch.save(model.state_dict(), TARGET)",)
_LIBRARIES = {
    "torchao": "import torchao.quantization",
    "int8": "import torchao.quantization",
    "int4": "import torchao.prototype.quantization.int4",
    "pt2e": "import torchao.quantization.pt2e",
}


def file_line(path: str) -> str:
    """The line of a loading program that says where the file is."""
    return f"{FILE} = {path!r}"


def loading_program(
    request: Quantize,
    model: Model,
    steps: Steps,
    *,
    form: str = "state-dict",
    weights_only: bool = True,
    target: str = "",
) -> str:
    """A program that defines `model`, the quantized one, from the file alone and the model's
    code.

    Args:
        form: of the file.
        weights_only: torch.load reads it so.
        target: the file; "" for that of the request.
    """
    path = target or request.target
    method = method_of(request.options)
    program = Program({"import torch"}, [])
    program.add(file_line(path), "")
    engine = [line for line in steps.before if line.startswith("torch.backends.quantized")]
    library = _LIBRARIES.get(method.engine)
    if form == "torchscript":
        program.add(*engine, 'model = torch.jit.load(FILE, map_location="cpu")')
    elif form == "torch-export":
        if library:
            program.need(f"{library}  # its operators are in the graph")
        program.add("model = torch.export.load(FILE).module()")
    else:
        _state_lines(program, request, model, steps, weights_only, library)
    return program.text(f"Loads {Path(path).name!a}: {method.title}.")


def _state_lines(
    program: Program,
    request: Quantize,
    model: Model,
    steps: Steps,
    weights_only: bool,
    library: str | None,
) -> None:
    choice = request.model
    if choice.source.source == SourceKind.FILE:
        program.add(f"CHECKPOINT = {os.path.abspath(choice.checkpoint)!r}  # it has the classes")
    add_model(program, choice, model.form)
    program.add("model.eval()")
    moved = moved_to(choice)
    if moved:
        program.add(f"model.to({moved})")
    if not weights_only:
        program.add("# Packed weights of LSTM and GRU: weights_only=True refuses them.")
    load = f'torch.load(FILE, map_location="cpu", weights_only={weights_only})'
    if steps.assign:
        program.need(f"{library}  # the kinds of its tensors" if library else "import torch")
        fused = [line for line in steps.before if line.startswith("torch.backends.mha")]
        program.add(*fused, f"model.load_state_dict({load}, assign=True)")
        return
    if steps.half:
        program.add(f"model.load_state_dict({load})")
    program.need(*steps.imports)
    program.add(*steps.before)
    if steps.after:
        program.add("# Nothing is calibrated: the ranges are in the file.", *steps.after)
    if not steps.half:
        program.add(f"model.load_state_dict({load})")


# --- the same quantization


def quantizing_program(
    request: Quantize, ready: Ready, steps: Steps, form: str, calibrated: int
) -> str:
    """A program that does the same with public APIs, or "" where there is no short one."""
    try:
        return _quantizing(request, ready, steps, form, calibrated)
    except NoScript:
        return ""


def _quantizing(request: Quantize, ready: Ready, steps: Steps, form: str, calibrated: int) -> str:
    choice, model = request.model, ready.model
    assert model.checkpoint is not None
    program = Program({"import torch"}, [])
    program.add(
        f"CHECKPOINT = {os.path.abspath(choice.checkpoint)!r}",
        f"TARGET = {request.target!r}",
        "",
    )
    add_model(program, choice, model.form)
    if choice.source.source != SourceKind.FILE and choice.weights.load:
        add_weights(program, choice, model.checkpoint, model.report)
    program.add("model.eval()")
    moved = moved_to(choice)
    if moved:
        program.add(f"model.to({moved})")
    program.need(*steps.imports)
    program.add("", *(steps.before if not steps.half else ()))
    if calibrated:
        _calibration(program, request, ready)
    program.add(*steps.after)
    _saving(program, request, ready, steps, form)
    return program.text(
        f"Quantizes {Path(choice.checkpoint).name!a}: {method_of(request.options).title}."
    )


def _calibration(program: Program, request: Quantize, ready: Ready) -> None:
    samples, data = ready.samples, request.data
    assert samples is not None
    assert data is not None
    program.add("")
    _data(program, request, ready, data)
    program.add("numbers = [  # of the samples that calibrate; the others measure")
    for start in range(0, len(samples.calibrate), _PER_LINE):
        part = samples.calibrate[start : start + _PER_LINE]
        program.add(f"    {', '.join(map(str, part))},")
    program.add(
        "]",
        "with torch.no_grad():",
        f"    for start in range(0, len(numbers), {data.batch}):",
        f"        batch = numbers[start : start + {data.batch}]",
        f"        model({_arguments(ready, '[batch]')})",
        "",
    )


def _data(program: Program, request: Quantize, ready: Ready, data: CalibrationData) -> None:
    """Lines that make ``samples``, arrays by the inputs' names."""
    samples = ready.samples
    assert samples is not None
    path = os.path.abspath(data.path) if data.path else ""
    ending = Path(path).suffix.lower()
    if data.source != DataKind.FILE:
        raise NoScript(f"{data.source} are read by the inspector")
    own = samples.source.take([0])
    if ending == ".npz":
        program.need("import numpy")
        program.add(f"data = numpy.load({path!r})")
        texts = [f"torch.from_numpy(data[{name!r}])" for name in own]
    elif ending == ".npy":
        program.need("import numpy")
        texts = [f"torch.from_numpy(numpy.load({path!r}))"]
    else:
        if ending == ".safetensors":
            program.need("from safetensors.torch import load_file")
            program.add(f"data = load_file({path!r})")
        else:
            program.add(f"data = torch.load({path!r}, weights_only=True)")
        texts = [f"data[{name!r}]" if name else "data" for name in own]
    program.add("samples = {")
    named = zip(own, texts, strict=True)
    by_name = {name or samples.names[0]: text for name, text in named}
    ordered = (
        by_name
        if set(by_name) >= set(samples.names)
        else dict(zip(samples.names, texts, strict=True))
    )
    for name in samples.names:
        dtype = samples.dtypes.get(name)
        cast = f".to({dtype})" if dtype is not None else ""
        program.add(f"    {name!r}: {ordered[name]}{cast},")
    program.add("}")


def _arguments(ready: Ready, taken: str = "", values: str = "samples") -> str:
    call = ready.call
    assert call is not None
    parts = [f"{values}[{name!r}]{taken}" for name in call.positional]
    parts += [f"{name}={values}[{name!r}]{taken}" for name in call.keywords]
    return ", ".join(parts)


def _saving(program: Program, request: Quantize, ready: Ready, steps: Steps, form: str) -> None:
    if form == "state-dict":
        program.add(*(_half_lines(steps.half) if steps.half else _STATE))
        return
    if steps.half:
        program.add(*steps.before)
    if method_of(request.options).engine == "pt2e":
        program.add("torch.export.save(program, TARGET)")
        return
    example, call = ready.example, ready.call
    assert example is not None
    assert call is not None
    if any(spec.file for spec in example.inputs.specs):
        # Those samples lie in a folder that is gone: the shapes are what counts.
        shown = [replace(spec, file="", entry="", low=None, high=None) for spec in example.sized()]
        inputs = replace(example.inputs, specs=tuple(shown))
        example = type(example)(inputs, example.device)
    imports, lines = input_lines(example, request.model.device)
    program.need(*imports)
    program.add(*lines)
    if form == "torchscript":
        if call.keywords:
            program.add(
                "script = torch.jit.trace(model, example_kwarg_inputs=inputs, strict=False)"
            )
        else:
            program.add(
                f"script = torch.jit.trace(model, ({_tuple(call.positional)}), strict=False)"
            )
        program.add("torch.jit.save(script, TARGET)")
        return
    keywords = ", ".join(f"{name!r}: inputs[{name!r}]" for name in call.keywords)
    program.add(
        f"program = torch.export.export(model, ({_tuple(call.positional)}), {{{keywords}}}, "
        f"dynamic_shapes={dynamic_shapes_text(ready)})",
        "torch.export.save(program, TARGET)",
    )


def _half_lines(layers: Sequence[str]) -> list[str]:
    return [
        f"layers = {list(layers)!r}",
        "state = model.state_dict()",
        "for key, value in state.items():",
        '    layer, _, name = key.rpartition(".")',
        '    if layer in layers and name.startswith("weight"):',
        "        state[key] = value.clamp(-65504, 65504).half()",
        "torch.save(state, TARGET)",
    ]


def _tuple(names: Sequence[str]) -> str:
    return "".join(f"inputs[{name!r}], " for name in names)


# --- parts that several programs need


def zeros(tensor: Any) -> str:
    """A tensor of its shape and dtype, as Python."""
    return f"torch.zeros({list(tensor.shape)}, dtype={tensor.dtype})"


def dynamic_shapes_text(ready: Ready) -> str:
    """`dynamic_shapes` of torch.export as Python: each dynamic axis is a hint, so that
    torch.export says itself which sizes hold."""
    from inspector_app.worker.export import Prepared
    from inspector_app.worker.export_program import dynamic_shapes

    assert ready.example is not None
    assert ready.call is not None
    prepared = Prepared(ready.model, ready.example, ready.call, ready.tensors(), ())
    return _shapes_text(dynamic_shapes(prepared))


def _shapes_text(shapes: Any) -> str:
    if shapes is None:
        return "None"
    if isinstance(shapes, dict):
        return "{" + ", ".join(f"{k!r}: {_shapes_text(v)}" for k, v in shapes.items()) + "}"
    if isinstance(shapes, tuple):
        return "(" + "".join(f"{_shapes_text(each)}, " for each in shapes) + ")"
    return "torch.export.Dim.AUTO"
