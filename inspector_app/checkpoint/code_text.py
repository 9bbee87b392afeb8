"""The source texts in a file. They are shown and never run."""

from __future__ import annotations

from collections.abc import Generator

from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.limits import DEFAULT, Limits
from inspector_app.checkpoint.model import Checkpoint, CodeText, Progress
from inspector_app.checkpoint.zip_directory import reading


def reading_code(
    checkpoint: Checkpoint, code: CodeText, limits: Limits = DEFAULT
) -> Generator[Progress, None, str]:
    """The text of `code`, in short steps; what is no UTF-8 is replaced.

    Raises:
        CheckpointError: the file is gone, or the entry is damaged or too large.
    """
    if code.text is not None or code.record is None:
        return code.text or ""
    with ByteSource(checkpoint.path) as source:
        directory = yield from reading(source, limits)
        # The file may be another one by now: the entry is looked up anew, not where it was.
        record = directory.get(code.record.name) or code.record
        return directory.read(record, limits.text_bytes).decode("utf-8", "replace")
