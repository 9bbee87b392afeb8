"""Reads files with an audit hook that sees whatever is imported, run, opened or sent.

Started by `test_hostile.py` as a process of its own: a hook cannot be removed, and the
peak of memory is the process's. Reads a folder of files; prints a JSON line for each.
"""

from __future__ import annotations

import gc
import importlib
import json
import pkgutil
import resource
import sys
import time
from pathlib import Path

from audit_watch import AuditWatch

import inspector_app.checkpoint
from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.terminal.show_json import json_parts
from inspector_app.terminal.show_text import text_parts
from inspector_app.terminal.style import Style


def load_all() -> None:
    """Import every reader first, so that any later import is the file's doing."""
    for module in pkgutil.iter_modules(inspector_app.checkpoint.__path__):
        importlib.import_module(f"inspector_app.checkpoint.{module.name}")
    for name in ("zlib", "encodings.raw_unicode_escape", "encodings.unicode_escape"):
        importlib.import_module(name)


def peak_megabytes() -> int:
    """Of this process alone: ``ru_maxrss`` counts that of its parent, too, where it forked."""
    status = Path("/proc/self/status")
    if status.exists():
        (peak,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(peak.split()[1]) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main(folder: Path) -> None:
    load_all()
    watch = AuditWatch()
    for path in sorted(folder.iterdir()):
        start = time.perf_counter()
        with watch:
            try:
                checkpoint = inspector_app.checkpoint.open_checkpoint(path)
                rows = "".join(text_parts(checkpoint, Style(width=100)))
                json.loads("".join(json_parts(checkpoint)))
                outcome = f"tree of {checkpoint.format}"
                codes = [problem.code for problem in checkpoint.problems]
                names = [entry.name for entry in checkpoint.globals]
                sentences = [problem.message for problem in checkpoint.problems]
                sentences += rows.splitlines()
            except CheckpointError as error:
                outcome, codes, names = f"error {error.code}", [error.code], []
                sentences = [str(error)]
        unsafe = [line for line in sentences if not line.isprintable()]
        answer = {
            "file": path.name,
            "outcome": outcome,
            "codes": codes[:20],
            "globals": names[:50],
            "unsafe": [ascii(line) for line in unsafe[:3]],
            "seen": watch.seen,
            "seconds": round(time.perf_counter() - start, 3),
            "peak_mb": peak_megabytes(),
        }
        checkpoint = rows = sentences = unsafe = None
        # Parents and children refer to each other: only the collector frees a tree.
        gc.collect()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
