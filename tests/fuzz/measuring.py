"""How many lines of each reader are reached by mutated files, grammars and the readers' tests.

Prints a row for each module of `inspector_app.checkpoint`, and what is not reached of those
that have less than `LEAST`.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz.stored_seeds import ROOT

LEAST = 90  # percent of each module
RUN = 30
_PACKAGE = ROOT / "inspector_app" / "checkpoint"
_SHOWN = 25
_TESTS = ("tests/checkpoint", "tests/fuzz/test_found_files.py")
# What begins with `coverage run`; settings are in pyproject.toml.
_COVERAGE = (sys.executable, "-m", "coverage", "run", "--parallel-mode")
NO_COVERAGE = "this needs coverage.py: pip install -e '.[dev,fuzz]'"


def measure(seeds: Path, files: int) -> int:
    """Run all of it, and print; 1 if a module has less than `LEAST` percent."""
    if importlib.util.find_spec("coverage") is None:
        print(NO_COVERAGE, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="coverage-") as name:
        data = Path(name) / "coverage"
        trial = ["-m", "tests.fuzz.trial", str(seeds), f"--run={RUN}", "--first=0", "--step=1"]
        # test_hostile.py reads in processes of its own, under a hook of its own.
        left_out = "--ignore=tests/checkpoint/test_hostile.py"
        tests = ["-m", "pytest", "-q", "-p", "no:cacheprovider", left_out, *_TESTS]
        kept = [
            _run(data, [*trial, f"--end={files}"], quiet=True),
            # A failing test is told by the suite; what it reached is reached.
            _run(data, tests, quiet=False),
        ]
        print("exit statuses:", *kept)
        return _report(data)


def _run(data: Path, arguments: Sequence[str], quiet: bool) -> int:
    environment = {
        **os.environ,
        "COVERAGE_FILE": str(data),
        "OMP_NUM_THREADS": "1",
        "QT_QPA_PLATFORM": "offscreen",
    }
    output = subprocess.DEVNULL if quiet else None
    return subprocess.run(
        [*_COVERAGE, *arguments], cwd=ROOT, env=environment, stdout=output, check=False
    ).returncode


def _report(data: Path) -> int:
    import coverage

    measured = coverage.Coverage(data_file=str(data), config_file=str(ROOT / "pyproject.toml"))
    measured.combine([str(data.parent)])
    low = 0
    missed: list[tuple[str, list[int]]] = []
    for path in sorted(_PACKAGE.glob("*.py")):
        _, lines, _, missing, _ = measured.analysis2(str(path))
        percent = 100 * (len(lines) - len(missing)) / max(len(lines), 1)
        low += percent < LEAST
        mark = "  <" if percent < LEAST else ""
        print(f"{path.stem:<26}{len(lines):>6}{len(missing):>6}{percent:>8.1f} %{mark}")
        if missing:
            missed.append((path.stem, missing))
    print("\nnot reached:")
    for name, missing in missed:
        shown = " ".join(map(str, missing[:_SHOWN]))
        print(f"{name}: {shown}{' …' if len(missing) > _SHOWN else ''}")
    return int(low > 0)
