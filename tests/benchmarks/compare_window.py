"""Comparing two files with many tensors: how long the window keeps somebody waiting."""

from __future__ import annotations

import tempfile

from tests.benchmarks import diff_structure, files
from tests.benchmarks.display import display
from tests.benchmarks.measure import (
    Figure,
    Report,
    interleaved,
    median_answer,
    megabytes,
    milliseconds,
    seconds,
)
from tests.benchmarks.window import settings_in

LONGEST_BLOCK = 0.05


def many_pairs(report: Report, repeats: int, count: int) -> None:
    """Opens, filters, sorts and searches `count` pairs without blocking."""
    a, b = files.many_tensors(count), diff_structure.other_tensors(count)
    for path in (a, b):
        files.warm(path)
    command = ["-m", "tests.benchmarks.drive_comparison", str(a), str(b)]
    with display() as (name, environment), tempfile.TemporaryDirectory() as home:
        runs = interleaved({"drive": command}, repeats, environment | settings_in(home))["drive"]
    what = f"{count:,} pairs"
    opened = median_answer(runs, "open_seconds")
    report.add(Figure(f"{what}: both files read, compared and listed ({name})", seconds(opened)))
    for part, doing in (
        ("open", "reading and comparing both"),
        ("filter", "listing everything, or the differences alone"),
        ("list", "expanding all of it"),
        ("sort", "sorting by relative change"),
        ("search", "searching"),
        ("next", "going to the next difference"),
    ):
        longest, work = (median_answer(runs, f"{part}_{key}") for key in ("longest", "work"))
        report.add(
            Figure(
                f"{what}: longest block while {doing} (processor time)",
                f"{milliseconds(longest)} ({milliseconds(work)})",
                promise=f"≤ {milliseconds(LONGEST_BLOCK)}",
                kept=longest <= LONGEST_BLOCK,
            )
        )
    took, longest = (median_answer(runs, f"values_{key}") for key in ("seconds", "longest"))
    report.add(
        Figure(
            f"{what}: comparing the bytes of those that need it, and the longest block",
            f"{seconds(took)}, {milliseconds(longest)}",
        )
    )
    report.add(Figure(f"{what}: memory", megabytes(median_answer(runs, "rss"))))
