"""The opcodes of a pickle stream, listed without executing one.

A stream of a hundred thousand tensors has millions of opcodes. `Disassembly.indexing` walks
them once, in short steps, and keeps where each 250th stands; a row is decoded when it
is asked for. What is listed ends at STOP, or where the next opcode cannot be told.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Generator
from typing import NamedTuple

from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.errors import UnreadableFile
from inspector_app.checkpoint.limits import DEFAULT, Limits
from inspector_app.checkpoint.model import Progress
from inspector_app.checkpoint.pickle_opcodes import (
    BINPUT,
    EFFECTS,
    GETS,
    HEAD_BYTES,
    LINES,
    LONG_BINPUT,
    MARK,
    MEMOIZE,
    NAMES,
    NEEDS,
    POP,
    PREFIXED,
    PUT,
    PUTS,
    SIZES,
    STOP,
    TO_MARK,
    UNKNOWN,
    fixed_argument,
    line_argument,
    memo_index,
    prefixed_argument,
)

BLOCK = 250  # rows between two places that are kept
_KEPT_BLOCKS = 24
_WINDOW = 1 << 20
_STEP = 2_000  # opcodes between two steps: one to two milliseconds
_BITS = [1 << code for code in range(256)]
_MOST_MARKS = 100_000
_MOST_ODD = 200_000  # memo entries that no pickler would make, and overwritten ones

_Marks = tuple[int, "_Marks"] | None


class Row(NamedTuple):
    """One opcode.

    Attributes:
        number: of the row, from 0.
        offset: of its first byte, in the source.
        length: in bytes, its argument included.
        opcode: its byte.
        name: as ``pickletools`` has it.
        argument: as inert text of bounded length, or "".
        memo: the entry that it writes or reads, or None.
        depth: objects on the stack after it, marks counted; None where it cannot be told.
        level: how many marks are open before it.
        sound: its argument is of its type.
    """

    number: int
    offset: int
    length: int
    opcode: int
    name: str
    argument: str
    memo: int | None
    depth: int | None
    level: int
    sound: bool


class _Place(NamedTuple):
    """What is known before a row."""

    offset: int
    depth: int
    marks: _Marks
    level: int
    entries: int  # of the memo


class _Break(Exception):
    """The next opcode cannot be told."""


class Disassembly:
    """The opcodes of one stream.

    Args:
        source: the file or record.
        start, end: the stream lies within these bytes; it may end earlier.

    Attributes:
        count: rows that are known.
        complete: there are no more.
        stopped: the last row is STOP.
        end: after the last row.
        trouble: why the listing ends without STOP, as a sentence, or "".
    """

    def __init__(self, source: ByteSource, start: int, end: int, limits: Limits = DEFAULT) -> None:
        self._source = source
        self.start = start
        self._stream_end = min(end, source.size)
        self._limits = limits
        self.count = 0
        self.complete = False
        self.stopped = False
        self.end = start
        self.trouble = ""
        self._places: list[_Place] = []
        self._offsets = array("Q")
        self._codes: list[int] = []  # of each block a bit for every opcode in it
        self._sound = -1  # the row from which the depth is not known
        self._memo_known = -1  # the row from which indices are not known
        self._overwritten = array("Q")  # rows that write an entry which is there already
        self._top = 0  # entries below are there
        self._beyond: set[int] = set()
        self._kept: OrderedDict[int, list[Row]] = OrderedDict()

    # --- the index

    def indexing(self) -> Generator[Progress, None, None]:
        """Walk the stream once; rows can be read as far as it has come.

        Raises:
            UnreadableFile: the operating system reports an error.
        """
        offset, depth, level = self.start, 0, 0
        marks: _Marks = None
        floor = 0
        number = seen = 0
        data, base, safe = self._window(offset)
        position = 0
        try:
            while True:
                if number % BLOCK == 0:
                    entries = self._top + len(self._beyond)
                    self._places.append(_Place(base + position, depth, marks, level, entries))
                    self._offsets.append(base + position)
                    if number:
                        self._codes.append(seen)
                        seen = 0
                    self.end, self.count = base + position, number
                    if number % _STEP == 0:
                        yield Progress("pickle", base + position - self.start, self._length())
                if position > safe:
                    data, base, safe = self._window(base + position)
                    position = 0
                if position >= len(data):
                    raise _Break("the stream ends without STOP")
                op = data[position]
                size = SIZES[op]
                if size < PREFIXED:
                    if size == UNKNOWN:
                        raise _Break(f"there is no opcode 0x{op:02x}")
                    after = position + 1 + size
                    if after > len(data):
                        raise _Break("the stream ends inside an opcode")
                elif size < LINES:
                    width = size - PREFIXED
                    begin = position + 1 + width
                    if begin > len(data):
                        raise _Break("the stream ends inside an opcode")
                    after = begin + int.from_bytes(data[position + 1 : begin], "little")
                    if base + after > self._stream_end:
                        raise _Break(
                            f"an argument needs {after - begin} bytes, "
                            f"{self._stream_end - base - begin} are left"
                        )
                else:
                    ends = self._line_ends(data, base, position + 1, size - LINES)
                    if op == PUT:
                        line = self._bytes(data, base, position + 1, ends[0])
                        self._put(memo_index(line), number)
                    after = ends[-1] + 1
                if op == BINPUT:
                    if data[position + 1] == self._top:
                        self._top += 1
                    else:
                        self._put(data[position + 1], number)
                elif op == LONG_BINPUT:
                    index = int.from_bytes(data[position + 1 : after], "little")
                    if index == self._top:
                        self._top += 1
                    else:
                        self._put(index, number)
                elif op == MEMOIZE:
                    self._put(self._top + len(self._beyond), number)
                effect = EFFECTS[op]
                if op == MARK:
                    marks = (depth, marks)
                    depth += 1
                    floor = depth
                    level += 1
                    if level > _MOST_MARKS:
                        self._lose_depth(number)
                        marks, level = None, 0
                elif effect >= TO_MARK - 4 or (op == POP and marks is not None and depth == floor):
                    if marks is None or marks[0] < NEEDS[op] - (op == POP):
                        self._lose_depth(number)
                        depth = level = floor = 0
                        marks = None
                    else:
                        depth = marks[0] + (0 if op == POP else effect - TO_MARK)
                        marks = marks[1]
                        floor = marks[0] + 1 if marks is not None else 0
                        level -= 1
                else:
                    if depth - NEEDS[op] < floor:
                        self._lose_depth(number)
                        depth = floor + NEEDS[op]
                    depth += effect
                number += 1
                seen |= _BITS[op]
                if after > len(data):
                    data, base, safe = self._window(base + after)
                    position = 0
                else:
                    position = after
                if op == STOP:
                    self.stopped = True
                    break
        except _Break as end:
            self.trouble = str(end)
        self.end, self.count, self.complete = base + position, number, True
        self._codes.append(seen)
        self._beyond.clear()

    def _put(self, index: int | None, number: int) -> None:
        if index is None or len(self._beyond) + len(self._overwritten) > _MOST_ODD:
            if self._memo_known < 0:
                self._memo_known = number
        elif index < self._top or index in self._beyond:
            self._overwritten.append(number)
        elif index > self._top:
            self._beyond.add(index)
        else:
            self._top += 1
            while self._beyond and self._top in self._beyond:
                self._beyond.discard(self._top)
                self._top += 1

    def _lose_depth(self, number: int) -> None:
        if self._sound < 0:
            self._sound = number

    # --- rows

    def row(self, number: int) -> Row:
        """A row that is known.

        Raises:
            IndexError: it is not known.
            UnreadableFile: the bytes cannot be read any more, or have changed.
        """
        if not 0 <= number < self.count:
            raise IndexError(number)
        block = number // BLOCK
        rows = self._kept.get(block)
        wanted = min(BLOCK, self.count - block * BLOCK)
        if rows is None or len(rows) < wanted:
            rows = self._kept[block] = self._decoded(block, wanted)
            if len(self._kept) > _KEPT_BLOCKS:
                self._kept.popitem(last=False)
        self._kept.move_to_end(block)
        if number % BLOCK >= len(rows):
            raise UnreadableFile("file-changed", self._source.path)
        return rows[number % BLOCK]

    def row_at(self, offset: int) -> int | None:
        """The number of the row whose bytes hold `offset`, as far as rows are known."""
        if not self.start <= offset < self.end or not self.count:
            return None
        block = bisect_right(self._offsets, offset) - 1
        first = block * BLOCK
        low, high = first, min(first + BLOCK, self.count) - 1
        while low < high:
            middle = (low + high + 1) // 2
            if self.row(middle).offset <= offset:
                low = middle
            else:
                high = middle - 1
        return low

    def has_opcode(self, block: int, bits: int) -> bool:
        """Whether any of the opcodes whose bits are set stands in a block of `BLOCK` rows."""
        return bool(self._codes[block] & bits)

    def bytes_of(self, block: int, most: int) -> bytes | None:
        """The bytes of a block of rows, or None if they are more than `most`."""
        begin = self._offsets[block]
        end = self._offsets[block + 1] if block + 1 < len(self._offsets) else self.end
        return self._source.read(begin, end - begin) if end - begin <= most else None

    def _decoded(self, block: int, count: int) -> list[Row]:
        place = self._places[block]
        offset, depth, marks, level, entries = place
        floor = marks[0] + 1 if marks is not None else 0
        # What the rows take, if that is little: it may be read from the disk again and again.
        following = self._offsets[block + 1] if block + 1 < len(self._offsets) else self.end
        data, base, safe = self._window(offset, max(min(following - offset + 16, _WINDOW), 64))
        position = 0
        rows: list[Row] = []
        for number in range(block * BLOCK, block * BLOCK + count):
            if position > safe:
                data, base, safe = self._window(base + position)
                position = 0
            if position >= len(data):
                break
            op = data[position]
            size = SIZES[op]
            memo: int | None = None
            sound = True
            if size < PREFIXED:
                after = position + 1 + size
                raw = data[position + 1 : after]
                if size == UNKNOWN or len(raw) < size:
                    break
                argument = fixed_argument(op, raw, base + after) if size else ""
                if size and (op in PUTS or op in GETS):
                    memo = int.from_bytes(raw, "little")
            elif size < LINES:
                begin = position + 1 + size - PREFIXED
                length = int.from_bytes(data[position + 1 : begin], "little")
                after = begin + length
                head = min(length, HEAD_BYTES)
                if op in (0x8A, 0x8B) and length <= self._limits.integer_bytes:
                    head = length
                raw = self._bytes(data, base, begin, begin + head)
                if len(raw) < head:
                    break
                argument, sound = prefixed_argument(op, raw, length, self._limits)
            else:
                try:
                    ends = self._line_ends(data, base, position + 1, size - LINES)
                except _Break:
                    break
                begins = [position + 1, ends[0] + 1]
                lines = [self._bytes(data, base, *each) for each in zip(begins, ends, strict=False)]
                argument, sound = line_argument(op, lines)
                if op in PUTS or op in GETS:
                    memo = memo_index(lines[0])
                after = ends[-1] + 1
            if op in PUTS:
                if op == MEMOIZE:
                    memo = entries if not 0 <= self._memo_known <= number else None
                    argument = str(memo) if memo is not None else ""
                if not self._overwrites(number):
                    entries += 1
            before = level
            effect = EFFECTS[op]
            if op == MARK:
                marks = (depth, marks)
                depth += 1
                floor = depth
                level += 1
            elif effect >= TO_MARK - 4 or (op == POP and marks is not None and depth == floor):
                if marks is not None:
                    depth = marks[0] + (0 if op == POP else effect - TO_MARK)
                    marks = marks[1]
                    floor = marks[0] + 1 if marks is not None else 0
                    level -= 1
            else:
                depth += effect
            known = self._sound < 0 or number < self._sound
            rows.append(
                Row(
                    number,
                    base + position,
                    after - position,
                    op,
                    NAMES[op],
                    argument,
                    memo,
                    depth if known else None,
                    before if known else 0,
                    sound,
                )
            )
            if after > len(data):
                data, base, safe = self._window(base + after)
                position = 0
            else:
                position = after
        return rows

    def _overwrites(self, number: int) -> bool:
        at = bisect_right(self._overwritten, number) - 1
        return at >= 0 and self._overwritten[at] == number

    # --- bytes

    def _length(self) -> int:
        return max(self._stream_end - self.start, 0)

    def _window(self, offset: int, most: int = _WINDOW) -> tuple[bytes, int, int]:
        """Bytes from `offset`, `offset`, and up to where the fixed part of an opcode fits."""
        count = min(most, self._stream_end - offset)
        data = self._source.read(offset, count) if count > 0 else b""
        whole = offset + len(data) >= self._stream_end or len(data) < count
        return data, offset, len(data) if whole else len(data) - 16

    def _bytes(self, data: bytes, base: int, begin: int, end: int) -> bytes:
        """Bytes of the window, or beyond it."""
        if end <= len(data):
            return data[begin:end]
        return self._source.read(base + begin, end - begin)

    def _line_ends(self, data: bytes, base: int, begin: int, lines: int) -> list[int]:
        """Where lines end, relative to `base`.

        Raises:
            _Break: one has no end, or is longer than the limit.
        """
        ends: list[int] = []
        most = self._limits.line_bytes
        for _ in range(lines):
            end = data.find(b"\n", begin, begin + most)
            if end < 0:
                if begin + most <= len(data):
                    raise _Break("a text argument has no end")
                count = min(most, self._stream_end - base - begin)
                more = self._source.read(base + begin, count) if count > 0 else b""
                end = more.find(b"\n")
                if end < 0:
                    raise _Break("a text argument has no end")
                end += begin
            ends.append(end)
            begin = end + 1
        return ends
