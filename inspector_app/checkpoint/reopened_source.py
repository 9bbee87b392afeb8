"""A file that is open only while it is read.

What is looked at for minutes must not be held open: Windows lets nobody replace an open file,
and the training that writes it would fail.
"""

from __future__ import annotations

import os

from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.errors import UnreadableFile


class ReopenedSource(ByteSource):
    """The file at `path` as it is now.

    Raises:
        UnreadableFile: as `ByteSource`; also from `read` once the file is another one.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self.bytes_read = 0
        with ByteSource(path) as file:
            self.size = file.size
            self.modified_ns = file.modified_ns

    def read(self, offset: int, count: int) -> bytes:
        """At most `count` bytes from `offset`; fewer only where the file ends.

        Raises:
            UnreadableFile: the operating system reports an error, or the file has changed.
        """
        with ByteSource(self.path) as file:
            if (file.size, file.modified_ns) != (self.size, self.modified_ns):
                raise UnreadableFile("file-changed", self.path)
            data = file.read(offset, count)
        self.bytes_read += len(data)
        return data

    def close(self) -> None:
        """There is nothing to close."""
