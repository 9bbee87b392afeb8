"""The lines of the copied program that export, format by format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inspector_app.worker.example_inputs import Call
from inspector_app.worker.protocol import (
    DynamicAxis,
    ExportedProgramOptions,
    FormatOptions,
    OnnxOptions,
    SafetensorsOptions,
    StateDictOptions,
    TorchScriptOptions,
)

_Lines = tuple[set[str], list[str]]
_AGAIN = {"import onnx", "import os", "import tempfile"}


@dataclass(frozen=True, slots=True)
class Exporting:
    """What is exported, and how the model is called.

    Attributes:
        parameters: of forward, by position; None where it has none of its own.
        outputs: names of an ONNX graph's outputs.
        inferred: torch.export is to infer the ranges of dynamic axes.
        attention: the model has layers whose fused operators ONNX lacks.
    """

    options: FormatOptions
    call: Call | None = None
    axes: Sequence[DynamicAxis] = ()
    parameters: Sequence[str] | None = None
    outputs: Sequence[str] = ()
    inferred: bool = False
    attention: bool = False


def export_lines(exporting: Exporting) -> _Lines:
    """Imports, and what follows the model and its inputs."""
    options = exporting.options
    if isinstance(options, OnnxOptions):
        return _onnx(exporting, options)
    if isinstance(options, TorchScriptOptions):
        return _torchscript(exporting, options)
    if isinstance(options, ExportedProgramOptions):
        return _program(exporting, options)
    if isinstance(options, SafetensorsOptions):
        return _safetensors(options)
    assert isinstance(options, StateDictOptions)
    return set(), [
        "state = model.state_dict()",
        "torch.save({key: each.cpu().contiguous() for key, each in state.items()}, TARGET)",
    ]


def _onnx(exporting: Exporting, options: OnnxOptions) -> _Lines:
    call = exporting.call
    assert call is not None
    own = [*call.positional, *call.keywords]
    names = list(options.input_names) or own
    common = [
        f"        input_names={names!r},",
        f"        output_names={list(exporting.outputs)!r},",
    ]
    if options.opset is not None:
        common.append(f"        opset_version={options.opset},")
    check = ["onnx.checker.check_model(TARGET, full_check=True)"]
    if options.exporter != "dynamo":
        imports, lines = _onnx_torchscript(exporting, options, call, names, common)
        return imports, lines + check
    lines, shapes = _shapes(exporting)
    lines += ["with torch.no_grad():", "    program = torch.onnx.export(", "        model,"]
    lines += [f"        {_positional(call)},"]
    if call.keywords:
        lines.append(f"        kwargs={_keywords(call)},")
    lines += common
    if shapes:
        lines.append(f"        dynamic_shapes={shapes},")
    lines += ["        dynamo=True,", f"        optimize={options.optimize},", "    )"]
    if options.metadata:
        lines.append(f"program.model.metadata_props.update({dict(options.metadata)!r})")
    # Weights beyond 2 GiB go beside the model whatever is asked for.
    beside = options.external_data == "beside"
    lines.append(f"program.save(TARGET, external_data={beside})")
    return {"import onnx"}, lines + check


def _onnx_torchscript(
    exporting: Exporting,
    options: OnnxOptions,
    call: Call,
    names: Sequence[str],
    common: Sequence[str],
) -> _Lines:
    renamed = dict(zip((*call.positional, *call.keywords), names, strict=True))
    axes: dict[str, dict[int, str]] = {}
    for each in exporting.axes:
        axes.setdefault(renamed[each.input], {})[each.axis] = each.name
    own = (*call.positional, *call.keywords)
    arguments = _positional(Call(own))
    lines = []
    if call.keywords:
        lines.append("# Given keywords, the exporter would make inputs of forward's defaults.")
        lines.append("forward = model.forward")
        lines.append(f"model.forward = lambda *given: forward(**dict(zip({own!r}, given)))")
    if exporting.attention:
        lines.append("# ONNX has no form for the fused operators of attention.")
        lines.append("torch.backends.mha.set_fastpath_enabled(False)")
    again = bool(options.metadata) or options.external_data == "beside"
    export = ["with torch.no_grad():", "    torch.onnx.export(", "        model,"]
    export += [f"        {arguments},", f"        {'scratch' if again else 'TARGET'},", *common]
    if axes:
        export.append(f"        dynamic_axes={axes!r},")
    export += [f"        do_constant_folding={options.optimize},"]
    export += ["        dynamo=False,  # deprecated", "    )"]
    if not again:
        return {"import onnx"}, lines + export
    # A large model comes with a file for each tensor, which need not lie about.
    lines.append("with tempfile.TemporaryDirectory() as folder:")
    lines.append('    scratch = os.path.join(folder, "model.onnx")')
    lines += [f"    {line}" for line in [*export, "exported = onnx.load(scratch)"]]
    for key, value in options.metadata.items():
        lines.append(f"exported.metadata_props.add(key={key!r}, value={value!r})")
    if options.external_data != "beside":
        return _AGAIN, [*lines, "onnx.save_model(exported, TARGET)"]
    return _AGAIN, [
        *lines,
        'DATA = TARGET + ".data"',
        "if os.path.exists(DATA):",
        "    os.remove(DATA)  # onnx would append to it",
        "onnx.save_model(",
        "    exported, TARGET, save_as_external_data=True, location=os.path.basename(DATA)",
        ")",
    ]


def _torchscript(exporting: Exporting, options: TorchScriptOptions) -> _Lines:
    call = exporting.call
    assert call is not None
    if options.way == "script":
        lines = ["exported = torch.jit.script(model)"]
    else:
        given = f"{_positional(call)}"
        if call.keywords:
            names = _dictionary({name: name for name in (*call.positional, *call.keywords)})
            given = f"example_kwarg_inputs={names}"
        lines = [
            "with torch.no_grad():",
            "    # Not strict: outputs may be dictionaries and lists.",
            f"    exported = torch.jit.trace(model, {given}, check_trace=False, strict=False)",
        ]
    if options.freeze or options.optimize:
        lines.append("exported = torch.jit.freeze(exported)")
    if options.optimize:
        lines.append("exported = torch.jit.optimize_for_inference(exported)")
    return set(), [*lines, "torch.jit.save(exported, TARGET)"]


def _program(exporting: Exporting, options: ExportedProgramOptions) -> _Lines:
    call = exporting.call
    assert call is not None
    lines, shapes = _shapes(exporting)
    lines += ["with torch.no_grad():", "    program = torch.export.export(", "        model,"]
    lines.append(f"        {_positional(call)},")
    if call.keywords:
        lines.append(f"        {_keywords(call)},")
    if shapes:
        lines.append(f"        dynamic_shapes={shapes},")
    lines += [f"        strict={options.strict},", "    )", "torch.export.save(program, TARGET)"]
    return set(), lines


def _safetensors(options: SafetensorsOptions) -> _Lines:
    metadata = {"format": "pt"} | dict(options.metadata)
    return {"from safetensors.torch import save_model"}, [
        f"save_model(model, TARGET, metadata={metadata!r})"
    ]


def _shapes(exporting: Exporting) -> tuple[list[str], str]:
    """Lines that make the dimensions, and the expression for `dynamic_shapes`, or ""."""
    call = exporting.call
    assert call is not None
    if not exporting.axes:
        return [], ""
    lines = ["dims = {"]
    for name, bounds in _bounds(exporting.axes).items():
        given = "".join(f", {key}={value}" for key, value in bounds.items())
        dim = ".DYNAMIC" if exporting.inferred else f"({name!r}{given})"
        lines.append(f"    {name!r}: torch.export.Dim{dim},")
    lines.append("}")
    by_input = {name: _axes_of(name, exporting.axes) for name in (*call.positional, *call.keywords)}
    if exporting.parameters is None:
        inner = "".join(f"{by_input[name]}, " for name in call.positional)
        return lines, f"(({inner}),)"
    named = dict(zip(exporting.parameters, call.positional, strict=False))
    named |= {name: name for name in call.keywords}
    pairs = ", ".join(f"{key!r}: {by_input[name]}" for key, name in named.items())
    return lines, f"{{{pairs}}}"


def _bounds(axes: Sequence[DynamicAxis]) -> dict[str, dict[str, int]]:
    bounds: dict[str, dict[str, int]] = {}
    for each in axes:
        own = bounds.setdefault(each.name, {})
        if each.least is not None:
            own["min"] = max(each.least, own.get("min", 0))
        if each.most is not None:
            own["max"] = min(each.most, own.get("max", each.most))
    return bounds


def _axes_of(name: str, axes: Sequence[DynamicAxis]) -> str:
    inner = ", ".join(f"{each.axis}: dims[{each.name!r}]" for each in axes if each.input == name)
    return f"{{{inner}}}"


def _positional(call: Call) -> str:
    given = ", ".join(f"inputs[{name!r}]" for name in call.positional)
    return f"({given},)" if len(call.positional) == 1 else f"({given})"


def _keywords(call: Call) -> str:
    return _dictionary({name: name for name in call.keywords})


def _dictionary(names: Mapping[str, str]) -> str:
    return f"{{{', '.join(f'{key!r}: inputs[{name!r}]' for key, name in names.items())}}}"
