"""`show`: the structure of a checkpoint as text that people read.

A tree with aligned columns, the sections' totals, one line that sums the file up, the
globals outside the allowlist, and the problems. In a pipe the text does not depend on the
terminal; on one it may be coloured, and rows are cut at its width.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set

from inspector_app.checkpoint.errors import Problem
from inspector_app.checkpoint.model import Checkpoint, StorageRef, TensorInfo
from inspector_app.checkpoint.text import plain
from inspector_app.show_rows import (
    Cells,
    Rest,
    TreeRows,
    count_text,
    shared_storages,
    size_text,
    sizes_text,
)
from inspector_app.terminal_style import Style, clipped, display_width, fitted

# A longer key juts out instead of pushing the columns of all others away.
_WIDEST_KEY = 100
_NARROWEST_KEY = 24
_GAP = "  "
_HEADINGS = ("shape", "dtype", "parameters", "size")
_LISTED = 20  # globals, dtypes and devices that are named before the rest is counted
_LISTED_PROBLEMS = 1_000
_UNASSIGNED = "other"


def text_parts(checkpoint: Checkpoint, style: Style, tree: bool = True) -> list[str]:
    """The text, in pieces. Without `tree` only the summary, the globals and the problems."""
    parts = []
    shared = shared_storages(checkpoint.tensors)
    if tree:
        rows = TreeRows(checkpoint, shared)
        if rows.labels:
            parts.append(_table(rows, style) + "\n\n")
        totals = _totals(rows.totals, style)
        if totals:
            parts.append(totals + "\n\n")
    parts.append(style.bold(_summary(checkpoint, shared)) + "\n")
    outside = [entry.name for entry in checkpoint.globals if not entry.allowed]
    if outside:
        names = _listed([plain(name) for name in outside])
        parts.append(style.warning(f"globals outside the allowlist: {names}") + "\n")
    parts += _problem_lines(checkpoint.problems, style)
    return [style.drawing(part) for part in parts]


def _summary(checkpoint: Checkpoint, shared: Set[StorageRef]) -> str:
    """One line: file, format, tensors, parameters, bytes, dtypes, devices, sharing."""
    tensors = [tensor for tensor in checkpoint.tensors if not isinstance(tensor.parent, TensorInfo)]
    dtypes = Counter([tensor.dtype for tensor in tensors])
    words = [
        f"{size_text(checkpoint.file_bytes)}",
        _counted(len(tensors), "tensor"),
        _counted(_parameters(tensors, shared), "parameter"),
        f"{size_text(sum(storage.nbytes for storage in checkpoint.storages.values()))} of values",
    ]
    if dtypes:
        words.append(_listed([f"{plain(name, 40)} {n:,}" for name, n in dtypes.most_common()]))
    devices = sorted({tensor.device for tensor in tensors} - {"cpu"})
    if devices:
        words.append("on " + _listed([plain(device, 40) for device in devices]))
    if shared:
        words.append(_counted(len(shared), "shared storage"))
    if len(checkpoint.files) > 1:
        words.append(_counted(len(checkpoint.files), "file"))
    return f"{plain(checkpoint.path)}: {checkpoint.format}, {'; '.join(words)}"


def _parameters(tensors: list[TensorInfo], shared: Set[StorageRef]) -> int:
    """Elements of all tensors; of those that are the same view of one storage, once."""
    total = 0
    views = set()
    sizes: dict[tuple[int, ...], int] = {}
    for tensor in tensors:
        if tensor.storage in shared:
            view = (tensor.storage, tensor.storage_offset, tensor.shape, tensor.stride)
            if view in views:
                continue
            views.add(view)
        if tensor.children:
            total += tensor.numel
        else:
            size = sizes.get(tensor.shape)
            if size is None:
                size = sizes[tensor.shape] = tensor.numel
            total += size
    return total


def _table(rows: TreeRows, style: Style) -> str:
    """The heading and a line for each row."""
    kinds = list(dict.fromkeys(rows.rest))
    columns = _Columns([kind for kind in kinds if isinstance(kind, Cells)])
    labels = rows.labels
    width_of: Callable[[str], int] = display_width if rows.wide else len
    width = min(max(map(width_of, labels)), _WIDEST_KEY)
    if style.width:
        width = min(width, max(style.width - columns.width, _NARROWEST_KEY))
        labels = [label if width_of(label) <= width else fitted(label, width) for label in labels]
    width = max(width, len("key"))
    room = style.width - width if style.width else 0
    tails = {kind: columns.tail(kind, room) for kind in kinds}
    if rows.wide:
        labels = [label + " " * (width - display_width(label)) for label in labels]
    lines = [
        f"{label:<{width}}{tails[rest]}" for label, rest in zip(labels, rows.rest, strict=True)
    ]
    for row, kind in rows.sections.items():
        lines[row] = style.bold(f"{lines[row]}{_GAP}[{kind}]")
    if columns.kinds:
        lines.insert(0, style.dim(f"{'key':<{width}}{columns.heading}"))
    return "\n".join(lines)


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


def _totals(totals: Mapping[str, Mapping[Rest, int]], style: Style) -> str:
    """A line for each section; nothing where the whole file is one."""
    rows = []
    for kind, counts in totals.items():
        cells = {cell: n for cell, n in counts.items() if isinstance(cell, Cells)}
        if cells:
            rows.append(
                (
                    kind or _UNASSIGNED,
                    _counted(sum(cells.values()), "tensor"),
                    _counted(sum(cell.numel * n for cell, n in cells.items()), "parameter"),
                    size_text(sum(cell.nbytes * n for cell, n in cells.items())),
                )
            )
    if len(rows) < 2:
        return ""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        style.bold(f"{row[0]:<{widths[0]}}")
        + "".join(f"{_GAP}{text:>{width}}" for text, width in zip(row[1:], widths[1:], strict=True))
        for row in rows
    )


def _problem_lines(problems: Sequence[Problem], style: Style) -> list[str]:
    if not problems:
        return []
    lines = [style.warning(f"{_counted(len(problems), 'problem')}:") + "\n"]
    for problem in problems[:_LISTED_PROBLEMS]:
        place = f"{plain(problem.where)}: " if problem.where else ""
        lines.append(f"  {place}{problem.message} [{problem.code}]\n")
    if len(problems) > _LISTED_PROBLEMS:
        lines.append(f"  and {len(problems) - _LISTED_PROBLEMS:,} more\n")
    return lines


def _counted(count: int, noun: str) -> str:
    return f"{count_text(count)} {noun}{'' if count == 1 else 's'}"


def _listed(words: Sequence[str]) -> str:
    more = len(words) - _LISTED
    return ", ".join(words[:_LISTED]) + (f" and {more:,} more" if more > 0 else "")
