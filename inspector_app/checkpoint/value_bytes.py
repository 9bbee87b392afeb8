"""The bytes of storages: found, checked against the file, and read into a caller's block.

A file that was cut or replaced since it was opened gives an error, never other bytes in
silence: its time is compared on opening, and a short read is an error.
"""

from __future__ import annotations

import os
import threading
import zlib

from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.errors import BrokenFile, LimitExceeded, UnreadableFile
from inspector_app.checkpoint.limits import Limits
from inspector_app.checkpoint.model import Checkpoint, Record, StorageRef
from inspector_app.checkpoint.zip_directory import DEFLATED, ENCRYPTED, STORED, ZipDirectory

_PACKED_CHUNK = 1 << 18
_INFLATERS_KEPT = 16  # each has a window of 32 KiB and unpacked bytes that nobody asked for yet


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
            raise UnreadableFile("os-error", self.path, reason=str(error.strerror)) from None
        return done

    def is_unchanged(self) -> bool:
        """Whether its length and time are those when it was opened."""
        status = os.fstat(self._descriptor)
        return (status.st_size, status.st_mtime_ns) == (self.size, self.modified_ns)


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


class InflatedRun(ByteRun):
    """Bytes that are deflated in the file: read from the front, kept nowhere.

    Reading backwards starts anew. How much is inflated in all is bounded, since a hostile
    view can ask for that at every element.
    """

    sequential = True

    def __init__(self, file: BlockFile, base: int, record: Record, limits: Limits) -> None:
        self._file = file
        self._base = base
        self._record = record
        self._packed_end = base + max(0, min(record.packed_bytes, file.size - base))
        self.size = record.nbytes
        self._left = 16 * record.nbytes + limits.inflated_bytes
        self._lock = threading.Lock()
        self._restart()

    def _restart(self) -> None:
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        self._at = self._base
        self._place = 0

    def read_into(self, offset: int, block: memoryview) -> None:
        with self._lock:
            if offset < self._place:
                self._restart()
            while self._place < offset:
                self._inflate(min(offset - self._place, _PACKED_CHUNK))
            done = 0
            while done < len(block):
                part = self._inflate(len(block) - done)
                block[done : done + len(part)] = part
                done += len(part)

    def _inflate(self, most: int) -> bytes:
        """The next bytes: at least one, at most `most`."""
        while True:
            packed = self._inflater.unconsumed_tail
            if not packed and self._at < self._packed_end:
                packed = self._file.read(self._at, min(_PACKED_CHUNK, self._packed_end - self._at))
                self._at += len(packed)
                if not packed:
                    raise UnreadableFile("file-changed", self._file.path)
            try:
                data = self._inflater.decompress(packed, most)
            except zlib.error as error:
                raise self._broken(str(error)) from None
            if data:
                break
            if self._inflater.eof or self._at >= self._packed_end:
                raise self._broken("it ends too early")
        self._place += len(data)
        self._left -= len(data)
        if self._left < 0:
            raise LimitExceeded(
                "limit",
                self._file.path,
                self._record.name,
                what="unpacking the entry again and again",
                limit=16,
            )
        return data

    def _broken(self, reason: str) -> BrokenFile:
        return BrokenFile("broken-record", self._file.path, self._record.name, reason=reason)


class StorageBytes:
    """Opens the files of a checkpoint and finds the bytes of its storages."""

    def __init__(self, checkpoint: Checkpoint, limits: Limits) -> None:
        self._checkpoint = checkpoint
        self._limits = limits
        self._files: dict[str, BlockFile] = {}
        self._lock = threading.Lock()
        self._inflated: dict[tuple[str, int], InflatedRun] = {}

    def run(self, storage: StorageRef, record: Record) -> ByteRun:
        """The bytes of `storage`, which lie in `record`: those that the file really has.

        Raises:
            UnreadableFile: the file cannot be opened, or is another one by now.
            BrokenFile: the entry is not where the directory says, or cannot be unpacked.
        """
        with self._lock:
            file = self._open(storage.file or self._checkpoint.path)
            if record.flags & ENCRYPTED:
                raise BrokenFile("encrypted-entry", file.path, record.name)
            if record.method not in (STORED, DEFLATED):
                raise BrokenFile(
                    "unsupported-compression", file.path, record.name, method=record.method
                )
            base = record.offset
            if base < 0:
                base = ZipDirectory(file, self._limits).data_offset(record)
            if record.method == STORED:
                return ByteRun(file, base, record.nbytes)
            known = self._inflated.get((file.path, base))
            if known is None:
                if len(self._inflated) >= _INFLATERS_KEPT:
                    del self._inflated[next(iter(self._inflated))]
                known = InflatedRun(file, base, record, self._limits)
                self._inflated[file.path, base] = known
            return known

    def _open(self, path: str) -> BlockFile:
        file = self._files.get(path)
        if file is None:
            file = BlockFile(path)
            expected = self._checkpoint.modified_ns
            if path == self._checkpoint.path and expected not in (0, file.modified_ns):
                file.close()
                raise UnreadableFile("file-changed", path)
            self._files[path] = file
        return file

    def unchanged(self, storage: StorageRef) -> bool:
        """Whether the file of `storage` is as it was when it was opened for its values."""
        with self._lock:
            file = self._files.get(storage.file or self._checkpoint.path)
            return file is None or file.is_unchanged()

    def close(self) -> None:
        with self._lock:
            for file in self._files.values():
                file.close()
            self._files.clear()
            self._inflated.clear()
