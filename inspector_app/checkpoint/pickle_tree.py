"""From what the inert machine made to the tree that people see.

The builder walks the inert nodes without recursion, in the file's order, and recognises
tensors, whole modules and the usual plain objects; everything else stays an object with
its class, arguments and attributes. An object that contains itself is shown as a
reference; one that is referenced again is shown again, within a budget, so that a few
bytes cannot become a billion nodes.
"""

from __future__ import annotations

from array import array
from collections.abc import Generator, Iterator, Sequence
from typing import Any

from inspector_app.checkpoint.errors import Problem
from inspector_app.checkpoint.limits import Limits
from inspector_app.checkpoint.model import (
    Kind,
    Node,
    PathElement,
    Progress,
    TensorInfo,
)
from inspector_app.checkpoint.module_tree import (
    ABSENT,
    ModuleState,
    module_state,
    state_dict_of,
)
from inspector_app.checkpoint.pickle_nodes import (
    ByteArray,
    BytesPlace,
    Call,
    Foreign,
    GlobalRef,
    ItemSet,
    PairList,
    PersistentId,
)
from inspector_app.checkpoint.plain_objects import Allowance, plain_object
from inspector_app.checkpoint.text import plain
from inspector_app.checkpoint.torch_rebuild import (
    BadTensorError,
    ResolveStorage,
    TensorRebuilder,
    attributes,
)

_SLICE = 2_000
_LONG_SEQUENCE = 256
_MOST_PROBLEMS = 1_000
_LARGE = 20_000
_SCALARS = frozenset({int, float, str, bool, type(None), bytes})
_KEYS = (str, int)
_KEY_TEXT = 200
_KEY_PARTS = 20
MODULES = "(modules)"
ARGUMENTS = "(arguments)"
Pairs = list[tuple[Any, Any]]
Entries = Iterator[tuple[Any, Any]]
Below = Pairs | Entries  # a mapping's pairs, or the entries of anything else


MOST_ODD_KEYS = 10_000


class OddKeys:
    """The value of a mapping that has keys which are neither text nor integer.

    Attributes:
        keys: such keys, still inert, by the index of the child that has its text; the first
            `MOST_ODD_KEYS` of them.
        others: the indexes of further ones, whose keys are not kept: a hostile file has
            millions, and each would hold what it is made of.
    """

    __slots__ = ("keys", "others")

    def __init__(self) -> None:
        self.keys: dict[int, Any] = {}
        self.others = array("Q")

    def add(self, index: int, key: Any) -> None:
        """Note that the child at `index` has the text of `key`."""
        if len(self.keys) < MOST_ODD_KEYS:
            self.keys[index] = key
        else:
            self.others.append(index)

    def __str__(self) -> str:
        return "dict"


class _ModuleView:
    """A module of a whole model, shown with its class and configuration."""

    __slots__ = ("origin", "state")

    def __init__(self, state: ModuleState, origin: Any) -> None:
        self.state = state
        self.origin = origin

    def entries(self) -> Entries:
        yield from self.state.config
        for name, child in self.state.modules:
            state = module_state(child)
            yield name, child if state is None else _ModuleView(state, child)


class _Level:
    """A node whose children are being made.

    Attributes:
        entries: what is left of them.
        pairs: of a mapping, until it is known whether its keys differ.
        value: the inert value; it is held so that its identity stays its own.
        listed: tensors below are tensors of the checkpoint.
        repeating: all of this has been shown before, elsewhere.
    """

    __slots__ = ("children", "entries", "listed", "node", "pairs", "repeating", "value")

    def __init__(self, node: Node, below: Below, value: Any, listed: bool, repeating: bool) -> None:
        self.node = node
        self.pairs = below if isinstance(below, list) else None
        self.entries: Entries = iter(())
        if not isinstance(below, list):
            self.entries = below
        self.value = value
        self.listed = listed
        self.repeating = repeating
        self.children: list[Node] = []
        node.children = self.children


def identity(value: Any) -> int:
    """Of an inert value; of a view of a module that of the module."""
    return id(value.origin if type(value) is _ModuleView else value)


class PickleTree:
    """Builds the tree of one file, from one or more pickles.

    Args:
        limits: bounds on depth and repetition.
        resolve: the storage and dtype of a persistent id.
        big_endian: the file's storages are in big-endian order.

    Attributes:
        tensors: in the file's order.
        problems: found on the way.
    """

    def __init__(self, limits: Limits, resolve: ResolveStorage, big_endian: bool = False) -> None:
        self._limits = limits
        self._rebuilder = TensorRebuilder(resolve, self._note, big_endian)
        self.tensors: list[TensorInfo] = []
        self.problems: list[Problem] = []
        self._seen: set[int] = set()
        self._repeated = 0
        self._pending: list[tuple[str, dict[str, object]]] = []
        self._cut = False
        self._large: list[Pairs] = []
        self._plain_lists: dict[int, bool] = {}
        self._allowance = Allowance()

    def build(
        self, value: Any, key: PathElement = "", parent: Node | None = None
    ) -> Generator[Progress, None, Node]:
        """The node of `value` and everything below it, in short steps."""
        root, entries, listed = self._node(value, key, parent, True)
        levels: list[_Level] = []
        open_now: set[int] = set()
        if entries is not None:
            levels.append(_Level(root, entries, value, listed, False))
            open_now.add(identity(value))
        self._seen.add(identity(value))
        done = 0
        shown = 0
        while levels:
            level = levels[-1]
            node, listed, repeating = level.node, level.listed, level.repeating
            if level.pairs is not None:
                level.entries = iter((yield from self._last_of_equal(level.pairs, node)))
                level.pairs = None
            children = level.children
            below = None
            for item_key, item in level.entries:
                done += 1
                if repeating:
                    self._repeated += 1
                    if self._repeated > self._limits.repeated_nodes:
                        self._limit_reached("repeated", self._limits.repeated_nodes, node)
                        break
                if done > self._limits.nodes and self._too_many(done):
                    self._limit_reached("entries", self._limits.nodes, node)
                    levels.clear()
                    break
                element = item_key
                if type(item_key) not in _KEYS:
                    element = key_text(item_key)
                    if node.kind == Kind.MAPPING:
                        node.value = node.value or OddKeys()
                        node.value.add(len(children), item_key)
                kind = type(item)
                if kind is TensorInfo and item.parent is None and listed:
                    item.key = element
                    item.parent = node
                    children.append(item)
                    self.tensors.append(item)
                elif kind in _SCALARS:
                    children.append(Node(element, Kind.SCALAR, kind.__name__, item, node))
                elif item is ABSENT:
                    pass
                elif identity(item) in open_now:
                    children.append(Node(element, Kind.REFERENCE, "contains itself", None, node))
                elif len(levels) >= self._limits.depth:
                    self._limit_reached("levels", self._limits.depth, node)
                    children.append(Node(element, Kind.REFERENCE, "too deep", None, node))
                elif self._repeated >= self._limits.repeated_nodes and (
                    repeating or identity(item) in self._seen
                ):
                    children.append(Node(element, Kind.REFERENCE, "seen above", None, node))
                else:
                    child, below, inner = self._node(item, element, node, listed)
                    children.append(child)
                    if type(node) is TensorInfo and type(child) is not TensorInfo:
                        # What a wrapper's other attributes hold, such as a device mesh.
                        inner = False
                    if below is not None:
                        again = identity(item) in self._seen
                        self._seen.add(identity(item))
                        open_now.add(identity(item))
                        levels.append(_Level(child, below, item, inner, repeating or again))
                        break
                if done - shown >= _SLICE:
                    shown = done
                    yield Progress("tree", done)
            if below is None and levels:
                levels.pop()
                open_now.discard(identity(level.value))
        return root

    def release(self) -> Generator[Progress, None, None]:
        """Free the inert mappings in short steps: nobody reads them any more."""
        for pairs in self._large:
            while pairs:
                del pairs[-_LARGE:]
                yield Progress("tree", len(self.tensors))

    def _too_many(self, entries: int) -> bool:
        return entries > self._limits.nodes + 5 * len(self.tensors)

    def _limit_reached(self, what: str, limit: int, node: Node) -> None:
        if not self._cut:
            self._cut = True
            self._report("tree-limit", node, {"limit": f"{limit} {what}"})

    def _note(self, code: str, details: dict[str, object]) -> None:
        self._pending.append((code, details))

    def _flush(self, node: Node) -> None:
        for code, details in self._pending:
            self._report(code, node, details)
        self._pending.clear()

    def _report(self, code: str, node: Node, details: dict[str, object], below: str = "") -> None:
        """Note a problem of `node`; a hostile file has a million of them, and endless names."""
        if len(self.problems) < _MOST_PROBLEMS:
            where = plain(node.name) + below
            self.problems.append(Problem(code, where, details))
        elif len(self.problems) == _MOST_PROBLEMS:
            self.problems.append(Problem("more-problems", "", {"limit": _MOST_PROBLEMS}))

    # --- one node

    def _node(
        self, value: Any, key: PathElement, parent: Node | None, listed: bool
    ) -> tuple[Node, Below | None, bool]:
        """The node of `value`, the entries below it, and whether tensors there are listed."""
        kind = type(value)
        if kind in _SCALARS:
            return Node(key, Kind.SCALAR, kind.__name__, value, parent), None, listed
        if kind is TensorInfo or kind is Call:
            return self._call(value, key, parent, listed)
        if kind is PairList:
            node = Node(key, Kind.MAPPING, "dict", None, parent)
            return node, value.pairs, listed
        if kind is _ModuleView:
            node = Node(key, Kind.OBJECT, value.state.type_name, None, parent)
            return node, value.entries(), False
        if kind is list or kind is tuple:
            node = Node(key, Kind.SEQUENCE, kind.__name__, None, parent)
            if len(value) > _LONG_SEQUENCE and self._is_plain(value):
                node.value = value
                return node, None, listed
            return node, iter(enumerate(value)), listed
        if kind is ItemSet:
            name = "frozenset" if value.frozen else "set"
            return Node(key, Kind.SEQUENCE, name, None, parent), enumerate(value.items), listed
        if kind is GlobalRef:
            return Node(key, Kind.GLOBAL, "", value.full_name, parent), None, listed
        if kind is PersistentId:
            return self._persistent(value, key, parent), None, listed
        if kind is BytesPlace:
            return Node(key, Kind.SCALAR, value.kind, value, parent), None, listed
        if kind is ByteArray:
            return Node(key, Kind.SCALAR, "bytearray", value.value, parent), None, listed
        if kind is Foreign:
            text = f"extension {value.code}" if value.what == "extension" else "buffer"
            return Node(key, Kind.OBJECT, text, None, parent), None, listed
        return Node(key, Kind.OBJECT, kind.__name__, None, parent), None, listed

    def _call(
        self, value: Any, key: PathElement, parent: Node | None, listed: bool
    ) -> tuple[Node, Below | None, bool]:
        try:
            rebuilt = self._rebuilder.rebuild(value)
        except BadTensorError as error:
            self._pending.clear()
            node, entries = self._object(value, key, parent)
            self._report("bad-tensor", node, {"what": str(error)})
            return node, entries, listed
        if rebuilt is not None:
            tensor = rebuilt.tensor
            tensor.key = key
            tensor.parent = parent
            if listed:
                self.tensors.append(tensor)
            self._flush(tensor)
            # The parts of a wrapping subclass are tensors in their own right.
            inner = listed and (tensor.storage is None and tensor.layout in ("strided", "jagged"))
            return tensor, iter(rebuilt.parts) if rebuilt.parts else None, inner
        module = module_state(value)
        if module is not None:
            node = Node(key, Kind.MODULE, module.type_name, None, parent)
            return node, _module_entries(module), listed
        known = plain_object(value, self._allowance)
        if known is not None:
            node = Node(key, known.kind, known.type_name, known.value, parent)
            below: Below | None = None
            if known.entries is not None:
                state = attributes(value.state[-1]) if value.state and known.value is None else []
                below = [*known.entries, *state] if state else known.entries
            return node, below, listed
        node, below = self._object(value, key, parent)
        return node, below, listed

    def _is_plain(self, items: Sequence[Any]) -> bool:
        """Whether all items are scalars. Looked up once, however often the list is shown."""
        known = self._plain_lists.get(id(items))
        if known is None:
            known = all(type(item) in _SCALARS for item in items)
            self._plain_lists[id(items)] = known
        return known

    def _last_of_equal(self, pairs: Pairs, node: Node) -> Generator[Progress, None, Pairs]:
        """The pairs that a dictionary made of them would have."""
        unique: set[PathElement] = set()
        count = 0
        if len(pairs) > _LARGE:
            self._large.append(pairs)
        for start in range(0, len(pairs), _SLICE):
            keys = [key for key, _ in pairs[start : start + _SLICE] if type(key) in _KEYS]
            unique.update(keys)
            count += len(keys)
            if start:
                yield Progress("keys", start, len(pairs))
        if len(unique) == count:
            return pairs
        last = {key: item for key, item in pairs if type(key) in _KEYS}
        kept = []
        for key, item in pairs:
            if type(key) not in _KEYS:
                kept.append((key, item))
            elif key in unique:
                unique.discard(key)
                kept.append((key, last[key]))
            else:
                self._report("duplicate-key", node, {}, f"/{plain(str(key))}")
        return kept

    def _object(
        self, value: Call, key: PathElement, parent: Node | None
    ) -> tuple[Node, Below | None]:
        function, args = value.function, value.args
        if (
            type(function) is GlobalRef
            and function.name == "_reconstructor"
            and type(args) is tuple
            and len(args) == 3
        ):
            # Protocols 0 and 1: copyreg._reconstructor(class, base, state of the base).
            function, args = args[0], args[2:] if args[2] is not None else ()
        if type(function) is GlobalRef:
            name = function.full_name.replace("__builtin__.", "builtins.")
        else:
            name = f"{type(function).__name__} that is called"
        entries: list[tuple[Any, Any]] = []
        if args != () or value.keywords is not None:
            entries.append((ARGUMENTS, args))
        if type(value.keywords) is PairList and value.keywords.pairs:
            entries.append(("(keywords)", value.keywords))
        if type(function) is not GlobalRef:
            entries.append(("(function)", function))
        for state in value.state or []:
            known = attributes(state)
            if known or _is_empty(state):
                entries.extend(known)
            else:
                entries.append(("(state)", state))
        if value.items:
            entries.extend(enumerate(value.items))
        if value.pairs:
            entries.extend(value.pairs)
        kind = Kind.MAPPING if value.pairs and not value.state else Kind.OBJECT
        return Node(key, kind, name, None, parent), iter(entries) if entries else None

    def _persistent(self, value: PersistentId, key: PathElement, parent: Node | None) -> Node:
        try:
            storage, dtype = self._rebuilder.storage(value)
        except BadTensorError as error:
            node = Node(key, Kind.OBJECT, "persistent id", None, parent)
            self._report("bad-tensor", node, {"what": str(error)})
            return node
        return Node(key, Kind.STORAGE, dtype or "untyped", storage, parent)


def _module_entries(module: ModuleState) -> Entries:
    yield from state_dict_of(module)
    yield MODULES, _ModuleView(module, module)


def _is_empty(state: Any) -> bool:
    return state is None or (type(state) is PairList and not state.pairs)


def key_text(value: Any) -> str:
    """A key that is neither text nor integer, as ``str`` would write it, without recursion
    into more than one level."""
    if type(value) in (bool, float, complex, type(None)):
        return str(value)
    if type(value) is bytes:
        return str(value[:_KEY_TEXT])
    if type(value) is tuple:
        inner = ", ".join(
            _short_repr(item) if type(item) in _SCALARS else "…" for item in value[:_KEY_PARTS]
        )
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if type(value) is GlobalRef:
        return value.full_name
    if type(value) is Call:
        plain = plain_object(value, Allowance(_KEY_TEXT))
        if plain is not None and plain.kind == Kind.SCALAR:
            return str(plain.value)
        if type(value.function) is GlobalRef:
            return f"{value.function.full_name}(…)"
    if type(value) is BytesPlace:
        return f"<{value.kind} of {value.nbytes} bytes>"
    return f"<{type(value).__name__}>"


def _short_repr(value: Any) -> str:
    return repr(value[:_KEY_TEXT] if isinstance(value, (str, bytes)) else value)
