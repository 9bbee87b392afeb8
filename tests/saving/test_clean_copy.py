"""A clean copy: whatever a file holds, what is written of it is plain data and tensors."""

from __future__ import annotations

import argparse
import collections
import dataclasses
import datetime
import decimal
import enum
import functools
import io
import json
import os
import pathlib
import pickle
import re
import types
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.analysis import clean_copy
from inspector_app.analysis.clean_copy import proving
from inspector_app.analysis.save_options import SaveOptions
from inspector_app.analysis.save_plan import plan
from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.errors import BrokenFile, CannotSave
from inspector_app.cli import run
from inspector_app.saving.save import saving
from tests.checkpoint import hostile_pickles as hostile
from tests.saving.broken_proof import broken_proof
from tests.saving.written import load, run_steps

Capture = pytest.CaptureFixture[str]


class Colour(enum.Enum):
    RED = 1
    BLUE = "b"


class Level(enum.IntFlag):
    LOW = 1
    HIGH = 2


Point = collections.namedtuple("Point", "x y")


@dataclasses.dataclass
class Config:
    layers: int
    sizes: list[int]


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    layers: int
    name: str


class OwnDict(dict):  # type: ignore[type-arg]
    pass


class OwnList(list):  # type: ignore[type-arg]
    pass


class Empty:
    pass


class Runs:
    def __reduce__(self) -> Any:
        return os.system, ("touch never",)


class Starts:
    def __reduce__(self) -> Any:
        import subprocess

        return subprocess.Popen, (["touch", "never"],)


class ByName:
    """As CPython 3.11 pickles the member of an enum."""

    def __reduce__(self) -> Any:
        return getattr, (Colour, "RED")


ZOO: dict[str, tuple[object, object]] = {
    "namespace": (argparse.Namespace(lr=0.1, at=pathlib.Path("/a")), {"lr": 0.1, "at": "/a"}),
    "simple": (types.SimpleNamespace(a=argparse.Namespace(b=[1])), {"a": {"b": [1]}}),
    "dataclass": (Config(2, [3]), {"layers": 2, "sizes": [3]}),
    "slots": (Slotted(2, "n"), [2, "n"]),
    "member": (Colour.BLUE, "b"),
    "flag": (Level.LOW | Level.HIGH, 3),
    "by name": (ByName(), "RED"),
    "members": ({Colour.RED}, [1]),
    "member keys": ({Colour.RED: "x", pathlib.PurePosixPath("p"): 2}, {1: "x", "p": 2}),
    "taken key": ({Colour.RED: "x", 1: "y"}, {f"{__name__}.Colour(…)": "x", 1: "y"}),
    "named tuple": (Point(1, Point(2, 3)), (1, (2, 3))),
    "own dict": (OwnDict(a=1), {"a": 1}),
    "own list": (OwnList([1, Colour.RED]), [1, 1]),
    "ordered": (collections.OrderedDict(a=1), collections.OrderedDict(a=1)),
    "default": (collections.defaultdict(list, a=[1]), {"a": [1]}),
    "numpy": ([np.float64(0.5), np.int32(3), np.bool_(True)], [0.5, 3, True]),
    "objects": (np.array([1, "a", None], dtype=object), [1, "a", None]),
    "times": ([datetime.date(2024, 5, 6), datetime.timedelta(1)], ["2024-05-06", "1 day, 0:00:00"]),
    "decimal": (decimal.Decimal("1.5"), "1.5"),
    "slice": (slice(1, None), (1, None, None)),
    "empty": (Empty(), {}),
}
LEFT = {
    "runs": Runs(),
    "starts": Starts(),
    "partial": functools.partial(int, base=2),
    "pattern": re.compile("a+"),
    "class": Config,
    "function": len,
    "strings": np.array(["a", "b"]),
    "error": ValueError("bad"),
}


def clean(capsys: Capture, source: Path, target: Path) -> tuple[int, dict[str, Any], str]:
    capsys.readouterr()
    status = run(["convert", "--clean", "--json", "--force", str(source), str(target)])
    said = capsys.readouterr()
    return status, json.loads(said.out) if said.out else {}, said.err


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_objects_become_what_they_stand_for(protocol: int, tmp_path: Path, capsys: Capture) -> None:
    source, target = tmp_path / "a.pth", tmp_path / "b.pth"
    value = {name: given for name, (given, _) in ZOO.items()} | LEFT
    value["weight"] = torch.arange(3.0)
    torch.save(value, source, pickle_protocol=protocol)
    status, told, err = clean(capsys, source, target)
    assert (status, err) == (0, "")
    assert told["clean"] is True
    after = load(target)
    assert torch.equal(after.pop("weight"), torch.arange(3.0))
    assert after == {name: wanted for name, (_, wanted) in ZOO.items()}
    assert {name: type(each) for name, each in after.items()} == {
        name: type(wanted) for name, (_, wanted) in ZOO.items()
    }
    assert {each["name"] for each in told["left"]} == set(LEFT)
    changed = {each["name"].partition("/")[0] for each in told["changed"]}
    assert changed == set(ZOO) - {"ordered"}
    assert not any(use.name for use in open_checkpoint(target).globals if not use.allowed)


def test_the_report_says_what_became_of_what(tmp_path: Path, capsys: Capture) -> None:
    source, target = tmp_path / "a.pth", tmp_path / "b.pth"
    torch.save({"w": torch.ones(2), "colour": Colour.RED, "run": Runs()}, source)
    assert run(["convert", "--clean", str(source), str(target)]) == 0
    out = capsys.readouterr().out
    assert "nothing outside the allowlist of torch.load(weights_only=True)\n" in out
    assert f"colour: {__name__}.Colour becomes the value that it is made of\n" in out
    assert "run: torch.load(weights_only=True) would refuse it (posix.system)\n" in out
    assert not (tmp_path / "never").exists()


@pytest.mark.parametrize("name", ["b.safetensors", "b.npz", "b"])
def test_a_clean_copy_is_a_torch_file(name: str, tmp_path: Path, capsys: Capture) -> None:
    source = tmp_path / "a.pth"
    torch.save({"w": torch.ones(2)}, source)
    assert run(["convert", "--clean", str(source), str(tmp_path / name)]) == 2
    assert "a clean copy is a torch file, whose name ends in .pth" in capsys.readouterr().err
    assert not (tmp_path / name).exists()


def test_arguments_that_a_plain_form_has_no_place_for_are_told(
    tmp_path: Path, capsys: Capture
) -> None:
    weights, source, target = (tmp_path / name for name in ("w.pth", "a.pth", "b.pth"))
    torch.save({"w": torch.ones(1)}, weights)
    state = b"}" + hostile.text("a") + b"K\x01s"
    body = hostile.called(hostile.named("mine", "Thing"), b"K\x05") + state + b"b"
    source.write_bytes(_beside(weights, body))
    status, told, _ = clean(capsys, source, target)
    assert status == 0
    assert load(target)["x"] == {"a": 1}
    assert [(each["name"], each["what"]) for each in told["changed"]] == [
        ("x", "object-to-dict"),
        ("x", "arguments-dropped"),
    ]


def test_without_tensors_there_is_nothing_to_save(tmp_path: Path, capsys: Capture) -> None:
    source = tmp_path / "a.pth"
    torch.save({"a": argparse.Namespace()}, source)
    status, _, err = clean(capsys, source, tmp_path / "b.pth")
    assert status == 2
    assert err == f"checkpoint-inspector: {source}: nothing would be left to write\n"


def test_hostile_files_give_clean_copies_or_a_sentence(tmp_path: Path, capsys: Capture) -> None:
    """Each has a tensor beside what it would run, so that there is something to copy."""
    marker = str(tmp_path / "marker")
    weights = tmp_path / "w.pth"
    torch.save({"w": torch.arange(2.0)}, weights)
    written = 0
    for number, (name, body) in enumerate(hostile.executing(marker).items()):
        source, target = tmp_path / f"{number}.pth", tmp_path / f"{number}.clean.pth"
        source.write_bytes(_beside(weights, body))
        status, told, err = clean(capsys, source, target)
        assert status in (0, 1) or err.startswith("checkpoint-inspector: "), name
        if status == 2:
            continue
        written += 1
        assert told["clean"] is True, name
        after = load(target)
        assert torch.equal(after["w"], torch.arange(2.0)), name
        assert not any(not use.allowed for use in open_checkpoint(target).globals), name
    assert written > 20
    assert not os.path.exists(marker)


def _beside(weights: Path, body: bytes) -> bytes:
    """The bytes of a checkpoint with one tensor, and `body` under the key ``x``."""
    made = io.BytesIO()
    with zipfile.ZipFile(weights) as old, zipfile.ZipFile(made, "w") as new:
        for entry in old.infolist():
            data = old.read(entry)
            if entry.filename.endswith("/data.pkl"):
                assert data.endswith(b"s.")
                data = data[:-1] + hostile.text("x") + body + b"s."
            new.writestr(entry.filename, data)
    return made.getvalue()


class _Thing:
    """Pickled as whatever it was given."""

    def __init__(self, function: Any, arguments: tuple[Any, ...], state: Any) -> None:
        self.reduced = (function, arguments, state)

    def __reduce__(self) -> Any:
        return self.reduced


_FUNCTIONS = st.sampled_from(
    [Colour, Config, Point, OwnDict, os.system, getattr, collections.OrderedDict, Empty, len]
)
_OBJECTS = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 2100), 1 << 2100) | st.text(max_size=3)
    | st.floats() | st.binary(max_size=3) | _FUNCTIONS
    | st.sampled_from([np.float32(1), np.arange(2), torch.float16, torch.arange(2)]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.builds(Point, inner, inner)
        | st.dictionaries(st.text(max_size=2) | st.integers() | st.sampled_from(Colour), inner)
        | st.builds(
            _Thing,
            _FUNCTIONS,
            st.lists(inner, max_size=2).map(tuple),
            st.none() | inner | st.dictionaries(st.text(max_size=2), inner, max_size=2),
        )
    ),
    max_leaves=12,
)  # fmt: skip


@given(value=_OBJECTS, protocol=st.sampled_from([2, 4]))
def test_whatever_is_in_a_file_its_copy_is_clean(
    tmp_path_factory: pytest.TempPathFactory, value: object, protocol: int
) -> None:
    folder = tmp_path_factory.getbasetemp()
    source, target = folder / "any.pth", folder / "any.clean.pth"
    torch.save({"w": torch.ones(1), "x": value}, source, pickle_protocol=protocol)
    run_steps(saving(plan([open_checkpoint(source)], target, SaveOptions()), force=True))
    run_steps(proving(str(target), str(target)))
    assert torch.equal(load(target)["w"], torch.ones(1))


def test_what_is_not_proven_clean_does_not_get_its_name(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = tmp_path / "a.pth", tmp_path / "b.pth"
    torch.save({"w": torch.ones(2)}, source)
    broken_proof(monkeypatch)
    for before in (None, b"the old file"):
        if before is not None:
            target.write_bytes(before)
        names = sorted(os.listdir(tmp_path))
        status, told, err = clean(capsys, source, target)
        assert (status, told) == (2, {})
        assert err == f"checkpoint-inspector: {target}: the copy is not clean: os.system\n"
        assert sorted(os.listdir(tmp_path)) == names
    assert target.read_bytes() == b"the old file"
    # The source itself, which is replaced only by what is proven.
    content = source.read_bytes()
    assert clean(capsys, source, source)[0] == 2
    assert source.read_bytes() == content


def test_a_copy_that_cannot_be_read_does_not_get_its_name(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = tmp_path / "a.pth", tmp_path / "b.pth"
    torch.save({"w": torch.ones(2)}, source)

    def unreadable(path: str) -> Any:
        raise BrokenFile("encrypted-entry", path, "data.pkl")
        yield

    monkeypatch.setattr(clean_copy, "reading", unreadable)
    status, _, err = clean(capsys, source, target)
    assert status == 2
    assert err.startswith(f"checkpoint-inspector: {target}: the copy is not clean: ")
    assert "partial" not in err
    assert sorted(os.listdir(tmp_path)) == ["a.pth"]


def test_every_shard_is_proven_before_one_gets_its_name(tmp_path: Path) -> None:
    source, target = tmp_path / "a.pth", tmp_path / "b.safetensors"
    torch.save({f"w{number}": torch.ones(200) for number in range(3)}, source)
    made = plan([open_checkpoint(source)], target, SaveOptions(max_shard_bytes=1_000))
    proven: list[str] = []

    def proof(path: str, name: str) -> Any:
        assert os.listdir(tmp_path).count("a.pth") == 1
        assert not list(tmp_path.glob("b*"))
        assert open_checkpoint(path).format == "safetensors"
        proven.append(os.path.basename(name))
        if len(proven) == 3:
            raise CannotSave("clean-copy", name, what="the third")
        yield from ()

    with pytest.raises(CannotSave, match="the third"):
        run_steps(saving(made, proof=proof))
    assert proven == [f"b-0000{number}-of-00003.safetensors" for number in (1, 2, 3)]
    assert os.listdir(tmp_path) == ["a.pth"]


def test_the_proof_finds_what_is_not_clean(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    torch.save({"w": torch.ones(1), "n": argparse.Namespace()}, path)
    with pytest.raises(CannotSave, match=r"the copy is not clean: argparse\.Namespace"):
        run_steps(proving(str(path), str(path)))
    path.write_bytes(pickle.dumps([1], 2) + b"more")
    with pytest.raises(CannotSave, match="the copy is not clean"):
        run_steps(proving(str(path), str(path)))
