"""Inert values as one short line of text, for people to read.

Nothing is called, hashed or compared, and no more is looked at than is shown: what the
file made may contain itself, or be a million levels deep.
"""

from __future__ import annotations

from typing import Any

from inspector_app.checkpoint.model import TensorInfo
from inspector_app.checkpoint.pickle_nodes import (
    ByteArray,
    BytesPlace,
    Call,
    Foreign,
    GlobalRef,
    ItemSet,
    PairList,
    PersistentId,
)
from inspector_app.checkpoint.text import plain

LIMIT = 300
_DEPTH = 4
_ITEMS = 12
_TEXT = 120
_MOST_BITS = 256


def inert_text(value: Any, limit: int = LIMIT) -> str:
    """`value` as Python would write it, as far as `limit` characters go, safe to print."""
    writer = _Writer(limit)
    writer.write(value, 0)
    return plain("".join(writer.parts), limit)


def arguments_text(arguments: Any, limit: int = LIMIT) -> str:
    """The arguments of a call, without the brackets around them."""
    if type(arguments) is not tuple:
        return inert_text(arguments, limit)
    writer = _Writer(limit)
    writer.items(arguments, 0)
    return plain("".join(writer.parts), limit)


class _Writer:
    def __init__(self, limit: int) -> None:
        self.parts: list[str] = []
        self._left = limit

    def _add(self, text: str) -> None:
        self.parts.append(text)
        self._left -= len(text)

    def write(self, value: Any, depth: int) -> None:
        kind = type(value)
        if self._left <= 0 or (depth > _DEPTH and kind in _NESTED):
            self._add("…")
        elif kind in (bool, float, type(None)):
            self._add(repr(value))
        elif kind is int:
            bits = value.bit_length()
            self._add(repr(value) if bits <= _MOST_BITS else f"<integer of {bits} bits>")
        elif kind is str or kind is bytes:
            self._text(value)
        elif kind is ByteArray:
            self._text(value.value)
        elif kind is GlobalRef:
            self._add(value.full_name[:_TEXT])
        elif kind is BytesPlace:
            self._add(f"<{value.kind} of {value.nbytes} bytes>")
        elif kind is Foreign:
            self._add(f"<{value.what} {value.code}>")
        elif kind is TensorInfo:
            self._add("<tensor>")
        else:
            self._nested(value, depth)

    def _text(self, value: str | bytes) -> None:
        if len(value) > _TEXT:
            unit = "bytes" if isinstance(value, bytes) else "characters"
            self._add(f"{value[:_TEXT]!r}… ({len(value)} {unit})")
        else:
            self._add(repr(value))

    def _nested(self, value: Any, depth: int) -> None:
        if isinstance(value, (list, tuple)):
            self._add("[" if type(value) is list else "(")
            self.items(value, depth + 1)
            self._add("]" if type(value) is list else ",)" if len(value) == 1 else ")")
        elif type(value) is ItemSet:
            self._add("{")
            self.items(value.items, depth + 1)
            self._add("}")
        elif type(value) is PairList:
            self._add("{")
            self._pairs(value.pairs, depth + 1)
            self._add("}")
        elif type(value) is PersistentId:
            self._add("<persistent id ")
            self.write(value.pid, depth + 1)
            self._add(">")
        elif type(value) is Call:
            self.write(value.function, depth + 1)
            self._add("(")
            if type(value.args) is tuple:
                self.items(value.args, depth + 1)
            else:
                self.write(value.args, depth + 1)
            self._add(")")
        else:
            self._add(f"<{type(value).__name__}>")

    def items(self, values: Any, depth: int) -> None:
        for number, item in enumerate(values[:_ITEMS]):
            if number:
                self._add(", ")
            self.write(item, depth)
            if self._left <= 0:
                return
        if len(values) > _ITEMS:
            self._add(f", … {len(values) - _ITEMS} more")

    def _pairs(self, pairs: list[tuple[Any, Any]], depth: int) -> None:
        for number, (key, item) in enumerate(pairs[:_ITEMS]):
            if number:
                self._add(", ")
            self.write(key, depth)
            self._add(": ")
            self.write(item, depth)
            if self._left <= 0:
                return
        if len(pairs) > _ITEMS:
            self._add(f", … {len(pairs) - _ITEMS} more")


_NESTED = frozenset({list, tuple, ItemSet, PairList, PersistentId, Call})
