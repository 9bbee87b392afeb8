"""Whole models: the state_dict that a pickled ``torch.nn.Module`` would give.

``torch.save(model)`` pickles the module objects. Their inert state has ``_parameters``,
``_buffers`` and ``_modules``; walking these as ``Module.state_dict`` does (torch 2.13:
parameters, then persistent buffers, then the children, in order) gives the same keys,
without importing a class.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from inspector_app.checkpoint.pickle_nodes import Call, GlobalRef, ItemSet, PairList
from inspector_app.checkpoint.torch_rebuild import attributes, pairs_of

_DEEPEST = 100
_MOST_ENTRIES = 2_000_000
# In place of a tensor that a module has a name for and nothing else, such as no bias.
ABSENT = object()
# What every module has and nobody asks for, unless it is not empty.
_USUAL = frozenset(
    {
        "_parameters",
        "_buffers",
        "_modules",
        "_non_persistent_buffers_set",
        "_is_full_backward_hook",
    }
)


class ModuleState:
    """The state of an inert module.

    Attributes:
        type_name: its class.
        parameters, buffers: name and inert value; None where a name has no tensor.
        modules: the children.
        config: its other attributes and buffers that a state_dict leaves out; hooks are
            left out where there are none.
    """

    __slots__ = ("_modules", "_parameters", "buffers", "config", "type_name")

    def __init__(self, type_name: str, state: list[tuple[Any, Any]]) -> None:
        named = dict(state)
        transient = _texts(named.get("_non_persistent_buffers_set"))
        self.type_name = type_name
        self._parameters = named.get("_parameters")
        self._modules = named.get("_modules")
        buffers = pairs_of(named.get("_buffers"))
        self.buffers = [(name, value) for name, value in buffers if name not in transient]
        self.config = [
            (name, value) for name, value in state if name not in _USUAL and not _empty_hooks(value)
        ]
        self.config += [(name, value) for name, value in buffers if name in transient]

    @property
    def parameters(self) -> list[tuple[Any, Any]]:
        return pairs_of(self._parameters)

    @property
    def modules(self) -> list[tuple[Any, Any]]:
        return pairs_of(self._modules)


def module_state(value: Any) -> ModuleState | None:
    """The state of `value`, if it is an inert module."""
    if type(value) is not Call or not value.state:
        return None
    function: Any = value.function
    rebuilt = type(function) is GlobalRef and function.name == "_reconstructor"
    if rebuilt and type(value.args) is tuple and value.args:
        function = value.args[0]
    name = function.full_name if type(function) is GlobalRef else "?"
    state: list[tuple[Any, Any]] = attributes(value.state[-1])
    if not {"_parameters", "_modules"} <= {name for name, _ in state}:
        return None
    return ModuleState(name, state)


def state_dict_of(root: ModuleState) -> Iterator[tuple[str, Any]]:
    """Keys and inert tensors of the state_dict, in its order; `ABSENT` where there is none.

    A module that contains itself, and what lies deeper than torch itself could walk, is
    left out.
    """
    seen = 0
    ancestors: list[Any] = []
    stack: list[tuple[str, ModuleState | None, Any]] = [("", root, None)]
    while stack:
        prefix, module, value = stack.pop()
        if module is None:
            ancestors.pop()
            continue
        tensors = [*module.parameters, *module.buffers]
        seen += 1 + len(tensors)
        for name, tensor in tensors:
            yield f"{prefix}{name}", ABSENT if tensor is None else tensor
        ancestors.append(value)
        stack.append(("", None, None))
        if len(ancestors) > _DEEPEST or seen > _MOST_ENTRIES:
            continue
        for name, child in reversed(module.modules):
            if any(child is ancestor for ancestor in ancestors):
                continue
            state = module_state(child)
            if state is not None:
                stack.append((f"{prefix}{name}.", state, child))


def _texts(value: Any) -> set[str]:
    if type(value) is Call and type(value.args) is tuple and value.args:
        value = value.args[0]
    items = value.items if type(value) is ItemSet else value
    if not isinstance(items, (list, tuple)):
        return set()
    return {item for item in items if isinstance(item, str)}


def _empty_hooks(value: Any) -> bool:
    """An ordered dictionary without entries: how unused hooks are saved."""
    if type(value) is PairList:
        return not value.pairs
    return (
        type(value) is Call
        and type(value.function) is GlobalRef
        and value.function.full_name == "collections.OrderedDict"
        and not value.pairs
        and not value.args
    )
