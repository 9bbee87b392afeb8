"""ONNX models: what is in them, what their options do, and why some cannot be made."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import onnx
import pytest
import torch
from real_workers import failed_of, result_of, save_state, write_source

from inspector_app.worker.export import exporting
from inspector_app.worker.export_run import ExportPlan
from inspector_app.worker.export_run import exporting as running
from inspector_app.worker.input_text import parse_axis, parse_input
from inspector_app.worker.protocol import (
    Export,
    Exported,
    Inputs,
    ModelChoice,
    ModelSource,
    OnnxOptions,
    SourceKind,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
    pytest.mark.usefixtures("own_imports"),
]
MODELS = Path(__file__).with_name("models.py")
EXPORTERS = ("dynamo", "torchscript")


def request_of(
    folder: Path, name: str, options: OnnxOptions, *texts: str, source: Path = MODELS
) -> Export:
    """Inputs and dynamic axes as the command line has them; the latter contain ``=``."""
    torch.manual_seed(2)
    from inspector_app.worker.code_source import build

    spec = f"{source}:{name}"
    torch.save(build(spec, {}).state_dict(), folder / "model.pth")
    inputs = Inputs(
        tuple(parse_input(each) for each in texts if "=" not in each),
        tuple(parse_axis(each) for each in texts if "=" in each),
    )
    (folder / "staging").mkdir()
    model = ModelChoice(str(folder / "model.pth"), ModelSource(SourceKind.CODE, spec))
    return Export(model, inputs, str(folder / "staging"), "m.onnx", options)


def exported(request: Export) -> tuple[Exported, onnx.ModelProto]:
    done = result_of(exporting(request))
    return done, onnx.load(Path(request.staging, "m.onnx"))


def axes(value: onnx.ValueInfoProto) -> list[str | int]:
    return [each.dim_param or each.dim_value for each in value.type.tensor_type.shape.dim]


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_names_axes_operators_and_metadata(tmp_path: Path, exporter: str) -> None:
    options = OnnxOptions(exporter, metadata={"epoch": "3", "näme": "ü"})
    request = request_of(
        tmp_path, "TwoInputs", options, "extra:1,3", "image:1,6", "image:0=batch", "extra:0=batch"
    )
    done, model = exported(request)
    # Inputs in the order of forward, however they were given; outputs by the dictionary's keys.
    assert [(each.name, axes(each)) for each in model.graph.input] == [
        ("image", ["batch", 6]),
        ("extra", ["batch", 3]),
    ]
    assert [each.name for each in model.graph.output] == ["score", "features"]
    assert [each.name for each in done.outputs] == ["score", "features"]
    assert {each.key: each.value for each in model.metadata_props}["näme"] == "ü"
    assert done.operators["Gemm"] == 3
    assert sum(done.operators.values()) == len(model.graph.node)
    assert done.files == ("m.onnx",)
    assert done.nbytes == Path(request.staging, "m.onnx").stat().st_size
    assert ("deprecated" in " ".join(done.notes)) == (exporter == "torchscript")


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_names_and_opset_can_be_given(tmp_path: Path, exporter: str) -> None:
    options = OnnxOptions(exporter, 19, input_names=("pixels",), output_names=("label",))
    _, model = exported(request_of(tmp_path, "Mlp", options, "x:1,8", "x:0=batch"))
    assert [each.name for each in model.graph.input] == ["pixels"]
    assert [each.name for each in model.graph.output] == ["label"]
    assert [(each.domain, each.version) for each in model.opset_import] == [("", 19)]


@pytest.mark.parametrize("names", [("a", "b", "c"), ("a", "a")])
def test_as_many_names_as_there_are_inputs(tmp_path: Path, names: tuple[str, ...]) -> None:
    options = OnnxOptions(input_names=names)
    failed = failed_of(
        exporting(request_of(tmp_path, "TwoInputs", options, "image:1,6", "extra:1,3"))
    )
    assert failed.code == "bad-names"
    assert "which are image, extra" in failed.cause


OUTPUTS = """
    import torch
    from torch import nn
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.score = nn.Parameter(torch.ones(4))
        def forward(self, x, times=1, *, scale, unused=None):
            x = x * times
            return {"score": x * self.score, "parts": (x + scale, scale)}
    class Ignoring(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)
        def forward(self, x, y):
            return self.fc(x)
"""


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_keywords_defaults_and_outputs_with_the_names_of_weights(
    tmp_path: Path, exporter: str
) -> None:
    """What forward has a default for is no input."""
    options = OnnxOptions(exporter)
    source = write_source(tmp_path, OUTPUTS, "outputs.py")
    save_state(source, "Net")
    request = request_of(
        tmp_path, "Net", options, "scale:2,4", "x:2,4", "x:0=n", "scale:0=n", source=source
    )
    done, model = exported(request)
    assert [each.name for each in model.graph.input] == ["x", "scale"]
    assert [each.name for each in model.graph.output] == ["score_2", "parts.0", "parts.1"]
    assert [each.name for each in done.outputs] == ["score", "parts.0", "parts.1"]


def test_an_input_that_nothing_depends_on_is_said(tmp_path: Path) -> None:
    source = write_source(tmp_path, OUTPUTS, "outputs.py")
    save_state(source, "Ignoring")
    request = request_of(
        tmp_path, "Ignoring", OnnxOptions("torchscript"), "x:1,4", "y:1,4", source=source
    )
    done, model = exported(request)
    assert [each.name for each in model.graph.input] == ["x"]
    assert "No output depends on the input y" in done.notes[-1]


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_external_data_is_one_file_named_after_the_model(tmp_path: Path, exporter: str) -> None:
    options = OnnxOptions(exporter, external_data="beside")
    request = request_of(tmp_path, "Cnn", options, "image:1,3,8,8")
    umask = os.umask(0o027)
    try:
        done, model = exported(request)
    finally:
        os.umask(umask)
    assert done.files == ("m.onnx", "m.onnx.data")
    names = {
        entry.value
        for each in onnx.load(
            Path(request.staging, "m.onnx"), load_external_data=False
        ).graph.initializer
        for entry in each.external_data
        if entry.key == "location"
    }
    assert names == {"m.onnx.data"}
    assert model.graph.initializer
    if sys.platform != "win32":
        for name in done.files:
            assert stat.S_IMODE(Path(request.staging, name).stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("exporter", "operator"),
    [("dynamo", "aten.special_airy_ai.default"), ("torchscript", "aten::special_airy_ai")],
)
def test_an_operator_without_onnx_form(tmp_path: Path, exporter: str, operator: str) -> None:
    request = request_of(tmp_path, "NoOnnxForm", OnnxOptions(exporter), "x:1,4")
    failed = failed_of(exporting(request))
    assert failed.code == "operator-without-onnx"
    assert operator in failed.cause
    assert "TorchScript or .pt2" in failed.next_step
    assert failed.traceback


def test_control_flow_on_values_is_found_in_the_models_code(tmp_path: Path) -> None:
    failed = failed_of(exporting(request_of(tmp_path, "Branching", OnnxOptions(), "x:1,4")))
    assert failed.code == "export-fails"
    assert "depends on the values of a tensor" in failed.cause
    assert "if x.sum() > 0" in failed.cause


@pytest.mark.parametrize(
    ("name", "texts", "says"),
    [
        ("FixedBatch", ("x:2,4", "x:0=batch"), "axis 0 of x (batch) can only be 2"),
    ],
)
def test_a_dynamic_axis_that_the_model_fixes(
    tmp_path: Path, name: str, texts: tuple[str, ...], says: str
) -> None:
    failed = failed_of(exporting(request_of(tmp_path, name, OnnxOptions(), *texts)))
    assert failed.code == "axis-not-dynamic"
    assert says in failed.cause


def test_forward_that_fails_says_for_which_shape(tmp_path: Path) -> None:
    failed = failed_of(exporting(request_of(tmp_path, "Mlp", OnnxOptions(), "x:1,7")))
    assert failed.code == "forward"
    assert "x [1, 7] float32" in failed.next_step


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("place", ["inside", "beside"])
def test_a_disk_that_becomes_full(
    tmp_path: Path, small_disk: Path, exporter: str, place: str
) -> None:
    """The weights would have room on it alone, and have not beside what fills it."""
    source = write_source(tmp_path, WIDE, "wide.py")
    options = OnnxOptions(exporter, external_data=place)
    request = request_of(tmp_path, "Wide", options, "x:1,4", source=source)
    (small_disk / "filling").write_bytes(bytes(200 << 10))
    plan = ExportPlan(request.model, request.inputs, options, str(small_disk / "m.onnx"))
    outcome = result_of(running(plan))
    assert outcome.failed is not None
    assert outcome.failed.code == "disk-full", outcome.failed
    assert os.listdir(small_disk) == ["filling"]


WIDE = """
    from torch import nn
    class Wide(nn.Linear):
        def __init__(self):
            super().__init__(4, 2_860)  # 57,200 bytes; 57,344 are left
"""


def test_a_folder_that_nothing_can_be_written_to(tmp_path: Path) -> None:
    request = request_of(tmp_path, "Mlp", OnnxOptions(), "x:1,8")
    plan = ExportPlan(request.model, request.inputs, OnnxOptions(), "/proc/m.onnx")
    failed = result_of(running(plan)).failed
    assert failed is not None
    assert failed.code == "not-writable"
    assert "/proc/m.onnx" in failed.cause


def test_a_failed_proof_writes_nothing_and_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "m.onnx"
    target.write_bytes(b"what was there")
    request = request_of(tmp_path, "Branching", OnnxOptions("torchscript"), "x:2,4")
    Path(request.staging).rmdir()
    before = sorted(os.listdir(tmp_path))
    plan = ExportPlan(request.model, request.inputs, request.options, str(target))
    outcome = result_of(running(plan))
    assert outcome.failed is None
    assert outcome.files == ()
    assert outcome.proved is not None
    assert not outcome.proved.passed
    assert "Branching" in outcome.proved.departs
    assert target.read_bytes() == b"what was there"
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("owned", [True, False])
def test_weights_beside_a_model_that_is_replaced_go_with_it(tmp_path: Path, owned: bool) -> None:
    """But for a file of that name which is none of its own."""
    place = OnnxOptions(external_data="beside" if owned else "inside")
    old = request_of(tmp_path, "Mlp", place, "x:1,8")
    result_of(exporting(old))
    for each in Path(old.staging).iterdir():
        each.rename(tmp_path / each.name)
    data = tmp_path / "m.onnx.data"
    if not owned:
        data.write_bytes(b"somebody's")
    assert data.exists()
    target = str(tmp_path / "m.onnx")
    plan = ExportPlan(old.model, old.inputs, OnnxOptions("torchscript"), target, proof=None)
    outcome = result_of(running(plan))
    assert outcome.files == (target,)
    assert data.exists() is not owned
    assert not onnx.load(target, load_external_data=False).graph.initializer[0].external_data
