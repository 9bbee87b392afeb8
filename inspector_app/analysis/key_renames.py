"""New keys for the tensors of a state_dict, and for the module versions that go with them."""

from __future__ import annotations

import re

from inspector_app.analysis.output_tree import Out, OutMapping
from inspector_app.analysis.save_options import SaveOptions
from inspector_app.analysis.state_dict_keys import HEADER, METADATA
from inspector_app.checkpoint.model import Node, TensorInfo


def changes_keys(options: SaveOptions) -> bool:
    return bool(options.strip_prefix or options.rules or options.add_prefix)


def renamed(key: str, options: SaveOptions) -> str:
    """What the options make of one key."""
    for prefix in options.strip_prefix:
        key = key.removeprefix(prefix)
    for rule in options.rules:
        key = re.sub(rule.pattern, rule.replacement, key)
    return options.add_prefix + key


def renames_of(section: Node, options: SaveOptions) -> dict[str, str]:
    """The new key of each tensor of a state_dict; what somebody put beside them keeps its own."""
    found = {}
    for child in section.children:
        key = child.key
        if not isinstance(key, str) or key in (METADATA, HEADER):
            continue
        if isinstance(child, TensorInfo) or "." in key or key == "_extra_state":
            found[key] = renamed(key, options)
    return found


def rename_modules(metadata: Out, renames: dict[str, str], options: SaveOptions) -> None:
    """Give the modules of ``_metadata`` the names that their tensors have now, in place.

    A module's new name is what stands before the same rest of a tensor's key: of
    ``module.conv.weight``, renamed ``conv.weight``, ``module.conv`` becomes ``conv`` and
    ``module`` becomes ``""``. A module without tensors is renamed as a prefix of keys.
    """
    if not isinstance(metadata, OutMapping):
        return
    first: dict[str, tuple[str, str]] = {}
    for old, new in renames.items():
        at = old.rfind(".")
        while at >= 0 and old[:at] not in first:
            first[old[:at]] = (old, new)
            at = old.rfind(".", 0, at)
    pairs: dict[str, tuple[Out, Out]] = {}
    others = []
    for module, facts in metadata.pairs:
        if not isinstance(module, str):
            others.append((module, facts))
            continue
        name = _module_name(module, first, options)
        # Of the wrapper and the model, which may get one name, the model's version counts.
        if name is not None and (name not in pairs or module):
            pairs[name] = (name, facts)
    metadata.pairs = [*pairs.values(), *others]


def _module_name(
    module: str, first: dict[str, tuple[str, str]], options: SaveOptions
) -> str | None:
    if not module:
        return options.add_prefix.removesuffix(".")
    if module in first:
        old, new = first[module]
        rest = old[len(module) :]
        if new.endswith(rest):
            return new.removesuffix(rest)
        if new == rest[1:]:
            return ""
    name = renamed(f"{module}.", options)
    return name[:-1] if name.endswith(".") else name
