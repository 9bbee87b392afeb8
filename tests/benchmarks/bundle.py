"""How soon the bundle in dist/ shows a file, beside the sources that it was made from."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.display import display
from tests.benchmarks.measure import ROOT, Figure, Report, megabytes, seconds
from tests.benchmarks.window import settings_in

FOLDER = Path(os.environ.get("CHECKPOINT_INSPECTOR_BUNDLE", ROOT / "dist" / "checkpoint-inspector"))
PROGRAM = FOLDER / "checkpoint-inspector"
SAMPLE = ROOT / "resources" / "samples" / "digits_cnn_epoch_4.pth"
# Issue 9: it starts as fast as from source, and takes less room than this.
SLOWER = 1.3
LARGEST = 450_000_000


def start(report: Report, repeats: int) -> None:
    """The window from start to end, painting one file; the command; the size."""
    if not PROGRAM.exists():
        print(f"bundle: none in {FOLDER} (make bundle)", file=sys.stderr)
        return
    source = [sys.executable, "-m", "inspector_app"]
    with display() as (name, environment), tempfile.TemporaryDirectory() as home:
        picture = os.path.join(home, "window.png")
        for what, arguments, promised in (
            (
                f"the window, painted once and closed ({name})",
                ["open", str(SAMPLE), "--screenshot", picture],
                True,
            ),
            ("`show` of the sample", ["show", str(SAMPLE), "--quiet"], False),
        ):
            commands = {"bundle": [str(PROGRAM), *arguments], "source": [*source, *arguments]}
            times: dict[str, list[float]] = {side: [] for side in commands}
            # The first pair fills the caches of the disk.
            for number in range(2 * repeats + 1):
                for side, command in commands.items():
                    took = _seconds(command, environment | settings_in(home))
                    if number:
                        times[side].append(took)
            ours, other = (statistics.median(times[side]) for side in commands)
            report.add(
                Figure(
                    f"bundle beside its sources: {what}",
                    seconds(ours),
                    seconds(other),
                    f"{ours / other:.2f}×",
                    f"≤ {SLOWER:g}×" if promised else "",
                    not promised or ours <= SLOWER * other,
                )
            )
    files = [path for path in FOLDER.rglob("*") if path.is_file() and not path.is_symlink()]
    size = sum(path.stat().st_size for path in files)
    report.at_most("bundle: its size", size, LARGEST, megabytes)


def _seconds(command: list[str], environment: dict[str, str]) -> float:
    begin = time.perf_counter()
    subprocess.run(
        command,
        check=True,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - begin
