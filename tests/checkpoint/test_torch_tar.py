"""The legacy tar format, held against torch's own reader of it."""

from __future__ import annotations

import io
import pickle
import struct
import tarfile
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.errors import BrokenFile, CheckpointError
from inspector_app.checkpoint.model import Checkpoint, TensorInfo
from inspector_app.checkpoint.tar_members import members


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns that the format is deprecated
        yield


def dumped(value: object) -> bytes:
    return pickle.dumps(value, protocol=2)


class _Saver(pickle._Pickler):
    """Writes tensors as persistent ids, as the first ``torch.save`` did."""

    keys: dict[int, str]

    def persistent_id(self, obj: object) -> str | None:
        return self.keys.get(id(obj))


_STORAGES = {
    torch.float32: "FloatStorage",
    torch.float64: "DoubleStorage",
    torch.int64: "LongStorage",
    torch.uint8: "ByteStorage",
}


def tar_bytes(value: object, tensors: dict[str, torch.Tensor]) -> bytes:
    """The file that ``torch.save`` wrote before 0.1.10, for `value` made of `tensors`."""
    storages = io.BytesIO()
    roots = {tensor.untyped_storage()._cdata: tensor for tensor in tensors.values()}
    storages.write(dumped(len(roots)))
    for key, tensor in roots.items():
        kind = getattr(torch, _STORAGES[tensor.dtype])
        data = torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage()).numpy().tobytes()
        storages.write(dumped((key, "cpu", kind)))
        storages.write(struct.pack("<q", len(data) // tensor.element_size()) + data)
    storages.write(dumped([]))

    described = io.BytesIO(dumped(len(tensors)))
    described.seek(0, 2)
    for key, tensor in tensors.items():
        described.write(dumped((int(key), tensor.untyped_storage()._cdata, torch.FloatTensor)))
        described.write(struct.pack("<i4x", tensor.dim()))
        described.write(struct.pack(f"<{tensor.dim()}q", *tensor.shape))
        described.write(struct.pack(f"<{tensor.dim()}q", *tensor.stride()))
        described.write(struct.pack("<q", tensor.storage_offset()))

    body = io.BytesIO()
    saver = _Saver(body, protocol=2)
    saver.keys = {id(tensor): key for key, tensor in tensors.items()}
    saver.dump(value)
    return packed(
        {
            "sys_info": dumped({"protocol_version": 1000, "little_endian": True}),
            "pickle": body.getvalue(),
            "storages": storages.getvalue(),
            "tensors": described.getvalue(),
        }
    )


def packed(entries: dict[str, bytes], mtime: float = 1.5) -> bytes:
    """A tar as Python writes it; a fractional time makes it write extended headers."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:", format=tarfile.PAX_FORMAT) as tar:
        for name, data in entries.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.mtime = mtime
            tar.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def opened(tmp_path: Path, data: bytes) -> Checkpoint:
    path = tmp_path / "old.pth"
    path.write_bytes(data)
    return open_checkpoint(path)


def example() -> tuple[object, dict[str, torch.Tensor]]:
    base = torch.arange(24.0).reshape(4, 6)
    tensors = {
        "1": base,
        "2": base.t()[1:3],
        "3": torch.arange(5),
        "4": torch.tensor(2.5, dtype=torch.float64),
        "5": torch.zeros(0, 3),
        "6": torch.arange(7, dtype=torch.uint8)[2:],
    }
    value = {"epoch": 3, "state": OrderedDict(zip("abcdef", tensors.values(), strict=True))}
    return value, tensors


def test_agrees_with_torch(tmp_path: Path) -> None:
    value, tensors = example()
    data = tar_bytes(value, tensors)
    checkpoint = opened(tmp_path, data)
    assert checkpoint.format == "torch-tar"
    assert checkpoint.problems == []
    # torch wants a file here, not a stream.
    loaded = torch.load(checkpoint.path, weights_only=False)["state"]
    found = {tensor.path[1]: tensor for tensor in checkpoint.tensors}
    assert list(found) == list(loaded)
    for key, expected in loaded.items():
        info = found[key]
        assert info.dtype == str(expected.dtype).removeprefix("torch.")
        assert (info.shape, info.stride) == (tuple(expected.shape), expected.stride())
        assert info.storage_offset == expected.storage_offset()
        assert torch.equal(values(data, info), expected)
    assert found["a"].storage is found["b"].storage
    assert checkpoint.find(["epoch"]).value == 3


def values(data: bytes, info: TensorInfo) -> torch.Tensor:
    dtype = getattr(torch, info.dtype)
    if info.storage.nbytes == 0:
        return torch.zeros(info.shape, dtype=dtype)
    record = info.storage.record
    raw = bytearray(data[record.offset : record.offset + record.nbytes])
    flat = torch.frombuffer(raw, dtype=dtype)
    return torch.as_strided(flat, info.shape, info.stride, info.storage_offset)


def test_views_of_storages(tmp_path: Path) -> None:
    storages = (
        dumped(1)
        + dumped((10, "cpu", torch.FloatStorage))
        + struct.pack("<q4f", 4, 1, 2, 3, 4)
        + dumped([(11, 10, 1, 2), (12, 10, 3, 9), (13, 99, 0, 1)])
    )
    tensors = dumped(1) + dumped((5, 11, torch.FloatTensor)) + struct.pack("<i4x3q", 1, 2, 1, 0)
    body = b"\x80\x02}X\x01\0\0\0wX\x01\0\0\x005Qs."
    data = packed({"pickle": body, "storages": storages, "tensors": tensors})
    checkpoint = opened(tmp_path, data)
    (tensor,) = checkpoint.tensors
    assert values(data, tensor).tolist() == [2.0, 3.0]
    assert [problem.code for problem in checkpoint.problems] == ["view-bounds", "broken-record"]


def test_a_script_may_write_storages_where_ids_should_stand(corpus: Path) -> None:
    path = corpus / "tracel-ai__burn/tar_float32.tar"
    checkpoint = open_checkpoint(path)
    (tensor,) = checkpoint.tensors
    assert tensor.path == ("tensor",)
    assert values(path.read_bytes(), tensor).tolist() == pytest.approx([1.0, 2.5, -3.7, 0.0])
    assert ("missing-record", {"record": "tensors"}) in [
        (problem.code, problem.details) for problem in checkpoint.problems
    ]
    with pytest.raises(EOFError):
        torch.load(path, weights_only=False)


def test_no_tensor_is_read(tmp_path: Path) -> None:
    big = torch.zeros(1 << 18)
    data = tar_bytes([big], {"1": big})
    path = tmp_path / "big.tar"
    path.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        counts = []
        read = ByteSource.read
        patch.setattr(
            ByteSource,
            "read",
            lambda self, at, count: counts.append(count) or read(self, at, count),
        )
        open_checkpoint(path)
    assert sum(counts) < 100_000 < len(data)


def test_every_truncation_is_said(tmp_path: Path) -> None:
    data = tar_bytes(*example())
    end = data.rstrip(b"\0")
    for length in range(1, len(end), 37):
        try:
            messages = [problem.message for problem in opened(tmp_path, data[:length]).problems]
        except CheckpointError as error:
            messages = [error.message]
        assert messages
        assert all(messages)


@given(place=st.integers(0, 8000), value=st.integers(0, 255))
def test_damaged_bytes_never_surprise(tmp_path: Path, place: int, value: int) -> None:
    data = bytearray(tar_bytes(*example()))
    data[place % len(data)] = value
    try:
        messages = [problem.message for problem in opened(tmp_path, bytes(data)).problems]
    except CheckpointError as error:
        messages = [error.message]
    assert all(messages)


def test_links_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(dumped(["secret"]))
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:") as tar:
        for name in ("storages", "tensors"):
            info = tarfile.TarInfo(name)
            info.size = 4
            tar.addfile(info, io.BytesIO(b"\x80\x02K\0"))
        link = tarfile.TarInfo("pickle")
        link.type = tarfile.SYMTYPE
        link.linkname = str(secret)
        tar.addfile(link)
    with pytest.raises(BrokenFile, match="no pickle"):
        opened(tmp_path, stream.getvalue())


def test_huge_numbers(tmp_path: Path) -> None:
    storages = dumped(1) + dumped((1, "cpu", torch.FloatStorage)) + struct.pack("<q", 1 << 62)
    tensors = dumped(1 << 40) + dumped((2, 1, None)) + struct.pack("<i4x", 1 << 30)
    data = packed({"pickle": dumped([1]), "storages": storages, "tensors": tensors})
    checkpoint = opened(tmp_path, data)
    assert [problem.code for problem in checkpoint.problems] == ["broken-record"] * 2
    assert checkpoint.root.children[0].value == 1


def test_duplicate_members(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:") as tar:
        for name, data in (("pickle", dumped(["a"])), ("pickle", dumped(["b"]))):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    checkpoint = opened(tmp_path, stream.getvalue())
    assert checkpoint.root.children[0].value == "b"
    assert "duplicate-entry" in [problem.code for problem in checkpoint.problems]


def test_nothing_is_run(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    body = b"cos\nsystem\n(S'touch " + str(marker).encode() + b"'\ntR."
    data = packed({"pickle": body, "storages": dumped(0) + dumped([]), "tensors": dumped(0)})
    checkpoint = opened(tmp_path, data)
    assert not marker.exists()
    assert [(each.name, each.use, each.allowed) for each in checkpoint.globals] == [
        ("os.system", ("call",), False)
    ]


@given(
    names=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1)),
    form=st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
)
def test_members_agree_with_tarfile(tmp_path: Path, names: list[str], form: int) -> None:
    path = tmp_path / "some.tar"
    with tarfile.open(path, mode="w:", format=form) as tar:
        for number, name in enumerate(names):
            info = tarfile.TarInfo(name)
            info.size = number * 300
            info.mtime = number + 0.5 if form == tarfile.PAX_FORMAT else 0
            tar.addfile(info, io.BytesIO(bytes(info.size)))
    with tarfile.open(path) as tar:
        expected = [(each.name, each.offset_data, each.size) for each in tar if each.isreg()]
    found = [(each.name, each.offset, each.nbytes) for each in members(ByteSource(path))]
    assert found == expected


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (tarfile.SYMTYPE, "is a symbolic link, which torch would follow"),
        (tarfile.LNKTYPE, "is a link to another, which torch would follow"),
        (tarfile.CHRTYPE, "is a device"),
        (tarfile.FIFOTYPE, "is a pipe"),
    ],
)
def test_members_that_are_no_files(tmp_path: Path, kind: bytes, words: str) -> None:
    value, tensors = example()
    data = tar_bytes(value, tensors)
    stream = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(data)) as before,
        tarfile.open(fileobj=stream, mode="w") as after,
    ):
        for member in before.getmembers():
            content = before.extractfile(member)
            if member.name == "tensors":
                member.type, member.linkname, member.size = kind, "/etc/passwd", 0
            after.addfile(member, content if member.size else None)
    checkpoint = opened(tmp_path, stream.getvalue())
    found = {problem.code: problem for problem in checkpoint.problems}
    assert found["odd-entry"].where == "tensors"
    assert found["odd-entry"].details["reason"] == words
    assert "missing-record" in found


def test_members_with_odd_names_and_what_follows_the_end(tmp_path: Path) -> None:
    value, tensors = example()
    plain = tar_bytes(value, tensors)
    assert opened(tmp_path, plain).problems == []
    stream = io.BytesIO(plain)
    with tarfile.open(fileobj=stream, mode="a") as tar:
        tar.addfile(tarfile.TarInfo("../../etc/cron.d/job"))
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
    problems = opened(tmp_path, stream.getvalue()).problems
    assert [(p.code, p.where) for p in problems] == [("odd-name", "../../etc/cron.d/job")]
    end = len(plain.rstrip(b"\0"))
    end += -end % 512
    problems = opened(tmp_path, plain[: end + 1024] + b"more").problems
    assert [(p.code, p.details["count"]) for p in problems] == [("trailing-bytes", 1028)]
