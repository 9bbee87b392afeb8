"""Proofs: what was exported rightly passes, and what was not is caught, with the layer."""

from __future__ import annotations

import math
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from onnx import numpy_helper
from real_workers import failed_of, result_of, save_state, write_source

from inspector_app.worker.export import exporting
from inspector_app.worker.input_text import parse_axis, parse_input
from inspector_app.worker.proof import proving
from inspector_app.worker.protocol import (
    Export,
    ExportedProgramOptions,
    FormatOptions,
    Inputs,
    ModelChoice,
    ModelSource,
    OnnxOptions,
    ProofSettings,
    Prove,
    Proved,
    SafetensorsOptions,
    SourceKind,
    StateDictOptions,
    TorchScriptOptions,
)

MODELS = Path(__file__).with_name("models.py")
# What torch warns of in the course of an export is not ours to mend.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
    pytest.mark.usefixtures("own_imports"),
]
TORCHSCRIPT = OnnxOptions(exporter="torchscript")
QUICK = ProofSettings(repeats=2)


def choice(name: str, folder: Path, source: Path = MODELS) -> ModelChoice:
    """A model with weights of its own, saved in `folder`."""
    torch.manual_seed(5)
    from inspector_app.worker.code_source import build

    module = build(f"{source}:{name}", {})
    for each in module.modules():
        if isinstance(each, torch.nn.BatchNorm2d):
            each.running_mean.uniform_(-1, 1)
            each.running_var.uniform_(0.5, 2)
    path = folder / f"{name}.pth"
    torch.save(module.state_dict(), path)
    return ModelChoice(str(path), ModelSource(SourceKind.CODE, f"{source}:{name}"))


def inputs_of(*texts: str, dynamic: tuple[str, ...] = ()) -> Inputs:
    return Inputs(tuple(map(parse_input, texts)), tuple(map(parse_axis, dynamic)))


CNN = inputs_of("image:1,3,8,8", dynamic=("image:0=batch",))


def exported(model: ModelChoice, inputs: Inputs, options: FormatOptions, folder: Path) -> Path:
    staging = folder / f"{options.kind}-staging"
    staging.mkdir()
    result_of(exporting(Export(model, inputs, str(staging), "out", options)))
    return staging / "out"


def proved(model: ModelChoice, inputs: Inputs, file: Path, options: FormatOptions) -> Proved:
    return result_of(proving(Prove(model, inputs, str(file), options, QUICK)))


@pytest.fixture(scope="module")
def cnn(tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelChoice, Path]:
    """A CNN and the ONNX file that the exporter based on torch.export made of it."""
    folder = tmp_path_factory.mktemp("cnn")
    model = choice("Cnn", folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model, exported(model, CNN, OnnxOptions(), folder)


def test_the_exporter_based_on_torch_export(cnn: tuple[ModelChoice, Path]) -> None:
    model, file = cnn
    passes_for_each_batch(proved(model, CNN, file, OnnxOptions()))


@pytest.mark.parametrize(
    "options",
    [
        TORCHSCRIPT,
        TorchScriptOptions("trace"),
        TorchScriptOptions("script", freeze=True),
        ExportedProgramOptions(),
    ],
    ids=lambda each: f"{each.kind}-{getattr(each, 'exporter', getattr(each, 'way', ''))}",
)
def test_what_computes_the_same_passes(tmp_path: Path, options: FormatOptions) -> None:
    model = choice("Cnn", tmp_path)
    passes_for_each_batch(proved(model, CNN, exported(model, CNN, options, tmp_path), options))


def passes_for_each_batch(found: Proved) -> None:
    assert found.passed
    assert found.departs == ""
    # The example's batch and another, two kinds of values each.
    assert [each.sizes["batch"] for each in found.cases] == [1, 1, 2, 2]
    assert all(each.outputs[0].max_abs < 1e-5 for each in found.cases)
    assert found.original_seconds > 0
    assert found.result_seconds > 0
    assert found.runtime.split()[0] in ("onnxruntime", "torch.jit", "torch.export")


@pytest.mark.parametrize("options", [SafetensorsOptions(), StateDictOptions()], ids=str)
def test_weights_are_proven_bit_for_bit_and_run(tmp_path: Path, options: FormatOptions) -> None:
    model = choice("Cnn", tmp_path)
    file = exported(model, CNN, options, tmp_path)
    found = proved(model, CNN, file, options)
    assert found.passed
    assert len(found.cases) == 3
    assert "equal bit for bit" in found.notes[0]
    # Without inputs there is nothing to run.
    assert len(proved(model, Inputs(()), file, options).cases) == 1


def test_weights_that_differ_in_one_bit_do_not_pass(tmp_path: Path) -> None:
    model = choice("Cnn", tmp_path)
    file = exported(model, CNN, StateDictOptions(), tmp_path)
    state = torch.load(file)
    state["features.1.running_mean"][2] += 1e-7
    torch.save(state, file)
    found = proved(model, CNN, file, StateDictOptions())
    assert not found.passed
    assert [each.name for each in found.cases[0].outputs] == ["features.1.running_mean"]
    del state["head.bias"]
    torch.save(state, file)
    case = proved(model, CNN, file, StateDictOptions()).cases[0]
    assert case.error == "1 keys are missing: head.bias"
    file.write_bytes(b"nothing")
    case = proved(model, CNN, file, StateDictOptions()).cases[0]
    assert "cannot be opened" in case.error


@pytest.mark.parametrize("options", [TORCHSCRIPT, TorchScriptOptions(check_inputs=0)], ids=str)
def test_a_trace_that_kept_one_branch_is_caught_on_the_second_input(
    tmp_path: Path, options: FormatOptions
) -> None:
    """The first inputs take the branch that was traced, their mirror image the other."""
    model = choice("Branching", tmp_path)
    inputs = inputs_of("x:2,4")
    found = proved(model, inputs, exported(model, inputs, options, tmp_path), options)
    assert [each.within for each in found.cases] == [True, False]
    assert not found.passed
    if options.kind == "onnx":
        assert found.departs.startswith("forward of Branching itself, after fc (Linear): max abs")


def changed(file: Path, name: str, by: float) -> None:
    """Add to one weight of an ONNX file."""
    model = onnx.load(file)
    (weight,) = [each for each in model.graph.initializer if each.name == name]
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) + by, name))
    onnx.save(model, file)


@pytest.mark.parametrize(
    ("weight", "layer"),
    [
        ("head.weight", "head (Linear)"),
        # A BatchNorm that was folded into the convolution before it stands for both.
        ("features.4.weight", "features.5 (BatchNorm2d)"),
    ],
)
def test_the_layer_that_departs_is_named(
    cnn: tuple[ModelChoice, Path], tmp_path: Path, weight: str, layer: str
) -> None:
    model, file = cnn
    file = Path(shutil.copy(file, tmp_path))
    changed(file, weight, 0.01)
    found = proved(model, CNN, file, OnnxOptions())
    assert not found.passed
    assert found.departs.startswith(f"{layer}: max abs ")
    assert found.original_seconds == 0


def test_the_first_of_many_layers_is_named_with_weights_beside(tmp_path: Path) -> None:
    """By the names of nodes, which the exporter based on TorchScript gives."""
    model = choice("ResNet", tmp_path)
    inputs = inputs_of("x:1,3,32,32", dynamic=("x:0=batch",))
    options = replace(TORCHSCRIPT, external_data="beside", optimize=False)
    file = exported(model, inputs, options, tmp_path)
    assert proved(model, inputs, file, options).passed
    graph = onnx.load(file, load_external_data=False).graph
    (weight,) = [
        each
        for each in graph.initializer
        if tuple(each.dims) == (32, 16, 1, 1)  # layer3.0.downsample.0
    ]
    place = {each.key: each.value for each in weight.external_data}
    with file.with_name("out.data").open("r+b") as stream:
        stream.seek(int(place.get("offset", 0)))
        stream.write(torch.full((32 * 16,), 0.5).numpy().tobytes())
    found = proved(model, inputs, file, options)
    assert not found.passed
    assert found.departs.startswith("layer3.0.downsample."), found.departs


def test_a_departure_is_found_with_weights_beside_by_metadata(tmp_path: Path) -> None:
    model = choice("Mlp", tmp_path)
    inputs = inputs_of("x:1,8")
    options = OnnxOptions(external_data="beside")
    file = exported(model, inputs, options, tmp_path)
    assert sorted(each.name for each in file.parent.iterdir()) == ["out", "out.data"]
    assert proved(model, inputs, file, options).passed
    data = bytearray(file.with_name("out.data").read_bytes())
    data[: 16 * 8 * 4] = torch.full((16 * 8,), 0.5).numpy().tobytes()
    file.with_name("out.data").write_bytes(data)
    found = proved(model, inputs, file, options)
    assert found.departs.startswith("layers.0 (Linear): max abs "), found


def test_outputs_are_compared_by_name_and_tell_which_departs(tmp_path: Path) -> None:
    model = choice("TwoInputs", tmp_path)
    inputs = inputs_of("extra:1,3", "image:1,6", dynamic=("image:0=batch", "extra:0=batch"))
    file = exported(model, inputs, OnnxOptions(), tmp_path)
    changed(file, "score.bias", 1.0)
    found = proved(model, inputs, file, OnnxOptions())
    outputs = {each.name: each for each in found.cases[0].outputs}
    assert outputs["features"].within
    assert outputs["score"].max_abs == pytest.approx(1.0)
    assert found.departs.startswith("score (Linear)")


def test_sizes_that_the_original_refuses_are_no_departure(tmp_path: Path) -> None:
    model = choice("UNet", tmp_path)
    inputs = inputs_of("x:1,1,8,8", dynamic=("x:0=batch", "x:2=height:4..16", "x:3=width:4..16"))
    found = proved(model, inputs, exported(model, inputs, OnnxOptions(), tmp_path), OnnxOptions())
    assert found.passed
    sizes = [each.sizes for each in found.cases]
    assert {"batch": 2, "height": 16, "width": 16} in sizes
    assert {"batch": 1, "height": 4, "width": 8} in sizes
    assert not any(each["height"] == 9 for each in sizes)
    assert any("batch=1, height=9, width=8" in note for note in found.notes)


def test_a_result_that_takes_one_size_alone_fails(tmp_path: Path) -> None:
    """Exported for a batch of 2, then said to have a dynamic one."""
    model = choice("Cnn", tmp_path)
    static = inputs_of("image:2,3,8,8")
    file = exported(model, static, OnnxOptions(), tmp_path)
    assert proved(model, static, file, OnnxOptions()).passed
    found = proved(model, replace(static, dynamic=CNN.dynamic), file, OnnxOptions())
    assert not found.passed
    wrong = [each for each in found.cases if each.error]
    assert {each.sizes["batch"] for each in wrong} == {1, 3, 4}
    assert "the result cannot be run" in wrong[0].error


def test_a_node_that_fails_is_said_with_its_layer(tmp_path: Path) -> None:
    """A trace of attention keeps the length that it saw."""
    source = write_source(tmp_path, ATTENTION, "attention.py")
    model = choice("Attention", tmp_path, source)
    inputs = inputs_of("x:1,3,4", dynamic=("x:1=length",))
    file = exported(model, inputs, TORCHSCRIPT, tmp_path)
    found = proved(model, inputs, file, TORCHSCRIPT)
    assert not found.passed
    wrong = next(each for each in found.cases if each.error)
    assert wrong.error.startswith("the result cannot be run: the Reshape node /inner/Reshape")
    assert "Input shape:" in wrong.error
    assert "/onnxruntime" not in wrong.error
    assert found.departs == "inner (MultiheadAttention)"


ATTENTION = """
    from torch import nn
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.MultiheadAttention(4, 2, batch_first=True)
        def forward(self, x):
            return self.inner(x, x, x, need_weights=False)[0]
"""


def test_a_result_that_cannot_be_opened_fails(tmp_path: Path) -> None:
    model = choice("Cnn", tmp_path)
    file = tmp_path / "out"
    file.write_bytes(b"no model")
    for options in (OnnxOptions(), TorchScriptOptions(), ExportedProgramOptions()):
        found = proved(model, CNN, file, options)
        assert not found.passed
        assert "the file cannot be opened" in found.cases[0].error


def test_another_models_file_fails_by_its_shapes(tmp_path: Path) -> None:
    other = choice("Mlp", tmp_path)
    inputs = inputs_of("x:1,8", dynamic=("x:0=batch",))
    file = exported(other, inputs, TorchScriptOptions(), tmp_path)
    narrower = replace(other.source, arguments={"classes": 3})
    model = replace(
        other,
        source=narrower,
        weights=replace(other.weights, load=False),
    )
    found = proved(model, inputs, file, TorchScriptOptions())
    assert found.cases[0].error == "output output has shape [1, 4] instead of [1, 3]"


RANDOM = """
    import torch
    from torch import nn
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)
        def forward(self, x):
            return torch.nn.functional.dropout(self.fc(x), 0.5)
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)
        def forward(self, x, mask):
            x = self.fc(x.masked_fill_(mask, 0.0))
            return x / (~mask).sum(-1, keepdim=True)
"""


def test_a_model_that_draws_at_random_is_not_compared(tmp_path: Path) -> None:
    source = write_source(tmp_path, RANDOM, "noisy.py")
    save_state(source, "Noisy")
    model = choice("Noisy", tmp_path, source)
    inputs = inputs_of("x:2,4")
    file = exported(model, inputs, OnnxOptions(), tmp_path)
    failed = failed_of(proving(Prove(model, inputs, str(file), OnnxOptions(), QUICK)))
    assert failed.code == "not-deterministic"
    assert "dropout" in failed.next_step


@pytest.mark.parametrize("options", [OnnxOptions(), TORCHSCRIPT], ids=str)
def test_nan_on_both_sides_and_inputs_that_forward_overwrites(
    tmp_path: Path, options: FormatOptions
) -> None:
    source = write_source(tmp_path, RANDOM, "noisy.py")
    save_state(source, "Masked")
    model = choice("Masked", tmp_path, source)
    torch.save(torch.tensor([[True] * 4, [False] * 3 + [True]]), tmp_path / "mask.pt")
    inputs = inputs_of("x:2,4", f"mask=@{tmp_path / 'mask.pt'}")
    found = proved(model, inputs, exported(model, inputs, options, tmp_path), options)
    assert found.passed
    assert not any(math.isnan(each.max_abs) for case in found.cases for each in case.outputs)


def test_the_tolerance_can_be_given(cnn: tuple[ModelChoice, Path], tmp_path: Path) -> None:
    model, file = cnn
    file = Path(shutil.copy(file, tmp_path))
    changed(file, "head.bias", 1e-3)

    def passes(**bounds: Any) -> bool:
        settings = replace(QUICK, **bounds)
        return result_of(proving(Prove(model, CNN, str(file), OnnxOptions(), settings))).passed

    assert not passes()
    assert not passes(atol=5e-4, rtol=0.0)
    assert passes(atol=2e-3)


def test_layers_are_not_blamed_where_none_can_be_watched(cnn: tuple[ModelChoice, Path]) -> None:
    """An original in TorchScript has no hooks; a graph that is right has no layer to blame."""
    from inspector_app.worker.closeness import bounds_for
    from inspector_app.worker.model_source import building
    from inspector_app.worker.onnx_layers import first_departure

    model, file = cnn

    module = result_of(building(model)).module
    image = torch.randn(2, 3, 8, 8)
    bounds = bounds_for([torch.float32], ProofSettings())
    found = first_departure(module, lambda: module(image), str(file), {"image": image}, bounds)
    assert found.startswith("no layer while onnxruntime leaves the graph as it is")
    script = torch.jit.script(module)
    found = first_departure(script, lambda: script(image), str(file), {"image": image}, bounds)
    assert found == ""
