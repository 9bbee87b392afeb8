"""JSON documents with one thing wrong, still JSON."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

_DEEP = 3_000
_NUMBERS = (0, 1, -1, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63), 10**40, 1.5, -0.0, 1e308)
_TEXTS = (
    "", " ", "\x00", "\x1b[31m", "\u202e", "\ud800", "é" * 50, "F32", "F99", "__metadata__", "..",
    "/etc/passwd", "../x", "a/b", "nan", "x" * 3000,
)  # fmt: skip
_RAW = (
    "NaN",
    "Infinity",
    "-0",
    "1e999",
    "9" * 400,
    "1E2",
    "[" * _DEEP + "]" * _DEEP,
    "tru",
    '"\\u12"',
)


class Raw:
    """Text that stands in a document as it is."""

    def __init__(self, text: str) -> None:
        self.text = text


def parsed(text: bytes) -> Any:
    """The document; an object is a list subclass of pairs, so that keys may occur twice."""
    return json.loads(text, object_pairs_hook=Pairs)


class Pairs(list[tuple[str, Any]]):
    """A JSON object."""


def dumped(value: Any) -> bytes:
    """The text of what `parsed` gave, or of what was made of it."""
    if isinstance(value, Raw):
        return value.text.encode("utf-8", "surrogatepass")
    if isinstance(value, Pairs):
        return b"{" + b",".join(dumped(key) + b":" + dumped(item) for key, item in value) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(map(dumped, value)) + b"]"
    return json.dumps(value).encode()


def _places(document: Any) -> list[tuple[list[Any], int]]:
    """Every value but the whole, as a container and an index."""
    found: list[tuple[list[Any], int]] = []
    waiting = [document]
    while waiting:
        container = waiting.pop()
        for index, item in enumerate(container):
            found.append((container, index))
            inner = item[1] if isinstance(container, Pairs) else item
            if isinstance(inner, list):
                waiting.append(inner)
    return found


def changed(text: bytes, random: random.Random) -> bytes:
    """The document with one to four values, keys or containers that are other than they were."""
    document = parsed(text)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        places = _places(document) if isinstance(document, list) else []
        if not places:
            return dumped(_odd(random))
        container, index = random.choice(places)
        pair = isinstance(container, Pairs)
        key, value = container[index] if pair else ("", container[index])
        kind = random.randrange(9)
        if kind == 0:
            del container[index]
        elif kind == 1:
            container.insert(index, container[index])
        elif kind == 2 and pair:
            container[index] = (random.choice(_TEXTS), value)
        elif kind == 3:
            other, at = random.choice(places)
            taken = other[at] if at < len(other) else value
            taken = taken[1] if isinstance(other, Pairs) and isinstance(taken, tuple) else taken
            container[index] = (key, _copied(taken)) if pair else _copied(taken)
        elif kind == 4 and isinstance(value, (int, float)):
            near = value + random.choice((1, -1, 8, -8)) if not isinstance(value, bool) else 7
            container[index] = (key, near) if pair else near
        elif kind == 5:
            container[index] = (key, [_copied(value)]) if pair else [_copied(value)]
        else:
            odd = _odd(random)
            container[index] = (key, odd) if pair else odd
    return dumped(document)


def _copied(value: Any) -> Any:
    """So that no container is put into itself."""
    return copy.deepcopy(value)


def _odd(random: random.Random) -> Any:
    kind = random.randrange(6)
    if kind == 0:
        return random.choice(_NUMBERS)
    if kind == 1:
        return random.choice(_TEXTS)
    if kind == 2:
        return Raw(random.choice(_RAW))
    return random.choice((None, True, False, [], Pairs(), [[]], [0, 2**63], Pairs([("a", 1)])))
