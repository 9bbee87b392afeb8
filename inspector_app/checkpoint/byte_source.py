"""A file's bytes, read where they are asked for.

Nothing is mapped: a mapped file that somebody truncates kills the process, and on
Windows a mapped file cannot be replaced by the training that wrote it.
"""

from __future__ import annotations

import os
import stat
from contextlib import AbstractContextManager
from types import TracebackType

from inspector_app.checkpoint.errors import UnreadableFile

_KINDS = {
    stat.S_IFIFO: "pipe",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}
_SCHEMES = ("http", "https", "ftp", "sftp", "s3", "gs", "hf", "ssh")


def _is_web_address(path: str | bytes) -> bool:
    """Whether a path was meant as an address; made absolute, it has become ``/folder/https:/…``."""
    parts = os.fsdecode(path).replace(os.sep, "/").split("/")
    return any(f"{scheme}:" in parts[:-1] for scheme in _SCHEMES)


def _lock() -> AbstractContextManager[bool]:
    """Windows has no pread: positions are shared there, and a start elsewhere is spared this."""
    import threading

    return threading.Lock()


def reason_of(error: Exception) -> str:
    """What the operating system calls an error."""
    return getattr(error, "strerror", None) or str(error)


class ByteSource:
    """An open regular file.

    Reads are thread-safe and never move a shared position.

    Attributes:
        path: the file, as it was asked for.
        size: bytes, when it was opened.
        modified_ns: its modification time then.
        bytes_read: how much was read through this object.

    Raises:
        UnreadableFile: it does not exist, may not be read, or is no regular file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self.bytes_read = 0
        self._lock = None if hasattr(os, "pread") else _lock()
        try:
            # Looked at before it is opened: opening a pipe would wait for a writer.
            kind = stat.S_IFMT(os.stat(self.path).st_mode)
            if kind == stat.S_IFDIR:
                raise UnreadableFile("is-directory", self.path)
            if kind != stat.S_IFREG:
                raise UnreadableFile(
                    "not-regular", self.path, kind=_KINDS.get(kind, "special file")
                )
            flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
            self._descriptor = os.open(self.path, flags | getattr(os, "O_NONBLOCK", 0))
            self.size, self.modified_ns = self._status()
        except FileNotFoundError:
            code = "web-address" if _is_web_address(self.path) else "not-found"
            raise UnreadableFile(code, self.path) from None
        except PermissionError:
            raise UnreadableFile("permission", self.path) from None
        except (OSError, ValueError) as error:
            raise UnreadableFile("os-error", self.path, reason=reason_of(error)) from None

    def read(self, offset: int, count: int) -> bytes:
        """At most `count` bytes from `offset`; fewer only where the file ends.

        Raises:
            UnreadableFile: the operating system reports an error.
        """
        count = min(count, self.size - offset)
        if offset < 0 or count <= 0:
            return b""
        parts = []
        try:
            part = self._read_once(offset, count)
            if len(part) == count:
                # As nearly always; the rest is for what no single call returns.
                self.bytes_read += count
                return part
            parts.append(part)
            offset += len(part)
            count -= len(part)
            while count and parts[-1]:
                # One call returns at most 2 GiB on Linux.
                part = self._read_once(offset, count)
                parts.append(part)
                offset += len(part)
                count -= len(part)
        except OSError as error:
            raise UnreadableFile("os-error", self.path, reason=reason_of(error)) from None
        data = b"".join(parts)
        self.bytes_read += len(data)
        return data

    @property
    def stamp(self) -> tuple[int, int]:
        """Length and modification time when it was opened, by which it is known again.

        Not its number on the disk: network file systems give the same file new ones.
        """
        return self.size, self.modified_ns

    def is_unchanged(self) -> bool:
        """Whether its length and time are still those.

        Raises:
            UnreadableFile: the operating system reports an error.
        """
        try:
            return self._status() == self.stamp
        except OSError as error:
            raise UnreadableFile("os-error", self.path, reason=reason_of(error)) from None

    def _status(self) -> tuple[int, int]:
        try:
            status = os.fstat(self._descriptor)
        except OSError:
            self.close()
            raise
        return status.st_size, status.st_mtime_ns

    def place_of(self, offset: int) -> tuple[str, int] | None:
        """The file in which a byte stands, and its offset there; None if it is unpacked."""
        return self.path, offset

    def _read_once(self, offset: int, count: int) -> bytes:
        if self._lock is None:
            return os.pread(self._descriptor, count, offset)
        with self._lock:
            os.lseek(self._descriptor, offset, os.SEEK_SET)
            return os.read(self._descriptor, count)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> ByteSource:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
