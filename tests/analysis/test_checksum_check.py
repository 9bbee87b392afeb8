"""Checksums of archives' entries: whole ones match, and each kind of damage is named."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from pathlib import Path

import pytest
import torch

from inspector_app.analysis.checksum_check import ChecksumReport, checking
from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.model import Checkpoint


def report(path: Path) -> ChecksumReport:
    return drive(open_checkpoint(path))


def drive(checkpoint: Checkpoint) -> ChecksumReport:
    steps = checking(checkpoint)
    done = 0
    size = sum(map(os.path.getsize, filter(os.path.exists, checkpoint.files)))
    while True:
        try:
            progress = next(steps)
        except StopIteration as end:
            return end.value
        if progress.stage == "checksums":
            assert progress.total == size
            assert done <= progress.done
            done = progress.done


def saved(path: Path, **options: bool) -> bytes:
    torch.save({"weight": torch.arange(300.0), "bias": torch.ones(7)}, path, **options)
    return path.read_bytes()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.pth"


def test_what_torch_saves_matches(path: Path) -> None:
    saved(path)
    found = report(path)
    assert found.problems == ()
    with zipfile.ZipFile(path) as archive:
        assert found.checked == len(archive.infolist())
        assert found.read_bytes == sum(entry.file_size for entry in archive.infolist())
    assert found.sentence == f"all {found.checked} checksums match"


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_script_with_deflated_sources_matches(path: Path) -> None:
    torch.jit.script(torch.nn.Linear(2, 2)).save(path)
    found = report(path)
    assert found.problems == ()
    assert found.checked > 5


def test_damaged_bytes_are_named(path: Path) -> None:
    data = bytearray(saved(path))
    with zipfile.ZipFile(io.BytesIO(bytes(data))) as archive:
        name = next(e for e in archive.namelist() if e.endswith("data/0"))
    place = data.find(struct.pack("<3f", 10, 11, 12))
    data[place] ^= 1
    path.write_bytes(data)
    assert [(p.code, p.where) for p in report(path).problems] == [("bad-checksum", name)]


def test_a_descriptor_that_disagrees(path: Path) -> None:
    data = bytearray(saved(path))
    data[data.find(b"PK\x07\x08") + 8] ^= 1
    path.write_bytes(data)
    (problem,) = report(path).problems
    assert problem.code == "header-mismatch"
    assert problem.where.endswith("data.pkl")
    assert "follow the bytes" in problem.message


def test_formats_without_checksums_say_so(path: Path) -> None:
    saved(path, _use_new_zipfile_serialization=False)
    found = report(path)
    assert (found.checked, found.problems) == (0, ())
    assert found.sentence == "the file states no checksums"


def test_a_checksum_of_zero_is_none(path: Path) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        saved(path)
    finally:
        torch.serialization.set_crc32_options(True)
    with zipfile.ZipFile(path) as archive:
        without = sum(entry.CRC == 0 for entry in archive.infolist())
    found = report(path)
    assert found.problems == ()
    assert found.without == without


def zipped(method: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        archive.writestr("m/data.pkl", b"\x80\x02}q\x00.")
        archive.writestr("m/data/0", bytes(3 << 20))
    return stream.getvalue()


def central(data: bytes) -> int:
    return data.rfind(b"PK\x01\x02")


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [(24, 100, "record-size"), (24, 4 << 20, "record-size"), (16, 7, "bad-checksum")],
)
def test_deflated_entries(path: Path, field: int, value: int, code: str) -> None:
    data = bytearray(zipped(zipfile.ZIP_DEFLATED))
    path.write_bytes(data)
    assert report(path).problems == ()
    struct.pack_into("<I", data, central(data) + field, value)
    path.write_bytes(data)
    assert [p.code for p in report(path).problems] == [code]


def test_deflated_entries_with_damaged_ends(path: Path) -> None:
    data = bytearray(zipped(zipfile.ZIP_DEFLATED))
    (packed,) = struct.unpack_from("<I", data, central(data) + 20)
    for change in (-5, -3000):
        struct.pack_into("<I", data, central(data) + 20, packed + change)
        path.write_bytes(data)
        (problem,) = report(path).problems
        assert "its end is missing" in problem.message


def test_other_methods_and_encryption_are_said(path: Path) -> None:
    data = bytearray(zipped(zipfile.ZIP_STORED))
    struct.pack_into("<H", data, central(data) + 10, 12)
    path.write_bytes(data)
    assert [p.code for p in report(path).problems] == ["unsupported-compression"]
    struct.pack_into("<HH", data, central(data) + 8, 1, 0)
    path.write_bytes(data)
    assert [p.code for p in report(path).problems] == ["encrypted-entry"]


def test_entries_over_each_other_are_not_read_without_end(path: Path) -> None:
    data = zipped(zipfile.ZIP_STORED)
    start, end = central(data), data.rfind(b"PK\x05\x06")
    entry = data[start:end]
    copies = [entry.replace(b"m/data/0", b"m/data/%d" % n) for n in range(1, 10)]
    tail = bytearray(data[end:])
    whole = data[data.find(b"PK\x01\x02") : end] + b"".join(copies)
    struct.pack_into("<HHI", tail, 8, 11, 11, len(whole))
    path.write_bytes(data[: data.find(b"PK\x01\x02")] + whole + bytes(tail))
    found = report(path)
    assert found.problems[-1].code == "unchecked"
    assert found.read_bytes < 3 * len(data)


def test_a_file_that_is_gone_is_a_sentence(path: Path) -> None:
    saved(path)
    checkpoint = open_checkpoint(path)
    path.unlink()
    assert [p.code for p in drive(checkpoint).problems] == ["not-found"]


def test_problems_of_shards_name_their_file(tmp_path: Path) -> None:
    data = bytearray(saved(tmp_path / "a.bin"))
    place = data.find(struct.pack("<3f", 10, 11, 12))
    data[place] ^= 1
    (tmp_path / "a.bin").write_bytes(data)
    index = tmp_path / "pytorch_model.bin.index.json"
    index.write_text('{"weight_map": {"weight": "a.bin", "bias": "a.bin"}}')
    (problem,) = report(index).problems
    assert problem.code == "bad-checksum"
    assert problem.where.startswith("a.bin: ")
