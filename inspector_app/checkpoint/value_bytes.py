"""Bytes of storages, read into a caller's block.

A file that was cut or replaced since it was opened gives an error, never other bytes in
silence: its time is compared on opening, and a short read is an error.
"""

from __future__ import annotations

import os

from inspector_app.checkpoint.byte_source import ByteSource, reason_of
from inspector_app.checkpoint.errors import UnreadableFile


class BlockFile(ByteSource):
    """A file that is read into blocks which somebody else owns."""

    def read_into(self, offset: int, block: memoryview) -> int:
        """Fill `block` with the bytes from `offset`; fewer only where the file ends.

        Raises:
            UnreadableFile: the operating system reports an error.
        """
        done = 0
        try:
            while done < len(block):
                if hasattr(os, "preadv"):
                    count = os.preadv(self._descriptor, [block[done:]], offset + done)
                else:
                    part = self._read_once(offset + done, len(block) - done)
                    count = len(part)
                    block[done : done + count] = part
                if not count:
                    break
                done += count
        except OSError as error:
            raise UnreadableFile("os-error", self.path, reason=reason_of(error)) from None
        return done

    @property
    def descriptor(self) -> int:
        """Of the open file, for calls of the operating system that move no position."""
        return self._descriptor


class ByteRun:
    """Bytes that stand in the file as they are.

    Attributes:
        size: how many there are.
        sequential: reading backwards costs much.
    """

    sequential = False

    def __init__(self, file: BlockFile, base: int, size: int) -> None:
        self._file = file
        self._base = base
        self.size = max(0, min(size, file.size - base))

    def read_into(self, offset: int, block: memoryview) -> None:
        """Fill `block` with the bytes from `offset`, which lie within the run.

        Raises:
            UnreadableFile: the file has become shorter.
        """
        if self._file.read_into(self._base + offset, block) < len(block):
            raise UnreadableFile("file-changed", self._file.path)

    def place(self, offset: int) -> tuple[int, int] | None:
        """The descriptor of the open file and where byte `offset` stands in it; None where the
        bytes are in no file as they are."""
        return self._file.descriptor, self._base + offset


class HeldRun(ByteRun):
    """Bytes in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read_into(self, offset: int, block: memoryview) -> None:
        block[:] = self._data[offset : offset + len(block)]

    def place(self, offset: int) -> tuple[int, int] | None:
        return None
