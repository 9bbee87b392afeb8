"""Bytes inside a file, or unpacked from it, read as if they were a file themselves."""

from __future__ import annotations

from inspector_app.checkpoint.byte_source import ByteSource


class RecordSource(ByteSource):
    """A run of bytes of another source.

    Attributes:
        base: where its first byte stands in the file.
    """

    def __init__(self, source: ByteSource, offset: int, size: int) -> None:
        self.path = source.path
        self.modified_ns = source.modified_ns
        self.bytes_read = 0
        self.base = offset
        self.size = max(0, min(size, source.size - offset))
        self._source = source

    def read(self, offset: int, count: int) -> bytes:
        """At most `count` bytes from `offset`; fewer only where the run ends."""
        count = min(count, self.size - offset)
        if offset < 0 or count <= 0:
            return b""
        data = self._source.read(self.base + offset, count)
        self.bytes_read += len(data)
        return data

    def place_of(self, offset: int) -> tuple[str, int] | None:
        return self._source.place_of(self.base + offset)

    def close(self) -> None:
        """The file stays open: it belongs to somebody else."""


class MemorySource(ByteSource):
    """Bytes that are in memory, such as an archive's entry that was compressed."""

    def __init__(self, source: ByteSource, data: bytes) -> None:
        self.path = source.path
        self.modified_ns = source.modified_ns
        self.bytes_read = 0
        self.size = len(data)
        self._bytes = data

    def read(self, offset: int, count: int) -> bytes:
        """At most `count` bytes from `offset`; fewer only where they end."""
        if offset < 0 or count <= 0:
            return b""
        return self._bytes[offset : offset + count]

    def place_of(self, offset: int) -> tuple[str, int] | None:
        return None

    def close(self) -> None:
        """There is nothing to close."""
