"""Checkpoints in several files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from inspector_app.checkpoint import open_checkpoint, shards
from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.errors import (
    BrokenFile,
    CheckpointError,
    LimitExceeded,
    UnreadableFile,
)
from inspector_app.checkpoint.limits import DEFAULT, Limits
from inspector_app.checkpoint.model import Checkpoint, Progress
from inspector_app.checkpoint.recognise import reader_of

FIRST = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2)}
SECOND = {"b.weight": torch.zeros(3, dtype=torch.int8), "b.bias": torch.ones(1)}
NAMES = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


def write_index(
    folder: Path, weight_map: object, name: str = "model.safetensors.index.json"
) -> Path:
    path = folder / name
    path.write_text(json.dumps({"metadata": {"total_size": 36}, "weight_map": weight_map}))
    return path


def weight_map(names: tuple[str, str] = NAMES) -> dict[str, str]:
    # Sorted by key, as transformers writes it.
    pairs = [*((key, names[0]) for key in FIRST), *((key, names[1]) for key in SECOND)]
    return dict(sorted(pairs))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sharded model as `save_pretrained` leaves it."""
    folder = tmp_path / "model"
    folder.mkdir()
    for name, tensors in zip(NAMES, (FIRST, SECOND), strict=True):
        save_file(tensors, folder / name, {"format": "pt"})
    write_index(folder, weight_map())
    return folder


def read(path: Path, limits: Limits = DEFAULT) -> Checkpoint:
    with ByteSource(path) as source:
        steps = shards.read(source, limits, reader_of)
        while True:
            try:
                assert isinstance(next(steps), Progress)
            except StopIteration as end:
                return end.value


def index_of(folder: Path) -> Path:
    return folder / "model.safetensors.index.json"


def codes(checkpoint: Checkpoint) -> list[str]:
    return [problem.code for problem in checkpoint.problems]


def agrees(checkpoint: Checkpoint, expected: dict[str, torch.Tensor]) -> None:
    assert {node.key for node in checkpoint.tensors} == set(expected)
    for node in checkpoint.tensors:
        tensor = expected[node.key]
        assert node.path == (node.key,)
        assert checkpoint.find([node.key]) is node
        assert f"torch.{node.dtype}" == str(tensor.dtype)
        assert node.shape == tuple(tensor.shape)
        assert checkpoint.storages[node.storage.file, node.storage.key] is node.storage


def test_an_index_opens_as_one_checkpoint(folder):
    checkpoint = read(index_of(folder))
    assert checkpoint.problems == []
    assert checkpoint.format == "safetensors"
    agrees(checkpoint, FIRST | SECOND)
    for name, tensors in zip(NAMES, (FIRST, SECOND), strict=True):
        data = (folder / name).read_bytes()
        for key, tensor in tensors.items():
            storage = checkpoint.find([key]).storage
            assert storage.file == str(folder / name)
            record = storage.record
            assert data[record.offset : record.offset + record.nbytes] == tensor.numpy().tobytes()
    assert checkpoint.metadata == {"format": "pt", "total_size": "36"}
    assert checkpoint.find(["__metadata__", "total_size"]).value == "36"
    assert checkpoint.root.children[-1].key == "__metadata__"
    assert checkpoint.files == [str(index_of(folder)), *(str(folder / name) for name in NAMES)]
    assert checkpoint.file_bytes == sum(path.stat().st_size for path in folder.iterdir())


def test_a_folder_opens_through_its_index(folder, tmp_path):
    assert shards.find_index(str(folder)) == str(index_of(folder))
    agrees(open_checkpoint(folder), FIRST | SECOND)
    with pytest.raises(UnreadableFile, match="folder without a shard index"):
        open_checkpoint(tmp_path)


def test_of_several_indexes_safetensors_is_preferred(folder):
    write_index(folder, {}, "a.bin.index.json")
    write_index(folder, {}, "model.fp16.safetensors.index.json")
    (folder / "directory.safetensors.index.json").mkdir()
    assert shards.find_index(str(folder)) == str(index_of(folder))
    index_of(folder).unlink()
    assert shards.find_index(str(folder)) == str(folder / "model.fp16.safetensors.index.json")
    (folder / "model.fp16.safetensors.index.json").unlink()
    assert shards.find_index(str(folder)) == str(folder / "a.bin.index.json")
    (folder / "a.bin.index.json").unlink()
    assert shards.find_index(str(folder)) is None
    with pytest.raises(UnreadableFile):
        shards.find_index(str(folder / "absent"))


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_shards_that_torch_saved(tmp_path, legacy):
    names = ("pytorch_model-1.bin", "pytorch_model-2.bin")
    for name, tensors in zip(names, (FIRST, SECOND), strict=True):
        torch.save(tensors, tmp_path / name, _use_new_zipfile_serialization=not legacy)
    write_index(tmp_path, weight_map(names), "pytorch_model.bin.index.json")
    checkpoint = open_checkpoint(tmp_path)
    assert checkpoint.problems == []
    assert checkpoint.format == ("torch-legacy" if legacy else "torch-zip")
    agrees(checkpoint, FIRST | SECOND)
    # Both shards call their storages 0 and 1.
    assert len(checkpoint.storages) == 4
    assert [use.name for use in checkpoint.globals] == sorted(
        {use.name for use in checkpoint.globals}
    )
    assert "torch._utils._rebuild_tensor_v2" in {use.name for use in checkpoint.globals}


def test_a_missing_shard_is_a_problem_and_the_rest_stays(folder):
    (folder / NAMES[0]).unlink()
    checkpoint = read(index_of(folder))
    assert codes(checkpoint) == ["missing-shard"]
    assert NAMES[0] in checkpoint.problems[0].message
    agrees(checkpoint, SECOND)
    (folder / NAMES[1]).unlink()
    checkpoint = read(index_of(folder))
    assert codes(checkpoint) == ["missing-shard", "missing-shard"]
    assert (checkpoint.tensors, checkpoint.format) == ([], "safetensors")


@pytest.mark.parametrize(
    "data", [b"", b"nothing of the kind", b"\x80\x02}q\x00", "index", "folder"]
)
def test_a_broken_shard_is_a_problem_and_the_rest_stays(folder, data):
    path = folder / NAMES[0]
    path.unlink()
    if data == "folder":
        path.mkdir()
        write_index(path, {})
    elif data == "index":
        # It would read itself for ever.
        path.write_bytes(index_of(folder).read_bytes())
    else:
        path.write_bytes(data)
    checkpoint = read(index_of(folder))
    assert codes(checkpoint)[0] in ("broken-shard", "broken-pickle")
    assert checkpoint.problems[0].message
    agrees(checkpoint, SECOND)


def test_an_index_that_names_itself_ends(tmp_path):
    path = write_index(tmp_path, {"a": "model.safetensors.index.json"})
    checkpoint = read(path)
    assert codes(checkpoint) == ["broken-shard"]


def test_problems_of_a_shard_say_which_shard(folder):
    path = folder / NAMES[1]
    path.write_bytes(path.read_bytes()[:-1])
    checkpoint = read(index_of(folder))
    assert codes(checkpoint) == ["truncated"]
    assert checkpoint.problems[0].where.startswith(f"{NAMES[1]}: ")
    agrees(checkpoint, FIRST | SECOND)


@pytest.mark.parametrize(
    "name", ["../out.safetensors", "/etc/passwd", "", "link", "..", "sub/../../x"]
)
def test_a_shard_outside_the_folder_is_never_opened(folder, tmp_path, name):
    save_file(FIRST, tmp_path / "out.safetensors")
    (folder / "link").symlink_to(tmp_path / "out.safetensors")
    write_index(folder, {"a.weight": name, **dict.fromkeys(SECOND, NAMES[1])})
    checkpoint = read(index_of(folder))
    assert codes(checkpoint) == ["shard-outside"]
    agrees(checkpoint, SECOND)


def test_a_shard_in_a_folder_below_and_in_the_hugging_face_cache(tmp_path):
    snapshot = tmp_path / "models--x--y" / "snapshots" / "abc"
    blobs = tmp_path / "models--x--y" / "blobs"
    (snapshot / "below").mkdir(parents=True)
    blobs.mkdir()
    save_file(FIRST, snapshot / "below" / "1")
    save_file(SECOND, blobs / "2")
    (snapshot / "2").symlink_to("../../blobs/2")
    checkpoint = read(write_index(snapshot, weight_map(("below/1", "2"))))
    assert checkpoint.problems == []
    agrees(checkpoint, FIRST | SECOND)


def test_promised_and_absent_present_and_unlisted(folder):
    listed = weight_map()
    del listed["a.bias"]
    listed["c"] = NAMES[1]
    write_index(folder, listed)
    checkpoint = read(index_of(folder))
    assert codes(checkpoint) == ["unlisted-key", "missing-key"]
    assert [problem.where for problem in checkpoint.problems] == ["a.bias", "c"]
    agrees(checkpoint, FIRST | SECOND)


def test_of_a_key_in_two_shards_the_listed_one_counts(folder):
    save_file(SECOND | {"a.bias": torch.zeros(7)}, folder / NAMES[1])
    checkpoint = read(index_of(folder))
    assert codes(checkpoint) == ["unlisted-key", "duplicate-key"]
    agrees(checkpoint, FIRST | SECOND)
    write_index(folder, weight_map() | {"a.bias": NAMES[1]})
    checkpoint = read(index_of(folder))
    assert codes(checkpoint) == ["unlisted-key"]
    agrees(checkpoint, FIRST | SECOND | {"a.bias": torch.zeros(7)})


def test_shards_of_different_formats(folder):
    (folder / NAMES[1]).unlink()
    torch.save(SECOND, folder / NAMES[1])
    checkpoint = read(index_of(folder))
    assert codes(checkpoint) == ["bad-header"]
    assert "safetensors and torch-zip" in checkpoint.problems[0].message
    agrees(checkpoint, FIRST | SECOND)


def test_an_entry_that_names_no_file(folder):
    write_index(folder, weight_map() | {"odd": 3})
    checkpoint = read(index_of(folder))
    assert [(problem.code, problem.where) for problem in checkpoint.problems] == [
        ("bad-tensor", "odd")
    ]
    agrees(checkpoint, FIRST | SECOND)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"weight_map": 3}',
        '{"weight_map": []}',
        "[]",
        "\xff",
        '{"weight_map":' + "[" * 100_000,
    ],
)
def test_a_broken_index_is_one_clear_error(tmp_path, text):
    path = tmp_path / "model.safetensors.index.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(BrokenFile) as refused:
        read(path)
    assert refused.value.message


def test_an_index_over_the_limit(folder):
    with pytest.raises(LimitExceeded, match="index"):
        read(index_of(folder), Limits(json_bytes=20))


def test_a_truncated_index_is_one_clear_error(folder):
    whole = index_of(folder).read_bytes()
    for length in range(len(whole)):
        index_of(folder).write_bytes(whole[:length])
        with pytest.raises(CheckpointError):
            read(index_of(folder))


def test_recognise(folder, tmp_path):
    def recognised(text: str) -> bool:
        path = tmp_path / "x.json"
        path.write_text(text)
        with ByteSource(path) as source:
            return shards.recognise(source)

    assert recognised(index_of(folder).read_text())
    assert recognised('\n {"weight_map": {}}')
    assert not recognised("{}")
    assert not recognised('["weight_map"]')
    assert not recognised("")


def test_problems_are_counted_out(tmp_path):
    checkpoint = read(
        write_index(tmp_path, {f"k{number}": f"f{number}" for number in range(2_000)})
    )
    assert len(checkpoint.problems) == 1_001
    assert checkpoint.problems[-1].code == "more-problems"
