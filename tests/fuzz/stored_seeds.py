"""Seeds in a folder: made once in a process that imports torch, read in those that do not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_LIST = "seeds.json"


@dataclass(frozen=True)
class StoredSeed:
    """A seed, without what it was made by.

    Attributes:
        name: its name; the first word is the reader's.
        content: the file.
        beside: files that it refers to.
        suffix: the ending that it usually has.
    """

    name: str
    content: bytes
    beside: Mapping[str, bytes]
    suffix: str

    @property
    def reader(self) -> str:
        return self.name.split()[0]


def store(folder: Path) -> None:
    """Make the seeds in this process, and write them."""
    from tests.fuzz.seeds import seeds

    listed = []
    for number, seed in enumerate(seeds()):
        files = {"": seed.content, **seed.beside}
        places = {name: f"{number}-{index}" for index, name in enumerate(files)}
        for name, content in files.items():
            (folder / places[name]).write_bytes(content)
        listed.append({"name": seed.name, "suffix": seed.suffix, "places": places})
    (folder / _LIST).write_text(json.dumps(listed))


def make(folder: Path) -> None:
    """The same in a process of its own: what is traced is named by what was traced before."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-m", "tests.fuzz", "seeds", str(folder)]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)


def stored(folder: Path) -> list[StoredSeed]:
    """The seeds of `folder`."""
    found = []
    for entry in json.loads((folder / _LIST).read_text()):
        files = {name: (folder / place).read_bytes() for name, place in entry["places"].items()}
        content = files.pop("")
        found.append(StoredSeed(entry["name"], content, files, entry["suffix"]))
    return found
