"""Files of the grammars: a tree that can be looked at from every side, or one sentence."""

from __future__ import annotations

import contextlib
import io
import pickle
import pickletools
import warnings
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.limits import DEFAULT
from inspector_app.checkpoint.pickle_machine import PickleMachine
from tests.checkpoint import grammar_files, grammar_pickles
from tests.checkpoint.hostile_pickles import in_legacy, in_zip
from tests.fuzz import zip_forms
from tests.fuzz.looking import look

EXAMPLES = settings(max_examples=100)
SUFFIXES = {
    "safetensors": ".safetensors", "index": ".safetensors.index.json", "export": ".pt2",
    "onnx": ".onnx",
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("grammar")


@pytest.mark.parametrize("form", ["raw", "zip", "legacy"])
@EXAMPLES
@given(stream=grammar_pickles.framed() | grammar_pickles.broken)
def test_pickles(form: str, stream: bytes, place: Path) -> None:
    path = place / "grammar.pth"
    path.write_bytes({"raw": bytes, "zip": in_zip, "legacy": in_legacy}[form](stream))
    outcome = look(path)
    assert outcome.startswith(("tree", "error")), outcome


@pytest.mark.parametrize("form", grammar_files.FILES)
def test_files(form: str, place: Path) -> None:
    path = place / f"grammar{SUFFIXES.get(form, '.pth')}"
    outcomes: Counter[str] = Counter()

    @settings(EXAMPLES)
    @given(content=grammar_files.FILES[form])
    def holds(content: bytes) -> None:
        path.write_bytes(content)
        outcomes[look(path).split()[0]] += 1

    holds()
    # A grammar that a reader always refuses tests little of it.
    assert outcomes["tree"] > outcomes.total() / 10, outcomes


def test_the_grammar_has_every_opcode() -> None:
    seen: set[str] = set()

    def collect(stream: bytes) -> None:
        with contextlib.suppress(ValueError), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes that mean nothing
            seen.update(opcode.name for opcode, _, _ in pickletools.genops(stream))

    for runs, count in (
        (grammar_pickles.atoms, 300),
        (grammar_pickles.composed(grammar_pickles.atoms), 400),
        (grammar_pickles.memos, 50),
        (grammar_pickles.framed(), 100),
    ):
        settings(max_examples=count)(given(stream=runs)(collect))()
    assert {opcode.name for opcode in pickletools.opcodes} - seen == set()


# --- against those who define the formats


class _Inert:
    """Stands for whatever a stream names; nothing is imported or called."""

    def __new__(cls, *arguments: Any, **keywords: Any) -> _Inert:
        return object.__new__(cls)

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass

    def append(self, item: Any) -> None:
        pass

    def extend(self, items: Any) -> None:
        pass

    def add(self, item: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def __call__(self, *arguments: Any) -> _Inert:
        return self


class _Oracle(pickle._Unpickler):  # type: ignore[name-defined]
    """CPython's own, with names that are inert. Written in Python: the other one can crash."""

    def find_class(self, module: str, name: str) -> Any:
        return _Inert

    def persistent_load(self, pid: Any) -> Any:
        return _Inert()

    def get_extension(self, code: int) -> None:
        self.append(_Inert)


@EXAMPLES
@given(stream=grammar_pickles.framed(grammar_pickles.values | grammar_pickles.mappings))
def test_what_cpython_unpickles_is_no_broken_stream(stream: bytes, place: Path) -> None:
    try:
        file = io.BytesIO(stream)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _Oracle(file, encoding="bytes", buffers=[b""] * 50).load()
    except (Exception, RecursionError):
        return  # also CPython refuses it, for whatever reason
    path = place / "accepted.pkl"
    path.write_bytes(stream)
    with ByteSource(path) as source:
        machine = PickleMachine(source, 0, source.size, DEFAULT)
        for _ in machine.run():
            pass
    assert machine.finished, [problem.message for problem in machine.problems]
    assert machine.end == file.tell()


@EXAMPLES
@given(archive=grammar_files.true_archives())
def test_archives_that_tell_the_truth(archive: zip_forms.Archive, place: Path) -> None:
    """Descriptors, ZIP64 and comments are no anomaly, alone or together."""
    content = zip_forms.written(archive)
    with zipfile.ZipFile(io.BytesIO(content)) as other:
        assert other.testzip() is None
    path = place / "true.pth"
    path.write_bytes(content)
    checkpoint = open_checkpoint(path)
    assert checkpoint.problems == []
    assert checkpoint.find(["epoch"]).value == 3


@EXAMPLES
@given(number=st.integers(1, 2**29 - 1), data=st.data())
def test_the_protobuf_grammar_writes_what_it_reads(number: int, data: st.DataObject) -> None:
    from tests.fuzz import protobuf_forms

    field = protobuf_forms.Field(number, 2, data.draw(st.binary(max_size=30)))
    varint = protobuf_forms.Field(number, 0, data.draw(st.integers(0, 2**64 - 1)))
    raw = protobuf_forms.dumped([field, varint])
    again = protobuf_forms.parsed(raw)
    assert again is not None
    assert protobuf_forms.dumped(again) == raw
