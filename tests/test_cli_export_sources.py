"""``export``: which model it is, from which weights, and what is never written over.

What needs no process of its own runs in this one: a worker's work is a generator, whoever
drives it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from inspector_app.__main__ import main
from inspector_app.cli import COMMANDS, PROGRAM
from inspector_app.terminal.export_command import plan_of
from inspector_app.terminal.model_options import failure_text
from inspector_app.terminal.parser import parser_of
from inspector_app.worker.export import exporting
from inspector_app.worker.export_run import ExportPlan
from inspector_app.worker.failures import Failure
from inspector_app.worker.model_source import building
from inspector_app.worker.proof import proving
from inspector_app.worker.protocol import Export, Exported, ProofSettings, Prove, Proved

NET = """
from torch import nn
class Net(nn.Module):
    def __init__(self, width: int, classes: int = 3, *, act: str = "relu"):
        super().__init__()
        self.fc = nn.Linear(4, width)
        self.head = nn.Linear(width, classes)
    def forward(self, x):
        return self.head(self.fc(x).relu())
class Words(nn.Module):
    def __init__(self, rows=50, positions=9):
        super().__init__()
        self.words = nn.Embedding(rows, 4)
        self.places = nn.Embedding(positions, 4)
    def forward(self, ids):
        places = (ids * 0 + 1).cumsum(1) - 1
        return (self.words(ids) + self.places(places)).mean(1)
"""


def state(width: int = 8) -> dict[str, torch.Tensor]:
    fc, head = nn.Linear(4, width), nn.Linear(width, 3)
    return {
        **{f"fc.{key}": value for key, value in fc.state_dict().items()},
        **{f"head.{key}": value for key, value in head.state_dict().items()},
    }


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "net.py").write_text(NET)
    torch.save({"model": state(), "hparams": {"width": 8}}, "run.pth")
    return tmp_path


def planned(*arguments: str) -> ExportPlan:
    parser = parser_of(PROGRAM, COMMANDS, "export", explicit=True)
    return plan_of(parser.parse_args(arguments))[0]


def done(work: Generator[Any, None, Any]) -> Any:
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def model_of(*arguments: str) -> Any:
    """What the worker builds for this command line."""
    return done(building(planned(*arguments).model))


def written(plan: ExportPlan) -> Exported:
    """Export to the folder of the target, where the program that comes with it writes too."""
    staging = Path(plan.target).resolve().parent / "staging"
    staging.mkdir()
    request = Export(plan.model, plan.inputs, str(staging), Path(plan.target).name, plan.options)
    return done(exporting(request))


def proven(plan: ExportPlan) -> Proved:
    file = Path(plan.target).resolve().parent / "staging" / Path(plan.target).name
    settings = ProofSettings(repeats=0)
    return done(proving(Prove(plan.model, plan.inputs, str(file), plan.options, settings)))


def run_program(text: str) -> None:
    exec(compile(text, "program", "exec"), {"__name__": "__main__"})


def said_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line of trouble."""
    assert main(["export", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert "fault" not in said.err
    return said.err


# --- arguments


def test_arguments_come_from_the_checkpoints_configuration(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in the window's form; what is given wins."""
    arguments = ["run.pth", "out.pth", "--model", "net.py:Net"]
    assert planned(*arguments).model.source.arguments == {"width": 8}
    given = planned(*arguments, "--model-args", '{"width": 9, "classes": 2}')
    assert given.model.source.arguments == {"width": 9, "classes": 2}
    assert main(["export", *arguments, "--no-proof"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("note: width=8 comes from the checkpoint's own configuration\n")
    prefilled = {"width": 8}
    with pytest.raises(Failure) as caught:
        model_of(*arguments, "--model-args", '{"classes": 5}')
    said = failure_text(caught.value.failed, prefilled)
    assert "head.weight is [3, 8] instead of [5, 8]" in said
    assert "The checkpoint's own configuration gave width=8." in said


def test_a_lacking_argument_is_named_with_the_whole_signature(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(state(), "bare.pth")
    said = said_of(capsys, "bare.pth", "out.pth", "--model", "net.py:Net")
    assert "missing a required argument: 'width'" in said
    assert "(width: int, classes: int = 3, *, act: str = 'relu')" in said
    assert """--model-args '{"width": …}' gives them""" in said


# --- weights


@pytest.mark.parametrize("rule", [r"^erste=>fc", r"erste(.*)=>fc\1"])
def test_rules_rename_keys_without_their_wrapper(folder: Path, rule: str) -> None:
    renamed = {f"module.{key.replace('fc', 'erste')}": each for key, each in state().items()}
    torch.save({"net": renamed, "width": 8}, "renamed.pth")
    arguments = ["renamed.pth", "out.pth", "--model", "net.py:Net"]
    with pytest.raises(Failure) as caught:
        model_of(*arguments)
    said = failure_text(caught.value.failed)
    assert "fc.weight is missing; erste.weight is unexpected" in said
    assert "--map renames keys" in said
    exported = written(planned(*arguments, "--map", rule))
    wanted = renamed["module.erste.weight"]
    assert torch.equal(torch.load("staging/out.pth")["fc.weight"], wanted)
    run_program(exported.script)
    assert torch.equal(torch.load("out.pth")["fc.weight"], wanted)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_model_is_cast_and_its_inputs_with_it(folder: Path) -> None:
    arguments = ["run.pth", "out.pt2", "--model", "net.py:Net", "--input", "x:2,4"]
    plan = planned(*arguments, "--dtype", "float16")
    exported = written(plan)
    assert exported.outputs[0].dtype == "float16"
    assert "model.to(dtype=torch.float16)" in exported.script
    found = proven(plan)
    assert found.passed
    assert found.rtol == 0.02


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--dtype", "int8"], "argument --dtype: invalid choice: 'int8'"),
        (["--opset", "18"], "--opset is for .onnx, not out.pt2"),
        (["--metadata", "a=b"], "--metadata is for .onnx or .safetensors, not out.pt2"),
        (["--dynamic", "x:0=b:5..", "--dynamic", "x:1=b:..4"], "at least 5 and at most 4"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)
def test_what_cannot_be_asked_for(
    folder: Path, capsys: pytest.CaptureFixture[str], options: list[str], says: str
) -> None:
    arguments = ["run.pth", "out.pt2", "--model", "net.py:Net", "--input", "x:2,2"]
    assert says in said_of(capsys, *arguments, *options)


@pytest.mark.parametrize("device", ["meta", "nowhere", "cuda:99"])
def test_a_device_that_there_is_not(folder: Path, device: str) -> None:
    arguments = ["run.pth", "out.pth", "--model", "net.py:Net", "--device", device]
    with pytest.raises(Failure) as caught:
        model_of(*arguments)
    said = failure_text(caught.value.failed)
    assert said.startswith(f"The model cannot be moved to {device}: ")
    assert said.endswith("--device cpu does.")


# --- whole models


def test_one_of_several_pickled_models_is_chosen(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wherever in the file it is; the one that is called so is taken by itself."""
    models: dict[str, Any] = {
        name: nn.Linear(4, width) for width, name in enumerate(("ema", "net", "deep"), 2)
    }
    models["deep"] = {"inner": models["deep"]}
    torch.save(models, "models.pth")
    arguments = ["models.pth", "out.pth", "--trust"]
    exported = written(planned(*arguments))
    assert exported.notes == ("the file holds 3 models, net, ema, deep/inner; this is net",)
    assert torch.load("staging/out.pth")["weight"].shape == (3, 4)
    run_program(exported.script)
    assert torch.load("out.pth")["weight"].shape == (3, 4)
    assert model_of(*arguments, "--section", "deep/inner").module.out_features == 4
    said = said_of(capsys, *arguments, "--section", "deep")
    assert "has at deep is no model; models are at net, ema, deep/inner" in said
    assert "--section" in said


# --- inputs


def test_ids_that_the_embedding_lacks(folder: Path) -> None:
    embeddings = {"words.weight": torch.ones(50, 4), "places.weight": torch.ones(9, 4)}
    torch.save(embeddings, "words.pth")
    arguments = ["words.pth", "out.pt2", "--model", "net.py:Words", "--input"]
    with pytest.raises(Failure) as caught:
        written(planned(*arguments, "ids:2,5:int64:7..100"))
    (folder / "staging").rmdir()
    said = failure_text(caught.value.failed)
    assert "The input ids, drawn from 7..100, has values from" in said
    assert "words (Embedding) takes 0 to 49" in said
    assert said.endswith("Give it that range: ids:2,5:int64:7..50")
    with pytest.raises(Failure) as caught:
        written(planned(*arguments, "ids:2,12:int64:0..50"))
    assert caught.value.failed.cause == (
        "places (Embedding) has 9 rows, and forward asks for some from 0 to 11"
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_example_outside_its_bounds_is_moved_into_them(folder: Path) -> None:
    """The export, the proof and the script alike use sizes within the bounds alone."""
    torch.save(torch.ones(40, 4), "many.pt")
    arguments = ["run.pth", "out.pt2", "--model", "net.py:Net"]
    plan = planned(*arguments, "--input", "x:1,4", "--dynamic", "x:0=b:9..")
    exported = written(plan)
    assert exported.notes == ("b is 1 in the example, outside its bounds: 9 stands for it",)
    assert exported.outputs[0].shape == (9, 3)
    assert "torch.randn([9, 4])" in exported.script
    found = proven(plan)
    assert found.passed
    assert [each.sizes["b"] for each in found.cases] == [9, 9, 18, 18, 10, 10]
    plan = planned(*arguments, "--input", "x=@many.pt", "--dynamic", "x:0=b:..12")
    (folder / "staging" / "out.pt2").unlink()
    (folder / "staging").rmdir()
    exported = written(plan)
    assert exported.outputs[0].shape == (12, 3)
    run_program(exported.script)
    assert (folder / "out.pt2").is_file()


# --- what is never written over


def test_no_part_of_what_is_read_is_replaced(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from safetensors.torch import save_file

    shards = {}
    for number, (key, value) in enumerate(state().items()):
        name = f"model-{number}.safetensors"
        save_file({key: value}, name)
        shards[key] = name
    index = {"metadata": {}, "weight_map": shards}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "link.safetensors").symlink_to("model-1.safetensors")
    before = {each.name: each.read_bytes() for each in folder.glob("*.safetensors")}
    for source in (".", "model.safetensors.index.json"):
        for out in ("model-2.safetensors", "link.safetensors"):
            said = said_of(capsys, source, out, "--model", "net.py:Net")
            assert "cannot be written: it is a part of" in said
    assert {each.name: each.read_bytes() for each in folder.glob("*.safetensors")} == before


def test_external_data_that_is_read_is_not_replaced(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The data of an ONNX model may be called as those of the one that is written."""
    import onnx
    from onnx import helper, numpy_helper

    tensors = [numpy_helper.from_array(each.numpy(), key) for key, each in state().items()]
    model = helper.make_model(helper.make_graph([], "weights", [], [], tensors))
    place = {"save_as_external_data": True, "location": "out.onnx.data", "size_threshold": 0}
    onnx.save_model(model, "weights.onnx", **place)
    before = (folder / "out.onnx.data").read_bytes()
    arguments = ["weights.onnx", "out.onnx", "--model", "net.py:Net", "--input", "x:1,4"]
    assert "out.onnx.data cannot be written: it is a part of" in said_of(capsys, *arguments)
    assert (folder / "out.onnx.data").read_bytes() == before
    assert not (folder / "out.onnx").exists()


# --- names


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_names_that_the_system_knows_otherwise(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Blanks, other scripts, and a source that is called like a module of Python; the others
    beside it are not those that torch imports later."""
    place = folder / "mein Modell – 模型 🙂"
    place.mkdir()
    (place / "types.py").write_text(NET)
    for name in ("json", "queue", "sched", "onnx"):
        (place / f"{name}.py").write_text("raise RuntimeError('not this one')")
    (place / "Gewichte 1.pth").write_bytes((folder / "run.pth").read_bytes())
    out = place / f"{'🙂' * 60}.pt2"
    arguments = ["export", str(place / "Gewichte 1.pth"), str(out), "--input", "x:2,4"]
    assert main([*arguments, "--model", f"{place}/types.py:Net", "--json", "--no-proof"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["files"] == [str(out)]
    out.unlink()
    run_program(report["script"])
    assert out.is_file()
    for name in ("test.py", "torch.py", "model.py", "das modell.py"):
        (place / name).write_text(NET)
        source = f"{place / name}:Net"
        assert model_of(str(place / "Gewichte 1.pth"), "out.pth", "--model", source).report.fits
    assert sys.path[0] != str(place)


LONG = "a" * 300


@pytest.mark.parametrize(
    "arguments",
    [
        ["run.pth", f"{LONG}.pt2", "--model", "net.py:Net", "--input", "x:1,4"],
        [f"{LONG}.pth", "out.pt2", "--model", "net.py:Net", "--input", "x:1,4"],
        ["run.pth", "out.pth", "--model", "net.py:Net", "--report", f"{LONG}.json"],
    ],
    ids=["out", "src", "report"],
)
def test_a_name_that_is_too_long(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert "File name too long" in said_of(capsys, *arguments)


def test_sources_and_inputs_whose_names_are_too_long(folder: Path) -> None:
    arguments = ["run.pth", "out.pt2", "--input"]
    for rest, says in (
        (["x:1,4", "--model", f"{LONG}.py:Net"], "There is no file"),
        (["x:1,4", "--model", f"{LONG}:Net"], "There is no module"),
        ([f"x=@{LONG}.npy", "--model", "net.py:Net"], "File name too long"),
    ):
        with pytest.raises(Failure) as caught:
            written(planned(*arguments, *rest))
        assert says in caught.value.failed.cause
        (folder / "staging").rmdir()
