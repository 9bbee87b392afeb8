"""From process start to the painted tree, and the memory held then, against a bare window."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from tests.benchmarks import files
from tests.benchmarks.display import display
from tests.benchmarks.measure import (
    BEGIN,
    Figure,
    Report,
    answer,
    interleaved,
    median_answer,
    megabytes,
    seconds,
)

MANY = 100_000
# What a window may hold above a bare one: this, and so much for each tensor.
BASE_BYTES = 60_000_000
TENSOR_BYTES = 2_000


def first_paint(report: Report, repeats: int) -> None:
    """The 1.2 GB file and 100,000 tensors."""
    large, many = files.large_file(), files.many_tensors(MANY)
    for path in (large, many):
        files.warm(path)
    with display() as (name, environment), tempfile.TemporaryDirectory() as home:
        runs = interleaved(
            {
                "bare": ["-m", "tests.benchmarks.bare_window", BEGIN],
                "large": window_command(large),
                "many": window_command(many),
            },
            repeats,
            environment | settings_in(home),
        )
    heavy = {
        module for part in ("large", "many") for r in runs[part] for module in answer(r)["heavy"]
    }
    assert not heavy, f"opening a file imported {heavy}"
    bare = median_answer(runs["bare"], "seconds")
    took = median_answer(runs["large"], "seconds")
    report.add(
        Figure(
            f"1.2 GB: from process start to the painted tree, against a bare window ({name})",
            seconds(took),
            seconds(bare),
            f"{took / bare:.2f}×",
            "≤ 2×",
            took <= 2 * bare,
        )
    )
    took = median_answer(runs["many"], "seconds")
    report.add(
        Figure(
            f"{MANY:,} tensors: the same",
            seconds(took),
            seconds(bare),
            f"{took - bare:.2f} s more",
            "≤ 2 s more",
            took - bare <= 2,
        )
    )
    for part, what in (("large", "1.2 GB"), ("many", f"{MANY:,} tensors")):
        memory(report, what, runs[part], runs["bare"])


def memory(report: Report, what: str, ours: list, bare: list) -> None:
    """What the window holds above the bare one, settled."""
    tensors = answer(ours[0])["tensors"]
    bound = BASE_BYTES + TENSOR_BYTES * tensors
    for key, name in (("rss", "memory"), ("uss", "memory of its own (USS)")):
        mine = median_answer(ours, key)
        theirs = median_answer(bare, key)
        report.add(
            Figure(
                f"{what}: {name} with the file open, against a bare window",
                megabytes(mine),
                megabytes(theirs),
                f"{(mine - theirs) / 1e6:.0f} MB more",
                f"≤ {bound / 1e6:.0f} MB more",
                mine - theirs <= bound,
            )
        )
    peak = statistics.median(answer(done)["peak"] for done in ours)
    report.add(Figure(f"{what}: at most, while opening", megabytes(peak)))


def window_command(path: Path) -> list[str]:
    return ["-m", "tests.benchmarks.inspector_window", BEGIN, str(path)]


def settings_in(home: str) -> dict[str, str]:
    """An environment whose windows know nothing of yours, nor hand over to them."""
    names = ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "TMPDIR")
    return dict.fromkeys(names, home)
