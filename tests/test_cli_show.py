"""`show`: the contract of its JSON, its text, its exit statuses, and what it never prints."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import types
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from inspector_app import __version__
from inspector_app.__main__ import main
from inspector_app.checkpoint import open_checkpoint
from inspector_app.terminal.show_text import text_parts
from inspector_app.terminal.style import Style, clipped, display_width, fitted

ROOT = Path(__file__).resolve().parent.parent
TOP = ["schema", "path", "format", "file_bytes", "sections", "tensors", "globals", "problems"]
TENSOR = (
    "path name shape dtype stride storage storage_offset device requires_grad layout nbytes"
).split()


def process(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "inspector_app", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        timeout=120,
        check=False,
    )


def shown(path: Path, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert main(["show", str(path), *options]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def no_constants(name: str) -> Any:
    raise AssertionError(f"{name} is no JSON")


def shown_json(path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    out = shown(path, capsys, "--json")
    assert out.endswith("}\n")
    assert out.count("\n") == 1
    assert ", " not in re.sub(r'"(?:[^"\\]|\\.)*"', '""', out)
    return json.loads(out, parse_constant=no_constants)


@pytest.fixture
def training(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    model = nn.Sequential(OrderedDict(fc=nn.Linear(3, 2)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    path = tmp_path / "training.pth"
    torch.save(
        {
            "epoch": 3,
            "loss": float("nan"),
            "model_state_dict": dict(model.state_dict().items()),
            "optimizer_state_dict": optimizer.state_dict(),
            "classes": ["cat", "dog"],
        },
        path,
    )
    return path


def test_json_contract(training: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = shown_json(training, capsys)
    assert list(answer) == TOP
    assert answer["schema"] == 1
    assert answer["path"] == str(training)
    assert answer["format"] == "torch-zip"
    assert answer["file_bytes"] == training.stat().st_size
    assert {"path": ["model_state_dict"], "kind": "model"} in answer["sections"]
    assert {"path": ["optimizer_state_dict"], "kind": "optimizer"} in answer["sections"]
    assert all(list(tensor) == TENSOR for tensor in answer["tensors"])
    assert answer["tensors"][0] == {
        "path": ["model_state_dict", "fc.weight"],
        "name": "model_state_dict/fc.weight",
        "shape": [2, 3],
        "dtype": "float32",
        "stride": [3, 1],
        "storage": "0",
        "storage_offset": 0,
        "device": "cpu",
        "requires_grad": False,
        "layout": "strided",
        "nbytes": 24,
    }
    assert answer["tensors"][-1]["path"] == ["optimizer_state_dict", "state", 1, "momentum_buffer"]
    assert answer["tensors"][-1]["name"] == "optimizer_state_dict/state/1/momentum_buffer"
    assert answer["problems"] == []
    uses = {entry["name"]: entry for entry in answer["globals"]}
    assert uses["torch._utils._rebuild_tensor_v2"] == {
        "name": "torch._utils._rebuild_tensor_v2",
        "use": ["call"],
        "allowed": True,
    }


def test_json_says_what_the_reader_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tied = torch.rand(4, 6)
    with torch.sparse.check_sparse_tensor_invariants():
        sparse = torch.eye(3).to_sparse()
    value = {
        "tied": [tied, tied[1:, ::2], tied.t()],
        "sparse": sparse,
        "parameter": nn.Parameter(torch.rand(2)),
        "meta": torch.empty(3, device="meta"),
        0: torch.ones(1),
        True: torch.ones(2),
        1.5: torch.ones(3),
        None: torch.ones(4),
        (1, "a"): torch.ones(5),
        'a "quoted" \\ ünïcode \n': torch.ones(6),
        "\ud800": torch.ones(7),
        "many": [torch.zeros(i % 7, 2) for i in range(25)],
    }
    path = tmp_path / "all.pt"
    torch.save(value, path)
    answer = shown_json(path, capsys)
    tensors = open_checkpoint(path).tensors
    assert [tuple(row["path"]) for row in answer["tensors"]] == [tensor.path for tensor in tensors]
    for row, tensor in zip(answer["tensors"], tensors, strict=True):
        assert row["name"] == tensor.name
        assert row["shape"] == list(tensor.shape)
        assert row["dtype"] == tensor.dtype
        assert row["stride"] == (None if tensor.stride is None else list(tensor.stride))
        assert row["storage"] == (None if tensor.storage is None else tensor.storage.key)
        assert row["storage_offset"] == tensor.storage_offset
        assert row["device"] == tensor.device
        assert row["requires_grad"] is tensor.requires_grad
        assert row["layout"] == tensor.layout
        assert row["nbytes"] == tensor.nbytes
    keys = [row["path"][0] for row in answer["tensors"]]
    assert keys[6:12] == [0, "True", "1.5", "None", "(1, 'a')", 'a "quoted" \\ ünïcode \n']
    assert type(keys[6]) is int
    assert answer["tensors"][3]["stride"] is None
    assert answer["tensors"][3]["storage"] is None


def test_json_of_more_tensors_than_are_written_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inspector_app.terminal.show_json._ROWS_AT_ONCE", 10)
    for count in (0, 1, 9, 10, 11, 20, 35):
        path = tmp_path / f"{count}.pt"
        torch.save([torch.ones(1) for _ in range(count)], path)
        rows = shown_json(path, capsys)["tensors"]
        assert [row["path"] for row in rows] == [[index] for index in range(count)]


def test_json_names_the_shard_of_each_tensor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_file({"a": torch.ones(2)}, tmp_path / "model-00001-of-00002.safetensors")
    save_file({"b": torch.ones(3)}, tmp_path / "model-00002-of-00002.safetensors")
    shards = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 20}, "weight_map": shards}))
    for path in (index, tmp_path):
        answer = shown_json(path, capsys)
        assert [list(tensor) for tensor in answer["tensors"]] == [[*TENSOR, "file"]] * 2
        files = {row["name"]: Path(row["file"]).name for row in answer["tensors"]}
        assert files == shards


def test_text(training: Path, capsys: pytest.CaptureFixture[str]) -> None:
    size = training.stat().st_size
    assert (
        shown(training, capsys)
        == f"""\
key                       shape   dtype    parameters  size
epoch                     3
loss                      nan
model_state_dict          dict (2)  [model]
├─ fc.weight              [2, 3]  float32           6  24 B
└─ fc.bias                [2]     float32           2   8 B
optimizer_state_dict      dict (2)  [optimizer]
├─ state                  dict (2)
│  ├─ 0                   dict (1)
│  │  └─ momentum_buffer  [2, 3]  float32           6  24 B
│  └─ 1                   dict (1)
│     └─ momentum_buffer  [2]     float32           2   8 B
└─ param_groups           list (1)
   └─ 0                   dict (10)
      ├─ lr               0.1
      ├─ momentum         0.9
      ├─ dampening        0
      ├─ weight_decay     0
      ├─ nesterov         False
      ├─ maximize         False
      ├─ foreach          None
      ├─ differentiable   False
      ├─ fused            None
      └─ params           [0, 1]
classes                   ['cat', 'dog']

model      2 tensors  8 elements  32 B
optimizer  2 tensors  8 elements  32 B

{training}: torch-zip, {size / 1000:.2f} kB; 4 tensors; 8 parameters in the model, 16 in all; \
64 B of values; float32 4
"""
    )


def test_text_of_unusual_tensors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tied = nn.Parameter(torch.rand(4, 6))
    path = tmp_path / "odd.pt"
    torch.save(
        {
            "": tied,
            "same": tied,
            "part": tied.data[:, ::2],
            "meta": torch.empty(3, device="meta"),
            "expanded": torch.ones(1).expand(5),
            "sparse": torch.eye(3).to_sparse(),
            "scalar": torch.tensor(1),
            "word": "a\nb\x1b[31m\u202e",
            "long": "x" * 1000,
            "bytes": b"\x00" * 100,
            "many": list(range(1000)),
            "kind": nn.Linear,
            "big": 10**1000,
            "storage": torch.zeros(3, dtype=torch.int16).untyped_storage(),
            "array": np.zeros((9, 1)),
        },
        path,
    )
    out = shown(path, capsys)
    assert out.replace("\n", "").isprintable()
    rows = {line.split(" ")[0]: line for line in out.splitlines()}
    assert "shares storage 0" in rows["''"]
    assert "shares storage 0" in rows["same"]
    assert "stride [6, 2], shares storage 0" in rows["part"]
    assert "meta" in rows["meta"]
    assert "stride [0]" in rows["expanded"]
    assert "sparse_coo" in rows["sparse"]
    assert "[]" in rows["scalar"]
    assert rows["word"].endswith("'a\\nb\\x1b[31m\\u202e'")
    assert rows["long"].endswith("…' (1,000 characters)")
    assert rows["bytes"].endswith("… (100 bytes)")
    assert rows["many"].endswith(", …] (1,000)")
    assert rows["kind"].endswith("torch.nn.modules.linear.Linear")
    assert rows["big"].endswith("> 2^3321")
    assert rows["storage"].endswith("untyped storage 5, 6 B")
    assert rows["array"].endswith("numpy.ndarray [9, 1] <f8")
    summary = next(line for line in out.splitlines() if line.startswith(str(path)))
    # The tied weight counts once: 24 + 12 + 3 + 5 + 9 + 1.
    assert "7 tensors; 54 parameters" in summary
    assert "1 shared storage" in summary
    assert "globals outside the allowlist: numpy" in out
    assert "torch.nn.modules.linear.Linear" in out.splitlines()[-1]


def test_text_of_a_whole_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = nn.Sequential(OrderedDict(fc=nn.Linear(3, 2)))
    model.fc.limits = torch.rand(7)
    path = tmp_path / "model.pt"
    torch.save(model, path)
    out = shown(path, capsys)
    # An attribute is shown, and is no parameter.
    assert re.search(r"limits +\[7\]", out)
    assert "2 tensors; 8 parameters;" in out


@pytest.mark.parametrize("value", [torch.rand(3), 7, {}, [], "text", None])
def test_text_of_a_root_without_keys(
    value: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "root.pt"
    torch.save(value, path)
    lines = shown(path, capsys).splitlines()
    assert any(line.startswith("(root)") for line in lines)
    assert lines[-1].startswith(f"{path}: torch-zip")
    assert len(shown_json(path, capsys)["tensors"]) == isinstance(value, torch.Tensor)


def test_problems_come_last_and_are_no_failure(
    training: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with training.open("r+b") as file:
        whole = file.read()
    # Another archive member than the directory says: the pickle's name, in its local header.
    broken = whole.replace(b"/data.pkl", b"/dbta.pkl", 1)
    training.write_bytes(broken)
    lines = shown(training, capsys).splitlines()
    start = next(index for index, line in enumerate(lines) if re.fullmatch(r"\d+ problems?:", line))
    assert all(line.startswith("  ") for line in lines[start + 1 :])
    assert "[header-mismatch]" in lines[start + 1]
    problems = shown_json(training, capsys)["problems"]
    assert len(problems) == len(lines) - start - 1
    assert list(problems[0]) == ["code", "message", "where"]
    assert problems[0]["code"] == "header-mismatch"


def test_quiet_prints_the_summary(training: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = shown(training, capsys)
    assert shown(training, capsys, "--quiet") == whole.splitlines(keepends=True)[-1]
    assert shown(training, capsys, "--no-progress") == whole
    answer = shown(training, capsys, "--json")
    assert shown(training, capsys, "--json", "--quiet", "--no-progress") == answer


@pytest.mark.parametrize("columns", [20, 60, 80, 200])
def test_rows_fit_the_terminal(columns: int, tmp_path: Path) -> None:
    path = tmp_path / "wide.pt"
    key = "encoder.layers.0.self_attention.query_key_value.weight_quantizer"
    torch.save({key: torch.rand(2, 3), "漢字" * 30: torch.rand(1), "x" * 500: "y" * 500}, path)
    text = "".join(text_parts(open_checkpoint(path), Style(width=columns)))
    table = text.split("\n\n")[0].splitlines()
    if columns >= 60:
        assert max(map(display_width, table)) <= columns
    if columns >= 80:
        assert table[1].split()[0].endswith("quantizer")
        assert table[1].split()[1:] == ["[2,", "3]", "float32", "6", "24", "B"]


def test_cutting_text() -> None:
    assert fitted("abcdefghij", 7) == "ab…ghij"
    assert fitted("abcdefghij", 7, wide=False) == "ab…ghij"
    assert fitted("abc", 3) == "abc"
    assert clipped("abcdef", 4) == "abc…"
    assert display_width("漢字é├") == 6
    for width in range(2, 14):
        assert display_width(fitted("漢字漢字漢字漢字", width)) <= width
        assert display_width(clipped("漢字漢字漢字漢字", width)) <= width


def test_colour_only_on_a_terminal_that_wants_it(training: Path) -> None:
    def on_terminal(**environment: str) -> bytes:
        ours, theirs = pty.openpty()
        started = subprocess.Popen(
            [sys.executable, "-m", "inspector_app", "show", str(training)],
            cwd=ROOT,
            env={**os.environ, "TERM": "xterm", **environment},
            stdout=theirs,
            stderr=subprocess.PIPE,
        )
        os.close(theirs)
        out = b""
        try:
            while part := os.read(ours, 65536):
                out += part
        except OSError:
            pass  # Linux reports the other side's end as an error
        os.close(ours)
        assert started.communicate(timeout=60)[1] == b""
        assert started.returncode == 0
        return out

    environment = {"NO_COLOR": ""}
    assert b"\x1b[1m" in on_terminal(**environment)
    plain = on_terminal(NO_COLOR="1")
    assert b"\x1b" not in plain
    assert b"\x1b" not in on_terminal(TERM="dumb", **environment)
    assert "├─ fc.weight".encode() in plain
    assert b"\x1b" not in process("show", str(training)).stdout


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_any_encoding_of_stdout(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "keys.pt"
    torch.save({"a": {"ü → 漢": torch.ones(1), "\ud800": 1, "b" * 300: 2}}, path)
    result = process("show", str(path), PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    assert (result.returncode, result.stderr) == (0, b"")
    text = result.stdout.decode(encoding)
    if encoding == "utf-8":
        assert "├─ ü → 漢" in text
    else:
        assert "|- " in text
        assert "\\u2192 \\u6f22" in text
    answer = process("show", str(path), "--json", PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    assert answer.returncode == 0
    assert json.loads(answer.stdout)["tensors"][0]["path"] == ["a", "ü → 漢"]


def fails(
    capsys: pytest.CaptureFixture[str], *arguments: str, start: str = "checkpoint-inspector: "
) -> str:
    """Exit status 2, one line on stderr, nothing on stdout."""
    assert main(list(arguments)) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(start)
    assert captured.err.endswith("\n")
    line = captured.err[:-1]
    assert line.isprintable()
    assert "fault of" not in line
    return line


def test_errors_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {
        "empty.pth": b"",
        "text.pth": b"this is no checkpoint, whatever its name says\n",
        "zeros.pt": bytes(1000),
        "broken.pt": b"PK\x03\x04" + bytes(100),
        "easy.pth": b"/home/somebody/src\nimport sys; sys.path.append('x')\n",
        "pointer.safetensors": (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 9\n"
        ),
    }
    found = {}
    for name, content in files.items():
        path = tmp_path / name
        path.write_bytes(content)
        for options in ([], ["--json"]):
            start = f"checkpoint-inspector: {path}: "
            found[name] = fails(capsys, "show", str(path), *options, start=start)
    assert "empty" in found["empty.pth"]
    assert "path configuration file" in found["easy.pth"]
    assert "Git LFS" in found["pointer.safetensors"]
    for missing in (tmp_path / "missing.pt", tmp_path, Path(os.devnull)):
        fails(capsys, "show", str(missing), start=f"checkpoint-inspector: {missing}: ")
    strange = tmp_path / "new\nline\x1b[2J\u202e.pt"
    strange.write_bytes(b"")
    assert "new\\x0aline\\x1b[2J\\u202e.pt: the file is empty" in fails(
        capsys, "show", str(strange)
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["show"],
        ["show", "a", "b"],
        ["show", "a", "--jsno"],
        ["show", "--js", "a"],
        ["--bad"],
        ["--screenshot"],
        ["show", "\n\x1b[2J", "--\u202e"],
    ],
)
def test_usage_errors_are_one_line(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert "--help" in fails(capsys, *arguments)


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--help"], ["show", "--help"], ["open", "--help"]):
        assert main(arguments) == 0
        assert "usage: checkpoint-inspector" in capsys.readouterr().out
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"checkpoint-inspector {__version__}\n"


def test_files_go_to_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[Any, ...]] = []

    def run(files: list[str], screenshot: str | None, new_window: bool) -> int:
        calls.append((files, screenshot, new_window))
        return 0

    monkeypatch.setitem(sys.modules, "inspector_app.ui.app", types.SimpleNamespace(run=run))
    for arguments in (
        [],
        ["a.pt"],
        ["a.pt", "show"],
        ["./show"],
        ["open", "show"],
        ["--", "show"],
        ["open", "x", "--screenshot", "y.png"],
        ["--screenshot=y.png", "--new-window", "x"],
        ["x", "y", "--new-window"],
    ):
        assert main(arguments) == 0
    assert calls == [
        ([], None, False),
        (["a.pt"], None, False),
        (["a.pt", "show"], None, False),
        (["./show"], None, False),
        (["show"], None, False),
        (["show"], None, False),
        (["x"], "y.png", False),
        (["x"], "y.png", True),
        (["x", "y"], None, True),
    ]


def test_no_window_without_qt(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "inspector_app.ui.app", None)
    # None in sys.modules makes the import fail, as a package that is not installed does.
    assert main(["x.pt"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_interrupted(monkeypatch: pytest.MonkeyPatch, training: Path) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("inspector_app.terminal.progress_line.drive", interrupt)
    assert main(["show", str(training)]) == 130


def test_reader_of_the_output_goes_away(tmp_path: Path) -> None:
    path = tmp_path / "many.pt"
    torch.save({f"weight{i}": i for i in range(20_000)}, path)
    for options in ([], ["--json"]):
        started = subprocess.Popen(
            [sys.executable, "-m", "inspector_app", "show", str(path), *options],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert started.stdout is not None
        started.stdout.close()
        assert started.stderr is not None
        assert started.stderr.read() == b""
        started.stderr.close()
        assert started.wait(timeout=60) == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
def test_full_disk(training: Path) -> None:
    with open("/dev/full", "wb") as full:
        result = subprocess.run(
            [sys.executable, "-m", "inspector_app", "show", str(training)],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    assert result.returncode == 2
    assert result.stderr == b"checkpoint-inspector: stdout: No space left on device\n"


def test_show_imports_nothing_heavy(training: Path) -> None:
    code = (
        "import sys; from inspector_app.__main__ import main; main(sys.argv[1:]);"
        "print(sorted(set(sys.modules) & {'torch','numpy','PySide6','onnx','numba','pyqtgraph',"
        "'safetensors','ml_dtypes','pickle'}), file=sys.stderr)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, "show", str(training)],
        cwd=ROOT,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert result.stderr == b"[]\n"


def test_shows_every_sample(samples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = sorted(samples.glob("*.pth"))
    assert files
    for path in files:
        assert shown_json(path, capsys)["problems"] == []
        assert "conv" in shown(path, capsys) or "features" in shown(path, capsys)
