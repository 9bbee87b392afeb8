"""The comparison of float and quantized: its figures, and the layer that is to blame."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from quantize_requests import measured_of, quantized_of
from torch import nn

from inspector_app.analysis.quantization_schemes import scheme_named
from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.values import open_values
from inspector_app.worker.example_inputs import Call
from inspector_app.worker.module_flow import followers, fusable
from inspector_app.worker.protocol import Inputs, ModelChoice
from inspector_app.worker.quantize_protocol import (
    CalibrationData,
    DynamicOptions,
    LayerDamage,
    LeftInFloat,
    OnnxDynamicOptions,
    Quantize,
    QuantizeOptions,
)
from inspector_app.worker.quantized_layers import to_leave
from inspector_app.worker.quantized_outputs import Distance, OutputSums, looks_like_scores
from tests.quantizations.matrix import OUTLIER, choice_of, data_of, prepared
from tests.quantizations.quantization_models import Outlier, with_outlier

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    threads, backend = torch.get_num_threads(), torch.backends.quantized.engine
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.backends.quantized.engine = backend


# --- one layer with an outlier


@pytest.fixture(scope="module")
def outlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained model whose second layer one scale for the tensor ruins."""
    return prepared(OUTLIER, tmp_path_factory.mktemp("outlier"), with_outlier)


def request_of(
    checkpoint: Path, options: QuantizeOptions, ending: str, left: tuple[str, ...] = ()
) -> Quantize:
    staging = checkpoint.parent / f"{options.kind}-{len(left)}{ending}"
    staging.mkdir()
    return Quantize(
        choice_of(OUTLIER, checkpoint),
        Inputs(()),
        options,
        LeftInFloat(names=left),
        data_of(checkpoint),
        str(staging),
        f"out{ending}",
        str(staging / f"out{ending}"),
    )


def test_the_preview_ranks_the_layer_first(outlier: Path) -> None:
    from inspector_app.analysis.quantization_error import previewing

    checkpoint = open_checkpoint(outlier)
    weights = [each for each in checkpoint.tensors if each.name.endswith("weight")]
    found = []
    with open_values(checkpoint) as reader:
        for progress in previewing(reader, weights, schemes=[scheme_named("int8-per-tensor")]):
            found += progress.finished
    damage = {each.tensor.name: each.schemes["int8-per-tensor"].damage for each in found}
    assert max(damage, key=lambda name: damage[name]) == "second.weight"


@pytest.mark.parametrize(
    ("options", "ending"),
    [(DynamicOptions(), ".pth"), (OnnxDynamicOptions(per_channel=False), ".onnx")],
    ids=lambda each: getattr(each, "kind", ""),
)
def test_the_report_names_the_layer_and_leaving_it_restores(
    outlier: Path, options: QuantizeOptions, ending: str
) -> None:
    request = request_of(outlier, options, ending)
    quantized = quantized_of(request)
    found = measured_of(request, quantized)
    assert found.float_accuracy > 0.93
    assert found.quantized_accuracy < found.float_accuracy - 0.1
    assert found.breaks == "second"
    assert found.leave[0] == "second"
    worst = max(found.layers, key=lambda each: each.added)
    assert worst.name == "second"
    assert worst.input_sqnr_db > 30 > worst.sqnr_db
    sizes = {each.name: each.float_bytes - each.nbytes for each in quantized.layers}
    assert found.leave_bytes == sum(sizes[name] for name in found.leave)
    again = request_of(outlier, options, ending, found.leave)
    restored = quantized_of(again)
    assert {each.name for each in restored.layers if not each.quantized} == set(found.leave)
    measured = measured_of(again, restored)
    assert measured.quantized_accuracy >= found.float_accuracy - 0.011
    assert measured.outputs[0].sqnr_db > found.outputs[0].sqnr_db + 15
    # Leaving it costs what was said, to the rest of a file.
    assert restored.nbytes - quantized.nbytes == pytest.approx(found.leave_bytes, abs=2_000)


def test_per_channel_scales_take_it(outlier: Path) -> None:
    request = request_of(outlier, replace(DynamicOptions(), per_channel=True), ".pt")
    found = measured_of(request, quantized_of(request))
    assert found.quantized_accuracy >= found.float_accuracy - 0.02


# --- figures


def test_distance_against_the_formula() -> None:
    generator = torch.Generator().manual_seed(0)
    wanted = torch.randn(7, 5, generator=generator)
    found = wanted + 0.01 * torch.randn(7, 5, generator=generator)
    distance = Distance()
    distance.add(wanted[:3], found[:3])
    distance.add(wanted[3:], found[3:])
    w, f = wanted.double(), found.double()
    expected = 10 * math.log10(float((w**2).sum() / ((w - f) ** 2).sum()))
    assert distance.sqnr_db == pytest.approx(expected, rel=1e-12)
    cosine = torch.nn.functional.cosine_similarity(w.flatten(), f.flatten(), 0)
    assert distance.cosine == pytest.approx(float(cosine), rel=1e-12)
    assert distance.most == pytest.approx(float((w - f).abs().max()), rel=1e-12)


def test_distance_of_what_is_equal_broken_or_nothing() -> None:
    equal, broken, masked, silent = Distance(), Distance(), Distance(), Distance()
    equal.add(torch.ones(3), torch.ones(3))
    assert equal.sqnr_db == math.inf
    assert equal.relative == 0
    broken.add(torch.ones(3), torch.tensor([1.0, math.nan, 1.0]))
    assert broken.sqnr_db == -math.inf
    masked.add(torch.tensor([1.0, -math.inf]), torch.tensor([1.0, -math.inf]))
    assert masked.sqnr_db == math.inf
    silent.add(torch.zeros(3), torch.ones(3))
    assert silent.sqnr_db == -math.inf
    assert silent.relative == math.inf


def test_agreement_and_accuracy() -> None:
    sums = OutputSums("output")
    wanted = torch.tensor([[3.0, 1.0], [0.0, 1.0], [5.0, 4.0], [1.0, 2.0]])
    found = torch.tensor([[3.0, 1.0], [2.0, 1.0], [5.0, 4.0], [1.0, 2.0]])
    sums.add(wanted, found, torch.tensor([0, 1, 1, 1]), 4)
    assert sums.damage().agreement == 0.75
    assert [each / sums.labelled for each in sums.right] == [0.75, 0.5]


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("output", (4, 10), True),
        ("output", (4, 1), False),
        ("output", (4,), False),
        ("0", (4, 7, 10), False),
        ("logits", (4, 7, 10), True),
        ("output", (2, 10), False),
    ],
)
def test_what_looks_like_scores(name: str, shape: tuple[int, ...], expected: bool) -> None:
    assert looks_like_scores(name, torch.zeros(shape), 4) is expected


def test_which_layers_to_leave() -> None:
    def damage(name: str, added: float) -> LayerDamage:
        return LayerDamage(name, 20.0, 30.0, added, 100)

    found = [damage("a", 0.01), damage("b", 0.5), damage("c", 0.2), damage("d", 1e-6)]
    assert [each.name for each in to_leave(found)] == ["b", "c"]
    assert to_leave([damage("a", 1e-5)]) == []


def test_what_follows_what() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.bn, self.act = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU()
            self.other, self.fc = nn.Conv2d(2, 2, 3), nn.Linear(2, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.act(self.bn(self.conv(x)))
            y = self.other(x)
            # Two take what `other` gives, so nothing is fused into it.
            return self.fc(self.act(y + y.relu()).mean((2, 3)))

    net = Net().eval()
    tensors = {"x": torch.randn(1, 1, 8, 8)}
    after = followers(net, Call(("x",)), tensors)
    assert after["conv"].name == "bn"
    assert "bn" not in after  # the activation is called twice
    assert fusable(net, Call(("x",)), tensors) == [["conv", "bn"]]
    assert isinstance(Outlier(), nn.Module)


@pytest.mark.parametrize("batch", ["n", 3])
def test_weights_that_two_gemm_nodes_share(tmp_path: Path, batch: str | int) -> None:
    """quantize_dynamic would transpose them twice: layers that were copied, and not trained."""
    import numpy
    import onnx

    generator = numpy.random.default_rng(0)
    weight = generator.standard_normal((16, 16)).astype("float32")
    info, node = onnx.helper.make_tensor_value_info, onnx.helper.make_node
    graph = onnx.helper.make_graph(
        [
            node("Gemm", ["x", "w"], ["a"], name="first", transB=1),
            node("Relu", ["a"], ["b"], name="between"),
            node("Gemm", ["b", "w"], ["y"], name="second", transB=1),
        ],
        "shared",
        [info("x", onnx.TensorProto.FLOAT, [batch, 16])],
        [info("y", onnx.TensorProto.FLOAT, [batch, 16])],
        [onnx.numpy_helper.from_array(weight, "w")],
    )
    path = tmp_path / "shared.onnx"
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save_model(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    numpy.save(tmp_path / "x.npy", generator.standard_normal((20, 16)).astype("float32"))
    data = CalibrationData(path=str(tmp_path / "x.npy"), batch=4)
    staging = tmp_path / "staging"
    staging.mkdir()
    request = Quantize(
        ModelChoice(str(path)),
        Inputs(()),
        OnnxDynamicOptions(),
        LeftInFloat(),
        data,
        str(staging),
        "out.onnx",
        str(staging / "out.onnx"),
    )
    quantized = quantized_of(request)
    assert [each.bits for each in quantized.layers] == [8, 8]
    found = measured_of(request, quantized)
    # Of a graph that fixes the size of its batches, whole ones.
    assert found.samples == (3 if batch == 3 else 4)
    assert found.outputs[0].sqnr_db > 30
    assert [each.sqnr_db > 30 for each in found.layers] == [True, True]
