"""The Python lines that load a single tensor."""

from __future__ import annotations

from inspector_app.analysis.access import access
from inspector_app.analysis.foreign_formats import unpickled
from inspector_app.analysis.load_call import import_lines, torch_load
from inspector_app.analysis.python_text import comment, literal
from inspector_app.checkpoint.model import Checkpoint, Node, TensorInfo


def tensor_line(checkpoint: Checkpoint, tensor: TensorInfo) -> str:
    """Lines that load this one tensor (of ONNX: array) into ``tensor``: imports, then one
    statement where one is enough."""
    writer = {
        "safetensors": _safetensors,
        "torchscript": _torchscript,
        "torch-export": _exported_program,
        "onnx": _onnx,
        "pickle": _raw_pickle,
    }.get(checkpoint.format, _saved_by_torch)
    return "\n".join(writer(checkpoint, tensor))


def _file_of(checkpoint: Checkpoint, tensor: TensorInfo) -> str:
    storage = tensor.storage
    return storage.file if storage is not None and storage.file else checkpoint.path


def _saved_by_torch(checkpoint: Checkpoint, tensor: TensorInfo) -> list[str]:
    # Mapped, since all but one of the tensors would be read for nothing.
    load = torch_load(checkpoint, literal(_file_of(checkpoint, tensor)), mmap=True, brief=True)
    suffix = access("", tensor)
    if suffix is not None:
        return [*import_lines(load.imports), *load.assigned_to("tensor", suffix)]
    lines = [*import_lines(load.imports), *load.assigned_to("checkpoint")]
    return [*lines, *_out_of_reach(tensor)]


def _out_of_reach(tensor: Node) -> list[str]:
    return comment(
        f"No expression leads to this tensor, which lies within an object: {tensor.name}"
    )


def _safetensors(checkpoint: Checkpoint, tensor: TensorInfo) -> list[str]:
    path, key = literal(_file_of(checkpoint, tensor)), literal(tensor.key)
    opened = f'safe_open({path}, framework="pt", device="cpu")'
    return ["from safetensors import safe_open", f"tensor = {opened}.get_tensor({key})"]


def _torchscript(checkpoint: Checkpoint, tensor: TensorInfo) -> list[str]:
    path = tensor.path
    if len(path) != 1 or not isinstance(path[0], str):
        return _out_of_reach(tensor)
    loaded = f'torch.jit.load({literal(checkpoint.path)}, map_location="cpu")'
    # Not state_dict(): a tensor may be a plain attribute.
    lines = [f"tensor = operator.attrgetter({literal(path[0])})({loaded})"]
    return [*import_lines(["operator", "torch"]), *lines]


def _exported_program(checkpoint: Checkpoint, tensor: TensorInfo) -> list[str]:
    path = tensor.path
    program = f"torch.export.load({literal(checkpoint.path)})"
    if len(path) == 1:
        return ["import torch", f"tensor = {program}.state_dict[{literal(path[0])}]"]
    if len(path) == 2 and path[0] == "constants":
        return ["import torch", f"tensor = {program}.constants[{literal(path[1])}]"]
    return _out_of_reach(tensor)


def _onnx(checkpoint: Checkpoint, tensor: TensorInfo) -> list[str]:
    if len(tensor.path) != 1:
        return _out_of_reach(tensor)
    return [
        "import onnx",
        "from onnx import numpy_helper",
        f"graph = onnx.load({literal(checkpoint.path)}).graph",
        f"found = next(each for each in graph.initializer if each.name == {literal(tensor.key)})",
        "tensor = numpy_helper.to_array(found)",
    ]


def _raw_pickle(checkpoint: Checkpoint, tensor: TensorInfo) -> list[str]:
    expression = access("checkpoint", tensor)
    taken_out = _out_of_reach(tensor) if expression is None else [f"tensor = {expression}"]
    return [*unpickled(checkpoint), *taken_out]
