"""`stats`: the figures of each tensor as a table that people read.

A line is written as soon as its tensor and all before it are done; so the columns have fixed
widths. At the end stand what is wrong, and one line that sums up.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from inspector_app.analysis.quantities import count_text
from inspector_app.checkpoint.model import Checkpoint, TensorInfo
from inspector_app.checkpoint.text import plain
from inspector_app.terminal.style import Style, clipped, display_width, fitted

if TYPE_CHECKING:
    from inspector_app.analysis.distribution import Distribution
    from inspector_app.analysis.findings import Finding
    from inspector_app.analysis.stats import TensorStats

_WIDEST_NAME = 80
_NARROWEST_NAME = 24
_GAP = "  "
_DTYPE = 10
_NUMBER = 10
_NUMBERS = ("min", "max", "mean", "std", "norm")
_SHARE = 6
_HEADING = (
    f"{_GAP}{'dtype':<{_DTYPE}}"
    + "".join(f"{_GAP}{name:>{_NUMBER}}" for name in _NUMBERS)
    + f"{_GAP}{'zeros':>{_SHARE}}"
)
_WORDS = {"nan": "NaN", "infinity": "Inf", "all-zero": "nothing but zeros"}
_LISTED = 20


def text_parts(
    checkpoint: Checkpoint,
    tensors: Sequence[TensorInfo],
    results: Iterable[tuple[TensorStats, Sequence[Finding]]],
    style: Style,
    table: bool = True,
) -> Iterator[str]:
    """The text, in pieces. Without `table` only the tensors with something wrong, and the sum."""
    names = [plain(tensor.name) or "''" for tensor in tensors]
    width = min(max(map(display_width, names), default=0), _WIDEST_NAME)
    if style.width:
        width = min(width, max(style.width - len(_HEADING), _NARROWEST_NAME))
    width = max(width, len("tensor"))
    if table and tensors:
        yield style.dim(_clipped(f"{'tensor':<{width}}{_HEADING}", style)) + "\n"
    wrong: list[str] = []
    total = _Total()
    for result, findings in results:
        total.add(result, findings)
        name = plain(result.tensor.name) or "''"
        notes = _notes(result, findings)
        if findings:
            wrong.append(f"{name}: {notes}")
        if table:
            shown = fitted(name, width) if style.width else name
            line = shown + " " * (width - display_width(shown)) + _cells(result)
            line = _clipped(line + (f"{_GAP}{notes}" if notes else ""), style)
            yield style.drawing(style.warning(line) if findings else line) + "\n"
    if table and tensors:
        yield "\n"
    for line in wrong[:_LISTED]:
        yield style.warning(line) + "\n"
    if len(wrong) > _LISTED:
        yield style.warning(f"and {len(wrong) - _LISTED:,} more") + "\n"
    yield style.bold(total.sentence(checkpoint)) + "\n"


class _Total:
    def __init__(self) -> None:
        self._tensors = 0
        self._values = 0
        self._unread = 0
        self._found: Counter[str] = Counter()

    def add(self, result: TensorStats, findings: Sequence[Finding]) -> None:
        self._tensors += 1
        if result.values is None:
            self._unread += 1
        else:
            self._values += result.values.count + result.values.nans + result.values.infinities
        self._found.update(finding.value for finding in findings)

    def sentence(self, checkpoint: Checkpoint) -> str:
        words = [f"{_counted(self._tensors, 'tensor')}, {_counted(self._values, 'value')}"]
        if self._unread:
            words.append(f"{self._unread:,} without readable values")
        words += [f"{_counted(n, 'tensor')} with {_WORDS[name]}" for name, n in self._found.items()]
        if not self._found:
            words.append("no NaN, no Inf, no weight that is all zero")
        return f"{plain(checkpoint.path)}: {'; '.join(words)}"


def _cells(result: TensorStats) -> str:
    found = result.values
    start = f"{_GAP}{plain(result.tensor.dtype, 20):<{_DTYPE}}"
    if found is None:
        return start
    numbers = (found.least, found.most, found.mean, found.std, found.l2)
    cells = "".join(f"{_GAP}{_short(number):>{_NUMBER}}" for number in numbers)
    return f"{start}{cells}{_GAP}{_share(found):>{_SHARE}}"


def _short(number: float | int) -> str:
    """A number with four digits; one that is not defined as a dash."""
    if type(number) is int and abs(number) < 1_000_000:
        return str(number)
    return "-" if math.isnan(number) else f"{number:.4g}"


def _share(found: Distribution) -> str:
    if not found.count:
        return "-"
    percent = 100 * found.zeros / found.count
    if found.zeros and percent < 0.1:
        return "<0.1%"
    if percent < 100 and percent > 99.9:
        return ">99.9%"
    return f"{percent:.3g}%" if found.zeros else "0"


def _notes(result: TensorStats, findings: Sequence[Finding]) -> str:
    if result.error is not None:
        return result.error.message
    values = result.values
    words = []
    if values is not None and values.nans:
        words.append(f"{values.nans:,} NaN")
    if values is not None and values.infinities:
        words.append(f"{values.infinities:,} Inf")
    if values is not None and values.constant and values.count > 1:
        words.append("all zero" if values.all_zero else "constant")
    return ", ".join(words)


def _clipped(line: str, style: Style) -> str:
    return clipped(line, style.width) if style.width else line


def _counted(count: int, noun: str) -> str:
    shown = count_text(count)
    return f"{shown} {noun}{'' if count == 1 else 's'}"
