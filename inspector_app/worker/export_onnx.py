"""ONNX: by the exporter that is based on torch.export, or by the older one on TorchScript.

Everything is written under the names that the files will keep: the model refers to its
``.data`` file by name.
"""

from __future__ import annotations

import inspect
import sys
from collections import Counter
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from inspector_app.worker.example_inputs import Call, ExampleInputs
from inspector_app.worker.failures import Failure
from inspector_app.worker.interpreters import pip_line
from inspector_app.worker.protocol import DynamicAxis, OnnxOptions, OutputInfo, Progress
from inspector_app.worker.torch_import import import_package
from inspector_app.worker.user_errors import failure_of

PURPOSE = "ONNX export"
DATA_SUFFIX = ".data"
# A protobuf message is at most 2 GiB, and the graph needs some of it.
MOST_INSIDE = 1_900_000_000
_DEPRECATED = (
    "The exporter based on TorchScript is deprecated since PyTorch 2.9; it keeps one way "
    "through control flow that depends on values."
)


@dataclass(frozen=True, slots=True)
class Written:
    """What was written.

    Attributes:
        files: names, the model's first.
        outputs: of the model, by their names in the graph.
        operators: of the graph, each with how often it occurs.
        notes: sentences worth knowing.
    """

    files: tuple[str, ...]
    outputs: tuple[OutputInfo, ...]
    operators: Mapping[str, int]
    notes: tuple[str, ...] = ()


def check_packages(options: OnnxOptions) -> None:
    """Raise `Failure` that names all packages at once which this environment lacks."""
    needed = ["onnx", "onnxscript"] if options.exporter == "dynamo" else ["onnx"]
    # The proof needs it; better to hear of it now than after the export.
    needed.append("onnxruntime")
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        raise Failure(
            "package-missing",
            interpreter=sys.executable,
            package=" and no ".join(missing),
            purpose=PURPOSE,
            pip=pip_line(sys.executable, missing),
        )


def writing_onnx(
    module: Any, call: Call, examples: ExampleInputs, options: OnnxOptions, target: Path
) -> Generator[Progress, None, Written]:
    """Write `module` to `target`.

    Args:
        module: an ``nn.Module`` in eval mode.
        call: how it is called.
        examples: its inputs.
        options: how to export.
        target: the file; external data goes beside it.

    Raises:
        Failure: a package is missing, the model cannot be exported, or the file not written.
    """
    import torch

    from inspector_app.worker.outputs import output_infos

    check_packages(options)
    onnx = import_package("onnx", PURPOSE)
    call = _in_signature_order(module, call)
    sizes = examples.traced_sizes()
    yield Progress("run the model")
    with torch.no_grad():
        try:
            outputs = output_infos(call(module, examples.tensors(0, sizes)))
        except Exception as error:
            inputs = ", ".join(f"{each.name} {list(each.shape)}" for each in examples.sized())
            raise failure_of("forward", error, inputs=inputs) from error
    if not outputs:
        raise Failure("no-output", found="nothing")
    names = _Names.of(call, outputs, options, module)
    axes = [
        each for each in examples.inputs.dynamic if each.least is None or each.least != each.most
    ]
    yield Progress("export to ONNX")
    beside = options.external_data == "beside" or (
        options.external_data == "auto" and _nbytes(module) > MOST_INSIDE
    )
    write = _write_dynamo if options.exporter == "dynamo" else _write_torchscript
    with torch.no_grad():
        notes = write(
            module, call, examples.tensors(0, sizes), axes, names, options, target, beside
        )
    yield Progress("check the ONNX model")
    graph_model = _checked(onnx, target)
    notes += _input_notes(graph_model.graph, names, axes, call)
    files = sorted(each.name for each in target.parent.iterdir() if each.name != target.name)
    if len(files) > 0 and not beside:
        notes.append("The weights lie beside the model: they are too large for one ONNX file.")
    return Written(
        (target.name, *files),
        tuple(
            OutputInfo(name, each.shape, each.dtype)
            for name, each in zip(names.outputs, outputs, strict=True)
        ),
        operators(graph_model),
        tuple(notes),
    )


@dataclass(frozen=True, slots=True)
class _Names:
    """Of the graph's inputs and outputs, in the order in which the exporters have them."""

    inputs: list[str]
    outputs: list[str]

    @classmethod
    def of(
        cls, call: Call, outputs: tuple[OutputInfo, ...], options: OnnxOptions, module: Any
    ) -> _Names:
        from inspector_app.worker.outputs import graph_names

        own = [*call.positional, *call.keywords]
        inputs = _chosen("input", options.input_names, own)
        # Names of weights are taken: a graph has one table of names.
        taken = [*inputs, *(name for name, _ in module.named_parameters())]
        taken += [name for name, _ in module.named_buffers()]
        given = graph_names((each.name for each in outputs), taken)
        return cls(inputs, _chosen("output", options.output_names, given))


def _chosen(what: str, asked: tuple[str, ...], own: list[str]) -> list[str]:
    if not asked:
        return own
    if len(asked) != len(own) or len(set(asked)) != len(asked):
        raise Failure(
            "bad-names", what=what, given=", ".join(asked), count=len(own), own=", ".join(own)
        )
    return list(asked)


def _in_signature_order(module: Any, call: Call) -> Call:
    """Keywords as forward declares them, which is the order of the graph's inputs."""
    try:
        order = list(inspect.signature(module.forward).parameters)
    except (TypeError, ValueError):
        return call
    places = {name: place for place, name in enumerate(order)}
    keywords = sorted(call.keywords, key=lambda name: places.get(name, len(order)))
    return Call(call.positional, tuple(keywords))


def dynamic_shapes(module: Any, call: Call, axes: Iterable[DynamicAxis]) -> dict[str, Any] | None:
    """What torch.export takes: for each parameter of forward its dynamic axes."""
    import torch

    dims: dict[str, Any] = {}
    by_input: dict[str, dict[int, Any]] = {}
    axes = list(axes)
    for each in axes:
        if each.name not in dims:
            same = [other for other in axes if other.name == each.name]
            dims[each.name] = torch.export.Dim(
                each.name,
                min=max((other.least for other in same if other.least), default=None),
                max=min((other.most for other in same if other.most), default=None),
            )
        by_input.setdefault(each.input, {})[each.axis] = dims[each.name]
    if not dims:
        return None
    shapes = {name: by_input.get(name) for name in (*call.positional, *call.keywords)}
    bound = inspect.signature(module.forward).bind(*call.args(shapes), **call.kwargs(shapes))
    return dict(bound.arguments)


def _write_dynamo(
    module: Any,
    call: Call,
    tensors: Mapping[str, Any],
    axes: list[DynamicAxis],
    names: _Names,
    options: OnnxOptions,
    target: Path,
    beside: bool,
) -> list[str]:
    import torch

    from inspector_app.worker.export_errors import onnx_failure

    try:
        program = torch.onnx.export(
            module,
            call.args(tensors),
            kwargs=call.kwargs(tensors) or None,
            input_names=names.inputs,
            output_names=names.outputs,
            opset_version=options.opset,
            dynamic_shapes=dynamic_shapes(module, call, axes),
            dynamo=True,
            optimize=options.optimize,
            verbose=False,
        )
        program.model.metadata_props.update(options.metadata)
        program.save(str(target), external_data=beside)
    except Exception as error:
        raise onnx_failure(error) from error
    return []


def _write_torchscript(
    module: Any,
    call: Call,
    tensors: Mapping[str, Any],
    axes: list[DynamicAxis],
    names: _Names,
    options: OnnxOptions,
    target: Path,
    beside: bool,
) -> list[str]:
    import torch

    from inspector_app.worker.export_errors import onnx_failure

    onnx = import_package("onnx", PURPOSE)
    own = [*call.positional, *call.keywords]
    renamed = dict(zip(own, names.inputs, strict=True))
    dynamic: dict[str, dict[int, str]] = {}
    for each in axes:
        dynamic.setdefault(renamed[each.input], {})[each.axis] = each.name
    arguments = call.args(tensors)
    keywords = call.kwargs(tensors)
    try:
        torch.onnx.export(
            module,
            (*arguments, keywords) if keywords else arguments,
            str(target),
            input_names=names.inputs,
            output_names=names.outputs,
            opset_version=options.opset,
            dynamic_axes=dynamic or None,
            do_constant_folding=options.optimize,
            dynamo=False,
        )
        if beside or options.metadata:
            written = onnx.load(str(target))
            for key, value in options.metadata.items():
                written.metadata_props.add(key=key, value=value)
            for each in target.parent.iterdir():
                each.unlink()
            onnx.save_model(
                written,
                str(target),
                save_as_external_data=beside,
                location=target.name + DATA_SUFFIX,
                size_threshold=1024,
            )
    except Exception as error:
        raise onnx_failure(error) from error
    return [_DEPRECATED]


def _checked(onnx: Any, target: Path) -> Any:
    """The model without external data, after the checker and strict shape inference."""
    try:
        # By its path, as the checker looks for external data beside it.
        onnx.checker.check_model(str(target), full_check=True)
        return onnx.load(str(target), load_external_data=False)
    except Exception as error:
        raise failure_of("onnx-invalid", error) from error


def _input_notes(graph: Any, names: _Names, axes: list[DynamicAxis], call: Call) -> list[str]:
    """Raise where an axis was fixed; note the inputs that the graph lacks."""
    by_name = {each.name: each for each in graph.input}
    renamed = dict(zip((*call.positional, *call.keywords), names.inputs, strict=True))
    for axis in axes:
        value = by_name.get(renamed[axis.input])
        if value is None:
            continue
        size = value.type.tensor_type.shape.dim[axis.axis]
        if not size.dim_param:
            raise Failure(
                "axis-not-dynamic",
                reason=f"axis {axis.axis} of {axis.input} ({axis.name}) can only be "
                f"{size.dim_value}",
            )
    return [
        f"No output depends on the input {name}, so the graph has none of that name."
        for name in names.inputs
        if name not in by_name
    ]


def operators(model: Any) -> dict[str, int]:
    """How often each operator occurs, also in functions and in bodies of loops; the most
    frequent first. Those outside ONNX's own domain are written ``domain::name``."""
    counts: Counter[str] = Counter()
    nodes = [*model.graph.node, *(node for each in model.functions for node in each.node)]
    while nodes:
        node = nodes.pop()
        counts[f"{node.domain}::{node.op_type}" if node.domain else node.op_type] += 1
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                nodes.extend(graph.node)
    return dict(sorted(counts.items(), key=lambda each: (-each[1], each[0])))


def _nbytes(module: Any) -> int:
    tensors = {id(each): each for each in (*module.parameters(), *module.buffers())}
    return sum(each.numel() * each.element_size() for each in tensors.values())
