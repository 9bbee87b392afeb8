"""Paths as ``file:`` URLs, and back: with the very bytes that a path has.

RFC 8089: ``file:///p``, ``file:/p``, ``file://host/p``; any bytes may be percent-encoded. Qt's own
way there goes through text, and loses what is not UTF-8.
"""

from __future__ import annotations

import ntpath
import os
import posixpath
from collections.abc import Iterator
from urllib.parse import quote, unquote_to_bytes

SCHEME = "file:"
URIS = "text/uri-list"
_WINDOWS = os.name == "nt"
_HERE = ("", "localhost", "127.0.0.1")


def url_of(path: str, windows: bool = _WINDOWS) -> str:
    r"""The URL of an absolute path, in ASCII.

    Args:
        path: with a drive (``C:\a``) or a server (``\\server\share\a``) on Windows.
        windows: it is a path of Windows.
    """
    if not windows:
        return f"{SCHEME}//{_quoted(path, windows)}"
    drive, rest = ntpath.splitdrive(path)
    if drive.endswith(":"):
        return f"{SCHEME}///{drive}{_quoted(rest, windows)}"
    return SCHEME + _quoted(path, windows)


def reference_of(path: str, windows: bool = _WINDOWS) -> str:
    """The URL of an absolute path; of a relative one a relative reference (RFC 3986, 4.2)."""
    is_absolute = ntpath.isabs(path) if windows else posixpath.isabs(path)
    return url_of(path, windows) if is_absolute else _quoted(path, windows)


def path_in(url: bytes, windows: bool = _WINDOWS) -> str | None:
    """The absolute path that `url` means, or None if it is no URL of a file that can be reached.

    Another computer's files can be reached on Windows alone, where they have paths.
    """
    scheme, rest = url[: len(SCHEME)], url[len(SCHEME) :]
    if scheme.lower() != SCHEME.encode():
        return None
    host = ""
    if rest.startswith(b"//"):
        name, slash, place = rest[2:].partition(b"/")
        host, rest = name.decode("utf-8", "replace"), slash + place
        if host.lower() in _HERE or host.lower() == _own_name():
            host = ""
    decoded = unquote_to_bytes(rest)
    if not rest.startswith(b"/") or b"\0" in decoded or (host and not windows):
        return None
    if not windows:
        return os.path.normpath(os.fsdecode(decoded))
    try:
        path = decoded.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return None  # Windows has no such names
    if host:
        path = f"//{host}{path}"
    elif path[2:3] in (":", "|"):
        path = f"{path[1]}:{path[3:]}"  # /C:/folder
    return ntpath.normpath(path)


def paths_in(uris: bytes, windows: bool = _WINDOWS) -> list[str]:
    """The paths among the URLs of a ``text/uri-list`` (RFC 2483), in order."""

    def found() -> Iterator[str]:
        # A line that begins with # is a comment, and so no URL either.
        for line in uris.rstrip(b"\0").splitlines():
            if path := path_in(line.strip(), windows):
                yield path

    return list(found())


def text_of(path: str) -> str:
    """A path as text, for the clipboard: what is not UTF-8 becomes U+FFFD.

    Qt would end the text there.
    """
    return _bytes(path, _WINDOWS).decode("utf-8", "replace")


def _quoted(path: str, windows: bool) -> str:
    return quote(_bytes(path.replace("\\", "/") if windows else path, windows))


def _bytes(path: str, windows: bool) -> bytes:
    return path.encode("utf-8", "surrogatepass") if windows else os.fsencode(path)


def _own_name() -> str:
    import socket

    return socket.gethostname().lower()
