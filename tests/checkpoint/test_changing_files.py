"""Files that are replaced, cut or written while they are open, and drives that are gone.

Every time one sentence, and never values of another file than the one that was opened.
"""

from __future__ import annotations

import errno
import json
import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from inspector_app.analysis.checksum_check import checking
from inspector_app.checkpoint import open_checkpoint, reading
from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.errors import UnreadableFile
from inspector_app.checkpoint.model import Checkpoint
from inspector_app.checkpoint.values import open_values


def safetensors(path: Path, value: float) -> None:
    header = json.dumps({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + struct.pack("<4f", *[value] * 4))


def sharded(folder: Path, value: float) -> Path:
    safetensors(folder / "one.safetensors", value)
    index = folder / "model.safetensors.index.json"
    if not index.exists():
        index.write_text(json.dumps({"weight_map": {"a": "one.safetensors"}}))
    return index


def external(folder: Path, value: float) -> Path:
    (folder / "w.bin").write_bytes(struct.pack("<4f", *[value] * 4))
    path = folder / "m.onnx"
    if not path.exists():
        tensor = onnx.numpy_helper.from_array(np.zeros(4, np.float32), "a")
        onnx.external_data_helper.set_external_data(tensor, "w.bin", 0, 16)
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        graph = onnx.helper.make_graph([], "g", [], [], [tensor])
        path.write_bytes(onnx.helper.make_model(graph).SerializeToString())
    return path


def single(folder: Path, value: float) -> Path:
    path = folder / "x.safetensors"
    safetensors(path, value)
    return path


def legacy(folder: Path, value: float) -> Path:
    path = folder / "x.pth"
    torch.save({"a": torch.full((4,), value)}, path, _use_new_zipfile_serialization=False)
    return path


def zipped(folder: Path, value: float) -> Path:
    path = folder / "x.pth"
    torch.save({"a": torch.full((4,), value)}, path)
    return path


MADE = [single, sharded, external, legacy, zipped]


def values(checkpoint: Checkpoint) -> list[float]:
    with open_values(checkpoint) as reader:
        return reader.read(checkpoint.tensors[0]).tolist()


@pytest.mark.parametrize("make", MADE)
def test_values_of_a_replaced_part_are_refused(
    make: Callable[[Path, float], Path], tmp_path: Path
) -> None:
    checkpoint = open_checkpoint(make(tmp_path, 1.0))
    assert values(checkpoint) == [1.0] * 4
    held = checkpoint.tensors[0].storage
    assert held is not None
    before = os.stat(held.file or checkpoint.path)
    make(tmp_path, 2.0)
    # Same length: only the time tells.
    part = held.file or checkpoint.path
    os.utime(part, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert os.stat(part).st_size == before.st_size
    with pytest.raises(UnreadableFile) as caught:
        values(checkpoint)
    assert caught.value.code == "file-changed"
    assert values(open_checkpoint(checkpoint.path)) == [2.0] * 4


def test_a_file_of_another_length_and_the_same_time_is_refused(tmp_path: Path) -> None:
    path = single(tmp_path, 1.0)
    checkpoint = open_checkpoint(path)
    before = path.stat()
    path.write_bytes(path.read_bytes() + b"more")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(UnreadableFile) as caught:
        values(checkpoint)
    assert caught.value.code == "file-changed"


def test_what_was_opened_before_it_was_replaced_stays_what_it_was(tmp_path: Path) -> None:
    path = single(tmp_path, 1.0)
    checkpoint = open_checkpoint(path)
    with open_values(checkpoint) as reader:
        assert reader.read(checkpoint.tensors[0]).tolist() == [1.0] * 4
        safetensors(tmp_path / "new", 2.0)
        os.replace(tmp_path / "new", path)
        # The old file is still there for those who have it open.
        assert reader.read(checkpoint.tensors[0]).tolist() == [1.0] * 4


def test_a_file_that_is_written_while_its_structure_is_read(tmp_path: Path) -> None:
    path = zipped(tmp_path, 1.0)
    steps = reading(path)
    next(steps)
    with path.open("ab") as file:
        file.write(b"more")
    while True:
        try:
            next(steps)
        except StopIteration as end:
            checkpoint: Checkpoint = end.value
            break
    assert checkpoint.problems[0].code == "file-changed"


def test_a_file_that_shrinks_while_its_structure_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    torch.save({str(number): torch.ones(2) for number in range(300)}, path)
    size = path.stat().st_size
    for part in (0.1, 0.5, 0.99):
        steps = reading(path)
        next(steps)
        os.truncate(path, int(part * size))
        with pytest.raises(StopIteration) as ended:
            _drain(steps)
        assert ended.value.value.problems[0].code == "file-changed"
        torch.save({str(number): torch.ones(2) for number in range(300)}, path)


def _drain(steps: object) -> None:
    while True:
        next(steps)  # type: ignore[call-overload]


GONE = [errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.ENODEV]


@pytest.mark.parametrize("number", GONE)
@pytest.mark.parametrize("call", ["preadv", "pread", "fstat"])
def test_a_drive_that_is_gone(
    call: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mount answers with an error from some moment on, as NFS and unplugged disks do."""
    path = zipped(tmp_path, 1.0)
    checkpoint = open_checkpoint(path)

    def gone(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    with open_values(checkpoint) as reader:
        values(checkpoint)
        monkeypatch.setattr(os, call, gone)
        if call == "pread":
            with pytest.raises(UnreadableFile) as caught:
                open_checkpoint(path)
        else:
            with pytest.raises(UnreadableFile) as caught:
                reader.read(checkpoint.tensors[0])
    assert caught.value.code == "os-error"
    assert os.strerror(number) in caught.value.message
    monkeypatch.undo()
    assert values(checkpoint) == [1.0] * 4


@pytest.mark.parametrize("number", GONE)
def test_a_drive_that_is_gone_when_it_is_opened(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zipped(tmp_path, 1.0)
    checkpoint = open_checkpoint(path)
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0

    def gone(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fstat", gone)
    with pytest.raises(UnreadableFile, match=os.strerror(number)):
        ByteSource(path)
    steps = checking(checkpoint)
    with pytest.raises(StopIteration) as ended:
        _drain(steps)
    assert [problem.code for problem in ended.value.value.problems] == ["os-error"]
    monkeypatch.undo()
    if before:
        assert len(os.listdir("/proc/self/fd")) == before


def test_a_system_without_preadv_reads_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows has neither preadv nor pread."""
    monkeypatch.delattr(os, "preadv")
    checkpoint = open_checkpoint(zipped(tmp_path, 1.0))
    assert values(checkpoint) == [1.0] * 4
