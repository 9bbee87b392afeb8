"""A checkpoint on paper: what it is, how its training stands, its tensors."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from html import escape
from typing import Any

from PySide6.QtCore import QCoreApplication

from inspector_app.analysis.quantities import count_text, size_text
from inspector_app.analysis.resume_checklist import Checklist, checking
from inspector_app.analysis.totals import Totals
from inspector_app.analysis.training_figures import Figure
from inspector_app.analysis.training_signs import trains
from inspector_app.analysis.training_state import TrainingState, reading_training
from inspector_app.analysis.training_words import number_text
from inspector_app.checkpoint.model import Checkpoint
from inspector_app.checkpoint.text import plain
from inspector_app.ui import summary_text
from inspector_app.ui.problem_text import problem_text
from inspector_app.ui.training_words import STATUSES, SUBJECTS, translated, words_text

MOST_TENSORS = 1_000
MOST_PROBLEMS = 100
_AT_ONCE = 50

Rows = Sequence[tuple[str, str]]


def file_page(checkpoint: Checkpoint, totals: Totals | None) -> Iterator[str]:
    """The page, in pieces; some are empty, so that a window can go on between them."""
    path = os.path.abspath(checkpoint.path)
    yield f"<h1>{escape(plain(os.path.basename(path)))}</h1>"
    yield f'<p class="muted">{escape(plain(path, 1_000))}</p>'
    facts = summary_text.file_rows(checkpoint)
    yield _table(facts + (summary_text.totals_rows(totals) if totals is not None else []))
    if checkpoint.problems:
        yield _list(_tr("Problems"), _problems(checkpoint))
    if totals is not None:
        yield _part(_tr("Sections"), summary_text.section_rows(totals))
        dtypes = [
            (plain(name), f"{summary_text.tensors_text(share.tensors)}, {size_text(share.nbytes)}")
            for name, share in totals.dtypes.items()
        ]
        yield _part(_tr("Dtypes"), dtypes)
    if sentence := summary_text.globals_sentence(checkpoint):
        yield f"<h2>{escape(_tr('Classes and functions'))}</h2><p>{escape(sentence)}</p>"
    yield _part(_tr("The file says of itself"), summary_text.metadata_rows(checkpoint))
    if trains(checkpoint):
        yield from _training(checkpoint)
    yield from _tensors(checkpoint)


def _training(checkpoint: Checkpoint) -> Iterator[str]:
    state: TrainingState = yield from _driven(reading_training(checkpoint))
    found: Checklist = yield from _driven(checking(state))
    verdict = _tr("It can be resumed.") if found.resumable else _tr("It cannot be resumed.")
    checks = []
    for check in found.checks:
        title = translated(SUBJECTS[check.subject])
        if check.where:
            title = f"{title}: {plain(check.where, 60)}"
        said = f"{translated(STATUSES[check.status])}: {words_text(check.words)}"
        checks.append((title, said))
    yield f"<h2>{escape(_tr('Training'))}</h2>"
    counters = [figure for figure in (state.epoch, state.step) if figure is not None]
    yield _table([_row(figure) for figure in (*counters, *state.metrics, *state.best)])
    kinds = [each.kind for each in (*state.optimizers, *state.schedulers) if each.kind]
    yield _table([(_tr("Optimizer and scheduler"), plain(", ".join(kinds), 300))] if kinds else [])
    yield f"<h2>{escape(_tr('Resuming'))}</h2><p>{escape(verdict)}</p>{_table(checks)}"
    yield _part(_tr("Configuration"), [_row(figure) for figure in state.config])
    yield _part(_tr("Versions and times"), [_row(figure) for figure in state.facts])


def _driven(steps: Generator[Any, None, Any]) -> Generator[str, None, Any]:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
        yield ""


def _row(figure: Figure) -> tuple[str, str]:
    return plain(figure.name, 80), number_text(figure.value)


def _problems(checkpoint: Checkpoint) -> list[str]:
    lines = []
    for problem in checkpoint.problems[:MOST_PROBLEMS]:
        text = problem_text(problem)
        lines.append(f"{plain(problem.where)}: {text}" if problem.where else text)
    return lines + _rest(len(checkpoint.problems) - MOST_PROBLEMS)


def _tensors(checkpoint: Checkpoint) -> Iterator[str]:
    if not checkpoint.tensors:
        return
    heads = (_tr("name"), _tr("shape"), _tr("dtype"), _tr("size"))
    cells = "".join(
        f"<th{_NUMBER if place == 3 else ''}>{escape(head)}</th>"
        for place, head in enumerate(heads)
    )
    yield f"<h2>{escape(_tr('Tensors'))}</h2><table><thead><tr>{cells}</tr></thead><tbody>"
    for start in range(0, min(len(checkpoint.tensors), MOST_TENSORS), _AT_ONCE):
        rows = []
        for tensor in checkpoint.tensors[start : min(start + _AT_ONCE, MOST_TENSORS)]:
            shape = " × ".join(map(str, tensor.shape)) or _tr("scalar")
            rows.append(
                f"<tr><td>{escape(plain(tensor.name, 300))}</td><td>{escape(shape)}</td>"
                f"<td>{escape(plain(tensor.dtype, 60))}</td>"
                f'<td class="n">{escape(size_text(tensor.nbytes))}</td></tr>'
            )
        yield "".join(rows)
    yield "</tbody></table>"
    for sentence in _rest(len(checkpoint.tensors) - MOST_TENSORS):
        yield f'<p class="muted">{escape(sentence)}</p>'


def _rest(left: int) -> list[str]:
    return [_tr("… and {n} more").format(n=count_text(left))] if left > 0 else []


def _part(title: str, rows: Rows) -> str:
    return f"<h2>{escape(title)}</h2>{_table(rows)}" if rows else ""


def _list(title: str, lines: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<h2>{escape(title)}</h2><ul>{items}</ul>"


def _table(rows: Rows) -> str:
    if not rows:
        return ""
    cells = "".join(
        f"<dt>{escape(name)}</dt><dd>{'<br>'.join(map(escape, value.splitlines()))}</dd>"
        for name, value in rows
        if value
    )
    return f"<dl>{cells}</dl>"


_NUMBER = ' class="n"'


def _tr(text: str) -> str:
    return QCoreApplication.translate("FilePage", text)
