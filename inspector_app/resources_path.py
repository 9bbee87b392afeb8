"""Where the files that are no code lie: icons and samples."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def resource(*parts: str) -> Path:
    """The path of a bundled file or folder, such as ``resource("samples", "x.pth")``.

    A wheel has them inside the package, a clone beside it.

    Raises:
        FileNotFoundError: there is no such resource, so the installation is not whole.
    """
    for folder in (_PACKAGE / "resources", _PACKAGE.parent / "resources"):
        path = folder.joinpath(*parts)
        if path.exists():
            return path
    raise FileNotFoundError(f"no bundled resource {'/'.join(parts)}")
