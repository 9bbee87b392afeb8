"""A copy of the bundle where a package has it, and what else both Linux packages share."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import time
from datetime import datetime, timezone
from pathlib import Path

from inspector_app.desktop.file_types import APP_ID

ROOT = Path(__file__).resolve().parents[2]
DIST = ROOT / "dist"


class NoBundle(Exception):
    """There is no bundle to pack; the message says how it is made."""


def bundle(path: str = "") -> Path:
    """The folder that `make bundle` made.

    Raises:
        NoBundle: it is not there.
    """
    folder = Path(path) if path else DIST / APP_ID
    if not os.access(folder / APP_ID, os.X_OK):
        raise NoBundle(f"there is no bundle in {folder}; “make bundle” makes one")
    return folder


def copy_bundle(source: Path, target: Path) -> None:
    """Copy it without what running it has left there, readable for everybody."""
    shutil.copytree(
        source, target, symlinks=True, ignore=shutil.ignore_patterns("*.nbi", "*.nbc", "*.pyc.*")
    )
    for folder, _, names in os.walk(target):
        os.chmod(folder, 0o755)
        for name in names:
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                # Libraries are mapped, not run: only the program itself is executable.
                os.chmod(path, 0o755 if path == str(target / APP_ID) else 0o644)


def write(target: Path, content: bytes, executable: bool = False) -> None:
    """Write a file, with the folders above it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    target.chmod(0o755 if executable else 0o644)


def release_time() -> int:
    """Seconds since 1970: SOURCE_DATE_EPOCH, else the last commit's, else now."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given:
        return int(given)
    try:
        said = subprocess.run(
            ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"],
            capture_output=True,
            text=True,
            check=True,
        )
        return int(said.stdout)
    except (OSError, subprocess.CalledProcessError, ValueError):
        return int(time.time())


def day(seconds: int) -> str:
    """That day in UTC, ISO 8601."""
    return datetime.fromtimestamp(seconds, timezone.utc).date().isoformat()


def machine() -> str:
    """x86_64 or aarch64."""
    return platform.machine()
