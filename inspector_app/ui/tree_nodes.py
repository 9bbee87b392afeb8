"""The rows of the tree: what a checkpoint's nodes look like to people.

`TreeRows` is flat. A million rows as Python objects would cost the collector seconds and
the reader 200 bytes each; here a row is a number, and what is known of it lies in arrays,
in preorder: the rows below row `i` are ``i + 1 … i + sizes[i]``.

Besides a row for each node there are rows that no file has: groups, made at the dots of a
state_dict's keys (`tree_nesting`), and folds, which stand for repeated layers.
"""

from __future__ import annotations

from array import array
from collections.abc import Generator, Iterator, Sequence
from typing import NamedTuple

from inspector_app.checkpoint.model import Checkpoint, Node, Progress, TensorInfo, TreePath
from inspector_app.ui.tree_nesting import Branch, branches_of_group, branches_of_node

# Rows between two yields: about a millisecond of work.
ROWS_A_STEP = 512


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
    """

    __slots__ = ("kinds", "labels", "nodes", "parents", "shared", "sizes", "totals")

    def __init__(self) -> None:
        self.nodes: list[Node | None] = []
        self.labels: list[str] = []
        self.parents = array("i")
        self.sizes = array("I")
        self.kinds = bytearray()
        self.totals: dict[int, Totals] = {}
        self.shared: set[int] = set()

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


def building(checkpoint: Checkpoint) -> Generator[Progress, None, TreeRows]:
    """Make the rows of `checkpoint`, about a millisecond a step."""
    rows = TreeRows()
    root = checkpoint.root
    if isinstance(root, TensorInfo) or not root.children:
        rows.add(root, root.type_name or root.kind, -1, RowKind.NODE)
    # What is still to be added: each level's items, where their keys' labels begin, and
    # the row that they belong to.
    seen: set[int] = set()
    level = yield from branches_of_node(root)
    stack: list[tuple[Iterator[Node | Branch], int, int]] = [
        (iter(level), 0, 0 if len(rows) else -1)
    ]
    labels: dict[str, str] = {}
    work = 0
    while stack:
        items, start, parent = stack[-1]
        for item in items:
            work += 1
            if work % ROWS_A_STEP == 0:
                yield Progress("tree", len(rows))
            if isinstance(item, Branch):
                stack.append((yield from _add_branch(rows, item, parent)))
                break
            key = item.key
            if type(key) is not str:
                label = str(key)
            elif start:
                label = key[start:]
                label = labels.setdefault(label, label)
            else:
                label = key
            row = rows.add(item, label, parent, RowKind.NODE)
            if isinstance(item, TensorInfo) and item.storage is not None:
                storage = id(item.storage)
                (rows.shared if storage in seen else seen).add(storage)
            if item.children:
                stack.append((iter((yield from branches_of_node(item))), 0, row))
                break
        else:
            stack.pop()
    yield from _sum_up(rows)
    return rows


def _add_branch(
    rows: TreeRows, branch: Branch, parent: int
) -> Generator[Progress, None, tuple[Iterator[Node | Branch], int, int]]:
    if branch.members is not None:
        row = rows.add(None, branch.label, parent, RowKind.FOLD)
        return iter(branch.members), branch.start, row
    items = yield from branches_of_group(branch)
    row = rows.add(None, branch.label, parent, RowKind.GROUP)
    if len(items) == 1 and isinstance(items[0], Branch) and items[0].members is not None:
        rows.kinds[row] = RowKind.FOLDED
        fold = items[0]
        fold.label = " … ".join(f"{branch.label}.{end}" for end in fold.label.split(" … "))
    return iter(items), branch.start, row


def _sum_up(rows: TreeRows) -> Generator[Progress, None, None]:
    """Fill in `sizes` and `totals`, from the last row up."""
    sums: dict[int, list[object]] = {}
    shares: dict[int, dict[int, list[int]]] = {}
    parents, sizes, shared = rows.parents, rows.sizes, rows.shared
    for row in range(len(rows) - 1, -1, -1):
        if row % ROWS_A_STEP == 0:
            yield Progress("totals", len(rows) - row, len(rows))
        parent = parents[row]
        if parent >= 0:
            sizes[parent] += sizes[row] + 1
        below = sums.pop(row, None)
        below_shares = shares.pop(row, None)
        node = rows.nodes[row]
        if isinstance(node, TensorInfo):
            # Its parts are below it; they are in its own numbers already.
            tensors, numel, nbytes, dtype = 1, node.numel, node.nbytes, node.dtype
            storage = node.storage
            if shared and storage is not None and id(storage) in shared:
                below_shares = {id(storage): [nbytes, storage.nbytes]}
                nbytes = 0
            else:
                below_shares = None
        elif below is not None:
            tensors, numel, nbytes, dtype = below  # type: ignore[assignment]
            shared_bytes = sum(map(min, below_shares.values())) if below_shares else 0
            rows.totals[row] = Totals(tensors, numel, nbytes + shared_bytes, dtype)
        else:
            continue
        if parent < 0:
            continue
        total = sums.get(parent)
        if total is None:
            sums[parent] = [tensors, numel, nbytes, dtype]
        else:
            total[0] += tensors  # type: ignore[operator]
            total[1] += numel  # type: ignore[operator]
            total[2] += nbytes  # type: ignore[operator]
            if total[3] != dtype:
                total[3] = ""
        if below_shares:
            _add_shares(shares, parent, below_shares)


def _add_shares(
    shares: dict[int, dict[int, list[int]]], parent: int, below: dict[int, list[int]]
) -> None:
    known = shares.get(parent)
    if known is None:
        shares[parent] = below
        return
    if len(known) < len(below):
        shares[parent] = known, below = below, known
    for storage, (viewed, available) in below.items():
        if storage in known:
            known[storage][0] += viewed
        else:
            known[storage] = [viewed, available]


def path_of(rows: TreeRows, row: int) -> Sequence[str | int]:
    """The path of the row's node; of a group or fold that of the node it lies in."""
    return rows.identity(row)[0]
