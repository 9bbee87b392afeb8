"""Tars with right lengths and checksums."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping


def tarred(entries: Mapping[str, bytes]) -> bytes:
    """A tar as Python writes it, with extended headers, as fractions of seconds make them."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:", format=tarfile.PAX_FORMAT) as tar:
        for name, data in entries.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.mtime = 1.5
            tar.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def members(content: bytes) -> dict[str, bytes]:
    """The files of a valid tar."""
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        found = {}
        for info in tar:
            file = tar.extractfile(info)
            if file is not None:
                found[info.name] = file.read()
        return found
