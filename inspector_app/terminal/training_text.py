"""`training`: the state of a training as text that people read."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from inspector_app.analysis.optimizer_state import Entry, OptimizerState
from inspector_app.analysis.quantities import count_text, size_text
from inspector_app.analysis.resume_checklist import Checklist, CheckStatus
from inspector_app.analysis.scheduler_state import SchedulerState
from inspector_app.analysis.training_figures import Figure
from inspector_app.analysis.training_state import TrainingState
from inspector_app.analysis.training_words import number_text, numbers_text
from inspector_app.checkpoint.text import plain
from inspector_app.terminal.style import Style, clipped

_GAP = "  "
_WIDEST = 60
_NARROWEST = 30
_CANDIDATES = 3
_SIGNS = {
    CheckStatus.OK: "ok",
    CheckStatus.NOTE: "note",
    CheckStatus.WARNING: "careful",
    CheckStatus.FAILED: "FAILS",
}


def text_parts(
    state: TrainingState, found: Checklist, style: Style, whole: bool = True
) -> Iterator[str]:
    """The text, in pieces. Unless it is to be `whole`, the summary and the checklist alone."""
    for line in _lines(state, found, style, whole):
        yield style.drawing(line) + "\n"


def table(rows: Sequence[Sequence[str]], indent: str = _GAP, left: int = 1) -> Iterator[str]:
    """Rows with aligned columns, the first `left` of them to the left, all others to the right."""
    if not rows:
        return
    widths = [min(max(len(row[column]) for row in rows), _WIDEST) for column in range(len(rows[0]))]
    for row in rows:
        cells = [
            f"{text:<{width}}" if column < left else f"{text:>{width}}"
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield (indent + _GAP.join(cells)).rstrip()


def wrapped(head: str, text: str, indent: int, style: Style) -> Iterator[str]:
    """A sentence after `head`, on several lines where the terminal is narrow."""
    if not style.width:
        yield head + text
        return
    room = max(style.width - indent, _NARROWEST)
    lines = textwrap.wrap(text, room, break_on_hyphens=False) or [""]
    for number, line in enumerate(lines):
        yield (head if number == 0 else " " * indent) + line


def _lines(state: TrainingState, found: Checklist, style: Style, whole: bool) -> Iterator[str]:
    if whole:
        yield from _section(style, "progress", [f for f in (state.epoch, state.step) if f])
        yield from _section(style, "metrics", state.metrics)
        yield from _section(style, "best so far", state.best)
        for history in state.histories:
            first, last = (number_text(history.values[place]) for place in (0, -1))
            count = count_text(len(history.values))
            yield f"{_GAP}{plain(history.name)}: {count} values, {first} … {last}"
        if state.histories:
            yield ""
        for optimizer in state.optimizers:
            yield from _optimizer(optimizer, state, style)
        for scheduler in state.schedulers:
            yield from _scheduler(scheduler, style)
        if state.parts:
            yield style.bold("other parts")
            yield from table(
                [
                    (part.kind, _place(part.path, part.file), part.words.message)
                    for part in state.parts
                ],
                left=3,
            )
            yield ""
        yield from _section(style, "versions and times", state.facts)
        yield from _section(style, "configuration", state.config)
    yield style.bold(_summary(state))
    yield from _checks(found, style)


def _section(style: Style, title: str, figures: Sequence[Figure]) -> Iterator[str]:
    if not figures:
        return
    yield style.bold(title)
    rows = [(plain(figure.name), number_text(figure.value)) for figure in figures]
    yield from table(rows, left=2)
    yield ""


def _place(path: Sequence[object], file: str) -> str:
    text = plain("/".join(map(str, path)))
    return f"{plain(file)}: {text}" if file and text else plain(file) or text


def _summary(state: TrainingState) -> str:
    words = [optimizer.kind or "an optimizer of an unknown class" for optimizer in state.optimizers]
    words += [scheduler.kind or "a scheduler" for scheduler in state.schedulers]
    words += [
        f"{plain(figure.name)} {number_text(figure.value)}"
        for figure in (state.epoch, state.step)
        if figure is not None
    ]
    if state.optimizers:
        words.append(
            f"{size_text(state.optimizer_nbytes)} of optimizer state, "
            f"{size_text(state.model_nbytes)} of weights"
        )
    if state.framework:
        words.append(plain(state.framework))
    return f"{plain(state.path)}: {'; '.join(words) or 'weights, and nothing of a training'}"


def _optimizer(optimizer: OptimizerState, state: TrainingState, style: Style) -> Iterator[str]:
    kind = optimizer.kind or "unknown"
    variant = f" with {', '.join(optimizer.variant)}" if optimizer.variant else ""
    library = f" ({optimizer.recognised.library})" if optimizer.recognised.library else ""
    title = f"optimizer {kind}{library}{variant}"
    yield style.bold(f"{title}: {_place(optimizer.path, optimizer.file) or 'the whole file'}")
    sizes = f"{size_text(optimizer.nbytes)} of state"
    if state.models:
        sizes += f" against {size_text(state.model_nbytes)} of weights"
    yield f"{_GAP}{sizes}"
    yield from _clipped(table(_groups(optimizer)), style)
    yield ""
    rows = [("id", "group", "parameter", "shape", "state")]
    rows += [_entry(entry) for entry in optimizer.entries]
    yield from _clipped(table(rows, left=5), style)
    yield ""


def _clipped(lines: Iterator[str], style: Style) -> Iterator[str]:
    for line in lines:
        yield clipped(line, style.width) if style.width else line


def _groups(optimizer: OptimizerState) -> list[tuple[str, ...]]:
    """A column for each param group, a row for each option."""
    groups = optimizer.groups
    rows = [("param group", *(str(group.number) for group in groups))]
    rows.append(("parameters", *(count_text(group.parameters) for group in groups)))
    for option in dict.fromkeys(key for group in groups for key in group.options):
        cells = []
        for group in groups:
            value = group.options.get(option, "")
            cells.append(
                f"({numbers_text(value, 8)})"
                if isinstance(value, tuple) and len(set(value)) > 1
                else numbers_text(value)
                if isinstance(value, tuple)
                else number_text(value)
            )
        rows.append((plain(option, 40), *cells))
    return rows


def _entry(entry: Entry) -> tuple[str, str, str, str, str]:
    named = entry.named
    if named.name:
        name = plain(named.name)
    elif named.total:
        shown = " or ".join(plain(each) for each in named.candidates[:_CANDIDATES])
        more = named.total - min(len(named.candidates), _CANDIDATES)
        name = f"ambiguous: {shown}" + (f" or {more:,} others" if more else "")
    else:
        name = "?"
    shape = "×".join(map(str, entry.shape)) if entry.shape else "" if entry.shape is None else "()"
    return (
        plain(str(entry.id), 40),
        str(entry.group) if entry.group >= 0 else "-",
        name,
        shape,
        ", ".join(plain(slot.name, 40) for slot in entry.slots),
    )


def _scheduler(scheduler: SchedulerState, style: Style, indent: str = "") -> Iterator[str]:
    kind = scheduler.kind or "unknown"
    library = f" ({scheduler.library})" if scheduler.library else ""
    place = _place(scheduler.path, scheduler.file) or "the whole file"
    yield indent + style.bold(f"scheduler {kind}{library}: {place}")
    inner = indent + _GAP
    for words in scheduler.words:
        yield from wrapped(inner, words.message, len(inner), style)
    if scheduler.why is not None and not indent:
        yield from wrapped(inner, scheduler.why.message, len(inner), style)
    for part in scheduler.parts:
        yield from _scheduler(part, style, indent + _GAP)
    if not indent:
        yield ""


def _checks(found: Checklist, style: Style) -> Iterator[str]:
    width = max(map(len, _SIGNS.values()))
    subjects = max((len(check.subject) for check in found.checks), default=0)
    for check in found.checks:
        sign = f"{_SIGNS[check.status]:<{width}}"
        if check.status in (CheckStatus.FAILED, CheckStatus.WARNING):
            sign = style.warning(sign)
        where = f"{plain(check.where)}: " if check.where else ""
        head = f"{_GAP}{sign}{_GAP}{check.subject:<{subjects}}{_GAP}"
        indent = 2 * len(_GAP) + width + len(_GAP) + subjects
        yield from wrapped(head, f"{where}{check.words.message}", indent, style)
    if found.resumable:
        warned = any(check.status == CheckStatus.WARNING for check in found.checks)
        yield style.bold("It can be resumed" + (", with care." if warned else "."))
    else:
        yield style.warning("It cannot be resumed as it was.")
