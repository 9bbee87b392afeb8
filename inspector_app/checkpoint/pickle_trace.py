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

from collections.abc import Callable, Generator
from struct import error as StructError
from typing import Any

from inspector_app.checkpoint.allowed_globals import is_allowed
from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.errors import Problem
from inspector_app.checkpoint.limits import Limits
from inspector_app.checkpoint.model import Progress
from inspector_app.checkpoint.nested_bytes import given_pickle
from inspector_app.checkpoint.pickle_literals import BrokenPickle, text, understood
from inspector_app.checkpoint.pickle_machine import COST
from inspector_app.checkpoint.pickle_nodes import (
    Call,
    Foreign,
    GlobalRef,
    PersistentId,
)
from inspector_app.checkpoint.trace_budget import TraceBudget
from inspector_app.checkpoint.trace_records import TracedGlobal
from inspector_app.checkpoint.trace_values import VALUE_HANDLERS, TracedValues
from inspector_app.checkpoint.weights_only import UNRESTRICTED, WeightsOnlyRules

_SLICE = 1024  # opcodes between two steps: about a millisecond
# The first protocol that has the opcode, where it is not 0 or 1: pickletools.py.
_SINCE = {
    **dict.fromkeys(b"\x81\x82\x83\x84\x85\x86\x87\x88\x89\x8a\x8b", 2),
    **dict.fromkeys(b"BC", 3),
    **dict.fromkeys(b"\x8c\x8d\x8e\x8f\x90\x91\x92\x93\x94\x95", 4),
    **dict.fromkeys(b"\x96\x97\x98", 5),
}


class PickleTrace(TracedValues):
    """Executes one stream and records what it does. Arguments as `PickleMachine`.

    Args:
        rules: what ``weights_only=True`` refuses; several sets may be tried at once.
        budget: shared with the other streams of the file.

    Attributes (after `run`, besides those of `TracedValues` and `PickleMachine`):
        traced: every global, in the order they were named.
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
        budget: TraceBudget | None = None,
    ) -> None:
        super().__init__(source, start, end, limits, where, expected, encoding, rules)
        self.traced: dict[tuple[str, str], TracedGlobal] = {}
        self._newer: set[int] = set()
        self._budget = budget

    # --- the loop

    def _execute(
        self, stack: list[Any], stacks: list[list[Any]]
    ) -> Generator[Progress, None, None]:
        self._stack = stack
        self._window(self._start)
        self._position = 0
        handlers = _TABLE
        limit = self._limits.object_bytes + self._expected * 4_000
        cost = spent = 0
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
                    if cost - self._released > limit:
                        what = "the memory that its objects would take"
                        self._limit_reached(what, f"{limit >> 20} MiB")
                        break
                    if self._budget is not None:
                        if not self._budget.execute(cost + self._skipped - spent):
                            self._limit_reached(self._budget.what, self._budget.limit)
                            break
                        spent = cost + self._skipped
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

    def _limit_reached(self, what: str, limit: str) -> None:
        self.end = self._at
        self.limited = True
        details: dict[str, object] = {"offset": self._at, "what": what, "limit": limit}
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
            if how == "call" and type(arguments) is tuple:
                given = given_pickle(arguments)
                if given is not None:
                    self._found(given)

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
    **VALUE_HANDLERS,
    **{
        opcode: handler
        for opcodes, handler in (
            (b"R", PickleTrace._reduce),
            (b"Q", PickleTrace._binpersid),
            (b"ci", PickleTrace._global_lines),
            (b"\x93", PickleTrace._stack_global),
            (b"b", PickleTrace._build_opcode),
            (b"\x81\x92", PickleTrace._newobj),
            (b"o", PickleTrace._obj),
            (b"\x82\x83\x84", PickleTrace._extension),
            (b"\x97\x98", PickleTrace._buffer),
        )
        for opcode in opcodes
    },
}
# What the loop calls: most opcodes need no check.
_TABLE = [
    _HANDLERS[opcode]
    if opcode in _HANDLERS and opcode in UNRESTRICTED and _SINCE.get(opcode, 0) <= 2
    else PickleTrace._special
    for opcode in range(256)
]
