"""`run`: the checkpoints of a run as text and as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from inspector_app.analysis.node_values import Number
from inspector_app.analysis.quantities import count_text, size_text
from inspector_app.analysis.run_checkpoints import Run, RunCheckpoint
from inspector_app.analysis.run_drift import Drift, DriftRow
from inspector_app.analysis.training_words import number_text
from inspector_app.checkpoint.text import plain
from inspector_app.terminal.style import Style, clipped
from inspector_app.terminal.training_json import SCHEMA, dump, value_of
from inspector_app.terminal.training_text import table

_MOST_METRICS = 4
_MOVED = 5


def json_text(run: Run, drift: Drift | None) -> str:
    """The object's text, with a newline at its end."""
    return (
        dump(
            {
                "schema": SCHEMA,
                "sorted_by": run.by,
                "metric": run.metric or None,
                "best": run.best.path if run.best is not None else None,
                "latest": run.latest.path if run.latest is not None else None,
                "nbytes": run.nbytes,
                "checkpoints": [_json_row(each) for each in run.checkpoints],
                "curves": [
                    {
                        "name": curve.name,
                        "lower_is_better": curve.lower_is_better,
                        "points": [[value_of(x), value_of(y)] for x, y in curve.points],
                    }
                    for curve in run.curves
                ],
                "drift": _json_drift(drift) if drift is not None else None,
            }
        )
        + "\n"
    )


def _json_row(checkpoint: RunCheckpoint) -> dict[str, Any]:
    return {
        "path": checkpoint.path,
        "name": checkpoint.name,
        "state": checkpoint.state,
        "reason": checkpoint.reason or None,
        "nbytes": checkpoint.nbytes,
        "modified": checkpoint.modified_ns / 1e9,
        "epoch": value_of(checkpoint.place.epoch),
        "step": value_of(checkpoint.place.step),
        "tensors": checkpoint.tensors,
        "optimizer": checkpoint.trains,
        "metrics": {name: value_of(value) for name, value in checkpoint.metrics.items()},
    }


def _json_drift(drift: Drift) -> dict[str, Any]:
    return {
        "layers": list(drift.layers),
        "checkpoints": [
            {
                "path": row.path,
                "from_first": value_of(row.whole_from_first),
                "from_previous": value_of(row.whole_from_previous),
                "layers_from_first": [value_of(value) for value in row.from_first],
                "layers_from_previous": [value_of(value) for value in row.from_previous],
                "left_out": row.left_out,
                "not_finite": row.not_finite,
                "reason": row.reason or None,
            }
            for row in drift.rows
        ],
    }


def text_parts(run: Run, drift: Drift | None, style: Style, whole: bool) -> Iterator[str]:
    """The text, in pieces; unless it is to be `whole`, the summary alone."""
    for line in _lines(run, drift, style, whole):
        yield style.drawing(clipped(line, style.width) if style.width else line) + "\n"


def _lines(run: Run, drift: Drift | None, style: Style, whole: bool) -> Iterator[str]:
    if whole:
        metrics = [curve.name for curve in run.curves][:_MOST_METRICS]
        if run.metric and run.metric not in metrics:
            metrics = [run.metric, *metrics[:-1]]
        moved = {row.path: row for row in drift.rows} if drift is not None else {}
        heading = ["checkpoint", "epoch", "step", *map(plain, metrics)]
        if drift is not None:
            heading += ["from first", "from previous"]
        rows = [(*heading, "size", "")]
        rows += [_row(each, metrics, moved, drift is not None, run) for each in run.checkpoints]
        yield from table(rows, indent="")
        yield ""
        if drift is not None:
            yield from _most_moved(drift, style)
    yield style.bold(_summary(run))


def _row(
    checkpoint: RunCheckpoint,
    metrics: list[str],
    moved: dict[str, DriftRow],
    drift: bool,
    run: Run,
) -> tuple[str, ...]:
    cells = [plain(checkpoint.name)]
    cells += [_number(value) for value in (checkpoint.place.epoch, checkpoint.place.step)]
    cells += [_number(checkpoint.metrics.get(name)) for name in metrics]
    if drift:
        row = moved.get(checkpoint.path)
        cells += (
            ["", ""]
            if row is None
            else [_share(value) for value in (row.whole_from_first, row.whole_from_previous)]
        )
    notes = [] if checkpoint.complete else [checkpoint.state]
    notes += [
        word
        for word, which in (("best", run.best), ("latest", run.latest))
        if which is not None and which.path == checkpoint.path
    ]
    if checkpoint.reason:
        notes[0] = f"{checkpoint.state}: {checkpoint.reason}"
    return (*cells, size_text(checkpoint.nbytes), ", ".join(notes))


def _number(value: Number | None) -> str:
    return "" if value is None else number_text(value)


def _share(value: float) -> str:
    return "" if math.isnan(value) else "∞" if math.isinf(value) else f"{100 * value:.3g} %"


def _most_moved(drift: Drift, style: Style) -> Iterator[str]:
    """The layers that moved most from the first checkpoint to the last."""
    measured = [row for row in drift.rows if not row.reason]
    if not measured:
        return
    last = measured[-1]
    order = sorted(
        (place for place, value in enumerate(last.from_first) if not math.isnan(value)),
        key=lambda place: -last.from_first[place],
    )
    yield style.bold("moved most since the first checkpoint")
    rows = [(plain(drift.layers[place]), _share(last.from_first[place])) for place in order]
    yield from table(rows[:_MOVED])
    yield ""


def _summary(run: Run) -> str:
    count = len(run.checkpoints)
    words = [f"{count_text(count)} checkpoint{'' if count == 1 else 's'}, {size_text(run.nbytes)}"]
    incomplete = sum(not each.complete for each in run.checkpoints)
    if incomplete:
        words.append(f"{count_text(incomplete)} not complete")
    words.append(f"sorted by {run.by}")
    if run.latest is not None:
        words.append(f"latest {plain(run.latest.name)}")
    if run.best is not None:
        value = number_text(run.best.metrics[run.metric])
        words.append(f"best {plain(run.best.name)} ({plain(run.metric)} {value})")
    return "; ".join(words)
