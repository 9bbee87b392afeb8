"""Typing, scrolling, and looking at values: how long the window keeps somebody waiting."""

from __future__ import annotations

import tempfile
from typing import Any

from tests.benchmarks import files
from tests.benchmarks.display import display
from tests.benchmarks.measure import (
    Figure,
    Report,
    answer,
    interleaved,
    median_answer,
    megabytes,
    milliseconds,
    run,
    seconds,
)
from tests.benchmarks.window import BASE_BYTES, TENSOR_BYTES, settings_in

# With a million tensors nothing is promised in figures but that the window never freezes:
# people notice what takes longer than this.
NOTICEABLE = 0.1
LONGEST_STALL = 0.05
FIRST_PICTURE = 0.3
MOST_MEMORY = 64e6
AHEAD = "0.5"  # seconds from when the mouse came over the tree: people look before they click


def drive(count: int) -> tuple[str, dict[str, Any]]:
    """Open, search and scroll a file of `count` tensors; the display's name, and the figures."""
    path = files.many_tensors(count)
    files.warm(path)
    with display() as (name, environment), tempfile.TemporaryDirectory() as home:
        command = ["-m", "tests.benchmarks.drive_window", str(path)]
        said = answer(run(command, environment | settings_in(home)))
    assert said["tensors"] == count
    return name, said


def block(report: Report, what: str, said: dict[str, Any], part: str, bound: float | None) -> None:
    """The longest time in which the window could not have answered."""
    longest = said[f"{part}_longest"]
    report.add(
        Figure(
            f"{what} (processor time)",
            f"{milliseconds(longest)} ({milliseconds(said[f'{part}_work'])})",
            promise="" if bound is None else f"≤ {milliseconds(bound)}",
            kept=bound is None or longest <= bound,
        )
    )


def search_and_scroll(report: Report, count: int) -> None:
    """What must feel immediate."""
    name, said = drive(count)
    what = f"{count:,} tensors: a keystroke in the search field, median of {said['keystrokes']}"
    report.at_most(f"{what} ({name})", said["search_median"], 0.1, milliseconds)
    report.add(Figure(f"{count:,} tensors: the slowest", milliseconds(said["search_slowest"])))
    what = f"{count:,} tensors, all {said['rows']:,} rows listed: longest block while scrolling"
    block(report, what, said, "scroll", 0.05)
    for part, doing in (("open", "opening"), ("search", "searching"), ("expand", "expanding all")):
        block(report, f"{count:,} tensors: longest block while {doing}", said, part, None)


def million(report: Report, count: int) -> None:
    """Opens, scrolls and searches with progress, without ever freezing."""
    name, said = drive(count)
    what = f"{count:,} tensors"
    report.add(Figure(f"{what}: opened and painted ({name})", seconds(said["open_seconds"])))
    report.add(
        Figure(
            f"{what}: times that the progress moved",
            str(said["progress"]),
            promise="≥ 10",
            kept=said["progress"] >= 10,
        )
    )
    for part, doing in (
        ("open", "opening"),
        ("search", "searching"),
        ("expand", f"listing all {said['rows']:,} rows"),
        ("scroll", "scrolling"),
    ):
        block(report, f"{what}: longest block while {doing}", said, part, NOTICEABLE)
    report.add(
        Figure(
            f"{what}: a keystroke in the search field, median and slowest",
            f"{milliseconds(said['search_median'])}, {milliseconds(said['search_slowest'])}",
        )
    )
    report.add(Figure(f"{what}: a step of scrolling, median", milliseconds(said["scroll_median"])))
    bound = BASE_BYTES + TENSOR_BYTES * count
    report.at_most(f"{what}: memory with the file open", said["rss"], bound, megabytes)


def values(report: Report, repeats: int) -> None:
    """Computing statistics of 1.2 GB, and the picture of 537 MB."""
    subjects = {"bf16": files.large_file(), "f32": files.large_float32_file()}
    few, one = files.few_values(), files.one_tensor()
    for path in (*subjects.values(), few, one):
        files.warm(path)
    drive = ["-m", "tests.benchmarks.drive_values"]
    commands = {name: [*drive, "statistics", str(path)] for name, path in subjects.items()}
    commands["few"] = [*drive, "statistics", str(few)]
    commands["ahead"] = [*drive, "picture", str(one), AHEAD]
    commands["at once"] = [*drive, "picture", str(one), "0"]
    with display() as (name, environment), tempfile.TemporaryDirectory() as home:
        runs = interleaved(commands, repeats, environment | settings_in(home))
    for dtype in subjects:
        said = [answer(done) for done in runs[dtype]]
        # numpy is there for pictures, perhaps.
        assert not any("numba" in each["heavy"] for each in said), "numba is in the window"
        what = f"{dtype}, 1.2 GB: statistics in the window ({name})"
        took, first = (median_answer(runs[dtype], key) for key in ("seconds", "first"))
        report.add(
            Figure(f"{what}: the first figures, and all", f"{seconds(first)}, {seconds(took)}")
        )
        stall, work = (median_answer(runs[dtype], key) for key in ("longest", "work"))
        report.add(
            Figure(
                f"{what}: the window's longest stall, median of {len(said)} (processor time)",
                f"{milliseconds(stall)} ({milliseconds(work)})",
                promise=f"≤ {milliseconds(LONGEST_STALL)}",
                kept=stall <= LONGEST_STALL,
            )
        )
        for key, who in (("peak", "the window"), ("child", "the process that computes")):
            above(report, f"{what}: peak memory of {who}", runs[dtype], runs["few"], key)
    what = "537 MB of bf16: from a click to the first picture"
    ahead = median_answer(runs["ahead"], "first")
    report.at_most(
        f"{what}, {AHEAD} s after the mouse came over the tree, nothing clicked before ({name})",
        ahead,
        FIRST_PICTURE,
        milliseconds,
    )
    at_once, whole = (
        median_answer(runs["at once"], "first"),
        median_answer(runs["ahead"], "whole"),
    )
    report.add(Figure(f"{what}, as soon as the tree was painted", milliseconds(at_once)))
    report.add(Figure("537 MB of bf16: from a click to the whole picture", milliseconds(whole)))
    stall = median_answer(runs["ahead"], "idle_longest")
    report.add(Figure("longest stall while importing what pictures need", milliseconds(stall)))


def above(report: Report, what: str, runs: list, few: list, key: str) -> None:
    """Memory with a large file, above that with two tensors of 20,000 values."""
    large, small = median_answer(runs, key), median_answer(few, key)
    report.add(
        Figure(
            f"{what}, against the same with two tensors of 20,000 values",
            megabytes(large),
            megabytes(small),
            f"{(large - small) / 1e6:.1f} MB more",
            f"≤ {megabytes(MOST_MEMORY)} more",
            large - small <= MOST_MEMORY,
        )
    )
