"""Where the files that are no code lie: icons and samples."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_PACKAGE = os.path.dirname(os.path.realpath(__file__))


def resource(*parts: str) -> Path:
    """The path of a bundled file or folder, such as ``resource("samples", "x.pth")``.

    A wheel has them inside the package, a clone beside it.

    Raises:
        FileNotFoundError: there is no such resource, so the installation is not whole.
    """
    # Imported on use: the window finds its icons without, and starts sooner.
    from pathlib import Path

    return Path(resource_path(*parts))


def resource_path(*parts: str) -> str:
    """The same as a string.

    Raises:
        FileNotFoundError: there is no such resource, so the installation is not whole.
    """
    for folder in (_PACKAGE, os.path.dirname(_PACKAGE)):
        path = os.path.join(folder, "resources", *parts)
        if os.path.exists(path):
            return path
    raise FileNotFoundError(f"no bundled resource {'/'.join(parts)}")
