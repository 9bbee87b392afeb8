"""A tensor's values against torch's, for every dtype, layout and format."""

from __future__ import annotations

import os
import warnings
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper, numpy_helper
from safetensors.torch import save_file

from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.errors import (
    BrokenFile,
    CheckpointError,
    LimitExceeded,
    NoValues,
    UnreadableFile,
)
from inspector_app.checkpoint.limits import Limits
from inspector_app.checkpoint.model import Record, StorageRef, TensorInfo
from inspector_app.checkpoint.value_layout import BlockPlan, gathered, in_storage_order, span
from inspector_app.checkpoint.values import ValueReader, open_values
from tests.checkpoint import torch_files

# torch computes with none of these: their bytes are compared.
BYTES_ONLY = ("bits", "float4")


def numbers(tensor: torch.Tensor) -> np.ndarray:
    """What the tensor holds, in a dtype that numpy has."""
    with torch_files.prototypes():
        tensor = tensor.detach()
        if tensor.is_quantized:
            tensor = tensor.dequantize()
        tensor = tensor.resolve_conj().resolve_neg()
        name = str(tensor.dtype).removeprefix("torch.")
        if name.startswith(BYTES_ONLY):
            width = torch.int16 if name == "bits16" else torch.uint8
            return np.asarray(tensor.clone().view(width))
        if tensor.dtype == torch.complex32:
            tensor = tensor.to(torch.complex64)
        elif tensor.is_floating_point():
            tensor = tensor.to(torch.float64)
        return np.asarray(tensor)


def same(found: np.ndarray, expected: np.ndarray) -> bool:
    if expected.dtype.kind == "f":
        found = found.astype(np.float64)
    if expected.dtype == np.int16 and found.dtype == np.uint16:
        found = found.view(np.int16)
    return found.shape == expected.shape and np.array_equal(
        found, expected, equal_nan=expected.dtype.kind in "fc"
    )


def find(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        if isinstance(value, dict):
            # Keys are shown as text where they are neither text nor an integer.
            by_text = {str(k) if type(k) is not int else k: v for k, v in value.items()}
            value = by_text.get(key, value.get(key))
        elif isinstance(value, (list, tuple)):
            value = value[key]
        else:
            return None
    return value


@pytest.mark.parametrize(
    ("byteorder", "legacy"), [("little", False), ("big", False), ("little", True)]
)
@pytest.mark.parametrize("name", torch_files.CASES)
def test_values_are_torchs(tmp_path: Path, name: str, byteorder: str, legacy: bool) -> None:
    with torch_files.prototypes():
        made = torch_files.CASES[name]()
    path = torch_files.write(made, tmp_path / "x.pth", byteorder=byteorder, legacy=legacy)
    with warnings.catch_warnings(), torch_files.prototypes():
        try:
            if byteorder == "little":
                loaded = made  # what was saved; torch cannot read all that it writes
            else:
                with torch.serialization.safe_globals(torch_files.SAFE_GLOBALS):
                    loaded = torch.load(path, weights_only=True)
        except Exception as error:
            pytest.skip(f"torch does not read it: {type(error).__name__}")
    compared = 0
    checkpoint = open_checkpoint(path)
    with open_values(checkpoint) as reader:
        for tensor in checkpoint.tensors:
            expected = find(loaded, tensor.path)
            if not isinstance(expected, torch.Tensor) or type(expected) in (
                torch_files.TwoPart,
                torch_files.Labelled,
            ):
                continue
            if expected.is_meta or expected.layout is not torch.strided or expected.is_nested:
                continue
            if byteorder == "big" and name not in torch_files.TYPED:
                # Of an untyped storage torch does not know the width, and swaps nothing.
                continue
            if name.startswith("float4"):
                continue
            assert same(reader.read(tensor), numbers(expected)), tensor.name
            in_blocks = np.concatenate([np.ravel(b).copy() for b in reader.blocks(tensor)] or [[]])
            repeats = reader.elements(tensor).repeats
            whole = numbers(expected)
            assert len(in_blocks) * repeats == whole.size
            if whole.dtype.kind not in "c":
                ordered = np.sort(np.repeat(in_blocks.astype(np.float64), repeats))
                assert np.array_equal(ordered, np.sort(whole.astype(np.float64).ravel()), True)
            compared += 1
    if byteorder == "little" and name in torch_files.TYPED:
        assert compared == 2


def test_a_big_endian_complex_number_is_swapped_by_halves(tmp_path: Path) -> None:
    values = torch.tensor([1 + 2j, -3.5 + 0.25j])
    path = torch_files.write({"z": values}, tmp_path / "x.pth")
    checkpoint = open_checkpoint(torch_files.write({"z": values}, path, byteorder="big"))
    with open_values(checkpoint) as reader:
        found = reader.read(checkpoint.tensors[0])
    swapped = torch.view_as_real(values).numpy().byteswap()
    assert np.array_equal(found.view(np.float32).reshape(2, 2), swapped, equal_nan=True)


@pytest.mark.parametrize("name", ["sparse", "nested"])
def test_stored_values_of_sparse_and_nested(tmp_path: Path, name: str) -> None:
    made = torch_files.CASES[name]()
    checkpoint = open_checkpoint(torch_files.write(made, tmp_path / "x.pth"))
    compared = 0
    with open_values(checkpoint) as reader, torch_files.prototypes():
        for tensor in checkpoint.tensors:
            if tensor.layout == "strided":
                continue
            whole = made[tensor.path[0]]
            if whole.is_nested:
                expected = torch.cat([part.reshape(-1) for part in whole.unbind()])
            elif whole.layout is torch.sparse_coo:
                expected = whole._values()
            else:
                expected = whole.values()
            found = reader.read(tensor)
            assert np.array_equal(found.ravel(), expected.numpy().ravel()), tensor.name
            compared += 1
    assert compared == len(made)


def test_raw_integers_of_quantized_tensors(tmp_path: Path) -> None:
    with torch_files.prototypes():
        made = torch_files.quantized()
    checkpoint = open_checkpoint(torch_files.write(made, tmp_path / "x.pth"))
    with open_values(checkpoint) as reader, torch_files.prototypes():
        for tensor in checkpoint.tensors:
            if tensor.dtype.startswith("quint") and tensor.dtype != "quint8":
                continue  # int_repr gives packed bytes there
            raw = reader.read(tensor, raw=True)
            assert np.array_equal(raw, made[tensor.path[0]].int_repr().numpy())


def test_float4_pairs_are_two_values_low_half_first(tmp_path: Path) -> None:
    values = torch.tensor([[0x21, 0xF7], [0x00, 0x98]], dtype=torch.uint8)
    path = tmp_path / "x.pth"
    with torch_files.prototypes():
        torch.save({"x": values.view(torch.float4_e2m1fn_x2)}, path)
    checkpoint = open_checkpoint(path)
    with open_values(checkpoint) as reader:
        found = reader.read(checkpoint.tensors[0]).astype(np.float32)
    # E2M1: 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives.
    assert found.tolist() == [[0.5, 1, 6, -6], [0, 0, -0.0, -0.5]]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (onnx.TensorProto.INT4, [-8, -1, 0, 7, 3]),
        (onnx.TensorProto.UINT4, [0, 15, 8, 7, 1]),
        (onnx.TensorProto.FLOAT4E2M1, [0.5, -6, 1.5, 0, 3]),
        (onnx.TensorProto.INT2, [-2, 1, 0, -1, 1]),
        (onnx.TensorProto.UINT2, [0, 3, 2, 1, 1]),
        (onnx.TensorProto.BFLOAT16, [0.5, -6, 1.5, 0, 3]),
        (onnx.TensorProto.FLOAT8E5M2, [0.5, -6, 1.5, 0, 3]),
        (onnx.TensorProto.INT64, [0, -(2**62), 2**62 + 1, 5, 3]),
        (onnx.TensorProto.BOOL, [True, False, True, True, False]),
    ],
)
def test_packed_initializers(tmp_path: Path, kind: int, values: list[float]) -> None:
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    proto = numpy_helper.from_array(np.array(values).astype(dtype), "w")
    graph = helper.make_graph([], "g", [], [], [proto])
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph), path)
    checkpoint = open_checkpoint(path)
    with open_values(checkpoint) as reader:
        (tensor,) = checkpoint.tensors
        assert reader.read(tensor).astype(np.float64).tolist() == [float(v) for v in values]
        assert reader.read(tensor, [slice(1, 4)]).astype(float).tolist() == [
            float(v) for v in values[1:4]
        ]


def test_safetensors(tmp_path: Path) -> None:
    made = {
        name: torch_files.filled(name, 3, 4)
        for name in ("float32", "bfloat16", "int64", "bool", "float8_e4m3fn", "uint16")
    }
    save_file(made, tmp_path / "x.safetensors")
    checkpoint = open_checkpoint(tmp_path / "x.safetensors")
    with open_values(checkpoint) as reader:
        for tensor in checkpoint.tensors:
            assert same(reader.read(tensor), numbers(made[str(tensor.key)]))


def test_shards_are_read_from_their_files(tmp_path: Path) -> None:
    save_file({"a": torch.arange(5)}, tmp_path / "one.safetensors")
    save_file({"b": torch.arange(5, 9)}, tmp_path / "two.safetensors")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text('{"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}')
    checkpoint = open_checkpoint(index)
    with open_values(checkpoint) as reader:
        found = {tensor.name: reader.read(tensor).tolist() for tensor in checkpoint.tensors}
    assert found == {"a": [0, 1, 2, 3, 4], "b": [5, 6, 7, 8]}


def test_corpus_is_readable(corpus: Path) -> None:
    """Every real file: all values of all tensors, equal to torch's where it loads them."""
    compared = 0
    for path in sorted(corpus.rglob("*")):
        if not path.is_file() or path.suffix in (".md", ".dat") or path.stat().st_size > 30e6:
            continue
        checkpoint = open_checkpoint(path)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                loaded = torch.load(path, map_location="cpu", weights_only=True)
        except Exception:  # what torch refuses is read all the same
            loaded = None
        with open_values(checkpoint) as reader:
            for tensor in checkpoint.tensors:
                found = reader.read(tensor)
                expected = find(loaded, tensor.path)
                if isinstance(expected, torch.Tensor) and not expected.is_quantized:
                    assert same(found, numbers(expected)), (path.name, tensor.name)
                    compared += 1
    assert compared > 100


# --- slices


@st.composite
def views(draw: st.DrawFn) -> tuple[torch.Tensor, list[Any]]:
    """A view of a small storage, however it came about, and slices of it."""
    shape = draw(st.lists(st.integers(1, 6), min_size=0, max_size=4))
    base = torch.arange(int(np.prod(shape, dtype=int)), dtype=torch.int32).reshape(shape)
    axes = draw(st.permutations(range(len(shape))))
    view = base.permute(axes)
    for axis in range(view.dim()):
        start = draw(st.integers(0, view.shape[axis] - 1))
        step = draw(st.integers(1, 3))
        view = view[(slice(None),) * axis + (slice(start, None, step),)]
    if draw(st.booleans()):
        view = view.unsqueeze(0).expand(draw(st.integers(1, 3)), *view.shape)
    slices: list[Any] = []
    for size in view.shape[: draw(st.integers(0, view.dim()))]:
        ends = st.none() | st.integers(-size - 1, size + 1)
        step = draw(st.sampled_from([None, 1, 2, -1, -2]))
        chosen = st.builds(slice, ends, ends, st.just(step))
        slices.append(draw(chosen | st.integers(-size, size - 1)))
    return view, slices


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("views")


@given(views(), st.sampled_from([4, 12, 64, 1 << 20]))
def test_slices_are_numpys(folder: Path, case: tuple[torch.Tensor, list[Any]], block: int) -> None:
    view, slices = case
    torch.save([view], folder / "v.pth")
    checkpoint = open_checkpoint(folder / "v.pth")
    with open_values(checkpoint) as reader, pytest.MonkeyPatch.context() as patch:
        patch.setattr("inspector_app.checkpoint.values.BLOCK_BYTES", block)
        (tensor,) = checkpoint.tensors
        assert np.array_equal(reader.read(tensor, slices), view.numpy()[tuple(slices)])
        blocks = [b.copy() for b in reader.blocks(tensor)]
        found = np.repeat(np.concatenate(blocks), reader.elements(tensor).repeats)
        assert np.array_equal(np.sort(found), np.sort(view.numpy().ravel()))
        assert all(b.nbytes <= max(block, 4) for b in blocks)


@given(
    st.lists(st.tuples(st.integers(1, 7), st.integers(0, 40)), max_size=4),
    st.integers(1, 50),
)
def test_blocks_cover_a_view_once(axes: list[tuple[int, int]], capacity: int) -> None:
    shape, stride, repeats = gathered([a for a, _ in axes], [b for _, b in axes])
    assert in_storage_order(stride) == tuple(range(len(stride)))
    plan = BlockPlan(5, shape, stride, capacity)
    seen = []
    for number in range(len(plan)):
        block = plan.block(number)
        assert block.extent == span(block.shape, stride) <= capacity
        places = np.add.outer(block.start, np.zeros(()))
        for size, step in zip(block.shape, stride, strict=True):
            places = np.add.outer(places, np.arange(size) * step)
        seen += places.ravel().tolist()
    expected = np.full((), 5)
    for size, step in axes:
        expected = np.add.outer(expected, np.arange(size) * step)
    assert sorted(seen * repeats) == sorted(expected.ravel().tolist())


def test_channels_are_sliced_with_their_values(tmp_path: Path) -> None:
    with torch_files.prototypes():
        made = torch.quantize_per_channel(
            torch.randn(3, 8), torch.rand(8) + 0.1, torch.arange(8), 1, torch.qint8
        )
        torch.save([made], tmp_path / "q.pth")
        whole = made.dequantize().numpy()
    checkpoint = open_checkpoint(tmp_path / "q.pth")
    with open_values(checkpoint) as reader:
        (tensor,) = checkpoint.tensors
        for slices in ([1], [slice(None), 3], [slice(None), slice(6, 1, -2)], [slice(2, 0, -1)]):
            assert np.array_equal(reader.read(tensor, slices), whole[tuple(slices)])
        with pytest.raises(IndexError):
            reader.read(tensor, [0, 0, 0])
        with pytest.raises(IndexError):
            reader.read(tensor, [3])


def test_only_what_is_asked_for_is_read(tmp_path: Path) -> None:
    torch.save([torch.arange(4_000_000, dtype=torch.float32).reshape(2000, 2000)], tmp_path / "x")
    checkpoint = open_checkpoint(tmp_path / "x")
    asked = []
    with open_values(checkpoint) as reader:
        (tensor,) = checkpoint.tensors
        elements = reader.elements(tensor)
        run = elements._run
        read_into = run.read_into
        run.read_into = lambda at, block: (asked.append(len(block)), read_into(at, block))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ValueReader, "elements", lambda *_: elements)
            found = reader.read(tensor, [slice(1000, 1003), slice(5, 9)])
    assert found.tolist() == [[n * 2000 + 5 + i for i in range(4)] for n in range(1000, 1003)]
    assert sum(asked) <= 3 * 8000


def test_too_much_at_once_is_refused(tmp_path: Path) -> None:
    torch.save([torch.zeros(1).expand(1 << 40)], tmp_path / "x")
    checkpoint = open_checkpoint(tmp_path / "x")
    with open_values(checkpoint) as reader:
        with pytest.raises(LimitExceeded):
            reader.read(checkpoint.tensors[0])
        assert reader.read(checkpoint.tensors[0], [slice(1 << 39, (1 << 39) + 2)]).tolist() == [
            0,
            0,
        ]


# --- what is compressed, cut, replaced or hostile


def deflated(path: Path, target: Path) -> Path:
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
    return target


def test_compressed_records_of_any_size(tmp_path: Path) -> None:
    made = torch.arange(900_000, dtype=torch.float32).reshape(900, 1000)
    torch.save({"x": made, "t": made.T[::7]}, tmp_path / "x.pth")
    path = deflated(tmp_path / "x.pth", tmp_path / "z.pth")
    checkpoint = open_checkpoint(path)
    # The record is larger than what may be inflated into memory: it never is.
    with open_values(checkpoint, Limits(inflated_bytes=1 << 20)) as reader:
        for tensor, expected in zip(checkpoint.tensors, (made, made.T[::7]), strict=True):
            assert np.array_equal(reader.read(tensor), expected.numpy())
        assert reader.read(checkpoint.tensors[0], [slice(3, 5), 7]).tolist() == [3007, 4007]


def test_a_view_that_unpacks_again_and_again_is_stopped(tmp_path: Path) -> None:
    made = torch.zeros(2_000_000)
    torch.save({"x": made}, tmp_path / "x.pth")
    checkpoint = open_checkpoint(deflated(tmp_path / "x.pth", tmp_path / "z.pth"))
    (tensor,) = checkpoint.tensors
    read = 0
    limits = Limits(inflated_bytes=1 << 20)
    with open_values(checkpoint, limits) as reader, suppress(LimitExceeded):
        while read < 1000:
            start = 1_999_000 if read % 2 else 10
            assert reader.read(tensor, [slice(start, start + 9)]).size == 9
            read += 1
    assert 10 < read < 1000


def test_a_damaged_compressed_record(tmp_path: Path) -> None:
    torch.save({"x": torch.rand(10_000)}, tmp_path / "x.pth")
    path = deflated(tmp_path / "x.pth", tmp_path / "z.pth")
    checkpoint = open_checkpoint(path)
    record = checkpoint.tensors[0].storage.record
    data = bytearray(path.read_bytes())
    start = record.header_offset + 60
    data[start : start + 400] = b"\xff" * 400
    path.write_bytes(data)
    os.utime(path, ns=(checkpoint.modified_ns, checkpoint.modified_ns))
    with open_values(checkpoint) as reader, pytest.raises(BrokenFile):
        reader.read(checkpoint.tensors[0])


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / "x.pth"
    torch.save({"x": torch.arange(3_000_000, dtype=torch.float32)}, path)
    return path


def test_a_file_that_was_replaced_is_not_read(plain: Path) -> None:
    checkpoint = open_checkpoint(plain)
    os.utime(plain, ns=(1, 1))
    with open_values(checkpoint) as reader, pytest.raises(UnreadableFile) as caught:
        reader.read(checkpoint.tensors[0])
    assert caught.value.code == "file-changed"
    assert "changed" in str(caught.value)


def test_a_file_that_is_cut_while_it_is_read(plain: Path) -> None:
    checkpoint = open_checkpoint(plain)
    with open_values(checkpoint) as reader:
        blocks = reader.blocks(checkpoint.tensors[0])
        next(blocks)
        os.truncate(plain, 2_000_000)
        with pytest.raises(UnreadableFile) as caught:
            for _ in blocks:
                pass
    assert caught.value.code == "file-changed"


def test_a_file_that_is_written_to_while_it_is_read(plain: Path) -> None:
    checkpoint = open_checkpoint(plain)
    with open_values(checkpoint) as reader:
        blocks = reader.blocks(checkpoint.tensors[0])
        next(blocks)
        with plain.open("r+b") as file:
            file.seek(-100, os.SEEK_END)
            file.write(b"?")
        os.utime(plain, ns=(5, 5))
        with pytest.raises(UnreadableFile):
            for _ in blocks:
                pass


def test_a_file_that_is_gone(plain: Path) -> None:
    checkpoint = open_checkpoint(plain)
    plain.unlink()
    with open_values(checkpoint) as reader, pytest.raises(UnreadableFile) as caught:
        reader.read(checkpoint.tensors[0])
    assert caught.value.code == "not-found"


def test_a_truncated_file_keeps_the_tensors_that_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    made = {"a": torch.arange(1000.0), "b": torch.arange(1000.0)}
    torch.save(made, path, _use_new_zipfile_serialization=False)
    os.truncate(path, path.stat().st_size - 50)
    checkpoint = open_checkpoint(path)
    found = []
    with open_values(checkpoint) as reader:
        for tensor in checkpoint.tensors:
            try:
                found.append(reader.read(tensor).tolist())
            except NoValues as error:
                found.append(error.code)
    # Which of the two storages stands last is torch's choice.
    assert sorted(found, key=str) == [made["a"].tolist(), "values-missing"]


@given(
    st.lists(st.integers(0, 1 << 62), max_size=5),
    st.lists(st.integers(0, 1 << 62), min_size=5, max_size=5),
    st.integers(0, 1 << 62),
    st.integers(-5, 1 << 62),
    st.sampled_from(["float32", "quint4x2", "complex128", "float6_e2m3fn", "float4_e2m1fn_x2"]),
)
def test_views_beyond_their_bytes(
    folder: Path, shape: list[int], stride: list[int], offset: int, nbytes: int, dtype: str
) -> None:
    path = folder / "bytes.pth"
    if not path.exists():
        torch.save([torch.arange(100)], path)
    checkpoint = open_checkpoint(path)
    checkpoint.modified_ns = 0
    storage = StorageRef("0", nbytes, record=Record("", 64, max(nbytes, 0)))
    steps = tuple(stride[: len(shape)])
    tensor = TensorInfo("x", dtype, tuple(shape), steps, storage, offset)
    with open_values(checkpoint) as reader:
        try:
            found = reader.read(tensor, most_bytes=1 << 16)
        except CheckpointError:
            return
        assert span(shape, steps) <= 64_000
        assert found.nbytes <= 1 << 20


def test_what_has_no_values_says_why(tmp_path: Path) -> None:
    made = {"meta": torch.empty(2, device="meta"), **torch_files.wrappers()}
    checkpoint = open_checkpoint(torch_files.write(made, tmp_path / "x.pth"))
    checkpoint.tensors.append(TensorInfo("s", "string", (2,), (1,), StorageRef("s", 4), 0))
    checkpoint.tensors.append(TensorInfo("u", "onnx_99", (2,), (1,), StorageRef("u", 4), 0))
    with open_values(checkpoint) as reader:
        reasons = {}
        for tensor in checkpoint.tensors:
            try:
                reader.read(tensor)
            except NoValues as error:
                reasons[tensor.key] = error.message
    assert set(reasons) == {"meta", "wrapped", "parameter of it", "s", "u"}
    assert "meta device" in reasons["meta"]
    assert "inner tensors" in reasons["wrapped"]
    assert "dtype string" in reasons["s"]
