"""`checkpoint-inspector diff`: the JSON contract, the text, exit statuses, options."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from inspector_app.cli import run
from inspector_app.terminal.diff_text import text_parts
from inspector_app.terminal.style import Style
from tests.analysis.comparisons import compared

Capture = pytest.CaptureFixture[str]


def saved(path: Path, value: Any) -> str:
    torch.save(value, path)
    return str(path)


def model(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))


@pytest.fixture
def training(tmp_path: Path) -> tuple[str, str]:
    a = {"model": model().state_dict(), "epoch": 10, "lr": 1e-3}
    b = {"model": model(1).state_dict(), "epoch": 20, "lr": 1e-4}
    return saved(tmp_path / "a.pth", a), saved(tmp_path / "b.pth", b)


def as_json(capsys: Capture, *arguments: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    status = run(["diff", *arguments, "--json"])
    written = capsys.readouterr()
    assert written.err == ""

    def refuse(token: str) -> None:
        raise AssertionError(f"{token} in JSON")

    return status, json.loads(written.out, parse_constant=refuse)


def rows(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["key"]: row for row in found["tensors"]}


def test_the_contract(tmp_path: Path, capsys: Capture) -> None:
    state = model().state_dict()
    a = saved(tmp_path / "a.pth", state)
    b = dict(state)
    b["0.weight"] = torch.ones(5, 4)
    b["0.bias"] = state["0.bias"] + 1
    b["new"] = b.pop("1.bias")
    b_path = saved(tmp_path / "b.pth", {"state_dict": b, "epoch": 3})
    status, found = as_json(capsys, a, b_path)
    assert status == 1
    assert (found["schema"], found["a"], found["b"]) == (1, a, b_path)
    assert found["summary"] == {
        "identical": 4,
        "changed": 1,
        "missing": 1,
        "unexpected": 1,
        "mismatched": 1,
    }
    assert [row["key"] for row in found["tensors"]] == [*state, "new"]
    unmeasured = dict.fromkeys(("max_abs", "mean_abs", "rel_l2", "cosine", "differing"))
    assert rows(found)["0.weight"] == {
        "key": "0.weight",
        "status": "mismatched",
        "reasons": ["shape"],
        "evidence": "header",
        "a": {"path": ["0.weight"], "shape": [3, 4], "dtype": "float32"},
        "b": {"path": ["state_dict", "0.weight"], "shape": [5, 4], "dtype": "float32"},
        **unmeasured,
        "part": "model",
        "notes": [],
    }
    for key, (status_word, evidence, in_a, in_b) in {
        "0.bias": ("changed", "checksum", True, True),
        "1.weight": ("identical", "checksum", True, True),
        "1.bias": ("missing", "header", True, False),
        "new": ("unexpected", "header", False, True),
    }.items():
        row = rows(found)[key]
        assert (row["status"], row["evidence"]) == (status_word, evidence)
        assert (row["a"] is not None, row["b"] is not None) == (in_a, in_b)
        assert unmeasured.items() <= row.items()
    assert found["values"] == []
    assert found["left_out"] == [{"in": "b", "path": ["epoch"], "tensors": 0}]


def test_values_are_measured(training: tuple[str, str], capsys: Capture) -> None:
    status, found = as_json(capsys, *training, "--values")
    assert status == 1
    loaded = [torch.load(path, weights_only=True)["model"] for path in training]
    for key, row in rows(found).items():
        a, b = (state[key].double().flatten() for state in loaded)
        if row["status"] == "identical":
            assert torch.equal(a, b)
            assert (row["max_abs"], row["differing"]) == (0, 0)
            continue
        assert row["evidence"] == "bytes"
        assert row["max_abs"] == pytest.approx(float((b - a).abs().max()))
        assert row["mean_abs"] == pytest.approx(float((b - a).abs().mean()))
        assert row["rel_l2"] == pytest.approx(float((b - a).norm() / a.norm()))
        assert row["cosine"] == pytest.approx(float(torch.cosine_similarity(a, b, dim=0)))
        assert row["differing_elements"] == int((a != b).sum())
        assert row["differing"] == row["differing_elements"] / a.numel()
    assert found["values"] == [
        {"path": ["epoch"], "a": 10, "b": 20},
        {"path": ["lr"], "a": 1e-3, "b": 1e-4},
    ]


def test_nothing_differs(tmp_path: Path, capsys: Capture) -> None:
    state = model().state_dict()
    a = saved(tmp_path / "a.pth", {"model": state, "optimizer": {"state": {}, "param_groups": []}})
    safetensors.torch.save_file(state, tmp_path / "b.safetensors")
    status, found = as_json(capsys, a, str(tmp_path / "b.safetensors"))
    assert status == 0
    assert {row["evidence"] for row in found["tensors"]} == {"bytes"}
    assert {row["status"] for row in found["tensors"]} == {"identical"}
    assert run(["diff", a, a]) == 0


def test_not_a_number_never_stands_in_json(tmp_path: Path, capsys: Capture) -> None:
    weird = torch.tensor([math.nan, math.inf, 1.0])
    a = saved(
        tmp_path / "a.pth", {"model": {"x.w": weird, "y.w": torch.zeros(2)}, "best": math.inf}
    )
    b = saved(
        tmp_path / "b.pth",
        {"model": {"x.w": torch.full((3,), math.nan), "y.w": torch.ones(2)}, "best": math.nan},
    )
    status, found = as_json(capsys, a, b, "--values")
    assert status == 1
    assert found["values"] == [{"path": ["best"], "a": "inf", "b": "nan"}]
    assert rows(found)["x.w"]["max_abs"] is None
    assert rows(found)["y.w"]["rel_l2"] is None


def test_prefixes_and_rules(tmp_path: Path, capsys: Capture) -> None:
    state = model().state_dict()
    a = saved(tmp_path / "a.pth", state)
    wrapped = {f"_orig_mod.module.{key.replace('1.', 'bn.')}": each for key, each in state.items()}
    b = saved(tmp_path / "b.pth", wrapped)
    status, found = as_json(capsys, a, b)
    assert status == 1
    assert found["summary"]["identical"] == 0
    hint = found["suggestions"]["prefixes"][0]
    assert (hint["strip_b"], hint["matched"], hint["of"]) == ("_orig_mod.module.", 2, 7)
    rule = r"^bn\.=>1."
    for options in (
        ["--strip-prefix", "_orig_mod.module.", "--map", rule],
        ["--strip-prefix", "_orig_mod.", "--strip-prefix", "module.", "--map", rule],
        ["--map", "^_orig_mod.module.=>", "--map", rule],
    ):
        status, found = as_json(capsys, a, b, *options)
        assert (status, found["summary"]["identical"]) == (0, 7)
    # A's keys lose it where they have it.
    status, found = as_json(capsys, b, a, "--strip-prefix", "_orig_mod.module.")
    assert found["summary"]["identical"] == 2


def test_select(training: tuple[str, str], capsys: Capture) -> None:
    status, found = as_json(capsys, *training, "--select", "0.*")
    assert set(rows(found)) == {"0.weight", "0.bias"}
    assert (status, found["values"]) == (1, [])
    status, found = as_json(capsys, *training, "--select", "*tracked", "--select", "1.running_mean")
    assert status == 0
    status, found = as_json(capsys, *training, "--select", "epoch")
    assert (status, found["tensors"], len(found["values"])) == (1, [], 1)
    assert run(["diff", *training, "--select", "nothing*"]) == 2
    assert capsys.readouterr().err == "checkpoint-inspector: no tensor's name matches nothing*\n"


def test_tolerance(tmp_path: Path, capsys: Capture) -> None:
    state = {"x.weight": torch.tensor([1.0, 100.0])}
    near = {"x.weight": torch.tensor([1.001, 100.0])}
    a, b = saved(tmp_path / "a.pth", state), saved(tmp_path / "b.pth", near)
    assert as_json(capsys, a, b)[0] == 1
    status, found = as_json(capsys, a, b, "--atol", "0.01")
    assert status == 0
    assert rows(found)["x.weight"]["status"] == "identical"
    assert rows(found)["x.weight"]["max_abs"] == pytest.approx(0.001, rel=1e-3)
    assert as_json(capsys, a, b, "--rtol", "1e-4")[0] == 1
    assert as_json(capsys, a, b, "--rtol", "0.01")[0] == 0


def test_text(training: tuple[str, str], tmp_path: Path, capsys: Capture) -> None:
    assert run(["diff", *training]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"A  {training[0]}: torch-zip, 7 tensors, compared by model"
    assert "C 0.weight  [3, 4] float32  by checksum" in lines
    assert "V epoch  10 -> 20" in lines
    summary = "7 keys: 5 identical, 2 changed, 0 missing, 0 unexpected, 0 mismatched"
    assert lines[-1] == f"{summary}; 2 other values differ (identical by checksum)"
    assert not any("1.weight" in line for line in lines)
    assert run(["diff", "--quiet", *training]) == 1
    assert capsys.readouterr().out.splitlines() == lines[-1:]
    assert run(["diff", "--values", *training]) == 1
    out = capsys.readouterr().out
    assert "max abs" in out
    assert "cosine" in out


def test_text_of_every_status(tmp_path: Path) -> None:
    a = {"same.w": torch.ones(1), "gone.w": torch.ones(2), "w": torch.ones(3), "t.w": torch.ones(4)}
    b = {"same.w": torch.ones(1), "new.w": torch.ones(2), "w": torch.ones(2), "t.w": torch.zeros(4)}
    found = compared(tmp_path, a, b)
    text = "".join(text_parts(found, ([], []), Style()))
    body = text.split("\n\n")[1].splitlines()
    assert body == [
        "M gone.w  [2] float32",
        "X w       [3] float32 -> [2] float32",
        "C t.w     [4] float32                 by checksum",
        "U new.w   [2] float32",
    ]
    coloured = "".join(text_parts(found, ([], []), Style(width=60, colour=True)))
    assert "\x1b[31mM gone.w" in coloured
    assert all(len(line) <= 60 + 9 for line in coloured.splitlines()[3:-1])


def test_text_of_values(tmp_path: Path) -> None:
    state = nn.Linear(2, 2).state_dict()
    a = {"model": state, "x": [1, 2], "name": "old", "c": {"k": 1}}
    b = {"model": state, "x": [1, 2, 3], "name": "new", "c": {}}
    text = "".join(text_parts(compared(tmp_path, a, b), ([], []), Style()))
    assert text.split("\n\n")[1].splitlines() == [
        "V x  [1, 2] -> [1, 2, 3]",
        "V name  'old' -> 'new'",
        "V c/k  1 -> (absent)",
    ]


def test_hints(tmp_path: Path, capsys: Capture) -> None:
    state = nn.Linear(9, 9).state_dict() | {"head.weight": torch.rand(7, 7)}
    a = saved(tmp_path / "a.pth", state)
    b = {f"module.{key}": value for key, value in state.items()}
    run(["diff", a, saved(tmp_path / "b.pth", b)])
    said = 'hint: 100 % of A\'s keys match if B loses "module." (--strip-prefix module.)'
    assert said in capsys.readouterr().out.splitlines()
    b = dict(state)
    b["classifier.w"] = b.pop("head.weight")
    run(["diff", a, saved(tmp_path / "c.pth", b)])
    said = "hint: head.weight may be classifier.w in B, which has the same content"
    assert said in capsys.readouterr().out.splitlines()


def test_hostile_names_are_made_plain(tmp_path: Path, capsys: Capture) -> None:
    hostile = "a\x1b[31m\n\u202eb.w"
    a = saved(
        tmp_path / "a.pth",
        {"model": {hostile: torch.ones(2), "漢字.w": torch.ones(1)}, "e\n": "\x1b"},
    )
    b = saved(tmp_path / "b.pth", {"model": {hostile: torch.ones(3)}, "e\n": "x"})
    assert run(["diff", a, b]) == 1
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert len(out.splitlines()) == 8


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["A"], "the following arguments are required: B (see checkpoint-inspector diff --help)"),
        (["A", "absent.pth"], "absent.pth: there is no such file"),
        (["A", "A", "--map", "x"], "--map x: a rule is written REGEX=>REPLACEMENT"),
        (
            ["A", "A", "--map", "(=>x"],
            "--map (=>x: missing ), unterminated subpattern at position 0",
        ),
        (["A", "A", "--atol", "-1"], "argument --atol: -1 is not a number from 0 up"),
        (["A", "A", "--rtol", "nan"], "argument --rtol: nan is not a number from 0 up"),
        (["A", "A", "--rtol", "x"], "argument --rtol: x is not a number from 0 up"),
    ],
)
def test_trouble(
    training: tuple[str, str], capsys: Capture, arguments: list[str], said: str
) -> None:
    words = [training[0] if word == "A" else word for word in arguments]
    assert run(["diff", *words]) == 2
    written = capsys.readouterr()
    assert written.out == ""
    assert len(written.err.splitlines()) == 1
    assert said in written.err


def test_values_that_are_not_in_the_file_are_trouble(tmp_path: Path, capsys: Capture) -> None:
    state = {"x.weight": torch.rand(30_000), "y.weight": torch.rand(3)}
    torch.save(state, tmp_path / "a.pth", _use_new_zipfile_serialization=False)
    data = (tmp_path / "a.pth").read_bytes()
    (tmp_path / "b.pth").write_bytes(data[:-5_000])
    assert run(["diff", str(tmp_path / "a.pth"), str(tmp_path / "b.pth")]) == 2
    written = capsys.readouterr()
    # Which storage comes last depends on the addresses that they had.
    assert re.search("0 mismatched, [12] could not be compared", written.out)
    assert len(written.err.splitlines()) == 1
    assert "could not be compared" in written.err


def test_a_page(training: tuple[str, str], tmp_path: Path, capsys: Capture) -> None:
    page = tmp_path / "page.html"
    status, found = as_json(capsys, *training, "--html", str(page))
    assert status == 1
    assert rows(found)["0.weight"]["max_abs"] > 0
    text = page.read_text(encoding="utf-8")
    assert text.lower().startswith("<!doctype html>")
    assert "0.weight" in text
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []
    nowhere = tmp_path / "no" / "page.html"
    assert run(["diff", *training, "--html", str(nowhere)]) == 2
    written = capsys.readouterr()
    assert (written.out, written.err) == (
        "",
        f"checkpoint-inspector: {nowhere}: No such file or directory\n",
    )


def test_the_window(training: tuple[str, str], capsys: Capture, monkeypatch: Any) -> None:
    asked: list[Any] = []

    def run_window(*arguments: Any, **others: Any) -> int:
        asked.append((arguments, others))
        return 0

    monkeypatch.setattr("inspector_app.ui.app.run", run_window)
    assert run(["diff", "--window", *training]) == 0
    assert asked == [(([*training], None, False), {"compare": True})]
    assert run(["diff", "--window", *training, "--values", "--map", "a=>b"]) == 2
    said = "--window opens the two files; --values, --map is chosen there"
    assert capsys.readouterr().err == f"checkpoint-inspector: {said}\n"


def test_imports_nothing_heavy_where_checksums_decide(training: tuple[str, str]) -> None:
    code = (
        "import sys; from inspector_app.cli import run; run(['diff', *sys.argv[1:]]);"
        "sys.exit(not {'torch', 'PySide6', 'onnx', 'numpy', 'numba'}.isdisjoint(sys.modules))"
    )
    subprocess.run([sys.executable, "-c", code, *training], check=True, stdout=subprocess.DEVNULL)


def test_real_files(corpus: Path, capsys: Capture) -> None:
    """Natural pairs: a network before and after quantization, two versions of another."""
    folder = corpus / "analogdevicesinc__ai8x-synthesis"
    for name, counts in (("mnist-extrasmall", (21, 9, 4)), ("mnist", (26, 11, 5))):
        pair = [str(folder / f"ai85-{name}-{end}.pth.tar") for end in ("qat8", "qat8-q")]
        status, found = as_json(capsys, *pair, "--values")
        assert status == 1
        kinds = ("identical", "changed", "unexpected", "missing", "mismatched")
        assert tuple(found["summary"][kind] for kind in kinds) == (*counts, 0, 0)
        # Quantizing scales the weights up to integers of 8 bits.
        for key, row in rows(found).items():
            if key.endswith("op.weight"):
                assert row["cosine"] > 0.99
                assert 100 < row["max_abs"] < 129
        paths = ["/".join(map(str, value["path"])) for value in found["values"]]
        assert "extras/clipping_method" in paths
    folder = corpus / "richzhang__PerceptualSimilarity"
    status, found = as_json(
        capsys, str(folder / "alex_v0.0.pth"), str(folder / "alex_v0.1.pth"), "--values"
    )
    assert status == 1
    assert found["summary"]["changed"] == len(found["tensors"]) == 5
    assert all(0.5 < row["rel_l2"] < 1 for row in found["tensors"])


@st.composite
def states(draw: st.DrawFn) -> dict[str, torch.Tensor]:
    keys = draw(
        st.lists(st.sampled_from("a.w b.w c.w d.bias e.bias".split()), unique=True, min_size=1)
    )
    return {
        key: torch.tensor(
            draw(st.lists(st.sampled_from([0.0, -0.0, 1.0, math.nan]), max_size=3))
        ).to(draw(st.sampled_from((torch.float32, torch.bfloat16))))
        for key in keys
    }


@given(states(), states(), st.booleans(), st.booleans())
def test_statuses_are_those_of_the_bits(
    tmp_path: Path, a: Any, b: Any, values: bool, legacy: bool
) -> None:
    """Whole runs of the command, against torch."""
    torch.save(a, tmp_path / "a.pth")
    torch.save(b, tmp_path / "b.pth", _use_new_zipfile_serialization=not legacy)
    output = tmp_path / "out.json"
    with output.open("w") as file, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", file)
        options = ["--values"] if values else []
        status = run(["diff", "--json", *options, str(tmp_path / "a.pth"), str(tmp_path / "b.pth")])
    found = rows(json.loads(output.read_text()))
    assert set(found) == a.keys() | b.keys()
    for key, row in found.items():
        if key not in b:
            expected = "missing"
        elif key not in a:
            expected = "unexpected"
        elif (a[key].shape, a[key].dtype) != (b[key].shape, b[key].dtype):
            expected = "mismatched"
        else:
            bits = [each[key].view(torch.uint8) if len(each[key]) else each[key] for each in (a, b)]
            expected = "identical" if torch.equal(*bits) else "changed"
        assert row["status"] == expected
    assert status == int(any(row["status"] != "identical" for row in found.values()))
