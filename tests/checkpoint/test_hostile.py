"""Nothing that a file names is imported or called, and no file eats the machine.

The hostile files are read, and printed, by `hostile_reader.py` in processes of their own,
where an audit hook sees every import, call of the system, and file that is opened.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import hostile_pickles as hostile
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.model import Checkpoint, Kind
from inspector_app.terminal.show_json import json_parts
from inspector_app.terminal.show_text import text_parts
from inspector_app.terminal.style import Style

ROOT = Path(__file__).resolve().parents[2]
READER = Path(__file__).with_name("hostile_reader.py")
MEGABYTES = 300
HANGS_AFTER = 300  # seconds for a folder of files; a second is usual

Answers = dict[str, dict[str, Any]]


def read_all(folder: Path, files: Iterable[tuple[str, bytes]]) -> Answers:
    """What the reader says about each file, by its name."""
    names = {}
    for index, (name, content) in enumerate(files):
        # Unlike names, so that a path configuration file is never recognised by its ending.
        path = folder / f"{index:04}-{re.sub(r'[^A-Za-z0-9]+', '-', name)}.bin"
        path.write_bytes(content)
        names[path.name] = name
    process = subprocess.run(
        [sys.executable, str(READER), str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=HANGS_AFTER,
        check=False,
    )
    answers = [json.loads(line) for line in process.stdout.splitlines()]
    last = answers[-1]["file"] if answers else "none"
    assert process.returncode == 0, f"after {last}: {process.stderr[-2000:]}"
    assert process.stderr == ""
    return {names[answer["file"]]: answer for answer in answers}


def assert_harmless(answers: Answers) -> None:
    assert {name: answer["seen"] for name, answer in answers.items() if answer["seen"]} == {}
    assert {name: answer["unsafe"] for name, answer in answers.items() if answer["unsafe"]} == {}
    heavy = {name: answer["peak_mb"] for name, answer in answers.items()}
    assert {name: peak for name, peak in heavy.items() if peak >= MEGABYTES} == {}


@pytest.fixture(scope="module")
def marker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that exists once any of the commands has been run."""
    return tmp_path_factory.mktemp("marker") / "executed"


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory, marker: Path) -> Answers:
    files = list(hostile.files(str(marker)))
    answers = read_all(tmp_path_factory.mktemp("hostile"), files)
    assert len(answers) == len(files)
    return answers


def test_the_pickles_would_execute(tmp_path: Path) -> None:
    """They are what they claim: Python's own unpickler runs the command."""
    for name in ("REDUCE", "NEWOBJ", "STACK_GLOBAL", "INST", "OBJ", "BUILD", "REDUCE as a key"):
        marker = tmp_path / re.sub(r"\W", "-", name)
        stream = hostile.dangerous(str(marker))[f"executing {name}"]
        code = "import pickle, sys, time; x = pickle.load(sys.stdin.buffer); time.sleep(0.2)"
        subprocess.run([sys.executable, "-c", code], input=stream, timeout=60, check=False,
                       capture_output=True, cwd=tmp_path)  # fmt: skip
        if name == "NEWOBJ":  # a Popen of one string with a space in it finds no program
            continue
        assert marker.exists(), name


def test_nothing_is_executed(answers: Answers, marker: Path) -> None:
    assert_harmless(answers)
    assert not marker.exists()


def test_globals_are_named(answers: Answers) -> None:
    """What would have been called is listed, whatever else is wrong."""
    expected = {
        "REDUCE": "os.system",
        "NEWOBJ": "subprocess.Popen",
        "NEWOBJ_EX": "subprocess.Popen",
        "BUILD": "os.system",
        "BUILD of a global": "os.environ",
        "STACK_GLOBAL": "os.system",
        "INST": "os.system",
        "OBJ": "os.system",
        "REDUCE of a dotted name": "os.path.os.system",
        "REDUCE of a foreign module": f"{hostile.NEVER_IMPORTED}.fly",
        "a parameter of a call": "os.system",
        "a module with a hook": "os.system",
        "numpy's object arrays": "os.system",
    }
    for name, target in expected.items():
        for form in ("raw", "zip", "legacy"):
            for place in ("executing", "executing in a mapping"):
                answer = answers[f"{form} {place} {name}"]
                assert target in answer["globals"], answer
                assert answer["outcome"].startswith("tree"), answer


def test_what_was_understood_stays(answers: Answers) -> None:
    """A stream that breaks after the first entries still gives them."""
    for name in hostile.executing(""):
        for form, kind in (("raw", "pickle"), ("zip", "torch-zip"), ("legacy", "torch-legacy")):
            answer = answers[f"{form} executing in a mapping {name}"]
            assert answer["outcome"] == f"tree of {kind}", answer


def test_broken_streams_are_problems_or_errors(answers: Answers) -> None:
    fine = {
        "malformed POP of a MARK",
        "malformed two values at STOP",
        "malformed a surrogate",
        "malformed huge LONG_BINPUT",
        "malformed Python 2 bytes",
        "malformed a truth as a number",
        "tensor a good one",
    }
    for form in ("raw", "zip", "legacy"):
        for name in fine:
            assert answers[f"{form} {name}"]["outcome"].startswith("tree"), name
        for name in hostile.wrong():
            answer = answers[f"{form} {name}"]
            if "beyond the file" in name or "on an empty stack" in name or "without MARK" in name:
                assert answer["codes"], answer
            if name.startswith("tensor "):
                assert answer["outcome"].startswith("tree"), answer
    for name in ("huge shape", "huge offset", "negative stride", "shape of itself"):
        assert set(answers[f"zip tensor {name}"]["codes"]) & {"bad-tensor", "view-bounds"}, name


def test_deep_and_multiplying_structures(answers: Answers) -> None:
    for name in hostile.deep():
        (answer,) = (value for key, value in answers.items() if key.endswith(f"deep {name}"))
        if name in ("tuple as a key", "states"):  # what is below the first level is not shown
            assert answer["outcome"].startswith("tree")
            continue
        assert {"tree-limit", "pickle-limit", "broken", "bad-tensor"} & set(answer["codes"]), answer


def heavy_files() -> Iterator[tuple[str, bytes]]:
    for index, (name, stream) in enumerate(hostile.heavy()):
        yield name, stream if index % 3 else hostile.in_zip(stream)


def test_fifty_megabytes_of_one_opcode(tmp_path: Path) -> None:
    answers = read_all(tmp_path, heavy_files())
    assert_harmless(answers)
    for name, answer in answers.items():
        if name != "one long text":
            assert answer["codes"], answer
    for path in tmp_path.iterdir():
        path.unlink()


def test_show_names_what_a_file_would_call(marker: Path, tmp_path: Path) -> None:
    """The command line: a tree and exit status 0, or one line and 2."""
    streams = hostile.dangerous(str(marker)) | hostile.wrong()
    for name, status in (
        ("executing REDUCE", 0),
        ("executing INST", 0),
        ("malformed a list in itself", 0),
        ("malformed STOP on an empty stack", 2),
        ("malformed BINBYTES8 beyond the file", 2),
    ):
        path = tmp_path / "hostile.pth"
        path.write_bytes(hostile.in_zip(streams[name]))
        result = subprocess.run(
            [sys.executable, "-m", "inspector_app", "show", str(path)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert result.returncode == status, result
        if status:
            assert result.stdout == ""
            assert result.stderr.startswith(f"checkpoint-inspector: {path}: ")
            assert result.stderr.count("\n") == 1
        else:
            assert result.stderr == ""
        if name.startswith("executing"):
            assert "globals outside the allowlist: os.system" in result.stdout
    assert not marker.exists()


# --- mutations of real files


def looked_at(path: Path) -> Checkpoint | None:
    """Read and print; None for a clear error. Anything else fails the test."""
    try:
        checkpoint = open_checkpoint(path)
    except CheckpointError as refused:
        error = refused
    else:
        error = None
    if error is not None:
        assert str(error).isprintable()
        return None
    text = "".join(text_parts(checkpoint, Style(width=90)))
    assert text.replace("\n", "").isprintable()
    json.loads("".join(json_parts(checkpoint)))
    for tensor in checkpoint.tensors:
        assert tensor.kind == Kind.TENSOR
        assert min((0, *tensor.shape)) >= -1
    return checkpoint


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("originals")
    # More than 256 memo entries, so that the recurring run of opcodes is there to be mutated.
    value = {
        "state_dict": {f"layer.{i}.weight": torch.ones(2, i % 3 + 1) for i in range(40)},
        "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 0.1}]},
        "epoch": 3,
    }
    originals = {}
    for form, new in (("zip", True), ("legacy", False)):
        path = folder / form
        torch.save(value, path, _use_new_zipfile_serialization=new)
        originals[form] = path.read_bytes()
    with zipfile.ZipFile(folder / "zip") as archive:
        originals["pickle"] = archive.read("zip/data.pkl")
    return originals


edits = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True), st.integers(0, 3), st.binary(min_size=1, max_size=6)
    ),
    min_size=1,
    max_size=4,
)


def mutated(content: bytes, changes: list[tuple[float, int, bytes]]) -> bytes:
    for place, kind, raw in changes:
        at = int(place * len(content))
        if kind == 0:  # overwrite
            content = content[:at] + raw + content[at + len(raw) :]
        elif kind == 1:  # insert
            content = content[:at] + raw + content[at:]
        elif kind == 2:  # delete
            content = content[:at] + content[at + len(raw) :]
        else:  # repeat what stands elsewhere
            other = raw[0] * len(content) // 256
            content = content[:at] + content[other : other + 40] + content[at:]
    return content


@given(form=st.sampled_from(["zip", "legacy", "pickle"]), changes=edits)
def test_mutated_files(
    form: str,
    changes: list[tuple[float, int, bytes]],
    originals: dict[str, bytes],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.getbasetemp() / "mutated.bin"
    content = mutated(originals[form], changes)
    path.write_bytes(hostile.in_zip(content) if form == "pickle" else content)
    looked_at(path)


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_truncated_files(form: str, originals: dict[str, bytes], tmp_path: Path) -> None:
    content = originals[form]
    path = tmp_path / "cut.pt"
    for length in range(0, len(content), max(1, len(content) // 150)):
        path.write_bytes(content[:length])
        checkpoint = looked_at(path)
        if checkpoint is not None:
            assert checkpoint.problems, length


@given(
    opcodes=st.lists(
        st.one_of(
            st.sampled_from([bytes([opcode]) for opcode in range(256)]),
            st.binary(max_size=3),
            st.sampled_from(
                [b"K\x01", b"N", b"(", b"]", b"}", b")", b"h\x00", b"q\x00", b"cos\nsystem\n",
                 b"X\x01\x00\x00\x00a", b"\x8c\x01b", b"\x94", b"s", b"a", b"u", b"e", b"t", b"R"]
            ),
        ),
        max_size=60,
    ),
    form=st.sampled_from(["raw", "zip", "legacy"]),
)  # fmt: skip
def test_random_opcodes(
    opcodes: list[bytes], form: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    stream = b"\x80\x02" + b"".join(opcodes) + b"."
    wrap = {"raw": bytes, "zip": hostile.in_zip, "legacy": hostile.in_legacy}[form]
    path = tmp_path_factory.getbasetemp() / "random.bin"
    path.write_bytes(wrap(stream))
    looked_at(path)


PLAIN = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False),
        st.complex_numbers(allow_nan=False),
        st.text(),
        st.binary(),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.text(), inner, max_size=4),
    ),
    max_leaves=20,
)


@given(value=PLAIN, protocol=st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_plain_values_are_those_of_pickle(
    value: Any, protocol: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The other half of being inert: what needs no code is read exactly."""
    path = tmp_path_factory.getbasetemp() / "plain.pkl"
    wrapped = {"value": value}
    path.write_bytes(pickle.dumps(wrapped, protocol))
    checkpoint = open_checkpoint(path)
    assert checkpoint.problems == []
    assert rebuilt(checkpoint.root) == wrapped


def rebuilt(node: Any) -> Any:
    if node.kind == Kind.SCALAR:
        return node.value
    if node.kind == Kind.MAPPING:
        return {child.key: rebuilt(child) for child in node.children}
    assert node.kind == Kind.SEQUENCE
    items = [rebuilt(child) for child in node.children] or list(node.value or ())
    return tuple(items) if node.type_name == "tuple" else items
