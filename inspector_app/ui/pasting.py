"""Files out of the clipboard: as a file manager copies them, or as text with their paths."""

from __future__ import annotations

import os

from PySide6.QtCore import QMimeData

from inspector_app.file_urls import SCHEME, URIS, path_in, paths_in

MOST_LINES = 200
MOST_CHARACTERS = 100_000


def pasted_paths(data: QMimeData) -> list[str]:
    """The files or folders that are there, in order and each once.

    Of text each line is looked at: quoted or not, as ``file:`` URL, or beginning with ``~``.
    A relative path means nothing here, and is none.
    """
    found = paths_in(bytes(data.data(URIS).data()))
    if not found and data.hasText():
        lines = data.text()[:MOST_CHARACTERS].splitlines()[:MOST_LINES]
        found = [path for line in lines if (path := _path(line))]
    return [path for path in dict.fromkeys(found) if os.path.exists(path)]


def pasted_address(data: QMimeData) -> str:
    """The address on the web that is there instead, or ""."""
    text = data.text()[:2_000].strip() if data.hasText() else ""
    return text if text.startswith(("https://", "http://")) and not text.split()[1:] else ""


def _path(line: str) -> str:
    text = line.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        text = text[1:-1]
    if text.startswith(SCHEME):
        return path_in(text.encode("utf-8", "surrogatepass")) or ""
    text = os.path.expanduser(text)
    # A NUL ends a path: no system has files with one.
    return text if os.path.isabs(text) and "\0" not in text else ""
