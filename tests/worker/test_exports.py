"""TorchScript, .pt2 and weights: what is written computes the same, and failures have words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from real_workers import choice_of, failed_of, result_of, save_state, write_source

from inspector_app.checkpoint import open_checkpoint
from inspector_app.worker.export import exporting
from inspector_app.worker.export_run import ExportPlan
from inspector_app.worker.export_run import exporting as running
from inspector_app.worker.failures import Failed, Failure
from inspector_app.worker.input_text import parse_axis, parse_input
from inspector_app.worker.protocol import (
    Export,
    ExportedProgramOptions,
    FormatOptions,
    Inputs,
    ModelChoice,
    SafetensorsOptions,
    StateDictOptions,
    TorchScriptOptions,
)
from inspector_app.worker.staging import Staging

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
INPUTS = Inputs((parse_input("x:1,4"),), (parse_axis("x:0=batch"),))


def request_of(
    choice: ModelChoice, options: FormatOptions, folder: Path, inputs: Inputs = INPUTS
) -> Export:
    staging = folder / "staging"
    staging.mkdir()
    return Export(choice, inputs, str(staging), "out", options)


@pytest.mark.parametrize(
    "options",
    [
        TorchScriptOptions("trace"),
        TorchScriptOptions("script"),
        TorchScriptOptions("trace", freeze=True),
        TorchScriptOptions("script", optimize=True),
    ],
    ids=str,
)
def test_torchscript(checkpoint: Path, net: Path, options: TorchScriptOptions) -> None:
    request = request_of(choice_of(checkpoint, net), options, net.parent)
    exported = result_of(exporting(request))
    assert exported.files == ("out",)
    path = Path(request.staging, "out")
    assert exported.nbytes == path.stat().st_size
    assert exported.outputs[0].shape == (2, 3)
    assert "deprecated" in exported.notes[0]
    assert exported.operators
    x = torch.randn(5, 4)
    wanted = result_of(building_of(checkpoint, net))(x)
    assert torch.allclose(torch.jit.load(path)(x), wanted, atol=1e-6)


def building_of(checkpoint: Path, net: Path) -> Iterator[Any]:
    from inspector_app.worker.model_source import building

    model = yield from building(choice_of(checkpoint, net))
    return model.module


@pytest.mark.parametrize("strict", [False, True])
def test_an_exported_program(checkpoint: Path, net: Path, strict: bool) -> None:
    options = ExportedProgramOptions(strict=strict)
    request = request_of(choice_of(checkpoint, net), options, net.parent)
    exported = result_of(exporting(request))
    assert exported.operators["aten.linear.default"] == 3
    program = torch.export.load(Path(request.staging, "out"))
    x = torch.randn(7, 4)
    assert torch.allclose(program.module()(x), result_of(building_of(checkpoint, net))(x))


def test_several_inputs_by_name_and_a_dictionary(net: Path) -> None:
    path = save_state(net, "Named")
    texts = ["ids:1,5:int64:0..10", "x:1,4"]
    axes = [parse_axis(text) for text in ("x:0=b", "ids:0=b", "ids:1=s")]
    inputs = Inputs(tuple(map(parse_input, texts)), tuple(axes))
    for number, options in enumerate((TorchScriptOptions(), ExportedProgramOptions())):
        folder = net.parent / str(number)
        folder.mkdir()
        request = request_of(choice_of(path, net, "Named"), options, folder, inputs)
        exported = result_of(exporting(request))
        assert [each.name for each in exported.outputs] == ["sum", "parts.0", "parts.1"]
        file = Path(request.staging, "out")
        module = torch.jit.load(file) if number == 0 else torch.export.load(file).module()
        found = module(torch.ones(3, 4), torch.ones(3, 2, dtype=torch.int64))
        assert found["sum"].shape == (3, 3)


def test_safetensors_are_read_by_the_package(checkpoint: Path, net: Path) -> None:
    from safetensors.torch import load_file

    options = SafetensorsOptions({"epoch": "3"})
    request = request_of(choice_of(checkpoint, net), options, net.parent, Inputs(()))
    result_of(exporting(request))
    file = Path(request.staging, "out")
    read = load_file(file)
    wanted = torch.load(checkpoint)
    assert read.keys() == wanted.keys()
    assert all(torch.equal(read[key], wanted[key]) for key in read)
    opened = open_checkpoint(file)
    assert not opened.problems
    assert opened.metadata["epoch"] == "3"


TIED = """
    import torch
    from torch import nn
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(3, 3, bias=False)
            self.b = nn.Linear(3, 3, bias=False)
            self.b.weight = self.a.weight
            self.register_buffer("view", torch.arange(100.)[5:8])
            self.register_buffer("brain", torch.ones(3, dtype=torch.bfloat16))
            self.register_buffer("none", torch.empty(0, 2))
        def forward(self, x):
            return self.b(self.a(x))
"""


def test_a_tied_weight_is_written_once_and_loads(net: Path) -> None:
    from safetensors.torch import load_model

    from inspector_app.worker.code_source import build

    source = write_source(net.parent, TIED, "tied.py")
    path = save_state(source, "Tied")
    request = request_of(
        choice_of(path, source, "Tied"), SafetensorsOptions(), net.parent, Inputs(())
    )
    exported = result_of(exporting(request))
    assert "b.weight is the same tensor as a.weight" in exported.notes[0]
    model = build(f"{source}:Tied", {})
    model.view = model.view.clone()  # load_model refuses views of larger storages
    assert load_model(model, Path(request.staging, "out")) == (set(), [])
    assert torch.equal(model.a.weight, torch.load(path)["a.weight"])


def test_a_clean_state_dict_holds_no_more_than_its_tensors(net: Path) -> None:
    source = write_source(net.parent, TIED, "tied.py")
    path = save_state(
        source, "Tied", lambda state: {"model": state, "optimizer": torch.ones(10_000)}
    )
    request = request_of(
        choice_of(path, source, "Tied"), StateDictOptions(), net.parent, Inputs(())
    )
    result_of(exporting(request))
    file = Path(request.staging, "out")
    read = torch.load(file, weights_only=True)
    assert read["a.weight"].data_ptr() == read["b.weight"].data_ptr()
    assert read["view"].untyped_storage().nbytes() == 12
    assert file.stat().st_size < 5_000


# --- failures


CONTROL_FLOW = """
    from torch import nn
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 3)
        def forward(self, x):
            x = self.fc(x)
            return x * 2 if x.sum() > 0 else x - 1
"""
FIXED = """
    from torch import nn
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 3)
        def forward(self, x):
            n = int(x.shape[0])
            return self.fc(x)[:2] if n == 2 else self.fc(x)[:1] * n
"""
DYNAMIC_PYTHON = """
    from torch import nn
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 3)
        def forward(self, x):
            return getattr(self, "f" + "c")(x)
"""
NUMPY = """
    import torch
    from torch import nn
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 3)
        def forward(self, x):
            return self.fc(x) * float(x.mean())
"""


@pytest.mark.parametrize(
    ("code", "options", "expected", "says"),
    [
        (CONTROL_FLOW, TorchScriptOptions(), "trace-departs", "on other values (1)"),
        (
            CONTROL_FLOW,
            ExportedProgramOptions(),
            "export-fails",
            "depends on the values of a tensor",
        ),
        (FIXED, TorchScriptOptions(), "trace-departs", "on other sizes"),
        (FIXED, ExportedProgramOptions(), "axis-not-dynamic", "constant (2)"),
        (DYNAMIC_PYTHON, TorchScriptOptions("script"), "script-fails", "getattr"),
        (NUMPY, TorchScriptOptions(), "trace-departs", "on other values"),
    ],
)
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_what_cannot_be_exported_says_why(
    net: Path, code: str, options: FormatOptions, expected: str, says: str
) -> None:
    source = write_source(net.parent, code, "flow.py")
    path = save_state(source, "Net")
    failed = failed_of(exporting(request_of(choice_of(path, source), options, net.parent)))
    assert failed.code == expected, failed.cause
    assert says in failed.cause
    assert failed.next_step


@pytest.mark.parametrize(("way", "calls"), [("trace", 1), ("script", 0)])
def test_no_forward_runs_but_the_exporters_own(
    checkpoint: Path, net: Path, way: str, calls: int
) -> None:
    """One of a second would be a tenth of the export."""
    seen: list[str] = []
    hook = torch.nn.modules.module.register_module_forward_pre_hook(
        lambda module, _inputs: seen.append(type(module).__name__)
    )
    options = TorchScriptOptions(way, check_inputs=0)
    try:
        result_of(exporting(request_of(choice_of(checkpoint, net), options, net.parent)))
    finally:
        hook.remove()
    assert seen.count("Net") == calls
    assert seen.count("Block") == calls


@pytest.mark.parametrize("way", ["trace", "script"])
def test_what_is_torchscript_already(tmp_path: Path, way: str) -> None:
    path = tmp_path / "net.pt"
    torch.jit.save(torch.jit.script(torch.nn.Linear(4, 3)), path)
    inputs = Inputs((parse_input("input:2,4"),))
    request = request_of(ModelChoice(str(path)), TorchScriptOptions(way), tmp_path, inputs)
    exported = result_of(exporting(request))
    assert exported.outputs[0].shape == (2, 3)
    assert torch.jit.load(Path(request.staging, "out"))(torch.ones(5, 4)).shape == (5, 3)


@pytest.mark.parametrize("way", ["trace", "script"])
def test_a_forward_that_fails_is_not_the_exporters_fault(
    checkpoint: Path, net: Path, way: str
) -> None:
    inputs = Inputs((parse_input("x:2,5"),))
    request = request_of(choice_of(checkpoint, net), TorchScriptOptions(way), net.parent, inputs)
    failed = failed_of(exporting(request))
    assert failed.code == "forward"
    assert "x [2, 5] float32" in failed.next_step


def test_scripting_keeps_control_flow(net: Path) -> None:
    source = write_source(net.parent, CONTROL_FLOW, "flow.py")
    path = save_state(source, "Net")
    request = request_of(choice_of(path, source), TorchScriptOptions("script"), net.parent)
    assert result_of(exporting(request)).files == ("out",)


BIG = """
    from torch import nn
    class Net(nn.Linear):
        def __init__(self):
            super().__init__(4, 100_000)
"""
MANY = """
    from torch import nn
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(200))
        def forward(self, x):
            for layer in self.layers:
                x = layer(x)
            return x
"""
OPTIONS: dict[str, FormatOptions] = {
    "a.pt": TorchScriptOptions(),
    "a.pt2": ExportedProgramOptions(),
    "a.pth": StateDictOptions(),
    "a.safetensors": SafetensorsOptions(),
}


@pytest.mark.parametrize(
    "options",
    OPTIONS.values(),
    ids=OPTIONS,
)
def test_a_full_disk(net: Path, small_disk: Path, options: FormatOptions) -> None:
    source = write_source(net.parent, BIG, "big.py")
    path = save_state(source, "Net")
    failed = failed_of(exporting(request_of(choice_of(path, source), options, small_disk)))
    assert failed.code == "disk-full", failed.cause


@pytest.mark.parametrize("name", ["a.pt", "a.pt2", "a.pth", "a.safetensors"])
def test_a_disk_that_becomes_full_while_it_is_written(
    net: Path, small_disk: Path, name: str
) -> None:
    """The weights alone would have room. torch.jit.save aborts the process then."""
    source = write_source(net.parent, MANY, "many.py")
    path = save_state(source, "Net")
    (small_disk / "filling").write_bytes(bytes(220 << 10))
    options = OPTIONS[name]
    plan = ExportPlan(choice_of(path, source), INPUTS, options, str(small_disk / name), proof=None)
    outcome = result_of(running(plan))
    assert outcome.failed.code == "disk-full", outcome.failed
    assert os.listdir(small_disk) == ["filling"]


# --- the folder beside the target


def test_files_are_placed_together_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_text("old")
    (tmp_path / "m.onnx.data").write_text("old data")
    with Staging(str(tmp_path / "m.onnx")) as staging:
        Path(staging.folder, "m.onnx").write_text("new")
        with pytest.raises(Failure):
            staging.place(["m.onnx", "m.onnx.data"])
        assert (tmp_path / "m.onnx").read_text() == "old"
        assert (tmp_path / "m.onnx.data").read_text() == "old data"
        Path(staging.folder, "m.onnx.data").write_text("new data")
        staging.place(["m.onnx", "m.onnx.data"])
    assert (tmp_path / "m.onnx").read_text() == "new"
    assert (tmp_path / "m.onnx.data").read_text() == "new data"
    assert sorted(os.listdir(tmp_path)) == ["m.onnx", "m.onnx.data"]


def test_a_folder_in_the_place_of_a_file_is_kept(tmp_path: Path) -> None:
    (tmp_path / "m.onnx.data").mkdir()
    (tmp_path / "m.onnx.data" / "mine").write_text("kept")
    with Staging(str(tmp_path / "m.onnx")) as staging:
        for name in ("m.onnx", "m.onnx.data"):
            Path(staging.folder, name).write_text("new")
        with pytest.raises(Failure, match="is a folder there"):
            staging.place(["m.onnx", "m.onnx.data"])
    assert (tmp_path / "m.onnx.data" / "mine").read_text() == "kept"
    assert os.listdir(tmp_path) == ["m.onnx.data"]


def test_a_target_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for target in (tmp_path / "nowhere" / "a.pt", tmp_path / "folder", Path("/proc/a.pt")):
        with pytest.raises(Failure) as caught:
            Staging(str(target))
        failed: Failed = caught.value.failed
        assert failed.code == "not-writable"
        assert str(target) in failed.cause
