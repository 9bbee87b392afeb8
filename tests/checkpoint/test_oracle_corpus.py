"""Real checkpoints that other people made: each opens, and agrees with its own library."""

from __future__ import annotations

import importlib
import pickle
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch_oracle import disagreements, load, record_bytes

from inspector_app.__main__ import main
from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.errors import CheckpointError

ROOT = Path(__file__).resolve().parents[2]
CORPUS = (ROOT / "../shared/corpus").resolve()
FILES = sorted(path for path in CORPUS.glob("*/*") if path.is_file()) if CORPUS.is_dir() else []
REFUSED = "adam1.dat"
FORMATS = {
    "fortran_tensor_3d.pth": "torch-zip",
    "linrelu.script.dat": "torchscript",
    "mobilenet_quantized.pt": "torchscript",
    "silero_vad.jit": "torchscript",
    "vit4mnist.ptl": "torchscript",
    "silero_vad_16k.safetensors": "safetensors",
    "tar_float32.tar": "torch-tar",
    "alex_v0.0.pth": "torch-legacy",
    "alex_v0.1.pth": "torch-legacy",
    "squeeze.pth": "torch-legacy",
    "legacy_shared_storage.pt": "torch-legacy",
    "si16.model": "torch-zip",
    "band-gap.pth.tar": "torch-legacy",
    "bfloat16.pt": "torch-zip",
    "example_model_v2_regression_mol.ckpt": "torch-zip",
}
# What is odd in some of them is no mistake of the reader: a script wrote this tar, which
# torch itself refuses.
EXPECTED = {"tar_float32.tar": {"missing-record", "broken-record"}}


def identity(path: Path) -> str:
    return path.name


def installed(name: str) -> object | None:
    """A class or function that torch may safely be told about here, if it is installed."""
    module, _, attribute = name.rpartition(".")
    if module.partition(".")[0] not in ("torch", "numpy", "argparse"):
        return None
    found = getattr(importlib.import_module(module), attribute)
    # The file may say where the thing was in an older version.
    return found if f"{found.__module__}.{found.__qualname__}" == name else (found, name)


@pytest.fixture(params=[path for path in FILES if path.name != REFUSED], ids=identity)
def real(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.mark.skipif(not FILES, reason="the corpus of real checkpoints is not here")
class TestCorpus:
    def test_opens(self, real: Path) -> None:
        checkpoint = open_checkpoint(real)
        assert checkpoint.format == FORMATS.get(real.name, checkpoint.format)
        assert checkpoint.file_bytes == real.stat().st_size
        assert checkpoint.tensors
        assert {problem.code for problem in checkpoint.problems} <= EXPECTED.get(real.name, set())

    def test_agrees_with_torch(self, real: Path) -> None:
        checkpoint = open_checkpoint(real)
        if checkpoint.format not in ("torch-zip", "torch-legacy"):
            pytest.skip(f"not torch.load's: {checkpoint.format}")
        outside = [entry.name for entry in checkpoint.globals if not entry.allowed]
        allowed = [found for name in outside if (found := installed(name)) is not None]
        refused = len(allowed) < len(outside)
        if "numpy.dtype" in outside:
            # Building a dtype takes its class, too.
            allowed += [type(np.dtype(name)) for name in ("f4", "f8", "i4", "i8")]
        if refused:
            with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
                load(real)
            pytest.skip(f"torch refuses it: {outside[:3]}")
        with torch.serialization.safe_globals(allowed):
            loaded = load(real)
        assert disagreements(checkpoint, loaded, real) == []

    def test_records_lie_in_the_file(self, real: Path) -> None:
        checkpoint = open_checkpoint(real)
        for storage in list(checkpoint.storages.values())[:200]:
            if storage.record is not None and not storage.record.method:
                assert len(record_bytes(storage, real)) == storage.record.nbytes

    def test_shows(self, real: Path, capsys: pytest.CaptureFixture[str]) -> None:
        for options in ([], ["--json"]):
            assert main(["show", str(real), *options]) == 0
            captured = capsys.readouterr()
            assert captured.err == ""
            assert captured.out.replace("\n", "").isprintable()


def test_agrees_with_safetensors(corpus: Path) -> None:
    path = corpus / "snakers4__silero-vad" / "silero_vad_16k.safetensors"
    checkpoint = open_checkpoint(path)
    with safe_open(path, "pt") as file:
        assert {tensor.name for tensor in checkpoint.tensors} == set(file.keys())
        for tensor in checkpoint.tensors:
            value = file.get_tensor(tensor.name)
            assert tensor.shape == tuple(value.shape)
            assert tensor.dtype == str(value.dtype).removeprefix("torch.")
            assert tensor.stride == value.stride()
            assert tensor.storage is not None
            raw = value.contiguous().view(torch.uint8).numpy().tobytes()
            assert record_bytes(tensor.storage, path)[: len(raw)] == raw


@pytest.fixture
def scripts(corpus: Path) -> Iterator[list[Path]]:
    with warnings.catch_warnings():
        # torch.jit is deprecated, torch says.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", UserWarning)
        yield [
            corpus / "dotnet__TorchSharp" / "linrelu.script.dat",
            corpus / "snakers4__silero-vad" / "silero_vad.jit",
            corpus / "pytorch__ios-demo-app" / "mobilenet_quantized.pt",
        ]


def test_agrees_with_torchscript(scripts: list[Path]) -> None:
    compared = 0
    for path in scripts:
        try:
            state = torch.jit.load(path, map_location="cpu").state_dict()
        except RuntimeError:
            continue  # a quantized engine that this machine lacks
        checkpoint = open_checkpoint(path)
        tensors = {".".join(map(str, tensor.path)): tensor for tensor in checkpoint.tensors}
        for key, value in state.items():
            if not isinstance(value, torch.Tensor):
                continue
            assert key in tensors, path
            assert tensors[key].shape == tuple(value.shape)
            assert tensors[key].dtype == str(value.dtype).removeprefix("torch.")
            assert tensors[key].stride == value.stride()
            compared += 1
    assert compared


def test_a_file_that_is_no_checkpoint(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = corpus / "dotnet__TorchSharp" / REFUSED
    with pytest.raises(CheckpointError):
        open_checkpoint(path)
    assert main(["show", str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"checkpoint-inspector: {path}: ")
    assert captured.err.count("\n") == 1


def test_the_name_does_not_decide(corpus: Path, tmp_path: Path) -> None:
    """Recognised by content: every file again, under a name that says something else."""
    for path in FILES:
        if path.name == REFUSED:
            continue
        for ending in (".pth", ".safetensors", ".onnx", ""):
            other = tmp_path / f"file{ending}"
            shutil.copyfile(path, other)
            assert open_checkpoint(other).format == open_checkpoint(path).format, (path, ending)


def test_python_path_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for content in (
        b"/home/somebody/project\n",
        b"import _virtualenv\n",
        b"import os; var = 'SETUPTOOLS_USE_DISTUTILS'; enabled = True\n",
        b"# a comment\n../src\n",
    ):
        path = tmp_path / "easy-install.pth"
        path.write_bytes(content)
        assert main(["show", str(path)]) == 2
        captured = capsys.readouterr()
        assert captured.err == (
            f"checkpoint-inspector: {path}: this is a path configuration file of Python "
            "(site-packages), not a checkpoint\n"
        )
