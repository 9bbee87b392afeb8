"""An environment with torch and what torch needs, and nothing of ours: the worker runs there
from its own folder, exports TorchScript and ``.pt2``, and says what ONNX would need."""

from __future__ import annotations

import re
import subprocess
import sys
import venv
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
import torch
from real_workers import NET, answer, choice_of, result_of, save_state, write_source

from inspector_app.worker.export_run import ExportPlan, exporting
from inspector_app.worker.failures import Failed
from inspector_app.worker.input_text import parse_axis, parse_input
from inspector_app.worker.interpreters import missing
from inspector_app.worker.protocol import (
    Describe,
    ExportedProgramOptions,
    Finished,
    FormatOptions,
    Inputs,
    ModelChoice,
    ModelSource,
    OnnxOptions,
    Probe,
    Probed,
    Prove,
    SafetensorsOptions,
    SourceKind,
    StateDictOptions,
    TorchScriptOptions,
)
from inspector_app.worker.quantize_protocol import (
    CalibrationData,
    MeasureSettings,
    ProbeMethods,
    StaticOptions,
    WeightOnlyOptions,
)
from inspector_app.worker.quantize_run import QuantizePlan, quantizing

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
INPUTS = Inputs((parse_input("x:1,4"),), (parse_axis("x:0=batch"),))


def needed_by(name: str) -> Iterator[Distribution]:
    """A package and all that it requires, as far as it is installed here."""
    todo, seen = [name], set()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        found = distribution(name)
        yield found
        for text in found.requires or []:
            # What has a marker is for other systems, or an extra.
            if ";" not in text:
                todo.append(re.match(r"[\w.-]+", text)[0])  # type: ignore[index]


@pytest.fixture(scope="module")
def torch_alone(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A virtual environment whose packages are links to this one's torch."""
    folder = tmp_path_factory.mktemp("alone") / "environment"
    venv.EnvBuilder(symlinks=True, with_pip=False).create(folder)
    packages = next(folder.glob("lib/python*/site-packages"))
    for found in needed_by("torch"):
        for file in found.files or []:
            top = file.parts[0]
            if top not in ("..", "__pycache__") and not (packages / top).exists():
                (packages / top).symlink_to(Path(str(found.locate_file(top))))
    return str(folder / "bin" / "python")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A virtual environment with nothing in it."""
    folder = tmp_path_factory.mktemp("bare") / "environment"
    venv.EnvBuilder(symlinks=True, with_pip=False).create(folder)
    return str(folder / "bin" / "python")


def test_it_really_has_nothing_else(torch_alone: str) -> None:
    code = "import torch, sys; print(torch.__version__)\n" + "".join(
        f"try: import {name}; print('{name}')\nexcept ImportError: pass\n"
        for name in ("inspector_app", "numpy", "onnx", "safetensors", "PySide6")
    )
    done = subprocess.run(
        [torch_alone, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(torch_alone).parent,
    )
    assert done.stdout.split() == [torch.__version__]


def test_a_probe_says_what_is_missing(torch_alone: str, bare: str) -> None:
    last = answer(Probe(), torch_alone)
    assert isinstance(last, Finished)
    probed = last.result
    assert isinstance(probed, Probed)
    assert probed.executable == torch_alone
    assert probed.packages["torch"] == torch.__version__
    assert probed.packages["numpy"] is None
    assert missing(probed, "torchscript") == []
    assert missing(probed, "onnx") == ["onnx", "onnxscript", "onnxruntime"]
    nothing = answer(Probe(), bare)
    assert isinstance(nothing, Finished)
    assert isinstance(nothing.result, Probed)
    assert missing(nothing.result, "torch-export") == ["torch>=2.6"]


def test_without_torch_it_says_how_to_get_it(bare: str) -> None:
    failed = answer(Describe(ModelChoice("/nowhere.pth")), bare)
    assert isinstance(failed, Failed)
    assert failed.code == "torch-missing"
    assert f"{bare} -m pip install 'torch>=2.6'" in failed.next_step


@pytest.mark.parametrize(
    ("code", "expected", "says"),
    [
        ("__version__ = '2.5.1'", "torch-too-old", "has torch 2.5.1; 2.6 or newer"),
        ("raise OSError('libcudart.so.12: no such file')", "torch-broken", "libcudart.so.12"),
        ("import nonexistent_dependency", "torch-broken", "nonexistent_dependency"),
    ],
)
def test_a_torch_that_cannot_be_used(
    tmp_path: Path, bare: str, code: str, expected: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torch.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    failed = answer(Describe(ModelChoice("/nowhere.pth")), bare)
    assert isinstance(failed, Failed)
    assert failed.code == expected
    assert says in failed.cause


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.pt", TorchScriptOptions("trace")),
        ("b.pt", TorchScriptOptions("script")),
        ("a.pt2", ExportedProgramOptions()),
        ("a.safetensors", SafetensorsOptions()),
        ("a.pth", StateDictOptions()),
    ],
)
@pytest.mark.filterwarnings("ignore:.*torch.jit.load.*:DeprecationWarning")
def test_it_exports_and_proves(
    torch_alone: str, net: Path, name: str, options: FormatOptions
) -> None:
    path = save_state(net, "Net", lambda state: {"model": state, "lr": 1e-3})
    target = net.parent / name
    plan = ExportPlan(choice_of(path, net), INPUTS, options, str(target), torch_alone)
    outcome = result_of(exporting(plan))
    assert outcome.failed is None, outcome.failed
    assert outcome.proved is None or outcome.proved.passed
    assert outcome.files == (str(target),)
    assert {each.name for each in net.parent.iterdir()} - {"__pycache__"} == {
        "net.py",
        "Net.pth",
        name,
    }
    if name.endswith(".pt"):
        assert torch.jit.load(target)(torch.ones(3, 4)).shape == (3, 3)


def test_onnx_says_what_to_install(torch_alone: str, net: Path) -> None:
    path = save_state(net, "Net")
    target = net.parent / "a.onnx"
    plan = ExportPlan(choice_of(path, net), INPUTS, OnnxOptions(), str(target), torch_alone)
    failed = result_of(exporting(plan)).failed
    assert failed is not None
    assert failed.code == "package-missing"
    # All of them at once: nobody wants to hear of the next one after each installation.
    assert f"{torch_alone} -m pip install onnx onnxscript onnxruntime" in failed.next_step
    assert not target.exists()


def test_the_proof_of_onnx_says_what_to_install(torch_alone: str, net: Path) -> None:
    path = save_state(net, "Net")
    file = net.parent / "a.onnx"
    file.touch()
    failed = answer(Prove(choice_of(path, net), INPUTS, str(file), OnnxOptions()), torch_alone)
    assert isinstance(failed, Failed)
    assert failed.code == "package-missing"
    assert f"{torch_alone} -m pip install onnxruntime" in failed.next_step


def test_transformers_says_what_to_install(torch_alone: str, net: Path) -> None:
    path = save_state(net, "Net")
    (net.parent / "config.json").write_text('{"model_type": "bert"}')
    source = ModelSource(SourceKind.TRANSFORMERS)
    failed = answer(Describe(ModelChoice(str(path), source)), torch_alone)
    assert isinstance(failed, Failed)
    assert failed.code == "package-missing"
    assert "pip install transformers" in failed.next_step


def test_the_users_own_modules_are_not_ours(torch_alone: str, net: Path) -> None:
    """The names of the worker's modules are free for models, and its folder is not on the path."""
    for name in ("client", "export", "failures", "protocol", "trial"):
        write_source(net.parent, f"{name.upper()} = 1", f"{name}.py")
    text = "import client, export, failures, protocol, trial\nfrom trial import TRIAL\n"
    source = write_source(net.parent, text + __import__("textwrap").dedent(NET), "own.py")
    assert isinstance(
        answer(Describe(choice_of(save_state(net, "Net"), source)), torch_alone), Finished
    )


def test_quantization_with_torch_alone(torch_alone: str, tmp_path: Path) -> None:
    """torch's own methods work, and the others say what they need."""
    source = write_source(tmp_path, NET)
    checkpoint = save_state(source, "Net")
    torch.save({"x": torch.randn(20, 4)}, tmp_path / "data.pt")
    last = answer(ProbeMethods(), torch_alone)
    assert isinstance(last, Finished)
    states = {(each.method, each.engine): each for each in last.result.methods}
    assert states["dynamic", "eager"].available, states["dynamic", "eager"].reason
    assert states["static", "fx"].available, states["static", "fx"].reason
    for key, package in ((("weight-only", "int8"), "torchao"), (("onnx-static", ""), "onnx")):
        assert not states[key].available
        assert package in states[key].reason
        assert f"-m pip install {package}" in states[key].pip
    data = CalibrationData(path=str(tmp_path / "data.pt"), batch=4)
    settings = MeasureSettings(repeats=0, memory=False)
    for options, name in ((StaticOptions(), ""), (WeightOnlyOptions(), "torchao")):
        plan = QuantizePlan(
            choice_of(checkpoint, source),
            Inputs(()),
            options,
            str(tmp_path / "out.pth"),
            data=data,
            interpreter=torch_alone,
            settings=settings,
        )
        outcome = result_of(quantizing(plan))
        if name:
            assert outcome.failed is not None
            assert outcome.failed.code == "package-missing"
            assert f"pip install {name}" in outcome.failed.next_step
        else:
            assert outcome.failed is None, outcome.failed.cause
            assert outcome.measured.outputs[0].sqnr_db > 20
