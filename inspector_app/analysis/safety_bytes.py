"""Whether bytes may be a pickle, and where in an archive pickles are usual."""

from __future__ import annotations

import zlib
from contextlib import suppress

from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.model import Record, TreePath
from inspector_app.checkpoint.zip_directory import DEFLATED, ENCRYPTED, STORED, ZipDirectory
from inspector_app.checkpoint.zip_local import LOCAL

_HEAD_BYTES = 512
_FIRST_CHARACTERS = ("\x80", "P", "(", "]", "}", "c")
_FIRST_BYTES = (b"(", b"]", b"}", b"c")


def encoded(arguments: tuple[object, ...]) -> bytes | None:
    """The pickle that a call is given, if it is not a value of bytes that begins like one:
    text, as protocols 0 to 2 write bytes, or a pickle of protocol 0, which needs a call around
    it to be told from other bytes."""
    first = arguments[0]
    if isinstance(first, str) and first[:1] in _FIRST_CHARACTERS:
        with suppress(UnicodeEncodeError):
            data = first.encode("latin-1")
            return data if may_be_pickle(data) or data[-1:] == b"." else None
    if isinstance(first, bytes) and first[:1] in _FIRST_BYTES and first[-1:] == b".":
        return first
    return None


def may_be_pickle(head: bytes) -> bool:
    """Whether bytes begin like a pickle, a zip archive, or a legacy file."""
    if head[:1] == b"\x80":
        return len(head) > 2 and head[1] <= 5
    return head[:4] == LOCAL


def head_of(directory: ZipDirectory, record: Record) -> bytes:
    """The first bytes of an entry, unpacked; none if they cannot be had."""
    with suppress(CheckpointError, zlib.error):
        if record.flags & ENCRYPTED or not record.nbytes:
            return b""
        data = directory.source.read(
            directory.data_offset(record), min(record.packed_bytes, _HEAD_BYTES)
        )
        if record.method == DEFLATED:
            return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, 16)
        return data if record.method == STORED else b""
    return b""


def below(path: TreePath | None, key: str) -> TreePath | None:
    return None if path is None else (*path, key)


def export_path(name: str) -> TreePath | None:
    """Where `exported_program` hangs the pickles of an archive of one program."""
    if name in ("serialized_state_dict.pt", "data/weights/model.pt"):
        return ()
    if name in ("serialized_constants.pt", "data/constants/model.pt"):
        return ("constants",)
    if name in ("serialized_example_inputs.pt", "data/sample_inputs/model.pt"):
        return ("sample_inputs",)
    return None


def is_usual(name: str) -> bool:
    """Whether torch.export writes pickles there."""
    return name.startswith(("data/weights/", "data/constants/", "data/sample_inputs/")) or (
        name.startswith("serialized_") and name.endswith(".pt")
    )
