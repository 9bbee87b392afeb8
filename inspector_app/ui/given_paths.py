"""What a start is given to open: paths, or URLs of files, as browsers and portals hand them on."""

from __future__ import annotations

import os
import socket
from urllib.parse import unquote_to_bytes

SCHEME = "file:"


def path_of(given: str) -> str:
    """The absolute path that `given` means.

    A URL of another computer, or one that is none, stays as it is: there is no such file, and
    that is what its tab says. RFC 8089: ``file:///p``, ``file:/p``, ``file://host/p``; any bytes
    may be percent-encoded.
    """
    if given[: len(SCHEME)].lower() != SCHEME:
        return os.path.abspath(given)
    rest = given[len(SCHEME) :]
    if rest.startswith("//"):
        host, slash, path = rest[2:].partition("/")
        if host.lower() not in ("", "localhost", "127.0.0.1", socket.gethostname().lower()):
            return os.path.abspath(given)
        rest = slash + path
    decoded = unquote_to_bytes(rest.encode("utf-8", "surrogateescape"))
    if not rest.startswith("/") or b"\0" in decoded:
        return os.path.abspath(given)
    path = os.fsdecode(decoded)
    if os.name == "nt" and path[2:3] in (":", "|"):
        path = f"{path[1]}:{path[3:]}"  # /C:/folder
    return os.path.abspath(path)
