"""Notices when a file on disk is no longer the one that was read."""

from __future__ import annotations

import os

from PySide6.QtCore import QFileSystemWatcher, QObject, QTimer, Signal

POLL_MS = 2_000
HINTED_POLL_MS = 300
WATCHED_FILES = 64  # of a checkpoint in many shards, the first ones

Stamp = tuple[int, int, int]


def stamp(path: str) -> Stamp | None:
    """What tells one state of a file from another; None where there is no file."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino


class FileWatch(QObject):
    """Watches the files of one checkpoint.

    Signals:
        changed: a file differs from when `watch` was called, and has stopped changing: a
            training that is still writing is waited for.
        vanished: a file is gone.
        restored: after one of these, everything is as it was read again.

    The operating system's notice is only a hint (there is none on network drives): it makes
    the next look come sooner. Without it the files are looked at every two seconds.
    """

    changed = Signal()
    vanished = Signal()
    restored = Signal()

    def __init__(self, parent: QObject | None = None, poll_ms: int = POLL_MS) -> None:
        super().__init__(parent)
        self._known: dict[str, Stamp | None] = {}
        self._last: dict[str, Stamp | None] = {}
        self._reported: dict[str, Stamp | None] = {}
        self._watcher = QFileSystemWatcher(self)
        self._watcher.fileChanged.connect(self._hint)
        self._timer = QTimer(self)
        self._poll_ms = poll_ms
        self._timer.timeout.connect(self._look)

    def watch(self, stamps: dict[str, Stamp | None]) -> None:
        """Watch these files; `stamps` is how they were when they were read."""
        self.stop()
        self._known = dict(list(stamps.items())[:WATCHED_FILES])
        self._last = dict(self._known)
        self._reported = {}
        existing = [path for path, state in self._known.items() if state is not None]
        if existing:
            self._watcher.addPaths(existing)
        if self._known:
            self._timer.start(self._poll_ms)

    def stop(self) -> None:
        """Watch nothing."""
        self._timer.stop()
        if self._watcher.files():
            self._watcher.removePaths(self._watcher.files())
        self._known = {}

    def _hint(self, path: str) -> None:
        # A file that was replaced drops out of the watcher.
        if path not in self._watcher.files() and stamp(path) is not None:
            self._watcher.addPath(path)
        if self._known:
            self._timer.start(min(HINTED_POLL_MS, self._poll_ms))

    def _look(self) -> None:
        now = {path: stamp(path) for path in self._known}
        settled = now == self._last
        self._last = now
        if not settled:
            return
        if self._timer.interval() != self._poll_ms:
            self._timer.start(self._poll_ms)
        if now == self._known:
            if self._reported:
                self._reported = {}
                self.restored.emit()
            return
        if now == self._reported:
            return
        self._reported = now
        if any(now[path] is None and self._known[path] is not None for path in now):
            self.vanished.emit()
        else:
            self.changed.emit()
