"""Finding rows: the names of a tree's entries, and which rows a search leaves on the screen."""

from __future__ import annotations

from array import array
from collections.abc import Generator
from typing import TYPE_CHECKING, NamedTuple

from inspector_app.checkpoint.model import Node
from inspector_app.ui.tree_nodes import TreeRows
from inspector_app.ui.tree_visible import ABOVE, MATCH

if TYPE_CHECKING:
    from inspector_app.ui.tree_search import Query

# Names between two yields: about a millisecond, whatever is done with them.
NAMES_A_STEP = 1_000
ENTRIES_A_STEP = 2_000
# A container's part of the names below it; a file may nest keys of megabytes.
LONGEST_PREFIX = 2_000


class Names:
    """What can be found: the entries' names in lower case, with their rows and nodes."""

    __slots__ = ("names", "nodes", "rows")

    def __init__(self) -> None:
        self.names: list[str] = []
        self.nodes: list[Node] = []
        self.rows: array[int] = array("I")

    def __len__(self) -> int:
        return len(self.names)


class Found(NamedTuple):
    """What a search left.

    Attributes:
        shown: bits for each row: it matches, or something below it does.
        expanded: a flag for each row that has something below it to show.
        matches: how many entries match.
        entries: of how many.
        too_long: names that an expression was not tried on.
    """

    shown: bytearray
    expanded: bytearray
    matches: int
    entries: int
    too_long: int


def naming(rows: TreeRows) -> Generator[None, None, Names]:
    """Collect the names of a tree's entries."""
    # Now that the tree is painted: it waits for no part of searching.
    from inspector_app.ui.tree_search import searchable

    result = Names()
    add_name, add_node, add_row = result.names.append, result.nodes.append, result.rows.append
    prefixes: dict[int, str] = {}
    for row, node in enumerate(rows.nodes):
        if row % NAMES_A_STEP == 0:
            yield
        if node is None:
            continue
        parent = node.parent
        if parent is None:
            continue
        prefix = prefixes.get(id(parent))
        if prefix is None:
            prefix = f"{parent.name}/" if parent.parent is not None else ""
            prefix = prefixes[id(parent)] = prefix[-LONGEST_PREFIX:]
        if rows.is_leaf(row):
            add_name(searchable(f"{prefix}{node.key}"))
            add_node(node)
            add_row(row)
    return result


def finding(rows: TreeRows, names: Names, query: Query) -> Generator[None, None, Found]:
    """Run a search."""
    shown = bytearray(len(rows))
    expanded = bytearray(len(rows))
    parents, entry_rows = rows.parents, names.rows
    matches = 0
    query.too_long = 0
    for start in range(0, len(names), ENTRIES_A_STEP):
        end = start + ENTRIES_A_STEP
        found = query.select(names.names[start:end], names.nodes[start:end])
        matches += len(found)
        last = -1
        for place in found:
            row = entry_rows[start + place]
            shown[row] |= MATCH
            row = parents[row]
            if row == last:
                continue
            last = row
            while row >= 0 and not shown[row] & ABOVE:
                shown[row] |= ABOVE
                expanded[row] = 1
                row = parents[row]
        yield
    return Found(shown, expanded, matches, len(names), query.too_long)
