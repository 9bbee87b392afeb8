"""JSON documents inside an archive, and their values taken without trust."""

from __future__ import annotations

import json
from typing import Any

from inspector_app.checkpoint.errors import LimitExceeded, Problem
from inspector_app.checkpoint.limits import Limits

# Marks that a document may have: each makes at most one Python object of about 100 bytes.
_MOST_MARKS = 3_000_000


def parse(data: bytes, where: str, limits: Limits) -> tuple[Any, Problem | None]:
    """The value of a document, or None and why it has none.

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
        return json.loads(data), None
    except RecursionError:
        reason = "it is nested too deep"
    except ValueError as error:
        reason = str(error)
    return None, Problem("bad-json", where, {"reason": reason})


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
