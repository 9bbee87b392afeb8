"""Every pickle that a report names is listed whole: of zips, legacy files, tars and archives."""

from __future__ import annotations

import io
import pickletools
from pathlib import Path

import pytest
import torch

from inspector_app.analysis.safety import examine, tracing
from inspector_app.analysis.safety_report import PickleStream, SafetyReport
from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.disassembly import Disassembly
from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.record_source import MemorySource
from tests.saving.written import run_steps

CORPUS = (Path(__file__).resolve().parents[2] / "../shared/corpus").resolve()
MOST_BYTES = 400_000


def report_of(path: Path) -> SafetyReport:
    return run_steps(examine(open_checkpoint(path)))  # type: ignore[no-any-return]


def check(stream: PickleStream) -> int:
    with ByteSource(stream.file) as file:
        source = file if stream.data is None else MemorySource(file, stream.data)
        rows = Disassembly(source, stream.start, stream.end)
        for _ in rows.indexing():
            pass
        data = source.read(stream.start, stream.end - stream.start)
        assert rows.stopped is stream.finished
        assert rows.end == stream.end
        if len(data) > MOST_BYTES:
            return rows.count
        wanted = [(op.name, at) for op, _, at in pickletools.genops(io.BytesIO(data))]
        found = [rows.row(number) for number in range(rows.count)]
        assert [(row.name, row.offset - stream.start) for row in found] == wanted
    places = run_steps(tracing(stream))
    if places is not None:
        for row in found[:: max(len(found) // 50, 1)]:
            path = places.path_at(row.offset)
            span = places.span_of(path)
            # Of what has no place of its own the nearest above it has.
            assert span is None or span[0] <= row.offset <= span[1] or path == stream.path
    return rows.count


@pytest.mark.parametrize("zipped", [True, False])
def test_what_torch_writes(zipped: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    value = {"model": torch.nn.Linear(2, 2).state_dict(), "epoch": 3, "x": ["a" * 300, b"b" * 300]}
    torch.save(value, path, _use_new_zipfile_serialization=zipped)
    report = report_of(path)
    assert len(report.pickles) == (1 if zipped else 5)
    assert all(map(check, report.pickles))


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of other people's files is absent")
def test_files_of_other_people() -> None:
    seen = 0
    for path in sorted(CORPUS.rglob("*")):
        if not path.is_file() or path.stat().st_size > 30 << 20:
            continue
        try:
            report = report_of(path)
        except CheckpointError:
            continue
        for stream in report.pickles:
            seen += bool(check(stream))
    assert seen > 20
