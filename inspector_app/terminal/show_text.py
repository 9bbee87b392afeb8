"""`show`: the structure of a checkpoint as text that people read.

A tree with aligned columns, the sections' totals, one line that sums the file up, the
globals outside the allowlist, and the problems. In a pipe the text does not depend on the
terminal; on one it may be coloured, and rows are cut at its width.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from inspector_app.analysis.quantities import count_text, size_text
from inspector_app.checkpoint.errors import Problem
from inspector_app.checkpoint.model import Checkpoint, SectionKind
from inspector_app.checkpoint.text import plain
from inspector_app.terminal.show_rows import (
    Cells,
    Rest,
    TreeRows,
    shared_storages,
    sizes_text,
)
from inspector_app.terminal.style import Style, clipped, display_width, fitted

# A longer key juts out instead of pushing the columns of all others away.
_WIDEST_KEY = 100
_NARROWEST_KEY = 24
_GAP = "  "
_HEADINGS = ("shape", "dtype", "parameters", "size")
_LISTED = 20  # globals, dtypes and devices that are named before the rest is counted
_LISTED_PROBLEMS = 1_000
_LINES_AT_ONCE = 20_000  # a million lines together would take a hundred megabytes
_UNASSIGNED = "other"


def text_parts(checkpoint: Checkpoint, style: Style, tree: bool = True) -> Iterator[str]:
    """The text, in pieces. Without `tree` only the summary, the globals and the problems."""
    return map(style.drawing, _parts(checkpoint, style, tree))


def _parts(checkpoint: Checkpoint, style: Style, tree: bool) -> Iterator[str]:
    shared = shared_storages(checkpoint.tensors)
    rows = TreeRows(checkpoint, shared)
    totals = {kind: _Total(counts) for kind, counts in rows.counts.items()}
    if tree:
        yield from _table(rows, style)
        yield "\n"
        if sum(total.tensors > 0 for total in totals.values()) > 1:
            yield _totals(totals, style) + "\n\n"
    yield style.bold(_summary(checkpoint, totals, len(shared))) + "\n"
    outside = [entry.name for entry in checkpoint.globals if not entry.allowed]
    if outside:
        names = _listed([plain(name) for name in outside])
        yield style.warning(f"globals outside the allowlist: {names}") + "\n"
    yield from _problem_lines(checkpoint.problems, style)


class _Total:
    """What a section adds up to; a tied weight's elements count once."""

    def __init__(self, counts: Mapping[Cells, int]) -> None:
        once = [(cells, n) for cells, n in counts.items() if not cells.again]
        self.tensors = sum(counts.values())
        self.elements = sum(cells.numel * n for cells, n in once)
        self.nbytes = sum(cells.nbytes * n for cells, n in once)
        self.dtypes: Counter[str] = Counter()
        for cells, n in counts.items():
            self.dtypes[cells.dtype] += n


def _summary(checkpoint: Checkpoint, totals: Mapping[str, _Total], shared: int) -> str:
    """One line: file, format, tensors, parameters, bytes, dtypes, devices, sharing."""
    dtypes: Counter[str] = Counter()
    for total in totals.values():
        dtypes += total.dtypes
    elements = sum(total.elements for total in totals.values())
    model = totals[SectionKind.MODEL].elements if SectionKind.MODEL in totals else 0
    if model in (0, elements):
        parameters = _counted(elements, "parameter")
    else:
        parameters = f"{_counted(model, 'parameter')} in the model, {count_text(elements)} in all"
    stored = sum(storage.nbytes for storage in checkpoint.storages.values())
    words = [
        size_text(checkpoint.file_bytes),
        _counted(sum(dtypes.values()), "tensor"),
        parameters,
        f"{size_text(stored)} of values",
    ]
    if dtypes:
        words.append(_listed([f"{plain(name, 40)} {n:,}" for name, n in dtypes.most_common()]))
    devices = sorted({tensor.device for tensor in checkpoint.tensors} - {"cpu"})
    if devices:
        words.append("on " + _listed([plain(device, 40) for device in devices]))
    if shared:
        words.append(_counted(shared, "shared storage"))
    if len(checkpoint.files) > 1:
        words.append(_counted(len(checkpoint.files), "file"))
    return f"{plain(checkpoint.path)}: {checkpoint.format}, {'; '.join(words)}"


def _table(rows: TreeRows, style: Style) -> Iterator[str]:
    """The heading and a line for each row, many lines at a time."""
    kinds = list(dict.fromkeys(rows.rest))
    columns = _Columns([kind for kind in kinds if isinstance(kind, Cells)])
    width_of: Callable[[str], int] = display_width if rows.wide else len
    width = max(min(max(map(width_of, rows.labels)), _WIDEST_KEY), len("key"))
    if style.width:
        width = min(width, max(style.width - columns.width, _NARROWEST_KEY))
    room = style.width - width if style.width else 0
    tails = {kind: columns.tail(kind, room) for kind in kinds}
    if columns.kinds:
        yield style.dim(f"{'key':<{width}}{columns.heading}") + "\n"
    for start in range(0, len(rows.labels), _LINES_AT_ONCE):
        labels = rows.labels[start : start + _LINES_AT_ONCE]
        rest = rows.rest[start : start + _LINES_AT_ONCE]
        if style.width:
            labels = [fitted(label, width, rows.wide) for label in labels]
        if rows.wide:
            labels = [label + " " * (width - display_width(label)) for label in labels]
        else:
            labels = [f"{label:<{width}}" for label in labels]
        lines = [label + tails[kind] for label, kind in zip(labels, rest, strict=True)]
        for row, name in rows.sections.items():
            if start <= row < start + len(lines):
                line = f"{lines[row - start]}{_GAP}[{name}]"
                lines[row - start] = style.bold(clipped(line, style.width) if style.width else line)
        yield "\n".join(lines) + "\n"


class _Columns:
    """The columns after the key, as wide as their widest entry."""

    def __init__(self, kinds: Sequence[Cells]) -> None:
        self.kinds = kinds
        self._cells = {kind: _texts(kind) for kind in kinds}
        self._widths = [
            max(map(len, column)) for column in zip(_HEADINGS, *self._cells.values(), strict=True)
        ]
        self.width = sum(self._widths) + len(_GAP) * len(self._widths) if kinds else 40
        self.heading = self._joined(_HEADINGS)

    def _joined(self, texts: Sequence[str]) -> str:
        shape, dtype, parameters, size = self._widths
        return (
            f"{_GAP}{texts[0]:<{shape}}{_GAP}{texts[1]:<{dtype}}"
            f"{_GAP}{texts[2]:>{parameters}}{_GAP}{texts[3]:>{size}}"
        )

    def tail(self, rest: Rest, room: int) -> str:
        """What stands after the key, cut to `room` columns unless that is 0."""
        if isinstance(rest, Cells):
            text = self._joined(self._cells[rest]) + (f"{_GAP}{rest.note}" if rest.note else "")
        else:
            text = _GAP + rest if rest else ""
        return clipped(text, room) if room else text


def _texts(kind: Cells) -> tuple[str, str, str, str]:
    return (
        sizes_text(kind.shape),
        plain(kind.dtype, 20),
        count_text(kind.numel),
        size_text(kind.nbytes),
    )


def _totals(totals: Mapping[str, _Total], style: Style) -> str:
    """A line for each section that has tensors."""
    rows = [
        (
            kind or _UNASSIGNED,
            _counted(total.tensors, "tensor"),
            _counted(total.elements, "element"),
            size_text(total.nbytes),
        )
        for kind, total in totals.items()
        if total.tensors
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        style.bold(f"{row[0]:<{widths[0]}}")
        + "".join(f"{_GAP}{text:>{width}}" for text, width in zip(row[1:], widths[1:], strict=True))
        for row in rows
    )


def _problem_lines(problems: Sequence[Problem], style: Style) -> Iterator[str]:
    if problems:
        yield style.warning(f"{_counted(len(problems), 'problem')}:") + "\n"
    for problem in problems[:_LISTED_PROBLEMS]:
        place = f"{plain(problem.where)}: " if problem.where else ""
        yield f"  {place}{problem.message} [{problem.code}]\n"
    if len(problems) > _LISTED_PROBLEMS:
        yield f"  and {len(problems) - _LISTED_PROBLEMS:,} more\n"


def _counted(count: int, noun: str) -> str:
    return f"{count_text(count)} {noun}{'' if count == 1 else 's'}"


def _listed(words: Sequence[str]) -> str:
    more = len(words) - _LISTED
    return ", ".join(words[:_LISTED]) + (f" and {more:,} more" if more > 0 else "")
