"""Sees whatever is imported, run, opened for writing or sent while files are read.

For a process of its own: an audit hook cannot be removed.
"""

from __future__ import annotations

import os
import sys
from typing import Any

FORBIDDEN = (
    "compile", "exec", "code.__new__", "function.__new__", "marshal.", "pickle.", "ctypes.",
    "os.", "subprocess.", "socket.", "shutil.", "urllib.", "ftplib.", "smtplib.", "tempfile.",
    "builtins.", "sys.set", "sys.addaudithook", "webbrowser.", "pty.", "fcntl.", "mmap.",
)  # fmt: skip
HARMLESS = {"os.listdir", "os.scandir", "builtins.id"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_KEPT = 10


class AuditWatch:
    """A context: what happens within it that reading a file has no need for is `seen`."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self._watching = False
        sys.addaudithook(self._hear)

    def __enter__(self) -> None:
        self.seen = []
        self._watching = True

    def __exit__(self, *_: object) -> None:
        self._watching = False

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._watching:
            return
        if event == "import":
            bad = True
        elif event == "open":
            mode, flags = arguments[1], arguments[2]
            bad = bool(set(mode or "") & set("wax+")) or bool((flags or 0) & WRITING)
        else:
            bad = event.startswith(FORBIDDEN) and event not in HARMLESS
        if bad and len(self.seen) < _KEPT:
            self.seen.append(f"{event} {arguments!r:.200}")
