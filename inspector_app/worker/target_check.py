"""Refusing to write over what is read: a training checkpoint would be gone, with its optimizer.

Standard library only. It costs nothing where nothing stands at the target.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.worker.failures import Failure


def demand_other_files(
    target: str, checkpoint: str, others: Iterable[str] = (), beside: Iterable[str] = ()
) -> None:
    """Raise `Failure` where a file that would be written is one that is read.

    Args:
        target: the file to write.
        checkpoint: what is read, with its shards, its index and its external data.
        others: what else is read, such as inputs.
        beside: endings of files that may be written beside the target, such as ``.data``.
    """
    written = [path for path in (target, *(target + each for each in beside)) if _exists(path)]
    if not written:
        return
    for path in written:
        for read in (checkpoint, *others):
            if _same(path, read):
                raise _refusal(path, "the export reads that very file")
    for path in written:
        for read in _files_of(checkpoint):
            if _same(path, read):
                raise _refusal(path, f"it is a part of {checkpoint}")


def belongings(target: str, beside: Iterable[str]) -> list[str]:
    """What belongs to the file that stands at `target`, and would belong to nothing once that
    is replaced: an old ONNX model's ``.data``."""
    files = [path for path in (target + each for each in beside) if _exists(path)]
    if not files or not _exists(target):
        return []
    owned = _files_of(target)
    return [path for path in files if any(_same(path, each) for each in owned)]


def _refusal(path: str, reason: str) -> Failure:
    return Failure("not-writable", file=path, reason=reason)


def _files_of(checkpoint: str) -> list[str]:
    try:
        return open_checkpoint(checkpoint).files
    except CheckpointError:
        return []  # whoever reads it says what is wrong


def _exists(path: str) -> bool:
    return bool(path) and os.path.exists(path)


def _same(path: str, other: str) -> bool:
    return _exists(other) and os.path.samefile(path, other)
