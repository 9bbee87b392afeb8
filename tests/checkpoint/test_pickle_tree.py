"""Trees of streams that refer to the same few bytes again and again.

Each file is small, and would take minutes or gigabytes if every reference were followed, joined,
decoded or looked through anew.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.limits import DEFAULT
from inspector_app.checkpoint.model import Checkpoint, Kind, Node

PROTOCOL = b"\x80\x04"
MEMOIZE = b"\x94"


def text(value: bytes) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value


def get(index: int) -> bytes:
    return b"h" + bytes([index])


LONG = text(b"x" * 900_000) + MEMOIZE
MAPPING = b"}" + MEMOIZE + b"(" + b"".join(text(b"%05d" % i) + b"N" for i in range(20_000)) + b"u"


def opened(stream: bytes, directory: Path) -> Checkpoint:
    path = directory / "stream.pkl"
    path.write_bytes(PROTOCOL + stream)
    return open_checkpoint(path)


def kept(root: Node) -> int:
    """Bytes of text and bytes that the tree's values take, each object once."""
    values = {id(node.value): node.value for node in root.walk()}
    return sum(len(value) for value in values.values() if isinstance(value, (str, bytes)))


def paths() -> bytes:
    name = b"cpathlib\nPosixPath\n" + MEMOIZE
    return b"(" + LONG + name + (get(1) + b"(" + get(0) * 3 + b"tR") * 1000 + b"t."


def joined() -> bytes:
    return b"(" + LONG + b"cpathlib\nPosixPath\n(" + get(0) * 10_000 + b"tRt."


def encoded() -> bytes:
    name = text(b"latin1") + MEMOIZE + b"c_codecs\nencode\n" + MEMOIZE
    return b"(" + LONG + name + (get(2) + get(0) + get(1) + b"\x86R") * 1000 + b"t."


@pytest.mark.parametrize("stream", [paths, joined, encoded])
def test_references_to_a_long_text_do_not_multiply_it(
    stream: Callable[[], bytes], tmp_path: Path
) -> None:
    checkpoint = opened(stream(), tmp_path)
    assert checkpoint.root.kind == Kind.SEQUENCE
    assert kept(checkpoint.root) < 70 << 20


def test_a_mapping_is_looked_through_only_so_often(tmp_path: Path) -> None:
    checkpoint = opened(b"(" + MAPPING + get(0) * 100_000 + b"t.", tmp_path)
    first, *others = checkpoint.root.children
    assert len(first.children) == 20_000
    shown = sum(len(node.children) for node in others)
    assert shown <= DEFAULT.repeated_nodes
    assert others[-1].kind == Kind.REFERENCE


def test_a_list_of_numbers_is_looked_through_once(tmp_path: Path) -> None:
    numbers = b"]" + MEMOIZE + b"(" + b"K\x01" * 500_000 + b"e"
    checkpoint = opened(b"(" + numbers + get(0) * 100_000 + b"t.", tmp_path)
    assert len(checkpoint.root.children) == 100_001
    assert {len(node.value) for node in checkpoint.root.children} == {500_000}


def test_modules_that_share_a_large_mapping_are_cut(tmp_path: Path) -> None:
    module = get(1) + b")\x81}(" + text(b"_parameters") + get(0) + text(b"_modules") + b"}ub"
    stream = b"(" + MAPPING + b"cm\nM\n" + MEMOIZE + module * 20_000 + b"t."
    checkpoint = opened(stream, tmp_path)
    assert [problem.code for problem in checkpoint.problems] == ["tree-limit"]


def test_problems_are_counted_up_to_a_limit(tmp_path: Path) -> None:
    view = b"K\x00K\x09\x85K\x01\x85\x89N"  # nine elements of a storage that has one
    names = b"ctorch._utils\n_rebuild_tensor_v2\n" + MEMOIZE + text(b"storage") + MEMOIZE
    names += b"ctorch\nFloatStorage\n" + MEMOIZE
    tensor = get(1) + b"((" + get(2) + get(3) + text(b"0") + text(b"cpu") + b"K\x01tQ" + view
    stream = b"(" + MAPPING + names + (tensor + get(0) + b"tR") * 5_000 + b"t."
    checkpoint = opened(stream, tmp_path)
    codes = [problem.code for problem in checkpoint.problems]
    assert len(checkpoint.tensors) == 5_000
    assert len(codes) == 1_001
    assert set(codes[:-1]) == {"view-bounds"}
    assert codes[-1] == "more-problems"


def test_a_key_of_long_texts_is_shortened(tmp_path: Path) -> None:
    checkpoint = opened(b"(" + LONG + b"}(" + get(0) * 200 + b"tNst.", tmp_path)
    (key,) = (child.key for child in checkpoint.root.children[1].children)
    assert isinstance(key, str)
    assert key.startswith("('xxx")
    assert len(key) < 10_000
