"""One process that looks at mutated files, one after another, and says what became of each.

Reads files ``FIRST, FIRST + STEP, …`` of a run and prints a line for each: its number, its
reader, and the outcome. It may die at any file: `mutating` goes on with the next.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
import traceback
from pathlib import Path

from tests.fuzz import bounds
from tests.fuzz.looking import load_readers, look
from tests.fuzz.mutations import Mutant, mutant
from tests.fuzz.stored_seeds import StoredSeed, stored

_COLLECT_EVERY = 200  # files; a tree refers to itself: only the collector frees it
_COLLECT_OVER = bounds.MEGABYTES // 2  # so that no file is blamed for those before it


def write(folder: Path, found: Mutant) -> Path:
    """The mutated file, with what it refers to beside it."""
    return write_file(folder, found.seed, found.content)


def write_file(folder: Path, seed: StoredSeed, content: bytes) -> Path:
    path = folder / f"mutated{seed.suffix}"
    path.write_bytes(content)
    for name, other in seed.beside.items():
        (folder / name).write_bytes(other)
    return path


def outcome_of(path: Path) -> str:
    """What `look` says, or ``finding`` and what it is, within the bounds of a file."""
    bounds.forget_peak()
    try:
        with bounds.timed():
            outcome = look(path)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return f"finding {described(error)}"
    peak = bounds.peak_megabytes()
    if peak > bounds.MEGABYTES:
        return f"finding memory: {peak} MB at its peak"
    return outcome


def described(error: BaseException) -> str:
    """An exception and where it comes from, in one line."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "inspector_app" in frame.filename] or frames[-1:]
    place = f"{Path(own[-1].filename).name}:{own[-1].lineno} in {own[-1].name}" if own else ""
    text = ascii(str(error))[:200]
    return f"{type(error).__name__}: {text} at {place}"


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.trial")
    parser.add_argument("seeds", type=Path)
    parser.add_argument("--run", type=int, required=True)
    parser.add_argument("--first", type=int, required=True)
    parser.add_argument("--step", type=int, required=True)
    parser.add_argument("--end", type=int, required=True)
    options = parser.parse_args(arguments)
    bounds.bound_process()
    seeds = stored(options.seeds)
    load_readers()
    gc.disable()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        folder = Path(name)
        for count, number in enumerate(range(options.first, options.end, options.step)):
            found = mutant(seeds, options.run, number)
            outcome = outcome_of(write(folder, found))
            kind = "s" if found.structured else "b"
            print(f"{number}\t{found.seed.reader}\t{kind}\t{outcome}", flush=True)
            if count % _COLLECT_EVERY == 0 or bounds.resident_megabytes() > _COLLECT_OVER:
                gc.collect()


if __name__ == "__main__":
    main(sys.argv[1:])
