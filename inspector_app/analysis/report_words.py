"""The words and figures of a comparison's report, safe to show wherever they came from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from inspector_app.analysis.comparison import ABSENT, KeyPair, Metrics, Status, Words
from inspector_app.analysis.quantities import count_text
from inspector_app.checkpoint.model import TensorInfo, TreePath
from inspector_app.checkpoint.text import plain

# Beside the statuses of tensors: a value outside tensors that differs.
VALUE = "value"
LETTERS = {
    Status.MISMATCHED: "X",
    Status.MISSING: "M",
    Status.UNEXPECTED: "U",
    Status.CHANGED: "C",
    Status.UNCOMPARED: "?",
    VALUE: "V",
    Status.IDENTICAL: "=",
}
MEANINGS = {
    Status.MISMATCHED: "in both files, with another shape or dtype",
    Status.MISSING: "in A, and not in B",
    Status.UNEXPECTED: "in B, and not in A",
    Status.CHANGED: "same shape and dtype, other bits",
    Status.UNCOMPARED: "the bytes would have to be read",
    VALUE: "outside tensors",
    Status.IDENTICAL: "same shape and dtype, same bits",
}
WORDS = {
    **{status: status for status in LETTERS},
    Status.UNCOMPARED: "not compared",
    VALUE: "other values",
}
NOTHING = "—"
ARROW = " → "
_LONGEST_KEY = 400
_LONGEST_TEXT = 300
_MOST_SIZES = 16


def key_text(key: str) -> str:
    """A key; an empty one is a pair of quotes."""
    return plain(key, _LONGEST_KEY) or "''"


def path_text(path: TreePath) -> str:
    """A path, joined with ``/``."""
    return key_text("/".join(map(_element, path)))


def _element(key: object) -> str:
    # Python refuses to write integers that are long enough.
    return count_text(key) if type(key) is int else f"{key}"


def counted(count: int, noun: str) -> str:
    """``1 key``, ``2 keys``."""
    return f"{count_text(count)} {noun}{'' if count == 1 else 's'}"


def figure(value: float | None) -> str:
    """Four significant digits."""
    if value is None or math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == 0:
        return "0"
    text = f"{value:.3e}" if abs(value) < 1e-3 else f"{value:#.4g}".rstrip(".")
    return text.replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")


def cosine_text(value: float | None) -> str:
    """A cosine similarity; how near it is to 1 is what matters."""
    if value is None:
        return NOTHING
    text = f"{value:.6f}"
    return "> 0.999999" if text == "1.000000" and value < 1 else text


def share(part: int, whole: int) -> str:
    """A share in percent; 0 and 100 for none and all alone."""
    if not part or not whole:
        return "0 %"
    percent = 100 * part / whole
    if part == whole:
        return "100 %"
    if percent >= 99.995:
        return "> 99.99 %"
    return f"{percent:.2f} %" if percent >= 0.01 else "< 0.01 %"


def shape_text(shape: Sequence[int]) -> str:
    """``[64, 3, 7, 7]``."""
    text = ", ".join(count_text(size) for size in shape[:_MOST_SIZES])
    return f"[{text}]" if len(shape) <= _MOST_SIZES else f"[{text}, …]"


def shapes(pair: KeyPair) -> str:
    """The shape, or that of A and that of B."""
    return _of_both(pair, lambda tensor: shape_text(tensor.shape))


def dtypes(pair: KeyPair) -> str:
    """The dtype, or that of A and that of B."""
    return _of_both(pair, lambda tensor: plain(tensor.dtype, 40))


def _of_both(pair: KeyPair, text_of: Any) -> str:
    texts = [text_of(tensor) for tensor in (pair.a, pair.b) if tensor is not None]
    return ARROW.join(dict.fromkeys(texts))


def notes(pair: KeyPair) -> list[str]:
    """What else is worth knowing of a pair, in a few words each."""
    words = [_note(note, pair) for note in pair.notes]
    if pair.metrics is not None:
        words += _counts(pair.metrics)
    if pair.error:
        words.append(plain(pair.error, _LONGEST_TEXT))
    return words


def _counts(metrics: Metrics) -> list[str]:
    named = (
        (metrics.sign_flips, "sign flip"),
        (metrics.nan_changes, "NaN change"),
        (metrics.infinity_changes, "infinity change"),
    )
    return [counted(count, noun) for count, noun in named if count]


def _note(note: str, pair: KeyPair) -> str:
    a, b = pair.a, pair.b
    if note == "renamed" and b is not None:
        return f"is {key_text(str(b.key))} in B"
    if note == "collides":
        return "another key of B stands for the same one"
    if a is None or b is None:
        return note
    one, two = (_fact(note, tensor) for tensor in (a, b))
    return f"{note} {one}{ARROW}{two}"


def _fact(note: str, tensor: TensorInfo) -> str:
    if note == "stride":
        return NOTHING if tensor.stride is None else shape_text(tensor.stride)
    return plain(str(getattr(tensor, note, "")), 40)


def value_text(value: Any) -> str:
    """A value outside tensors as Python writes it, cut to a few lines."""
    if value is ABSENT:
        return "(absent)"
    if isinstance(value, Words):
        return plain(value, 4 * _LONGEST_TEXT)
    if isinstance(value, str):
        return plain(repr(value[:_LONGEST_TEXT]), 4 * _LONGEST_TEXT) + (
            f"… ({count_text(len(value))} characters)" if len(value) > _LONGEST_TEXT else ""
        )
    if type(value) is int:
        return str(value) if value.bit_length() <= 64 else count_text(value)
    if value is None or type(value) in (bool, float, complex):
        return repr(value)
    # What else there may be is never asked for its repr: that could recurse.
    return plain(type(value).__name__)
