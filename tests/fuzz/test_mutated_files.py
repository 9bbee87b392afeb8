"""Mutated files of every reader, a few of those that `make fuzz` and the bench of it look at."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.fuzz import bounds, minimising, mutations, pickle_forms, stored_seeds, trial
from tests.fuzz.looking import look
from tests.fuzz.mutating import mutate
from tests.fuzz.trial import write_file

FILES = 2_000
RUN = 20  # a seed for the suite: the same files on each run
READERS = {
    "torch-zip", "torch-legacy", "torch-tar", "torchscript", "torch-export", "safetensors",
    "onnx", "pickle", "shards",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seeds")
    stored_seeds.make(folder)
    return folder


@pytest.fixture(scope="module")
def seeds(folder: Path) -> list[stored_seeds.StoredSeed]:
    return stored_seeds.stored(folder)


def test_seeds_are_read(seeds: list[stored_seeds.StoredSeed], tmp_path: Path) -> None:
    """Unchanged they are what they claim, or the mutations would begin at an error."""
    assert {seed.reader for seed in seeds} == READERS
    for seed in seeds:
        outcome = look(write_file(tmp_path, seed, seed.content))
        expected = "tree" if seed.reader == "shards" else f"tree {seed.reader}"
        assert outcome.startswith(expected), (seed.name, outcome)


def test_mutated_files(folder: Path) -> None:
    result = mutate(folder, FILES, RUN, processes=1)
    assert [(finding.number, finding.what, finding.trace) for finding in result.findings] == []
    assert result.files == FILES
    assert result.structured > FILES / 2
    for reader in READERS:
        trees, errors = (result.outcomes[reader, kind] for kind in ("tree", "error"))
        # Neither does all of it break before a reader sees it, nor does nothing.
        assert trees > FILES / 40, result.table()
        assert errors, result.table()


def test_a_number_is_always_the_same_file(seeds: list[stored_seeds.StoredSeed]) -> None:
    first = [mutations.mutant(seeds, RUN, number) for number in range(60)]
    again = [mutations.mutant(seeds, RUN, number) for number in range(60)]
    assert [found.content for found in first] == [found.content for found in again]
    assert len({found.content for found in first}) > 55
    other = [mutations.mutant(seeds, RUN + 1, number) for number in range(60)]
    assert first != other


def test_the_container_stays_valid(seeds: list[stored_seeds.StoredSeed], tmp_path: Path) -> None:
    """A changed pickle lies in an archive that `zipfile` finds nothing wrong with."""
    seed = next(seed for seed in seeds if seed.name == "torch-zip training")
    path = tmp_path / "written.zip"
    path.write_bytes(mutations.zip_forms.written(mutations._plain({"a/b": b"x", "c": b""})))
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["a/b", "c"]
    entries = mutations.zip_forms.unpacked(seed.content)
    codes = pickle_forms.opcodes(entries["archive/data.pkl"])
    assert b"".join(codes) == entries["archive/data.pkl"]


def test_findings_are_made_small(tmp_path: Path) -> None:
    content = b"a" * 500 + b"needle" + b"b" * 700
    small = minimising.shrunk(content, lambda data: b"needle" in data, float("inf"))
    assert small == b"needle"
    assert minimising.sort_of("tree pickle") == ""
    place = "finding KeyError at x.py"
    assert minimising.sort_of("finding KeyError: 'a' at x.py:3 in read") == place


def test_what_is_no_finding_stays_as_it_is(
    folder: Path, seeds: list[stored_seeds.StoredSeed], tmp_path: Path
) -> None:
    """Each attempt is a process; this also shows that one can be made."""
    seed = next(seed for seed in seeds if seed.name == "safetensors plain")
    path = tmp_path / "kept.safetensors"
    minimising.minimise(folder, seed, path, seed.content)
    assert path.read_bytes() == seed.content


BUSY = "while True: pass"
BUSY_IN_C = "pow(10**7_000_000, 3, 10**7_000_001 + 1)"


@pytest.mark.parametrize("code", [BUSY, BUSY_IN_C], ids=["in Python", "in C"])
def test_a_hang_ends_its_process(code: str) -> None:
    """By the processor's time, with a traceback, wherever it hangs."""
    program = (
        "from tests.fuzz import bounds\n"
        "bounds.bound_process()\n"
        f"with bounds.timed(0.3):\n    {code}\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", program],
        cwd=stored_seeds.ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert bounds.ended_by(process.returncode).startswith("hang")
    assert "line 4 in <module>" in process.stderr


def test_a_peak_of_memory_is_a_finding(tmp_path: Path) -> None:
    """In a process of its own: this one has had its peak in other tests."""
    path = tmp_path / "small.pkl"
    path.write_bytes(b"\x80\x02N.")
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from tests.fuzz import bounds, trial\n"
        "path = Path(sys.argv[1])\n"
        "print(trial.outcome_of(path))\n"
        "bounds.MEGABYTES = 1\n"
        "print(trial.outcome_of(path))\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        cwd=stored_seeds.ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    first, second = process.stdout.splitlines()
    assert first == "tree pickle"
    assert second.startswith("finding memory")


def test_an_error_of_ours_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "small.pkl"
    path.write_bytes(b"\x80\x02N.")
    monkeypatch.setattr(trial, "look", lambda path: {}["missing"])
    assert trial.outcome_of(path).startswith("finding KeyError: \"'missing'\" at ")
