"""Runs fuzz targets, each for some time, and says what they found.

libFuzzer ends at its first finding: the target is started again until its time is up, and
findings that come from the same place are listed once.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.stored_seeds import ROOT, StoredSeed, stored
from tests.fuzz.targets.table import TARGETS, Target, dictionary

_LARGEST = 64 << 10
_HANGS_AFTER = 60  # seconds by the clock, for what no processor time shows
_RSS_MEGABYTES = 3_000
_EXECUTED = re.compile(r"stat::number_of_executed_units:\s+(\d+)")
_COVERAGE = re.compile(r"cov: (\d+) ft: (\d+) corp: (\d+)")
_PLACE = re.compile(r'File "[^"]*(inspector_app[^"]*)", line (\d+), in (\S+)')
NO_ATHERIS = (
    "the fuzz targets need atheris, which has no build for this Python ({version}); "
    "CPython 3.11 to 3.13 on Linux (x86-64) has one: pip install -e '.[dev,fuzz]'"
)


@dataclass
class Ran:
    """What became of a target.

    Attributes:
        name: of the target.
        seconds: that it ran.
        executions: how many files it looked at.
        branches, features, corpus: of the last status line of libFuzzer.
        findings: the place and the file of each.
        trouble: why it could not run, or "".
    """

    name: str
    seconds: float = 0.0
    executions: int = 0
    branches: int = 0
    features: int = 0
    corpus: int = 0
    findings: dict[str, Path] = field(default_factory=dict)
    trouble: str = ""


def run_targets(folder: Path, name: str, seconds: int, jobs: int, findings: Path) -> int:
    """Run one target, or all of them, with the seeds in `folder`; 1 if anything was found."""
    if importlib.util.find_spec("atheris") is None:
        print(NO_ATHERIS.format(version=sys.version.split()[0]), file=sys.stderr)
        return 2
    if name and name not in TARGETS:
        print(f"there is no target {name}; choose among {', '.join(TARGETS)}", file=sys.stderr)
        return 2
    chosen = [TARGETS[name]] if name else list(TARGETS.values())
    seeds = stored(folder)
    rows = []
    with ThreadPoolExecutor(jobs) as pool:
        running = [pool.submit(run, target, folder, seeds, seconds, findings) for target in chosen]
        for future in running:
            ran = future.result()
            rows.append(ran)
            print(_row(ran), flush=True)
            for place, path in ran.findings.items():
                print(f"  {path}: {place}")
            if ran.trouble:
                print(f"  {ran.trouble}")
    return int(any(ran.findings or ran.trouble for ran in rows))


def _row(ran: Ran) -> str:
    rate = ran.executions / max(ran.seconds, 1e-9)
    return (
        f"{ran.name:<14} {ran.seconds:>6.0f} s {ran.executions:>11,} files {rate:>7.0f}/s "
        f"{ran.branches:>6} branches {ran.features:>7} features {ran.corpus:>6} kept "
        f"{len(ran.findings):>3} findings"
    )


def run(
    target: Target, folder: Path, seeds: list[StoredSeed], seconds: float, findings: Path
) -> Ran:
    """Run a target for `seconds`."""
    kept = findings / "corpus" / target.name
    artifacts = findings / "targets" / target.name
    beginning = findings / "seeds" / target.name
    for place in (kept, artifacts, beginning):
        place.mkdir(parents=True, exist_ok=True)
    archives = ("torch-zip", "torchscript", "torch-export")
    for number, seed in enumerate(seeds):
        if seed.reader == target.reader or (not target.reader and seed.reader in archives):
            (beginning / f"{number}").write_bytes(seed.content)
    words = findings / "seeds" / f"{target.name}.dict"
    words.write_text(dictionary(target.words))
    ran = Ran(target.name)
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 1:
        begun = time.monotonic()
        said = _once(target, folder, left, [kept, beginning], artifacts, words)
        ran.seconds += time.monotonic() - begun
        _add(ran, said, artifacts)
        if not ran.executions:
            ran.trouble = said[-2000:]
            break
    return ran


def _once(
    target: Target, folder: Path, left: float, corpus: list[Path], artifacts: Path, words: Path
) -> str:
    command = [
        sys.executable, "-m", "tests.fuzz.targets.one", target.name, str(folder),
        *map(str, corpus), f"-artifact_prefix={artifacts}/", f"-dict={words}",
        f"-max_total_time={int(left)}", f"-max_len={_LARGEST}", f"-timeout={_HANGS_AFTER}",
        f"-rss_limit_mb={_RSS_MEGABYTES}", "-print_final_stats=1", "-reload=0",
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, check=False,
        timeout=left + 10 * _HANGS_AFTER,
    )  # fmt: skip
    return (process.stdout + process.stderr).decode("utf-8", "replace")


def _add(ran: Ran, said: str, artifacts: Path) -> None:
    executed = _EXECUTED.findall(said)
    ran.executions += int(executed[-1]) if executed else 0
    status = _COVERAGE.findall(said)
    if status:
        ran.branches, ran.features, ran.corpus = map(int, status[-1])
    written = re.search(r"Test unit written to (\S+)", said)
    if written:
        places = _PLACE.findall(said)
        cause = re.search(r"^(?:\w+\.)*\w*(?:Error|Exception|Interrupt)\b.*", said, re.MULTILINE)
        place = ":".join(places[-1]) if places else "no place"
        what = f"{place} {cause[0][:200] if cause else said[-500:]}"
        ran.findings.setdefault(what, Path(written[1]))
    elif "==ERROR" in said:
        ran.findings.setdefault(said[-800:], artifacts)
