"""Keys nested at their dots, folded and unfolded: one side of the picture of a transfer."""

from __future__ import annotations

from array import array
from collections.abc import Generator, Sequence

# Dots beyond these are part of the last name: a hostile key has a million of them.
_DEEPEST = 48
_KEYS_A_STEP = 400
MODULE = -1


class _Module:
    """While the tree is made: what is below a module, in the order it first appears."""

    __slots__ = ("entries", "modules")

    def __init__(self) -> None:
        self.entries: list[tuple[str, _Module | int]] = []
        self.modules: dict[str, _Module] = {}


class KeyTree:
    """Modules and keys, each with a number, a module before what is below it.

    Attributes:
        keys: as they were given.
        labels: the last part of each name; of a module that holds a single one, both.
        depths: 0 at the top.
        parents: -1 at the top.
        ends: one past the last number below each.
        key: the place in `keys`, or `MODULE`.
        first, last: of the leaves below each, counted in the tree's order; `last` excluded.
        leaf_of: by place in `keys`, which leaf it is.
        node_of_leaf: the number of each leaf.
        expanded: which modules are unfolded.
        visible: the numbers of the rows that are listed.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = keys
        self.labels: list[str] = []
        self.depths = array("i")
        self.parents = array("i")
        self.ends = array("i")
        self.key = array("i")
        self.first = array("i")
        self.last = array("i")
        self.leaf_of = array("i", bytes(4 * len(keys)))
        self.node_of_leaf = array("i")
        self.expanded = bytearray()
        self.visible: list[int] = []

    def __len__(self) -> int:
        return len(self.labels)

    def can_expand(self, node: int) -> bool:
        """It is a module."""
        return self.key[node] == MODULE

    def name(self, node: int) -> str:
        """The whole key; of a module what its keys begin with."""
        if self.key[node] != MODULE:
            return self.keys[self.key[node]]
        parts = []
        while node >= 0:
            parts.append(self.labels[node])
            node = self.parents[node]
        return ".".join(reversed(parts))

    def leaves(self, node: int) -> int:
        """How many keys are at or below it."""
        return self.last[node] - self.first[node]

    def find(self, name: str) -> int:
        """The number of the module called `name`, or -1."""
        node, end = 0, len(self)
        while node < end:
            own = self.labels[node]
            if self.can_expand(node):
                if own == name:
                    return node
                if name.startswith(own + "."):
                    name = name[len(own) + 1 :]
                    node, end = node + 1, self.ends[node]
                    continue
            node = self.ends[node]
        return -1

    def list_rows(self) -> None:
        """Find out anew which rows are listed."""
        visible = []
        node, count = 0, len(self)
        while node < count:
            visible.append(node)
            node = node + 1 if self.expanded[node] else self.ends[node]
        self.visible = visible

    def expand(self, node: int, expanded: bool = True) -> None:
        """Unfold or fold one module; `list_rows` shows it."""
        if self.can_expand(node):
            self.expanded[node] = expanded

    def reveal(self, node: int) -> None:
        """Unfold everything above; `list_rows` shows it."""
        node = self.parents[node]
        while node >= 0:
            self.expanded[node] = 1
            node = self.parents[node]

    def expand_to_fit(self, rows: int) -> None:
        """Unfold level by level as long as no more than `rows` are listed; a module that is
        alone is unfolded however much it holds."""
        listed = []
        node = 0
        while node < len(self):
            listed.append(node)
            node = self.ends[node]
        while listed:
            alone = len(self) if len(listed) == 1 else 0
            below: list[int] = []
            for module in listed:
                if self.can_expand(module):
                    child = module + 1
                    while child < self.ends[module] and len(below) <= max(rows, alone):
                        below.append(child)
                        child = self.ends[child]
            rows -= len(below)
            if (rows < 0 and not alone) or not below:
                return
            for module in listed:
                self.expand(module)
            listed = below


def nesting(keys: Sequence[str]) -> Generator[None, None, KeyTree]:
    """Make the tree of `keys`, in steps."""
    top = _Module()
    for place, key in enumerate(keys):
        if place % _KEYS_A_STEP == _KEYS_A_STEP - 1:
            yield
        *above, own = key.split(".", _DEEPEST)
        module = top
        for part in above:
            below = module.modules.get(part)
            if below is None:
                below = module.modules[part] = _Module()
                module.entries.append((part, below))
            module = below
        module.entries.append((own, place))
    tree = KeyTree(keys)
    todo: list[tuple[str, _Module | int, int, int]] = []

    def put(module: _Module, parent: int, depth: int) -> None:
        todo.extend((label, entry, parent, depth) for label, entry in reversed(module.entries))

    put(top, -1, 0)
    written = 0
    while todo:
        label, entry, parent, depth = todo.pop()
        written += 1
        if written % _KEYS_A_STEP == 0:
            yield
        # A module that holds one other and nothing else is no row of its own.
        while isinstance(entry, _Module) and len(entry.entries) == 1:
            inner, below = entry.entries[0]
            if not isinstance(below, _Module):
                break
            label, entry = f"{label}.{inner}", below
        number = len(tree.labels)
        tree.labels.append(label)
        tree.depths.append(depth)
        tree.parents.append(parent)
        tree.first.append(len(tree.node_of_leaf))
        if isinstance(entry, _Module):
            tree.key.append(MODULE)
            put(entry, number, depth + 1)
        else:
            tree.key.append(entry)
            tree.leaf_of[entry] = len(tree.node_of_leaf)
            tree.node_of_leaf.append(number)
    yield from _measure(tree)
    tree.expanded = bytearray(len(tree))
    tree.list_rows()
    return tree


def _measure(tree: KeyTree) -> Generator[None, None, None]:
    """Where each module ends: known once what is below it is."""
    count = len(tree)
    tree.ends = array("i", range(1, count + 1))
    tree.last = array("i", tree.first)
    for number in range(count - 1, -1, -1):
        if number % _KEYS_A_STEP == 0:
            yield
        if tree.key[number] != MODULE:
            tree.last[number] = tree.first[number] + 1
        parent = tree.parents[number]
        if parent >= 0:
            # Backwards, the first to tell a module is the last below it.
            tree.ends[parent] = max(tree.ends[parent], tree.ends[number])
            tree.last[parent] = max(tree.last[parent], tree.last[number])
