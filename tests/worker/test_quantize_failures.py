"""What cannot be quantized is a sentence with a next step; each is provoked here."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from quantize_requests import failure_of, quantized_of, request_of, save_samples
from real_workers import choice_of, failed_of, save_state, write_source

from inspector_app.worker.failures import Failed
from inspector_app.worker.input_text import parse_input
from inspector_app.worker.protocol import Inputs, ModelChoice, ModelSource, SourceKind
from inspector_app.worker.quantize_protocol import (
    CalibrationData,
    CastOptions,
    DataKind,
    DynamicOptions,
    LeftInFloat,
    Measure,
    OnnxDynamicOptions,
    OnnxStaticOptions,
    Quantized,
    StaticOptions,
    WeightOnlyOptions,
)
from inspector_app.worker.quantize_run import QuantizePlan, check_plan, quantizing
from inspector_app.worker.quantized_truth import measuring

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("own_imports")]
SOURCE = """
    import torch
    from torch import nn
    from torch.ao.quantization import DeQuantStub, QuantStub

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(4, 8), nn.Linear(8, 3)
        def forward(self, x):
            return self.last(self.first(x).relu())

    class Norm(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.LayerNorm(4)
        def forward(self, x):
            return self.norm(x)

    class Branching(Net):
        def forward(self, x):
            return self.last(self.first(x)) if x.sum() > 0 else self.last(self.first(-x))

    class Adding(Net):
        def __init__(self):
            super().__init__()
            self.quant, self.dequant = QuantStub(), DeQuantStub()
        def forward(self, x):
            x = self.first(self.quant(x))
            return self.dequant(self.last(x * torch.sigmoid(x) + x))

    def loader():
        yield torch.zeros(4, 4)
        raise OSError("the disk is gone")

    def good():
        generator = torch.Generator().manual_seed(1)
        for _ in range(40):
            x = torch.randn(4, 4, generator=generator)
            yield x, x.argmax(1) % 3

    def number():
        return 3
"""


@pytest.fixture(autouse=True)
def backend() -> Iterator[None]:
    """What a request sets for the whole process is set back."""
    before = torch.backends.quantized.engine
    yield
    torch.backends.quantized.engine = before


@pytest.fixture
def source(tmp_path: Path, own_imports: None) -> Path:
    return write_source(tmp_path, SOURCE, "models.py")


@pytest.fixture
def net(source: Path) -> Path:
    return save_state(source, "Net")


@pytest.fixture
def data(tmp_path: Path) -> CalibrationData:
    generator = torch.Generator().manual_seed(0)
    return save_samples(tmp_path / "data.npz", x=torch.randn(40, 4, generator=generator))


def said(failed: Failed, code: str) -> str:
    """Its two sentences, which are whole."""
    assert failed.code == code, failed.cause
    assert "{" not in failed.cause + failed.next_step
    return f"{failed.cause} {failed.next_step}"


@pytest.mark.parametrize(
    "options",
    [DynamicOptions(), StaticOptions(), WeightOnlyOptions(), OnnxDynamicOptions()],
    ids=lambda each: each.kind,
)
def test_no_layer_to_quantize(source: Path, data: CalibrationData, options: object) -> None:
    checkpoint = save_state(source, "Norm")
    ending = ".onnx" if "onnx" in options.kind else ".pth"
    request = request_of(checkpoint, source, options, data, name="Norm", ending=ending)
    text = said(failure_of(request), "nothing-to-quantize")
    assert "LayerNorm" in text
    assert "it takes" in text


def test_all_layers_left_in_float(source: Path, net: Path, data: CalibrationData) -> None:
    left = LeftInFloat(patterns=("first",), names=("last",))
    text = said(
        failure_of(request_of(net, source, DynamicOptions(), data, left=left)),
        "nothing-to-quantize",
    )
    assert "first and 1 more: left in float as asked" in text


@pytest.mark.parametrize(
    "left", [LeftInFloat(patterns=("heads.*",)), LeftInFloat(names=("heads.1",))]
)
def test_a_layer_that_is_none(
    source: Path, net: Path, data: CalibrationData, left: LeftInFloat
) -> None:
    request = request_of(net, source, DynamicOptions(), data, left=left)
    text = said(failure_of(request), "no-such-layer")
    assert "heads." in text
    assert "It has: first, last." in text


def test_int4_needs_rows_of_whole_groups(source: Path, net: Path) -> None:
    request = request_of(net, source, WeightOnlyOptions(4, 32), None)
    text = said(failure_of(request), "nothing-to-quantize")
    assert "first: its rows of 4 are no multiple of 32" in text


@pytest.mark.parametrize("options", [StaticOptions(), OnnxStaticOptions()], ids=lambda e: e.kind)
def test_calibration_of_the_wrong_shape(
    source: Path, net: Path, tmp_path: Path, options: object
) -> None:
    ending = ".onnx" if "onnx" in options.kind else ".pth"
    wrong = save_samples(tmp_path / "wrong.npz", x=torch.zeros(20, 5))
    text = said(
        failure_of(request_of(net, source, options, wrong, ending=ending)), "calibration-shape"
    )
    assert "wrong.npz" in text
    assert "x [8, 5] float32" in text


@pytest.mark.parametrize("options", [StaticOptions(), OnnxStaticOptions()], ids=lambda e: e.kind)
def test_nan_in_the_data(source: Path, net: Path, tmp_path: Path, options: object) -> None:
    ending = ".onnx" if "onnx" in options.kind else ".pth"
    values = torch.zeros(20, 4)
    values[5, 1:3] = torch.nan
    data = save_samples(tmp_path / "nan.npz", x=values)
    text = said(
        failure_of(request_of(net, source, options, data, ending=ending)), "calibration-nan"
    )
    assert "2 values of x" in text
    assert "in sample 5" in text


@pytest.mark.parametrize(
    ("engine", "name", "code"),
    [("fx", "Branching", "not-quantizable"), ("eager", "Adding", "quantized-fails")],
)
def test_what_a_method_cannot_follow(
    source: Path, data: CalibrationData, engine: str, name: str, code: str
) -> None:
    checkpoint = save_state(source, name)
    options = StaticOptions(engine=engine)
    text = said(failure_of(request_of(checkpoint, source, options, data, name=name)), code)
    assert "FX graph mode" in text if engine == "eager" else "PT2E" in text


def test_a_model_without_stubs(source: Path, net: Path, data: CalibrationData) -> None:
    request = request_of(net, source, StaticOptions(engine="eager"), data)
    assert "Choose FX graph mode" in said(failure_of(request), "no-stubs")


@pytest.mark.parametrize("options", [DynamicOptions(backend="xnnpack"), StaticOptions(backend="a")])
def test_a_backend_that_this_machine_lacks(
    source: Path, net: Path, data: CalibrationData, options: object
) -> None:
    text = said(failure_of(request_of(net, source, options, data)), "backend-missing")
    assert any(each in text for each in torch.backends.quantized.supported_engines)


@pytest.mark.parametrize(
    ("options", "ending"),
    [
        (DynamicOptions(engine="torchao"), ".pth"),
        (WeightOnlyOptions(), ".pth"),
        (WeightOnlyOptions(4, 32), ".pth"),
        (StaticOptions(engine="pt2e"), ".pt2"),
    ],
)
def test_no_torchao(
    source: Path,
    net: Path,
    data: CalibrationData,
    monkeypatch: pytest.MonkeyPatch,
    options: object,
    ending: str,
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchao"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torchao", None)
    text = said(
        failure_of(request_of(net, source, options, data, ending=ending)), "package-missing"
    )
    assert "no torchao" in text
    assert "-m pip install torchao" in text


def test_a_graph_has_no_other_layers(source: Path, net: Path, tmp_path: Path) -> None:
    """TorchScript cannot be quantized but by ONNX Runtime."""
    path = tmp_path / "net.pt"
    torch.jit.save(torch.jit.script(torch.nn.Linear(4, 3)), path)
    choice = ModelChoice(str(path), ModelSource(SourceKind.FILE))
    request = request_of(net, source, DynamicOptions(), None, choice=choice)
    assert "whose layers are fixed" in said(failure_of(request), "not-quantizable")


def test_a_value_beyond_fp16(source: Path, tmp_path: Path) -> None:
    path = tmp_path / "large.pth"
    torch.save({"a": torch.ones(3), "b": torch.tensor([1e5, 2.0, -1e6])}, path)
    choice = ModelChoice(str(path))
    for options, count in ((CastOptions(), 2), (CastOptions("float8_e5m2"), 2)):
        request = request_of(path, source, options, None, choice=choice)
        text = said(failure_of(request), "overflow")
        assert f"{count} values of b exceed" in text
    allowed = request_of(path, source, CastOptions(overflow=True), None, choice=choice)
    quantized_of(allowed)
    assert torch.load(allowed.target)["b"].isinf().tolist() == [True, False, True]
    left = LeftInFloat(patterns=("b",))
    kept = request_of(path, source, CastOptions(), None, choice=choice, left=left)
    assert [each.stored for each in quantized_of(kept).layers] == ["float16", "float32"]
    state = torch.load(kept.target)
    assert state["a"].dtype == torch.float16
    assert state["b"].tolist() == [1e5, 2.0, -1e6]


# --- data


def test_data_that_are_none(source: Path, net: Path, tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("no zip")
    (tmp_path / "text.csv").write_text("1,2")
    (tmp_path / "empty").mkdir()
    torch.save([1, 2], tmp_path / "list.pt")
    torch.save(torch.tensor(3.0), tmp_path / "scalar.pt")
    uneven = save_samples(tmp_path / "uneven.npz", x=torch.zeros(9, 4), y=torch.zeros(8, 4))
    few = save_samples(tmp_path / "few.npz", x=torch.zeros(1, 4))
    floats = save_samples(tmp_path / "f.npz", x=torch.zeros(9, 4), labels=torch.zeros(9))
    images = CalibrationData(DataKind.IMAGES, str(tmp_path / "empty"))

    def file(name: str) -> CalibrationData:
        return CalibrationData(path=str(tmp_path / name))

    def loader(name: str) -> CalibrationData:
        return CalibrationData(DataKind.LOADER, f"{source}:{name}")

    for data, code, text in (
        (file("gone.npz"), "calibration-data", "No such file"),
        (file("text.npz"), "calibration-data", "cannot be read"),
        (file("text.csv"), "calibration-data", "ends neither in"),
        (file("list.pt"), "calibration-data", "holds list"),
        (file("scalar.pt"), "calibration-data", "a single number"),
        (uneven, "calibration-data", "different numbers of samples: x 9, y 8"),
        (few, "too-few-samples", "has 1 samples"),
        (floats, "calibration-data", "not one integer for each sample"),
        (images, "calibration-data", "has no image"),
        (loader("loader"), "calibration-data", "fails at batch 1: OSError: the disk is gone"),
        (loader("number"), "calibration-data", "gives int"),
        (loader("absent"), "class-not-found", "absent"),
        (replace(few, batch=0), "calibration-data", "0 in a batch are less than 1"),
    ):
        assert text in said(failure_of(request_of(net, source, StaticOptions(), data)), code)


def test_no_pillow(
    source: Path, net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "PIL"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "PIL", None)
    data = CalibrationData(DataKind.IMAGES, str(tmp_path))
    text = said(failure_of(request_of(net, source, StaticOptions(), data)), "package-missing")
    assert "pip install pillow" in text


# --- the plan, before anything runs


def plan_of(net: Path, source: Path, options: object, name: str, **more: object) -> QuantizePlan:
    return QuantizePlan(choice_of(net, source), Inputs(()), options, str(net.parent / name), **more)


def refused(plan: QuantizePlan) -> Failed:
    """Its failure, which the run reports as an event and in its outcome."""
    steps = quantizing(plan)
    event = next(steps)
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert end.value.value.failed == event
    assert not Path(plan.target).exists() or plan.target == plan.data.path
    return event


def test_what_is_refused_before_a_worker_starts(
    source: Path, net: Path, data: CalibrationData
) -> None:
    for plan, code, text in (
        (plan_of(net, source, DynamicOptions(), "a.onnx"), "quantized-form", ".pth or .pt."),
        (plan_of(net, source, StaticOptions(), "a.pth"), "calibration-needed", "needs calib"),
        (
            plan_of(net, source, DynamicOptions(dtype="float16"), "a.pt", data=data),
            "quantized-form",
            "ends in .pth",
        ),
        (
            replace(
                plan_of(net, source, CastOptions(), "a.pth", data=data), model=ModelChoice(str(net))
            ),
            "model-needed",
            "Name the class",
        ),
        (
            plan_of(net, source, CastOptions(), "Net.pth"),
            "not-writable",
            "reads that very file",
        ),
    ):
        with pytest.raises(Exception, match=r".") as caught:
            check_plan(plan)
        assert text in said(caught.value.failed, code)
        if code != "not-writable":
            assert refused(plan).code == code


def test_a_folder_that_is_not_there(source: Path, net: Path, data: CalibrationData) -> None:
    plan = plan_of(net, source, DynamicOptions(), "nowhere/a.pth", data=data)
    assert refused(plan).code == "not-writable"


def test_a_file_that_its_code_does_not_load(source: Path, net: Path, data: CalibrationData) -> None:
    request = request_of(net, source, DynamicOptions(), data)
    done = quantized_of(request)
    assert isinstance(done, Quantized)
    Path(request.target).write_bytes(b"something else")
    measure = Measure(
        request.model,
        request.inputs,
        request.options,
        request.left,
        data,
        done,
        request.staging,
    )
    said(failed_of(measuring(measure)), "quantized-not-loaded")


def test_cancelling_leaves_nothing(source: Path, net: Path, data: CalibrationData) -> None:
    plan = plan_of(net, source, StaticOptions(), "cancelled.pth", data=data)
    steps = quantizing(plan, tick=0.05)
    next(steps)
    assert [each for each in net.parent.iterdir() if each.name.startswith(".cancelled")]
    steps.close()
    assert not [each for each in net.parent.iterdir() if "cancelled" in each.name]


def test_random_data_say_so(source: Path, net: Path) -> None:
    data = CalibrationData(DataKind.RANDOM, samples=16, held_out=8)
    inputs = Inputs((parse_input("x:4,4"),))
    done = quantized_of(request_of(net, source, StaticOptions(), data, inputs=inputs))
    assert any("The data are random" in note for note in done.notes)
