"""TorchScript archives, held against ``torch.jit.load``."""

from __future__ import annotations

import io
import pickle
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.model import Checkpoint, Kind, TensorInfo


class Inner(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = torch.nn.Linear(4, 3)
        self.register_buffer("scale", torch.full((3,), 2.0))
        self.register_buffer("transient", torch.zeros(2), persistent=False)
        self.plain = torch.arange(3.0)
        self.tensors = [torch.zeros(2), torch.ones(1)]
        self.numbers = {"a": 1}
        self.factor = 2.5

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        total = self.plain + self.tensors[0].sum() + self.transient.sum()
        return self.fc(x) * self.scale + total + self.numbers["a"] * self.factor


class Model(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = Inner()
        self.again = self.a
        self.head = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3))
        self.tied = torch.nn.Parameter(self.head[0].weight.detach(), requires_grad=False)
        self.narrow = torch.nn.Parameter(torch.zeros(2, 3, dtype=torch.float16).t())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.head(self.a(x) + self.again(x)) @ self.tied
        return y + torch.tensor([1.0, 2.0, 3.0]) + self.narrow.sum()


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """torch.jit is deprecated, and says so on every call."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def saved(module: torch.jit.ScriptModule, path: Path) -> Path:
    torch.jit.save(module, str(path), _extra_files={"labels.txt": "cat\ndog"})
    return path


def raw_bytes(path: Path, tensor: TensorInfo) -> bytes:
    """The bytes of the storage that a tensor views, read from the file."""
    assert tensor.storage is not None
    assert tensor.storage.record is not None
    record = tensor.storage.record
    with zipfile.ZipFile(path) as archive:
        return archive.read(record.name)


def values(path: Path, tensor: TensorInfo) -> torch.Tensor:
    data = bytearray(raw_bytes(path, tensor))
    dtype = getattr(torch, tensor.dtype)
    flat = torch.frombuffer(data, dtype=dtype)
    return torch.as_strided(flat, tensor.shape, tensor.stride, tensor.storage_offset)


def assert_agrees(path: Path) -> Checkpoint:
    """Every tensor of ``state_dict()`` is there, in its order, with its values."""
    checkpoint = open_checkpoint(path)
    assert checkpoint.format == "torchscript"
    assert checkpoint.root.kind == Kind.MODULE
    module = torch.jit.load(str(path), map_location="cpu")
    expected = module.state_dict()
    found = {tensor.path[0]: tensor for tensor in checkpoint.tensors if len(tensor.path) == 1}
    assert [key for key in found if key in expected] == list(expected)
    trained = {name for name, parameter in module.named_parameters() if parameter.requires_grad}
    for key, tensor in expected.items():
        info = found[key]
        assert info.dtype == str(tensor.dtype).removeprefix("torch.")
        assert info.shape == tuple(tensor.shape)
        assert info.stride == tensor.stride()
        assert info.storage_offset == tensor.storage_offset()
        assert info.device == "cpu"
        assert torch.equal(values(path, info), tensor)
    assert trained <= {key for key, tensor in found.items() if tensor.requires_grad}
    return checkpoint


def test_scripted_module(tmp_path: Path) -> None:
    checkpoint = assert_agrees(saved(torch.jit.script(Model()), tmp_path / "model.pt"))
    assert checkpoint.problems == []
    names = [tensor.name for tensor in checkpoint.tensors]
    # Attributes that are neither parameter nor buffer are listed as well.
    assert "a.plain" in names
    assert "a.tensors/1" in names
    assert checkpoint.find(["(modules)", "a", "factor"]).value == 2.5
    assert checkpoint.find(["(modules)", "a", "numbers", "a"]).value == 1
    assert checkpoint.find(["(modules)", "head", "1"]).type_name == (
        "torch.nn.modules.batchnorm.BatchNorm1d"
    )
    assert checkpoint.metadata["extra/labels.txt"] == "cat\ndog"
    tied = checkpoint.find(["tied"])
    assert isinstance(tied, TensorInfo)
    assert tied.storage is checkpoint.find(["head.0.weight"]).storage
    assert not tied.requires_grad


def test_traced_module(tmp_path: Path) -> None:
    traced = torch.jit.trace(Model().eval(), torch.zeros(2, 4))
    assert_agrees(saved(traced, tmp_path / "model.pt"))


def test_one_child_used_twice(tmp_path: Path) -> None:
    checkpoint = assert_agrees(saved(torch.jit.script(Model()), tmp_path / "model.pt"))
    first = checkpoint.find(["a.fc.weight"])
    again = checkpoint.find(["again.fc.weight"])
    assert first.storage is again.storage


def test_mobile_module(tmp_path: Path) -> None:
    path = tmp_path / "model.ptl"
    torch.jit.script(Model())._save_for_lite_interpreter(str(path))
    checkpoint = assert_agrees(path)
    assert checkpoint.metadata["bytecode_version"] == "8"


def frozen_module() -> torch.jit.ScriptModule:
    layers = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
    return torch.jit.freeze(torch.jit.script(layers.eval()))


def test_constants_of_a_frozen_module(tmp_path: Path) -> None:
    frozen = frozen_module()
    path = saved(frozen, tmp_path / "frozen.pt")
    checkpoint = assert_agrees(path)
    constants = [tensor for tensor in checkpoint.tensors if tensor.path[0] == "constants"]
    assert constants
    kept = {constant.data_ptr(): constant for constant in _constants(frozen)}
    saved_values = [values(path, tensor) for tensor in constants]
    for constant in kept.values():
        assert any(
            constant.dtype == value.dtype and torch.equal(constant, value) for value in saved_values
        )


def _constants(module: torch.jit.ScriptModule) -> list[torch.Tensor]:
    found = []
    for node in module.graph.findAllNodes("prim::Constant"):
        output = node.output()
        if output.type().kind() == "TensorType" and isinstance(output.toIValue(), torch.Tensor):
            found.append(output.toIValue())
    return found


def test_code_is_listed_and_not_read(tmp_path: Path) -> None:
    path = saved(torch.jit.script(Model()), tmp_path / "model.pt")
    checkpoint = open_checkpoint(path)
    with zipfile.ZipFile(path) as archive:
        expected = [name for name in archive.namelist() if name.endswith(".py")]
    assert [f"model/{code.name}" for code in checkpoint.code] == expected
    assert all(code.text is None and code.record is not None for code in checkpoint.code)


def test_its_own_types_are_no_globals(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(saved(torch.jit.script(Model()), tmp_path / "model.pt"))
    assert all(each.allowed for each in checkpoint.globals)
    assert not [each.name for each in checkpoint.globals if "__torch__" in each.name]


def test_constants_and_storages_have_keys_of_their_own(tmp_path: Path) -> None:
    frozen = frozen_module()
    checkpoint = open_checkpoint(saved(frozen, tmp_path / "frozen.pt"))
    for (_, key), storage in checkpoint.storages.items():
        assert storage.key == key
        assert storage.record is not None
        folder = "constants" if key.startswith("constants/") else "data"
        assert storage.record.name == f"frozen/{folder}/{key.removeprefix('constants/')}"


def test_no_tensor_is_read(tmp_path: Path) -> None:
    module = torch.jit.script(torch.nn.Linear(1000, 1000))
    path = saved(module, tmp_path / "large.pt")
    with pytest.MonkeyPatch.context() as patch:
        places = []
        read = ByteSource.read
        patch.setattr(
            ByteSource,
            "read",
            lambda self, offset, count: places.append((offset, count)) or read(self, offset, count),
        )
        checkpoint = open_checkpoint(path)
    weight = checkpoint.find(["weight"])
    assert sum(count for _, count in places) < 500_000 < weight.nbytes


@pytest.mark.parametrize(
    "name",
    [
        "snakers4__silero-vad/silero_vad.jit",
        "pytorch__ios-demo-app/mobilenet_quantized.pt",
        "pytorch__ios-demo-app/vit4mnist.ptl",
        "dotnet__TorchSharp/linrelu.script.dat",
        "dotnet__TorchSharp/shakespeare.pt.zip",
    ],
)
def test_real_files(corpus: Path, name: str) -> None:
    checkpoint = assert_agrees(corpus / name)
    assert checkpoint.problems == []
    assert checkpoint.tensors
    assert all(tensor.storage.record for tensor in checkpoint.tensors if tensor.storage)


def test_packed_parameters(corpus: Path) -> None:
    checkpoint = open_checkpoint(corpus / "pytorch__ios-demo-app/mobilenet_quantized.pt")
    packed = checkpoint.find(["classifier.1._packed_params._packed_params"])
    assert packed.type_name == "torch.classes.quantized.LinearPackedParamsBase"
    weight, bias = packed.children
    assert (weight.dtype, weight.shape) == ("qint8", (1000, 1280))
    assert weight.details.quantizer.scheme == "per_tensor_affine"
    assert (bias.dtype, bias.shape) == ("float32", (1000,))


# --- files that torch does not write


class _Object:
    """Pickles as an object of a compiled class would, with any state."""

    def __init__(self, state: object) -> None:
        self.state = state


class _Pickler(pickle._Pickler):
    def save(self, obj: object, save_persistent_id: bool = True) -> None:
        if isinstance(obj, _Object):
            if id(obj) in self.memo:
                self.write(self.get(self.memo[id(obj)][0]))
                return
            self.write(b"c__torch__\nModule\n)\x81")
            self.memoize(obj)
            self.save(obj.state)
            self.write(b"b")
            return
        super().save(obj)


def archive(data: object, constants: bytes = b"\x80\x02).", extra: bytes = b"") -> bytes:
    body = io.BytesIO()
    _Pickler(body, protocol=2).dump(data)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        made.writestr("m/data.pkl", body.getvalue())
        made.writestr("m/code/__torch__.py", "class Module(Module):\n  pass\n")
        made.writestr("m/extra/raw.bin", extra)
        if constants:
            made.writestr("m/constants.pkl", constants)
        made.writestr("m/version", "3\n")
    return stream.getvalue()


def opened(tmp_path: Path, data: bytes) -> Checkpoint:
    path = tmp_path / "made.pt"
    path.write_bytes(data)
    return open_checkpoint(path)


def test_module_that_contains_itself(tmp_path: Path) -> None:
    module = _Object({})
    module.state = {"me": module, "list": [module], "n": 1}
    checkpoint = opened(tmp_path, archive(module))
    assert checkpoint.find(["(modules)", "n"]).value == 1
    assert checkpoint.find(["(modules)", "me"]).kind == Kind.REFERENCE


def test_modules_that_share_children_without_end(tmp_path: Path) -> None:
    module = _Object({"n": 1})
    for _ in range(60):
        module = _Object({"left": module, "right": module})
    checkpoint = opened(tmp_path, archive(module))
    assert sum(1 for _ in checkpoint.root.walk()) < 300_000
    assert "tree-limit" in [problem.code for problem in checkpoint.problems]


def test_deep_modules(tmp_path: Path) -> None:
    module = _Object({"n": 1})
    for _ in range(150):
        module = _Object({"child": module})
    checkpoint = opened(tmp_path, archive(module))
    assert checkpoint.root.kind == Kind.MODULE
    assert [problem.message for problem in checkpoint.problems] == [
        "the tree is cut: more than 100 levels of modules entries"
    ]


def test_object_with_a_state_of_its_own(tmp_path: Path) -> None:
    checkpoint = opened(tmp_path, archive(_Object({"packed": _Object((1, "two"))})))
    packed = checkpoint.find(["packed"])
    assert [child.value for child in packed.children] == [1, "two"]


def test_broken_constants_keep_the_module(tmp_path: Path) -> None:
    checkpoint = opened(tmp_path, archive(_Object({"n": 1}), constants=b"\x80\x02("))
    assert checkpoint.find(["(modules)", "n"]).value == 1
    assert [problem.code for problem in checkpoint.problems] == ["broken-pickle"]


def test_extra_file_that_is_no_text(tmp_path: Path) -> None:
    checkpoint = opened(tmp_path, archive(_Object({}), extra=b"\xff" * 9))
    assert checkpoint.metadata["extra/raw.bin"] == "9 bytes that are no text"


def test_damaged_bytes_never_surprise(tmp_path: Path) -> None:
    data = archive(_Object({"a": _Object({"b": [1, 2]}), "c": "text"}))
    end = data.index(b"m/code")
    for place in range(40, end):
        for value in (0, data[place] ^ 1, 0x62, 0xFF):
            damaged = data[:place] + bytes([value]) + data[place + 1 :]
            try:
                checkpoint = opened(tmp_path, damaged)
                messages = [problem.message for problem in checkpoint.problems]
            except CheckpointError as error:
                messages = [error.message]
            assert all(messages)
