"""A file copied byte for byte, all of it or nothing."""

from __future__ import annotations

import os

from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.errors import UnreadableFile
from inspector_app.saving.partial_file import PartialFile
from inspector_app.saving.save import Saved, SaveProgress, Saving

_BLOCK = 1 << 22


def copying(source: str, target: str, force: bool = False) -> Saving:
    """Copy `source`; as with `save.saving`, `target` is the old file or the whole new one.

    Args:
        force: replace what is there.

    Raises:
        CheckpointError: it cannot be read or written, or it changed meanwhile.
    """
    name = os.path.basename(target)
    with ByteSource(source) as file, PartialFile(target) as copy:
        yield SaveProgress(0, file.size, name)
        while data := file.read(copy.nbytes, _BLOCK):
            copy.write(data)
            yield SaveProgress(copy.nbytes, file.size, name)
        try:
            changed = os.stat(source).st_mtime_ns != file.modified_ns
        except OSError:
            changed = True
        if changed or copy.nbytes != file.size:
            raise UnreadableFile("file-changed", source)
        copy.finish()
        copy.place(force)
    return Saved((copy.target,), copy.nbytes, ())
