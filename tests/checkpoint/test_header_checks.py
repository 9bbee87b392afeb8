"""Comparing local headers later gives what comparing them at once would have given."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
import torch

from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.header_checks import checking
from inspector_app.checkpoint.limits import DEFAULT
from inspector_app.checkpoint.model import Checkpoint

LATER = DEFAULT._replace(checked_headers=0)


def run(work):
    steps = 0
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value, steps
        steps += 1


def found(checkpoint: Checkpoint) -> list[tuple[str, str, str]]:
    return sorted((p.code, p.where, str(p.details)) for p in checkpoint.problems)


def places(checkpoint: Checkpoint) -> dict[tuple[str, str], int]:
    return {
        key: storage.record.offset
        for key, storage in checkpoint.storages.items()
        if storage.record is not None
    }


def saved(path: Path, names: str = "abc") -> Path:
    torch.save({name: torch.arange(8.0) + ord(name) for name in names}, path)
    return path


def spoil(path: Path, entry: bytes, field: int, value: bytes) -> None:
    """Change a field of an entry's local header, not of the directory."""
    data = bytearray(path.read_bytes())
    at = data.index(entry)  # Local headers stand before the directory.
    start = at - 30
    assert data[start : start + 4] == b"PK\x03\x04"
    data[start + field : start + field + len(value)] = value
    path.write_bytes(data)


def both_ways(path: Path) -> tuple[Checkpoint, Checkpoint]:
    at_once, later = open_checkpoint(path), open_checkpoint(path, LATER)
    assert not [p for p in later.problems if p.code == "header-mismatch"]
    run(checking(later))
    return at_once, later


@pytest.mark.parametrize("entry", [b"model/data/1", b"model/.data/serialization_id"])
def test_a_header_that_disagrees_is_found_later_as_well(tmp_path, entry):
    path = saved(tmp_path / "model.pth")
    spoil(path, entry, 6, struct.pack("<H", 0x40))
    at_once, later = both_ways(path)
    assert [p.where for p in at_once.problems] == [entry.decode()]
    assert found(later) == found(at_once)
    assert places(later) == places(at_once)


def test_an_entry_that_is_not_there(tmp_path):
    path = saved(tmp_path / "model.pth")
    spoil(path, b"model/data/1", 0, b"PKxx")
    at_once, later = both_ways(path)
    assert "header-mismatch" in {p.code for p in at_once.problems}
    assert found(later) == found(at_once)
    assert places(later) == places(at_once)


def test_nothing_to_find_leaves_no_problem_and_finds_the_places(tmp_path):
    path = saved(tmp_path / "model.pth")
    later = open_checkpoint(path, LATER)
    assert set(places(later).values()) == {-1}
    problems, steps = run(checking(later))
    assert problems == []
    assert later.problems == []
    assert steps
    assert places(later) == places(open_checkpoint(path))
    assert min(places(later).values()) > 0


def test_a_second_time_finds_nothing_new(tmp_path):
    path = saved(tmp_path / "model.pth")
    spoil(path, b"model/data/1", 6, struct.pack("<H", 0x40))
    later = open_checkpoint(path, LATER)
    assert len(run(checking(later))[0]) == 1
    assert run(checking(later))[0] == []


def test_shards_are_checked_each_by_its_name(tmp_path):
    for number, names in enumerate(("ab", "cd")):
        saved(tmp_path / f"part-{number}.bin", names)
    weight_map = {"a": "part-0.bin", "b": "part-0.bin", "c": "part-1.bin", "d": "part-1.bin"}
    index = tmp_path / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    spoil(tmp_path / "part-1.bin", b"part-1/data/1", 6, struct.pack("<H", 0x40))
    at_once, later = both_ways(index)
    assert [p.where for p in at_once.problems] == ["part-1.bin: part-1/data/1"]
    assert found(later) == found(at_once)
    assert places(later) == places(at_once)


def test_a_larger_archive_is_left_to_reading(tmp_path):
    path = saved(tmp_path / "model.pth")
    spoil(path, b"model/data/1", 6, struct.pack("<H", 0x40))
    few = DEFAULT._replace(checked_headers=2)
    later = open_checkpoint(path, LATER)
    # Not even its directory is read again: of a million entries that takes seconds.
    assert run(checking(later, few)) == ([], 0)
    assert found(later) == found(open_checkpoint(path, few))


def test_a_file_that_went_away_has_no_problems_here(tmp_path):
    path = saved(tmp_path / "model.pth")
    later = open_checkpoint(path, LATER)
    path.unlink()
    assert run(checking(later))[0] == []
