"""The safetensors reader against the safetensors library."""

from __future__ import annotations

import json
import struct
from itertools import permutations
from pathlib import Path

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from inspector_app.checkpoint import safetensors, safetensors_views
from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.dtypes import DTYPES
from inspector_app.checkpoint.errors import BrokenFile, CheckpointError, LimitExceeded
from inspector_app.checkpoint.limits import DEFAULT, Limits
from inspector_app.checkpoint.model import Checkpoint, Kind, Progress

DTYPE_CODES = [
    torch.bool, torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.int8, torch.int16,
    torch.int32, torch.int64, torch.float16, torch.bfloat16, torch.float32, torch.float64,
    torch.complex64, torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz,
    torch.float8_e5m2fnuz, torch.float8_e8m0fnu, torch.float4_e2m1fn_x2,
]  # fmt: skip


def write(path: Path, header: object, data: bytes = b"") -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def read(path: Path, limits: Limits = DEFAULT) -> Checkpoint:
    with ByteSource(path) as source:
        steps = safetensors.read(source, limits)
        while True:
            try:
                assert isinstance(next(steps), Progress)
            except StopIteration as end:
                return end.value


def recognised(path: Path) -> bool:
    with ByteSource(path) as source:
        return safetensors.recognise(source)


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


def codes(checkpoint: Checkpoint) -> list[str]:
    return [problem.code for problem in checkpoint.problems]


def entry(code: str, shape: list[int], begin: int, end: int) -> dict[str, object]:
    return {"dtype": code, "shape": shape, "data_offsets": [begin, end]}


def agrees_with_library(path: Path, checkpoint: Checkpoint) -> None:
    data = path.read_bytes()
    with safe_open(path, "pt") as file:
        assert sorted(node.key for node in checkpoint.tensors) == file.keys()
        assert dict(checkpoint.metadata) == (file.metadata() or {})
        for node in checkpoint.tensors:
            tensor = file.get_tensor(node.key)
            assert f"torch.{node.dtype}" == str(tensor.dtype)
            assert node.shape == tuple(tensor.shape)
            assert node.stride == tensor.stride()
            assert node.storage_offset == tensor.storage_offset() == 0
            assert node.device == str(tensor.device)
            assert node.requires_grad is tensor.requires_grad
            record = node.storage.record
            assert node.nbytes == node.storage.nbytes == record.nbytes
            stored = data[record.offset : record.offset + record.nbytes]
            assert stored == bytes(
                tensor.contiguous().view(torch.uint8).flatten().tolist()
                if tensor.dim()
                else tensor.reshape(1).view(torch.uint8).tolist()
            )


@pytest.mark.parametrize("dtype", DTYPE_CODES, ids=str)
def test_every_dtype_of_torch_reads_as_the_library_reads_it(tmp_path, dtype):
    path = tmp_path / "all.safetensors"
    itemsize = torch.empty(0, dtype=dtype).element_size()
    raw = torch.arange(12 * itemsize, dtype=torch.uint8) % 2
    save_file(
        {
            "matrix": raw.view(dtype).reshape(3, 4),
            "scalar.or.one": raw[:itemsize]
            .clone()
            .view(dtype)
            .reshape([1] if itemsize == 1 else []),
            "empty": torch.empty((0, 5), dtype=dtype),
        },
        path,
        metadata={"format": "pt", "who": "wé"},
    )
    assert recognised(path)
    checkpoint = read(path)
    assert checkpoint.problems == []
    assert checkpoint.format == "safetensors"
    agrees_with_library(path, checkpoint)


def test_every_code_of_the_library_is_known(tmp_path):
    with pytest.raises(SafetensorError, match="expected one of") as refused:
        safe_open(write(tmp_path / "x", {"a": entry("?", [], 0, 0)}), "pt")
    named = str(refused.value).split("expected one of")[1].split("at line")[0]
    assert {code.strip(" `") for code in named.split(",")} == set(safetensors_views.CODES)
    assert set(safetensors_views.CODES.values()) <= set(DTYPES)


def test_the_order_is_that_of_the_header_and_the_tree_is_flat(tmp_path):
    path = write(
        tmp_path / "x",
        {
            "z.b": entry("U8", [2], 0, 2),
            "__metadata__": {"k": "v"},
            "a": entry("U8", [2], 2, 4),
        },
        b"1234",
    )
    checkpoint = read(path)
    assert [child.key for child in checkpoint.root.children] == ["z.b", "a", "__metadata__"]
    assert [node.path for node in checkpoint.tensors] == [("z.b",), ("a",)]
    assert checkpoint.find(["__metadata__", "k"]).value == "v"
    assert checkpoint.root.kind == checkpoint.find(["__metadata__"]).kind == Kind.MAPPING
    assert checkpoint.files == [str(path)]
    assert checkpoint.file_bytes == path.stat().st_size
    assert checkpoint.problems == []


def test_what_torch_has_no_dtype_for_keeps_the_shape_of_the_header(tmp_path):
    checkpoint = read(
        write(
            tmp_path / "x",
            {
                "six": entry("F6_E2M3", [2, 4], 0, 6),
                "other.six": entry("F6_E3M2", [4], 6, 9),
                "pairs": entry("F4", [3, 4], 9, 15),
                "odd": entry("F4", [2, 3], 15, 18),
            },
            bytes(18),
        )
    )
    found = {node.key: (node.dtype, node.shape, node.nbytes) for node in checkpoint.tensors}
    assert found == {
        "six": ("float6_e2m3fn", (2, 4), 6),
        "other.six": ("float6_e3m2fn", (4,), 3),
        "pairs": ("float4_e2m1fn_x2", (3, 2), 6),
        "odd": ("float4", (2, 3), 3),
    }
    assert checkpoint.problems == []
    assert "[3, 4]" in checkpoint.find(["pairs"]).details.note


# What the library refuses, or answers only by picking one of two: the code of the problem,
# and the tensors that stay.
ONE = '{"dtype":"U8","shape":[2],"data_offsets":[0,2]}'
FAULTS = {
    "hole at the start": ('{"a":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}', 4, "bad-header"),
    "hole in between": (
        f'{{"a":{ONE},"b":{{"dtype":"U8","shape":[1],"data_offsets":[3,4]}}}}', 4, "bad-header"),
    "bytes at the end": (f'{{"a":{ONE}}}', 4, "trailing-bytes"),
    "bytes but no tensor": ("{}", 2, "trailing-bytes"),
    "truncated data": (f'{{"a":{ONE}}}', 1, "truncated"),
    "overlap": (
        f'{{"a":{ONE},"b":{{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}}}', 3, "bad-tensor"),
    "the same bytes twice": (f'{{"a":{ONE},"b":{ONE}}}', 2, "bad-tensor"),
    "empty inside another": (
        f'{{"a":{ONE},"b":{{"dtype":"U8","shape":[0],"data_offsets":[1,1]}}}}', 2, "bad-tensor"),
    "field twice": (
        '{"a":{"dtype":"U8","dtype":"U8","shape":[2],"data_offsets":[0,2]}}', 2, "bad-header"),
    "metadata is no string": (f'{{"__metadata__":{{"a":1}},"a":{ONE}}}', 2, "bad-header"),
    "metadata is a list": (f'{{"__metadata__":[],"a":{ONE}}}', 2, "bad-header"),
    "wrong length": ('{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,2]}}', 2, "storage-size"),
    "reversed": ('{"a":{"dtype":"U8","shape":[2],"data_offsets":[2,0]}}', 2, "bad-tensor"),
    "unknown dtype": ('{"a":{"dtype":"C9","shape":[2],"data_offsets":[0,2]}}', 2, "unknown-dtype"),
    "half a byte": ('{"a":{"dtype":"F4","shape":[3,1],"data_offsets":[0,2]}}', 2, "bad-tensor"),
    "surrogate": (f'{{"\\ud800":{ONE}}}', 2, "bad-header"),
    "rest after the object": (f'{{"a":{ONE}}} x', 2, "bad-json"),
    "broken second entry": (f'{{"a":{ONE},"b":{{"dtype"', 2, "bad-json"),
    "trailing comma": (f'{{"a":{ONE},}}', 2, "bad-json"),
    "no comma": (f'{{"a":{ONE} "b":{ONE}}}', 2, "bad-json"),
    "not a number": (f'{{"a":{ONE},"b":NaN}}', 2, "bad-json"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_what_the_library_refuses_is_a_problem_and_the_rest_stays(tmp_path, fault):
    text, data, code = FAULTS[fault]
    path = write(tmp_path / "x", text.encode(), bytes(data))
    with pytest.raises(SafetensorError):
        safe_open(path, "pt")
    checkpoint = read(path)
    assert code in codes(checkpoint)
    assert all(problem.message for problem in checkpoint.problems)
    if "{" in text[1:]:
        assert [node.key for node in checkpoint.tensors][:1] == [
            "\ud800" if fault == "surrogate" else "a"
        ]


def fields(dtype: str = '"U8"', shape: str = "[]", offsets: str = "[0,0]") -> str:
    return f'{{"dtype":{dtype},"shape":{shape},"data_offsets":{offsets}}}'


ODD_ENTRIES = [
    *["null", "3", '"x"', "[]", "{}", '{"dtype":"U8","shape":[2]}'],
    fields(dtype="8"),
    *[fields(shape=text) for text in ("[-1]", "[1.5]", "[true]", "4", "[[2]]")],
    *[fields(offsets=text) for text in ("[0]", "[0,2,3]", '{"0":1}', "[0,1e999]", "[0,-1]")],
    fields(shape="[18446744073709551616,0]"),
    fields(shape="[4294967296,4294967296]"),
    fields(shape=f"[{'9' * 5000}]"),
    fields(shape=str([1] * 2000)),
]


@pytest.mark.parametrize("value", ODD_ENTRIES, ids=range(len(ODD_ENTRIES)))
def test_an_entry_that_describes_no_tensor_is_shown_as_text(tmp_path, value):
    path = write(tmp_path / "x", f'{{"a":{ONE},"odd":{value}}}'.encode(), b"12")
    checkpoint = read(path)
    assert [node.key for node in checkpoint.tensors] == ["a"]
    assert checkpoint.find(["odd"]).kind == Kind.SCALAR
    assert [(problem.code, problem.where) for problem in checkpoint.problems] == [
        ("bad-tensor", "odd")
    ]
    assert ("", "odd") not in checkpoint.storages


def test_of_equal_names_the_last_counts_as_in_the_library(tmp_path):
    first = '{"dtype":"I8","shape":[2],"data_offsets":[0,2]}'
    path = write(tmp_path / "x", f'{{"a":{first},"a":{ONE}}}'.encode(), b"12")
    checkpoint = read(path)
    assert codes(checkpoint) == ["duplicate-key"]
    assert checkpoint.find(["a"]).dtype == "uint8"
    agrees_with_library(path, checkpoint)


def test_offsets_in_another_order_than_the_header_are_fine(tmp_path):
    header = {
        "a": entry("U8", [2], 2, 4),
        "b": entry("U16", [1], 0, 2),
        "c": entry("U8", [0], 4, 4),
    }
    path = write(tmp_path / "x", header, b"1234")
    checkpoint = read(path)
    assert checkpoint.problems == []
    agrees_with_library(path, checkpoint)


def test_a_name_that_is_no_utf8_is_replaced_and_reported(tmp_path):
    checkpoint = read(write(tmp_path / "x", f'{{"a\xff":{ONE}}}'.encode("latin-1"), b"12"))
    assert [node.key for node in checkpoint.tensors] == ["a\ufffd"]
    assert codes(checkpoint) == ["bad-header"]
    assert "byte 11" in checkpoint.problems[0].message


def test_entries_in_any_field_order_spacing_and_escapes(tmp_path):
    text = (
        ' {\n "b\\u00e9" : {"shape": [ 1 , 2 ],"x":{"y":[]},"data_offsets":[0,2],"dtype":"U8"} ,'
        '\t"c":["U8",[2],[2,4]], "":{"dtype" : "U8", "shape":[],\n"data_offsets":[ 4, 5 ]}\r\n} '
    )
    path = write(tmp_path / "x", text.encode(), bytes(5))
    assert recognised(path)
    checkpoint = read(path)
    assert checkpoint.problems == []
    assert [node.key for node in checkpoint.tensors] == ["bé", "c", ""]
    agrees_with_library(path, checkpoint)


@pytest.mark.parametrize("order", list(permutations(["dtype", "shape", "data_offsets"])))
def test_fields_in_any_order_and_repeated(tmp_path, order):
    described = [entry("U8", [2, 1], 0, 2), entry("I16", [], 2, 4), entry("F32", [0], 4, 4)]
    header = {f"t{n}": {name: fields[name] for name in order} for n, fields in enumerate(described)}
    path = write(tmp_path / "x", header, bytes(4))
    checkpoint = read(path)
    assert checkpoint.problems == []
    agrees_with_library(path, checkpoint)
    comma = json.dumps(header).replace("}}", ", }}")
    assert "bad-json" in codes(read(write(path, comma.encode(), bytes(4))))
    twice = json.dumps(header).replace(f'"{order[0]}"', f'"{order[1]}"')
    checkpoint = read(write(path, twice.encode(), bytes(4)))
    assert checkpoint.tensors == []
    assert set(codes(checkpoint)) == {"bad-tensor", "trailing-bytes"}


def test_members_too_costly_to_parse_are_refused(tmp_path):
    for member in (b"[" + b"[]," * 400_000, b'"' + b"x" * (18 << 20)):
        with pytest.raises(BrokenFile, match=r"too many brackets|longer than"):
            read(write(tmp_path / "x", b'{"a":' + member))
    many = b",".join([b'"a":0'] * 100_100)
    assert codes(read(write(tmp_path / "x", b"{" + many + b"}")))[-1] == "tree-limit"


def test_a_header_longer_than_one_piece_reads_the_same(tmp_path):
    header: dict[str, object] = {"__metadata__": {"long": "x\n" * 100_000}}
    for number in range(2_000):
        name = f"läyer.{number}" + ("\\" if number % 97 == 0 else "")
        header[name] = entry("U8", [1], number, number + 1)
    path = write(tmp_path / "x", json.dumps(header, ensure_ascii=False).encode(), bytes(2_000))
    checkpoint = read(path)
    assert checkpoint.problems == []
    agrees_with_library(path, checkpoint)


@pytest.mark.parametrize(
    "text",
    [b'{"a":' + b"[" * 1_000_000, b'{"a":' + b'{"b":' * 1_000_000, b'{"a', b'{"a"}', b'{"a":NaN}'],
    ids=["lists", "objects", "name", "colon", "NaN"],
)
def test_a_header_that_breaks_before_any_entry_is_one_clear_error(tmp_path, text):
    with pytest.raises(BrokenFile) as refused:
        read(write(tmp_path / "x", text))
    assert refused.value.message


def test_a_header_over_the_limit_is_an_error_by_name(tmp_path):
    path = write(tmp_path / "x", {"a": entry("U8", [], 0, 1)}, b"1")
    with pytest.raises(LimitExceeded, match="header"):
        read(path, Limits(json_bytes=10))
    header = {f"t{number}": entry("U8", [0], 0, 0) for number in range(1_000)}
    checkpoint = read(write(tmp_path / "y", header), Limits(tensors=500))
    assert "tree-limit" in codes(checkpoint)
    assert len(checkpoint.tensors) < 1_000


def test_problems_are_counted_out(tmp_path):
    header = {f"t{number}": entry("U8", [1], 0, 0) for number in range(3_000)}
    checkpoint = read(write(tmp_path / "x", header))
    assert len(checkpoint.problems) == 1_001
    assert checkpoint.problems[-1].code == "more-problems"


def test_a_truncated_file_keeps_what_it_has(tmp_path):
    path = tmp_path / "x"
    save_file({"a": torch.ones(4), "b": torch.ones(4)}, path, {"format": "pt"})
    whole = path.read_bytes()
    kept = []
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        checkpoint = answer(path)
        if checkpoint is None:
            continue
        assert "truncated" in codes(checkpoint)
        kept.append(sum(node.storage.record is not None for node in checkpoint.tensors))
    assert kept == sorted(kept)
    assert set(kept) == {0, 1}


def test_recognise_is_strict(tmp_path):
    for number, data in enumerate(
        [
            b"",
            b"{",
            b"\x80\x02}q\x00.",
            b"PK\x03\x04" + bytes(30),
            b'{"weight_map": {}}',
            b'abcdefgh{"a"',
            struct.pack("<Q", 100) + b"[1]",
            struct.pack("<Q", 1) + b'{"',
            struct.pack("<Q", 20) + b"{'a': 1}" + bytes(30),
        ]
    ):
        path = tmp_path / str(number)
        path.write_bytes(data)
        assert not recognised(path), data


KEYS = st.text(max_size=12).filter(
    lambda key: key != "__metadata__" and not any("\ud800" <= letter <= "\udfff" for letter in key)
)
SHAPES = st.lists(st.integers(0, 4), max_size=4)


@settings(max_examples=60)
@given(
    tensors=st.dictionaries(KEYS, st.tuples(st.sampled_from(DTYPE_CODES[:-1]), SHAPES), max_size=6),
    metadata=st.none() | st.dictionaries(KEYS, KEYS, max_size=3),
)
def test_whatever_the_library_writes_is_read_as_it_reads_it(tmp_path, tensors, metadata):
    # safetensors 0.8 writes broken JSON for neither tensors nor metadata.
    assume(tensors or metadata != {})
    path = tmp_path / "x"
    save_file(
        {key: torch.zeros(shape, dtype=dtype) for key, (dtype, shape) in tensors.items()},
        path,
        metadata,
    )
    assert recognised(path)
    checkpoint = read(path)
    assert checkpoint.problems == []
    agrees_with_library(path, checkpoint)


@settings(max_examples=150)
@given(
    entries=st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.sampled_from(["U8", "I16", "F4", "F99"]),
            st.lists(st.integers(0, 3), max_size=2),
            st.integers(0, 6),
            st.integers(0, 6),
        ),
        max_size=4,
    ),
    data=st.integers(0, 8),
)
def test_no_problem_means_that_the_library_accepts_the_file(tmp_path, entries, data):
    members = ",".join(
        f'"{key}":{json.dumps(entry(code, shape, begin, begin + length))}'
        for key, code, shape, begin, length in entries
    )
    path = write(tmp_path / "x", f"{{{members}}}".encode(), bytes(data))
    checkpoint = read(path)
    try:
        with safe_open(path, "pt"):
            accepted = True
    except SafetensorError:
        accepted = False
    assert accepted == (set(codes(checkpoint)) <= {"duplicate-key"})


@settings(max_examples=200)
@given(
    text=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["a", "dtype", "shape", "data_offsets", "__metadata__"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    ).map(json.dumps),
    cut=st.integers(0, 60),
)
def test_any_json_is_answered(tmp_path, text, cut):
    data = text.encode()
    path = write(tmp_path / "x", b'{"a":' + data[: len(data) - cut] + b"}", b"1234")
    answer(path)


def test_a_file_from_the_field(corpus):
    path = corpus / "snakers4__silero-vad" / "silero_vad_16k.safetensors"
    checkpoint = read(path)
    assert checkpoint.problems == []
    agrees_with_library(path, checkpoint)
