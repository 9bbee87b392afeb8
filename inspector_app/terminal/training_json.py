"""`training --json`: the state of a training as one JSON object."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from inspector_app.analysis.optimizer_state import Entry, OptimizerState
from inspector_app.analysis.resume_checklist import Checklist
from inspector_app.analysis.scheduler_state import SchedulerState
from inspector_app.analysis.training_figures import Figure
from inspector_app.analysis.training_state import TrainingState
from inspector_app.checkpoint.model import TensorInfo

if TYPE_CHECKING:
    from inspector_app.terminal.rehearsal import Tried

SCHEMA = 1
_ROWS_AT_ONCE = 2_000


def json_parts(state: TrainingState, found: Checklist, tried: Tried | None = None) -> Iterator[str]:
    """The object's text, in pieces, with a newline at its end; `tried` if it was rehearsed."""
    head = dump(
        {
            "schema": SCHEMA,
            "path": state.path,
            "framework": state.framework,
            "epoch": _figure(state.epoch),
            "step": _figure(state.step),
            "metrics": _figures(state.metrics),
            "best": _figures(state.best),
            "histories": [
                {
                    "name": history.name,
                    "path": list(history.path),
                    "values": [value_of(value) for value in history.values],
                    "steps": [value_of(value) for value in history.steps],
                }
                for history in state.histories
            ],
            "config": _figures(state.config),
            "versions": _figures(state.facts),
            "models": [
                {
                    "path": list(model.path),
                    "file": model.file,
                    "tensors": len(model.tensors),
                    "nbytes": model.nbytes,
                }
                for model in state.models
            ],
            "schedulers": [_scheduler(scheduler) for scheduler in state.schedulers],
            "parts": [
                {
                    "kind": part.kind,
                    "path": list(part.path),
                    "file": part.file,
                    "words": part.words.message,
                }
                for part in state.parts
            ],
            "files": list(state.files),
            "resumable": found.resumable,
            "values_checked": found.finite,
            "checks": [
                {
                    "subject": check.subject,
                    "status": check.status,
                    "code": check.words.code,
                    "message": check.words.message,
                    "where": check.where,
                }
                for check in found.checks
            ],
            "rehearsal": _rehearsal(tried),
        }
    )
    yield head[:-1] + ',"optimizers":['
    for number, optimizer in enumerate(state.optimizers):
        yield "," * (number > 0)
        yield from _optimizer(optimizer, state.model_nbytes)
    yield "]}\n"


def _rehearsal(tried: Tried | None) -> dict[str, Any] | None:
    if tried is None:
        return None
    from inspector_app.terminal.rehearsal import json_object

    return json_object(tried)


def dump(value: object) -> str:
    """Compact JSON; what is no finite number must be None by now."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def value_of(value: Any) -> Any:
    """A scalar, or a tuple of them, as JSON has it: what is not finite is null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, tuple):
        return [value_of(each) for each in value]
    if type(value) is int and value.bit_length() > 2_000:
        return None  # Python refuses to print longer ones
    return value


def _figure(figure: Figure | None) -> dict[str, Any] | None:
    if figure is None:
        return None
    return {
        "name": figure.name,
        "value": value_of(figure.value),
        "path": list(figure.path),
        "file": figure.file,
    }


def _figures(figures: Iterable[Figure]) -> list[dict[str, Any] | None]:
    return [_figure(figure) for figure in figures]


def _scheduler(scheduler: SchedulerState) -> dict[str, Any]:
    return {
        "path": list(scheduler.path),
        "file": scheduler.file,
        "classes": list(scheduler.names),
        "library": scheduler.library,
        "last_epoch": scheduler.last_epoch,
        "base_lrs": [value_of(rate) for rate in scheduler.base_rates],
        "last_lr": [value_of(rate) for rate in scheduler.rates],
        "settings": {key: value_of(value) for key, value in scheduler.settings.items()},
        "words": [words.message for words in scheduler.words],
        "future_known": scheduler.future,
        "future": scheduler.why.message if scheduler.why is not None else None,
        "parts": [_scheduler(part) for part in scheduler.parts],
    }


def _optimizer(optimizer: OptimizerState, model_nbytes: int) -> Iterator[str]:
    head = dump(
        {
            "path": list(optimizer.path),
            "file": optimizer.file,
            "classes": list(optimizer.recognised.names),
            "library": optimizer.recognised.library,
            "variant": list(optimizer.variant),
            "nbytes": optimizer.nbytes,
            "model_nbytes": model_nbytes,
            "slots": list(optimizer.slots),
            "in_order": optimizer.in_order,
            "not_in_optimizer": list(optimizer.left_out),
            "param_groups": [
                {
                    "parameters": group.parameters,
                    "options": {key: value_of(value) for key, value in group.options.items()},
                }
                for group in optimizer.groups
            ],
        }
    )
    yield head[:-1] + ',"parameters":['
    rows = optimizer.entries
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = rows[start : start + _ROWS_AT_ONCE]
        yield "," * (start > 0) + ",".join(dump(_entry(entry)) for entry in part)
    yield "]}"


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "group": entry.group if entry.group >= 0 else None,
        "name": entry.named.name or None,
        "how": entry.named.how or None,
        "candidates": list(entry.named.candidates),
        "candidate_count": entry.named.total,
        "shape": list(entry.shape) if entry.shape is not None else None,
        "state": {
            slot.name: (
                list(slot.node.path) if isinstance(slot.node, TensorInfo) else _plain(slot.node)
            )
            for slot in entry.slots
        },
    }


def _plain(node: Any) -> Any:
    value = node.value
    return value_of(value) if isinstance(value, (bool, int, float, str)) else None
