"""Carries a plan out: writes beside the target, and takes its place when all is on the disk."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from inspector_app.analysis.save_plan import SavePlan


@dataclass(frozen=True, slots=True)
class SaveProgress:
    """How far it is: `done` of `total` bytes of values, and what is being written."""

    done: int
    total: int
    what: str = ""


@dataclass(frozen=True, slots=True)
class Overflow:
    """Finite values that became infinite, or NaN where the dtype has no infinity, by a cast."""

    name: str
    dtype: str
    count: int


@dataclass(frozen=True, slots=True)
class Saved:
    """What was written.

    Attributes:
        files: the target; of shards the index first.
        nbytes: length of all of them.
        overflows: of each tensor that had any.
    """

    files: tuple[str, ...]
    nbytes: int
    overflows: tuple[Overflow, ...]


def saving(plan: SavePlan, force: bool = False) -> Generator[SaveProgress, None, Saved]:
    """Write what `plan` says.

    A step takes about 10 ms at most and mostly waits for the disk, without the GIL: the window
    runs it in a thread (`ui.background`). If the generator is closed, or anything fails,
    nothing is left of what was begun, and what was there stays.

    Args:
        force: replace what has the target's name, which may be the source itself.

    Raises:
        CheckpointError: it cannot be read or written; the sentence says why.
    """
    raise NotImplementedError
    yield
