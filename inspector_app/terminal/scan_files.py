"""The files that a scan looks at: those that were named, and what is in named folders."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

_DEEPEST = 64
_MOST_FILES = 1_000_000


class Found(NamedTuple):
    """A file to scan.

    Attributes:
        path: as it is shown.
        named: it was named itself, so that it has to be a checkpoint.
        skipped: why it is not looked at, or "".
        failed: why it cannot be looked at, or "".
    """

    path: str
    named: bool = False
    skipped: str = ""
    failed: str = ""


def files_of(paths: Sequence[str]) -> Iterator[Found]:
    """Each file once, in the order of names; of folders recursively.

    Links are not followed out of a folder; what they lead to inside it is found by itself.
    """
    files = _Files(path for path in paths if not os.path.isdir(path))
    for path in paths:
        if os.path.isdir(path):
            yield from _folder(path, os.path.realpath(path), files)
        elif files.is_new(path):
            yield Found(path, named=True)


class _Files:
    """Files by what they are, whatever leads to them: which were named, which have been met."""

    def __init__(self, named: Iterable[str]) -> None:
        self._named = {_identity(path) for path in named} - {None}
        self._met: set[tuple[int, int]] = set()

    def is_named(self, path: str) -> bool:
        return _identity(path) in self._named

    def is_new(self, path: str) -> bool:
        """It was not met before, or nobody can say: opening it says what is wrong."""
        identity = _identity(path)
        if identity is None:
            return True
        if identity in self._met:
            return False
        self._met.add(identity)
        return True


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def _folder(top: str, root: str, files: _Files) -> Iterator[Found]:
    pending: list[tuple[str, int]] = [(top, 0)]
    count = 0
    while pending:
        folder, depth = pending.pop()
        try:
            with os.scandir(folder) as listed:
                entries = sorted(listed, key=lambda entry: entry.name)
        except OSError as error:
            yield Found(folder, failed=error.strerror or "the folder cannot be listed")
            continue
        folders = []
        for entry in entries:
            try:
                if entry.is_symlink():
                    if not _leads_into(entry.path, root):
                        yield Found(entry.path, skipped="a link out of the folder")
                elif entry.is_dir():
                    folders.append(entry.path)
                elif entry.is_file() and files.is_new(entry.path):
                    count += 1
                    if count > _MOST_FILES:
                        yield Found(top, failed=f"there are more than {_MOST_FILES:,} files")
                        return
                    yield Found(entry.path, named=files.is_named(entry.path))
            except OSError as error:
                yield Found(entry.path, failed=error.strerror or "it cannot be read")
        if depth >= _DEEPEST and folders:
            yield Found(folder, failed=f"folders lie deeper than {_DEEPEST} levels")
            continue
        pending += [(path, depth + 1) for path in reversed(folders)]


def _leads_into(path: str, root: str) -> bool:
    target = os.path.realpath(path)
    return target == root or target.startswith(root.rstrip(os.sep) + os.sep)
