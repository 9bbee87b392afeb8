"""What a start is given to open: paths, or URLs of files, as browsers and portals hand them on."""

from __future__ import annotations

import os

from inspector_app.file_urls import path_in


def path_of(given: str) -> str:
    """The absolute path that `given` means.

    A URL of another computer, or one that is none, stays as it is: there is no such file, and
    that is what its tab says.
    """
    errors = "surrogatepass" if os.name == "nt" else "surrogateescape"
    return os.path.abspath(path_in(given.encode("utf-8", errors)) or given)
