"""Drive the reading of a file, with a line of progress on a terminal."""

from __future__ import annotations

import sys
import time

from inspector_app.checkpoint import reading
from inspector_app.checkpoint.model import Checkpoint, Progress
from inspector_app.checkpoint.text import plain

# Shorter work shows nothing: a line that flashes is noise.
_SILENT_SECONDS = 0.5
_EVERY_SECONDS = 0.1
_ERASE = "\r\x1b[K"


def drive(path: str, wanted: bool) -> Checkpoint:
    """Read the checkpoint at `path`, telling stderr how far it is where that is a terminal.

    Raises:
        CheckpointError: it cannot be read, or no reader recognises it.
    """
    steps = reading(path)
    visible = wanted and sys.stderr is not None and sys.stderr.isatty()
    due = time.monotonic() + _SILENT_SECONDS
    shown = False
    try:
        while True:
            progress = next(steps)
            if visible and time.monotonic() >= due:
                sys.stderr.write(_ERASE + _line(progress))
                sys.stderr.flush()
                shown = True
                due = time.monotonic() + _EVERY_SECONDS
    except StopIteration as end:
        checkpoint: Checkpoint = end.value
        return checkpoint
    finally:
        steps.close()
        if shown:
            sys.stderr.write(_ERASE)
            sys.stderr.flush()


def _line(progress: Progress) -> str:
    stage = plain(progress.stage, 40)
    if progress.total:
        return f"{stage}: {100 * progress.done // progress.total} %"
    return f"{stage}: {progress.done:,}"
