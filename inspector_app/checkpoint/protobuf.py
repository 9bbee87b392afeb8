"""The wire format of protocol buffers, walked without decoding what is not asked for.

Source: https://protobuf.dev/programming-guides/encoding/. A message is a run of fields; a
field is a varint tag (number << 3 | wire type) and a payload, whose length is known
without looking into it. So a gigabyte of weights costs the few bytes before it.
"""

from __future__ import annotations

from collections.abc import Iterator

from inspector_app.checkpoint.byte_source import ByteSource

VARINT = 0
FIXED64 = 1
BYTES = 2
FIXED32 = 5

# Number, wire type, and of a varint its value (unsigned, 64 bits), else the offset in the
# file and the length of the payload.
Field = tuple[int, int, int, int]

_LONGEST_HEAD = 20  # two varints of ten bytes: the tag and the length
_FIRST_WINDOW = 1 << 12
_LAST_WINDOW = 1 << 16
_MOST_FIELDS = 100_000
_MOST_FAULTS = 1_000


class WireReader:
    """Reads messages of one file.

    Attributes:
        faults: the offset and the reason of each place where a message broke off.
        steps: fields walked so far.
    """

    def __init__(self, source: ByteSource) -> None:
        self.source = source
        self.faults: list[tuple[int, str]] = []
        self.steps = 0
        self._cut = False
        self._base = 0
        self._data = b""
        self._next_window = _FIRST_WINDOW

    def fields(self, start: int, end: int, most: int = _MOST_FIELDS) -> Iterator[Field]:
        """The fields of the message at [`start`, `end`) of the file.

        Where the message breaks, a fault is noted and the walk ends. A payload that
        reaches over the end is cut there and is the last.
        """
        at = start
        base, data = self._base, self._data
        while at < end:
            if most <= 0:
                self._note(at, "the message has too many fields", end)
                return
            most -= 1
            self.steps += 1
            if not base <= at <= base + len(data) - _LONGEST_HEAD:
                base, data = self._window(at)
            place = at - base
            try:
                tag = data[place]
                place += 1
                if tag >= 0x80:
                    tag, place = _varint(data, place - 1)
                wire = tag & 7
                if wire == FIXED32:
                    value, length = base + place, 4
                elif wire == FIXED64:
                    value, length = base + place, 8
                elif wire in (VARINT, BYTES):
                    value = data[place]
                    place += 1
                    if value >= 0x80:
                        value, place = _varint(data, place - 1)
                    length = 0
                    if wire == BYTES:
                        value, length = base + place, value
                else:
                    self._note(at, f"wire type {wire} is none that is in use", end)
                    return
            except IndexError:
                self._note(at, "the file ends within a field", end)
                return
            except ValueError:
                self._note(at, "a varint is longer than ten bytes", end)
                return
            number = tag >> 3
            if not 0 < number < 1 << 29:
                self._note(at, f"{number} is no field number", end)
                return
            following = base + place + length
            if following > end:
                self._note(at, f"field {number} reaches {following - end} bytes over the end", end)
                if wire == BYTES and value <= end:
                    yield number, wire, value, end - value
                return
            at = following
            yield number, wire, value, length

    def varints(self, start: int, end: int, most: int) -> list[int]:
        """At most `most` varints that are packed at [`start`, `end`) of the file."""
        data = self.read(start, min(end - start, 10 * most))
        found: list[int] = []
        place = 0
        try:
            while place < len(data) and len(found) < most:
                value, place = _varint(data, place)
                found.append(value)
        except (IndexError, ValueError):
            self._note(start + place, "a varint is broken", end)
        return found

    def read(self, offset: int, count: int) -> bytes:
        """At most `count` bytes at `offset`."""
        place = offset - self._base
        if place >= 0 and place + count <= len(self._data):
            return self._data[place : place + count]
        return self.source.read(offset, count)

    def _note(self, offset: int, reason: str, end: int) -> None:
        if end >= self.source.size:
            # One cut at the end of the file breaks the outermost message and all within.
            if self._cut:
                return
            self._cut = True
        if len(self.faults) < _MOST_FAULTS:
            self.faults.append((offset, reason))

    def _window(self, at: int) -> tuple[int, bytes]:
        end = self._base + len(self._data)
        if not self._base <= at <= end - _LONGEST_HEAD and not (
            self._base <= at and end == self.source.size
        ):
            # Small after a jump over weights, large where messages follow each other.
            follows = self._base <= at <= end
            self._next_window = (
                min(2 * self._next_window, _LAST_WINDOW) if follows else _FIRST_WINDOW
            )
            self._base = at
            self._data = self.source.read(at, self._next_window)
        return self._base, self._data


def signed(value: int) -> int:
    """The int64 that a varint stands for."""
    return value - (1 << 64) if value >= 1 << 63 else value


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, place
    raise ValueError
