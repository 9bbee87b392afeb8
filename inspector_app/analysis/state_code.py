"""Python lines that load a state_dict out of a checkpoint, whatever its format."""

from __future__ import annotations

from typing import NamedTuple

from inspector_app.analysis.access import access
from inspector_app.analysis.load_call import shards, torch_load
from inspector_app.analysis.python_text import literal
from inspector_app.checkpoint.model import Checkpoint, Kind, TreePath

_BY_TORCH = ("torch-zip", "torch-legacy", "torch-tar")


class StateLines(NamedTuple):
    """Import lines or modules, as `load_call.import_lines` takes them, and statements."""

    imports: tuple[str, ...]
    lines: tuple[str, ...]


def state_lines(checkpoint: Checkpoint, section: TreePath, name: str) -> StateLines | None:
    """Lines that load the state_dict at `section` into the variable `name`.

    None for what no few lines load: ONNX, bare pickles, what lies within an object.
    """
    if checkpoint.format == "safetensors" and not section:
        return _safetensors(checkpoint, name)
    path = literal(checkpoint.path)
    if checkpoint.format == "torchscript" and not section:
        loaded = f'torch.jit.load({path}, map_location="cpu")'
        return StateLines(("torch",), (f"{name} = {loaded}.state_dict()",))
    if checkpoint.format == "torch-export" and not section:
        return StateLines(("torch",), (f"{name} = torch.export.load({path}).state_dict",))
    node = checkpoint.find(section)
    if checkpoint.format not in _BY_TORCH or node is None or shards(checkpoint):
        return None
    suffix = access("", node)
    if suffix is None:
        return None
    if node.kind == Kind.MODULE:
        suffix += ".state_dict()"
    load = torch_load(checkpoint, brief=True)
    return StateLines(load.imports, tuple(load.assigned_to(name, suffix)))


def whole_lines(checkpoint: Checkpoint, name: str) -> StateLines | None:
    """Lines that load all of a file of torch into the variable `name`; None for others."""
    if checkpoint.format not in _BY_TORCH or shards(checkpoint):
        return None
    load = torch_load(checkpoint, brief=True)
    return StateLines(load.imports, tuple(load.assigned_to(name)))


def _safetensors(checkpoint: Checkpoint, name: str) -> StateLines:
    imports = ("from safetensors.torch import load_file",)
    parts = shards(checkpoint)
    if not parts:
        return StateLines(imports, (f"{name} = load_file({literal(checkpoint.path)})",))
    lines = [f"{name} = {{}}", "for shard in ("]
    lines += [f"    {literal(part)}," for part in parts]
    lines += ["):", f"    {name}.update(load_file(shard))"]
    return StateLines(imports, tuple(lines))
