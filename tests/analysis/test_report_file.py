"""A report is written whole or not at all, and never over what was compared."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from inspector_app.analysis.comparison import Comparison, Status
from inspector_app.analysis.report_file import writing_report
from tests.analysis.report_samples import checkpoint, comparison, pair


@pytest.fixture
def of() -> Comparison:
    return comparison([pair("w", Status.MISSING)])


def write(path: Path, parts: Iterator[str], of: Comparison) -> None:
    for _ in writing_report(str(path), parts, of):
        pass


def test_it_is_written(tmp_path: Path, of: Comparison) -> None:
    target = tmp_path / "report.html"
    target.write_text("before")
    write(target, iter(("one ", "→ \udc80\n")), of)
    assert target.read_bytes() == "one → \\udc80\n".encode()
    assert os.listdir(tmp_path) == ["report.html"]


def test_what_fails_leaves_what_was_there(tmp_path: Path, of: Comparison) -> None:
    target = tmp_path / "report.html"
    target.write_text("before")

    def broken() -> Iterator[str]:
        yield "one"
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        write(target, broken(), of)
    steps = writing_report(str(target), iter(("one", "two")), of)
    next(steps)
    steps.close()
    assert target.read_text() == "before"
    assert os.listdir(tmp_path) == ["report.html"]
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        write(tmp_path / "folder", iter(("one",)), of)
    assert sorted(os.listdir(tmp_path)) == ["folder", "report.html"]


def test_nothing_that_is_compared_is_written_over(tmp_path: Path) -> None:
    source, shard, link = (tmp_path / name for name in ("a.pth", "shard.pth", "link.html"))
    source.write_text("weights")
    shard.write_text("weights")
    link.symlink_to(source)
    of = comparison([], path=str(source))
    of.b = checkpoint(str(tmp_path / "b.pth"), ())
    of.b.files = [str(shard)]
    for path in (source, shard, link):
        with pytest.raises(OSError, match="one of the files that are compared"):
            write(path, iter(("report",)), of)
        assert path.read_text() == "weights"
