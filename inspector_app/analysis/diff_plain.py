"""A comparison as plain text, for a mail or a commit message: a line for each difference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from inspector_app.analysis import report_words as words
from inspector_app.analysis.comparison import Comparison, KeyPair, Status
from inspector_app.analysis.diff_report import (
    DIFFERENT,
    MOST_PARTS,
    MOST_VALUES,
    Report,
    ReportOptions,
    load_verdict,
    reporting,
)
from inspector_app.analysis.layer_changes import relative_change
from inspector_app.analysis.quantities import count_text
from inspector_app.checkpoint.text import plain

_ROWS_AT_ONCE = 100
_WIDEST = 72
_HEADINGS = ("", "key", "shape", "dtype", "rel L2", "max abs", "cosine", "differing")


def plain_report(comparison: Comparison, options: ReportOptions | None = None) -> Iterator[str]:
    """The text, in pieces; some are empty, so that a window can go on between them."""
    steps = reporting(comparison, options or ReportOptions())
    while True:
        try:
            next(steps)
        except StopIteration as end:
            report: Report = end.value
            break
        yield ""
    yield f"A: {plain(comparison.a.path, 400)}\n"
    yield f"B: {plain(comparison.b.path, 400)}\n\n"
    found = report.listing.found
    shown = [status for status in (*DIFFERENT, Status.IDENTICAL) if found[status]]
    counts = [f"{count_text(found[status])} {words.WORDS[status]}" for status in shown]
    yield ", ".join(counts or ["no keys"]) + "\n"
    yield load_verdict(report) + "\n"
    yield from (f"{sentence}\n" for sentence in report.evidence)
    for name, text in report.method:
        yield f"{name}: {text}\n"
    yield from _values(comparison)
    yield from _keys(report)
    yield from _left_out(comparison)


def _values(comparison: Comparison) -> Iterator[str]:
    if comparison.values:
        yield "\n"
    for difference in comparison.values[:MOST_VALUES]:
        a, b = words.value_text(difference.a), words.value_text(difference.b)
        yield f"{words.LETTERS[words.VALUE]}  {words.path_text(difference.path)}: {a} → {b}\n"
    more = len(comparison.values) - MOST_VALUES
    if more > 0:
        yield f"and {words.counted(more, 'more value')}\n"


def _keys(report: Report) -> Iterator[str]:
    pairs, _, left = report.listing
    if not pairs:
        return
    measured = any(pair.metrics is not None for pair in pairs)
    columns = len(_HEADINGS) if measured else 4
    rows = [_row(pair)[:columns] for pair in pairs]
    widths = [
        min(max(len(row[column]) for row in (_HEADINGS, *rows)), _WIDEST)
        for column in range(columns)
    ]
    yield "\n" + _line(_HEADINGS[:columns], widths, "")
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        some = range(start, min(start + _ROWS_AT_ONCE, len(rows)))
        yield "".join(
            _line(rows[place], widths, ", ".join(words.notes(pairs[place]))) for place in some
        )
    if left.total():
        parts = (f"{count_text(left[s])} {words.WORDS[s]}" for s in DIFFERENT if left[s])
        yield f"Not listed: {', '.join(parts)}.\n"


def _row(pair: KeyPair) -> tuple[str, ...]:
    texts = (
        words.LETTERS[pair.status],
        words.key_text(pair.key),
        words.shapes(pair),
        words.dtypes(pair),
    )
    metrics = pair.metrics
    if metrics is None:
        return (*texts, "", "", "", "")
    return (
        *texts,
        words.figure(relative_change(metrics)),
        words.figure(metrics.max_abs),
        words.cosine_text(metrics.cosine),
        words.share(metrics.differing, metrics.count),
    )


def _line(cells: Sequence[str], widths: Sequence[int], notes: str) -> str:
    # Figures stand below each other at their ends, words at their beginnings.
    padded = [
        text.ljust(width) if column < 4 else text.rjust(width)
        for column, (text, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join([*padded, notes]).rstrip() + "\n"


def _left_out(comparison: Comparison) -> Iterator[str]:
    if comparison.left_out or comparison.not_compared:
        yield "\n"
    for side, path, count in comparison.left_out[:MOST_PARTS]:
        tensors = f", {words.counted(count, 'tensor')}" if count else ""
        yield f"Only in {side.upper()}: {words.path_text(path)}{tensors}\n"
    for path in comparison.not_compared[:MOST_PARTS]:
        yield f"Too large to be compared: {words.path_text(path)}\n"
