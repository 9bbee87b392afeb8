"""The pickle opcodes as data: how long each is, what it does to the stack, what it says.

Source: the table of CPython's ``pickletools``, protocols 0 to 5. Nothing here executes one.
"""

from __future__ import annotations

import struct
from pickletools import opcodes

from inspector_app.checkpoint.limits import Limits
from inspector_app.checkpoint.pickle_literals import BrokenPickle, literal
from inspector_app.checkpoint.text import plain

SHOWN = 160  # characters of an argument
HEAD_BYTES = 4 * SHOWN  # of a longer one, these are read
UNKNOWN, PREFIXED, LINES = -1, 100, 200
TO_MARK = 100

MARK, POP, STOP, FRAME = 0x28, 0x30, 0x2E, 0x95
PUT, BINPUT, LONG_BINPUT, MEMOIZE = 0x70, 0x71, 0x72, 0x94
PUTS = frozenset((PUT, BINPUT, LONG_BINPUT, MEMOIZE))
GETS = frozenset((0x67, 0x68, 0x6A))  # GET, BINGET, LONG_BINGET

# By opcode: its name; bytes of its argument if their number is fixed, `PREFIXED` and the
# width of the length before it, `LINES` and how many lines, or `UNKNOWN`; how many objects
# it needs; by how many it changes the stack, or `TO_MARK` and by how many beside those down
# to the mark; CPython's own description.
NAMES = [""] * 256
SIZES = [UNKNOWN] * 256
NEEDS = [0] * 256
EFFECTS = [0] * 256
DESCRIPTIONS = [""] * 256

_WIDTHS = {-2: 1, -3: 4, -4: 4, -5: 8}
for _each in opcodes:
    _code = ord(_each.code)
    NAMES[_code] = _each.name
    DESCRIPTIONS[_code] = _each.doc
    if _each.arg is None:
        SIZES[_code] = 0
    elif _each.arg.n >= 0:
        SIZES[_code] = _each.arg.n
    elif _each.arg.n == -1:
        SIZES[_code] = LINES + (2 if _each.arg.name == "stringnl_noescape_pair" else 1)
    else:
        SIZES[_code] = PREFIXED + _WIDTHS[_each.arg.n]
    _before = [str(_object) for _object in _each.stack_before]
    if "mark" in _before:
        NEEDS[_code] = _before.index("mark")
        EFFECTS[_code] = TO_MARK + len(_each.stack_after) - _before.index("mark")
    else:
        NEEDS[_code] = len(_before)
        EFFECTS[_code] = len(_each.stack_after) - len(_before)
# `pickletools` says that it needs nothing: it names what lies on top.
for _code in (PUT, BINPUT, LONG_BINPUT):
    NEEDS[_code] = 1

_INTEGERS = {0x4A: "<i", 0x4B: "<B", 0x4D: "<H", 0x82: "<B", 0x83: "<H", 0x84: "<i", 0x80: "<B"}
_INDICES = {0x68: "<B", 0x6A: "<I", 0x71: "<B", 0x72: "<I"}
_TEXTS = frozenset((0x58, 0x8C, 0x8D, 0x54, 0x55))
_LONGS = frozenset((0x8A, 0x8B))


def fixed_argument(op: int, raw: bytes, end: int) -> str:
    """The argument of an opcode of fixed size in words.

    Args:
        raw: its bytes.
        end: where the opcode ends, which is where a frame begins.
    """
    if op in _INTEGERS:
        return str(struct.unpack(_INTEGERS[op], raw)[0])
    if op in _INDICES:
        return str(struct.unpack(_INDICES[op], raw)[0])
    if op == 0x47:
        return repr(struct.unpack(">d", raw)[0])
    if op == FRAME:
        size = int.from_bytes(raw, "little")
        return f"{size} bytes, up to {end + size}"
    return raw.hex()


def prefixed_argument(op: int, head: bytes, size: int, limits: Limits) -> tuple[str, bool]:
    """The argument of an opcode that has its length before it, and whether it can be read.

    Args:
        head: its first bytes, all of them up to `HEAD_BYTES`.
        size: how many it has.
    """
    more = f" … {size} bytes" if size > len(head) else ""
    if op in _LONGS:
        if size > limits.integer_bytes:
            return f"an integer of {size} bytes", True
        return str(int.from_bytes(head, "little", signed=True)), True
    if op in _TEXTS:
        try:
            text = _decoded(head, cut=bool(more))
        except UnicodeDecodeError:
            # Python 2 strings may be of any encoding; others have to be UTF-8.
            return f"{_bytes_text(head)}{more}", op in (0x54, 0x55)
        return f"'{plain(text, SHOWN)}'{more}", True
    return f"{_bytes_text(head)}{more}", True


def line_argument(op: int, lines: list[bytes]) -> tuple[str, bool]:
    """The argument of a text opcode, and whether it is of the opcode's type."""
    heads = [line[: HEAD_BYTES * 4] for line in lines]
    text = " ".join(plain(head.decode("utf-8", "backslashreplace"), SHOWN) for head in heads)
    if op in (0x63, 0x69):
        return text, all(map(_is_utf8, lines))
    if op == 0x50:
        return text, _is_utf8(lines[0])
    if op in PUTS or op in GETS:
        return text, memo_index(lines[0]) is not None
    try:
        value = literal(op, lines[0], "utf-8")
    except BrokenPickle:
        return text, False
    if isinstance(value, str):
        return f"'{plain(value, SHOWN)}'", True
    if isinstance(value, bytes):
        return _bytes_text(value), True
    return plain(repr(value), SHOWN), True


def memo_index(line: bytes) -> int | None:
    """The index that PUT or GET writes out, or None if the line is none."""
    if not line or len(line) > 20:
        return None
    try:
        index = int(line)
    except ValueError:
        return None
    return index if index >= 0 else None


def _decoded(head: bytes, cut: bool) -> str:
    try:
        return head.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        # A character may be cut in two where the head ends.
        if not cut or error.start < len(head) - 3:
            raise
        return head[: error.start].decode("utf-8", "surrogatepass")


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _bytes_text(data: bytes) -> str:
    return plain(repr(bytes(data[:SHOWN])), SHOWN)
