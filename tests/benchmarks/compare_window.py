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
    moved = diff_structure.moved_tensors(count)
    for path in (a, b, moved):
        files.warm(path)
    drive = ["-m", "tests.benchmarks.drive_comparison", str(a)]
    commands = {"drive": [*drive, str(b)], "moved": [*drive, str(moved)]}
    with display() as (name, environment), tempfile.TemporaryDirectory() as home:
        found = interleaved(commands, repeats, environment | settings_in(home))
    runs = found["drive"]
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
    for which, done in (("a tenth of them", runs), ("all of them", found["moved"])):
        took, longest, work = (
            median_answer(done, f"values_{key}") for key in ("seconds", "longest", "work")
        )
        report.add(
            Figure(
                f"{what}: comparing the bytes of {which}, and the longest block (processor time)",
                f"{seconds(took)}, {milliseconds(longest)} ({milliseconds(work)})",
                promise=f"≤ {milliseconds(LONGEST_BLOCK)}",
                kept=longest <= LONGEST_BLOCK,
            )
        )
    report.add(Figure(f"{what}: memory", megabytes(median_answer(found["moved"], "rss"))))
