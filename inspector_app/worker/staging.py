"""A folder beside the target, from which finished files are moved to their place.

Within one folder a rename is atomic, and files that name each other, as an ONNX model names
its data, have their final names from the start.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType

from inspector_app.worker.failures import Failure

STAGING = ".part"  # how the folder's name ends
_OLD = ".replaced"
_NAMED = 40  # characters, of up to four bytes


class Staging:
    """The folder, which is removed with whatever is left in it.

    Args:
        target: the file that is to be written.

    Attributes:
        folder: where the worker writes.
        name: the target's own name.
    """

    def __init__(self, target: str) -> None:
        self._target = os.path.abspath(target)
        parent, self.name = os.path.split(self._target)
        if os.path.isdir(self._target):
            raise Failure("not-writable", file=target, reason="there is a folder of this name")
        try:
            with suppress(FileNotFoundError):
                os.lstat(self._target)  # tells of a name that is too long
            prefix = f".{self.name[:_NAMED]}."
            self.folder = tempfile.mkdtemp(prefix=prefix, suffix=STAGING, dir=parent)
        except OSError as error:
            raise _failure(error, target) from None

    def __enter__(self) -> Staging:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: object, _trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def place(self, names: Sequence[str]) -> list[str]:
        """Move the files `names` beside the target, all or none; their paths.

        Whatever has such a name is replaced, and put back if one of them cannot be.

        Raises:
            Failure: they cannot be moved.
        """
        parent = os.path.dirname(self._target)
        moved: list[tuple[str, str]] = []
        kept: list[tuple[str, str]] = []
        try:
            # The target last: until it is there, nobody reads what belongs to it.
            for name in sorted(names, key=lambda name: name == self.name):
                source, place = os.path.join(self.folder, name), os.path.join(parent, name)
                if os.path.isdir(place):
                    raise IsADirectoryError(errno.EISDIR, f"{name} is a folder there")
                if os.path.lexists(place) and len(names) > 1:
                    old = source + _OLD
                    os.replace(place, old)
                    kept.append((old, place))
                os.replace(source, place)
                moved.append((place, source))
        except OSError as error:
            for source, place in (*moved, *kept):
                with suppress(OSError):
                    os.replace(source, place)
            raise _failure(error, self._target) from None
        return [os.path.join(parent, name) for name in names]


def _failure(error: OSError, target: str) -> Failure:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Failure("disk-full", file=target)
    return Failure("not-writable", file=target, reason=str(error.strerror or error))
