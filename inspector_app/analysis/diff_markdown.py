"""A comparison as Markdown, for an issue, a pull request or a notebook (GitHub's flavour).

Whatever comes from the files stands in code spans or fences, where nothing is markup.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

from inspector_app.analysis import report_words as words
from inspector_app.analysis.comparison import Comparison, KeyPair, Status
from inspector_app.analysis.diff_report import (
    DIFFERENT,
    MOST_PARTS,
    Report,
    ReportOptions,
    left_out_of_message,
    load_message,
    load_verdict,
    reporting,
)
from inspector_app.analysis.layer_changes import LayerChange, most_moved, relative_change
from inspector_app.analysis.quantities import count_text, size_text
from inspector_app.checkpoint.model import Checkpoint, TreePath
from inspector_app.checkpoint.text import plain

# GitHub shows no more of a comment than 65,536 characters.
MOST_KEYS = 300
_MOST_VALUES = 200
_MOST_MOVED = 10
_ROWS_AT_ONCE = 100
_ESCAPES = ("\\", "\\\\")
_FIGURES = ("rel L2", "max abs", "mean abs", "cosine", "differing")


def markdown_report(comparison: Comparison, options: ReportOptions | None = None) -> Iterator[str]:
    """The text, in pieces; some are empty, so that a window can go on between them."""
    steps = reporting(comparison, options or ReportOptions(most_keys=MOST_KEYS))
    while True:
        try:
            next(steps)
        except StopIteration as end:
            report: Report = end.value
            break
        yield ""
    yield "# Checkpoint comparison\n\n"
    yield from _files(comparison)
    yield from _summary(report)
    yield from _hints(report)
    yield from _values(comparison)
    yield from _movers(report.layers)
    yield from _keys(report)
    yield from _left_out(comparison)
    yield from _loading(report)
    yield from _method(report)


def _files(comparison: Comparison) -> Iterator[str]:
    for side, checkpoint, section in (
        ("A", comparison.a, comparison.sections[0]),
        ("B", comparison.b, comparison.sections[1]),
    ):
        yield f"- **{side}**: {_file(checkpoint, section)}\n"
    yield "\nB is loaded into A.\n\n"


def _file(checkpoint: Checkpoint, section: TreePath) -> str:
    facts = [
        checkpoint.format,
        size_text(checkpoint.file_bytes),
        words.counted(len(checkpoint.tensors), "tensor"),
    ]
    if section:
        facts.append(f"compared by {code(words.path_text(section))}")
    return f"{code(plain(checkpoint.path, 400))}, {', '.join(facts)}"


def _summary(report: Report) -> Iterator[str]:
    found = report.listing.found
    shown = [status for status in (*DIFFERENT, Status.IDENTICAL) if found[status]]
    rows = [
        (words.LETTERS[status], words.WORDS[status], count_text(found[status])) for status in shown
    ]
    if report.comparison.values:
        count = count_text(len(report.comparison.values))
        rows.append((words.LETTERS[words.VALUE], words.WORDS[words.VALUE], count))
    yield f"## {words.counted(len(report.comparison.pairs), 'key')}\n\n"
    if rows:
        yield from _table(("", "status", "count"), ("-", "-", "-:"), rows)
    yield f"{load_verdict(report)}\n\n"
    for sentence in report.evidence:
        yield f"- {sentence}\n"
    if report.evidence:
        yield "\n"


def _hints(report: Report) -> Iterator[str]:
    if not report.hints:
        return
    yield "## What would match more keys\n\n"
    for runs in report.hints:
        yield f"- {''.join(code(run.text) if run.quoted else run.text for run in runs)}\n"
    yield "\n"


def _values(comparison: Comparison) -> Iterator[str]:
    if not comparison.values:
        return
    yield "## Other values that differ\n\n"
    rows = [
        (
            cell(words.path_text(difference.path)),
            cell(words.value_text(difference.a)),
            cell(words.value_text(difference.b)),
        )
        for difference in comparison.values[:_MOST_VALUES]
    ]
    yield from _table(("where", "A", "B"), ("-", "-", "-"), rows)
    yield from _more(len(comparison.values) - _MOST_VALUES)


def _movers(layers: Sequence[LayerChange]) -> Iterator[str]:
    moved = most_moved(layers, _MOST_MOVED)
    if not moved:
        return
    yield "## The layers that moved most\n\n"
    rows = []
    for layer in moved:
        metrics = layer.pair.metrics
        rows.append(
            (
                cell(words.key_text(layer.pair.key)),
                words.figure(layer.change),
                words.figure(metrics.max_abs if metrics else None),
                words.cosine_text(metrics.cosine if metrics else None),
            )
        )
    headings = ("key", *_FIGURES[:2], _FIGURES[3])
    yield from _table(headings, ("-", "-:", "-:", "-:"), rows)
    if any(math.isinf(layer.change or 0.0) for layer in moved):
        yield "∞ is a tensor that is all zero in A.\n\n"


def _keys(report: Report) -> Iterator[str]:
    pairs, _, left = report.listing
    if not pairs:
        return
    measured = any(pair.metrics is not None for pair in pairs)
    figures = _FIGURES * measured
    yield "## Keys that differ\n\n"
    headings = ("", "key", "shape", "dtype", *figures, "notes")
    marks = ("-", "-", "-", "-", *(("-:",) * len(figures)), "-")
    yield from _table(headings, marks, [_row(pair, measured) for pair in pairs])
    if left.total():
        parts = (f"{count_text(left[s])} {words.WORDS[s]}" for s in DIFFERENT if left[s])
        yield f"Not listed: {', '.join(parts)}.\n\n"


def _row(pair: KeyPair, measured: bool) -> tuple[str, ...]:
    texts = [
        words.LETTERS[pair.status],
        cell(words.key_text(pair.key)),
        cell(words.shapes(pair)),
        cell(words.dtypes(pair)),
    ]
    metrics = pair.metrics
    if measured and metrics is not None:
        texts += [
            words.figure(relative_change(metrics)),
            words.figure(metrics.max_abs),
            words.figure(metrics.mean_abs),
            words.cosine_text(metrics.cosine),
            words.share(metrics.differing, metrics.count),
        ]
    elif measured:
        texts += [""] * len(_FIGURES)
    noted = ", ".join(words.notes(pair))
    return (*texts, cell(noted) if noted else "")


def _left_out(comparison: Comparison) -> Iterator[str]:
    if not comparison.left_out and not comparison.not_compared:
        return
    yield "## What was not compared\n\n"
    for side, path, count in comparison.left_out[:MOST_PARTS]:
        tensors = f", {words.counted(count, 'tensor')}" if count else ""
        yield f"- Only in {side.upper()}: {code(words.path_text(path))}{tensors}\n"
    for path in comparison.not_compared[:MOST_PARTS]:
        yield f"- Too large to be compared: {code(words.path_text(path))}\n"
    yield "\n"
    left = (comparison.left_out, comparison.not_compared)
    yield from _more(sum(max(len(each) - MOST_PARTS, 0) for each in left))


def _loading(report: Report) -> Iterator[str]:
    yield "## What PyTorch would print\n\n"
    message = load_message(report)
    fence = "`" * max(3, _longest_run(message) + 1)
    yield f"{fence}text\n{message}\n{fence}\n\n"
    left = left_out_of_message(report)
    if left:
        yield f"{words.counted(left, 'more key')} left out.\n\n"


def _method(report: Report) -> Iterator[str]:
    if report.method:
        yield "## How this was compared\n\n"
        for name, text in report.method:
            yield f"- {name}: {code(text)}\n"


def _table(
    headings: Sequence[str], marks: Sequence[str], rows: Sequence[Sequence[str]]
) -> Iterator[str]:
    yield f"| {' | '.join(headings)} |\n| {' | '.join(marks)} |\n"
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        yield "".join(f"| {' | '.join(row)} |\n" for row in rows[start : start + _ROWS_AT_ONCE])
    yield "\n"


def _more(count: int) -> Iterator[str]:
    if count > 0:
        yield f"{count_text(count)} more are not listed.\n\n"


def code(text: str) -> str:
    """A code span: nothing in it is markup (CommonMark 0.31, 6.1)."""
    fence = "`" * (_longest_run(text) + 1)
    padding = " " if text.startswith("`") or text.endswith("`") or text.strip() != text else ""
    return f"{fence}{padding}{text}{padding}{fence}"


def cell(text: str) -> str:
    """A code span in a table, where a bar would end the cell even within it (GFM 4.10).

    A backslash before a bar is itself escaped by one before it: their number has to be odd.
    Of a text that has backslashes there, one more is shown.
    """
    return re.sub(r"(\\*)\|", lambda bar: f"{bar[1]}{_ESCAPES[len(bar[1]) % 2]}|", code(text))


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
