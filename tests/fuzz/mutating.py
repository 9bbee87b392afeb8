"""Looks at many mutated files in processes that may die of them, and keeps each finding."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz import bounds
from tests.fuzz.mutations import Mutant, mutant
from tests.fuzz.stored_seeds import ROOT, StoredSeed, stored

_SILENT = 120  # seconds without a word: it is stuck where no signal reaches it
_LINE = tuple[str, int, str, str, str]


@dataclass
class Finding:
    """A file that was not answered as it should be.

    Attributes:
        number: of the file in its run.
        seed: what it was made of.
        what: in words.
        content: the file.
        trace: what the process said when it died, if it did.
    """

    number: int
    seed: StoredSeed
    what: str
    content: bytes
    trace: str = ""


@dataclass
class Result:
    """What became of the files.

    Attributes:
        outcomes: how often, by reader and outcome.
        structured: how many mutations knew the structure.
        findings: in the order they were found.
        seconds: that it took.
    """

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    structured: int = 0
    findings: list[Finding] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def files(self) -> int:
        return self.outcomes.total()

    def table(self) -> str:
        """A row for each reader: files, trees, errors, findings."""
        rows = [("reader", "files", "trees", "errors", "findings")]
        readers = sorted({reader for reader, _ in self.outcomes})
        for reader in [*readers, "all"]:
            counts = [
                sum(
                    count
                    for (name, outcome), count in self.outcomes.items()
                    if reader in (name, "all") and outcome.startswith(kind)
                )
                for kind in ("", "tree", "error", "finding")
            ]
            rows.append((reader, *(f"{count:,}" for count in counts)))
        lines = [f"{row[0]:<14}" + "".join(f"{cell:>11}" for cell in row[1:]) for row in rows]
        share = self.structured / max(self.files, 1)
        lines.append(
            f"{share:.0%} of the mutations knew the structure; {self.seconds:.0f} s, "
            f"{self.files / max(self.seconds, 1e-9):.0f} files/s"
        )
        return "\n".join(lines)


class _Trial:
    """A process and the thread that hands over what it prints."""

    def __init__(self, folder: Path, run: int, first: int, step: int, end: int) -> None:
        self.first, self.step, self.end = first, step, end
        self.next = first
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by last_words
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.trial", str(folder), f"--run={run}",
             f"--first={first}", f"--step={step}", f"--end={end}"],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )  # fmt: skip

    def hand_over(self, lines: queue.SimpleQueue[tuple[_Trial, str | None]]) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            lines.put((self, line))
        self.process.stdout.close()
        lines.put((self, None))

    def last_words(self) -> str:
        self._errors.seek(0)
        said = self._errors.read().decode("utf-8", "replace")
        self._errors.close()
        return said[-3000:]


def mutate(
    folder: Path,
    files: int,
    run: int,
    processes: int,
    tell: Callable[[Result], None] = lambda result: None,
    found: Callable[[Finding], None] = lambda finding: None,
    first: int = 0,
) -> Result:
    """Look at `files` mutated files of the run `run`, made of the seeds in `folder`.

    Args:
        tell: is given what there is so far, now and then.
        found: is given each finding at once.
    """
    seeds = stored(folder)
    result = Result()
    start = time.monotonic()
    lines: queue.SimpleQueue[tuple[_Trial, str | None]] = queue.SimpleQueue()
    alive: dict[_Trial, threading.Thread] = {}

    def begin(at: int) -> None:
        trial = _Trial(folder, run, at, processes, first + files)
        thread = threading.Thread(target=trial.hand_over, args=(lines,))
        alive[trial] = thread
        thread.start()

    for index in range(processes):
        begin(first + index)
    told, told_of = start, 0
    try:
        while alive:
            trial, line = _next(lines, alive)
            if line is not None:
                number, reader, kind, outcome = line.rstrip("\n").split("\t", 3)
                trial.next = int(number) + trial.step
                word, _, what = outcome.partition(" ")
                if word == "finding":
                    _add(result, mutant(seeds, run, int(number)), int(number), what)
                else:
                    result.outcomes[reader, word] += 1
                    result.structured += kind == "s"
            else:
                alive.pop(trial).join()
                code = trial.process.wait()
                words = trial.last_words()
                if trial.next < trial.end:
                    if trial.next == trial.first and code == 1:
                        raise RuntimeError(words)
                    _add(result, mutant(seeds, run, trial.next), trial.next, bounds.ended_by(code))
                    result.findings[-1].trace = words
                    if trial.next + trial.step < trial.end:
                        begin(trial.next + trial.step)
            while told_of < len(result.findings):
                found(result.findings[told_of])
                told_of += 1
            result.seconds = time.monotonic() - start
            if time.monotonic() - told > 30:
                told = time.monotonic()
                tell(result)
    finally:
        for trial, thread in alive.items():
            trial.process.kill()
            thread.join()
            trial.process.wait()
            trial.last_words()
    return result


def _next(
    lines: queue.SimpleQueue[tuple[_Trial, str | None]], alive: dict[_Trial, threading.Thread]
) -> tuple[_Trial, str | None]:
    while True:
        try:
            return lines.get(timeout=_SILENT)
        except queue.Empty:
            for trial in alive:
                trial.process.kill()


def _add(result: Result, mutated: Mutant, number: int, what: str) -> None:
    result.outcomes[mutated.seed.reader, "finding"] += 1
    result.structured += mutated.structured
    result.findings.append(Finding(number, mutated.seed, what, mutated.content))
