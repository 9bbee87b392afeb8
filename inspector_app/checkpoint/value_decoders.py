"""Bytes that are made while they are read: inflated, counted together from varints, transcoded.

Such bytes come from the front, and only the last of them are kept; reading farther back starts
anew. How much is made in all is bounded, since a hostile view can ask for that at every element.
"""

from __future__ import annotations

import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterator

from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.errors import BrokenFile, LimitExceeded, NoValues, UnreadableFile
from inspector_app.checkpoint.limits import Limits
from inspector_app.checkpoint.model import Record
from inspector_app.checkpoint.protobuf import BYTES, VARINT, WireReader
from inspector_app.checkpoint.storage_forms import FieldStorage, TextStorage
from inspector_app.checkpoint.value_bytes import ByteRun

CHUNK = 1 << 18
KEPT_BYTES = 4 << 20
_AGAIN = 16
_LONGEST_VARINT = 10
_FLOAT_DATA, _DOUBLE_DATA = 4, 10

# Bytes of varints, and how many low bytes of each are wanted: those bytes, one number after
# the other, and how many of the given bytes were whole varints.
VarintDecoder = Callable[[bytes, int], tuple[bytes, int]]


class Decoder(ByteRun):
    """Bytes of a file that are made from others.

    Args:
        size: how many there are.
        what: the work, for the error when it is done too often.
    """

    sequential = True

    def __init__(self, path: str, size: int, what: str, limits: Limits) -> None:
        self.size = size
        self._path = path
        self._what = what
        self._left = _AGAIN * size + limits.inflated_bytes
        self._lock = threading.Lock()
        self._chunks: Iterator[bytes] | None = None
        # The last pieces, one after the other up to `_end`: threads come in some disorder.
        self._kept: deque[tuple[int, bytes]] = deque()
        self._kept_bytes = 0
        self._end = 0

    def _decoded(self) -> Iterator[bytes]:
        """All the bytes from the front, in pieces that are not empty."""
        raise NotImplementedError

    def _short(self, missing: int) -> Exception:
        """What is wrong where fewer bytes come than there should be."""
        raise NotImplementedError

    def read_into(self, offset: int, block: memoryview) -> None:
        """Fill `block` with the bytes from `offset`, which lie within the run.

        Raises:
            CheckpointError: they cannot be made.
        """
        with self._lock:
            if self._chunks is None or (self._kept and offset < self._kept[0][0]):
                self._chunks = self._decoded()
                self._kept.clear()
                self._kept_bytes = self._end = 0
            while self._end < offset:
                self._decode_more()
            for start, data in self._kept:
                self._copy(start, data, offset, block)
            while self._end < offset + len(block):
                self._copy(*self._decode_more(), offset, block)

    def place(self, offset: int) -> tuple[int, int] | None:
        return None

    def _decode_more(self) -> tuple[int, bytes]:
        """The next piece, and where it begins."""
        assert self._chunks is not None
        data = next(self._chunks, b"")
        if not data:
            self._chunks = None
            raise self._short(self.size - self._end)
        self._left -= len(data)
        if self._left < 0:
            raise LimitExceeded("limit", self._path, what=self._what, limit=_AGAIN)
        start = self._end
        self._end += len(data)
        self._kept.append((start, data))
        self._kept_bytes += len(data)
        while self._kept_bytes - len(self._kept[0][1]) >= KEPT_BYTES:
            self._kept_bytes -= len(self._kept.popleft()[1])
        return start, data

    @staticmethod
    def _copy(start: int, data: bytes, offset: int, block: memoryview) -> None:
        """What of a piece belongs into the block that begins at `offset`."""
        first, last = max(offset, start), min(offset + len(block), start + len(data))
        if first < last:
            block[first - offset : last - offset] = memoryview(data)[first - start : last - start]


class InflatedRun(Decoder):
    """A deflated entry of a zip archive."""

    def __init__(self, source: ByteSource, base: int, record: Record, limits: Limits) -> None:
        super().__init__(source.path, record.nbytes, "unpacking the entry again and again", limits)
        self._source = source
        self._base = base
        self._name = record.name
        self._packed_end = base + max(0, min(record.packed_bytes, source.size - base))

    def _decoded(self) -> Iterator[bytes]:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        at = self._base
        while not inflater.eof:
            packed = inflater.unconsumed_tail
            if not packed and at < self._packed_end:
                packed = self._source.read(at, min(CHUNK, self._packed_end - at))
                at += len(packed)
                if not packed:
                    raise UnreadableFile("file-changed", self._path)
            try:
                data = inflater.decompress(packed, CHUNK)
            except zlib.error as error:
                raise self._broken(str(error)) from None
            if data:
                yield data
            elif at >= self._packed_end and not inflater.unconsumed_tail:
                return

    def _short(self, missing: int) -> Exception:
        return self._broken("it ends too early")

    def _broken(self, reason: str) -> BrokenFile:
        return BrokenFile("broken-record", self._path, self._name, reason=reason)


class FieldRun(Decoder):
    """A typed field of a TensorProto.

    Source: ``onnx.proto``, TensorProto: ``float_data`` and ``double_data`` are little-endian
    numbers; the others are varints, of which an element is the low bytes.
    """

    def __init__(
        self, source: ByteSource, storage: FieldStorage, varints: VarintDecoder, limits: Limits
    ) -> None:
        super().__init__(
            source.path, storage.nbytes, f"reading {storage.key} again and again", limits
        )
        self._source = source
        self._storage = storage
        self._varints = varints

    def _decoded(self) -> Iterator[bytes]:
        storage = self._storage
        wire = WireReader(self._source)
        alone = bytearray()
        for number, kind, at, length in wire.fields(storage.start, storage.end, self.size + CHUNK):
            if number != storage.number:
                continue
            if kind == VARINT:
                alone += (at & 0xFFFF_FFFF_FFFF_FFFF).to_bytes(8, "little")[: storage.width]
            elif kind != BYTES:
                alone += wire.read(at, length)
            else:
                if alone:
                    yield bytes(alone)
                    alone.clear()
                yield from self._packed(at, at + length)
            if len(alone) > CHUNK:
                yield bytes(alone)
                alone.clear()
        if alone:
            yield bytes(alone)

    def _packed(self, at: int, end: int) -> Iterator[bytes]:
        fixed = self._storage.number in (_FLOAT_DATA, _DOUBLE_DATA)
        while at < end:
            data = self._source.read(at, min(CHUNK, end - at))
            if not data:
                raise UnreadableFile("file-changed", self._path)
            used = len(data)
            if not fixed:
                data, used = self._varints(data, self._storage.width)
            if not used:
                raise self._broken(at)
            if data:
                yield data
            at += used

    def _short(self, missing: int) -> Exception:
        return NoValues("values-cut", self._path, missing=missing)

    def _broken(self, offset: int) -> BrokenFile:
        return BrokenFile(
            "bad-protobuf",
            self._path,
            self._storage.key,
            offset=offset,
            reason="a varint is longer than ten bytes, or cut",
        )


class TextRun(Decoder):
    """The bytes that a text of as many characters stands for.

    Source: ``Lib/pickle.py``, ``save_bytes``: below protocol 3 bytes are the text that
    latin-1 makes of them.
    """

    def __init__(self, source: ByteSource, storage: TextStorage, limits: Limits) -> None:
        super().__init__(source.path, storage.nbytes, "decoding a text again and again", limits)
        self._source = source
        self._storage = storage

    def _decoded(self) -> Iterator[bytes]:
        at, end = self._storage.offset, self._storage.offset + self._storage.length
        while at < end:
            data = self._source.read(at, min(CHUNK, end - at))
            if not data:
                raise UnreadableFile("file-changed", self._path)
            # A character up to U+00FF has two bytes at most; a first one may be the last here.
            whole = len(data) - (data[-1] >= 0xC0)
            try:
                decoded = data[:whole].decode("utf-8").encode("latin-1")
            except UnicodeError:
                raise self._no_bytes() from None
            if not whole:
                raise self._no_bytes()
            yield decoded
            at += whole

    def _short(self, missing: int) -> Exception:
        return NoValues("values-cut", self._path, missing=missing)

    def _no_bytes(self) -> NoValues:
        return NoValues(
            "no-values", self._path, reason="the text that should stand for its bytes is none"
        )
