"""A file that is written beside its place, and put there when all of it is on the disk.

Whoever looks meanwhile, or after the process was killed, finds the old file or the whole new
one. A killed process leaves its partial file, which the next one for the same place removes.
"""

from __future__ import annotations

import errno
import itertools
import os
import re
import shutil
import stat
import sys
import zlib
from contextlib import suppress
from types import TracebackType

from inspector_app.analysis.quantities import size_text
from inspector_app.checkpoint.errors import CannotSave, UnreadableFile

_NAME = 120  # characters of the target's name in the partial file's
_SMALL, _BUFFER = 1 << 16, 1 << 20
_PIECE = 4 << 20
_NO_COPY = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF, errno.EPERM)
_NUMBERS = itertools.count()


class PartialFile:
    """A context: what is not placed at its end is removed.

    Args:
        target: its place.

    Attributes:
        path: where it lies until it is placed.
        nbytes: written so far.

    Raises:
        CannotSave: it cannot be made.
    """

    def __init__(self, target: str) -> None:
        # Of a symbolic link its file is replaced, not the link.
        self.target = os.path.realpath(target)
        self._asked = target
        folder, name = os.path.split(self.target)
        if os.path.isdir(self.target):
            raise CannotSave("save-folder", target)
        self.path = os.path.join(
            folder, f".{name[:_NAME]}.{_host()}-{os.getpid()}-{next(_NUMBERS)}.partial"
        )
        remove_abandoned(folder, re.escape(name[:_NAME]))
        self.nbytes = 0
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            descriptor = os.open(self.path, flags | getattr(os, "O_CLOEXEC", 0), 0o666)
        except OSError as error:
            raise self._failure(error) from None
        # Not Python's buffer, which would write a large block in pieces of its own size: pages
        # are cheaper by the megabyte.
        self._file = open(descriptor, "wb", buffering=0)  # noqa: SIM115
        self._by_hand = False
        self._small = bytearray()
        with suppress(OSError):
            mode = stat.S_IMODE(os.stat(self.target).st_mode)
            os.chmod(self.path, mode)

    def write(self, data: bytes | memoryview) -> None:
        self.nbytes += len(data)
        if len(data) < _SMALL:
            self._small += data
            if len(self._small) < _BUFFER:
                return
            data = b""
        try:
            self._write_small()
            self._write_all(memoryview(data))
        except OSError as error:
            raise self._failure(error) from None

    def copy(self, descriptor: int, offset: int, count: int) -> None:
        """Append bytes of another open file, without bringing them here where that is possible.

        Raises:
            UnreadableFile: that file is shorter.
            CannotSave: they cannot be written.
        """
        self.nbytes += count
        try:
            self._write_small()
            while count:
                done = self._copied(descriptor, offset, count)
                if not done:
                    raise UnreadableFile("file-changed")
                offset += done
                count -= done
        except OSError as error:
            raise self._failure(error) from None

    def _copied(self, descriptor: int, offset: int, count: int) -> int:
        if not self._by_hand:
            try:
                return os.copy_file_range(descriptor, self._file.fileno(), count, offset)
            except OSError as error:
                if error.errno not in _NO_COPY:
                    raise
                # Between these file systems it cannot be done.
                self._by_hand = True
        data = os.pread(descriptor, min(count, _PIECE), offset)
        self._write_all(memoryview(data))
        return len(data)

    def _write_small(self) -> None:
        self._write_all(memoryview(self._small))
        self._small = bytearray()

    def _write_all(self, data: memoryview) -> None:
        while data:
            data = data[self._file.write(data) :]

    def finish(self) -> None:
        """Bring all of it to the disk and close it."""
        try:
            self._write_small()
            os.fsync(self._file.fileno())
            self._file.close()
        except OSError as error:
            raise self._failure(error) from None

    def place(self, force: bool) -> None:
        """Put the finished file to its place.

        Raises:
            CannotSave: there is something already and `force` does not replace it.
        """
        try:
            if force:
                os.replace(self.path, self.target)
            else:
                _place_new(self.path, self.target)
        except FileExistsError:
            raise CannotSave("save-exists", self._asked) from None
        except OSError as error:
            raise self._failure(error) from None
        _sync_folder(os.path.dirname(self.target))

    def __enter__(self) -> PartialFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Closing may fail on a full disk, too; what there is goes anyway.
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            os.unlink(self.path)

    def _failure(self, error: OSError) -> CannotSave:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return disk_full(self._asked, self.nbytes)
        return CannotSave("save-not-writable", self._asked, reason=str(error.strerror or error))


def disk_full(target: str, needed: int) -> CannotSave:
    free = 0
    with suppress(OSError):
        free = shutil.disk_usage(os.path.dirname(os.path.realpath(target))).free
    return CannotSave("save-disk-full", target, needed=size_text(needed), free=size_text(free))


def _place_new(path: str, target: str) -> None:
    """Rename where there is nothing; `FileExistsError` where there is."""
    if sys.platform == "win32":
        os.rename(path, target)
        return
    try:
        os.link(path, target)
    except FileExistsError:
        raise
    except OSError:
        # No hard links on this file system: a gap of a moment between looking and renaming.
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, "it exists", target) from None
        os.replace(path, target)


def _sync_folder(folder: str) -> None:
    if sys.platform == "win32":
        return
    # Not all file systems can; the file itself is on the disk.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_abandoned(folder: str, name: str) -> None:
    """Remove partial files whose process is gone; `name` is a pattern for their targets' names."""
    if sys.platform == "win32":
        return  # there is no harmless way to ask for a process
    # Of this machine alone: a folder may be shared.
    pattern = re.compile(rf"\.{name}\.{_host()}-(\d{{1,9}})-\d+\.partial")
    with suppress(OSError):
        for each in os.listdir(folder):
            found = pattern.fullmatch(each)
            if found is not None and not _is_running(int(found[1])):
                os.unlink(os.path.join(folder, each))


def _host() -> str:
    name = os.uname().nodename if hasattr(os, "uname") else ""
    return f"{zlib.crc32(name.encode()):08x}"


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
