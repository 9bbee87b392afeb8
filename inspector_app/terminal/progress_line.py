"""A line of progress on a terminal, and the reading of a file with it."""

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
_BAR = 30


class ProgressLine:
    """One line on stderr that is written over again and again, where that is a terminal.

    Args:
        wanted: show it at all.
    """

    def __init__(self, wanted: bool) -> None:
        self._visible = wanted and sys.stderr is not None and sys.stderr.isatty()
        self._due = time.monotonic() + _SILENT_SECONDS
        self._shown = False

    @property
    def due(self) -> bool:
        """Whether it is time for the next text: making one for each step would cost."""
        return self._visible and time.monotonic() >= self._due

    def show(self, text: str) -> None:
        """Write `text` over what stands there, if that is due."""
        if self.due:
            sys.stderr.write(_ERASE + text)
            sys.stderr.flush()
            self._shown = True
            self._due = time.monotonic() + _EVERY_SECONDS

    def erase(self) -> None:
        """Clear the line, for other text to be written."""
        if self._shown:
            sys.stderr.write(_ERASE)
            sys.stderr.flush()
            self._shown = False


def share_bar(done: int, total: int) -> str:
    """A bar and a percentage."""
    share = done / total if total else 1.0
    full = int(share * _BAR)
    return f"[{'#' * full}{'-' * (_BAR - full)}] {int(100 * share)} %"


def drive(path: str, wanted: bool) -> Checkpoint:
    """Read the checkpoint at `path`, telling stderr how far it is where that is a terminal.

    Raises:
        CheckpointError: it cannot be read, or no reader recognises it.
    """
    steps = reading(path)
    line = ProgressLine(wanted)
    try:
        while True:
            progress = next(steps)
            if line.due:
                line.show(_line(progress))
    except StopIteration as end:
        checkpoint: Checkpoint = end.value
        return checkpoint
    finally:
        steps.close()
        line.erase()


def _line(progress: Progress) -> str:
    stage = plain(progress.stage, 40)
    if progress.total:
        return f"{stage}: {100 * progress.done // progress.total} %"
    return f"{stage}: {progress.done:,}"
