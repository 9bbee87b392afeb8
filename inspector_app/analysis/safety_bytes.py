"""How an entry of an archive begins, and where in one pickles are usual."""

from __future__ import annotations

import zlib
from contextlib import suppress

from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.model import Record, TreePath
from inspector_app.checkpoint.zip_directory import DEFLATED, ENCRYPTED, STORED, ZipDirectory

_HEAD_BYTES = 512


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
