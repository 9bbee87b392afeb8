"""`diff`: what differs as text that people read, a line for each difference.

A letter says what became of a key: X mismatched, M missing, U unexpected, C changed, ? could
not be compared, V a value outside tensors. What is identical is only counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from inspector_app.analysis.comparison import (
    ABSENT,
    Comparison,
    Evidence,
    KeyPair,
    Metrics,
    Status,
    Words,
)
from inspector_app.analysis.quantities import count_text
from inspector_app.checkpoint.model import Checkpoint, TensorInfo, TreePath
from inspector_app.checkpoint.text import plain
from inspector_app.terminal.show_rows import scalar_text, sizes_text
from inspector_app.terminal.style import Style, clipped, display_width, fitted

if TYPE_CHECKING:
    from inspector_app.analysis.key_mapping import PrefixSuggestion, RenameSuggestion

_LETTERS = {
    Status.MISMATCHED: "X",
    Status.MISSING: "M",
    Status.UNEXPECTED: "U",
    Status.CHANGED: "C",
    Status.UNCOMPARED: "?",
}
_VALUE = "V"
_COLOURS = {"X": "35", "M": "31", "U": "32", "C": "33", "V": "34"}
_SUMMED = (
    Status.IDENTICAL,
    Status.CHANGED,
    Status.MISSING,
    Status.UNEXPECTED,
    Status.MISMATCHED,
)
_GAP = "  "
_ARROW = " -> "
_WIDEST_KEY = 80
_NARROWEST_KEY = 24
_HEADINGS = ("max abs", "mean abs", "rel L2", "cosine", "differing")
_NUMBER = 10
_LISTED = 20
_LINES_AT_ONCE = 5_000


class _Line(NamedTuple):
    letter: str
    key: str
    what: str
    metrics: Metrics | None
    notes: str


def text_parts(
    comparison: Comparison,
    hints: tuple[Sequence[PrefixSuggestion], Sequence[RenameSuggestion]],
    style: Style,
    table: bool = True,
) -> Iterator[str]:
    """The text, in pieces. Without `table` only the summary."""
    return map(style.drawing, _parts(comparison, hints, style, table))


def _parts(
    comparison: Comparison,
    hints: tuple[Sequence[PrefixSuggestion], Sequence[RenameSuggestion]],
    style: Style,
    table: bool,
) -> Iterator[str]:
    if table:
        for side, checkpoint, section in (
            ("A", comparison.a, comparison.sections[0]),
            ("B", comparison.b, comparison.sections[1]),
        ):
            yield f"{style.bold(side)}  {_file_line(checkpoint, section)}\n"
        yield "\n"
        lines = [_line(pair) for pair in comparison.pairs if pair.status != Status.IDENTICAL]
        yield from _table(lines, style)
        for path, a, b in comparison.values:
            text = f"{_VALUE} {_path_text(path)}{_GAP}{_value_text(a)}{_ARROW}{_value_text(b)}"
            yield _coloured(_VALUE, _cut(text, style), style) + "\n"
        if lines or comparison.values:
            yield "\n"
        for text in (*_hint_lines(*hints), *_remarks(comparison)):
            yield style.dim(text) + "\n"
    yield style.bold(summary_line(comparison)) + "\n"


def _file_line(checkpoint: Checkpoint, section: TreePath) -> str:
    words = [checkpoint.format, _counted(len(checkpoint.tensors), "tensor")]
    if section:
        words.append(f"compared by {_path_text(section)}")
    return f"{plain(checkpoint.path)}: {', '.join(words)}"


def _line(pair: KeyPair) -> _Line:
    a, b = pair.a, pair.b
    notes = [_note(note, pair) for note in pair.notes]
    if pair.status == Status.MISMATCHED and a is not None and b is not None:
        what = f"{_kind(a)}{_ARROW}{_kind(b)}"
    else:
        tensor = a if a is not None else b
        what = _kind(tensor) if tensor is not None else ""
    if pair.status == Status.CHANGED and pair.evidence == Evidence.CHECKSUM:
        notes.insert(0, "by checksum")
    if pair.error:
        notes.append(plain(pair.error))
    key = plain(pair.key) or "''"
    return _Line(_LETTERS[pair.status], key, what, pair.metrics, ", ".join(notes))


def _kind(tensor: TensorInfo) -> str:
    return f"{sizes_text(tensor.shape)} {plain(tensor.dtype, 20)}"


def _note(note: str, pair: KeyPair) -> str:
    a, b = pair.a, pair.b
    if note == "renamed" and b is not None:
        return f"is {plain(str(b.key))} in B"
    if note == "collides":
        return "mapped to a key that a later one has, too"
    if a is None or b is None:
        return note
    if note == "stride" and a.stride is not None and b.stride is not None:
        return f"stride {sizes_text(a.stride)}{_ARROW}{sizes_text(b.stride)}"
    one, two = getattr(a, note, ""), getattr(b, note, "")
    return f"{note} {plain(str(one), 40)}{_ARROW}{plain(str(two), 40)}"


def _table(lines: Sequence[_Line], style: Style) -> Iterator[str]:
    """Aligned columns: letter, key, shape and dtype, figures, notes."""
    if not lines:
        return
    measured = any(line.metrics is not None for line in lines)
    figures = "".join(f"{_GAP}{name:>{_NUMBER}}" for name in _HEADINGS) if measured else ""
    what = min(max(len(line.what) for line in lines), 60)
    width = min(max(display_width(line.key) for line in lines), _WIDEST_KEY)
    if style.width:
        room = style.width - 2 - what - len(figures) - 2 * len(_GAP)
        width = min(width, max(room, _NARROWEST_KEY))
    width = max(width, len("key"))
    if measured:
        heading = f"{_GAP}{'key':<{width}}{_GAP}{'shape and dtype':<{what}}{figures}"
        yield style.dim(_cut(heading, style)) + "\n"
    texts: list[str] = []
    for line in lines:
        key = fitted(line.key, width) if style.width else line.key
        key += " " * (width - display_width(key))
        text = f"{line.letter} {key}{_GAP}{line.what:<{what}}"
        if measured:
            text += _cells(line.metrics)
        text += f"{_GAP}{line.notes}" if line.notes else ""
        texts.append(_coloured(line.letter, _cut(text.rstrip(), style), style))
        if len(texts) == _LINES_AT_ONCE:
            yield "\n".join(texts) + "\n"
            texts.clear()
    if texts:
        yield "\n".join(texts) + "\n"


def _cells(metrics: Metrics | None) -> str:
    if metrics is None:
        return (_GAP + " " * _NUMBER) * len(_HEADINGS)
    cells = [
        _short(metrics.max_abs),
        _short(metrics.mean_abs),
        _short(metrics.rel_l2),
        "-" if metrics.cosine is None else f"{metrics.cosine:.6g}",
        _percent(metrics.differing_share),
    ]
    text = "".join(f"{_GAP}{cell:>{_NUMBER}}" for cell in cells)
    extra = [
        _counted(count, name)
        for count, name in (
            (metrics.sign_flips, "sign flip"),
            (metrics.nan_changes, "NaN change"),
            (metrics.infinity_changes, "Inf change"),
        )
        if count
    ]
    return text + (f"{_GAP}{', '.join(extra)}" if extra else "")


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _percent(share: float) -> str:
    percent = 100 * share
    if 0 < percent < 0.01:
        return "<0.01%"
    return f"{percent:.4g}%"


def _hint_lines(
    prefixes: Sequence[PrefixSuggestion], renames: Sequence[RenameSuggestion]
) -> Iterator[str]:
    """What could be done so that more keys match: the best of it."""
    for best in prefixes[:1]:
        whom = [
            f'{side} loses "{plain(prefix)}" (--strip-prefix {plain(prefix)})'
            for side, prefix in (("A", best.a_prefix), ("B", best.b_prefix))
            if prefix
        ]
        whom += [f"B's keys are mapped (--map '{plain(str(rule))}')" for rule in best.rules]
        share = int(100 * best.share)
        yield f"hint: {share} % of A's keys match if {' and '.join(whom)}"
    for each in renames[:_LISTED]:
        why = "the same content" if each.evidence == "content" else "a similar name and its shape"
        yield f"hint: {plain(each.a_key)} may be {plain(each.b_key)} in B, which has {why}"
    if len(renames) > _LISTED:
        yield f"hint: and {len(renames) - _LISTED:,} more renames"


def _remarks(comparison: Comparison) -> Iterator[str]:
    """What was not compared, and what differs though the values do not."""
    for side, path, count in comparison.left_out[:_LISTED]:
        tensors = f" ({_counted(count, 'tensor')})" if count else ""
        yield f"only in {side.upper()}: {_path_text(path)}{tensors}"
    if len(comparison.left_out) > _LISTED:
        yield f"and {len(comparison.left_out) - _LISTED:,} more parts that one file has alone"
    for path in comparison.not_compared[:_LISTED]:
        yield f"not compared, as it is too large: {_path_text(path)}"
    notes = Counter(
        note
        for pair in comparison.pairs
        if pair.status == Status.IDENTICAL
        for note in pair.notes
        if note != "renamed"
    )
    for note, count in notes.items():
        yield f"{_counted(count, 'identical tensor')} with another {note}"


def summary_line(comparison: Comparison) -> str:
    """One line: how many of which status."""
    found = comparison.summary()
    words = [f"{count_text(found[status])} {status}" for status in _SUMMED]
    if found[Status.UNCOMPARED]:
        words.append(f"{count_text(found[Status.UNCOMPARED])} could not be compared")
    text = f"{_counted(len(comparison.pairs), 'key')}: {', '.join(words)}"
    if comparison.values:
        text += f"; {_counted(len(comparison.values), 'other value')} differ"
        text += "s" if len(comparison.values) == 1 else ""
    identical = [pair for pair in comparison.pairs if pair.status == Status.IDENTICAL]
    by_checksum = sum(pair.evidence == Evidence.CHECKSUM for pair in identical)
    if by_checksum:
        text += f" ({'identical' if by_checksum == len(identical) else count_text(by_checksum)}"
        text += " by checksum)"
    return text


def _value_text(value: Any) -> str:
    if isinstance(value, Words):
        return plain(value)
    return "(absent)" if value is ABSENT else scalar_text(value)


def _path_text(path: TreePath) -> str:
    return plain("/".join(map(str, path)))


def _coloured(letter: str, text: str, style: Style) -> str:
    colour = _COLOURS.get(letter)
    return f"\x1b[{colour}m{text}\x1b[0m" if style.colour and colour else text


def _cut(line: str, style: Style) -> str:
    return clipped(line, style.width) if style.width else line


def _counted(count: int, noun: str) -> str:
    return f"{count_text(count)} {noun}{'' if count == 1 else 's'}"
