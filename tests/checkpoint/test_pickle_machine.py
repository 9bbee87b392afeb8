"""The inert pickle machine against CPython's, and its fast path against its loop."""

from __future__ import annotations

import collections
import io
import pickle
import pickletools
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.limits import DEFAULT, Limits
from inspector_app.checkpoint.model import TensorInfo
from inspector_app.checkpoint.pickle_machine import PickleMachine
from inspector_app.checkpoint.pickle_nodes import (
    ByteArray,
    BytesPlace,
    Call,
    GlobalRef,
    ItemSet,
    PairList,
    PersistentId,
)
from inspector_app.checkpoint.pickle_tree import PickleTree
from inspector_app.checkpoint.storage_table import StorageTable
from inspector_app.checkpoint.tensor_runs import TensorRuns
from inspector_app.checkpoint.torch_rebuild import storage_reference

PROTOCOLS = range(6)


def execute(data: bytes, directory: Path, limits: Limits = DEFAULT) -> PickleMachine:
    path = directory / "stream.pkl"
    path.write_bytes(data)
    with ByteSource(path) as source:
        machine = PickleMachine(source, 0, source.size, limits)
        for _ in machine.run():
            pass
    return machine


def made(value: Any) -> Any:
    """The Python object that inert nodes of plain data stand for."""
    if type(value) is PairList:
        return {made(key): made(item) for key, item in value.pairs}
    if type(value) is list:
        return [made(item) for item in value]
    if type(value) is tuple:
        return tuple(made(item) for item in value)
    if type(value) is ItemSet:
        items = {made(item) for item in value.items}
        return frozenset(items) if value.frozen else items
    if type(value) is ByteArray:
        return bytearray(value.value)
    if type(value) is Call and type(value.function) is GlobalRef:
        arguments = made(value.args)
        name = value.function.name
        if name == "encode":
            return arguments[0].encode(arguments[1])
        known = {"set": set, "frozenset": frozenset, "bytes": bytes, "bytearray": bytearray}
        if name == "bytearray" and arguments and isinstance(arguments[0], str):
            return bytearray(arguments[0], "latin-1")
        return known[name](*arguments)
    return value


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats(allow_nan=False)
    | st.text(max_size=30)
    | st.binary(max_size=30)
)
keys = st.text(max_size=8) | st.integers(-300, 70_000)
plain = st.recursive(
    scalars | st.frozensets(st.integers(), max_size=4) | st.sets(st.text(max_size=3), max_size=4),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(keys, inner, max_size=5)
        | st.lists(inner, max_size=4).map(tuple)
        | st.binary(max_size=9).map(bytearray)
    ),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None)
@given(value=plain, protocol=st.sampled_from(PROTOCOLS))
def test_plain_data_is_what_pickle_makes_of_it(
    value: Any, protocol: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = pickle.dumps(value, protocol)
    machine = execute(data + b"rest", tmp_path_factory.getbasetemp())
    assert machine.problems == []
    assert machine.finished
    assert machine.end == len(data)
    assert made(machine.value) == value


@settings(max_examples=150, deadline=None)
@given(value=plain, protocol=st.sampled_from(PROTOCOLS), cut=st.floats(0, 1, exclude_max=True))
def test_a_cut_stream_ends_in_one_problem(
    value: Any, protocol: int, cut: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = pickle.dumps(value, protocol)
    machine = execute(data[: int(cut * len(data))], tmp_path_factory.getbasetemp())
    assert not machine.finished
    assert [problem.code for problem in machine.problems if problem.code != "odd-opcode"] == [
        "broken-pickle"
    ]


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_survived(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    machine = execute(data, tmp_path_factory.getbasetemp())
    assert machine.finished or machine.problems


def test_every_opcode_is_known(tmp_path: Path) -> None:
    for opcode in pickletools.opcodes:
        machine = execute(opcode.code.encode("latin-1") + b"\x00" * 20, tmp_path)
        reasons = [problem.details.get("reason", "") for problem in machine.problems]
        unknown = f"there is no opcode 0x{ord(opcode.code):02x}"
        assert not any(unknown in str(reason) for reason in reasons)


def test_long_texts_stay_in_the_file(tmp_path: Path) -> None:
    text = "x" * 5000
    data = pickle.dumps([text, b"y" * 5000, "after"], 4)
    machine = execute(data, tmp_path, Limits(text_bytes=1000))
    # Within the first window they are at hand; the limit is for what is not.
    assert machine.value == [text, b"y" * 5000, "after"]
    big = pickle.dumps(["x" * 3_000_000, "after"], 4)
    machine = execute(big, tmp_path)
    place, after = machine.value
    assert isinstance(place, BytesPlace)
    assert big[place.offset : place.offset + place.nbytes] == b"x" * 3_000_000
    assert after == "after"


# --- the fast path


class _Reference(pickle.Pickler):
    """Writes storages as torch does."""

    def persistent_id(self, obj: Any) -> Any:
        if isinstance(obj, torch.storage.TypedStorage):
            key = self.keys.setdefault(obj._untyped_storage._cdata, str(len(self.keys)))
            kind = getattr(torch, type(obj._new_shared).__name__, None) or getattr(
                torch, obj._pickle_storage_type()
            )
            return ("storage", kind, key, self.device, obj._size())
        return None

    def __init__(self, file: Any, device: str) -> None:
        super().__init__(file, 2)
        self.keys: dict[int, str] = {}
        self.device = device


def pickled(value: Any, device: str = "cpu") -> bytes:
    file = io.BytesIO()
    _Reference(file, device).dump(value)
    return file.getvalue()


def read(data: bytes, directory: Path) -> tuple[PickleMachine, PickleTree]:
    """The machine and the tree of a stream that refers to storages."""
    path = directory / "stream.pkl"
    path.write_bytes(data)
    table = StorageTable()
    with ByteSource(path) as source:
        machine = PickleMachine(source, 0, source.size, DEFAULT, table)
        for _ in machine.run():
            pass

    def resolve(reference: PersistentId) -> Any:
        key, dtype, location, nbytes, _ = storage_reference(reference.pid)
        return table.get(key, nbytes, location), dtype

    tree = PickleTree(DEFAULT, resolve)
    for _ in tree.build(machine.value):
        pass
    return machine, tree


def tensors(data: bytes, directory: Path) -> list[tuple[Any, ...]]:
    machine, tree = read(data, directory)
    assert machine.finished, machine.problems
    return [
        (
            tensor.path,
            tensor.dtype,
            tensor.shape,
            tensor.stride,
            tensor.storage_offset,
            tensor.requires_grad,
            tensor.device,
            tensor.storage and (tensor.storage.key, tensor.storage.nbytes, tensor.storage.device),
        )
        for tensor in tree.tensors
    ]


shapes = st.sampled_from([(), (1,), (300,), (2, 3), (70_000, 1), (2, 0), (2, 3, 4, 5), (1,) * 7])
dtypes = st.sampled_from([torch.float32, torch.bfloat16, torch.int64, torch.bool])
layers = st.lists(
    st.tuples(shapes, dtypes, st.booleans(), st.integers(0, 30)), min_size=40, max_size=90
)


@settings(max_examples=40, deadline=None)
@given(layers=layers, device=st.sampled_from(["cpu", "cuda:0", "cuda:11", "mps"]))
def test_the_fast_path_reads_what_the_loop_reads(
    layers: list[tuple[Any, ...]], device: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.getbasetemp()
    made: list[torch.Tensor] = []
    state = collections.OrderedDict()
    for number, (shape, dtype, grad, again) in enumerate(layers):
        tensor = torch.empty(shape, dtype=dtype)
        if again < len(made) and again % 3 == 0:
            tensor = made[again]  # tied: the pickle refers to the whole run's result
        elif again < len(made) and again % 3 == 1:
            tensor = made[again].view(-1)[:1]  # a view of the same storage
        elif grad and dtype.is_floating_point:
            tensor.requires_grad_()
        made.append(tensor)
        # Keys of other lengths and alphabets leave the form that a template expects.
        state[f"layers.{number}.{'wéight' if again == 7 else 'weight' * (again % 4)}"] = tensor
    data = pickled({"model": state, "list": made[:50]}, device)
    fast = tensors(data, directory)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            TensorRuns, "read", lambda self, data, position, base, top, stack, most: (position, top)
        )
        slow = tensors(data, directory)
    assert fast == slow
    assert len(fast) == len(layers) + len(made[:50])


def _many(directory: Path) -> tuple[bytes, int]:
    """A pickle of runs of the recurring form, and where the memo index 300 is set."""
    state = {f"layer{number}": torch.zeros(2) for number in range(80)}
    data = pickled(state)
    return data, data.index(b"r" + (300).to_bytes(4, "little"))


def test_the_fast_path_is_taken(tmp_path: Path) -> None:
    data, _ = _many(tmp_path)
    machine = execute(data, tmp_path)
    values = [value for _, value in machine.value.pairs]
    assert sum(type(value) is TensorInfo for value in values) > 40


@pytest.mark.parametrize("index", range(300, 320))
def test_what_a_run_memoized_can_be_recalled(index: int, tmp_path: Path) -> None:
    data, _ = _many(tmp_path)
    # A list of the state and whatever the memo has at this index.
    recall = data[:-1] + b"j" + index.to_bytes(4, "little") + b"\x86."
    fast = execute(recall, tmp_path).value[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            TensorRuns, "read", lambda self, data, position, base, top, stack, most: (position, top)
        )
        slow = execute(recall, tmp_path).value[1]
    if type(fast) is TensorInfo:
        assert type(slow) is Call
    else:
        assert type(fast) is type(slow)
        if isinstance(fast, (str, int)) or (
            type(fast) is tuple and all(type(part) is int for part in fast)
        ):
            assert fast == slow


@pytest.mark.parametrize("offset", range(110))
@pytest.mark.parametrize("change", [1, 0x80])
def test_a_changed_byte_means_the_same_to_both(offset: int, change: int, tmp_path: Path) -> None:
    """A run with one byte changed is the same to the pattern as to the loop."""
    data, place = _many(tmp_path)
    changed = bytearray(data)
    changed[place + offset] ^= change
    fast = _outcome(bytes(changed), tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            TensorRuns, "read", lambda self, data, position, base, top, stack, most: (position, top)
        )
        slow = _outcome(bytes(changed), tmp_path)
    assert fast == slow


def _outcome(data: bytes, directory: Path) -> Any:
    machine, tree = read(data, directory)
    uses = {name: sorted(found.uses) for name, found in machine.globals.items()}
    return (
        [(t.path, t.dtype, t.shape, t.stride, t.storage_offset) for t in tree.tensors],
        [(p.code, p.where) for p in machine.problems + tree.problems],
        machine.finished,
        uses,
    )
