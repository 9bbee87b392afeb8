"""What is in a file. Standard library only.

`open_checkpoint` reads the structure of a checkpoint: never the tensors' bytes, and
never by importing or calling anything that the file names. `reading` does the same step
by step, for a window that must not block.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Generator
from typing import TypeVar

from inspector_app.checkpoint.limits import DEFAULT, Limits
from inspector_app.checkpoint.model import Checkpoint, Progress

__all__ = ["count_as_old", "open_checkpoint", "reading", "uncollected"]

T = TypeVar("T")
Reading = Generator[Progress, None, Checkpoint]


def open_checkpoint(path: str | os.PathLike[str], limits: Limits = DEFAULT) -> Checkpoint:
    """Read the structure of the file, or the folder of shards, at `path`.

    Raises:
        CheckpointError: it cannot be read, or no reader recognises it.
    """
    steps = reading(path, limits)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            checkpoint: Checkpoint = end.value
            return checkpoint


def reading(path: str | os.PathLike[str], limits: Limits = DEFAULT) -> Reading:
    """The same in steps of at most a few milliseconds; the checkpoint is the return value."""
    from inspector_app.checkpoint.recognise import reader_of

    return (yield from uncollected(reader_of(path, limits)))


def uncollected(steps: Generator[Progress, None, T]) -> Generator[Progress, None, T]:
    """`steps` without the cyclic collector, which would walk what grows again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        return (yield from steps)
    finally:
        if enabled:
            count_as_old()
            gc.enable()


def count_as_old() -> None:
    """Move what was made to the collector's oldest generation, without walking it.

    Enabling the collector would otherwise walk a million new nodes at the next allocation.
    """
    frozen = gc.get_freeze_count()
    gc.freeze()
    if not frozen:
        gc.unfreeze()
