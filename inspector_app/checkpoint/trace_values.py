"""The opcodes of a traced pickle that make values and containers, and move the stack."""

from __future__ import annotations

import re
from collections.abc import Callable
from struct import error as StructError
from struct import unpack_from
from typing import Any

from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.errors import Problem
from inspector_app.checkpoint.limits import Limits
from inspector_app.checkpoint.nested_bytes import may_be_pickle
from inspector_app.checkpoint.pickle_literals import BrokenPickle, integer, literal, sized, text
from inspector_app.checkpoint.pickle_machine import (
    CONSTANTS,
    COST,
    HIGHEST_PROTOCOL,
    SIZED,
    PickleMachine,
)
from inspector_app.checkpoint.pickle_nodes import ByteArray, BytesPlace, ItemSet, PairList
from inspector_app.checkpoint.trace_records import Spans
from inspector_app.checkpoint.weights_only import WeightsOnlyRules

_MOST_BYTES = 10_000  # values of bytes that may be pickles themselves
# Values that are made and dropped at once: what is done behind them is to be reached.
_PADDING = re.compile(rb"(?:[N)\]}]0|K.0){1,100}", re.DOTALL)
_PADDING_COST = 200  # of skipping a hundred of them


class TracedValues(PickleMachine):
    """A stack whose values know where they begin; a method for each kind of opcode.

    Attributes:
        spans: which bytes made which value.
        found_bytes: bytes, places of bytes and texts that calls are given which may be
            pickles, with the offset of their opcode.
    """

    def __init__(
        self,
        source: ByteSource,
        start: int,
        end: int,
        limits: Limits,
        where: str,
        expected: int,
        encoding: str,
        rules: tuple[WeightsOnlyRules, ...],
    ) -> None:
        super().__init__(
            source, start, end, limits, encoding=encoding, where=where, expected=expected
        )
        self.spans = Spans()
        self.found_bytes: list[tuple[int, Any]] = []
        self._found_before: set[int] = set()
        self._overfull = False
        self._rules = rules
        self._position = 0  # in the window, behind the opcode
        self._at = start  # of the opcode
        self._stack: list[Any] = []
        self._starts: list[int] = []
        self._marks: list[tuple[list[Any], list[int], int]] = []
        self._frame_end = 0
        self._released = 0  # of the cost, by what was taken from the stack and dropped
        self._skipped = 0  # cost of what was skipped

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
        if type(value) is ByteArray:
            value = value.value
        if type(value) is BytesPlace:
            head = self._source.read(value.offset, 16)
        else:
            head = value[:16]
        if may_be_pickle(head):
            self._found(value)

    def _found(self, value: Any) -> None:
        if id(value) in self._found_before:
            return
        if len(self.found_bytes) < _MOST_BYTES:
            # Held, so that no other gets its identity; what was dropped of it, too.
            self._found_before.add(id(value))
            self.found_bytes.append((self._at, value))
            self._released -= 0 if type(value) is BytesPlace else len(value)
        elif not self._overfull:
            self._overfull = True
            self.problems.append(Problem("pickle-count", self._where, {"limit": _MOST_BYTES}))

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
        if not self._stack:
            self._since_mark()
            return
        self._take()
        self._released += 2 * COST[0x30]
        # Which of them a FRAME would cut is not looked at.
        padding = None if self._frame_end else _PADDING.match(self._data, self._position)
        if padding is not None:
            self._position = padding.end()
            self._skipped += _PADDING_COST

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


VALUE_HANDLERS: dict[int, Callable[[TracedValues, int], bool | None]] = {
    opcode: handler
    for opcodes, handler in (
        (b"hj", TracedValues._get),
        (b"qr", TracedValues._put),
        (b"KMJG", TracedValues._number),
        (b"X\x8c\x8d", TracedValues._unicode),
        (b"(", TracedValues._mark),
        (b"t", TracedValues._tuple),
        (b"\x85\x86\x87", TracedValues._short_tuple),
        (bytes(CONSTANTS), TracedValues._constant),
        (b"]}\x8f", TracedValues._empty),
        (b"2", TracedValues._dup),
        (b"\x94", TracedValues._memoize),
        (b"us", TracedValues._setitems),
        (b"ea", TracedValues._appends),
        (b".", TracedValues._stop),
        (b"\x80", TracedValues._proto),
        (b"\x95", TracedValues._frame),
        (bytes(SIZED), TracedValues._sized),
        (b"gpPILFVS", TracedValues._line_opcode),
        (b"\x90", TracedValues._additems),
        (b"\x91ld", TracedValues._from_mark),
        (b"0", TracedValues._pop),
        (b"1", TracedValues._pop_mark),
    )
    for opcode in opcodes
}
