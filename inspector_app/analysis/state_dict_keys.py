"""What has to be done to a saved state_dict before ``load_state_dict`` takes it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from inspector_app.analysis.python_text import bracketed, comment, literal
from inspector_app.checkpoint.model import Kind, Node, PathElement
from inspector_app.checkpoint.sections import sample

# What wraps a model puts these before every key: DataParallel, DistributedDataParallel
# and AveragedModel the first, torch.compile the second, FSDP the third.
_WRAPPERS = {
    "module.": "DataParallel or DistributedDataParallel",
    "_orig_mod.": "torch.compile",
    "_fsdp_wrapped_module.": "FSDP",
}
# Counters that an average keeps among the tensors: torch's AveragedModel, mmengine.
_COUNTERS = ("n_averaged", "steps")
# An attribute of the OrderedDict that state_dict() returns, which the tree shows as a key.
METADATA = "_metadata"
# What the tree shows of the header of a safetensors file, or of an index of shards.
HEADER = "__metadata__"
_MOST_NAMED = 8
_WIDE = 20_000


@dataclass(frozen=True, slots=True)
class KeyChanges:
    """How the keys of one section differ from those of the bare model.

    Attributes:
        extra: keys beside the model's own, such as ``epoch``.
        prefixes: what all keys begin with, outermost first.
        compiled_parts: ``_orig_mod.`` occurs within keys: parts of the model were compiled.
    """

    extra: tuple[PathElement, ...] = ()
    prefixes: tuple[str, ...] = ()
    compiled_parts: bool = False


def key_changes(section: Node, ignored: Collection[str] = (METADATA,)) -> KeyChanges:
    """What to take away from the keys of a model's section.

    `ignored` are entries of the tree that the loaded mapping does not have: an attribute of
    what `state_dict()` returns, or `HEADER`.
    """
    extra: list[PathElement] = []
    keys: list[str] = []
    children = section.children
    # What is no tensor among a hundred thousand stands at an end, where somebody put it.
    for child in sample(children) if len(children) > _WIDE else children:
        key = child.key
        if not isinstance(key, str):
            extra.append(key)
        elif child.kind == Kind.TENSOR or "." in key or key == "_extra_state":
            keys.append(key)
        elif key not in ignored:
            extra.append(key)
    wrapped = _wrapped(keys, 0)
    if wrapped is None:
        counters = [key for key in keys if key in _COUNTERS]
        others = [key for key in keys if key not in _COUNTERS]
        if counters and _wrapped(others, 0):
            keys, wrapped = others, _wrapped(others, 0)
            extra += counters
    prefixes: list[str] = []
    start = 0
    while wrapped is not None:
        prefixes.append(wrapped)
        start += len(wrapped)
        wrapped = _wrapped(keys, start)
    inner = any("_orig_mod." in key[start:] for key in keys)
    return KeyChanges(tuple(extra), tuple(prefixes), inner)


def _wrapped(keys: list[str], start: int) -> str | None:
    for prefix in _WRAPPERS:
        if keys and all(key.startswith(prefix, start) for key in keys):
            return prefix
    return None


def change_lines(changes: KeyChanges, name: str = "state_dict") -> list[str]:
    """Lines that turn the variable `name` into what ``load_state_dict`` takes."""
    lines: list[str] = []
    if changes.extra:
        lines += comment("Not parts of the model:")
        if len(changes.extra) <= _MOST_NAMED:
            lines += bracketed("for key in ", [literal(key) for key in changes.extra], ":")
            lines.append(f"    {name}.pop(key)")
        else:
            lines.append(f"{name} = {{")
            lines.append(f"    key: value for key, value in {name}.items()")
            lines.append('    if isinstance(value, torch.Tensor) or "." in str(key)')
            lines.append("}")
    for prefix in changes.prefixes:
        lines += comment(f'Every key begins with "{prefix}", which {_WRAPPERS[prefix]} adds.')
        lines.append(
            "torch.nn.modules.utils.consume_prefix_in_state_dict_if_present"
            f"({name}, {literal(prefix)})"
        )
    if changes.compiled_parts:
        lines += comment('torch.compile adds "_orig_mod." to the keys of what it compiles.')
        lines.append(
            f'{name} = {{key.replace("_orig_mod.", ""): value for key, value in {name}.items()}}'
        )
    return lines
