"""Typing into the search field and scrolling, with 100,000 and with 1,000,000 tensors."""

from __future__ import annotations

import tempfile
from typing import Any

from tests.benchmarks import files
from tests.benchmarks.display import display
from tests.benchmarks.measure import Figure, Report, answer, megabytes, milliseconds, run, seconds
from tests.benchmarks.window import BASE_BYTES, TENSOR_BYTES, settings_in

# With a million tensors nothing is promised in figures but that the window never freezes:
# people notice what takes longer than this.
NOTICEABLE = 0.1


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
