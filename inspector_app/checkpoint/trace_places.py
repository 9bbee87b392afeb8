"""Where in the tree the bytes of a pickle stand, and where in the pickle a node stands.

The tree of the stream is built once more, and each node remembered by the inert value
that it shows. Offsets and nodes then meet in the spans that `pickle_trace` recorded.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Generator, Iterator, Sequence
from typing import Any

from inspector_app.checkpoint.limits import Limits
from inspector_app.checkpoint.model import (
    Node,
    PathElement,
    Progress,
    StorageRef,
    TreePath,
)
from inspector_app.checkpoint.pickle_nodes import (
    Call,
    GlobalRef,
    ItemSet,
    PairList,
    PersistentId,
)
from inspector_app.checkpoint.pickle_tree import Below, PickleTree, identity
from inspector_app.checkpoint.script_tree import ScriptTree, untyped
from inspector_app.checkpoint.storage_table import StorageTable
from inspector_app.checkpoint.torch_rebuild import storage_reference
from inspector_app.checkpoint.trace_records import Spans

_SLICE = 2_000


class Places:
    """Offsets and paths of one stream.

    Offsets are those of opcodes in the stream's source. A node's span is its first and its
    last opcode; in a mapping it begins with the key.
    """

    def __init__(self, root: Node, prefix: TreePath) -> None:
        self._root = root
        self._prefix = prefix
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._nodes: list[Node] = []
        self._parents: list[int] = []
        self._spans: dict[Node, tuple[int, int]] = {}

    def path_at(self, offset: int) -> TreePath:
        """The path of the innermost node whose opcodes are around `offset`."""
        node = self._node_at(offset)
        return self._prefix if node is None else (*self._prefix, *node.path)

    def _node_at(self, offset: int) -> Node | None:
        index = bisect_right(self._starts, offset) - 1
        while index >= 0 and self._ends[index] < offset:
            index = self._parents[index]
        return self._nodes[index] if index >= 0 else None

    def span_of(self, path: Sequence[PathElement]) -> tuple[int, int] | None:
        """Offsets of the first and last opcode of the node at `path`, or of the nearest node
        above it that has a place; None if it is no part of this stream."""
        count = len(self._prefix)
        if tuple(path[:count]) != self._prefix:
            return None
        node = self._root
        found = self._spans.get(node)
        for key in path[count:]:
            for child in reversed(node.children):
                if child.key == key and type(child.key) is type(key):
                    node = child
                    break
            else:
                break
            found = self._spans.get(node, found)
        return found

    def _take(
        self, found: list[tuple[int, int, int]], nodes: list[Node]
    ) -> Generator[Progress, None, None]:
        """Sort the spans, which enclose each other, and find what encloses each."""
        found.sort()
        open_now: list[int] = []
        for index, (start, before, number) in enumerate(found):
            end, node = -before, nodes[number]
            while open_now and self._ends[open_now[-1]] < start:
                open_now.pop()
            self._starts.append(start)
            self._ends.append(end)
            self._nodes.append(node)
            self._parents.append(open_now[-1] if open_now else -1)
            self._spans.setdefault(node, (start, end))
            open_now.append(index)
            if index % _SLICE == 0:
                yield Progress("places", index, len(found))


class _Remembering(PickleTree):
    """A tree that knows which value each node shows."""

    nodes: dict[int, Node]

    def _node(
        self, value: Any, key: PathElement, parent: Node | None, listed: bool
    ) -> tuple[Node, Below | None, bool]:
        made = super()._node(value, key, parent, listed)
        self.nodes.setdefault(identity(value), made[0])
        return made


class _RememberingScript(_Remembering, ScriptTree):
    """The same of a TorchScript pickle."""

    def _node(
        self, value: Any, key: PathElement, parent: Node | None, listed: bool
    ) -> tuple[Node, Below | None, bool]:
        made = super()._node(value, key, parent, listed)
        self.nodes.setdefault(id(untyped(value)), made[0])
        return made


def placing(
    value: Any, spans: Spans, limits: Limits, prefix: TreePath = (), script: bool = False
) -> Generator[Progress, None, Places]:
    """The places of a traced stream that makes `value`.

    Args:
        value, spans: of the `PickleTrace`.
        prefix: where in the checkpoint's tree the stream's value stands.
        script: the stream is one of TorchScript.
    """
    table = StorageTable()

    def resolve(reference: PersistentId) -> tuple[StorageRef, str]:
        key, dtype, location, nbytes, _ = storage_reference(reference.pid)
        return table.get(key, nbytes, location), dtype

    tree = (_RememberingScript if script else _Remembering)(limits, resolve)
    tree.nodes = {}
    root = yield from tree.build(value)
    tree.nodes[id(value)] = root
    places = Places(root, prefix)
    # Start, minus the end (what encloses comes first), number of the node.
    found: list[tuple[int, int, int]] = []
    nodes: list[Node] = []
    owners = _owners(spans, tree.nodes)
    for index, made in enumerate(spans.values):
        node = tree.nodes.get(id(made))
        if node is not None:
            found.append((spans.starts[index], -spans.ends[index], len(nodes)))
            nodes.append(node)
        for start, end, child in _items(made, spans, tree.nodes, owners.get(id(made), node)):
            found.append((start, -end, len(nodes)))
            nodes.append(child)
            if len(nodes) % _SLICE == 0:
                yield Progress("places", index, len(spans.values))
        if index % _SLICE == 0:
            yield Progress("places", index, len(spans.values))
    yield from places._take(found, nodes)
    return places


def _owners(spans: Spans, nodes: dict[int, Node]) -> dict[int, Node]:
    """The node that shows the entries of a state: the object whose state it is."""
    owners: dict[int, Node] = {}
    for value in spans.values:
        node = nodes.get(id(value))
        if node is not None and type(value) is Call and value.state:
            for state in value.state:
                for part in state[:2] if type(state) is tuple else (state,):
                    if type(part) is PairList:
                        owners.setdefault(id(part), node)
    return owners


def _items(
    holder: Any, spans: Spans, nodes: dict[int, Node], owner: Node | None
) -> Iterator[tuple[int, int, Node]]:
    """The places of what stands in a container: its items, also scalars, with their keys."""
    places = spans.items.get(id(holder))
    if places is None:
        return
    pairs = holder.pairs if type(holder) in (PairList, Call) else None
    items = pairs or _plain_items(holder)
    by_key: dict[PathElement, Node] = {}
    if owner is not None:
        by_key = {child.key: child for child in owner.children}
    for number, (item, start, end) in enumerate(zip(items, *places, strict=False)):
        key, value = item if pairs else (number, item)
        # Only texts and numbers: what else stands for a key may be anything.
        child = by_key.get(key) if type(key) in (str, int) else None
        if child is None and type(value) not in _SHARED:
            child = nodes.get(id(value))
        if child is not None:
            yield start, max(start, end - 1), child


def _plain_items(holder: Any) -> Any:
    if type(holder) is ItemSet or type(holder) is Call:
        return holder.items or ()
    return holder if isinstance(holder, (list, tuple)) else ()


# One object may stand in many places: it says nothing about which.
_SHARED = frozenset({int, float, str, bytes, bool, type(None), GlobalRef})
