"""Copied programs: each runs as it is, in a process without the inspector, and writes what the
worker wrote."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
import onnx
import pytest
import torch
from real_workers import result_of, write_source

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
    SafetensorsOptions,
    SourceKind,
    StateDictOptions,
    TorchScriptOptions,
    Weights,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
    pytest.mark.usefixtures("own_imports"),
]
NET = """
    import torch
    from torch import nn
    class Net(nn.Module):
        def __init__(self, width=4, *, label="none"):
            super().__init__()
            self.fc = nn.Linear(4, width)
            self.attention = nn.MultiheadAttention(width, 2, batch_first=True)
        def forward(self, x, scale=None, mask=None):
            x = self.fc(x)
            if mask is not None:
                x = x.masked_fill(mask.unsqueeze(-1), 0.0)
            return {"out": self.attention(x, x, x, need_weights=False)[0], "features": x}
    class Small(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 2)
        def forward(self, x):
            return self.fc(x)
"""
DYNAMIC = ("x:0=batch", "mask:0=batch", "x:1=length:2..16", "mask:1=length:2..16")


def model_in(folder: Path, name: str = "Net", **arguments: Any) -> ModelChoice:
    """A model whose folder and file have names that a program has to quote."""
    from inspector_app.worker.code_source import build

    folder = folder / 'it\'s "a" folder'
    folder.mkdir()
    source = write_source(folder, NET)
    torch.manual_seed(7)
    state = build(f"{source}:{name}", arguments).state_dict()
    path = folder / "a\nb'.pth"
    torch.save({"epoch": 2, "model": {f"module.{key}": state[key] for key in state}}, path)
    return ModelChoice(str(path), ModelSource(SourceKind.CODE, f"{source}:{name}", arguments))


def inputs_of(folder: Path, options: FormatOptions) -> Inputs:
    numpy.save(folder / "mask.npy", numpy.array([[False, True, False]]))
    texts = ["x:1,3,4", f"mask=@{folder / 'mask.npy'}"]
    # A trace of attention keeps the length.
    axes = DYNAMIC[:2] if getattr(options, "exporter", "") == "torchscript" else DYNAMIC
    return Inputs(tuple(map(parse_input, texts)), tuple(map(parse_axis, axes)), seed=3)


def copied(folder: Path, model: ModelChoice, inputs: Inputs, options: FormatOptions) -> Path:
    """Export, then run the program that came with it; the file that the program wrote."""
    staging = folder / "staging"
    staging.mkdir()
    request = Export(model, inputs, str(staging), "m.out", options)
    exported = result_of(exporting(request))
    assert exported.script
    compile(exported.script, "script", "exec")
    program = folder / "program.py"
    program.write_text(exported.script, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-I", str(program)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, exported.script + done.stderr
    # The staging folder lies beside the target, where the program writes.
    return folder / "m.out"


@pytest.mark.parametrize(
    "options",
    [
        OnnxOptions(opset=20, metadata={"a'": 'b"\n'}, output_names=("y", "f")),
        OnnxOptions("torchscript", metadata={"a": "b"}, external_data="beside"),
        TorchScriptOptions(freeze=True),
        ExportedProgramOptions(),
        SafetensorsOptions({"a": "b"}),
        StateDictOptions(),
    ],
    ids=lambda each: f"{each.kind}-{getattr(each, 'exporter', '')}",
)
def test_the_program_writes_what_computes_the_same(tmp_path: Path, options: FormatOptions) -> None:
    model = model_in(tmp_path, width=6, label='it\'s "quoted"\n')
    inputs = inputs_of(tmp_path, options)
    file = copied(tmp_path, model, inputs, options)
    proof = Prove(model, inputs, str(file), options, ProofSettings(repeats=0))
    proved = result_of(proving(proof))
    assert proved.passed, proved
    if isinstance(options, OnnxOptions):
        ours = onnx.load(tmp_path / "staging" / "m.out")
        theirs = onnx.load(file)
        assert [each.op_type for each in ours.graph.node] == [
            each.op_type for each in theirs.graph.node
        ]
        assert ours.metadata_props == theirs.metadata_props
        assert ours.opset_import == theirs.opset_import


def test_renamed_keys_and_a_load_that_is_not_strict(tmp_path: Path) -> None:
    model = model_in(tmp_path, "Small")
    state = {"fc.weight": torch.ones(2, 4), "fc.bias": torch.zeros(3), "extra": torch.zeros(1)}
    torch.save(state, model.checkpoint)
    renames = {"fc.weight": "fc.weight", "fc.bias": "fc.bias", "extra": "an.extra"}
    model = replace(model, weights=Weights((), renames, strict=False))
    inputs = Inputs((parse_input("x:1,4"),))
    file = copied(tmp_path, model, inputs, StateDictOptions())
    assert torch.equal(torch.load(file)["fc.weight"], torch.ones(2, 4))


def test_keys_renamed_by_rules_without_their_wrapper(tmp_path: Path) -> None:
    model = model_in(tmp_path, "Small")
    torch.save(
        {"module.head_1.weight": torch.ones(2, 4), "module.head_1.bias": torch.zeros(2)},
        model.checkpoint,
    )
    rules = ((r"^head_\d\.", "fc."),)
    model = replace(model, weights=Weights((), rules=rules))
    file = copied(tmp_path, model, Inputs((parse_input("x:1,4"),)), StateDictOptions())
    assert torch.equal(torch.load(file)["fc.weight"], torch.ones(2, 4))


def test_a_model_that_the_file_holds(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.jit.save(torch.jit.script(torch.nn.Linear(4, 2)), path)
    inputs = Inputs((parse_input("input:2,4"),))
    options = OnnxOptions("torchscript")
    model = ModelChoice(str(path))
    file = copied(tmp_path, model, inputs, options)
    proved = result_of(proving(Prove(model, inputs, str(file), options)))
    assert proved.passed


def test_what_only_the_inspector_reads_has_no_program(tmp_path: Path) -> None:
    """Weights that are taken out of TorchScript, for a model that is built from code."""
    model = model_in(tmp_path, "Small")
    torch.jit.save(torch.jit.script(torch.nn.Sequential()), model.checkpoint)
    scripted = torch.jit.script(torch.nn.Linear(4, 2))
    torch.jit.save(scripted, model.checkpoint)
    model = replace(model, weights=Weights((), {"weight": "fc.weight", "bias": "fc.bias"}))
    staging = tmp_path / "staging"
    staging.mkdir()
    request = Export(model, Inputs(()), str(staging), "m.out", StateDictOptions())
    assert result_of(exporting(request)).script == ""
