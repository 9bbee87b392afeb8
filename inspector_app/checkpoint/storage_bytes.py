"""Opens a checkpoint's files and finds the bytes of its storages there.

A file that was replaced since it was opened gives an error, never other bytes in silence.
"""

from __future__ import annotations

import threading

from inspector_app.checkpoint.errors import BrokenFile, UnreadableFile
from inspector_app.checkpoint.limits import Limits
from inspector_app.checkpoint.model import Checkpoint, Record, StorageRef
from inspector_app.checkpoint.storage_forms import FieldStorage, HeldStorage, TextStorage
from inspector_app.checkpoint.value_bytes import BlockFile, ByteRun, HeldRun
from inspector_app.checkpoint.value_decoders import (
    Decoder,
    FieldRun,
    InflatedRun,
    TextRun,
    VarintDecoder,
)
from inspector_app.checkpoint.zip_directory import DEFLATED, ENCRYPTED, STORED, ZipDirectory

_DECODERS_KEPT = 8  # each keeps its last few MiB


class StorageBytes:
    """Opens the files of a checkpoint and finds the bytes of its storages."""

    def __init__(self, checkpoint: Checkpoint, limits: Limits, varints: VarintDecoder) -> None:
        self._checkpoint = checkpoint
        self._limits = limits
        self._varints = varints
        self._files: dict[str, BlockFile] = {}
        self._lock = threading.Lock()
        self._decoders: dict[tuple[str, int], Decoder] = {}

    def run(self, storage: StorageRef) -> ByteRun | None:
        """The bytes of `storage` that the file really has; None if it has none.

        Raises:
            UnreadableFile: the file cannot be opened, or is another one by now.
            BrokenFile: the entry is not where the directory says, or cannot be unpacked.
        """
        if isinstance(storage, HeldStorage):
            return HeldRun(storage.data)
        with self._lock:
            if isinstance(storage, FieldStorage):
                return self._decoder(storage, storage.start)
            if isinstance(storage, TextStorage):
                return self._decoder(storage, storage.offset)
            record = storage.record
            if record is None:
                return None
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
            return self._decoder(storage, base, record)

    def _decoder(self, storage: StorageRef, base: int, record: Record | None = None) -> Decoder:
        """The one decoder of the bytes at `base`: it knows how far they have been read."""
        file = self._open(storage.file or self._checkpoint.path)
        known = self._decoders.get((file.path, base))
        if known is None:
            if len(self._decoders) >= _DECODERS_KEPT:
                del self._decoders[next(iter(self._decoders))]
            if isinstance(storage, FieldStorage):
                known = FieldRun(file, storage, self._varints, self._limits)
            elif isinstance(storage, TextStorage):
                known = TextRun(file, storage, self._limits)
            else:
                assert record is not None
                known = InflatedRun(file, base, record, self._limits)
            self._decoders[file.path, base] = known
        return known

    def _open(self, path: str) -> BlockFile:
        file = self._files.get(path)
        if file is None:
            file = BlockFile(path)
            expected = self._checkpoint.stamps.get(path)
            if expected is None and path == self._checkpoint.path:
                time = self._checkpoint.modified_ns
                expected = (file.size, time) if time else None
            if expected not in (None, file.stamp):
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
            self._decoders.clear()
