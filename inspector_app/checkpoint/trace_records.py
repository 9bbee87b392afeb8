"""What a trace of a pickle records: uses of globals, and which bytes made which value."""

from __future__ import annotations

from array import array
from typing import Any

_MOST_USES = 1_000  # of one global that are kept, of each kind
_MOST_SPANS = 200_000  # values whose place is kept; further ones have that of what holds them


class TracedUse:
    """One use of a global.

    Attributes:
        how: ``named``, ``call``, ``newobj``, ``build`` or ``persistent-id``.
        offset: of the opcode, in the stream's source.
        arguments: what it is given, still inert; None where it is only named.
    """

    __slots__ = ("arguments", "how", "offset")

    def __init__(self, how: str, offset: int, arguments: Any = None) -> None:
        self.how = how
        self.offset = offset
        self.arguments = arguments


class TracedGlobal:
    """A global and its uses; the first `_MOST_USES` of each kind are kept.

    Attributes:
        module, name: as the stream has them.
        uses: in the stream's order.
        counts: how often it is used in each way.
    """

    __slots__ = ("counts", "module", "name", "uses")

    def __init__(self, module: str, name: str) -> None:
        self.module = module
        self.name = name
        self.uses: list[TracedUse] = []
        self.counts: dict[str, int] = {}

    def add(self, how: str, offset: int, arguments: Any = None) -> None:
        count = self.counts[how] = self.counts.get(how, 0) + 1
        if count <= _MOST_USES:
            self.uses.append(TracedUse(how, offset, arguments))


class Spans:
    """Which bytes of a stream made which value.

    Recorded are containers, and the tuples and calls around one: what else there is, a
    tensor's call for one, has its place among the items of a container.

    Attributes:
        values: the recorded ones, held so that identities stay their own.
        starts, ends: of each, the offsets of the first and of the last opcode.
        items: by the identity of a container, the offsets where its items begin, and
            the offset of the opcode that took them, item by item.
    """

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.starts = array("Q")
        self.ends = array("Q")
        self.items: dict[int, tuple[array[int], array[int]]] = {}
        self.latest: dict[int, int] = {}

    def add(self, value: Any, start: int, end: int) -> None:
        """`value` stands there; one that grows again keeps its first opcode."""
        index = self.latest.get(id(value))
        if index is not None and self.starts[index] == start:
            self.ends[index] = end
            return
        if len(self.values) >= _MOST_SPANS:
            return
        self.latest[id(value)] = len(self.values)
        self.values.append(value)
        self.starts.append(start)
        self.ends.append(end)

    def around(self, parts: Any) -> bool:
        """Whether one of `parts` is recorded."""
        latest = self.latest
        return any(id(part) in latest for part in parts)

    def add_items(self, container: Any, starts: list[int], end: int) -> None:
        """The next items of `container` begin at `starts`; the opcode at `end` took them."""
        if not starts or id(container) not in self.latest:
            return
        known = self.items.get(id(container))
        if known is None:
            known = self.items[id(container)] = (array("Q"), array("Q"))
        known[0].extend(starts)
        known[1].extend([*starts[1:], end])
