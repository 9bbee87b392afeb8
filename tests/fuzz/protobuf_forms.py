"""Protobuf messages as trees of fields: changed, and written again with right lengths.

Wire format: protobuf.dev/programming-guides/encoding. What a length-delimited field holds
is a message where it can be read as one, else bytes.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

_DEPTH = 8
_NUMBERS = (0, 1, 2, 6, 7, 16, 23, 127, 128, 2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1)


@dataclass
class Field:
    """One field.

    Attributes:
        number: of the field.
        wire: 0 varint, 1 eight bytes, 2 length-delimited, 5 four bytes.
        value: an int, bytes, or a list of fields.
        length: what it says instead of its length, if anything.
    """

    number: int
    wire: int
    value: Any
    length: int | None = None


def varint(value: int) -> bytes:
    raw = bytearray()
    while value > 127:
        raw.append(value & 127 | 128)
        value >>= 7
    raw.append(value)
    return bytes(raw)


def parsed(data: bytes, depth: int = _DEPTH) -> list[Field] | None:
    """The fields of a message; None where the bytes are none."""
    fields = []
    position = 0
    while position < len(data):
        tag = _varint(data, position)
        if tag is None or not tag[0] >> 3:
            return None
        number, wire = tag[0] >> 3, tag[0] & 7
        position = tag[1]
        if wire in (1, 5):
            width = 8 if wire == 1 else 4
            value: Any = data[position : position + width]
            if len(value) < width:
                return None
            position += width
        elif wire in (0, 2):
            found = _varint(data, position)
            if found is None:
                return None
            value, position = found
            if wire == 2:
                inner = data[position : position + value]
                if len(inner) < value:
                    return None
                position += value
                message = parsed(inner, depth - 1) if depth and inner else None
                value = inner if message is None else message
        else:
            return None
        fields.append(Field(number, wire, value))
    return fields


def _varint(data: bytes, position: int) -> tuple[int, int] | None:
    value = shift = 0
    while position < len(data) and shift < 70:
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, position
    return None


def dumped(fields: list[Field]) -> bytes:
    """The bytes of `parsed`."""
    raw = b""
    for item in fields:
        raw += varint(item.number << 3 | item.wire)
        if item.wire == 0:
            raw += varint(item.value) if isinstance(item.value, int) else b"\x00"
        else:
            value = dumped(item.value) if isinstance(item.value, list) else item.value
            if item.wire == 2:
                raw += varint(len(value) if item.length is None else item.length)
            raw += value
    return raw


def changed(data: bytes, random: random.Random) -> bytes:
    """The message with one to four fields that are other than they were."""
    message = parsed(data) or []
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        lists = [message]
        for fields in lists:
            lists.extend(item.value for item in fields if isinstance(item.value, list))
        lists = [fields for fields in lists if fields]
        if not lists:
            break
        fields = random.choice(lists)
        index = random.randrange(len(fields))
        _change(fields, index, lists, random)
    return dumped(message)


def _change(
    fields: list[Field], index: int, lists: list[list[Field]], random: random.Random
) -> None:
    item = fields[index]
    kind = random.randrange(9)
    if kind == 0:
        del fields[index]
    elif kind == 1:
        fields.insert(index, Field(item.number, item.wire, item.value))
    elif kind == 2:
        fields[index] = Field(random.randrange(1, 40), item.wire, item.value)
    elif kind == 3 and item.wire == 2:
        item.length = random.choice((*_NUMBERS, 3))
    elif kind == 4:
        # As the message inside: some levels of it.
        value = dumped(item.value) if isinstance(item.value, list) else item.value
        if isinstance(value, bytes) and item.wire == 2:
            for _ in range(random.choice((1, 5, 120))):
                value = varint(item.number << 3 | 2) + varint(len(value)) + value
            fields[index] = Field(item.number, 2, value)
    elif kind == 5:
        other = random.choice(random.choice(lists))
        raw = dumped([other])
        again = parsed(raw)
        if again:
            fields[index] = Field(item.number, again[0].wire, again[0].value)
    elif item.wire == 0:
        fields[index] = Field(item.number, 0, random.choice(_NUMBERS))
    elif isinstance(item.value, bytes):
        raw = bytearray(item.value or b"\0")
        raw[random.randrange(len(raw))] = random.randrange(256)
        cut = raw[: random.randrange(len(raw) + 1)] if random.random() < 0.3 else raw
        fields[index] = Field(item.number, item.wire, bytes(cut) if item.wire == 2 else bytes(raw))
    else:
        fields[index] = Field(item.number, 2, random.choice((b"", b"\xff", b"\0" * 20)))
