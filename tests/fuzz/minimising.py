"""Makes a finding smaller: the same thing goes wrong, with fewer bytes.

Each attempt is a forked process, so that a crash, a hang or a peak of memory is an answer
like any other. Forking wants a process without threads: ``python -m tests.fuzz.minimising``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.fuzz import bounds
from tests.fuzz.stored_seeds import ROOT, StoredSeed, stored
from tests.fuzz.trial import outcome_of, write_file


def answer(seed: StoredSeed, content: bytes) -> str:
    """What becomes of a file in a process of its own: an outcome, or how the process ended."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(reading)
            try:
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, 2)
                bounds.bound_process()
                path = write_file(Path(name), seed, content)
                os.write(writing, outcome_of(path).encode()[:4000])
            finally:
                os._exit(0)
        os.close(writing)
        with open(reading, "rb") as file:
            said = file.read().decode()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return said or f"finding {bounds.ended_by(status)}"


def sort_of(outcome: str) -> str:
    """What stays the same while a file is made smaller: the kind of error and its place."""
    if not outcome.startswith("finding"):
        return ""
    what, _, place = outcome.partition(" at ")
    return what.split(":")[0] + (f" at {place.split(':')[0]}" if place else "")


def minimise(folder: Path, seed: StoredSeed, path: Path, content: bytes) -> None:
    """Write the smaller file to `path`, by a process of its own."""
    path.write_bytes(content)
    command = [sys.executable, "-m", "tests.fuzz.minimising", str(folder), seed.name, str(path)]
    subprocess.run(command, cwd=ROOT, check=True)


def minimised(seed: StoredSeed, content: bytes, seconds: float = 60) -> bytes:
    """The shortest file found within `seconds` that has the same finding."""
    wanted = sort_of(answer(seed, content))
    if not wanted:
        return content  # it takes the process that found it: keep it as it is

    def same(candidate: bytes) -> bool:
        return sort_of(answer(seed, candidate)) == wanted

    return shrunk(content, same, time.monotonic() + seconds)


def shrunk(content: bytes, same: Callable[[bytes], bool], deadline: float) -> bytes:
    """Runs of bytes are left out, large ones first, as long as `same` holds."""
    length = len(content)
    while length >= 1:
        at = 0
        while at < len(content):
            if time.monotonic() > deadline:
                return content
            candidate = content[:at] + content[at + length :]
            if candidate != content and same(candidate):
                content = candidate
            else:
                at += length
        length //= 2
    return content


def main(arguments: list[str]) -> None:
    """``SEEDS NAME FILE``: make FILE, which was made of the seed NAME, smaller in place."""
    folder, name, file = arguments
    seed = next(seed for seed in stored(Path(folder)) if seed.name == name)
    path = Path(file)
    path.write_bytes(minimised(seed, path.read_bytes()))


if __name__ == "__main__":
    main(sys.argv[1:])
