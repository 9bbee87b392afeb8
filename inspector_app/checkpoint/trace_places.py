"""Where in the tree the bytes of a pickle stand, and where in the pickle a node stands.

The tree of the stream is built once more, and each node remembered by the inert value
that it shows. Offsets and nodes then meet in the spans that `pickle_trace` recorded.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Generator, Sequence
from typing import Any

from inspector_app.checkpoint.limits import Limits
from inspector_app.checkpoint.model import (
    Node,
    PathElement,
    Progress,
    StorageRef,
    TreePath,
)
from inspector_app.checkpoint.pickle_nodes import Call, PairList, PersistentId
from inspector_app.checkpoint.pickle_trace import Spans
from inspector_app.checkpoint.pickle_tree import Below, PickleTree
from inspector_app.checkpoint.script_tree import ScriptTree, untyped
from inspector_app.checkpoint.storage_table import StorageTable
from inspector_app.checkpoint.torch_rebuild import storage_reference

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
        self._spans: dict[Node, tuple[int, int]] | None = None

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
        if self._spans is None:
            self._spans = {}
            for index, node in enumerate(self._nodes):
                self._spans.setdefault(node, (self._starts[index], self._ends[index]))
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

    def _take(self, found: list[tuple[int, int, Node]]) -> Generator[Progress, None, None]:
        """Sort the spans, which enclose each other, and find what encloses each."""
        found.sort(key=lambda span: (span[0], -span[1]))
        open_now: list[int] = []
        for index, (start, end, node) in enumerate(found):
            while open_now and self._ends[open_now[-1]] < start:
                open_now.pop()
            self._starts.append(start)
            self._ends.append(end)
            self._nodes.append(node)
            self._parents.append(open_now[-1] if open_now else -1)
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
        self.nodes.setdefault(id(value), made[0])
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
    found: list[tuple[int, int, Node]] = []
    for index, made in enumerate(spans.values):
        node = tree.nodes.get(id(made))
        if node is not None:
            found.append((spans.starts[index], spans.ends[index], node))
            yield from _children(made, node, spans, found)
        if index % _SLICE == 0:
            yield Progress("places", index, len(spans.values))
    yield from places._take(found)
    return places


def _children(
    value: Any, node: Node, spans: Spans, found: list[tuple[int, int, Node]]
) -> Generator[Progress, None, None]:
    """The places of what stands in a container: its keys and items, also of scalars."""
    holders = [value]
    if type(value) is Call:
        holders += value.state or []
        for state in value.state or []:
            if type(state) is tuple:
                holders += state[:2]
    by_key: dict[PathElement, Node] | None = None
    for holder in holders:
        items = spans.items.get(id(holder))
        if items is None:
            continue
        if by_key is None:
            by_key = {child.key: child for child in node.children}
        keys: Any = None
        if type(holder) is PairList or (type(holder) is Call and holder.pairs):
            keys = [key for key, _ in holder.pairs or []]
        for number, (start, end) in enumerate(zip(*items, strict=True)):
            key: Any = number if keys is None else keys[number] if number < len(keys) else None
            # Only texts and numbers: what else stands for a key may be anything.
            child = by_key.get(key) if type(key) in (str, int) else None
            if child is not None and child.parent is node:
                found.append((start, max(start, end - 1), child))
            if number % _SLICE == _SLICE - 1:
                yield Progress("places", number)
