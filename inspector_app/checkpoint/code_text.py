"""The source texts in a file. They are shown and never run."""

from __future__ import annotations

from collections.abc import Generator
from types import TracebackType
from typing import NamedTuple

from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.limits import DEFAULT, Limits
from inspector_app.checkpoint.model import Checkpoint, CodeText, Progress
from inspector_app.checkpoint.zip_directory import ZipDirectory, reading


class CodeRead(NamedTuple):
    """A text, and the bytes of the file that it was read from.

    Attributes:
        offset, nbytes: of the archive's entry as it lies there, which may be compressed; None
            where the text stands in a pickle.
    """

    text: str
    offset: int | None = None
    nbytes: int | None = None


class CodeTexts:
    """A context in which texts of one file are read; its archive's directory is read once."""

    def __init__(self, checkpoint: Checkpoint, limits: Limits = DEFAULT) -> None:
        self._checkpoint = checkpoint
        self._limits = limits
        self._source: ByteSource | None = None
        self._directory: ZipDirectory | None = None

    def __enter__(self) -> CodeTexts:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._source is not None:
            self._source.close()

    def reading(self, code: CodeText) -> Generator[Progress, None, CodeRead]:
        """The text of `code`, in short steps; what is no UTF-8 is replaced.

        Raises:
            CheckpointError: the file is gone, or the entry is damaged or too large.
        """
        if code.text is not None or code.record is None:
            return CodeRead(code.text or "")
        if self._source is None:
            self._source = ByteSource(self._checkpoint.path)
        if self._directory is None:
            self._directory = yield from reading(self._source, self._limits)
        # The file may be another one by now: the entry is looked up anew, not where it was.
        record = self._directory.get(code.record.name) or code.record
        data = self._directory.read(record, self._limits.text_bytes)
        offset = self._directory.data_offset(record)
        return CodeRead(data.decode("utf-8", "replace"), offset, record.packed_bytes)


def reading_code(
    checkpoint: Checkpoint, code: CodeText, limits: Limits = DEFAULT
) -> Generator[Progress, None, str]:
    """The text of `code`, in short steps; what is no UTF-8 is replaced.

    Raises:
        CheckpointError: the file is gone, or the entry is damaged or too large.
    """
    with CodeTexts(checkpoint, limits) as texts:
        return (yield from texts.reading(code)).text
