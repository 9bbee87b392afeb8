"""TorchScript objects as people know them: a state_dict, and the modules' other attributes.

Source: ``torch/csrc/jit/serialization`` of torch 2.13 (``pickler.cpp``, ``unpickler.cpp``,
``import.cpp``). An object of a compiled class is ``__torch__.….Class`` with NEWOBJ, and
BUILD gives its attributes as a dictionary, or whatever its ``__getstate__`` returned.
Lists are wrapped in calls that say their type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from inspector_app.checkpoint.errors import Problem
from inspector_app.checkpoint.limits import Limits
from inspector_app.checkpoint.model import Kind, Node, PathElement, TensorInfo
from inspector_app.checkpoint.pickle_nodes import Call, GlobalRef, PairList
from inspector_app.checkpoint.pickle_tree import ARGUMENTS, MODULES, Below, Entries, PickleTree
from inspector_app.checkpoint.torch_rebuild import ResolveStorage

_DEEPEST = 100
_MOST_MODULES = 30_000
_LOOKED_AT = 64
_TYPED = frozenset(
    f"torch.jit._pickle.{name}"
    for name in (
        "restore_type_tag",
        "build_intlist",
        "build_doublelist",
        "build_boollist",
        "build_tensorlist",
    )
)


class ScriptTree(PickleTree):
    """The tree of a TorchScript pickle.

    A module is shown as the state_dict that it would give: its tensors, and what holds
    tensors in another form (lists, packed parameters), by dotted name. Below `MODULES`
    stand the modules with their other attributes.
    """

    def __init__(self, limits: Limits, resolve: ResolveStorage, big_endian: bool = False) -> None:
        super().__init__(limits, resolve, big_endian)
        self._attributes: dict[int, _Attributes] = {}

    def _node(
        self, value: Any, key: PathElement, parent: Node | None, listed: bool
    ) -> tuple[Node, Below | None, bool]:
        value = untyped(value)
        if type(value) is _Attributes:
            node = Node(key, Kind.OBJECT, class_name(value.module), None, parent)
            return node, self._attribute_entries(value.module), False
        if is_module(value):
            node = Node(key, Kind.MODULE, class_name(value), None, parent)
            return node, self._module_entries(value), listed
        if is_script_object(value):
            node = Node(key, Kind.OBJECT, class_name(value), None, parent)
            return node, _object_entries(value), listed
        return super()._node(value, key, parent, listed)

    def _module_entries(self, root: Call) -> Entries:
        yield from state_dict_of(root, self._cut_modules)
        yield MODULES, self._view(root)

    def _attribute_entries(self, module: Call) -> Entries:
        for name, value in _attributes(module):
            if is_module(value):
                yield name, self._view(value)
            elif not _holds_tensors(value):
                yield name, value

    def _cut_modules(self, what: str) -> None:
        self.problems.append(Problem("tree-limit", details={"limit": what}))

    def _view(self, module: Call) -> _Attributes:
        """One view a module, so that the builder knows it when it meets it again."""
        return self._attributes.setdefault(id(module), _Attributes(module))


class _Attributes:
    """A module as the tree below `MODULES` shows it: without what the state_dict has."""

    __slots__ = ("module",)

    def __init__(self, module: Call) -> None:
        self.module = module


def untyped(value: Any) -> Any:
    """The list or dictionary inside the call that says its type."""
    for _ in range(_LOOKED_AT):
        if (
            type(value) is not Call
            or type(value.function) is not GlobalRef
            or value.function.full_name not in _TYPED
            or type(value.args) is not tuple
            or not value.args
        ):
            break
        value = value.args[0]
    return value


def is_script_class(reference: Any) -> bool:
    """Whether it names a class whose code is in the archive, so that nothing is imported."""
    return type(reference) is GlobalRef and (
        reference.module == "__torch__" or reference.module.startswith("__torch__.")
    )


def is_builtin(reference: GlobalRef) -> bool:
    """Whether TorchScript's own unpickler makes it, which imports nothing."""
    return is_builtin_name(reference.module, reference.name)


def is_builtin_name(module: str, name: str) -> bool:
    """The same of a name alone."""
    return module == "__torch__" or module.startswith("__torch__.") or f"{module}.{name}" in _TYPED


def is_script_object(value: Any) -> bool:
    return type(value) is Call and is_script_class(value.function)


def is_module(value: Any) -> bool:
    """An object with attributes; one that came from ``__getstate__`` has another state."""
    return (
        is_script_object(value)
        and bool(value.state)
        and type(value.state[-1]) is PairList
        and not value.function.module.startswith("__torch__.torch.classes")
    )


def class_name(value: Call) -> str:
    """``__torch__.torch.nn.modules.linear.___torch_mangle_5.Linear`` without the mangling."""
    function = value.function
    if type(function) is not GlobalRef:
        return "?"
    parts = function.full_name.split(".")
    plain = [part for part in parts if not part.startswith("___torch_mangle_")]
    return ".".join(plain[1:] if plain[0] == "__torch__" and len(plain) > 1 else plain)


def _attributes(module: Call) -> list[tuple[str, Any]]:
    state = module.state[-1] if module.state else None
    pairs = state.pairs if type(state) is PairList else []
    return [(name, untyped(value)) for name, value in pairs if isinstance(name, str)]


def _holds_tensors(value: Any) -> bool:
    """A tensor, or something that may contain one within the first levels."""
    pending = [(untyped(value), 0)]
    while pending:
        item, depth = pending.pop()
        if type(item) is TensorInfo or type(item) is Call:
            return True
        if depth < 3:
            if type(item) is list or type(item) is tuple:
                pending += [(untyped(part), depth + 1) for part in item[:_LOOKED_AT]]
            elif type(item) is PairList:
                pending += [(untyped(part), depth + 1) for _, part in item.pairs[:_LOOKED_AT]]
    return False


def _object_entries(value: Call) -> Entries:
    """What an object that is no module keeps, such as packed parameters."""
    if value.args != ():
        yield ARGUMENTS, value.args
    for state in value.state or []:
        state = untyped(state)
        if type(state) is PairList:
            yield from state.pairs
        elif type(state) is tuple or type(state) is list:
            yield from enumerate(state)
        else:
            yield "(state)", state


def state_dict_of(root: Call, cut: Callable[[str], None]) -> Iterator[tuple[str, Any]]:
    """Dotted names of all tensors below `root`, in the order of ``state_dict()``.

    That is, as torch walks: a module's own tensors, then its children. A module that
    contains itself is walked once. `cut` is told which limit was reached.
    """
    seen = 0
    ancestors: list[Call] = []
    # None closes the module that was entered last.
    stack: list[tuple[str, Call | None]] = [("", root)]
    while stack:
        prefix, module = stack.pop()
        if module is None:
            ancestors.pop()
            continue
        seen += 1
        children = []
        for name, value in _attributes(module):
            if is_module(value):
                if not any(value is ancestor for ancestor in ancestors) and value is not module:
                    children.append((f"{prefix}{name}.", value))
            elif _holds_tensors(value):
                yield f"{prefix}{name}", value
        if seen >= _MOST_MODULES:
            cut(f"{_MOST_MODULES} modules")
            return
        if len(ancestors) >= _DEEPEST:
            if children:
                cut(f"{_DEEPEST} levels of modules")
            continue
        ancestors.append(module)
        stack.append(("", None))
        stack.extend(reversed(children))
