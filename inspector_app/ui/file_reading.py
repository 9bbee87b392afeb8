"""Reads a file for a tab: first what the tree needs, and once that is painted the rest."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from PySide6.QtCore import QObject, Signal

from inspector_app.checkpoint import reading
from inspector_app.checkpoint.limits import DEFAULT
from inspector_app.checkpoint.model import Checkpoint, Progress
from inspector_app.ui.tasks import Steps


class FileReading(QObject):
    """The steps of one tab; of those that were started last.

    Signals:
        progress: a `Progress` of the reading.
        read: the `Checkpoint`.
        failed: why it cannot be read.
        checked: the archive's headers were compared; the problems found, which the
            checkpoint has by now.
    """

    progress = Signal(object)
    read = Signal(object)
    failed = Signal(object)
    checked = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._steps: Steps | None = None
        self._checking = False

    def start(self, path: str) -> None:
        """Read the structure of the file at `path`."""
        steps = self._begin(_structure(path))
        steps.progress.connect(self.progress)
        steps.finished.connect(self._read)
        steps.failed.connect(self._failed)
        steps.start()

    def check(self, checkpoint: Checkpoint) -> None:
        """Compare what `start` left for when there is something to look at."""
        from inspector_app.checkpoint.header_checks import checking

        steps = self._begin(checking(checkpoint))
        self._checking = True
        steps.finished.connect(self._checked)
        steps.failed.connect(self._failed)
        steps.start()

    def is_reading(self) -> bool:
        """The structure is being read."""
        return self._steps is not None and not self._checking

    def cancel(self) -> None:
        """Stop; no signal follows."""
        if self._steps is not None:
            self._steps.cancel()
            self._steps.deleteLater()
            self._steps = None
        self._checking = False

    def _begin(self, work: Generator[Progress, None, Any]) -> Steps:
        self.cancel()
        self._steps = Steps(work, self)
        return self._steps

    def _read(self, checkpoint: Checkpoint) -> None:
        self.cancel()
        self.read.emit(checkpoint)

    def _failed(self, error: Exception) -> None:
        self.cancel()
        self.failed.emit(error)

    def _checked(self, problems: object) -> None:
        self.cancel()
        self.checked.emit(problems)


def _structure(path: str) -> Generator[Progress, None, Checkpoint]:
    # Within a generator, so that an error of the first step is reported like any.
    return (yield from reading(path, DEFAULT._replace(checked_headers=0)))
