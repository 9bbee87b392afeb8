"""Inputs: as they are written, made, passed to forward and guessed."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from real_workers import choice_of, failed_of, result_of, write_source
from torch import nn

from inspector_app.worker.example_inputs import ExampleInputs, call_of
from inspector_app.worker.failures import Failure
from inspector_app.worker.input_guess import guesses
from inspector_app.worker.input_text import axis_text, parse_axis, parse_input, text_of
from inspector_app.worker.protocol import DynamicAxis, Inputs, InputSpec, Trial, Tried
from inspector_app.worker.trial import trying


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("x:1,3,224,224:float32", InputSpec("x", (1, 3, 224, 224))),
        ("x:1,3", InputSpec("x", (1, 3))),
        ("x:", InputSpec("x", ())),
        ("ids:1,128:int64:0..30521", InputSpec("ids", (1, 128), "int64", 0, 30521)),
        ("x:2:float16:-0.5..1e3", InputSpec("x", (2,), "float16", -0.5, 1e3)),
        ("x=@x.npy", InputSpec("x", (), "", file="x.npy")),
        (
            "x=@C:\\data\\x.npz:images",
            InputSpec("x", (), "", file="C:\\data\\x.npz", entry="images"),
        ),
        ("x=@a:b.pt", InputSpec("x", (), "", file="a:b.pt")),
    ],
)
def test_an_input_as_it_is_written(text: str, spec: InputSpec) -> None:
    assert parse_input(text) == spec
    assert parse_input(text_of(spec)) == spec


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no name"),
        (":1,2", "no name"),
        ("x", "shape, dtype and range"),
        ("x:1,a", "1,a is no shape"),
        ("x:-1,3", "no shape"),
        ("x:1:float33", "no dtype float33"),
        ("x:1:qint8", "no dtype qint8"),
        ("x:1:int64:5..5", "no range"),
        ("x:1:int64:0.5..2", "no range"),
        ("x:1:float32:nan..2", "no range"),
        ("x:1:float32:0..1:9", "shape, dtype and range"),
        ("x:" + ",".join("9" * 40), "too large"),
        ("x:99999999999999", "too large"),
        ("x=@x.jpg", "no .npy"),
    ],
)
def test_what_is_no_input_is_said(text: str, says: str) -> None:
    with pytest.raises(Failure) as caught:
        parse_input(text)
    assert caught.value.failed.code == "bad-input"
    assert says in caught.value.failed.cause


@given(st.text(max_size=30))
def test_any_text_is_an_input_or_said_not_to_be(text: str) -> None:
    for parse in (parse_input, parse_axis):
        with suppress(Failure):
            assert parse(text).name


@pytest.mark.parametrize(
    ("text", "axis"),
    [
        ("x:0=batch", DynamicAxis("x", 0, "batch")),
        ("x:1=s:1..512", DynamicAxis("x", 1, "s", 1, 512)),
        ("x:1=s:..512", DynamicAxis("x", 1, "s", None, 512)),
    ],
)
def test_an_axis_as_it_is_written(text: str, axis: DynamicAxis) -> None:
    assert parse_axis(text) == axis
    assert axis_text(axis) == text


@pytest.mark.parametrize(
    "text", ["x", "x=batch", "x:0", "x:a=b", ":0=b", "x:0=", "x:0=b:5..1", "x:0=b:1"]
)
def test_what_is_no_axis_is_said(text: str) -> None:
    with pytest.raises(Failure) as caught:
        parse_axis(text)
    assert caught.value.failed.code == "bad-axis"


@pytest.mark.parametrize(
    ("specs", "axes"),
    [
        (["x:1,2"], ["y:0=b"]),
        (["x:1,2"], ["x:2=b"]),
        (["x:1,2"], ["x:0=a", "x:0=b"]),
        (["x:3,2", "y:4,2"], ["x:0=b", "y:0=b"]),
    ],
)
def test_axes_that_contradict_the_inputs(specs: list[str], axes: list[str]) -> None:
    with pytest.raises(Failure) as caught:
        ExampleInputs(Inputs(tuple(map(parse_input, specs)), tuple(map(parse_axis, axes))))
    assert caught.value.failed.code == "bad-axis"


# --- values


def test_variants_have_other_values_and_sizes_within_the_range() -> None:
    inputs = Inputs(
        (
            InputSpec("x", (1, 4)),
            InputSpec("y", (1, 4), "float64", -1, 3),
            InputSpec("ids", (1, 50), "int64", 5, 9),
            InputSpec("mask", (3,), "bool"),
            InputSpec("half", (1, 2), "bfloat16"),
        ),
        (DynamicAxis("x", 0, "b", 1, 8), DynamicAxis("ids", 1, "s")),
    )
    example = ExampleInputs(inputs)
    first, again = example.tensors(), ExampleInputs(inputs).tensors()
    assert all(torch.equal(first[name], again[name]) for name in first)
    mirrored, others = example.tensors(1), example.tensors(2)
    assert torch.equal(mirrored["x"], -first["x"])
    assert torch.allclose(mirrored["y"], 2 - first["y"])
    assert torch.equal(mirrored["ids"], 13 - first["ids"])
    assert set(first["ids"].unique().tolist()) == {5, 6, 7, 8}
    assert torch.equal(mirrored["mask"], ~first["mask"])
    assert not any(torch.equal(first[name], others[name]) for name in ("x", "y", "ids"))
    assert example.sizes() == {"b": 1, "s": 50}
    assert example.traced_sizes() == {"b": 2, "s": 50}
    larger = example.tensors(0, {"b": 5, "s": 7})
    assert larger["x"].shape == (5, 4)
    assert larger["ids"].shape == (1, 7)
    assert larger["half"].dtype == torch.bfloat16


def test_a_dynamic_axis_that_may_be_only_one_stays_one() -> None:
    inputs = Inputs((InputSpec("x", (1, 4)),), (DynamicAxis("x", 0, "b", 1, 1),))
    assert ExampleInputs(inputs).traced_sizes() == {"b": 1}


def test_values_from_files(tmp_path: Path) -> None:
    import numpy as np

    np.save(tmp_path / "a.npy", np.arange(6, dtype=np.float32).reshape(2, 3))
    np.savez(tmp_path / "b.npz", b=np.array([3, 1, 2]), other=np.ones(2))
    torch.save({"c": torch.ones(2, 2, dtype=torch.float16)}, tmp_path / "c.pt")
    specs = [f"a=@{tmp_path}/a.npy", f"b=@{tmp_path}/b.npz", f"d=@{tmp_path}/c.pt"]
    axes = (DynamicAxis("a", 0, "n"),)
    example = ExampleInputs(Inputs(tuple(map(parse_input, specs)), axes))
    tensors = example.tensors()
    assert tensors["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert tensors["b"].tolist() == [3, 1, 2]
    assert tensors["d"].dtype == torch.float16
    assert example.tensors(0, {"n": 3})["a"].tolist() == [[0, 1, 2], [3, 4, 5], [0, 1, 2]]
    assert example.tensors(1)["a"].tolist() == [[5, 4, 3], [2, 1, 0]]
    assert sorted(example.tensors(1)["b"].tolist()) == [1, 2, 3]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a=@nowhere.npy", "No such file"),
        ("a=@bad.npy", "cannot be read"),
        ("a=@object.npy", "cannot be read"),
        ("a=@two.npz", "has x, y"),
        ("a=@evil.pt", "cannot be read"),
        ("a=@list.pt", "no tensor but list"),
    ],
)
def test_files_that_hold_no_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, says: str
) -> None:
    import numpy as np

    class Evil:
        def __reduce__(self) -> Any:
            return print, ("run",)

    monkeypatch.chdir(tmp_path)
    Path("bad.npy").write_bytes(b"no array")
    np.save("object.npy", np.array([{}]), allow_pickle=True)
    np.savez("two.npz", x=np.ones(1), y=np.ones(1))
    torch.save(Evil(), "evil.pt")
    torch.save([1, 2], "list.pt")
    with pytest.raises(Failure) as caught:
        ExampleInputs(Inputs((parse_input(text),)))
    assert caught.value.failed.code == "bad-input"
    assert says in caught.value.failed.cause


def test_an_input_that_is_too_large_says_so() -> None:
    example = ExampleInputs(Inputs((InputSpec("x", (1 << 40,)),)))
    with pytest.raises(Failure) as caught:
        example.tensors()
    assert caught.value.failed.code == "out-of-memory"


# --- passing them


class Forward(nn.Module):
    def forward(self, x, ids, mask=None, *, scale=1):  # type: ignore[no-untyped-def]
        return x


@pytest.mark.parametrize(
    ("names", "positional", "keywords"),
    [
        (["x", "ids"], ("x", "ids"), ()),
        (["ids", "x"], ("x", "ids"), ()),
        (["scale", "x", "ids"], ("x", "ids"), ("scale",)),
        (["a", "b"], ("a", "b"), ()),
        (["x", "ids", "mask"], ("x", "ids", "mask"), ()),
    ],
)
def test_how_inputs_are_passed(names: list[str], positional: Any, keywords: Any) -> None:
    call = call_of(Forward(), names)
    assert (call.positional, call.keywords) == (positional, keywords)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["x"], "ids is missing"),
        (["a"], "ids is missing"),
        (["x", "id"], "no id"),
        (["a", "b", "c", "d"], "takes 3, not 4"),
    ],
)
def test_inputs_that_forward_does_not_take(names: list[str], says: str) -> None:
    with pytest.raises(Failure) as caught:
        call_of(Forward(), names)
    assert caught.value.failed.code == "inputs-do-not-match"
    assert says in caught.value.failed.cause


# --- trial


def test_a_trial_says_what_comes_out(checkpoint: Path, net: Path) -> None:
    from real_workers import save_state

    path = save_state(net, "Named")
    inputs = Inputs((parse_input("x:2,4"), parse_input("ids:2,5:int64:0..10")))
    tried = result_of(trying(Trial(choice_of(path, net, "Named"), inputs)))
    assert isinstance(tried, Tried)
    assert [(each.name, each.shape) for each in tried.outputs] == [
        ("sum", (2, 3)),
        ("parts.0", (2, 3)),
        ("parts.1", (2, 3)),
    ]
    assert tried.seconds > 0


def test_a_forward_that_fails_says_why_and_with_what(checkpoint: Path, net: Path) -> None:
    failed = failed_of(trying(Trial(choice_of(checkpoint, net), Inputs((parse_input("x:1,5"),)))))
    assert failed.code == "forward"
    assert "mat1 and mat2 shapes cannot be multiplied (1x5 and 4x8)" in failed.cause
    assert "x [1, 5] float32" in failed.next_step
    assert failed.traceback.startswith("Traceback (most recent call last):\n  File ")
    assert "net.py" in failed.traceback
    assert "worker/trial.py" not in failed.traceback


@pytest.mark.parametrize("returned", ["None", "'text'", "[]", "{'a': 1}"])
def test_a_forward_without_tensors(tmp_path: Path, checkpoint: Path, returned: str) -> None:
    code = f"""
    from torch import nn
    class Net(nn.Module):
        def forward(self, x):
            return {returned}
    """
    from dataclasses import replace

    from inspector_app.worker.protocol import Weights

    choice = choice_of(checkpoint, write_source(tmp_path, code, "other.py"))
    choice = replace(choice, weights=Weights(load=False))
    assert failed_of(trying(Trial(choice, Inputs((parse_input("x:1"),))))).code == "no-output"


# --- guesses


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.late = nn.Linear(99, 3)
        self.image = nn.Sequential(nn.Identity(), nn.Conv2d(2, 4, 3), nn.AdaptiveAvgPool2d(1))
        self.words = nn.Embedding(50, 4)

    def forward(self, tokens, picture, padding_mask):  # type: ignore[no-untyped-def]
        return self.words(tokens).sum(1) + self.image(picture.float()).flatten(1)


class Small(nn.Module):
    """Its last layer fits 28×28 only."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.fc = nn.Linear(2 * 26 * 26, 10)

    def forward(self, x):  # type: ignore[no-untyped-def]
        return self.fc(self.conv(x).flatten(1))


@pytest.mark.parametrize(
    ("module", "wanted"),
    [
        (nn.Sequential(nn.ReLU(), nn.Linear(7, 2)), ["input:1,7:float32"]),
        (nn.Conv2d(3, 4, 3), ["input:1,3,224,224:float32"]),
        (nn.Conv1d(3, 4, 3), ["input:1,3,128:float32"]),
        (nn.Sequential(nn.Embedding(9, 4)), ["input:1,16:int64:0..9"]),
        (nn.LSTM(5, 6, batch_first=True), ["input:1,8,5:float32"]),
        (nn.GRU(5, 6), ["input:8,1,5:float32"]),
        (nn.TransformerEncoderLayer(8, 2, batch_first=True), ["src:1,8,8:float32"]),
        (Small(), ["x:1,1,28,28:float32"]),
        (
            TwoInputs(),
            [
                "tokens:1,16:int64:0..50",
                "picture:1,2,224,224:float32",
                "padding_mask:1,16:bool:1..2",
            ],
        ),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, nn.Module) else "",
)
@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
def test_inputs_are_guessed_and_run(module: nn.Module, wanted: list[str]) -> None:
    module.eval()
    found = guesses(module)
    assert [text_of(each) for each in found] == wanted
    example = ExampleInputs(Inputs(found))
    call_of(module, [each.name for each in found])(module, example.tensors())
