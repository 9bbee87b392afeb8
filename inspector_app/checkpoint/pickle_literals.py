"""The values that a pickle writes out, and what is left of one that breaks."""

from __future__ import annotations

import codecs
from typing import Any

from inspector_app.checkpoint.limits import Limits
from inspector_app.checkpoint.pickle_nodes import ByteArray, BytesPlace, Call, GlobalRef, PairList

_MOST_DIGITS = 1000


class BrokenPickle(Exception):
    """The stream cannot be executed on."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class PassedLimit(BrokenPickle):
    """The same because of a limit of ours: another unpickler would read on."""


def text(raw: bytes, encoding: str, errors: str = "strict") -> str:
    """The text of a BINUNICODE, a GLOBAL or a line.

    Raises:
        BrokenPickle: it is not of this encoding.
    """
    try:
        return raw.decode(encoding, errors)
    except UnicodeDecodeError:
        raise BrokenPickle(f"a text is not valid {encoding}") from None


def integer(line: bytes) -> int:
    """The integer of a text opcode.

    Raises:
        BrokenPickle: it is none, or so long that reading it would take its square in time.
    """
    if len(line) > _MOST_DIGITS:
        raise PassedLimit(f"an integer of more than {_MOST_DIGITS} digits")
    try:
        return int(line) if line.isdigit() else int(line, 0)
    except ValueError:
        raise BrokenPickle("a text argument is no integer") from None


def sized(payload: bytes | BytesPlace, kind: str, encoding: str, limits: Limits) -> Any:
    """The value of an opcode that has its length before its bytes.

    Args:
        kind: ``bytes``, ``bytearray``, ``int`` or ``str``, which is Python 2's.

    Raises:
        BrokenPickle: an integer is longer than `limits` allows.
    """
    if isinstance(payload, BytesPlace):
        return payload
    if kind == "bytes":
        return payload
    if kind == "bytearray":
        return ByteArray(payload)
    if kind == "int":
        if len(payload) > limits.integer_bytes:
            raise PassedLimit(f"an integer of {len(payload)} bytes")
        return int.from_bytes(payload, "little", signed=True)
    return _python2_text(payload, encoding)


def literal(op: int, line: bytes, encoding: str) -> Any:
    """The value of INT, LONG, FLOAT, UNICODE or STRING from its line.

    Raises:
        BrokenPickle: the line is not of the opcode's type.
    """
    try:
        if op == 0x49:  # INT, which also writes booleans
            return line == b"01" if line in (b"00", b"01") else integer(line)
        if op == 0x4C:  # LONG
            return integer(line.removesuffix(b"L"))
        if op == 0x46:  # FLOAT
            return float(line)
        if op == 0x56:  # UNICODE
            return text(line, "raw-unicode-escape")
        # STRING: a Python 2 repr.
        if len(line) < 2 or line[0] != line[-1] or line[0] not in b"\"'":
            raise BrokenPickle("STRING has no quotes")
        return _python2_text(codecs.escape_decode(line[1:-1])[0], encoding)
    except ValueError:
        raise BrokenPickle("a text argument is not of its type") from None


def _python2_text(raw: bytes, encoding: str) -> str | bytes:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        return raw


def understood(stacks: list[list[Any]]) -> Any:
    """Close what was open when the stream broke, from the inside out."""
    while len(stacks) > 1:
        items = stacks.pop()
        below = stacks[-1]
        target = below[-1] if below else None
        if type(target) is GlobalRef:
            # The arguments of a call that was never made.
            below.pop()
        elif type(target) is list:
            target.extend(items)
        elif type(target) is PairList or type(target) is Call:
            # A last key without its value is left out.
            pairs = list(zip(items[::2], items[1::2], strict=False))
            target.pairs = [*(target.pairs or []), *pairs]
        else:
            below.extend(items)
    stack = stacks[0]
    for position in range(len(stack) - 2, 0, -1):
        # A key and its value whose SETITEM was not reached.
        target = stack[position - 1]
        if type(target) is PairList:
            target.pairs.append((stack[position], stack[position + 1]))
            break
    return stack[0] if stack else None
