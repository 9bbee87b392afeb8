"""The local headers of archives, compared with their directories apart from reading.

A tree needs the directory alone, and each header is a read of its own somewhere in the
file: for 300 tensors on a spinning disk or a network that takes seconds. So a window asks
for them once it has shown what there is; everybody else gets them with the checkpoint.
"""

from __future__ import annotations

import os
from collections.abc import Generator

from inspector_app.checkpoint import zip_directory
from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.errors import CheckpointError, Problem
from inspector_app.checkpoint.limits import DEFAULT, Limits
from inspector_app.checkpoint.model import Checkpoint, Progress
from inspector_app.checkpoint.zip_end import find_end
from inspector_app.checkpoint.zip_local import LOCAL


def checking(
    checkpoint: Checkpoint, limits: Limits = DEFAULT
) -> Generator[Progress, None, list[Problem]]:
    """Catch up on what reading with a limit of no `checked_headers` left out, in small steps.

    The problems found are returned and stand among the checkpoint's from now on, and its
    storages learn where their bytes begin. What cannot be read any more has no problems
    here: whoever shows the file watches it.
    """
    known = {(problem.code, problem.where) for problem in checkpoint.problems}
    new: list[Problem] = []
    for path in checkpoint.files:
        try:
            with ByteSource(path) as source:
                if not _is_due(source, limits):
                    continue
                directory = yield from zip_directory.reading(source, limits)
        except CheckpointError:
            continue
        own = path == checkpoint.path
        offsets = {record.header_offset: record.offset for record in directory.order}
        for storage in checkpoint.storages.values():
            record = storage.record
            if record is not None and record.offset < 0 and (storage.file or path) == path:
                storage.record = record._replace(offset=offsets.get(record.header_offset, -1))
        for problem in directory.problems:
            where = problem.where if own else f"{os.path.basename(path)}: {problem.where}"
            if (problem.code, where) not in known:
                new.append(Problem(problem.code, where, problem.details))
    checkpoint.problems.extend(new)
    return new


def _is_due(source: ByteSource, limits: Limits) -> bool:
    """Whether reading would have compared headers: a larger archive's are when they are read."""
    if source.read(0, 4) != LOCAL:
        return False
    end = find_end(source)
    # Without an end the entries themselves were read, from their local headers.
    return end is not None and end.count <= limits.checked_headers
