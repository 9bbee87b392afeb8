"""Hostile files are compared as they are read: nothing is run, no crash, one clear sentence."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.cli import run
from tests.checkpoint.hostile_pickles import files


@contextmanager
def streams() -> Iterator[tuple[io.StringIO, io.StringIO]]:
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        yield out, err


def compare(a: Path, b: Path, *options: str) -> int:
    with streams() as (out, err):
        status = run(["diff", str(a), str(b), *options])
    said = err.getvalue()
    assert "this is a fault" not in said, (a, b, said)
    assert "Traceback" not in said
    assert len(said.splitlines()) == (status == 2)
    if "--json" in options and out.getvalue():
        json.loads(out.getvalue())
    return status


def test_hostile_files(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    honest = tmp_path / "honest.pth"
    torch.save({"model": {"fc.weight": torch.ones(3)}, "epoch": 3}, honest)
    folder = tmp_path / "hostile"
    folder.mkdir()
    seen = set()
    for name, content in files(str(marker)):
        deep = " deep " in name
        if deep and not name.startswith("raw"):
            continue  # the same trees in another container, and slow to read
        path = folder / name
        path.write_bytes(content)
        seen.add(compare(path, path, "--json"))
        if not deep:
            seen.add(compare(honest, path))
            seen.add(compare(path, honest, "--values", "--json"))
        path.unlink()
    assert seen == {0, 1, 2}
    assert not marker.exists()


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("original") / "x.pth"
    state = {"fc.weight": torch.arange(12.0).reshape(3, 4), "fc.bias": torch.ones(3)}
    torch.save({"model": state, "epoch": 3, "names": ["a", "b"]}, path)
    return path.read_bytes()


@given(changes=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=6))
def test_mutated_files(original: bytes, tmp_path: Path, changes: list[tuple[float, int]]) -> None:
    """Checksums never decide what the bytes do not: the directory may lie, and says so."""
    data = bytearray(original)
    for place, value in changes:
        data[int(place * len(data))] = value
    (tmp_path / "a.pth").write_bytes(original)
    (tmp_path / "b.pth").write_bytes(data)
    compare(tmp_path / "a.pth", tmp_path / "b.pth", "--json")
    compare(tmp_path / "b.pth", tmp_path / "a.pth", "--values")
    with streams() as (_, err):
        assert run(["show", "--textconv", str(tmp_path / "b.pth")]) in (0, 2)
    assert "fault" not in err.getvalue()
