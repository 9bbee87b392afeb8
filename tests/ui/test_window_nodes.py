"""The details of a node, in words."""

from __future__ import annotations

import pytest

from inspector_app.checkpoint.model import (
    ArrayInfo,
    Kind,
    Node,
    Quantizer,
    Record,
    StorageRef,
    TensorDetails,
    TensorInfo,
)
from inspector_app.ui.node_facts import facts, value_text
from inspector_app.ui.node_view import NodeView

HOSTILE = "<img src='x'>\u202e\x00\n"


def root() -> Node:
    return Node("", Kind.MAPPING, "dict")


def tensor(key: str = "weight", **changes) -> TensorInfo:
    arguments = {
        "dtype": "float32",
        "shape": (4, 3),
        "stride": (3, 1),
        "storage": StorageRef("7", 48, record=Record("archive/data/7", 640, 48, crc32=0xABC)),
        "storage_offset": 0,
        "parent": root(),
    }
    return TensorInfo(key, **(arguments | changes))


def shown(node: Node, sharing=None) -> dict[str, str]:
    return {name: value for name, value in facts(node, sharing or {}) if value}


def test_a_plain_tensor():
    assert shown(tensor(requires_grad=True)) == {
        "Name": "weight",
        "Path": "['weight']",
        "Shape": "4 × 3",
        "Dtype": "float32, 4 bytes an element",
        "Elements": "12",
        "Size": "48 bytes",
        "Stride": "3, 1",
        "Layout": "strided",
        "Device": "cpu",
        "requires_grad": "True",
        "Storage": "7",
        "Storage offset": "0 elements",
        "Bytes": "archive/data/7, from byte 640",
        "CRC-32": "00000abc",
    }


def test_a_view_of_a_larger_storage_says_whom_it_shares_it_with():
    storage = StorageRef("0", 4_000, file="model-2.safetensors")
    one, other = tensor("a", storage=storage, storage_offset=5), tensor("b", storage=storage)
    rows = shown(one, {id(storage): [one, other]})
    assert rows["Storage size"] == "4.00 kB (4,000 bytes)"
    assert rows["Storage offset"] == "5 elements"
    assert rows["Shares with"] == "b"
    assert rows["In file"] == "model-2.safetensors"
    assert rows["Bytes"] == "not in the file"


def test_many_that_share_are_counted():
    storage = StorageRef("0", 48)
    group = [tensor(f"t{number}", storage=storage) for number in range(30)]
    rows = shown(group[0], {id(storage): group})
    assert rows["Shares with"].splitlines()[0] == "t1"
    assert rows["Shares with"].splitlines()[-1] == "… and 21 more"


@pytest.mark.parametrize(
    ("shape", "stride", "text"),
    [
        ((3, 4), (1, 3), "1, 3 (not contiguous)"),
        ((4, 3), (0, 1), "0, 1 (expanded)"),
        ((1, 3), (99, 1), "99, 1"),
        ((0, 3), (3, 1), "3, 1"),
        ((), (), "()"),
    ],
)
def test_strides(shape, stride, text):
    assert shown(tensor(shape=shape, stride=stride))["Stride"] == text


def test_a_scalar_tensor_and_a_ragged_one():
    assert shown(tensor(shape=(), stride=()))["Shape"] == "scalar (no dimensions)"
    ragged = tensor(shape=(2, -1, 3), stride=None, storage=None, storage_offset=None)
    assert shown(ragged)["Shape"] == "2 × ragged × 3"
    assert "Stride" not in shown(ragged)


def test_a_meta_tensor_misses_no_bytes():
    assert "Bytes" not in shown(tensor(device="meta", storage=StorageRef("0", 48, "meta")))


def test_what_few_tensors_have():
    details = TensorDetails(
        parameter=True,
        python_type="torchao.Int4Tensor",
        conj=True,
        neg=True,
        big_endian=True,
        coalesced=False,
        quantizer=Quantizer("per_tensor_affine", 0.1, 3, None),
        note="a note",
    )
    rows = shown(tensor(details=details, dtype="qint8"))
    assert rows["Quantizer"] == "per_tensor_affine, scale 0.1, zero_point 3"
    assert rows["Subclass"] == "torchao.Int4Tensor"
    assert rows["Coalesced"] == "no"
    assert rows["Note"] == "a note"
    for mark in ("nn.Parameter", "conj bit", "neg bit", "big-endian"):
        assert mark in rows["Marks"]


def test_an_unknown_dtype_and_an_absurd_shape_are_shown():
    rows = shown(tensor(dtype=HOSTILE, shape=(10**3000, 10**3000)))
    assert rows["Elements"].startswith("> 2^")
    assert "\u202e" not in rows["Dtype"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"),
        (True, "True"),
        (17, "17"),
        (-0.0, "-0.0"),
        (float("nan"), "nan"),
        (1 + 2j, "(1+2j)"),
        ("words", "words"),
        (b"\x00raw", "b'\\x00raw'"),
        ([1, 2], ""),
    ],
)
def test_values(value, text):
    assert value_text(value) == text


def test_large_values_are_cut_or_written_in_hex():
    assert value_text(1 << 20_000).startswith("0x1000")
    assert value_text(b"a" * 10_000).endswith("10,000 bytes in all")


def test_an_object_lists_what_it_holds():
    node = Node("args", Kind.OBJECT, "argparse.Namespace", parent=root())
    node.children = [
        Node("lr", Kind.SCALAR, "float", 0.1, node),
        Node(HOSTILE, Kind.SCALAR, "str", HOSTILE, node),
        tensor("w"),
        Node("more", Kind.MAPPING, "dict", None, node),
    ]
    rows = shown(node)
    assert rows["Type"] == "argparse.Namespace"
    assert rows["Entries"] == "4"
    lines = rows["Holds"].splitlines()
    assert lines[0] == "lr: 0.1"
    assert lines[2:] == ["w: float32 [4, 3]", "more: dict"]
    assert "\u202e" not in rows["Holds"]


def test_an_array_and_a_storage_of_their_own():
    array = Node("a", Kind.ARRAY, "numpy.ndarray", ArrayInfo((3, 4), "<f8", True), root())
    assert shown(array) == {
        "Name": "a",
        "Path": "['a']",
        "Type": "numpy.ndarray",
        "Shape": "3 × 4",
        "NumPy dtype": "<f8",
        "Order": "Fortran (the last axis varies slowest)",
    }
    storage = Node("s", Kind.STORAGE, "float32", StorageRef("9", 2_000, "cuda:1"), root())
    rows = shown(storage)
    assert (rows["Storage"], rows["Size"]) == ("9", "2.00 kB (2,000 bytes)")
    assert (rows["Device"], rows["Bytes"]) == ("cuda:1", "not in the file")


def test_the_pane_shows_text_and_code_as_they_are(qtbot):
    pane = NodeView()
    qtbot.addWidget(pane)
    assert pane.facts() == {}
    pane.show_node(Node("note", Kind.SCALAR, "str", "one\n<b>two</b>\x07", root()))
    assert pane.value() == "one\n<b>two</b>\\x07"
    pane.show_node(Node("code", Kind.CODE, "", "def f():\n    pass", root()))
    assert pane.value() == "def f():\n    pass"
    pane.show_node(tensor())
    assert pane.value() == ""
    assert pane.facts()["Shape"] == "4 × 3"
    pane.show_node(None)
    assert pane.facts() == {}


def test_a_huge_text_is_shown_at_once(qtbot):
    pane = NodeView()
    qtbot.addWidget(pane)
    pane.show_node(Node("text", Kind.SCALAR, "str", "x" * (1 << 20), root()))
    assert len(pane.value()) < 30_000
    assert pane.facts()["Length"] == "1,048,576 characters"
