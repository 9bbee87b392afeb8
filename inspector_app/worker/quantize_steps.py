"""The steps of each method as lines of Python: what runs here, what loads the file that was
written, and what is copied are one text.

A program has `model`, the float model in eval mode. `before` makes of it what calibration
runs, `after` the quantized model. Text enters the lines through `repr` alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inspector_app.worker.quantize_layers import Candidate, left_names, types_of
from inspector_app.worker.quantize_protocol import DynamicOptions, StaticOptions, WeightOnlyOptions

_QUANTIZATION = "import torch.ao.quantization as quantization"


@dataclass(frozen=True, slots=True)
class Steps:
    """
    Attributes:
        imports: statements.
        before: lines that make `model` ready to be calibrated.
        after: lines that make `model` quantized.
        assign: its state_dict holds tensors of other kinds than the float model's, and takes
            their place in that: then loading needs neither `before` nor `after`.
        half: layers whose weights are written as float16. Then the state_dict is the float
            model's, and goes in before the steps.
    """

    imports: tuple[str, ...]
    before: tuple[str, ...]
    after: tuple[str, ...] = ()
    assign: bool = False
    half: tuple[str, ...] = ()


def engine_line(backend: str) -> str:
    return f"torch.backends.quantized.engine = {backend!r}"


def attention_lines(fused: bool) -> tuple[str, ...]:
    """Of a model with layers of nn.TransformerEncoder, whose fused operator reads the weights
    of the layers in it by itself."""
    if not fused:
        return ()
    return ("torch.backends.mha.set_fastpath_enabled(False)  # it takes float weights alone",)


# --- dynamic


def dynamic_steps(options: DynamicOptions, found: Sequence[Candidate], backend: str) -> Steps:
    """`torch.ao.quantization.quantize_dynamic`."""
    half = options.dtype == "float16"
    plain = "float16_dynamic_qconfig" if half else "default_dynamic_qconfig"
    linear = "per_channel_dynamic_qconfig" if options.per_channel and not half else plain
    present = {each.type for each in found}
    lines = [engine_line(backend), "model = quantization.quantize_dynamic(", "    model,", "    {"]
    for name in types_of(options):
        if name in present:
            config = linear if name == "Linear" else plain
            if name.startswith("Embedding"):
                config = "float_qparams_weight_only_qconfig"
            lines.append(f"        torch.nn.{name}: quantization.{config},")
    lines += [f"        {name!r}: None," for name in left_names(found)]
    lines += ["    },", ")"]
    halved = tuple(each.name for each in found if half and not each.reason)
    return Steps((_QUANTIZATION,), tuple(lines), half=halved)


# --- static


def fx_steps(
    options: StaticOptions, found: Sequence[Candidate], backend: str, shapes: Sequence[str]
) -> Steps:
    """Graph mode.

    Args:
        shapes: lines that make example inputs, in the order of the model's.
    """
    lines = [
        engine_line(backend),
        f"mapping = quantization.get_default_qconfig_mapping({backend!r})",
    ]
    if not _is_default(options):
        lines.append(f"mapping.set_global({_qconfig(options, backend)})")
    lines += [f"mapping.set_module_name({name!r}, None)" for name in left_names(found)]
    lines += [
        "example = (",
        *(f"    {each}," for each in shapes),
        ")",
        "model = quantize_fx.prepare_fx(model, mapping, example)",
    ]
    after = ("model = quantize_fx.convert_fx(model)",)
    imports = (_QUANTIZATION, "from torch.ao.quantization import quantize_fx")
    return Steps(imports, tuple(lines), after)


def eager_steps(
    options: StaticOptions,
    found: Sequence[Candidate],
    backend: str,
    fused: Sequence[Sequence[str]],
) -> Steps:
    """Eager mode.

    Args:
        fused: names of layers that follow each other.
    """
    lines = [engine_line(backend), f"model.qconfig = {_qconfig(options, backend)}"]
    lines += [f"model.get_submodule({name!r}).qconfig = None" for name in left_names(found)]
    if fused:
        lines.append(
            f"model = quantization.fuse_modules(model, {[list(each) for each in fused]!r})"
        )
    lines.append("model = quantization.prepare(model)")
    return Steps((_QUANTIZATION,), tuple(lines), ("model = quantization.convert(model)",))


def _is_default(options: StaticOptions) -> bool:
    return options.observer == "histogram" and options.per_channel


def _qconfig(options: StaticOptions, backend: str) -> str:
    if _is_default(options):
        return f"quantization.get_default_qconfig({backend!r})"
    name = {
        "histogram": "HistogramObserver",
        "minmax": "MinMaxObserver",
        "moving-average": "MovingAverageMinMaxObserver",
    }[options.observer]
    # The kernels of x86 and fbgemm add products of int8 in 16 bits on processors without VNNI.
    reduce = backend in ("x86", "fbgemm")
    weight = "quantization.default_weight_observer"
    if options.per_channel:
        weight = "quantization.default_per_channel_weight_observer"
    activation = f"quantization.{name}.with_args(reduce_range={reduce})"
    return f"quantization.QConfig(activation={activation}, weight={weight})"


def pt2e_steps(options: StaticOptions, found: Sequence[Candidate], call: str, shapes: str) -> Steps:
    """torchao's PT2E with the quantizer for x86.

    Args:
        call: arguments of torch.export.export after the model, as text.
        shapes: its `dynamic_shapes`, as text.
    """
    default = "xiq.get_default_x86_inductor_quantization_config()"
    lines = [
        f"program = torch.export.export(model, {call}, dynamic_shapes={shapes})",
        "quantizer = xiq.X86InductorQuantizer()",
        f"quantizer.set_global({default})",
        *(f"quantizer.set_module_name_qconfig({each!r}, None)" for each in left_names(found)),
        "model = prepare_pt2e(program.module(), quantizer)",
    ]
    after = (
        "model = convert_pt2e(model)",
        "# The float weights are no longer used, and would be written beside those in int8.",
        'used = {node.target for node in model.graph.nodes if node.op == "get_attr"}',
        "for name, _ in [*model.named_parameters(), *model.named_buffers()]:",
        "    if name not in used:",
        '        parent, _, last = name.rpartition(".")',
        "        delattr(model.get_submodule(parent), last)",
        f"program = torch.export.export(model, {call}, dynamic_shapes={shapes})",
    )
    imports = (
        "import torchao.quantization.pt2e.quantizer.x86_inductor_quantizer as xiq",
        "from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e",
    )
    return Steps(imports, tuple(lines), after)


# --- torchao


def torchao_steps(options: DynamicOptions | WeightOnlyOptions, found: Sequence[Candidate]) -> Steps:
    """`torchao.quantization.quantize_`, in place."""
    module = "torchao.quantization"
    names = ["quantize_"]
    if isinstance(options, DynamicOptions):
        config = "Int8DynamicActivationInt8WeightConfig"
        arguments = "set_inductor_config=False"
    elif options.bits == 8:
        config = "Int8WeightOnlyConfig"
        arguments = "set_inductor_config=False"
        if options.group_size:
            arguments = f"group_size={options.group_size}, {arguments}"
    else:
        config = "PrototypeInt4WeightOnlyConfig"
        arguments = f"group_size={options.group_size}, set_inductor_config=False"
        module = "torchao.prototype.quantization.int4"
    imports = ["from torchao.quantization import quantize_"]
    if module != "torchao.quantization":
        imports.append(f"from {module} import {config}")
    else:
        imports = [f"from {module} import {config}, {names[0]}"]
    left = left_names(found)
    lines = [f"left = {left!r}"] if left else []
    lines += [
        "quantize_(",
        "    model,",
        f"    {config}({arguments}),",
        "    filter_fn=lambda module, name: isinstance(module, torch.nn.Linear)"
        + (" and name not in left," if left else ","),
        ")",
    ]
    return Steps(tuple(imports), tuple(lines), assign=True)
