"""The ONNX reader against the onnx package."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from inspector_app.checkpoint import onnx as reader
from inspector_app.checkpoint import onnx_tensors
from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.dtypes import DTYPES
from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.limits import DEFAULT, Limits
from inspector_app.checkpoint.model import Checkpoint, Progress, TensorInfo

ELEMENT_TYPES = [number for name, number in TensorProto.DataType.items() if name != "UNDEFINED"]
RAW_TYPES = [number for number in ELEMENT_TYPES if number != TensorProto.STRING]
NAMES = {number: name for name, number in TensorProto.DataType.items()}


def read(path: Path, limits: Limits = DEFAULT) -> Checkpoint:
    with ByteSource(path) as source:
        steps = reader.read(source, limits)
        while True:
            try:
                assert isinstance(next(steps), Progress)
            except StopIteration as end:
                return end.value


def answer(path: Path) -> Checkpoint | None:
    """The checkpoint; or None where there is one clear sentence instead."""
    try:
        checkpoint = read(path)
    except CheckpointError as error:
        sentence = error.message
        checkpoint = None
    else:
        sentence = "".join(problem.message for problem in checkpoint.problems) or "fine"
    assert sentence
    return checkpoint


def recognised(path: Path) -> bool:
    with ByteSource(path) as source:
        return reader.recognise(source)


def codes(checkpoint: Checkpoint) -> list[str]:
    return [problem.code for problem in checkpoint.problems]


def model_of(tensors, nodes=(), sparse=(), **facts) -> onnx.ModelProto:
    graph = helper.make_graph(
        list(nodes), "the graph", [], [], list(tensors), sparse_initializer=list(sparse)
    )
    return helper.make_model(graph, **facts)


def saved(path: Path, *arguments, **facts) -> Path:
    path.write_bytes(model_of(*arguments, **facts).SerializeToString())
    return path


def raw(name: str, element_type: int, dims: list[int]) -> TensorProto:
    bits = onnx_tensors.DATA_TYPES[element_type][1]
    data = bytes(index % 7 for index in range((int(np.prod(dims)) * bits + 7) // 8))
    return helper.make_tensor(name, element_type, dims, data, raw=True)


def stored(node: TensorInfo, path: Path) -> bytes:
    record = node.storage.record
    data = Path(node.storage.file or path).read_bytes()
    return data[record.offset : record.offset + record.nbytes]


@pytest.mark.parametrize("element_type", RAW_TYPES, ids=NAMES.get)
def test_every_dtype_in_raw_data(tmp_path, element_type):
    tensors = [
        raw("a", element_type, [3, 5]),
        raw("b", element_type, []),
        raw("c", element_type, [0, 2]),
    ]
    path = saved(tmp_path / "m", tensors)
    assert recognised(path)
    checkpoint = read(path)
    assert checkpoint.problems == []
    assert checkpoint.format == "onnx"
    dtype, bits = onnx_tensors.DATA_TYPES[element_type]
    for node, tensor in zip(checkpoint.tensors, tensors, strict=True):
        assert node.path == (tensor.name,)
        assert node.dtype == dtype
        assert node.shape == tuple(tensor.dims)
        assert node.storage_offset == 0
        assert node.device == "cpu"
        assert stored(node, path) == tensor.raw_data
        assert node.storage.nbytes == (node.numel * bits + 7) // 8 == len(tensor.raw_data)
        if dtype in DTYPES:
            assert node.nbytes == node.storage.nbytes
    assert [node.stride for node in checkpoint.tensors] == [(5, 1), (), (2, 1)]


def test_the_dtypes_are_those_of_the_onnx_package():
    assert sorted(onnx_tensors.DATA_TYPES) == sorted(ELEMENT_TYPES)
    for number in RAW_TYPES:
        dtype, bits = onnx_tensors.DATA_TYPES[number]
        if bits >= 8:
            found = str(helper.tensor_dtype_to_np_dtype(number))
            assert found == DTYPES[dtype].numpy
            assert np.dtype(helper.tensor_dtype_to_np_dtype(number)).itemsize * 8 == bits
        else:
            assert NAMES[number].lower().startswith(dtype.removeprefix("packed_")[:4])
            assert str(bits) in NAMES[number]


@pytest.mark.parametrize("element_type", RAW_TYPES, ids=NAMES.get)
def test_every_dtype_in_its_typed_field(tmp_path, element_type):
    tensor = helper.make_tensor("a", element_type, [4], np.array([1, 0, 1, 1]))
    assert not tensor.HasField("raw_data")
    path = saved(tmp_path / "m", [tensor])
    checkpoint = read(path)
    assert checkpoint.problems == []
    (node,) = checkpoint.tensors
    assert node.dtype == onnx_tensors.DATA_TYPES[element_type][0]
    assert node.shape == (4,)
    if tensor.float_data or tensor.double_data:
        assert stored(node, path) == numpy_helper.to_array(tensor).tobytes()
        assert node.details.note == ""
    else:
        assert node.storage.record is None
        assert "_data" in node.details.note


def test_strings_have_no_bytes_to_view(tmp_path):
    tensor = helper.make_tensor("s", TensorProto.STRING, [2], [b"ab", b"c"])
    (node,) = read(saved(tmp_path / "m", [tensor])).tensors
    assert (node.dtype, node.shape, node.storage.nbytes) == ("string", (2,), 3)
    assert node.storage.record is None
    assert node.details.note


def test_the_model_says_what_it_is(tmp_path):
    model = helper.make_model(
        helper.make_graph(
            [
                helper.make_node("Relu", ["x"], ["h"]),
                helper.make_node("Relu", ["h"], ["g"]),
                helper.make_node("Gelu", ["g"], ["y"], domain="com.microsoft"),
            ],
            "main",
            [
                helper.make_tensor_value_info("x", TensorProto.FLOAT16, ["batch", 3, None]),
                helper.make_tensor_value_info("w", TensorProto.FLOAT, [1]),
                helper.make_tensor_sequence_value_info("s", TensorProto.INT64, None),
            ],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [])],
            [raw("w", TensorProto.FLOAT, [1])],
        ),
        producer_name="tests",
        opset_imports=[helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)],
        ir_version=9,
    )
    helper.set_model_props(model, {"author": "nobody"})
    path = tmp_path / "m"
    path.write_bytes(model.SerializeToString())
    checkpoint = read(path)
    assert checkpoint.problems == []
    assert checkpoint.metadata == {
        "ir_version": "9",
        "producer_name": "tests",
        "opset_import": "ai.onnx 20, com.microsoft 1",
        "graph": "main",
        "metadata_props/author": "nobody",
    }

    def rows(*keys: str) -> dict[object, object]:
        node = checkpoint.find(["__model__", *keys])
        return {child.key: child.value for child in node.children}

    # An initializer that is listed as an input (before IR version 4) is none.
    assert rows("graph", "inputs") == {"x": "float16[batch, 3, ?]", "s": "sequence of int64"}
    assert rows("graph", "outputs") == {"y": "float32[]"}
    assert rows("graph", "operators") == {"Relu": 2, "com.microsoft.Gelu": 1}
    assert checkpoint.find(["__model__", "ir_version"]).value == 9
    assert rows("opset_import") == {"ai.onnx": 20, "com.microsoft": 1}
    assert rows("metadata_props") == {"author": "nobody"}
    assert [child.key for child in checkpoint.root.children] == ["w", "__model__"]


def test_tensors_within_nodes_and_subgraphs(tmp_path):
    inner = helper.make_graph(
        [helper.make_node("Constant", [], ["c"], value=raw("ignored", TensorProto.INT8, [2]))],
        "then",
        [],
        [],
        [raw("w", TensorProto.FLOAT, [2, 2])],
    )
    other = helper.make_graph([helper.make_node("Identity", ["w"], ["o"])], "else", [], [])
    nodes = [
        helper.make_node("If", ["x"], ["y"], name="choose", then_branch=inner, else_branch=other),
        helper.make_node("Constant", [], ["k"], value=raw("", TensorProto.FLOAT, [3])),
    ]
    function = helper.make_function(
        "local", "Twice", ["x"], ["y"],
        [helper.make_node("Constant", [], ["two"], value=raw("", TensorProto.FLOAT, []))],
        [helper.make_opsetid("", 20)],
    )  # fmt: skip
    path = saved(tmp_path / "m", [raw("w", TensorProto.FLOAT, [1])], nodes, functions=[function])
    checkpoint = read(path)
    assert checkpoint.problems == []
    found = {node.name: node.shape for node in checkpoint.tensors}
    assert found == {
        "w": (1,),
        "__nodes__/k/value": (3,),
        "__nodes__/choose/then_branch/w": (2, 2),
        "__nodes__/choose/then_branch/__nodes__/c/value": (2,),
        "__functions__/local.Twice/__nodes__/two/value": (),
    }
    for node in checkpoint.tensors:
        assert checkpoint.find(node.path) is node
        assert stored(node, path) == bytes(index % 7 for index in range(node.nbytes))
    assert len(checkpoint.storages) == 5
    keys = [child.key for child in checkpoint.root.children]
    assert keys == ["w", "__nodes__", "__functions__", "__model__"]
    operators = checkpoint.find(["__model__", "graph", "operators"]).children
    assert {child.key: child.value for child in operators} == {
        "If": 1, "Constant": 3, "Identity": 1,
    }  # fmt: skip


def test_sparse_initializers(tmp_path):
    sparse = helper.make_sparse_tensor(
        raw("w.sparse", TensorProto.FLOAT, [3]), raw("", TensorProto.INT64, [3]), [4, 5]
    )
    checkpoint = read(saved(tmp_path / "m", [], sparse=[sparse]))
    assert checkpoint.problems == []
    (node,) = checkpoint.tensors
    assert (node.key, node.layout, node.dtype, node.shape) == (
        "w.sparse", "sparse_coo", "float32", (4, 5),
    )  # fmt: skip
    assert node.stride is node.storage is node.storage_offset is None
    assert {part.key: part.shape for part in node.children} == {"values": (3,), "indices": (3,)}
    assert node.nbytes == 12 + 24
    assert len(checkpoint.storages) == 2


def external(folder: Path, **changes: str) -> Path:
    tensor = raw("w", TensorProto.FLOAT, [4])
    other = raw("v", TensorProto.FLOAT, [2])
    tensors = [tensor, other]
    offset = 0
    with (folder / "weights.bin").open("wb") as data:
        for item in tensors:
            entries = {"location": "weights.bin", "offset": str(offset)}
            entries["length"] = str(len(item.raw_data))
            data.write(item.raw_data)
            offset += len(item.raw_data)
            item.ClearField("raw_data")
            item.data_location = TensorProto.EXTERNAL
            for key, value in {**entries, **(changes if item is tensor else {})}.items():
                item.external_data.add(key=key, value=value)
    return saved(folder / "m.onnx", tensors)


def test_external_data_is_found_and_counted(tmp_path):
    path = external(tmp_path)
    checkpoint = read(path)
    assert checkpoint.problems == []
    data = tmp_path / "weights.bin"
    assert checkpoint.files == [str(path), str(data)]
    assert checkpoint.file_bytes == path.stat().st_size + data.stat().st_size
    model = onnx.load(path)
    for node, tensor in zip(checkpoint.tensors, model.graph.initializer, strict=True):
        assert node.storage.file == str(data)
        assert stored(node, path) == tensor.raw_data
        assert checkpoint.storages[node.storage.file, node.storage.key] is node.storage


@pytest.mark.parametrize(
    "location", ["../weights.bin", "/etc/passwd", "a/../../x", "C:\\x", "..\\x", "", "link", "x\0y"]
)
def test_external_data_outside_the_folder_is_never_opened(tmp_path, location):
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "weights.bin").write_bytes(bytes(100))
    (folder / "link").symlink_to(tmp_path / "weights.bin")
    checkpoint = read(external(folder, location=location))
    assert codes(checkpoint) == ["external-data"]
    assert "outside" in checkpoint.problems[0].message
    assert checkpoint.find(["w"]).storage.record is None
    assert checkpoint.find(["w"]).shape == (4,)
    assert checkpoint.find(["v"]).storage.record is not None


def test_a_snapshot_of_the_hugging_face_cache_is_a_folder(tmp_path):
    snapshot = tmp_path / "models--a--b" / "snapshots" / "0123" / "onnx"
    blobs = tmp_path / "models--a--b" / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    path = external(snapshot)
    for name in ("m.onnx", "weights.bin"):
        (snapshot / name).rename(blobs / f"hash-of-{name}")
        (snapshot / name).symlink_to(blobs / f"hash-of-{name}")
    checkpoint = read(path)
    assert checkpoint.problems == []
    assert len(checkpoint.files) == 2


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"location": "absent"}, "missing"),
        ({"location": "."}, "outside"),
        ({"location": "folder"}, "no regular file"),
        ({"offset": "12"}, "4 bytes before"),
        ({"offset": "-1"}, "no number"),
        ({"length": "9" * 30}, "no number"),
        ({"length": "8"}, "should have 16 bytes"),
    ],
)
def test_external_data_that_does_not_fit_is_a_problem(tmp_path, changes, reason):
    (tmp_path / "folder").mkdir()
    checkpoint = read(external(tmp_path, **changes))
    assert len(checkpoint.problems) == 1
    assert checkpoint.problems[0].where == "w"
    assert reason in checkpoint.problems[0].message


def test_external_data_without_a_length_goes_to_the_end(tmp_path):
    path = external(tmp_path)
    model = onnx.load(path, load_external_data=False)
    last = model.graph.initializer[1]
    del last.external_data[2]
    path.write_bytes(model.SerializeToString())
    checkpoint = read(path)
    assert checkpoint.problems == []
    assert checkpoint.tensors[1].storage.nbytes == 8


def odd(**fields) -> TensorProto:
    tensor = raw("w", TensorProto.FLOAT, [2])
    for name, value in fields.items():
        if isinstance(value, list):
            tensor.ClearField(name)
            getattr(tensor, name).extend(value)
        else:
            setattr(tensor, name, value)
    return tensor


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"data_type": 99}, "unknown-dtype"),
        ({"data_type": 0}, "unknown-dtype"),
        ({"dims": [-1]}, "bad-tensor"),
        ({"dims": [2**62, 2**62]}, "bad-tensor"),
        ({"dims": [1] * 5000}, "bad-tensor"),
        ({"dims": [3]}, "storage-size"),
        ({"float_data": [1.0]}, "bad-tensor"),
        ({"raw_data": b""}, "storage-size"),
    ],
)
def test_a_tensor_that_makes_no_sense_is_a_problem(tmp_path, fields, code):
    path = saved(tmp_path / "m", [odd(**fields), raw("v", TensorProto.FLOAT, [1])])
    checkpoint = read(path)
    assert codes(checkpoint) == [code]
    assert checkpoint.problems[0].where == "w"
    assert stored(checkpoint.find(["v"]), path) == bytes([0, 1, 2, 3])


def test_a_tensor_without_data_and_a_name_twice(tmp_path):
    empty = odd()
    empty.ClearField("raw_data")
    checkpoint = read(saved(tmp_path / "m", [empty, raw("w", TensorProto.FLOAT, [1])]))
    assert codes(checkpoint) == ["missing-record", "duplicate-key"]
    assert len(checkpoint.tensors) == len(checkpoint.storages) == 2
    assert checkpoint.find(["w"]) is checkpoint.tensors[1]


def test_a_truncated_file_keeps_what_it_has(tmp_path):
    node = helper.make_node("Constant", [], ["c"], value=raw("", TensorProto.FLOAT, [2]), name="n")
    tensors = [raw("a", TensorProto.FLOAT, [4]), raw("b", TensorProto.INT64, [2])]
    path = saved(tmp_path / "m", tensors, [node], producer_name="tests")
    whole = path.read_bytes()
    held = []
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        checkpoint = answer(path)
        if checkpoint is None:
            continue
        recognised(path)
        held.append(sum(node.storage.record is not None for node in checkpoint.tensors))
    assert held == sorted(held)
    assert set(held) >= {0, 1, 2}
    path.write_bytes(whole[: whole.index(b"tests") + 40])
    assert recognised(path)
    assert "bad-protobuf" in codes(read(path))


@settings(max_examples=200)
@given(st.data())
def test_a_damaged_file_is_answered(tmp_path, data):
    node = helper.make_node("Constant", [], ["c"], value=raw("", TensorProto.FLOAT, [2]))
    whole = bytearray(model_of([raw("a", TensorProto.FLOAT, [4])], [node]).SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "m"
    path.write_bytes(whole)
    recognised(path)
    answer(path)


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_any_bytes_are_answered(tmp_path, data):
    path = tmp_path / "m"
    path.write_bytes(data)
    recognised(path)
    answer(path)


@settings(max_examples=300)
@given(st.binary(min_size=1, max_size=300) | st.text(min_size=1).map(str.encode))
def test_other_bytes_are_not_taken_for_a_model(tmp_path, data):
    path = tmp_path / "m"
    path.write_bytes(data)
    assert not recognised(path)


def test_other_files_are_not_taken_for_a_model(tmp_path, corpus):
    for number, value in enumerate([{"a": torch.ones(2)}, [1, 2], "text"]):
        for new in (True, False):
            path = tmp_path / f"{number}{new}"
            torch.save(value, path, _use_new_zipfile_serialization=new)
            assert not recognised(path)
    files = [path for path in corpus.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if recognised(path)]
    saved_model = tmp_path / "saved_model.pb"  # schema version, then a message as field 2
    saved_model.write_bytes(b"\x08\x01\x12\x08\x0a\x06\x0a\x02\x08\x01\x12\x00")
    assert not recognised(saved_model)
    tensor = tmp_path / "input_0.pb"
    tensor.write_bytes(raw("a", TensorProto.FLOAT, [4]).SerializeToString())
    assert not recognised(tensor)


def test_graphs_nested_deeper_than_the_limit_are_cut(tmp_path):
    graph = helper.make_graph([], "innermost", [], [], [raw("w", TensorProto.FLOAT, [1])])
    for level in range(12):
        node = helper.make_node("Loop", [], [f"y{level}"], body=graph)
        graph = helper.make_graph([node], str(level), [], [])
    path = tmp_path / "m"
    path.write_bytes(helper.make_model(graph).SerializeToString())
    assert [node.path[-1] for node in read(path).tensors] == ["w"]
    checkpoint = read(path, Limits(depth=20))
    assert codes(checkpoint) == ["tree-limit"]
    assert checkpoint.tensors == []


def varint(number: int) -> bytes:
    data = bytearray()
    while number >= 0x80:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*data, number])


def test_hundred_thousand_levels_do_not_recurse(tmp_path):
    # Graph > node > attribute > graph > … built from the inside, three messages a level.
    parts = [b""]
    length = 0
    for _ in range(100_000):
        for tag in (b"\x32", b"\x2a", b"\x0a"):
            head = tag + varint(length)
            parts.append(head)
            length += len(head)
    path = tmp_path / "m"
    path.write_bytes(b"\x08\x0a\x3a" + varint(length) + b"".join(reversed(parts)))
    checkpoint = answer(path)
    assert checkpoint is not None
    assert "tree-limit" in codes(checkpoint)


def test_problems_and_tensors_are_counted_out(tmp_path):
    path = saved(tmp_path / "m", [odd(dims=[3]) for _ in range(1_500)])
    checkpoint = read(path)
    assert len(checkpoint.problems) == 1_001
    assert "tree-limit" in codes(read(path, Limits(tensors=100)))


def test_the_weights_are_jumped_over(tmp_path):
    big = helper.make_tensor("big", TensorProto.UINT8, [1 << 22], bytes(1 << 22), raw=True)
    path = saved(tmp_path / "m", [big, raw("small", TensorProto.FLOAT, [2])])
    with ByteSource(path) as source:
        for _ in reader.read(source, DEFAULT):
            pass
        assert source.bytes_read < 100_000


# The newer exporter takes ten seconds; both name initializers as the state_dict does.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_torch_exports_has_the_keys_of_the_state_dict(tmp_path):
    model = torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2)
    ).eval()
    path = tmp_path / "m.onnx"
    torch.onnx.export(
        model, (torch.ones(1, 3),), path, dynamo=False, opset_version=17, verbose=False
    )
    checkpoint = read(path)
    assert checkpoint.problems == []
    for key, tensor in model.state_dict().items():
        node = checkpoint.find([key])
        assert node.shape == tuple(tensor.shape)
        assert stored(node, path) == tensor.numpy().tobytes()
    assert os.path.getsize(path) == checkpoint.file_bytes


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.sampled_from(RAW_TYPES), st.lists(st.integers(0, 5), max_size=4), st.text()),
        max_size=5,
        unique_by=lambda row: row[2],
    )
)
def test_whatever_onnx_writes_is_read_as_it_reads_it(tmp_path, rows):
    path = saved(tmp_path / "m", [raw(name, number, dims) for number, dims, name in rows])
    assert recognised(path)
    checkpoint = read(path)
    assert checkpoint.problems == []
    model = onnx.load(path)
    for node, tensor in zip(checkpoint.tensors, model.graph.initializer, strict=True):
        assert node.key == tensor.name
        assert node.shape == tuple(tensor.dims)
        assert stored(node, path) == tensor.raw_data
