"""Reads what a Python source offers without ever holding the window up.

A megabyte of source takes Python a second to parse, with its lock held: a thread would not
help, so long ones are parsed by a process of their own.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from functools import partial
from typing import Any

from PySide6.QtCore import QObject, Signal

from inspector_app.analysis.other_process import OtherProcess, ProcessEnded, end_all
from inspector_app.checkpoint.text import plain
from inspector_app.ui.latest_work import LatestWork
from inspector_app.worker.failures import Failed, Failure
from inspector_app.worker.source_listing import Listing, listing, listing_apart

AT_ONCE = 32 << 10  # bytes that are parsed within half a frame


class SourceReading(QObject):
    """Reads one source at a time; a newer one drops the older.

    Signals:
        read: its `Listing`, or a `Failed` that says why there is none.
    """

    read = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._work = LatestWork(self)
        self._processes: list[OtherProcess] = []  # one at most
        # Not a method of this object, which is half gone when it is destroyed.
        self.destroyed.connect(partial(end_all, self._processes))

    @property
    def running(self) -> bool:
        """A source is being read."""
        return self._work.running

    def start(self, path: str, config: Mapping[str, object]) -> None:
        """Read the file at `path`; a short one is read within the call.

        Args:
            path: of the source.
            config: what the checkpoint says that its model was built with.
        """
        self.cancel()
        if not _is_long(path):
            try:
                found: Listing | Failed = listing(path, config)
            except Failure as failure:
                found = failure.failed
            self.read.emit(found)
            return
        process = OtherProcess()
        self._processes.append(process)
        steps = _asking(process, path, dict(config))
        failed = partial(self._broke_off, path)
        self._work.run(steps, lambda _: None, self._done, failed)

    def cancel(self) -> None:
        """Drop what is being read; no signal follows."""
        self._work.cancel()
        end_all(self._processes)

    def _done(self, found: Listing | Failed | None) -> None:
        end_all(self._processes)
        if found is not None:
            self.read.emit(found)

    def _broke_off(self, path: str, error: Exception) -> None:
        end_all(self._processes)
        known = isinstance(error, (ProcessEnded, OSError))
        cause = plain(str(error) if known else f"{type(error).__name__}: {error}", 300)
        self.read.emit(Failure("source-fails", source=path, error=cause).failed)


def _is_long(path: str) -> bool:
    try:
        return os.path.getsize(path) > AT_ONCE
    except OSError:
        return False  # which is told where it is opened


def _asking(
    process: OtherProcess, path: str, config: dict[str, object]
) -> Generator[Any, None, Listing | Failed | None]:
    number = process.ask(listing_apart, path, config)
    found: Listing | Failed | None = yield from process.answers(number)
    return found
