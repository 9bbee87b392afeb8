"""`diff --json`: a comparison as one JSON object.

Beyond the contract: `part` is the kind of section that a key belongs to, `notes` what else
differs, `error` why bytes could not be compared, `missing_in` the file that lacks a value.
`differing` is the share of elements whose bits differ, `differing_elements` their number.
`suggestions` says how more keys would match; nothing of it was applied. `path` is that of the
tensor in its file. What was not measured, or is undefined, is null.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from inspector_app.analysis.comparison import ABSENT, Comparison, KeyPair, Metrics, Status
from inspector_app.checkpoint.model import PathElement, TensorInfo

if TYPE_CHECKING:
    from inspector_app.analysis.key_mapping import PrefixSuggestion, RenameSuggestion

SCHEMA = 1
_ROWS_AT_ONCE = 5_000
_COUNTED = ("identical", "changed", "missing", "unexpected", "mismatched")
_FIGURES = ("max_abs", "mean_abs", "rel_l2", "cosine")
_MORE = ("sign_flips", "nan_changes", "infinity_changes", "beyond", "first")
_UNMEASURED = ",".join(f'"{name}":null' for name in (*_FIGURES, "differing"))
_EQUAL = '"max_abs":0.0,"mean_abs":0.0,"rel_l2":0.0,"cosine":null,"differing":0'
_quote = json.encoder.encode_basestring_ascii


def json_parts(
    comparison: Comparison,
    hints: tuple[Sequence[PrefixSuggestion], Sequence[RenameSuggestion]],
    values: bool,
) -> Iterator[str]:
    """The object's text, in pieces, with a newline at its end.

    Args:
        values: the values were asked for, so that identical tensors differ by 0.
    """
    found = comparison.summary()
    summary = {name: found[name] for name in _COUNTED}
    if found[Status.UNCOMPARED]:
        summary[Status.UNCOMPARED] = found[Status.UNCOMPARED]
    head = {
        "schema": SCHEMA,
        "a": comparison.a.path,
        "b": comparison.b.path,
        "sections": {
            "a": _path(comparison.sections[0]),
            "b": _path(comparison.sections[1]),
        },
        "summary": summary,
    }
    yield f'{_dump(head)[:-1]},"tensors":['
    rows = _rows(comparison.pairs, values)
    separator = ""
    while part := [row for row, _ in zip(rows, range(_ROWS_AT_ONCE), strict=False)]:
        yield separator + ",".join(part)
        separator = ","
    tail = {
        "values": [_value_row(*difference) for difference in comparison.values],
        "left_out": [
            {"in": side, "path": _path(path), "tensors": count}
            for side, path, count in comparison.left_out
        ],
        "not_compared": [_path(path) for path in comparison.not_compared],
        "suggestions": {
            "prefixes": [
                {
                    "strip_a": each.a_prefix,
                    "strip_b": each.b_prefix,
                    "map": [str(rule) for rule in each.rules],
                    "matched": each.matched,
                    "of": each.total,
                }
                for each in hints[0]
            ],
            "renames": [
                {"a": each.a_key, "b": each.b_key, "evidence": each.evidence, "score": each.score}
                for each in hints[1]
            ],
        },
    }
    yield f"],{_dump(tail)[1:]}\n"


def _rows(pairs: Iterable[KeyPair], values: bool) -> Iterator[str]:
    """The object of each pair. Written by hand: there are up to a million."""
    places: dict[object, str] = {}
    for pair in pairs:
        head = (
            f'{{"key":{_quote(pair.key)},"status":"{pair.status}",'
            f'"reasons":{_words(pair.reasons)},"evidence":"{pair.evidence}",'
            f'"a":{_side(pair.a, places)},"b":{_side(pair.b, places)},'
        )
        if pair.metrics is not None:
            figures = _measured(pair.metrics)
        else:
            figures = _EQUAL if values and pair.status == Status.IDENTICAL else _UNMEASURED
        error = f',"error":{_quote(pair.error)}' if pair.error else ""
        yield f'{head}{figures},"part":"{pair.part}","notes":{_words(pair.notes)}{error}}}'


def _words(words: tuple[str, ...]) -> str:
    return "[" + ",".join(f'"{word}"' for word in words) + "]" if words else "[]"


def _side(tensor: TensorInfo | None, places: dict[object, str]) -> str:
    if tensor is None:
        return "null"
    parent = tensor.parent
    if parent is None:
        path = ""
    else:
        before = places.get(parent)
        if before is None:
            before = places[parent] = "".join(f"{_element(key)}," for key in parent.path)
        path = before + _element(tensor.key)
    shape = ",".join(map(_integer, tensor.shape))
    return f'{{"path":[{path}],"shape":[{shape}],"dtype":{_quote(tensor.dtype)}}}'


def _measured(metrics: Metrics) -> str:
    figures = {name: _number(getattr(metrics, name)) for name in _FIGURES}
    figures["differing"] = metrics.differing_share
    figures["differing_elements"] = metrics.differing
    figures |= {name: getattr(metrics, name) for name in _MORE}
    return _dump(figures)[1:-1]


def _value_row(path: Sequence[PathElement], a: Any, b: Any) -> dict[str, Any]:
    row = {"path": _path(path), "a": _plain(a), "b": _plain(b)}
    if a is ABSENT or b is ABSENT:
        row["missing_in"] = "a" if a is ABSENT else "b"
    return row


def _plain(value: Any) -> Any:
    """A value as JSON has it: ``"nan"`` and ``"inf"`` are texts, as JSON has no such numbers."""
    if value is ABSENT:
        return None
    if type(value) is float and not math.isfinite(value):
        return str(value)
    return value


def _number(value: float | int | None) -> float | int | None:
    return None if value is None or not math.isfinite(value) else value


def _integer(value: int) -> str:
    """An integer as JSON has it; null for one that only a hostile file can name."""
    return str(value) if value.bit_length() <= 2000 else "null"


def _element(key: PathElement) -> str:
    return _integer(key) if type(key) is int else _quote(f"{key}")


def _path(path: Sequence[PathElement]) -> list[PathElement]:
    return [key if type(key) is int else f"{key}" for key in path]


def _dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
