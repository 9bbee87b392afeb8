"""Drift, measured in a process of its own (`other_process`).

Imports neither numpy nor numba, so that a window may.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from inspector_app.analysis.measuring_apart import WAIT

if TYPE_CHECKING:
    from inspector_app.analysis.other_process import OtherProcess


class Moved(NamedTuple):
    """How far one checkpoint is from the first one and from the one before.

    Attributes:
        path: its file.
        from_first, from_previous: for each layer ‖b − a‖₂ / ‖a‖₂; NaN where it has no weights
            that both have.
        whole_from_first, whole_from_previous: the same over all weights.
        reason: why it could not be measured, or "".
    """

    path: str
    from_first: tuple[float, ...]
    from_previous: tuple[float, ...]
    whole_from_first: float
    whole_from_previous: float
    reason: str


class DriftSaid(NamedTuple):
    """How far it is.

    Attributes:
        done, total: bytes of the weights that are to be read.
        layers: their names, once they are known.
        moved: the checkpoints that are done since the last time.
    """

    done: int
    total: int
    layers: tuple[str, ...]
    moved: tuple[Moved, ...]


def measuring_drift_apart(
    process: OtherProcess, paths: Sequence[str]
) -> Generator[DriftSaid, None, None]:
    """`run_drift.measuring_drift` in `process`; closing the generator stops it."""
    number = process.ask(_measuring, list(paths), WAIT)
    answers: Generator[Any, None, None] = process.answers(number)
    yield from answers


def _measuring(paths: list[str], wait: float) -> Generator[DriftSaid, None, None]:
    """In the other process; yields about every `wait` seconds."""
    from inspector_app.analysis.run_drift import measuring_drift

    moved: list[Moved] = []
    yielded = perf_counter()
    last = None
    for last in measuring_drift(paths):
        if last.row is not None:
            row = last.row
            moved.append(
                Moved(
                    row.path,
                    tuple(row.from_first),
                    tuple(row.from_previous),
                    row.whole_from_first,
                    row.whole_from_previous,
                    row.reason,
                )
            )
        if perf_counter() - yielded >= wait:
            yield DriftSaid(last.done, last.total, last.layers, tuple(moved))
            moved = []
            yielded = perf_counter()
    if last is not None:
        yield DriftSaid(last.total, last.total, last.layers, tuple(moved))
