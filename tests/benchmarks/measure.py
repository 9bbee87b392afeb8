"""Runs processes, takes medians, and holds each figure against what is promised."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
# In a command: replaced by the `time.monotonic` at which the process is started.
BEGIN = "{begin}"
LAST_BYTES = 1 << 14


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the report.

    Attributes:
        what: what was measured.
        ours, other: the two sides, formatted; `other` may be "".
        ratio: how they compare, formatted.
        promise: what is to hold, or "" where nothing is promised.
        kept: whether it does.
    """

    what: str
    ours: str
    other: str = ""
    ratio: str = ""
    promise: str = ""
    kept: bool = True


@dataclass(frozen=True, slots=True)
class Run:
    """One process.

    Attributes:
        seconds: its wall time.
        peak_bytes: its memory, at most.
        output: the end of what it printed.
        processor_seconds: what it and the processes that it waited for computed.
    """

    seconds: float
    peak_bytes: int
    output: str
    processor_seconds: float


@dataclass(slots=True)
class Report:
    """Figures as they come, printed at once."""

    figures: list[Figure] = field(default_factory=list)

    def add(self, figure: Figure) -> None:
        self.figures.append(figure)
        print(row(figure), flush=True)

    def faster(self, what: str, ours: float, other: float, promised: float | None) -> None:
        """Seconds against seconds; `promised` is how many times faster ours is to be."""
        ratio = other / ours
        promise = "" if promised is None else f"≥ {promised:g}× faster"
        self.add(
            Figure(
                what,
                seconds(ours),
                seconds(other),
                f"{ratio:.1f}× faster",
                promise,
                promised is None or ratio >= promised,
            )
        )

    def at_most(self, what: str, value: float, bound: float, show: Callable[[float], str]) -> None:
        """A value against a bound in the same unit."""
        self.add(Figure(what, show(value), promise=f"≤ {show(bound)}", kept=value <= bound))


HEADER = "| what | ours | the other | ratio | promised | |\n|---|---|---|---|---|---|"


def row(figure: Figure) -> str:
    mark = "" if not figure.promise else ("kept" if figure.kept else "**missed**")
    cells = (figure.what, figure.ours, figure.other, figure.ratio, figure.promise, mark)
    return f"| {' | '.join(cells)} |"


def seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.0f} ms"


def milliseconds(value: float) -> str:
    return f"{value * 1000:.1f} ms"


def megabytes(value: float) -> str:
    return f"{value / 1e6:.1f} MB"


def run(command: Sequence[str], environment: dict[str, str] | None = None) -> Run:
    """Run one Python process to its end.

    Raises:
        RuntimeError: it failed; the message has what it printed.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile("w+") as errors:
        begin = time.perf_counter()
        process = subprocess.Popen(
            [
                sys.executable,
                *(str(time.monotonic()) if part is BEGIN else part for part in command),
            ],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            env={**os.environ, **(environment or {})},
        )
        _, status, usage = os.wait4(process.pid, 0)
        took = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            raise RuntimeError(f"{command} ended with {process.returncode}: {errors.read()}")
        # Its end alone: on Linux a child's peak counts what this process held when it began.
        output.seek(max(output.seek(0, os.SEEK_END) - LAST_BYTES, 0))
        scale = 1 if sys.platform == "darwin" else 1024
        printed = output.read().decode(errors="replace")
        return Run(took, usage.ru_maxrss * scale, printed, usage.ru_utime + usage.ru_stime)


def interleaved(
    commands: dict[str, Sequence[str]],
    repeats: int,
    environment: dict[str, str] | None = None,
    before: Callable[[], object] | None = None,
) -> dict[str, list[Run]]:
    """Each command `repeats` times, in turns, after one turn that does not count.

    In turns, so that a machine that slows down slows all of them. `before` is called before
    each, off the clock.
    """
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for turn in range(repeats + 1):
        for name, command in commands.items():
            if before is not None:
                before()
            done = run(command, environment)
            if turn:
                runs[name].append(done)
    return runs


def median_seconds(runs: Sequence[Run]) -> float:
    return statistics.median(done.seconds for done in runs)


def median_answer(runs: Sequence[Run], key: str) -> float:
    """The median of a number that each process printed in its JSON object."""
    return statistics.median(answer(done)[key] for done in runs)


def answer(done: Run) -> dict[str, Any]:
    """The JSON object in the last line that a process printed."""
    result: dict[str, Any] = json.loads(done.output.splitlines()[-1])
    return result
