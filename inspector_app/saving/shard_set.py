"""The names of the files that one model is split into, and what they replace.

The index is what readers open, and replacing it is one step. So the files it names have names
that no older index uses: whoever reads meanwhile finds the old set or the new one.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress

from inspector_app.checkpoint.errors import CannotSave
from inspector_app.saving.partial_file import remove_abandoned

_INDEX = ".index.json"
_LARGEST_INDEX = 200 << 20


class ShardSet:
    """
    Args:
        target: ``FOLDER/NAME.safetensors``, from which the names are made:
            ``NAME-00001-of-00003.safetensors`` and ``NAME.safetensors.index.json``.
        count: of files.
        force: an older set, or one file of that name, is replaced.

    Attributes:
        folder, names, index: where the files go.

    Raises:
        CannotSave: there is an older set and `force` does not replace it.
    """

    def __init__(self, target: str, count: int, force: bool) -> None:
        self._target = os.path.abspath(target)
        self.folder, name = os.path.split(self._target)
        self.index = self._target + _INDEX
        stem, ending = os.path.splitext(name)
        self.names = _names(stem, ending, count, "")
        self._old = _shards_in(self.index)
        shard = re.escape(stem) + r"(?:-[0-9a-f]{8})?-\d{5}-of-\d{5}" + re.escape(ending)
        remove_abandoned(self.folder, shard)
        taken = [each for each in self.names if os.path.lexists(os.path.join(self.folder, each))]
        if (taken or os.path.lexists(self.index)) and not force:
            raise CannotSave("save-exists", taken[0] if taken else self.index)
        if taken:
            self.names = _names(stem, ending, count, f"-{os.urandom(4).hex()}")
            # Those of a set without an index, which nothing reads.
            self._old += [each for each in taken if re.fullmatch(shard, each)]

    def remove_old(self) -> None:
        """Remove the files that only the older set had, and one file of the target's name."""
        unwanted = [os.path.join(self.folder, each) for each in self._old]
        for path in (*unwanted, self._target):
            if os.path.basename(path) not in self.names:
                # They are of no use, and of no harm either.
                with suppress(OSError):
                    os.unlink(path)


def _names(stem: str, ending: str, count: int, tag: str) -> list[str]:
    return [f"{stem}{tag}-{number:05d}-of-{count:05d}{ending}" for number in range(1, count + 1)]


def _shards_in(index: str) -> list[str]:
    """The files in its own folder that an index names; [] where there is none."""
    try:
        if os.path.getsize(index) > _LARGEST_INDEX:
            return []
        with open(index, encoding="utf-8") as file:
            content = json.load(file)
        names = set(content["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []
    stem = os.path.basename(index).removesuffix(_INDEX)
    start = os.path.splitext(stem)[0]
    # An index may name anything; only what is called like its shards is removed.
    return [
        name
        for name in names
        if isinstance(name, str) and os.path.basename(name) == name and name.startswith(start)
    ]
