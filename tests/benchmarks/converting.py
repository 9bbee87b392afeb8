"""`convert` of a file of 4 GB against copying it: whole processes, both until the disk has it.

The memory is the process's own: pages of files that the system keeps are not counted.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.benchmarks import files
from tests.benchmarks.measure import (
    Figure,
    Report,
    Run,
    interleaved,
    median_seconds,
    megabytes,
    seconds,
)

MOST_MEMORY = 600e6
LEAST_SPEED = 0.5
# The ending that is written, and options.
FORMS = {
    "to .pth with a prefix": (".pth", ["--add-prefix", "model."]),
    "to .safetensors": (".safetensors", []),
    "to .safetensors in shards": (".safetensors", ["--max-shard-size", "1GB"]),
    "to .safetensors in bfloat16": (".safetensors", ["--dtype", "bfloat16"]),
}
_COPY = """
import os, shutil, sys
shutil.copyfile(sys.argv[1], sys.argv[2])
descriptor = os.open(sys.argv[2], os.O_RDONLY)
os.fsync(descriptor)
"""


def converting(report: Report, repeats: int) -> None:
    """Each form in turns with a copy of the same file."""
    source = files.four_gigabytes()
    files.warm(source)
    folder = files.folder()
    for name, (ending, options) in FORMS.items():
        target, copied = folder / f"converted{ending}", folder / "copied.pth"
        command = ["-m", "inspector_app", "convert", str(source), str(target), *options]
        sides = {
            "ours": [*command, "--quiet"],
            "copy": ["-c", _COPY, str(source), str(copied)],
        }

        def clear(copied: Path = copied) -> None:
            """Both write new files: to free the blocks and pages of old ones takes seconds."""
            for path in [copied, *folder.glob("converted*")]:
                path.unlink(missing_ok=True)
            os.sync()

        try:
            runs = interleaved(sides, repeats, before=clear)
        finally:
            clear()
        _report(report, name, runs["ours"], runs["copy"])


def _report(report: Report, name: str, ours: list[Run], copy: list[Run]) -> None:
    mine, theirs = median_seconds(ours), median_seconds(copy)
    speed = theirs / mine
    report.add(
        Figure(
            f"4 GB {name}, against a copy",
            seconds(mine),
            seconds(theirs),
            f"{speed:.2f}× as fast",
            f"≥ {LEAST_SPEED:g}×",
            speed >= LEAST_SPEED,
        )
    )
    report.at_most(
        f"4 GB {name}: memory", max(run.peak_bytes for run in ours), MOST_MEMORY, megabytes
    )
