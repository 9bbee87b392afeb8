"""An inert pickle machine: it executes a pickle stream without running what is in it.

Nothing is imported, called or hashed. Every opcode of protocols 0 to 5 is understood as
CPython's ``pickle.py`` and ``pickletools.py`` define it; what would be an object becomes
a node of `pickle_nodes`. The machine is iterative, checks every length against the bytes
that are left, and stops when the nodes would take more memory than `Limits` allows.

A stream that breaks keeps what was understood: open containers are closed where they
are, a call whose arguments are incomplete is dropped.
"""

from __future__ import annotations

from collections.abc import Generator
from struct import error as StructError
from struct import unpack_from
from typing import Any

from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.errors import Problem
from inspector_app.checkpoint.limits import Limits
from inspector_app.checkpoint.model import Progress, TensorInfo
from inspector_app.checkpoint.pickle_literals import (
    BrokenPickle,
    PassedLimit,
    integer,
    literal,
    sized,
    text,
    understood,
)
from inspector_app.checkpoint.pickle_nodes import (
    BytesPlace,
    Call,
    Foreign,
    GlobalRef,
    ItemSet,
    PairList,
    PersistentId,
)
from inspector_app.checkpoint.storage_table import StorageTable
from inspector_app.checkpoint.tensor_runs import TensorRuns

HIGHEST_PROTOCOL = 5
TENSOR_COST = 4_000  # what the opcodes of one tensor are estimated at, and some
_SLICE = 4096  # opcodes between two steps: about a millisecond
_RUNS = 400  # tensors between two steps
_FIRST_WINDOW = 64 << 10
_WINDOW = 1 << 20
# Estimated bytes that an opcode's result takes, its place on the stack included; the least
# also stands for its time.
COST = [40] * 256
for _opcodes, _bytes in (
    (b"(", 120),  # a stack of its own
    (b"]l\x85\x86\x87t", 96),
    (b"}d\x8f\x91", 180),
    (b"Ro\x81\x92ibQPcQ\x93", 220),
    (b"JML", 44),
    (b"GF", 64),
    (b"\x8a\x8bIC", 100),  # these and those below for their time
    (b"\x80\x95\x82\x83\x84\x97", 200),
    (b"XVU\x8c\x8dTBS\x8e\x96", 80),
    (b"qrp\x94", 110),  # an entry of the memo
):
    for _opcode in _opcodes:
        COST[_opcode] = _bytes


class PickleMachine:
    """Executes one pickle stream of a file.

    Args:
        source: the file.
        start, end: the stream lies within these bytes; it may end earlier.
        limits: bounds on memory, lengths and numbers.
        storages: shared with the stream's tensors of the recurring form.
        encoding: of Python 2 strings; those that it cannot decode stay bytes.
        where: the stream's place, for problems.
        expected: how many storages the file is known to have, each of which earns the
            stream the memory of a tensor.

    Attributes (after `run`):
        value: what the stream makes, or what of it was understood.
        end: position after STOP, or where the stream broke.
        finished: STOP was reached.
        limited: a limit ended it, behind which others would read on.
        globals: by module and name.
        problems: at most one about breaking, and odd things on the way.
        protocol: the highest that the stream declares.
        references: every persistent id, those of the recurring form left out.
        sources: names of classes and the source texts that stand beside them.
    """

    def __init__(
        self,
        source: ByteSource,
        start: int,
        end: int,
        limits: Limits,
        storages: StorageTable | None = None,
        encoding: str = "utf-8",
        where: str = "",
        expected: int = 0,
    ) -> None:
        self._source = source
        self._start = start
        self._stream_end = min(end, source.size)
        self._limits = limits
        self._encoding = encoding
        self._where = where
        self._expected = expected
        self.storages = StorageTable() if storages is None else storages
        self.value: Any = None
        self.end = start
        self.finished = False
        self.limited = False
        self.globals: dict[tuple[str, str], GlobalRef] = {}
        self.problems: list[Problem] = []
        self.protocol = 0
        self.sources: list[tuple[str, Any]] = []
        self.references: list[PersistentId] = []
        self._memo: dict[int, Any] = {}
        self._runs = TensorRuns(self._memo, self.storages, limits)
        self._rebuild: GlobalRef | None = None
        self._data = b""
        self._base = start
        self._cost = 0

    def run(self) -> Generator[Progress, None, None]:
        """Execute the stream up to STOP, or to where it breaks, in short steps."""
        stack: list[Any] = []
        stacks: list[list[Any]] = []
        try:
            yield from self._execute(stack, stacks)
        except BrokenPickle as broken:
            self.limited = isinstance(broken, PassedLimit)
            self._break("broken-pickle", reason=broken.reason)
        except (StructError, IndexError) as error:
            self._break("broken-pickle", reason=self._reason(error))
        finally:
            self._memo.clear()
            self._data = b""

    def _reason(self, error: Exception) -> str:
        # CPython says "index out of range" of bytes, and names the list otherwise.
        if not isinstance(error, StructError) and str(error) != "index out of range":
            return "an opcode finds the stack empty"
        if self.end < self._stream_end:
            return "the stream ends inside an opcode"
        return "the stream ends without STOP"

    def _break(self, code: str, **details: object) -> None:
        self.problems.append(Problem(code, self._where, {"offset": self.end, **details}))

    # The loop is one function: a call for each opcode would cost more than the opcode.
    def _execute(
        self, stack: list[Any], stacks: list[list[Any]]
    ) -> Generator[Progress, None, None]:
        data, position, base = self._window(self._start)
        memo = self._memo
        runs = self._runs
        limit = self._limits.object_bytes + self._expected * TENSOR_COST
        top = 0  # the next memo index that a pickler would use
        budget = _SLICE
        cost = 0
        append = stack.append
        safe_end = self._safe_end()
        try:
            while True:
                if position > safe_end:
                    data, position, base = self._window(base + position)
                    safe_end = self._safe_end()
                opcode_at = position
                op = data[position]
                position += 1
                cost += COST[op]
                budget -= 1
                if not budget:
                    budget = _SLICE
                    if cost > limit:
                        self.end = base + opcode_at
                        self.problems.append(
                            Problem(
                                "pickle-limit",
                                self._where,
                                {
                                    "offset": base + opcode_at,
                                    "what": "the memory that its objects would take",
                                    "limit": f"{limit >> 20} MiB",
                                },
                            )
                        )
                        break
                    yield Progress("pickle", base + position - self._start, self._length())

                if op == 0x68 or op == 0x6A:  # BINGET, LONG_BINGET
                    if op == 0x68:
                        index = data[position]
                        position += 1
                    else:
                        (index,) = unpack_from("<I", data, position)
                        position += 4
                    if index in memo:
                        value = memo[index]
                        if value is self._rebuild and data[position : position + 2] == b"((":
                            taken_to, top = runs.read(data, opcode_at, base, top, stack, _RUNS)
                            if taken_to != opcode_at:
                                position = opcode_at = taken_to
                                yield Progress(
                                    "pickle", base + position - self._start, self._length()
                                )
                                continue
                        append(value)
                    else:
                        append(self._recall(index))
                elif op == 0x71 or op == 0x72:  # BINPUT, LONG_BINPUT
                    if op == 0x71:
                        index = data[position]
                        position += 1
                    else:
                        (index,) = unpack_from("<I", data, position)
                        position += 4
                    if index >= top:
                        top = index + 1
                    else:
                        runs.forget()
                    memo[index] = stack[-1]
                elif op == 0x4B:  # BININT1
                    append(data[position])
                    position += 1
                elif op == 0x58 or op == 0x8C or op == 0x8D:  # the BINUNICODEs
                    if op == 0x58:
                        (size,) = unpack_from("<I", data, position)
                        position += 4
                    elif op == 0x8C:
                        size = data[position]
                        position += 1
                    else:
                        (size,) = unpack_from("<Q", data, position)
                        position += 8
                    if position + size > len(data):
                        self.end = base + opcode_at
                        payload, data, position, base = self._payload(base + position, size, "str")
                        safe_end = self._safe_end()
                        opcode_at = self.end - base
                    else:
                        payload = data[position : position + size]
                        position += size
                    if isinstance(payload, bytes):
                        cost += size
                        append(text(payload, "utf-8", "surrogatepass"))
                    else:
                        append(payload)
                elif op == 0x28:  # MARK
                    stacks.append(stack)
                    stack = []
                    append = stack.append
                elif op == 0x74:  # TUPLE
                    items = tuple(stack)
                    stack = stacks.pop()
                    append = stack.append
                    append(items)
                elif op == 0x86:  # TUPLE2
                    second = stack.pop()
                    stack[-1] = (stack[-1], second)
                elif op == 0x85:  # TUPLE1
                    stack[-1] = (stack[-1],)
                elif op == 0x87:  # TUPLE3
                    third = stack.pop()
                    second = stack.pop()
                    stack[-1] = (stack[-1], second, third)
                elif op in CONSTANTS:
                    append(CONSTANTS[op])
                elif op == 0x52:  # REDUCE
                    args = stack.pop()
                    function = stack[-1]
                    if type(function) is GlobalRef:
                        function.uses.add("call")
                    stack[-1] = Call("call", function, args, base + opcode_at)
                elif op == 0x51:  # BINPERSID
                    stack[-1] = self._persistent(stack[-1], base + opcode_at)
                elif op == 0x5D:  # EMPTY_LIST
                    append([])
                elif op == 0x7D:  # EMPTY_DICT
                    append(PairList())
                elif op == 0x32:  # DUP
                    append(stack[-1])
                elif op == 0x4D:  # BININT2
                    append(data[position] | data[position + 1] << 8)
                    position += 2
                elif op == 0x4A:  # BININT
                    append(unpack_from("<i", data, position)[0])
                    position += 4
                elif op == 0x47:  # BINFLOAT
                    append(unpack_from(">d", data, position)[0])
                    position += 8
                elif op == 0x94:  # MEMOIZE
                    index = len(memo) + runs.indices
                    top = max(top, index + 1)
                    memo[index] = stack[-1]
                elif op == 0x75:  # SETITEMS
                    items_list = stack
                    stack = stacks.pop()
                    append = stack.append
                    if len(items_list) % 2:
                        raise BrokenPickle("SETITEMS finds a key without a value")
                    pairs = list(zip(items_list[::2], items_list[1::2], strict=True))
                    self._set_pairs(stack, pairs, base + opcode_at)
                elif op == 0x73:  # SETITEM
                    value = stack.pop()
                    key = stack.pop()
                    self._set_pairs(stack, [(key, value)], base + opcode_at)
                elif op == 0x65:  # APPENDS
                    items_list = stack
                    stack = stacks.pop()
                    append = stack.append
                    self._add_items(stack, items_list, base + opcode_at)
                elif op == 0x61:  # APPEND
                    value = stack.pop()
                    self._add_items(stack, [value], base + opcode_at)
                elif op == 0x63 or op == 0x69:  # GLOBAL, INST
                    self.end = base + opcode_at
                    if op == 0x69:
                        args = tuple(stack)
                        stack = stacks.pop()
                        append = stack.append
                    line, data, position, base = self._line(data, position, base)
                    module = text(line, "utf-8")
                    line, data, position, base = self._line(data, position, base)
                    safe_end = self._safe_end()
                    opcode_at = self.end - base
                    found = self._global(module, text(line, "utf-8"), self.end)
                    if op == 0x69:
                        found.uses.add("call")
                        append(Call("call", found, args, self.end))
                    else:
                        append(found)
                elif op == 0x93:  # STACK_GLOBAL
                    name = stack.pop()
                    module = stack.pop()
                    if not isinstance(name, str) or not isinstance(module, str):
                        raise BrokenPickle("STACK_GLOBAL finds no names on the stack")
                    append(self._global(module, name, base + opcode_at))
                elif op == 0x62:  # BUILD
                    value = stack.pop()
                    stack[-1] = self._build(stack[-1], value, base + opcode_at)
                elif op == 0x81:  # NEWOBJ
                    args = stack.pop()
                    stack[-1] = self._new(stack[-1], args, None, base + opcode_at)
                elif op == 0x92:  # NEWOBJ_EX
                    keywords = stack.pop()
                    args = stack.pop()
                    stack[-1] = self._new(stack[-1], args, keywords, base + opcode_at)
                elif op == 0x6F:  # OBJ
                    items_list = stack
                    stack = stacks.pop()
                    append = stack.append
                    function = items_list[0]
                    if type(function) is GlobalRef:
                        function.uses.add("call")
                    append(Call("call", function, tuple(items_list[1:]), base + opcode_at))
                elif op == 0x2E:  # STOP
                    if not stack:
                        raise BrokenPickle("STOP finds the stack empty")
                    self.end = base + position
                    self.value = stack[-1]
                    self.finished = True
                    return
                elif op == 0x80:  # PROTO
                    protocol = data[position]
                    position += 1
                    if protocol > HIGHEST_PROTOCOL:
                        raise BrokenPickle(f"protocol {protocol} is not known")
                    self.protocol = max(self.protocol, protocol)
                elif op == 0x95:  # FRAME
                    (size,) = unpack_from("<Q", data, position)
                    position += 8
                    if base + position + size > self._stream_end:
                        self.problems.append(
                            Problem(
                                "odd-opcode",
                                self._where,
                                {"opcode": "FRAME beyond the end", "offset": base + opcode_at},
                            )
                        )
                elif op in SIZED:
                    kind, width = SIZED[op]
                    size = int.from_bytes(data[position : position + width], "little")
                    if len(data) < position + width:
                        raise StructError
                    position += width
                    self.end = base + opcode_at
                    if position + size > len(data):
                        payload, data, position, base = self._payload(base + position, size, kind)
                        safe_end = self._safe_end()
                        opcode_at = self.end - base
                    else:
                        payload = data[position : position + size]
                        position += size
                    cost += size if isinstance(payload, bytes) else 0
                    append(sized(payload, kind, self._encoding, self._limits))
                elif op in _LINES:
                    self.end = base + opcode_at
                    line, data, position, base = self._line(data, position, base)
                    safe_end = self._safe_end()
                    opcode_at = self.end - base
                    cost += len(line)
                    if op == 0x67:  # GET
                        index = integer(line)
                        append(memo[index] if index in memo else self._recall(index))
                    elif op == 0x70:  # PUT
                        index = integer(line)
                        if index < 0:
                            raise BrokenPickle("PUT has a negative index")
                        if index >= top:
                            top = index + 1
                        else:
                            runs.forget()
                        memo[index] = stack[-1]
                    elif op == 0x50:  # PERSID
                        append(self._persistent(text(line, "utf-8"), base + opcode_at))
                    else:
                        append(literal(op, line, self._encoding))
                elif op == 0x8F:  # EMPTY_SET
                    append(ItemSet([]))
                elif op == 0x90:  # ADDITEMS
                    items_list = stack
                    stack = stacks.pop()
                    append = stack.append
                    if type(stack[-1]) is not ItemSet:
                        raise BrokenPickle("ADDITEMS finds no set")
                    stack[-1].items.extend(items_list)
                elif op == 0x91:  # FROZENSET
                    items_list = stack
                    stack = stacks.pop()
                    append = stack.append
                    append(ItemSet(items_list, frozen=True))
                elif op == 0x6C:  # LIST
                    items_list = stack
                    stack = stacks.pop()
                    append = stack.append
                    append(items_list)
                elif op == 0x64:  # DICT
                    items_list = stack
                    stack = stacks.pop()
                    append = stack.append
                    if len(items_list) % 2:
                        raise BrokenPickle("DICT finds a key without a value")
                    mapping = PairList()
                    mapping.pairs = list(zip(items_list[::2], items_list[1::2], strict=True))
                    append(mapping)
                elif op == 0x30:  # POP
                    if stack:
                        stack.pop()
                    else:
                        stack = stacks.pop()
                        append = stack.append
                elif op == 0x31:  # POP_MARK
                    stack = stacks.pop()
                    append = stack.append
                elif op in (0x82, 0x83, 0x84):  # EXT1, EXT2, EXT4
                    width = {0x82: 1, 0x83: 2, 0x84: 4}[op]
                    code = int.from_bytes(data[position : position + width], "little")
                    position += width
                    append(Foreign("extension", code))
                    self._odd(f"EXT{width} {code}", base + opcode_at)
                elif op == 0x97:  # NEXT_BUFFER
                    append(Foreign("buffer", 0))
                    self._odd("NEXT_BUFFER", base + opcode_at)
                elif op == 0x98:  # READONLY_BUFFER
                    stack[-1] = stack[-1]
                else:
                    raise BrokenPickle(f"there is no opcode 0x{op:02x}")
        except (BrokenPickle, StructError, IndexError):
            self.end = base + opcode_at
            stacks.append(stack)
            self.value = understood(stacks)
            raise
        stacks.append(stack)
        self.value = understood(stacks)

    @property
    def source(self) -> ByteSource:
        """The bytes that the stream is part of."""
        return self._source

    @property
    def start(self) -> int:
        """Where the stream begins in `source`."""
        return self._start

    @property
    def recurring(self) -> list[TensorInfo]:
        """The tensors that were read on the fast path."""
        return self._runs.tensors

    # --- bytes

    def _length(self) -> int:
        return self._stream_end - self._start

    def _safe_end(self) -> int:
        """Up to here the longest fixed-size opcode fits into the window."""
        complete = self._base + len(self._data) >= self._stream_end
        return len(self._data) + 1 if complete else len(self._data) - 16

    def _window(self, offset: int, least: int = 0) -> tuple[bytes, int, int]:
        """Make `_data` begin at `offset` and hold at least `least` bytes, if there are."""
        kept = self._data[offset - self._base :] if offset >= self._base else b""
        size = _WINDOW if self._base > self._start or self._data else _FIRST_WINDOW
        want = max(size, least) - len(kept)
        want = min(want, self._stream_end - offset - len(kept))
        more = self._source.read(offset + len(kept), want) if want > 0 else b""
        if want > 0 and len(more) < want:
            # Somebody truncated the file: what is gone is the end.
            self._stream_end = offset + len(kept) + len(more)
        self._data = kept + more
        self._base = offset
        return self._data, 0, offset

    def _payload(
        self, offset: int, size: int, kind: str
    ) -> tuple[bytes | BytesPlace, bytes, int, int]:
        """`size` bytes at `offset` that reach beyond the window."""
        if offset + size > self._stream_end:
            raise BrokenPickle(
                f"it needs {size} bytes, {max(self._stream_end - offset, 0)} are left"
            )
        if size > self._limits.text_bytes:
            data, position, base = self._window(offset + size)
            place = BytesPlace(kind, offset, size, self._source.place_of(offset))
            return place, data, position, base
        data, position, base = self._window(offset, size)
        if len(data) < size:
            raise BrokenPickle("the file became shorter while it was read")
        return data[:size], data, size, base

    def _line(self, data: bytes, position: int, base: int) -> tuple[bytes, bytes, int, int]:
        end = data.find(b"\n", position)
        if end < 0:
            most = self._limits.line_bytes
            data, position, base = self._window(base + position, most)
            end = data.find(b"\n", position, position + most)
            if end < 0:
                rest = self._stream_end - base - position
                kind = PassedLimit if rest > most else BrokenPickle
                raise kind("a text argument has no end")
        return data[position:end], data, end + 1, base

    # --- values

    def _global(self, module: str, name: str, position: int) -> GlobalRef:
        found = self.globals.get((module, name))
        if found is None:
            if len(self.globals) >= self._limits.globals:
                raise PassedLimit(f"it names more than {self._limits.globals} globals")
            found = self.globals[module, name] = GlobalRef(module, name, position)
            if module == "torch._utils" and name == "_rebuild_tensor_v2":
                self._rebuild = found
                # The runs call it, and the first of them need not be the loop's.
                found.uses.add("call")
        return found

    def _persistent(self, pid: Any, position: int) -> PersistentId | GlobalRef:
        if type(pid) is tuple:
            for part in pid:
                if type(part) is GlobalRef:
                    part.uses.add("persistent-id")
            if len(pid) == 4 and pid[0] in _MODULE_TAGS and type(pid[1]) is GlobalRef:
                # A class with its source, as the legacy format has them for whole models.
                self.sources.append((pid[1].full_name, pid[3]))
                return pid[1]
        elif type(pid) is GlobalRef:
            pid.uses.add("persistent-id")
        reference = PersistentId(pid, position)
        self.references.append(reference)
        return reference

    def _recall(self, index: int) -> Any:
        """A memo entry that a tensor of the recurring form has set."""
        run = self._runs.find(index)
        if run is None:
            raise BrokenPickle(f"the memo has no entry {index}")
        last, position, end, tensor = run
        if index != last:
            self._replay(position, end)
        self._memo[last] = tensor
        return self._memo[index]

    def _replay(self, position: int, end: int) -> None:
        """Execute the opcodes between `position` and `end` again, for what they memoize."""
        again = PickleMachine(
            self._source, position, end, self._limits, StorageTable(), self._encoding
        )
        again._memo = self._memo
        again.globals = self.globals
        try:
            for _ in again._execute([], []):
                pass
        except IndexError:
            # The run has no STOP: the machine finds the end of its bytes.
            return

    # --- containers

    def _as_call(self, tensor: TensorInfo) -> Any:
        """The call that a run stands for: an opcode acts on it as on any other call."""
        last, position, end = self._runs.place_of(tensor)
        self._replay(position, end)
        return self._memo[last]

    def _set_pairs(self, stack: list[Any], pairs: list[tuple[Any, Any]], position: int) -> None:
        target = stack[-1]
        if type(target) is TensorInfo:
            target = stack[-1] = self._as_call(target)
        if type(target) is PairList:
            target.pairs.extend(pairs)
        elif type(target) is Call:
            if target.pairs is None:
                target.pairs = pairs
            else:
                target.pairs.extend(pairs)
        else:
            stack[-1] = self._applied("setitem", target, pairs, position)

    def _add_items(self, stack: list[Any], items: list[Any], position: int) -> None:
        target = stack[-1]
        if type(target) is TensorInfo:
            target = stack[-1] = self._as_call(target)
        if type(target) is list:
            target.extend(items)
        elif type(target) is Call:
            if target.items is None:
                target.items = list(items)
            else:
                target.items.extend(items)
        else:
            stack[-1] = self._applied("append", target, items, position)

    def _build(self, target: Any, state: Any, position: int) -> Any:
        if type(target) is TensorInfo:
            target = self._as_call(target)
        if type(target) is Call:
            if type(target.function) is GlobalRef:
                target.function.uses.add("build")
            if target.state is None:
                target.state = [state]
            else:
                target.state.append(state)
            return target
        if type(target) is GlobalRef:
            target.uses.add("build")
        return self._applied("build", target, [state], position)

    def _applied(self, kind: str, target: Any, arguments: list[Any], position: int) -> Call:
        """An opcode that acts on what is neither a container nor a call, as a node."""
        if type(target) is GlobalRef and kind != "build":
            target.uses.add("call")
        self._odd(f"{kind.upper()} on something that is no container", position)
        return Call(kind, target, tuple(arguments), position)

    def _new(self, function: Any, args: Any, keywords: Any, position: int) -> Call:
        if type(function) is GlobalRef:
            function.uses.add("newobj")
        return Call("newobj", function, args, position, keywords)

    def _odd(self, opcode: str, position: int) -> None:
        if len(self.problems) < 100:
            self.problems.append(
                Problem("odd-opcode", self._where, {"opcode": opcode, "offset": position})
            )


CONSTANTS = {0x29: (), 0x4E: None, 0x88: True, 0x89: False}
# Opcodes with a length before their bytes: what they make, and the length's width.
SIZED = {
    0x42: ("bytes", 4),  # BINBYTES
    0x43: ("bytes", 1),  # SHORT_BINBYTES
    0x8E: ("bytes", 8),  # BINBYTES8
    0x96: ("bytearray", 8),  # BYTEARRAY8
    0x54: ("str", 4),  # BINSTRING
    0x55: ("str", 1),  # SHORT_BINSTRING
    0x8A: ("int", 1),  # LONG1
    0x8B: ("int", 4),  # LONG4
}
_MODULE_TAGS = ("module", b"module")
_LINES = frozenset(b"gpPILFVS")
