"""Files that a file names: shards of an index, external data of a model.

The name comes from the file, so it is hostile: only what lies in the naming file's own
folder is opened. One layout of the field needs an exception. Hugging Face's cache keeps
``models--x/snapshots/<revision>/<name>`` as links to ``models--x/blobs/<hash>``
(https://huggingface.co/docs/huggingface_hub/guides/manage-cache), so a link from such a
snapshot into its own ``blobs`` counts as inside.
"""

from __future__ import annotations

import os
import re

_DRIVE = re.compile(r"[A-Za-z]:")


class OutsideFolderError(ValueError):
    """The name leads outside the folder, or is no name of a file at all."""


def file_in(folder: str, name: str) -> str:
    """The path of the file `name` in `folder`; it need not exist.

    Raises:
        OutsideFolderError: it is absolute, climbs with ``..``, or is a link to the outside.
    """
    parts = re.split(r"[/\\]", name)
    if not name or "\0" in name or not parts[0] or ".." in parts or _DRIVE.match(name):
        raise OutsideFolderError(name)
    path = os.path.join(folder, *parts)
    try:
        home = os.path.realpath(folder)
        target = os.path.realpath(path)
    except (OSError, ValueError):
        raise OutsideFolderError(name) from None
    if _within(home, target):
        return path
    blobs = _blobs_of(home)
    if blobs is not None and _within(blobs, target):
        return path
    raise OutsideFolderError(name)


def _within(folder: str, path: str) -> bool:
    prefix = folder if folder.endswith(os.sep) else folder + os.sep
    return path.startswith(prefix)


def _blobs_of(home: str) -> str | None:
    """The ``blobs`` of the Hugging Face cache that `home` is a snapshot of, if it is one."""
    revision = home
    while True:
        snapshots = os.path.dirname(revision)
        if snapshots == revision:
            return None
        if os.path.basename(snapshots) == "snapshots":
            return os.path.join(os.path.dirname(snapshots), "blobs")
        revision = snapshots
