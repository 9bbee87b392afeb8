"""What the integers of quantized files stand for, against those who wrote them: torchao,
torch.ao and ONNX Runtime."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from inspector_app.analysis.quantized_storage import quantized_storage
from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.errors import NoValues
from inspector_app.checkpoint.model import Checkpoint, TensorInfo
from inspector_app.checkpoint.values import open_values
from inspector_app.cli import run
from tests.checkpoint import torch_files

INNER, OUTER = 96, 64


def named(checkpoint: Checkpoint, name: str) -> TensorInfo:
    return next(tensor for tensor in checkpoint.tensors if tensor.name == name)


def check_values(checkpoint: Checkpoint, tensor: TensorInfo, wanted: np.ndarray) -> None:
    """Whole, by blocks, and a part that goes backwards in steps: each bit."""
    with open_values(checkpoint) as reader:
        whole = reader.read(tensor)
        blocks = np.concatenate([block.copy() for block in reader.blocks(tensor)])
        slices = (slice(3, 20, 3), slice(60, 10, -7))
        part = reader.read(tensor, slices)
        nothing = reader.read(tensor, (slice(0, 0), slice(0, 0)))
    assert nothing.shape == (0, 0)
    assert whole.dtype == np.float32
    np.testing.assert_array_equal(whole, wanted)
    np.testing.assert_array_equal(blocks.reshape(tensor.shape), wanted)
    np.testing.assert_array_equal(part, wanted[slices])


TORCHAO = {
    "int8": ("Int8WeightOnlyConfig", {}, 8 + 8 * 5 / INNER),
    "int8 dynamic": ("Int8DynamicActivationInt8WeightConfig", {}, 8 + 8 * 5 / INNER),
    "float8": ("Float8WeightOnlyConfig", {}, 8 + 8 * 4 / INNER),
    "int4 groups": ("IntxWeightOnlyConfig", {"group": 32, "bits": 4}, 8 + 8 * 5 / 32),
    "int4 affine": (
        "IntxWeightOnlyConfig",
        {"group": 32, "bits": 4, "mapping": "ASYMMETRIC"},
        8 + 8 * 5 / 32,
    ),
    "int8 rows": ("IntxWeightOnlyConfig", {"bits": 8}, 8 + 8 * 5 / INNER),
}


def torchao_config(name: str, options: dict[str, Any]) -> Any:
    from torchao import quantization
    from torchao.quantization.granularity import PerAxis, PerGroup

    if name != "IntxWeightOnlyConfig":
        return getattr(quantization, name)()
    more = {"mapping_type": quantization.MappingType[options.get("mapping", "SYMMETRIC")]}
    granularity = PerGroup(options["group"]) if "group" in options else PerAxis(0)
    return quantization.IntxWeightOnlyConfig(
        weight_dtype=getattr(torch, f"int{options['bits']}"), granularity=granularity, **more
    )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", TORCHAO)
def test_torchao(kind: str, dtype: str, tmp_path: Path) -> None:
    pytest.importorskip("torchao")
    name, options, bits = TORCHAO[kind]
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(INNER, OUTER)).to(getattr(torch, dtype))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torchao.quantization import quantize_

        quantize_(model, torchao_config(name, options))
        torch.save(model.state_dict(), tmp_path / "x.pth")
        wanted = model[0].weight.dequantize().float().numpy()
        integers = model[0].weight.qdata
    checkpoint = open_checkpoint(tmp_path / "x.pth")
    weight = named(checkpoint, "0.weight")
    check_values(checkpoint, weight, wanted)
    with open_values(checkpoint) as reader:
        raw = reader.read(weight, raw=True).astype(np.float32)
    np.testing.assert_array_equal(raw, integers.float().numpy())
    found = quantized_storage(weight)
    assert found is not None
    smaller_scales = dtype == "bfloat16" and name == "IntxWeightOnlyConfig"
    group = options.get("group", INNER)
    assert found.bits == pytest.approx(bits - (16 / group if smaller_scales else 0))
    assert found.block == (1, group)
    assert found.scales == OUTER * INNER // group


def test_show_says_how(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weight = torch.linspace(-1, 1, 8 * 4).reshape(8, 4)
    zeros = torch.zeros(8, dtype=torch.int64)
    with torch_files.prototypes():
        made = {
            "tensor": torch.quantize_per_tensor(weight, 0.01, 3, torch.quint8),
            "channel": torch.quantize_per_channel(weight, torch.ones(8), zeros, 0, torch.qint8),
        }
        torch.save(made, tmp_path / "x.pth")
    assert run(["show", str(tmp_path / "x.pth")]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert lines["tensor"].endswith("scale 0.01, zero_point 3, 12 bits a value")
    assert lines["channel"].endswith("axis 0, 8 scales, one for [1, 4], 40 bits a value")


def test_scales_that_do_not_fit_give_no_values(tmp_path: Path) -> None:
    pytest.importorskip("torchao")
    model = nn.Sequential(nn.Linear(INNER, OUTER))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torchao.quantization import Int8WeightOnlyConfig, quantize_

        quantize_(model, Int8WeightOnlyConfig())
        model[0].weight.scale = torch.ones(7, 1)
        torch.save(model.state_dict(), tmp_path / "x.pth")
    checkpoint = open_checkpoint(tmp_path / "x.pth")
    with open_values(checkpoint) as reader, pytest.raises(NoValues, match=r"\[7, 1\]"):
        reader.read(named(checkpoint, "0.weight"))


def test_torch_ao_dynamic_and_static(tmp_path: Path) -> None:
    torch.manual_seed(2)
    weight = torch.randn(OUTER, INNER)
    with torch_files.prototypes():
        by_tensor = torch.quantize_per_tensor(weight, 0.02, 3, torch.qint8)
        by_channel = torch.quantize_per_channel(
            weight,
            weight.abs().amax(1) / 127,
            torch.zeros(OUTER, dtype=torch.int64),
            0,
            torch.qint8,
        )
        torch.save({"a": by_tensor, "b": by_channel}, tmp_path / "x.pth")
    checkpoint = open_checkpoint(tmp_path / "x.pth")
    for name, made, more in (("a", by_tensor, 16), ("b", by_channel, OUTER * 16)):
        tensor = named(checkpoint, name)
        check_values(checkpoint, tensor, made.dequantize().numpy())
        found = quantized_storage(tensor)
        assert found is not None
        assert found.bits == pytest.approx(8 + 8 * more / weight.numel())
    assert quantized_storage(named(checkpoint, "b")).block == (1, INNER)


@pytest.fixture(scope="module")
def float_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("onnx")
    torch.manual_seed(3)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnxruntime.quantization.shape_inference import quant_pre_process

        example = (torch.randn(1, 1, 8, 8),)
        torch.onnx.export(model, example, folder / "f.onnx", dynamo=False, input_names=["x"])
        quant_pre_process(folder / "f.onnx", folder / "p.onnx")
    return folder / "p.onnx"


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("way", ["dynamic", "static"])
def test_onnx_runtime(float_model: Path, tmp_path: Path, way: str, per_channel: bool) -> None:
    import onnx
    from onnx import numpy_helper
    from onnxruntime import quantization

    out = tmp_path / "q.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if way == "dynamic":
            quantization.quantize_dynamic(
                float_model, out, per_channel=per_channel, op_types_to_quantize=["MatMul", "Gemm"]
            )
        else:
            quantization.quantize_static(float_model, out, _Samples(), per_channel=per_channel)
    graph = onnx.load(out).graph
    arrays = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    checkpoint = open_checkpoint(out)
    seen = 0
    for tensor in checkpoint.tensors:
        if not tensor.name.endswith("_quantized"):
            continue
        seen += 1
        base = (
            tensor.name if f"{tensor.name}_scale" in arrays else tensor.name[: -len("_quantized")]
        )
        integers, scale = arrays[tensor.name], arrays[f"{base}_scale"]
        zero = arrays[f"{base}_zero_point"]
        if scale.ndim and scale.size > 1:
            axis = next(a for a, size in enumerate(integers.shape) if size == scale.size)
            shape = [1] * integers.ndim
            shape[axis] = scale.size
            scale, zero = scale.reshape(shape), zero.reshape(shape)
        wanted = (integers.astype(np.int64) - zero).astype(np.float32) * scale
        with open_values(checkpoint) as reader:
            np.testing.assert_array_equal(reader.read(tensor), wanted)
        found = quantized_storage(tensor)
        assert found is not None
        more = scale.nbytes + zero.nbytes
        assert found.bits == pytest.approx(8 * (integers.nbytes + more) / integers.size)
        assert math.prod(found.block) * found.scales == integers.size
    assert seen == (1 if way == "dynamic" else 4)


class _Samples:
    def __init__(self) -> None:
        made = np.random.default_rng(0)
        self._left = [{"x": made.normal(size=(1, 1, 8, 8)).astype(np.float32)} for _ in range(3)]

    def get_next(self) -> dict[str, np.ndarray] | None:
        return self._left.pop() if self._left else None
