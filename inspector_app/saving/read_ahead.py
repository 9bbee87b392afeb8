"""Reads and computes in a thread what is written meanwhile: both let go of the GIL."""

from __future__ import annotations

import os
import queue
import threading
import zlib
from collections.abc import Generator, Sequence
from typing import NamedTuple

from inspector_app.analysis.output_tree import Content
from inspector_app.checkpoint.value_bytes import ByteRun
from inspector_app.saving.blocks import Sources

_BUFFER_BYTES = 4 << 20
_BUFFERS = 3
# A batch of small tensors ends after so many pieces.
_MOST_PIECES = 4_000
# Rather than split what is smaller than this, another buffer is begun.
_LEAST_ROOM = 1 << 16
_CHECK_SECONDS = 0.1
CAN_COPY = hasattr(os, "copy_file_range")
_LARGE = 1 << 20
_COPIED_AT_ONCE = 16 << 20
_SUMMED_AT_ONCE = 1 << 18


class Job(NamedTuple):
    """Bytes that are wanted.

    Attributes:
        nbytes: how many the content has.
        crc32: of what stands before them.
    """

    content: Content
    nbytes: int
    crc32: int = 0


class Piece(NamedTuple):
    """Some bytes of a job; with the last, which may be empty, the job is done.

    Attributes:
        number: of the job.
        data: None in the last piece, and where the bytes have to be copied from another file.
        place: that file's descriptor, the offset in it and the number of bytes.
        crc32, overflows: of the whole job, in the last piece.
    """

    number: int
    data: memoryview | None
    place: tuple[int, int, int] | None = None
    crc32: int = 0
    overflows: int = 0


class ReadAhead:
    """Does jobs one after the other, ahead of who takes the pieces.

    Args:
        checksums: compute a CRC-32 for each job.
    """

    def __init__(self, sources: Sources, jobs: Sequence[Job], checksums: bool) -> None:
        self._sources = sources
        self._jobs = jobs
        self._checksums = checksums
        self._free: queue.Queue[bytearray] = queue.Queue()
        for _ in range(_BUFFERS):
            self._free.put(bytearray(_BUFFER_BYTES))
        self._ready: queue.Queue[tuple[bytearray | None, list[Piece]] | BaseException] = (
            queue.Queue()
        )
        # How many pieces to be copied may wait: else a fast reader runs away.
        self._waiting = threading.Semaphore(_BUFFERS)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="save-read", daemon=True)
        # Of the worker alone:
        self._buffer: bytearray | None = None
        self._view = memoryview(b"")
        self._at = 0
        self._pieces: list[Piece] = []
        self._number = 0
        self._crc32 = 0

    def batches(self) -> Generator[list[Piece], None, None]:
        """The pieces, in order; a batch is overwritten when the one after the next is asked for.

        Raises:
            CheckpointError: something cannot be read.
        """
        self._thread.start()
        try:
            while True:
                ready = self._ready.get()
                if isinstance(ready, BaseException):
                    raise ready
                buffer, pieces = ready
                if not pieces:
                    return
                yield pieces
                if buffer is not None:
                    self._free.put(buffer)
                if pieces[-1].place is not None:
                    self._waiting.release()
        finally:
            self._stopped.set()
            self._waiting.release()
            self._thread.join()

    # --- in the thread

    def _work(self) -> None:
        try:
            for number, job in enumerate(self._jobs):
                self._number, self._crc32 = number, job.crc32
                self._sources.overflows = 0
                self._sources.fill(job.content, self)
                self._pieces.append(Piece(number, None, None, self._crc32, self._sources.overflows))
                if len(self._pieces) >= _MOST_PIECES:
                    self._flush()
            self._flush()
            self._ready.put((None, []))
        except _Stopped:
            return
        except BaseException as error:
            self._ready.put(error)

    def room(self, wanted: int) -> memoryview:
        """As `blocks.Sink`."""
        left = len(self._view) - self._at
        if left < min(wanted, _LEAST_ROOM):
            self._flush()
            self._buffer = self._next_buffer()
            self._view = memoryview(self._buffer)
            self._at = 0
            left = len(self._view)
        return self._view[self._at : self._at + min(wanted, left)]

    def commit(self, count: int) -> None:
        """As `blocks.Sink`."""
        data = self._view[self._at : self._at + count]
        if self._checksums:
            self._crc32 = zlib.crc32(data, self._crc32)
        last = self._pieces[-1] if self._pieces else None
        if last is not None and last.number == self._number and last.data is not None:
            # One write of megabytes costs less than several.
            start = self._at - len(last.data)
            self._pieces[-1] = Piece(self._number, self._view[start : self._at + count])
        else:
            self._pieces.append(Piece(self._number, data))
        self._at += count

    def refer(self, run: ByteRun, start: int, count: int) -> bool:
        """As `blocks.Sink`: what is large is copied from file to file, inside the kernel."""
        if not CAN_COPY or count < _LARGE or run.place(start) is None:
            return False
        self._flush()
        for at in range(start, start + count, _COPIED_AT_ONCE):
            length = min(_COPIED_AT_ONCE, start + count - at)
            place = run.place(at)
            assert place is not None
            if self._checksums:
                self._crc32 = _checksum(run, at, length, self._crc32)
            self._pieces.append(Piece(self._number, None, (*place, length)))
            self._waiting.acquire()
            self._flush()
            if self._stopped.is_set():
                raise _Stopped
        return True

    def _flush(self) -> None:
        if self._pieces:
            self._ready.put((self._buffer, self._pieces))
            self._pieces = []
            self._buffer = None
            self._view = memoryview(b"")
            self._at = 0

    def _next_buffer(self) -> bytearray:
        while not self._stopped.is_set():
            try:
                return self._free.get(timeout=_CHECK_SECONDS)
            except queue.Empty:
                continue
        raise _Stopped


def _checksum(run: ByteRun, start: int, count: int, crc32: int) -> int:
    """With that of the bytes, read in blocks that stay in the cache."""
    block = memoryview(bytearray(min(count, _SUMMED_AT_ONCE)))
    for at in range(start, start + count, len(block)):
        part = block[: min(len(block), start + count - at)]
        run.read_into(at, part)
        crc32 = zlib.crc32(part, crc32)
    return crc32


class _Stopped(Exception):
    """Nobody wants more."""
