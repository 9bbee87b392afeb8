"""``export``: the command, its words and its exit statuses. The workers are real."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from inspector_app.__main__ import main

SOURCE = """
from torch import nn
print("imported")
class Net(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.fc = nn.Linear(4, width)
    def forward(self, x):
        return {forward}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A training checkpoint of DataParallel, and the model's source beside it."""
    monkeypatch.chdir(tmp_path)
    linear = torch.nn.Linear(4, 8)
    state = {f"module.fc.{key}": value for key, value in linear.state_dict().items()}
    torch.save({"epoch": 3, "model": state, "optimizer": {"state": {}}}, "run.pth")
    (tmp_path / "net.py").write_text(SOURCE.replace("{forward}", "self.fc(x).relu()"))
    text = SOURCE.replace("{forward}", "self.fc(x) * (2 if x.sum() > 0 else 1)")
    (tmp_path / "flow.py").write_text(text)
    return tmp_path


def left(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()} - {
        "__pycache__",
        "run.pth",
        "net.py",
        "flow.py",
    }


ARGUMENTS = ["export", "run.pth", "out.pt", "--model", "net.py:Net", "--input", "x:1,4"]


@pytest.mark.filterwarnings("ignore:.*torch.jit.load.*:DeprecationWarning")
def test_an_export_is_written_and_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ARGUMENTS, "--dynamic", "x:0=batch"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "the result computes the same" in said.out
    assert f"{folder / 'out.pt'}: " in said.out
    assert "imported" not in said.out
    assert left(folder) == {"out.pt"}
    assert torch.jit.load("out.pt")(torch.ones(7, 4)).shape == (7, 8)


def test_json_is_one_object(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ARGUMENTS, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["schema"] == 1
    assert report["format"] == "torchscript"
    assert report["files"] == [str(folder / "out.pt")]
    assert report["outputs"] == [{"name": "output", "shape": [1, 8], "dtype": "float32"}]
    assert report["proof"]["passed"] is True
    assert report["proof"]["cases"][0]["outputs"][0]["within"] is True


def test_options_and_a_verbose_worker(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "args.json").write_text('{"width": 8}')
    assert main(
        [
            "export", "run.pth", "out.safetensors", "--model", "net:Net", "--model-args",
            '{"width": 8}', "--section", "model", "--map", r"^module\.=>", "--verbose", "--python",
            sys.executable, "--quiet",
        ]
    ) == 0  # fmt: skip
    said = capsys.readouterr()
    assert said.out == ""
    assert "imported" in said.err.splitlines()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run.pth", "out.pt", "--input", "x:1,4"], "name the class or factory"),
        (["run.pth", "out.xyz", "--model", "net.py:Net"], "no ending that says a format"),
        (["run.pth", "out.pt", "--model", "net.py:Net"], "an --input is needed"),
        (["run.pth", "out.pt", "--model", "net.py:Net", "--input", "x:a"], "a is no shape"),
        ([*ARGUMENTS[1:], "--model-args", "{"], "--model-args"),
        ([*ARGUMENTS[1:], "--model-args", "[]"], "JSON object"),
        ([*ARGUMENTS[1:], "--map", "("], "--map"),
        ([*ARGUMENTS[1:], "--section", "ema"], "sections are model"),
        ([*ARGUMENTS[1:], "--python", "/nowhere"], "/nowhere cannot be started"),
        ([*ARGUMENTS[1:], "--model-args", '{"width": 9}'], "is [8, 4] instead of [9, 4]"),
        ([*ARGUMENTS[1:], "--model-args", "[" * 100_000], "is no JSON"),
        ([*ARGUMENTS[1:], "--model-args", '{"width": NaN}'], "NaN is no finite number"),
        ([*ARGUMENTS[1:], "--model-args", '{"width": 1e999}'], "1e999 is no finite number"),
        (["run.pth", "run.pth", *ARGUMENTS[3:]], "the export reads that very file"),
        (["run.pth", "out.pt", "--input", "x:1,4", "--model", "net"], "there is no colon"),
        (["run.pth", "out.pt", "--input", "x:1,4", "--model", ":Net"], "nothing before the colon"),
        (["run.pth", "out.pt", "--input", "x:1,4", "--model", "ne:Net"], "no module ne, neither"),
        (["run.pth", "out.pt", "--input", "x:1,4", "--model", "net.py:No"], "It has: Net. --model"),
        (["run.pth", "out.pt", "--input", "x:1,4", "--model", "net.py"], "FILE.py:NAME does"),
        (["gone.pth", "out.pt", "--input", "x:1,4"], "there is no such file"),
        (["run.pth", "nowhere/out.pt", *ARGUMENTS[3:]], "cannot be written"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_trouble_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert main(["export", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("checkpoint-inspector: ")
    assert said.err.count("\n") == 1
    assert says in said.err
    assert left(folder) == set()


@pytest.mark.parametrize("raised", ["KeyboardInterrupt", "GeneratorExit", "SystemExit(5)"])
def test_a_model_that_ends_its_process(
    folder: Path, capsys: pytest.CaptureFixture[str], raised: str
) -> None:
    (folder / "net.py").write_text(f"raise {raised}\n")
    assert main(ARGUMENTS) == 2
    said = capsys.readouterr().err
    assert "ended by itself" in said
    assert "fault" not in said
    assert said.count("\n") == 1
    assert left(folder) == set()


def test_what_is_read_is_never_replaced(folder: Path) -> None:
    """Neither by another name of the same file."""
    before = (folder / "run.pth").read_bytes()
    (folder / "link.pth").symlink_to("run.pth")
    for source, out in (("run.pth", "link.pth"), ("link.pth", "run.pth"), ("run.pth", "run.pth")):
        assert main(["export", source, out, "--model", "net.py:Net"]) == 2
    torch.save(torch.zeros(1, 4), folder / "x.pt")
    assert main(["export", "run.pth", "x.pt", "--model", "net.py:Net", "--input", "x=@x.pt"]) == 2
    assert (folder / "run.pth").read_bytes() == before
    assert left(folder) == {"link.pth", "x.pt"}
    assert torch.load(folder / "x.pt").shape == (1, 4)


def test_a_wrong_trace_is_not_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "out.pt").write_text("what was there")
    assert main(["export", "run.pth", "out.pt", "--model", "flow.py:Net", "--input", "x:1,4"]) == 2
    assert "computes something else on other inputs" in capsys.readouterr().err
    assert (folder / "out.pt").read_text() == "what was there"


def test_what_is_not_proven_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Then a trace is not run on other inputs either, which would have refused this one."""
    arguments = ["export", "run.pth", "out.pt", "--model", "flow.py:Net", "--input", "x:1,4"]
    assert main([*arguments, "--no-proof"]) == 0
    said = capsys.readouterr().out
    assert "not proven" in said
    assert "the same" not in said
    assert left(folder) == {"out.pt"}
    assert main([*arguments, "--no-proof", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["proof"] is None


def test_a_result_that_is_not_the_same_is_not_written(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exporter that traces keeps one way through the control flow, and does not notice."""
    arguments = ["export", "run.pth", "out.onnx", "--model", "flow.py:Net", "--input", "x:1,4"]
    assert main([*arguments, "--exporter", "torchscript"]) == 1
    said = capsys.readouterr().out
    assert "DIFFERS" in said
    assert "out.onnx was not written" in said
    assert left(folder) == set()


def test_a_pickled_model_asks_for_trust(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(torch.nn.Sequential(torch.nn.Linear(4, 2)), "whole.pth")
    arguments = ["export", "whole.pth", "out.pt2", "--input", "x:2,4"]
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert "torch.nn.modules.container.Sequential" in said
    assert "--trust" in said
    assert main([*arguments, "--trust"]) == 0
    (folder / "whole.pth").unlink()
    assert left(folder) == {"out.pt2"}


def test_reports_are_written_whether_it_passes_or_not(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--report", "a.json", "--report", "a.HTML"]
    arguments = ["export", "run.pth", "out.onnx", "--model", "flow.py:Net", "--input", "x:2,4"]
    assert main([*arguments, "--exporter", "torchscript", "--json", *asked]) == 1
    printed = json.loads(capsys.readouterr().out)
    report = json.loads((folder / "a.json").read_text())
    assert report == printed
    assert report["proof"]["passed"] is False
    assert "forward of Net itself" in report["proof"]["departs"]
    assert report["failure"] is None
    assert report["inputs"] == ["x:2,4:float32"]
    assert report["options"]["exporter"] == "torchscript"
    page = (folder / "a.HTML").read_text()
    assert "out.onnx computes something else than run.pth" in page
    assert left(folder) == {"a.json", "a.HTML"}


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("a.txt", "it ends neither in .json nor in .html"),
        ("run.pth", "it ends neither"),
        ("nowhere/a.json", "No such file or directory"),
    ],
)
def test_a_report_that_cannot_be_written(
    folder: Path, capsys: pytest.CaptureFixture[str], path: str, says: str
) -> None:
    assert main([*ARGUMENTS, "--report", path]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert says in said
