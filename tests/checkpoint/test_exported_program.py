"""torch.export archives, held against ``torch.export.load``."""

from __future__ import annotations

import copy
import io
import json
import pickle
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.model import Checkpoint, Kind, TensorInfo

WEIGHTS = "data/weights/model_weights_config.json"
CONSTANTS = "data/constants/model_constants_config.json"


class Inner(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = torch.nn.Linear(4, 3)
        self.register_buffer("scale", torch.full((3,), 2.0))
        self.register_buffer("transient", torch.zeros(3), persistent=False)
        self.table = torch.arange(3.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(x) * self.scale + self.transient + self.table + torch.tensor([1.0, 2.0, 3.0])


class Model(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Inner()
        self.norm = torch.nn.BatchNorm1d(3)
        self.tied = self.inner.fc.weight
        self.turned = torch.nn.Parameter(torch.randn(3, 2).t()[1:], requires_grad=False)
        self.narrow = torch.nn.Parameter(torch.zeros(3, dtype=torch.bfloat16))

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        y = self.norm(self.inner(x)) * self.turned
        return {"y": y + self.narrow, "total": x.sum()}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="module")
def program() -> torch.export.ExportedProgram:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shapes = {"x": {0: torch.export.Dim("batch")}}
        return torch.export.export(Model().eval(), (torch.randn(2, 4),), dynamic_shapes=shapes)


@pytest.fixture(scope="module")
def saved(program: torch.export.ExportedProgram, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "model.pt2"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(program, path, extra_files={"labels.txt": "cat\ndog"})
    return path


def file_bytes(tensor: TensorInfo, path: Path) -> bytes:
    """What the file has at the place of a stored tensor's storage."""
    record = tensor.storage.record
    data = path.read_bytes()
    offset = record.offset
    return data[offset : offset + record.nbytes]


def values(tensor: TensorInfo, path: Path) -> torch.Tensor:
    flat = torch.frombuffer(bytearray(file_bytes(tensor, path)), dtype=getattr(torch, tensor.dtype))
    return torch.as_strided(flat, tensor.shape, tensor.stride, tensor.storage_offset)


def assert_agrees(found: dict[str, TensorInfo], expected: dict[str, Any], path: Path) -> None:
    assert list(found) == list(expected)
    for key, tensor in expected.items():
        info = found[key]
        assert info.dtype == str(tensor.dtype).removeprefix("torch.")
        assert (info.shape, info.stride) == (tuple(tensor.shape), tensor.stride())
        assert info.storage_offset == tensor.storage_offset()
        assert info.requires_grad == tensor.requires_grad
        assert info.details.parameter == isinstance(tensor, torch.nn.Parameter)
        assert info.device == "cpu"
        assert torch.equal(values(info, path), tensor)


def at_root(checkpoint: Checkpoint) -> dict[str, TensorInfo]:
    return {str(each.key): each for each in checkpoint.tensors if len(each.path) == 1}


def below(checkpoint: Checkpoint, key: str) -> dict[str, TensorInfo]:
    return {str(each.key): each for each in checkpoint.tensors if each.path[0] == key}


def test_agrees_with_torch(saved: Path) -> None:
    checkpoint = open_checkpoint(saved)
    assert checkpoint.format == "torch-export"
    assert checkpoint.problems == []
    loaded = torch.export.load(saved)
    assert_agrees(at_root(checkpoint), loaded.state_dict, saved)
    assert_agrees(below(checkpoint, "constants"), loaded.constants, saved)
    (sample,) = below(checkpoint, "sample_inputs").values()
    assert sample.path == ("sample_inputs", 0, 0)
    assert torch.equal(values(sample, saved), loaded.example_inputs[0][0])
    root = at_root(checkpoint)
    assert root["tied"].storage is root["inner.fc.weight"].storage


def test_the_graph_in_words(saved: Path, program: torch.export.ExportedProgram) -> None:
    checkpoint = open_checkpoint(saved)
    symbol = program.graph_signature.user_inputs[0]
    shown = checkpoint.find(["graph", "inputs", symbol]).value
    assert shown.startswith("float32 [s")
    assert shown.endswith(", 4]")
    counted = {node.key: node.value for node in checkpoint.find(["graph", "operators"]).children}
    targets = [str(node.target) for node in program.graph.nodes if node.op == "call_function"]
    assert counted == {f"torch.ops.{name}": targets.count(name) for name in targets}
    assert len(checkpoint.find(["graph", "outputs"]).children) == 2
    assert checkpoint.metadata["torch_version"] == torch.__version__
    assert checkpoint.metadata["extra/labels.txt"] == "cat\ndog"
    assert checkpoint.metadata["archive_format"] == "pt2"


def test_several_programs(tmp_path: Path, program: torch.export.ExportedProgram) -> None:
    from torch.export.pt2_archive._package import package_pt2

    path = tmp_path / "two.pt2"
    package_pt2(path, exported_programs={"first": program, "second": program})
    checkpoint = open_checkpoint(path)
    assert checkpoint.problems == []
    assert [node.key for node in checkpoint.root.children] == ["first", "second"]
    assert all(node.kind == Kind.MODULE for node in checkpoint.root.children)
    for name in ("first", "second"):
        found = {each.key for each in checkpoint.tensors if each.path[0] == name}
        assert set(program.state_dict) <= found


def rewritten(
    saved: Path, folder: Path, change: Callable[[dict[str, bytes]], None], root: str = "model/"
) -> Path:
    """The archive with other entries; keys lack the root."""
    with zipfile.ZipFile(saved) as archive:
        entries = {name.removeprefix("model/"): archive.read(name) for name in archive.namelist()}
    change(entries)
    path = folder / "changed.pt2"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries.items():
            archive.writestr(root + name, data)
    return path


def pickled(value: object) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream)
    return stream.getvalue()


def test_weights_in_a_pickle(
    saved: Path, tmp_path: Path, program: torch.export.ExportedProgram
) -> None:
    """As torch 2.8 wrote them."""

    def change(entries: dict[str, bytes]) -> None:
        del entries[WEIGHTS], entries[CONSTANTS]
        entries["data/weights/model.pt"] = pickled(dict(program.state_dict))
        entries["data/constants/model.pt"] = pickled(dict(program.constants))

    path = rewritten(saved, tmp_path, change)
    checkpoint = open_checkpoint(path)
    assert checkpoint.problems == []
    assert_agrees(at_root(checkpoint), dict(program.state_dict), path)
    assert_agrees(below(checkpoint, "constants"), dict(program.constants), path)


def test_the_old_format(saved: Path, tmp_path: Path, program: torch.export.ExportedProgram) -> None:
    """Of torch 2.1 to 2.7: an archive without a root."""

    def change(entries: dict[str, bytes]) -> None:
        model, inputs = entries["models/model.json"], entries["data/sample_inputs/model.pt"]
        entries.clear()
        entries["version"] = b"8.20"
        entries["serialized_exported_program.json"] = model
        entries["serialized_state_dict.pt"] = pickled(dict(program.state_dict))
        entries["serialized_constants.pt"] = pickled(dict(program.constants))
        entries["serialized_example_inputs.pt"] = inputs

    path = rewritten(saved, tmp_path, change, root="")
    checkpoint = open_checkpoint(path)
    assert checkpoint.problems == []
    loaded = torch.export.load(path)
    assert_agrees(at_root(checkpoint), loaded.state_dict, path)
    assert_agrees(below(checkpoint, "constants"), loaded.constants, path)
    assert checkpoint.metadata["version"] == "8.20"


def test_a_payload_that_is_pickled(saved: Path, tmp_path: Path) -> None:
    def change(entries: dict[str, bytes]) -> None:
        config = json.loads(entries[WEIGHTS])
        config["config"]["norm.bias"]["use_pickle"] = True
        config["config"]["norm.bias"]["path_name"] = "weight_99"
        entries["data/weights/weight_99"] = pickled(torch.full((3,), 7.0))
        entries[WEIGHTS] = json.dumps(config).encode()

    path = rewritten(saved, tmp_path, change)
    checkpoint = open_checkpoint(path)
    assert checkpoint.problems == []
    assert values(at_root(checkpoint)["norm.bias"], path).tolist() == [7.0, 7.0, 7.0]


class _Command:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        import os

        return os.system, (self.command,)


def test_nothing_is_run(saved: Path, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    hostile = pickle.dumps(_Command(f"touch {marker}"), protocol=2)

    def change(entries: dict[str, bytes]) -> None:
        entries["data/sample_inputs/model.pt"] = hostile

    checkpoint = open_checkpoint(rewritten(saved, tmp_path, change))
    assert not marker.exists()
    assert [each.name for each in checkpoint.globals if not each.allowed] == ["posix.system"]
    assert len(at_root(checkpoint)) == 11


def config_with(saved: Path, tmp_path: Path, **changes: Any) -> list[tuple[str, str]]:
    """Problems when the description of ``inner.scale`` has other members."""

    def change(entries: dict[str, bytes]) -> None:
        config = json.loads(entries[WEIGHTS])
        payload = config["config"]["inner.scale"]
        payload["tensor_meta"] |= {k: v for k, v in changes.items() if k != "path_name"}
        payload["path_name"] = changes.get("path_name", payload["path_name"])
        entries[WEIGHTS] = json.dumps(config).encode()

    checkpoint = open_checkpoint(rewritten(saved, tmp_path, change))
    return [(problem.code, problem.where) for problem in checkpoint.problems]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"sizes": [{"as_int": 4}]}, "view-bounds"),
        ({"storage_offset": {"as_int": 1}}, "view-bounds"),
        ({"strides": [{"as_int": 1 << 62}]}, "view-bounds"),
        ({"path_name": "weight_77"}, "missing-record"),
        ({"path_name": "../model"}, "missing-record"),
    ],
)
def test_descriptions_that_do_not_fit(
    saved: Path, tmp_path: Path, changes: dict[str, Any], code: str
) -> None:
    assert config_with(saved, tmp_path, **changes) == [(code, "inner.scale")]


@pytest.mark.parametrize(
    "changes",
    [
        {"dtype": 99},
        {"dtype": "float"},
        {"sizes": [{"as_int": -1}]},
        {"sizes": 3},
        {"sizes": [{"as_int": 1}] * 70},
        {"sizes": [{"as_int": 10**400}]},
        {"strides": []},
        {"storage_offset": None},
    ],
)
def test_descriptions_that_are_none(saved: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    problems = config_with(saved, tmp_path, **changes)
    assert ("bad-tensor", "inner.scale") in problems


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[" * 100_000, b'{"config": ' + b"9" * 5000 + b"}", b"\xff\xfe", b"[]", b"null"],
)
@pytest.mark.parametrize("name", [WEIGHTS, "models/model.json"])
def test_json_that_is_none(saved: Path, tmp_path: Path, name: str, data: bytes) -> None:
    def change(entries: dict[str, bytes]) -> None:
        entries[name] = data

    checkpoint = open_checkpoint(rewritten(saved, tmp_path, change))
    valid = data in (b"[]", b"null")
    codes = [problem.code for problem in checkpoint.problems]
    assert ("bad-json" in codes) is not valid
    assert all(problem.message for problem in checkpoint.problems)


def test_json_of_too_many_values(saved: Path, tmp_path: Path) -> None:
    def change(entries: dict[str, bytes]) -> None:
        entries["models/model.json"] = b"[" + b"[]," * 2_000_000 + b"0]"

    checkpoint = open_checkpoint(rewritten(saved, tmp_path, change))
    assert "limit" in [problem.code for problem in checkpoint.problems]
    assert len(at_root(checkpoint)) == 11


@pytest.mark.parametrize(
    "name", [WEIGHTS, CONSTANTS, "data/weights/weight_0", "data/sample_inputs/model.pt"]
)
def test_entries_that_are_missing(saved: Path, tmp_path: Path, name: str) -> None:
    def change(entries: dict[str, bytes]) -> None:
        del entries[name]

    checkpoint = open_checkpoint(rewritten(saved, tmp_path, change))
    missing = [problem for problem in checkpoint.problems if problem.code == "missing-record"]
    assert bool(missing) is (name != "data/sample_inputs/model.pt")
    assert checkpoint.find(["graph"]) is not None


def test_compiled_models_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "compiled.pt2"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/archive_format", "pt2")
        archive.writestr("m/data/aotinductor/model/kernel.cpp", "int main() {}")
        archive.writestr("m/data/aotinductor/model/model.so", b"\x7fELF")
    checkpoint = open_checkpoint(path)
    assert [node.key for node in checkpoint.root.children] == ["model/kernel.cpp", "model/model.so"]
    assert [code.name for code in checkpoint.code] == ["m/data/aotinductor/model/kernel.cpp"]


def test_an_archive_without_a_program(tmp_path: Path) -> None:
    path = tmp_path / "empty.pt2"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/archive_format", "pt2")
    with pytest.raises(CheckpointError, match="no program"):
        open_checkpoint(path)


def test_no_weight_is_read(tmp_path: Path) -> None:
    large = torch.nn.Linear(1000, 1000)
    path = tmp_path / "large.pt2"
    torch.export.save(torch.export.export(large, (torch.randn(1, 1000),)), path)
    with pytest.MonkeyPatch.context() as patch:
        counts = []
        read = ByteSource.read
        patch.setattr(
            ByteSource,
            "read",
            lambda self, at, count: counts.append(count) or read(self, at, count),
        )
        checkpoint = open_checkpoint(path)
    assert sum(counts) < 500_000 < at_root(checkpoint)["weight"].nbytes


def test_damaged_bytes_never_surprise(saved: Path, tmp_path: Path) -> None:
    data = bytearray(saved.read_bytes())
    path = tmp_path / "damaged.pt2"
    for place in range(0, len(data), 211):
        damaged = copy.copy(data)
        damaged[place] ^= 0x15
        path.write_bytes(damaged)
        try:
            messages = [problem.message for problem in open_checkpoint(path).problems]
        except CheckpointError as error:
            messages = [error.message]
        assert all(messages)
