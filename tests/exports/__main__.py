"""`make exports`: exports and proves the whole matrix, and prints a table of it.

    python -m tests.exports [MODEL…] [--way WAY]…

Exits with 1 where an export fails that should not, or is possible that was said not to be.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from inspector_app.worker.export_run import ExportOutcome
from tests.exports.matrix import (
    BY_NAME,
    PROOF_FAILS,
    WAYS,
    Subject,
    cells,
    checkpoint_of,
    outcome_of,
    plan_of,
)

COLUMNS = ("checkpoint", "model", "format", "proof", "max abs", "max rel", "cases", "original")
COLUMNS += ("result", "size", "took")
HEADER = f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}"


def row(source: str, subject: Subject, way: str, outcome: ExportOutcome, took: float) -> str:
    """One line of the table."""
    cells = [source, subject.title, way, verdict(outcome)]
    if outcome.proved is not None and outcome.exported is not None:
        proved, exported = outcome.proved, outcome.exported
        errors = [each for case in proved.cases for each in case.outputs]
        cells += [
            f"{max((each.max_abs for each in errors), default=math.nan):.1e}",
            f"{max((each.max_rel for each in errors), default=math.nan):.1e}",
            str(len(proved.cases)),
            f"{proved.original_seconds * 1e3:.2f} ms",
            f"{proved.result_seconds * 1e3:.2f} ms",
            f"{exported.nbytes / 1e3:,.1f} kB",
        ]
    cells += [""] * (len(COLUMNS) - 1 - len(cells))
    return f"| {' | '.join([*cells, f'{took:.1f} s'])} |"


def verdict(outcome: ExportOutcome) -> str:
    if outcome.failed is not None:
        return f"{outcome.failed.code}: {outcome.failed.cause[:160]}"
    if outcome.proved is None:
        return "not proven"
    if outcome.proved.passed:
        return "passed"
    wrong = next(case for case in outcome.proved.cases if not case.within)
    said = wrong.error or ", ".join(f"{each.name} {each.max_abs:.1e}" for each in wrong.outputs)
    return f"FAILED at {dict(wrong.sizes)}: {said[:120]} {outcome.proved.departs}"


def as_expected(subject: Subject, way: str, outcome: ExportOutcome) -> bool:
    """Passed, or refused for the reason that is known."""
    expected = subject.refused.get(way)
    if expected == PROOF_FAILS:
        return outcome.proved is not None and not outcome.proved.passed and not outcome.files
    if expected is not None:
        return outcome.failed is not None and outcome.failed.code == expected
    return outcome.proved is not None and outcome.proved.passed and bool(outcome.files)


def chosen(models: list[str], ways: list[str]) -> Iterator[tuple[str, Subject, str]]:
    for source, subject, way in cells():
        if (not models or subject.name in models) and (not ways or way in ways):
            yield source, subject, way


def main() -> int:
    parser = argparse.ArgumentParser(prog="make exports", description=__doc__)
    parser.add_argument("models", nargs="*", metavar="MODEL", help=", ".join(BY_NAME))
    parser.add_argument("--way", action="append", default=[], choices=tuple(WAYS))
    arguments = parser.parse_args()
    unknown = set(arguments.models) - {each.name for each in BY_NAME.values()}
    if unknown:
        parser.error(f"no such model: {', '.join(sorted(unknown))}")
    print(HEADER, flush=True)
    unexpected = []
    count = 0
    with tempfile.TemporaryDirectory(prefix="inspector-exports-") as folder:
        written: dict[tuple[str, str], Path] = {}
        for source, subject, way in chosen(arguments.models, arguments.way):
            place = (source, subject.title)
            if place not in written:
                written[place] = checkpoint_of(subject, Path(folder), source)
            begin = time.perf_counter()
            outcome = outcome_of(plan_of(subject, written[place], way))
            took = time.perf_counter() - begin
            print(row(source, subject, way, outcome, took), flush=True)
            count += 1
            if not as_expected(subject, way, outcome):
                unexpected.append(f"{source} {subject.title} {way}: {verdict(outcome)}")
    for line in unexpected:
        print(f"not as expected: {line}", file=sys.stderr)
    print(f"{count} exports, {len(unexpected)} not as expected")
    return 1 if unexpected else 0


if __name__ == "__main__":
    sys.exit(main())
