"""What the commands say of hostile files, asked in a process of its own (`scan_watcher.py`)."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
_PATH = os.pathsep.join(map(str, (ROOT, ROOT / "tests" / "checkpoint")))
_HANGS_AFTER = 240


def answers_of(
    warm_up: Iterable[bytes], files: Mapping[str, bytes], folder: Path
) -> dict[str, dict[str, Any]]:
    """What `scan` and `show` say about each of `files`, by its title.

    Args:
        warm_up: files of every kind there is, so that later imports are the files' doing.
        folder: an empty one.
    """
    warm, watched = folder / "warm-up", folder / "watched"
    warm.mkdir()
    watched.mkdir()
    for number, content in enumerate(warm_up):
        (warm / f"{number}.bin").write_bytes(content)
    titles = {}
    for number, (title, content) in enumerate(files.items()):
        path = watched / f"{number:03}-{re.sub(r'[^A-Za-z0-9]+', '-', title)}.bin"
        path.write_bytes(content)
        titles[path.name] = title
    process = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("scan_watcher.py")), warm, watched],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": _PATH},
        capture_output=True,
        text=True,
        timeout=_HANGS_AFTER,
        check=False,
    )
    assert process.returncode == 0, process.stderr[-2000:]
    rows = [json.loads(line) for line in process.stdout.splitlines()]
    assert len(rows) == len(files)
    return {titles[row["file"]]: row for row in rows}
