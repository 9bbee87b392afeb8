"""The trace understands what the machine understands, and knows where everything stands."""

from __future__ import annotations

import argparse
import collections
import io
import pickle
import pickletools
import warnings
import zipfile
from pathlib import Path
from typing import Any

import grammar_pickles as grammar
import hostile_pickles as hostile
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.inert_text import arguments_text, inert_text
from inspector_app.checkpoint.limits import DEFAULT
from inspector_app.checkpoint.model import Checkpoint, TreePath
from inspector_app.checkpoint.pickle_machine import PickleMachine
from inspector_app.checkpoint.pickle_nodes import Call, GlobalRef, ItemSet, PairList, PersistentId
from inspector_app.checkpoint.pickle_trace import PickleTrace
from inspector_app.checkpoint.record_source import MemorySource
from inspector_app.checkpoint.trace_places import Places, placing

STREAMS = {**hostile.dangerous("/tmp/never"), **hostile.wrong()}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> ByteSource:
    path = tmp_path_factory.mktemp("trace") / "x"
    path.write_bytes(b"x")
    with ByteSource(path) as source:
        yield source


def run(machine: PickleMachine) -> Any:
    for _ in machine.run():
        pass
    return machine


def finished(steps: Any) -> Any:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def traced(file: ByteSource, stream: bytes) -> PickleTrace:
    return run(PickleTrace(MemorySource(file, stream), 0, len(stream), DEFAULT))


def placed(machine: PickleTrace, prefix: TreePath = ()) -> Places:
    return finished(placing(machine.value, machine.spans, DEFAULT, prefix))


def parts(value: Any) -> tuple[Any, list[Any]]:
    """What a value is by itself, and what it is made of."""
    kind = type(value)
    if kind is PairList:
        return kind, [part for pair in value.pairs for part in pair]
    if kind in (list, tuple):
        return (kind, len(value)), list(value)
    if kind is ItemSet:
        return (kind, value.frozen, len(value.items)), value.items
    if kind is PersistentId:
        return (kind, value.position), [value.pid]
    if kind is GlobalRef:
        return (kind, value.full_name, value.position, frozenset(value.uses)), []
    if kind is Call:
        pairs = [part for pair in value.pairs or [] for part in pair]
        inner = [value.function, value.args, value.keywords]
        inner += [*(value.state or []), *(value.items or []), *pairs]
        return (kind, value.kind, value.position, len(inner)), inner
    if kind in (int, float, str, bytes, bool, type(None)):
        return (kind, repr(value)), []
    return (kind, *(repr(getattr(value, name)) for name in kind.__slots__)), []


def assert_same(one: Any, other: Any) -> None:
    pending = [(one, other)]
    seen: set[tuple[int, int]] = set()
    while pending:
        a, b = pending.pop()
        if (id(a), id(b)) in seen:
            continue
        seen.add((id(a), id(b)))
        (what, inner), (what_else, inner_else) = parts(a), parts(b)
        assert what == what_else
        pending += zip(inner, inner_else, strict=True)


@pytest.mark.parametrize("title", STREAMS)
def test_the_trace_makes_what_the_machine_makes(title: str, file: ByteSource) -> None:
    agree(file, STREAMS[title])


def agree(file: ByteSource, stream: bytes) -> None:
    source = MemorySource(file, stream)
    machine = run(PickleMachine(source, 0, len(stream), DEFAULT))
    trace = traced(file, stream)
    assert_same(machine.value, trace.value)
    assert (machine.end, machine.finished, machine.protocol) == (
        trace.end,
        trace.finished,
        trace.protocol,
    )
    assert set(machine.globals) == set(trace.globals) == set(trace.traced)
    for key, found in machine.globals.items():
        # The machine takes it that the rebuild function is called.
        if key != ("torch._utils", "_rebuild_tensor_v2"):
            assert found.uses == trace.globals[key].uses
    known = {(problem.code, problem.message) for problem in trace.problems}
    assert {(problem.code, problem.message) for problem in machine.problems} <= known


BASIC = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(max_size=20)
)
VALUES = st.recursive(
    BASIC,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.dictionaries(st.text(max_size=4), inner, max_size=4),
        st.builds(lambda items: argparse.Namespace(a=items), inner),
        st.builds(lambda items: collections.OrderedDict({"k": items}), inner),
        st.frozensets(st.integers(), max_size=3),
    ),
    max_leaves=12,
)


@given(VALUES, st.integers(0, 5))
def test_pickled_values(value: Any, protocol: int) -> None:
    """And nothing that a pickler writes is odd."""
    stream = pickle.dumps(value, protocol)
    with ByteSource(__file__) as file:
        agree(file, stream)
        assert traced(file, stream).problems == []


@given(VALUES, st.integers(0, 5), st.integers(0, 300), st.integers(0, 255))
def test_damaged_streams(value: Any, protocol: int, place: int, byte: int) -> None:
    stream = bytearray(pickle.dumps(value, protocol))
    stream[place % len(stream)] = byte
    with ByteSource(__file__) as file:
        agree(file, bytes(stream))


@given(grammar.framed())
def test_streams_of_the_grammar(stream: bytes) -> None:
    with ByteSource(__file__) as file:
        agree(file, stream)


@given(grammar.broken)
def test_broken_streams_of_the_grammar(stream: bytes) -> None:
    with ByteSource(__file__) as file:
        agree(file, stream)


@given(VALUES, st.sampled_from([0, 2, 4]))
def test_offsets_are_those_of_opcodes(value: Any, protocol: int) -> None:
    stream = pickle.dumps(value, protocol)
    offsets = {at for _, _, at in pickletools.genops(stream)}
    with ByteSource(__file__) as file:
        trace = traced(file, stream)
    assert {use.offset for found in trace.traced.values() for use in found.uses} <= offsets
    assert {*trace.spans.starts, *trace.spans.ends} <= offsets
    opcodes = [(opcode.name, at) for opcode, _, at in pickletools.genops(stream)]
    named = [at for name, at in opcodes if name in ("GLOBAL", "STACK_GLOBAL")]
    uses = [(use.offset, use.how) for found in trace.traced.values() for use in found.uses]
    assert sorted(at for at, how in uses if how == "named") == named


def test_every_use_is_counted(file: ByteSource) -> None:
    stream = pickle.dumps([argparse.Namespace(x=index) for index in range(2_000)], 2)
    found = traced(file, stream).traced["argparse", "Namespace"]
    assert found.counts == {"named": 1, "newobj": 2_000, "build": 2_000}
    assert len(found.uses) == 2_001  # the first thousand of each kind


# --- offset to path and back


def of_file(path: Path) -> tuple[Checkpoint, PickleTrace, Places]:
    checkpoint = open_checkpoint(path)
    with zipfile.ZipFile(path) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith("data.pkl"))
        stream = archive.read(name)
    with ByteSource(path) as source:
        machine = traced(source, stream)
        return checkpoint, machine, placed(machine)


def assert_both_ways(checkpoint: Checkpoint, places: Places, most_missing: int = 0) -> None:
    """The path of a node's first opcode is the node's, or that of what begins with it."""
    missing = 0
    for node in checkpoint.root.walk():
        span = places.span_of(node.path)
        assert span is not None
        start, end = span
        assert start <= end
        for offset in (start, end):
            found = places.path_at(offset)
            if found[: len(node.path)] != node.path:
                assert node.path[: len(found)] == found
                missing += 1
                break
    assert missing <= most_missing


def saved(path: Path, value: Any) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(value, path)
    return path


def test_places_in_a_training_checkpoint(tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(2, 3)).sum().backward()
    optimizer.step()
    value = {
        "epoch": 5,
        "args": argparse.Namespace(lr=0.1, names=["a", "b"]),
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "best": (0.5, "x"),
    }
    checkpoint, _, places = of_file(saved(tmp_path / "x.pth", value))
    assert_both_ways(checkpoint, places, most_missing=30)
    for path in (
        ("epoch",),
        ("args", "lr"),
        ("args", "names", 1),
        ("model", "0.weight"),
        ("optimizer", "state", 0, "exp_avg"),
        ("optimizer", "param_groups", 0, "lr"),
    ):
        start, end = places.span_of(path)
        assert places.path_at(start) == path, path
        assert places.path_at(end) == path, path


def test_the_place_of_a_scalar_is_its_opcodes(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pth", {"first": 1, "second": {"third": 77}})
    _, _, places = of_file(path)
    with zipfile.ZipFile(path) as archive:
        stream = archive.read("x/data.pkl")
    at = stream.index(b"K\x4d")
    assert places.path_at(at) == ("second", "third")
    start, end = places.span_of(("second", "third"))
    assert stream[start:].startswith(b"X\x05\x00\x00\x00third")
    assert start <= at <= end


def test_places_of_whole_models_and_samples(tmp_path: Path, samples: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU())
    checkpoint, machine, places = of_file(saved(tmp_path / "m.pth", model))
    weight = places.span_of(("0.weight",))
    assert places.path_at(weight[0]) == ("0.weight",)
    made = machine.traced["torch.nn.modules.conv", "Conv2d"].uses
    assert {places.path_at(use.offset) for use in made if use.how != "named"} == {
        ("(modules)", "0")
    }
    for path in samples.glob("*.pth"):
        checkpoint, _, places = of_file(path)
        for tensor in checkpoint.tensors:
            start, end = places.span_of(tensor.path)
            assert places.path_at(start) == places.path_at(end) == tensor.path


def test_an_object_that_stands_in_two_places(tmp_path: Path) -> None:
    shared = argparse.Namespace(x=1)
    _, _, places = of_file(saved(tmp_path / "x.pth", {"a": shared, "b": [shared]}))
    first, second = places.span_of(("a",)), places.span_of(("b", 0))
    assert first[1] < second[0]
    assert places.path_at(second[0]) == ("b", 0)


def test_a_path_that_is_not_in_the_stream(file: ByteSource) -> None:
    places = placed(traced(file, pickle.dumps({"a": 1}, 2)), ("inside",))
    assert places.span_of(("elsewhere", "a")) is None
    assert places.span_of(("inside", "a")) is not None
    # The nearest node that there is.
    assert places.span_of(("inside", "z")) == places.span_of(("inside",))
    assert places.path_at(10_000) == ("inside",)


@given(VALUES, st.sampled_from([2, 4]))
def test_places_enclose_each_other(value: Any, protocol: int) -> None:
    stream = pickle.dumps({"root": value}, protocol)
    with ByteSource(__file__) as file:
        machine = traced(file, stream)
        places = placed(machine)
    for _, _, at in pickletools.genops(stream):
        path = places.path_at(at)
        start, end = places.span_of(path)
        assert path == () or start <= end


# --- text of inert values


def test_arguments_as_text(file: ByteSource) -> None:
    stream = pickle.dumps({"lr": 0.1, "n": [1, (2,)], "s": {3}, "b": b"\x00"}, 4)
    assert inert_text(traced(file, stream).value) == (
        "{'lr': 0.1, 'n': [1, (2,)], 's': {3}, 'b': b'\\x00'}"
    )
    assert arguments_text(("touch", 1)) == "'touch', 1"
    assert inert_text(10**5000).startswith("<integer of 16610 bits>")


@pytest.mark.parametrize("title", [*STREAMS])
def test_any_value_has_a_short_text(title: str, file: ByteSource) -> None:
    trace = traced(file, STREAMS[title])
    text = inert_text(trace.value)
    assert len(text.encode("unicode_escape")) < 4_000
    assert text.isprintable()


def test_a_text_of_what_contains_itself(file: ByteSource) -> None:
    for body in (b"]q\x00h\x00a", b"}q\x00K\x01h\x00s", b"]q\x00(h\x00h\x00h\x00e"):
        text = inert_text(traced(file, b"\x80\x02" + body + b".").value)
        assert "…" in text
        assert len(text) < 2_000
    wide = b"](" + b"K\x01" * 100_000 + b"e"
    assert "99988 more" in inert_text(traced(file, b"\x80\x02" + wide + b".").value)


def test_many_levels(file: ByteSource) -> None:
    for body in (b"]" * 250_000, b")" + b"\x85" * 200_000, hostile.laughs(b"](", b"e")):
        trace = traced(file, b"\x80\x02" + body + b".")
        assert trace.value is not None
        assert len(trace.spans.values) <= 200_000
        assert inert_text(trace.value)


def test_steps_are_short(tmp_path: Path) -> None:
    """A stream of some size is traced in many steps."""
    buffer = io.BytesIO()
    pickle.dump([{"a": index} for index in range(5_000)], buffer, 2)
    path = tmp_path / "x"
    path.write_bytes(buffer.getvalue())
    with ByteSource(path) as source:
        machine = PickleTrace(source, 0, source.size, DEFAULT)
        assert sum(1 for _ in machine.run()) > 20
        assert sum(1 for _ in placing(machine.value, machine.spans, DEFAULT)) > 5
