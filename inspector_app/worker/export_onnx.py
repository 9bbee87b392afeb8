"""ONNX: by the exporter that is based on torch.export, or by the older one on TorchScript.

Everything is written under the names that the files will keep: the model refers to its
``.data`` file by name.
"""

from __future__ import annotations

import inspect
import logging
import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from inspector_app.worker.example_inputs import Call
from inspector_app.worker.export import Prepared, Writing, Written
from inspector_app.worker.export_errors import onnx_failure
from inspector_app.worker.export_program import dynamic_shapes
from inspector_app.worker.failures import Failure
from inspector_app.worker.graph_facts import DATA_SUFFIX, has_attention, nbytes, operators
from inspector_app.worker.interpreters import pip_line
from inspector_app.worker.protocol import OnnxOptions, Progress
from inspector_app.worker.torch_import import import_package
from inspector_app.worker.user_errors import failure_of

PURPOSE = "ONNX export"
# A protobuf message is at most 2 GiB, and the graph needs some of it.
MOST_INSIDE = 1_900_000_000
_DEPRECATED = (
    "The exporter based on TorchScript is deprecated since PyTorch 2.9; it keeps one way "
    "through control flow that depends on values."
)


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


def writing(prepared: Prepared, options: OnnxOptions, path: str) -> Writing:
    """Write an ONNX model, and its external data beside it where there are such.

    Raises:
        Failure: a package is missing, or the exporter cannot do it.
    """
    check_packages(options)
    onnx = import_package("onnx", PURPOSE)
    target = Path(path)
    prepared = replace(prepared, call=in_signature_order(prepared.module, prepared.call))
    names = _Names.of(prepared, options)
    beside = options.external_data == "beside" or (
        options.external_data == "auto" and nbytes(prepared.module) > MOST_INSIDE
    )
    yield Progress("export the model")
    # Made anew: the forward that was tried may have written into them.
    prepared = replace(
        prepared, tensors=prepared.example.tensors(sizes=prepared.example.traced_sizes())
    )
    write = _write_dynamo if options.exporter == "dynamo" else _write_torchscript
    try:
        notes = write(prepared, names, options, target, beside)
    except Exception as error:
        raise onnx_failure(error) from error
    yield Progress("check the ONNX model")
    model = _checked(onnx, target)
    notes += _input_notes(model.graph, names, prepared)
    if not beside and len(list(target.parent.iterdir())) > 1:
        notes.append("The weights lie beside the model: they are too large for one ONNX file.")
    return Written(operators(model), notes, names.outputs)


@dataclass(frozen=True, slots=True)
class _Names:
    """Of the graph's inputs and outputs, in the order in which the exporters have them."""

    inputs: list[str]
    outputs: list[str]

    @classmethod
    def of(cls, prepared: Prepared, options: OnnxOptions) -> _Names:
        own = [*prepared.call.positional, *prepared.call.keywords]
        inputs = _chosen("input", options.input_names, own)
        # A graph has one table of names, and the weights are in it.
        module = prepared.module
        taken = {*inputs, *(name for name, _ in module.named_parameters())}
        taken.update(name for name, _ in module.named_buffers())
        paths = [each.name for each in prepared.outputs]
        return cls(inputs, _chosen("output", options.output_names, graph_names(paths, taken)))


def graph_names(paths: Iterable[str], taken: Iterable[str]) -> list[str]:
    """Paths of outputs as names of a graph's values: ``output_0`` for ``0``, none in `taken`."""
    used = set(taken)
    names = []
    for path in paths:
        wanted = f"output_{path}" if path[:1].isdigit() else path
        name, number = wanted, 1
        while name in used:
            number += 1
            name = f"{wanted}_{number}"
        used.add(name)
        names.append(name)
    return names


def _chosen(what: str, asked: tuple[str, ...], own: list[str]) -> list[str]:
    if not asked:
        return own
    if len(asked) != len(own) or len(set(asked)) != len(asked):
        raise Failure(
            "bad-names", what=what, given=", ".join(asked), count=len(own), own=", ".join(own)
        )
    return list(asked)


def in_signature_order(module: Any, call: Call) -> Call:
    """Keywords as forward declares them, which is the order of the graph's inputs."""
    try:
        order = list(inspect.signature(module.forward).parameters)
    except (TypeError, ValueError):
        return call
    places = {name: place for place, name in enumerate(order)}
    keywords = sorted(call.keywords, key=lambda name: places.get(name, len(order)))
    return Call(call.positional, tuple(keywords))


def _write_dynamo(
    prepared: Prepared, names: _Names, options: OnnxOptions, target: Path, beside: bool
) -> list[str]:
    import torch

    # It warns, in each export, of operators of torchvision where that is not installed.
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    call, tensors = prepared.call, prepared.tensors
    with torch.no_grad(), warnings.catch_warnings():
        # Two inputs whose axes have one name, on purpose.
        warnings.filterwarnings("ignore", message="# The axis name", category=UserWarning)
        program = torch.onnx.export(
            prepared.module,
            call.args(tensors),
            kwargs=call.kwargs(tensors) or None,
            input_names=names.inputs,
            output_names=names.outputs,
            opset_version=options.opset,
            dynamic_shapes=dynamic_shapes(prepared),
            dynamo=True,
            optimize=options.optimize,
            verbose=False,
        )
    program.model.metadata_props.update(options.metadata)
    program.save(str(target), external_data=beside)
    return []


def _write_torchscript(
    prepared: Prepared, names: _Names, options: OnnxOptions, target: Path, beside: bool
) -> list[str]:
    import torch

    call = prepared.call
    own = (*call.positional, *call.keywords)
    renamed = dict(zip(own, names.inputs, strict=True))
    axes: dict[str, dict[int, str]] = {}
    for each in prepared.example.inputs.dynamic:
        axes.setdefault(renamed[each.input], {})[each.axis] = each.name
    fast = torch.backends.mha.get_fastpath_enabled()
    try:
        if has_attention(prepared.module):
            # The fused operator of nn.TransformerEncoderLayer has no ONNX form.
            torch.backends.mha.set_fastpath_enabled(False)
        with torch.no_grad(), warnings.catch_warnings(), _by_position(prepared.module, call):
            # TorchScript's functions have none that Python could look at.
            warnings.filterwarnings("ignore", message="no signature found", category=UserWarning)
            torch.onnx.export(
                prepared.module,
                tuple(prepared.tensors[name] for name in own),
                str(target),
                input_names=names.inputs,
                output_names=names.outputs,
                opset_version=options.opset,
                dynamic_axes=axes or None,
                do_constant_folding=options.optimize,
                dynamo=False,
            )
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    if beside or options.metadata:
        _write_again(options, target, beside)
    return [_DEPRECATED]


@contextmanager
def _by_position(module: Any, call: Call) -> Iterator[None]:
    """Let forward take the inputs by position alone. Given keywords, the exporter would make an
    input of each default between them that is a number."""
    if not call.keywords:
        yield
        return
    names = (*call.positional, *call.keywords)
    forward = module.forward
    module.forward = lambda *given: forward(**dict(zip(names, given, strict=True)))
    try:
        yield
    finally:
        del module.forward


def _write_again(options: OnnxOptions, target: Path, beside: bool) -> None:
    """The same model with metadata, and its weights inside or in one file beside it."""
    onnx = import_package("onnx", PURPOSE)
    model = onnx.load(str(target))
    for key, value in options.metadata.items():
        model.metadata_props.add(key=key, value=value)
    for each in target.parent.iterdir():
        each.unlink()
    onnx.save_model(
        model,
        str(target),
        save_as_external_data=beside,
        location=target.name + DATA_SUFFIX,
        size_threshold=1024,
    )
    _as_others_are(target.parent)


def _as_others_are(folder: Path) -> None:
    """Some versions of onnx write external data for their owner's eyes alone; elsewhere who
    may read a file is decided by the umask."""
    mask = os.umask(0)
    os.umask(mask)
    for each in folder.iterdir():
        each.chmod(0o666 & ~mask)


def _checked(onnx: Any, target: Path) -> Any:
    """The model without external data, after the checker and strict shape inference."""
    try:
        # By its path, as the checker looks for external data beside it.
        onnx.checker.check_model(str(target), full_check=True)
        return onnx.load(str(target), load_external_data=False)
    except Exception as error:
        raise failure_of("onnx-invalid", error) from error


def _input_notes(graph: Any, names: _Names, prepared: Prepared) -> list[str]:
    """Raise where an axis was fixed; note the inputs that the graph lacks."""
    by_name = {each.name: each for each in graph.input}
    call = prepared.call
    renamed = dict(zip((*call.positional, *call.keywords), names.inputs, strict=True))
    for axis in prepared.example.inputs.dynamic:
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
