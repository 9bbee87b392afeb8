"""Where the tensors of an ONNX model stand in its tree."""

from __future__ import annotations

from inspector_app.checkpoint.model import Kind, Node


class Scope:
    """A mapping of the tree that comes into being with the first node in it.

    A graph has thousands of nodes, and hardly any of them holds a tensor.

    Attributes:
        parent: the scope around it; None for the root.
        depth: how many scopes are around it.
        nodes: of a graph, the scope of what its nodes hold.
    """

    def __init__(self, key: str, parent: Scope | None = None) -> None:
        self.parent = parent
        self.depth: int = parent.depth + 1 if parent else 0
        self.nodes: Scope | None = None
        self._key = key
        self._node: Node | None = None
        self._children: list[Node] = []
        self._keys: set[str] = set()

    def node(self) -> Node:
        """The mapping itself."""
        if self._node is None:
            self._node = Node(self._key, Kind.MAPPING, "dict")
            self._node.children = self._children
            if self.parent is not None:
                self._key = self.parent.add(self._node)
        return self._node

    def add(self, node: Node, rename: bool = True) -> str:
        """Put `node` in, and give it another key if its own is taken and it may be renamed."""
        key = str(node.key)
        if rename and key in self._keys:
            key = f"{key} #{len(self._children)}"
        self._keys.add(key)
        node.key = key
        node.parent = self.node()
        self._children.append(node)
        return key

    def has(self, key: str) -> bool:
        return key in self._keys

    def put_mappings_last(self) -> None:
        self._children.sort(key=lambda child: child.kind == Kind.MAPPING)
