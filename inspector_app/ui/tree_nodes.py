"""The rows of the tree: what a checkpoint's nodes look like to people.

`TreeRows` is flat. A million rows as Python objects would cost the collector seconds and
the reader 200 bytes each; here a row is a number, and what is known of it lies in arrays,
in preorder: the rows below row `i` are ``i + 1 … i + sizes[i]``.

Besides a row for each node there are rows that no file has: groups, made at the dots of a
state_dict's keys (`tree_nesting`), and folds, which stand for repeated layers.
`tree_building` makes them.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from inspector_app.checkpoint.model import Node, TensorInfo, TreePath

if TYPE_CHECKING:
    from inspector_app.ui.diff_figures import Differences
    from inspector_app.ui.statistics_columns import StatisticsColumns


class RowKind:
    """What a row stands for."""

    NODE = 0
    GROUP = 1  # keys with a common beginning, up to a dot
    FOLD = 2  # repeated layers; its children are the layers
    FOLDED = 3  # a group whose only child is a fold, which speaks for both


class Totals(NamedTuple):
    """What the tensors below a row amount to.

    Inner tensors are not counted beside the tensor they make up, and bytes that several
    tensors share are counted once.

    Attributes:
        tensors: how many there are.
        numel: elements.
        nbytes: bytes.
        dtype: the one they all have, or "".
    """

    tensors: int
    numel: int
    nbytes: int
    dtype: str


RowIdentity = tuple[TreePath, str]


class TreeRows:
    """All rows of one checkpoint, in preorder.

    Attributes:
        nodes: a row's node; None for groups and folds.
        labels: what stands in the first column; text from the file, not yet made plain.
        parents: row numbers; -1 at the top.
        sizes: how many rows lie below.
        kinds: `RowKind`.
        totals: of the rows, other than tensors, that have tensors below them.
        shared: the `id` of each storage that several tensors view.
        statistics: of the values, once somebody has asked for them.
        differences: where the rows are of two files side by side.
    """

    __slots__ = (
        "differences",
        "kinds",
        "labels",
        "nodes",
        "parents",
        "shared",
        "sizes",
        "statistics",
        "totals",
    )

    def __init__(self) -> None:
        self.nodes: list[Node | None] = []
        self.labels: list[str] = []
        self.parents = array("i")
        self.sizes = array("I")
        self.kinds = bytearray()
        self.totals: dict[int, Totals] = {}
        self.shared: set[int] = set()
        self.statistics: StatisticsColumns | None = None
        self.differences: Differences | None = None

    def __len__(self) -> int:
        return len(self.nodes)

    def add(self, node: Node | None, label: str, parent: int, kind: int) -> int:
        """Append a row and return its number."""
        self.nodes.append(node)
        self.labels.append(label)
        self.parents.append(parent)
        self.sizes.append(0)
        self.kinds.append(kind)
        return len(self.nodes) - 1

    def children(self, row: int) -> Iterator[int]:
        """The rows right below `row`; of -1 those at the top."""
        end = row + self.sizes[row] if row >= 0 else len(self.nodes) - 1
        row += 1
        while row <= end:
            yield row
            row += self.sizes[row] + 1

    def ancestors(self, row: int) -> Iterator[int]:
        """The rows above `row`, nearest first."""
        row = self.parents[row]
        while row >= 0:
            yield row
            row = self.parents[row]

    def is_leaf(self, row: int) -> bool:
        """It is an entry of its own: a tensor, a value, or a container with nothing in it."""
        node = self.nodes[row]
        return node is not None and (not self.sizes[row] or isinstance(node, TensorInfo))

    def find(self, node: Node) -> int:
        """The row of `node`, or -1."""
        try:
            # Nodes compare by identity: a million take 10 ms.
            return self.nodes.index(node)
        except ValueError:
            return -1

    def identity(self, row: int) -> RowIdentity:
        """What a row is called, also after the file was read anew."""
        labels: list[str] = []
        while row >= 0:
            node = self.nodes[row]
            if node is not None:
                return node.path, ".".join(reversed(labels))
            labels.append(self.labels[row])
            row = self.parents[row]
        return (), ".".join(reversed(labels))

    def name(self, row: int) -> str:
        """The path joined with ``/``; of a group as far as its keys agree, of a fold its label.

        Text from the file, not yet made plain.
        """
        node = self.nodes[row]
        if node is not None:
            return node.name
        path, prefix = self.identity(row)
        return "/".join([*map(str, path), prefix])
