"""Runs one pickle stream again and records what it does, and where.

`pickle_machine` says which globals a stream names; this says every use of each of them
with the byte offset of its opcode, and which bytes made which value, so that an offset
leads to a place in the tree and back (`trace_places`). It runs on demand, without the fast
path for tensors: 3.2 million opcodes take a few seconds.

What makes two readers of one stream see different things is noted as a problem: an index
of the memo that is set twice, a FRAME that ends inside an opcode, PROTO in the middle, an
opcode that the declared protocol does not have. No pickler writes any of these.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Generator
from contextlib import suppress
from struct import error as StructError
from struct import unpack_from
from typing import Any

from inspector_app.checkpoint.allowed_globals import is_allowed
from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.errors import Problem
from inspector_app.checkpoint.limits import Limits
from inspector_app.checkpoint.model import Progress
from inspector_app.checkpoint.pickle_literals import (
    BrokenPickle,
    integer,
    literal,
    sized,
    text,
    understood,
)
from inspector_app.checkpoint.pickle_machine import (
    CONSTANTS,
    COST,
    HIGHEST_PROTOCOL,
    SIZED,
    PickleMachine,
)
from inspector_app.checkpoint.pickle_nodes import (
    ByteArray,
    Call,
    Foreign,
    GlobalRef,
    ItemSet,
    PairList,
    PersistentId,
)
from inspector_app.checkpoint.weights_only import UNRESTRICTED, WeightsOnlyRules

_SLICE = 1024  # opcodes between two steps: about a millisecond
_MOST_USES = 1_000  # of one global that are kept, of each kind
_MOST_SPANS = 200_000  # values whose place is kept; further ones have that of what holds them
_MOST_BYTES = 1_000  # values of bytes that may be pickles themselves
# The first protocol that has the opcode, where it is not 0 or 1: pickletools.py.
_SINCE = {
    **dict.fromkeys(b"\x81\x82\x83\x84\x85\x86\x87\x88\x89\x8a\x8b", 2),
    **dict.fromkeys(b"BC", 3),
    **dict.fromkeys(b"\x8c\x8d\x8e\x8f\x90\x91\x92\x93\x94\x95", 4),
    **dict.fromkeys(b"\x96\x97\x98", 5),
}


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


class PickleTrace(PickleMachine):
    """Executes one stream and records what it does. Arguments as `PickleMachine`.

    Args:
        rules: what ``weights_only=True`` refuses; several sets may be tried at once.

    Attributes (after `run`, besides those of `PickleMachine`):
        traced: every global, in the order they were named.
        spans: which bytes made which value.
        found_bytes: values of bytes with the offset of their opcode.
    """

    def __init__(
        self,
        source: ByteSource,
        start: int,
        end: int,
        limits: Limits,
        where: str = "",
        expected: int = 0,
        encoding: str = "utf-8",
        rules: tuple[WeightsOnlyRules, ...] = (),
    ) -> None:
        super().__init__(
            source, start, end, limits, encoding=encoding, where=where, expected=expected
        )
        self.traced: dict[tuple[str, str], TracedGlobal] = {}
        self.spans = Spans()
        self.found_bytes: list[tuple[int, Any]] = []
        self._rules = rules
        self._position = 0
        self._at = start
        self._stack: list[Any] = []
        self._starts: list[int] = []
        self._marks: list[tuple[list[Any], list[int], int]] = []
        self._frame_end = 0
        self._newer: set[int] = set()

    # --- the loop

    def _execute(
        self, stack: list[Any], stacks: list[list[Any]]
    ) -> Generator[Progress, None, None]:
        self._stack = stack
        self._window(self._start)
        self._position = 0
        handlers = _TABLE
        limit = self._limits.object_bytes + self._expected * 4_000
        cost = 0
        budget = _SLICE
        safe_end = self._safe_end()
        base = self._base
        try:
            while True:
                if self._position > safe_end or base != self._base:
                    if self._position > safe_end:
                        self._window(self._base + self._position)
                        self._position = 0
                    safe_end = self._safe_end()
                    base = self._base
                at = self._at = base + self._position
                op = self._data[self._position]
                self._position += 1
                cost += COST[op]
                budget -= 1
                if not budget:
                    budget = _SLICE
                    if cost > limit:
                        self._limit_reached(limit)
                        break
                    yield Progress("trace", at - self._start, self._length())
                if handlers[op](self, op) is False:
                    return
                if self._frame_end:
                    self._check_frame(at)
        except (BrokenPickle, StructError, IndexError):
            self.end = self._at
            self.value = understood([*(mark[0] for mark in self._marks), self._stack])
            raise
        self.value = understood([*(mark[0] for mark in self._marks), self._stack])

    def _limit_reached(self, limit: int) -> None:
        self.end = self._at
        details: dict[str, object] = {
            "offset": self._at,
            "what": "the memory that its objects would take",
            "limit": f"{limit >> 20} MiB",
        }
        self.problems.append(Problem("pickle-limit", self._where, details))

    def _check_frame(self, at: int) -> None:
        after = self._base + self._position
        if after >= self._frame_end:
            if after > self._frame_end:
                self._odd("that the FRAME before it cuts in two", at)
            self._frame_end = 0

    def _special(self, op: int) -> bool | None:
        """An opcode that not every protocol has, that torch restricts, or that there is not."""
        for rules in self._rules:
            rules.before(op, self._stack, self._at)
        if _SINCE.get(op, 0) > self.protocol and op not in self._newer:
            self._newer.add(op)
            name = f"0x{op:02x} of protocol {_SINCE[op]} in a stream of protocol"
            self._odd(f"{name} {self.protocol}", self._at)
        handler = _HANDLERS.get(op)
        if handler is None:
            raise BrokenPickle(f"there is no opcode 0x{op:02x}")
        return handler(self, op)

    def _push(self, value: Any, start: int) -> None:
        self._stack.append(value)
        self._starts.append(start)

    def _made(self, value: Any, start: int) -> None:
        """Push something that has a place of its own."""
        self.spans.add(value, start, self._at)
        self._stack.append(value)
        self._starts.append(start)

    def _take(self) -> tuple[Any, int]:
        value = self._stack.pop()
        return value, self._starts.pop()

    def _since_mark(self) -> tuple[list[Any], list[int], int]:
        """What lies above the last mark, where it begins, and where the mark stands."""
        if not self._marks:
            raise IndexError("pop from empty list")
        items, starts = self._stack, self._starts
        self._stack, self._starts, mark = self._marks.pop()
        return items, starts, mark

    def _top(self) -> tuple[Any, int]:
        return self._stack[-1], self._starts[-1]

    def _set_top(self, value: Any) -> None:
        self._stack[-1] = value

    # --- literals and the memo

    def _number(self, op: int) -> None:
        data, position = self._data, self._position
        if op == 0x4B:
            value: Any = data[position]
            self._position += 1
        elif op == 0x4D:
            value = data[position] | data[position + 1] << 8
            self._position += 2
        elif op == 0x4A:
            value = unpack_from("<i", data, position)[0]
            self._position += 4
        else:
            value = unpack_from(">d", data, position)[0]
            self._position += 8
        self._stack.append(value)
        self._starts.append(self._at)

    def _constant(self, op: int) -> None:
        self._stack.append(CONSTANTS[op])
        self._starts.append(self._at)

    def _unicode(self, op: int) -> None:
        width, form = {0x58: (4, "<I"), 0x8C: (1, "<B"), 0x8D: (8, "<Q")}[op]
        (size,) = unpack_from(form, self._data, self._position)
        self._position += width
        payload = self._bytes(size, "str")
        self._push(
            text(payload, "utf-8", "surrogatepass") if isinstance(payload, bytes) else payload,
            self._at,
        )

    def _sized(self, op: int) -> None:
        kind, width = SIZED[op]
        raw = self._data[self._position : self._position + width]
        if len(raw) < width:
            raise StructError
        self._position += width
        payload = self._bytes(int.from_bytes(raw, "little"), kind)
        for rules in self._rules:
            rules.python2_text(op, payload)
        value = sized(payload, kind, self._encoding, self._limits)
        if kind != "int" and not isinstance(value, str):
            self._note_bytes(value)
        self._push(value, self._at)

    def _note_bytes(self, value: Any) -> None:
        if len(self.found_bytes) < _MOST_BYTES:
            self.found_bytes.append((self._at, value))

    def _bytes(self, size: int, kind: str) -> Any:
        end = self._position + size
        if end > len(self._data):
            self.end = self._at
            payload, _, self._position, _ = self._payload(self._base + self._position, size, kind)
            return payload
        payload = self._data[self._position : end]
        self._position = end
        return payload

    def _read_line(self) -> bytes:
        line, _, self._position, _ = self._line(self._data, self._position, self._base)
        return line

    def _line_opcode(self, op: int) -> None:
        self.end = self._at
        line = self._read_line()
        if op == 0x67:  # GET
            self._push(self._recall(integer(line)), self._at)
        elif op == 0x70:  # PUT
            index = integer(line)
            if index < 0:
                raise BrokenPickle("PUT has a negative index")
            self._remember(index)
        elif op == 0x50:  # PERSID
            self._push(self._persistent(text(line, "utf-8"), self._at), self._at)
        else:
            value = literal(op, line, self._encoding)
            if isinstance(value, bytes):
                self._note_bytes(value)
            self._push(value, self._at)

    def _recall(self, index: int) -> Any:
        if index not in self._memo:
            raise BrokenPickle(f"the memo has no entry {index}")
        return self._memo[index]

    def _get(self, op: int) -> None:
        if op == 0x68:
            index = self._data[self._position]
            self._position += 1
        else:
            (index,) = unpack_from("<I", self._data, self._position)
            self._position += 4
        self._stack.append(self._memo[index] if index in self._memo else self._recall(index))
        self._starts.append(self._at)

    def _put(self, op: int) -> None:
        if op == 0x71:
            index = self._data[self._position]
            self._position += 1
        else:
            (index,) = unpack_from("<I", self._data, self._position)
            self._position += 4
        self._remember(index)

    def _memoize(self, op: int) -> None:
        self._remember(len(self._memo))

    def _remember(self, index: int) -> None:
        value = self._stack[-1]
        if index > self._length():
            self._odd(f"that sets entry {index} of the memo", self._at)
        if index in self._memo and self._memo[index] is not value:
            self._odd(f"that sets entry {index} of the memo again", self._at)
        self._memo[index] = value

    # --- the stack

    def _mark(self, op: int) -> None:
        self._marks.append((self._stack, self._starts, self._at))
        self._stack, self._starts = [], []

    def _dup(self, op: int) -> None:
        self._push(self._stack[-1], self._at)

    def _pop(self, op: int) -> None:
        if self._stack:
            self._take()
        else:
            self._since_mark()

    def _pop_mark(self, op: int) -> None:
        self._since_mark()

    def _stop(self, op: int) -> bool:
        if not self._stack:
            raise BrokenPickle("STOP finds the stack empty")
        self.end = self._base + self._position
        if self._frame_end and self.end < self._frame_end:
            self._odd("STOP before the end of its FRAME", self._at)
        self.value = self._stack[-1]
        self.finished = True
        return False

    def _proto(self, op: int) -> None:
        protocol = self._data[self._position]
        self._position += 1
        if protocol > HIGHEST_PROTOCOL:
            raise BrokenPickle(f"protocol {protocol} is not known")
        if self._at != self._start:
            self._odd("PROTO that is not the first", self._at)
        self.protocol = max(self.protocol, protocol)

    def _frame(self, op: int) -> None:
        (size,) = unpack_from("<Q", self._data, self._position)
        self._position += 8
        end = self._base + self._position + size
        if self._frame_end:
            self._odd("FRAME inside another", self._at)
        if end > self._stream_end:
            self._odd("FRAME beyond the end", self._at)
        self._frame_end = end if size else 0

    # --- containers

    def _empty(self, op: int) -> None:
        value: Any = [] if op == 0x5D else PairList() if op == 0x7D else ItemSet([])
        self._made(value, self._at)

    def _tuple(self, op: int) -> None:
        items, starts, mark = self._since_mark()
        self._tuple_of(tuple(items), starts, mark)

    def _short_tuple(self, op: int) -> None:
        count = op - 0x84
        if len(self._stack) < count:
            # One by one, as the machine takes them.
            del self._stack[max(len(self._stack) - count + 1, 0) :]
            raise IndexError("pop from empty list")
        items, starts = tuple(self._stack[-count:]), self._starts[-count:]
        del self._stack[-count:], self._starts[-count:]
        self._tuple_of(items, starts, starts[0])

    def _tuple_of(self, items: tuple[Any, ...], starts: list[int], start: int) -> None:
        # Of shapes, strides and ids there are hundreds of thousands.
        if self.spans.around(items):
            self.spans.add(items, start, self._at)
            self.spans.add_items(items, starts, self._at)
        self._push(items, start)

    def _from_mark(self, op: int) -> None:
        items, starts, mark = self._since_mark()
        value: Any = items
        if op == 0x91:
            value = ItemSet(items, frozen=True)
        elif op == 0x64:
            if len(items) % 2:
                raise BrokenPickle("DICT finds a key without a value")
            value = PairList()
            value.pairs = list(zip(items[::2], items[1::2], strict=True))
            starts = starts[::2]
        self._made(value, mark)
        self.spans.add_items(value, starts, self._at)

    def _setitems(self, op: int) -> None:
        if op == 0x75:
            items, starts, _ = self._since_mark()
            if len(items) % 2:
                raise BrokenPickle("SETITEMS finds a key without a value")
            for rules in self._rules if self._stack else ():
                rules.setitems(self._stack[-1], items[::2])
        else:
            value, _ = self._take()
            key, start = self._take()
            items, starts = [key, value], [start, start]
        pairs = list(zip(items[::2], items[1::2], strict=True))
        self._set_pairs(self._stack, pairs, self._at)
        self._grew(starts[::2])

    def _appends(self, op: int) -> None:
        if op == 0x65:
            items, starts, _ = self._since_mark()
            for rules in self._rules if self._stack else ():
                rules.appends(self._stack[-1])
        else:
            item, start = self._take()
            items, starts = [item], [start]
        self._add_items(self._stack, items, self._at)
        self._grew(starts)

    def _additems(self, op: int) -> None:
        items, starts, _ = self._since_mark()
        if type(self._stack[-1]) is not ItemSet:
            raise BrokenPickle("ADDITEMS finds no set")
        self._stack[-1].items.extend(items)
        self._grew(starts)

    def _grew(self, starts: list[int]) -> None:
        target, start = self._top()
        self.spans.add(target, start, self._at)
        self.spans.add_items(target, starts, self._at)

    # --- what would be imported and called

    def _check_callable(self, function: Any, opcode: str) -> None:
        """No pickler calls what is no name, unless a call outside the allowlist made it."""
        if type(function) is Call and type(function.function) is GlobalRef:
            if not is_allowed(function.function.module, function.function.name):
                return
        elif type(function) is GlobalRef or type(function) is Call:
            return
        self._odd(f"{opcode} of something that is no function", self._at)

    def _note(self, reference: Any, how: str, offset: int, arguments: Any = None) -> None:
        if type(reference) is GlobalRef:
            reference.uses.add(how)
            self.traced[reference.module, reference.name].add(how, offset, arguments)

    def _global(self, module: str, name: str, position: int) -> GlobalRef:
        found = super()._global(module, name, position)
        self._rebuild = None  # the fast path is not taken here
        traced = self.traced.get((module, name))
        if traced is None:
            traced = self.traced[module, name] = TracedGlobal(module, name)
            found.uses.clear()
        traced.add("named", position)
        return found

    def _global_lines(self, op: int) -> None:
        self.end = at = self._at
        if op == 0x69:
            arguments, _, start = self._since_mark()
        module = text(self._read_line(), "utf-8")
        found = self._global(module, text(self._read_line(), "utf-8"), at)
        for rules in self._rules:
            rules.named(found)
        if op == 0x69:
            self._called(found, tuple(arguments), start)
        else:
            self._push(found, at)

    def _stack_global(self, op: int) -> None:
        name, _ = self._take()
        module, start = self._take()
        if not isinstance(name, str) or not isinstance(module, str):
            raise BrokenPickle("STACK_GLOBAL finds no names on the stack")
        self._push(self._global(module, name, self._at), start)

    def _called(self, function: Any, arguments: Any, start: int) -> None:
        self._note(function, "call", self._at, arguments)
        call = Call("call", function, arguments, self._at)
        if self.spans.around((function, arguments)):
            self.spans.add(call, start, self._at)
        self._push(call, start)

    def _reduce(self, op: int) -> None:
        arguments, _ = self._take()
        function, _ = self._top()
        self._check_callable(function, "REDUCE")
        self._note(function, "call", self._at, arguments)
        self._stack[-1] = call = Call("call", function, arguments, self._at)
        if self.spans.around((function, arguments)):
            self.spans.add(call, self._starts[-1], self._at)

    def _obj(self, op: int) -> None:
        items, _, mark = self._since_mark()
        function = items[0]
        self._check_callable(function, "OBJ")
        self._called(function, tuple(items[1:]), mark)

    def _newobj(self, op: int) -> None:
        keywords = self._take()[0] if op == 0x92 else None
        arguments, _ = self._take()
        function, start = self._top()
        self._check_callable(function, "NEWOBJ")
        given = arguments if keywords is None else (arguments, keywords)
        self._note(function, "newobj", self._at, given)
        self._stack[-1] = call = self._new(function, arguments, keywords, self._at)
        if self.spans.around((function, arguments, keywords)):
            self.spans.add(call, start, self._at)

    def _build_opcode(self, op: int) -> None:
        state, _ = self._take()
        target, start = self._top()
        built = target.function if type(target) is Call else target
        self._note(built, "build", self._at, state)
        self._stack[-1] = value = self._build(target, state, self._at)
        self.spans.add(value, start, self._at)

    def _binpersid(self, op: int) -> None:
        pid, start = self._take()
        self._push(self._persistent(pid, self._at), start)

    def _persistent(self, pid: Any, position: int) -> PersistentId | GlobalRef:
        parts = pid if type(pid) is tuple else (pid,)
        for part in parts[:100]:
            self._note(part, "persistent-id", position, pid)
        return super()._persistent(pid, position)

    def _applied(self, kind: str, target: Any, arguments: list[Any], position: int) -> Call:
        if kind != "build":
            self._note(target, "call", position, arguments)
        return super()._applied(kind, target, arguments, position)

    def _extension(self, op: int) -> None:
        width = {0x82: 1, 0x83: 2, 0x84: 4}[op]
        code = int.from_bytes(self._data[self._position : self._position + width], "little")
        self._position += width
        self._push(Foreign("extension", code), self._at)
        self._odd(f"EXT{width} {code}", self._at)

    def _buffer(self, op: int) -> None:
        if op == 0x98:
            self._stack[-1] = self._stack[-1]
            return
        self._push(Foreign("buffer", 0), self._at)
        self._odd("NEXT_BUFFER", self._at)


_HANDLERS: dict[int, Callable[[PickleTrace, int], bool | None]] = {
    opcode: handler
    for opcodes, handler in (
        (b"hj", PickleTrace._get),
        (b"qr", PickleTrace._put),
        (b"KMJG", PickleTrace._number),
        (b"X\x8c\x8d", PickleTrace._unicode),
        (b"(", PickleTrace._mark),
        (b"t", PickleTrace._tuple),
        (b"\x85\x86\x87", PickleTrace._short_tuple),
        (bytes(CONSTANTS), PickleTrace._constant),
        (b"R", PickleTrace._reduce),
        (b"Q", PickleTrace._binpersid),
        (b"]}\x8f", PickleTrace._empty),
        (b"2", PickleTrace._dup),
        (b"\x94", PickleTrace._memoize),
        (b"us", PickleTrace._setitems),
        (b"ea", PickleTrace._appends),
        (b"ci", PickleTrace._global_lines),
        (b"\x93", PickleTrace._stack_global),
        (b"b", PickleTrace._build_opcode),
        (b"\x81\x92", PickleTrace._newobj),
        (b"o", PickleTrace._obj),
        (b".", PickleTrace._stop),
        (b"\x80", PickleTrace._proto),
        (b"\x95", PickleTrace._frame),
        (bytes(SIZED), PickleTrace._sized),
        (b"gpPILFVS", PickleTrace._line_opcode),
        (b"\x90", PickleTrace._additems),
        (b"\x91ld", PickleTrace._from_mark),
        (b"0", PickleTrace._pop),
        (b"1", PickleTrace._pop_mark),
        (b"\x82\x83\x84", PickleTrace._extension),
        (b"\x97\x98", PickleTrace._buffer),
    )
    for opcode in opcodes
}
# What the loop calls: most opcodes need no check.
_TABLE = [
    _HANDLERS[opcode]
    if opcode in _HANDLERS and opcode in UNRESTRICTED and _SINCE.get(opcode, 0) <= 2
    else PickleTrace._special
    for opcode in range(256)
]


def bytes_of(value: Any) -> bytes | None:
    """The bytes that an inert value stands for: a literal, or the call that Python 2's
    protocols write for one (``_codecs.encode(text, "latin1")``)."""
    if isinstance(value, bytes):
        return value
    if type(value) is ByteArray:
        return value.value
    if type(value) is Call and type(value.function) is GlobalRef and type(value.args) is tuple:
        name = value.function.full_name
        if name in ("_codecs.encode", "codecs.encode") and value.args:
            first = value.args[0]
            if isinstance(first, str):
                with suppress(UnicodeEncodeError):
                    return first.encode("latin-1")
    return None
