"""`make quantizations`: quantizes and measures the whole matrix, and prints a table of it.

    python -m tests.quantizations [MODEL…] [--way WAY]…

Exits with 1 where a quantization fails that should not, or costs more than a point of accuracy
in eight bits, three in four.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from inspector_app.worker.quantize_run import QuantizeOutcome
from tests.quantizations.matrix import BY_NAME, WAYS, Subject, cells, outcome_of, plan_of, prepared

COLUMNS = ("model", "method", "accuracy", "quantized", "agree", "SQNR", "size", "latency")
COLUMNS += ("memory", "result", "took")
HEADER = f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}"


def row(subject: Subject, way: str, outcome: QuantizeOutcome, took: float) -> str:
    """One line of the table: ratios are quantized / float."""
    cells = [subject.name, way]
    quantized, measured, memory = outcome.quantized, outcome.measured, outcome.memory
    if quantized is not None and measured is not None:
        first = measured.outputs[0]
        cells += [
            _percent(measured.float_accuracy),
            _percent(measured.quantized_accuracy),
            _percent(first.agreement),
            f"{first.sqnr_db:.1f} dB",
            f"{quantized.nbytes / quantized.original_bytes:.3f}",
        ]
        fast, slow = measured.quantized_latency, measured.float_latency
        cells.append(f"{fast.median / slow.median:.2f}" if fast and slow else "")
        known = memory is not None and memory.original and memory.quantized is not None
        cells.append(f"{memory.quantized / memory.original:.2f}" if known else "")
    cells += [""] * (len(COLUMNS) - 2 - len(cells))
    return f"| {' | '.join([*cells, verdict(outcome), f'{took:.1f} s'])} |"


def verdict(outcome: QuantizeOutcome) -> str:
    if outcome.failed is not None:
        return f"{outcome.failed.code}: {outcome.failed.cause[:160]}"
    return "written" if outcome.files else "not written"


def as_expected(subject: Subject, way: str, outcome: QuantizeOutcome) -> bool:
    """Written without loss, or refused for the reason that is known."""
    expected = subject.refused.get(way)
    if expected is not None:
        return outcome.failed is not None and outcome.failed.code == expected
    measured = outcome.measured
    if not outcome.files or measured is None or measured.float_accuracy is None:
        return False
    most = 0.03 if "int4" in way else 0.0101
    return measured.float_accuracy - (measured.quantized_accuracy or 0.0) <= most


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make quantizations", description=__doc__)
    parser.add_argument("models", nargs="*", metavar="MODEL", help=", ".join(BY_NAME))
    parser.add_argument("--way", action="append", default=[], choices=tuple(WAYS))
    arguments = parser.parse_args()
    unknown = set(arguments.models) - set(BY_NAME)
    if unknown:
        parser.error(f"no such model: {', '.join(sorted(unknown))}")
    print(HEADER, flush=True)
    unexpected = []
    count = 0
    with tempfile.TemporaryDirectory(prefix="inspector-quantizations-") as folder:
        written: dict[str, Path] = {}
        for subject, way in cells():
            if arguments.models and subject.name not in arguments.models:
                continue
            if arguments.way and way not in arguments.way:
                continue
            if subject.name not in written:
                written[subject.name] = prepared(subject, Path(folder))
            begin = time.perf_counter()
            outcome = outcome_of(plan_of(subject, written[subject.name], way))
            took = time.perf_counter() - begin
            print(row(subject, way, outcome, took), flush=True)
            count += 1
            if not as_expected(subject, way, outcome):
                unexpected.append(f"{subject.name} {way}: {verdict(outcome)}")
    for line in unexpected:
        print(f"not as expected: {line}", file=sys.stderr)
    print(f"{count} quantizations, {len(unexpected)} not as expected")
    return 1 if unexpected else 0


if __name__ == "__main__":
    sys.exit(main())
