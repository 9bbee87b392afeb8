"""JSON documents inside an archive, and their values taken without trust."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from inspector_app.checkpoint.errors import LimitExceeded, Problem
from inspector_app.checkpoint.limits import Limits

# Marks that a document may have: each makes at most one Python object of about 100 bytes.
_MOST_MARKS = 3_000_000
_MOST_TWICE = 100


def parse(
    data: bytes, where: str, limits: Limits, twice: list[str] | None = None
) -> tuple[Any, Problem | None]:
    """The value of a document, or None and why it has none.

    Args:
        twice: takes the keys that one object has more than once; the last one counts.

    Raises:
        LimitExceeded: it is longer than `limits.json_bytes`, or would take too much memory.
    """
    if len(data) > limits.json_bytes:
        raise LimitExceeded(
            "limit", where=where, what="the length of the JSON", limit=limits.json_bytes
        )
    marks = sum(data.count(mark) for mark in (b"[", b"{", b",", b":"))
    if marks > _MOST_MARKS:
        raise LimitExceeded("limit", where=where, what="the values of the JSON", limit=_MOST_MARKS)
    try:
        return json.loads(data, object_pairs_hook=None if twice is None else _noting(twice)), None
    except RecursionError:
        reason = "it is nested too deep"
    except ValueError as error:
        # Python's own words are about its settings there.
        long = "integer string conversion" in str(error)
        reason = "an integer has thousands of digits" if long else str(error)
    return None, Problem("bad-json", where, {"reason": reason})


def _noting(twice: list[str]) -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    def made(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) < len(pairs) and len(twice) < _MOST_TWICE:
            twice.extend(
                key for key, count in Counter(key for key, _ in pairs).items() if count > 1
            )
        return value

    return made


def mapping(value: Any, *keys: str) -> dict[str, Any]:
    """The object at `value[key][key]…`, or an empty one if there is none."""
    for key in keys:
        value = value.get(key) if type(value) is dict else None
    return value if type(value) is dict else {}


def array(value: Any, *keys: str) -> list[Any]:
    """The array at `value[key][key]…`, or an empty one if there is none."""
    *path, last = keys
    found = mapping(value, *path).get(last)
    return found if type(found) is list else []


def text(value: Any, key: str) -> str:
    """The string at `value[key]`, or ""."""
    found = value.get(key) if type(value) is dict else None
    return found if type(found) is str else ""
