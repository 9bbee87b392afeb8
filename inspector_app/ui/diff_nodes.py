"""A comparison as a tree of nodes, so that it can be shown, searched and sorted as a file is.

The tree is A's, with what only B has beside it: each pair of tensors is a node where A has
its tensor, each value that differs one where A has the value.
"""

from __future__ import annotations

from collections.abc import Generator

from inspector_app.analysis.comparison import Comparison, KeyPair, ValueDifference
from inspector_app.checkpoint.model import (
    Checkpoint,
    Kind,
    Node,
    PathElement,
    Progress,
    Section,
    SectionKind,
    TensorInfo,
    TreePath,
)

PAIRS_A_STEP = 400


class PairNode(TensorInfo):
    """Two tensors of one key. It has the shape and dtype of A's, or of B's if A has none."""

    __slots__ = ("pair",)

    def __init__(self, key: PathElement, pair: KeyPair, parent: Node) -> None:
        tensor = pair.a if pair.a is not None else pair.b
        assert tensor is not None
        super().__init__(
            key,
            tensor.dtype,
            tensor.shape,
            tensor.stride,
            tensor.storage,
            tensor.storage_offset,
            tensor.device,
            tensor.requires_grad,
            parent,
            tensor.layout,
        )
        self.pair = pair


class ValueNode(Node):
    """A value that differs."""

    __slots__ = ("difference",)

    def __init__(self, key: PathElement, difference: ValueDifference, parent: Node) -> None:
        super().__init__(key, Kind.SCALAR, "", None, parent)
        self.difference = difference


class _Growing:
    """The tree while it is made; children are lists."""

    def __init__(self, comparison: Comparison) -> None:
        root = comparison.a.root
        kind = root.kind if root.kind != Kind.TENSOR else Kind.MAPPING
        self.root = Node("", kind, root.type_name)
        self.root.children = []
        self._by_path: dict[TreePath, Node] = {(): self.root}

    def parent(self, path: TreePath) -> Node:
        """The node at `path`, made if it is not there."""
        found = self._by_path.get(path)
        if found is not None:
            return found
        above = 0
        for above in range(len(path) - 1, -1, -1):
            if path[:above] in self._by_path:
                break
        node = self._by_path[path[:above]]
        for depth in range(above, len(path)):
            made = Node(path[depth], Kind.MAPPING, "", None, node)
            made.children = []
            self.append(node, made)
            self._by_path[path[: depth + 1]] = node = made
        return node

    @staticmethod
    def append(parent: Node, child: Node) -> None:
        children = parent.children
        assert isinstance(children, list)
        children.append(child)


def pairing(comparison: Comparison) -> Generator[Progress, None, Checkpoint]:
    """The tree of a comparison, as the checkpoint of a file that has both, in steps."""
    tree = _Growing(comparison)
    for number, difference in enumerate(comparison.values):
        if number % PAIRS_A_STEP == PAIRS_A_STEP - 1:
            yield Progress("tree", number)
        path = difference.path or ("",)
        parent = tree.parent(path[:-1])
        tree.append(parent, ValueNode(path[-1], difference, parent))
    nodes: list[TensorInfo] = []
    for number, pair in enumerate(comparison.pairs):
        if number % PAIRS_A_STEP == PAIRS_A_STEP - 1:
            yield Progress("tree", number)
        path = place_of(pair, comparison) or ("",)
        parent = tree.parent(path[:-1])
        node = PairNode(path[-1], pair, parent)
        tree.append(parent, node)
        nodes.append(node)
    section, _ = comparison.sections
    if section:
        # Where a bare state_dict has its keys in order, there is nothing to put into order.
        _order_as(tree.root, comparison.a.root)
    sections = list(comparison.a.sections)
    if section and all(known.path != section for known in sections):
        sections.append(Section(section, SectionKind.MODEL))
    return Checkpoint(
        comparison.a.path, "comparison", 0, tree.root, tensors=nodes, sections=sections
    )


def place_of(pair: KeyPair, comparison: Comparison) -> TreePath:
    """Where a pair stands: at A's tensor, or where A would have it."""
    if pair.a is not None:
        return pair.a.path
    assert pair.b is not None
    in_a, in_b = comparison.sections
    path = pair.b.path
    if pair.part != SectionKind.MODEL or path[: len(in_b)] != in_b:
        return path
    below = path[len(in_b) :]
    return (*in_a, *below) if "/".join(map(str, below)) == pair.key else (*in_a, pair.key)


def _order_as(root: Node, model: Node) -> None:
    """Put the children of `root` into the order of those of `model`."""
    places: dict[str, int] = {}
    for place, child in enumerate(model.children):
        places.setdefault(str(child.key), place)
    last = len(places)
    root.children = sorted(root.children, key=lambda child: places.get(str(child.key), last))
