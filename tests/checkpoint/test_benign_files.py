"""No false alarm: what torch and its kin write has no anomaly, neither of container nor tensors.

Everything is checked that there is to check: structure, every local header, every checksum,
the indices of sparse and the scales of quantized tensors.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import subprocess
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import safetensors.torch
import torch
import torch_files

from inspector_app.analysis import checksum_check, tensor_checks
from inspector_app.checkpoint import open_checkpoint, zip_directory
from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.errors import UnrecognisedFormat
from inspector_app.checkpoint.limits import DEFAULT

ALL_HEADERS = DEFAULT._replace(checked_headers=DEFAULT.directory_entries)
Write = Callable[[Path], object]


def anomalies(path: Path) -> list[tuple[str, str]]:
    checkpoint = open_checkpoint(path, ALL_HEADERS)
    steps = checksum_check.checking(checkpoint), tensor_checks.checking(checkpoint)
    found = [*checkpoint.problems, *drained(steps[0]).problems, *drained(steps[1])]
    return [(problem.code, problem.where) for problem in found]


def drained(steps: Iterator[object]) -> Any:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


@pytest.mark.parametrize("name", torch_files.CASES)
@pytest.mark.parametrize("form", [(False, 2), (False, 5), (True, 2), (True, 4)], ids=str)
def test_objects_of_every_kind(name: str, form: tuple[bool, int], tmp_path: Path) -> None:
    legacy, protocol = form
    with torch_files.prototypes():
        value = torch_files.CASES[name]()
    try:
        path = torch_files.write(value, tmp_path / "x.pth", legacy=legacy, protocol=protocol)
    except (RuntimeError, NotImplementedError, TypeError, AttributeError) as error:
        pytest.skip(f"torch does not save it so: {type(error).__name__}")
    assert anomalies(path) == []


def aligned(path: Path) -> None:
    from torch.utils.serialization import config

    before = config.save.storage_alignment
    config.save.storage_alignment = 4096
    try:
        torch.save({"a": torch.ones(3), "b": torch.ones(5)}, path)
    finally:
        config.save.storage_alignment = before


def without_checksums(path: Path) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"a": torch.ones(3)}, path)
    finally:
        torch.serialization.set_crc32_options(True)


def lightning(path: Path) -> None:
    """As ``Trainer.save_checkpoint`` lays it out."""
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    value = {
        "epoch": 1,
        "global_step": 10,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": model.state_dict(),
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 1}}}},
        "callbacks": {"ModelCheckpoint{'monitor': None}": {"best_model_score": torch.tensor(0.5)}},
        "optimizer_states": [optimizer.state_dict()],
        "lr_schedulers": [{"base_lrs": [0.001], "last_epoch": 1}],
        "hparams_name": "kwargs",
        "hyper_parameters": {"lr": 0.001, "name": "ünï", "seed": np.float64(0.5)},
    }
    torch.save(value, path)


def scripted(path: Path) -> None:
    module = torch.jit.script(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU()))
    torch.jit.save(module, path, _extra_files={"config.json": "{}", "labels/é.txt": "a"})


def mobile(path: Path) -> None:
    torch.jit.script(torch.nn.Linear(2, 2))._save_for_lite_interpreter(str(path))


def frozen(path: Path) -> None:
    torch.jit.freeze(torch.jit.script(torch.nn.Linear(2, 2).eval())).save(str(path))


def exported(path: Path) -> None:
    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(2, 2)
            self.register_buffer("steps", torch.zeros(3), persistent=False)
            self.offset = torch.ones(2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x) + self.steps.sum() + self.offset

    program = torch.export.export(Model(), (torch.ones(1, 2),))
    torch.export.save(program, path, extra_files={"notes.txt": "text"})


def with_metadata(path: Path) -> None:
    tensors = {"b": torch.ones(3, 2), "a": torch.zeros(0), "c": torch.ones(1, dtype=torch.bfloat16)}
    safetensors.torch.save_file(tensors, path, {"format": "pt", "author": "ünï\n"})


def external(path: Path) -> None:
    weight = onnx.numpy_helper.from_array(np.arange(2000, dtype=np.float32), "w")
    value = onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node("Add", ["x", "w"], ["y"])
    graph = onnx.helper.make_graph(
        [node], "g", [value("x", 1, [2000])], [value("y", 1, [2000])], [weight]
    )
    options = {"save_as_external_data": True, "location": "w.bin", "size_threshold": 0}
    onnx.save(onnx.helper.make_model(graph), path, **options)


def traced_onnx(path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU())
    torch.onnx.export(model, (torch.ones(1, 2),), path, dynamo=False)


WRITERS: list[Write] = [
    aligned,
    without_checksums,
    lightning,
    scripted,
    mobile,
    frozen,
    exported,
    with_metadata,
    external,
    traced_onnx,
]


@pytest.mark.parametrize("writer", WRITERS)
def test_what_others_write(writer: Write, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        writer(tmp_path / "file.pt")
    assert anomalies(tmp_path / "file.pt") == []


def test_more_entries_than_16_bits_count(tmp_path: Path) -> None:
    """The number of entries is in the ZIP64 end record alone."""
    path = tmp_path / "many.pt"
    writer = torch._C.PyTorchFileWriter(str(path))
    for number in range(66_000):
        writer.write_record(f"data/{number}", b"x", 1)
    writer.write_end_of_file()
    with ByteSource(path) as source:
        directory = drained(zip_directory.reading(source, ALL_HEADERS))
    assert len(directory.order) > 66_000
    assert directory.problems == []


def test_entries_of_more_than_4_gib(tmp_path: Path) -> None:
    """Sizes and places in ZIP64 fields, as miniz writes them; the file is a hole mostly."""
    size = 5 << 30
    small = io.BytesIO()
    torch.save({"w": torch.zeros(1, dtype=torch.uint8), "b": torch.ones(2)}, small)
    with zipfile.ZipFile(small) as archive:
        entries = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    shape = b"K\x00K\x01\x85q"
    assert entries["data.pkl"].count(shape) == 1
    big = b"K\x00\x8a\x05" + size.to_bytes(5, "little") + b"\x85q"
    pickle = entries["data.pkl"].replace(shape, big)
    numel = b"X\x03\x00\x00\x00cpuq\x06K\x01tq\x07Q"
    assert pickle.count(numel) == 1
    wide = numel.replace(b"K\x01", b"\x8a\x05" + size.to_bytes(5, "little"))
    entries["data.pkl"] = pickle.replace(numel, wide)
    path = tmp_path / "big.pth"
    with path.open("wb") as file:
        directory = b""
        for name, data in entries.items():
            place, length = file.tell(), size if name == "data/0" else len(data)
            crc = 0 if name == "data/0" else zipfile.crc32(data)
            full = b"big/" + name.encode()
            file.write(b"PK\3\4" + struct.pack("<HHH4xIIIHH", 0, 0x808, 0, 0, 0, 0, len(full), 0))
            file.write(full)
            if name == "data/0":
                file.seek(length, os.SEEK_CUR)
            else:
                file.write(data)
            file.write(b"PK\7\x08" + struct.pack("<IQQ", crc, length, length))
            wide = [value for value in (length, length, place) if value >= 0xFFFFFFFF]
            extra = struct.pack(f"<HH{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b""
            numbers = [min(value, 0xFFFFFFFF) for value in (length, length, place)]
            head = struct.pack("<HHH4xIIIHH", 0, 0x808, 0, crc, *numbers[:2], len(full), len(extra))
            directory += b"PK\1\2\0\0" + head + bytes(10) + struct.pack("<I", numbers[2])
            directory += full + extra
        place = file.tell()
        file.write(directory)
        count = len(entries)
        numbers64 = (44, 0, 0, 0, 0, count, count, len(directory), place)
        file.write(b"PK\6\6" + struct.pack("<QHHIIQQQQ", *numbers64))
        file.write(b"PK\6\7" + struct.pack("<IQI", 0, place + len(directory), 1))
        file.write(
            b"PK\5\6" + struct.pack("<4HIIH", 0, 0, count, count, len(directory), 0xFFFFFFFF, 0)
        )
    checkpoint = open_checkpoint(path, ALL_HEADERS)
    assert checkpoint.problems == []
    assert [tensor.nbytes for tensor in checkpoint.tensors] == [size, 8]
    loaded = torch.load(path, mmap=True, weights_only=True)
    assert loaded["w"].shape == (size,)


def rezipped(path: Path, *options: str) -> Path:
    """The checkpoint unpacked, and packed again with Info-ZIP."""
    if shutil.which("zip") is None:
        pytest.skip("there is no zip")
    folder = path.parent / "unpacked"
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
        (root, *_) = {name.partition("/")[0] for name in archive.namelist()}
    target = path.with_name("again.pth")
    subprocess.run(["zip", "-q", "-r", *options, target, root], cwd=folder, check=True, timeout=60)
    return target


def test_a_checkpoint_that_was_packed_again(tmp_path: Path) -> None:
    """Stored, torch reads it as before. Compressed it differs: ``mmap=True`` would map the
    compressed bytes, so it is said of each entry.
    """
    path = tmp_path / "x.pth"
    torch.save({"a": torch.ones(1000), "b": 1}, path)
    stored = rezipped(path, "-0")
    assert torch.load(stored, weights_only=True)["b"] == 1
    assert anomalies(stored) == []
    stored.unlink()
    assert {code for code, _ in anomalies(rezipped(path))} == {"compressed-entry"}


def test_a_package_is_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    with torch.package.PackageExporter(path) as exporter:
        exporter.save_source_string("somewhere", "x = 1\n")
    with pytest.raises(UnrecognisedFormat, match=r"an archive of torch\.package"):
        open_checkpoint(path)


def test_folders_of_shards(tmp_path: Path) -> None:
    safetensors.torch.save_file({"a": torch.ones(2)}, tmp_path / "one.safetensors")
    torch.save({"b": torch.ones(2)}, tmp_path / "two.bin")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "one.safetensors"}, "metadata": {}}))
    assert anomalies(index) == []
    other = tmp_path / "pytorch_model.bin.index.json"
    other.write_text(json.dumps({"weight_map": {"b": "two.bin"}}))
    assert anomalies(other) == []


CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus"
# A script wrote it, with pickles that torch refuses, too.
BROKEN = "tar_float32.tar"


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of others' checkpoints is not here")
def test_files_of_others() -> None:
    found: dict[str, list[tuple[str, str]]] = {}
    read = 0
    for path in sorted(CORPUS.rglob("*")):
        if not path.is_file():
            continue
        try:
            problems = anomalies(path)
        except UnrecognisedFormat:
            assert path.name in ("README.md", "adam1.dat")
            continue
        read += 1
        if problems:
            found[path.name] = problems
    assert read > 20
    assert list(found) == [BROKEN]


def test_our_own_samples() -> None:
    samples = sorted((Path(__file__).resolve().parents[2] / "resources").rglob("*.pt*"))
    assert samples
    assert {path.name: anomalies(path) for path in samples} == {p.name: [] for p in samples}
