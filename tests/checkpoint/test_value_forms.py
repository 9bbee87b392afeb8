"""Values that do not stand in the file as plain bytes: typed fields of ONNX, pickled arrays."""

from __future__ import annotations

import io
import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, external_data_helper, helper, numpy_helper

from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.errors import BrokenFile, CheckpointError, LimitExceeded, NoValues
from inspector_app.checkpoint.onnx_tensors import DATA_TYPES
from inspector_app.checkpoint.values import _varints, open_values
from tests.checkpoint import torch_files

SIX_BITS = [number for number, (_, bits) in DATA_TYPES.items() if bits == 6]
TYPES = [number for number, (_, bits) in DATA_TYPES.items() if bits not in (0, 6)]
NAMES = {number: DATA_TYPES[number][0] for number in DATA_TYPES}


def numbers(values: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # NaNs that signal
        return values.astype(np.complex128 if values.dtype.kind == "c" else np.float64)


def made_of(element_type: int, count: int) -> np.ndarray:
    """Values of the whole range, negative ones and infinities among them."""
    dtype = helper.tensor_dtype_to_np_dtype(element_type)
    bits = DATA_TYPES[element_type][1]
    raw = random.Random(count).randbytes(count * max(bits // 8, 1))
    values = np.frombuffer(raw, np.uint8)
    if element_type == TensorProto.BOOL:
        values = values % 2
    if bits < 8:
        low, high = {"p": (0, 1 << bits), "f": (0, 1 << bits)}[NAMES[element_type][0]]
        if "_int" in NAMES[element_type]:
            low, high = -(1 << (bits - 1)), 1 << (bits - 1)
        return np.array([low + byte % (high - low) for byte in raw]).astype(dtype)
    return values.view(dtype)


def onnx_file(path: Path, *tensors: TensorProto) -> Path:
    graph = helper.make_graph([], "g", [], [], list(tensors))
    path.write_bytes(helper.make_model(graph).SerializeToString())
    return path


def in_typed_field(name: str, element_type: int, values: np.ndarray) -> TensorProto:
    """As ``make_tensor`` writes it, but bit by bit, so that NaN payloads stay too."""
    proto = TensorProto(name=name, data_type=element_type, dims=values.shape)
    bits = DATA_TYPES[element_type][1]
    if bits < 8 or element_type in (TensorProto.BOOL,):
        return helper.make_tensor(name, element_type, values.shape, values)
    field = helper.tensor_dtype_to_field(element_type)
    held = getattr(proto, field)
    if field in ("float_data", "double_data"):
        part = np.float32 if field == "float_data" else np.float64
        held.extend(values.ravel().view(part).tolist())
    else:
        signed = values.dtype.kind == "i"
        width = values.dtype.itemsize
        code = f"{'i' if signed else 'u'}{width}"
        held.extend(values.ravel().view(code).tolist())
    return proto


@pytest.mark.parametrize("element_type", TYPES, ids=NAMES.get)
def test_typed_fields_of_every_dtype(
    tmp_path: Path, element_type: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inspector_app.checkpoint.value_decoders.CHUNK", 1000)
    cases = {str(n): made_of(element_type, n) for n in (0, 1, 2, 7, 3000)}
    cases["scalar"] = made_of(element_type, 1).reshape(())
    cases["matrix"] = made_of(element_type, 30).reshape(5, 6)
    protos = [in_typed_field(name, element_type, values) for name, values in cases.items()]
    assert not any(proto.HasField("raw_data") for proto in protos)
    checkpoint = open_checkpoint(onnx_file(tmp_path / "m.onnx", *protos))
    with open_values(checkpoint) as reader:
        for tensor, proto in zip(checkpoint.tensors, protos, strict=True):
            expected = numbers(numpy_helper.to_array(proto))
            found = numbers(reader.read(tensor))
            assert found.shape == expected.shape
            assert np.array_equal(found, expected, equal_nan=True), tensor.name
        whole = numbers(numpy_helper.to_array(protos[4]))
        # Backwards, and anywhere within.
        for start in (2500, 10, 1999):
            part = slice(start, start + 400, 3)
            found = numbers(reader.read(checkpoint.tensors[4], [part]))
            assert np.array_equal(found, whole[part], equal_nan=True)


@pytest.mark.parametrize("element_type", SIX_BITS, ids=NAMES.get)
def test_six_bits_in_a_typed_field_say_why_not(tmp_path: Path, element_type: int) -> None:
    proto = helper.make_tensor("w", element_type, [4], np.ones(4))
    checkpoint = open_checkpoint(onnx_file(tmp_path / "m.onnx", proto))
    with open_values(checkpoint) as reader, pytest.raises(NoValues) as caught:
        reader.read(checkpoint.tensors[0])
    assert "numbers in int32_data" in caught.value.message


def varint(value: int) -> bytes:
    value %= 1 << 64
    made = bytearray()
    while value >= 0x80:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*made, value])


def message(number: int, payload: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def model_with(tensor: bytes) -> bytes:
    graph = message(5, tensor)
    return varint(1 << 3) + varint(10) + message(7, graph)


def test_numbers_in_fields_of_their_own_and_in_several_runs(tmp_path: Path) -> None:
    """proto2 writers do not pack, and a reader must take both."""
    alone = b"".join(varint(7 << 3) + varint(v) for v in (5, -1, 1 << 62))
    run = message(7, b"".join(map(varint, (-3, 7, 300))))
    tensor = varint(1 << 3) + varint(7) + varint(2 << 3) + varint(7) + alone + run
    tensor += varint(7 << 3) + varint(9) + message(8, b"w")
    path = tmp_path / "m.onnx"
    path.write_bytes(model_with(tensor))
    proto = onnx.load(path).graph.initializer[0]
    checkpoint = open_checkpoint(path)
    with open_values(checkpoint) as reader:
        found = reader.read(checkpoint.tensors[0])
    assert found.tolist() == numpy_helper.to_array(proto).tolist()
    assert found.tolist() == [5, -1, 1 << 62, -3, 7, 300, 9]


def test_floats_in_fields_of_their_own(tmp_path: Path) -> None:
    values = np.array([1.5, -np.inf, np.nan], np.float32)
    alone = b"".join(varint(4 << 3 | 5) + value.tobytes() for value in values)
    tensor = varint(1 << 3) + varint(3) + varint(2 << 3) + varint(1) + alone + message(8, b"w")
    path = tmp_path / "m.onnx"
    path.write_bytes(model_with(tensor))
    checkpoint = open_checkpoint(path)
    with open_values(checkpoint) as reader:
        assert np.array_equal(reader.read(checkpoint.tensors[0]), values, equal_nan=True)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (varint(1) * 2, NoValues),  # fewer than the shape says
        (b"\xff" * 11 + b"\x01", BrokenFile),
        (varint(1) * 3 + b"\x80", BrokenFile),
        (b"", NoValues),
    ],
)
def test_broken_fields_say_so(tmp_path: Path, data: bytes, error: type[CheckpointError]) -> None:
    tensor = varint(1 << 3) + varint(4) + varint(2 << 3) + varint(7) + message(7, data)
    path = tmp_path / "m.onnx"
    path.write_bytes(model_with(tensor + message(8, b"w")))
    checkpoint = open_checkpoint(path)
    with open_values(checkpoint) as reader, pytest.raises(error):
        reader.read(checkpoint.tensors[0])


def test_a_shape_that_promises_far_more_costs_nothing(tmp_path: Path) -> None:
    tensor = varint(1 << 3) + varint(1 << 50) + varint(2 << 3) + varint(7) + message(7, varint(1))
    path = tmp_path / "m.onnx"
    path.write_bytes(model_with(tensor + message(8, b"w")))
    checkpoint = open_checkpoint(path)
    with open_values(checkpoint) as reader:
        with pytest.raises(LimitExceeded):
            reader.read(checkpoint.tensors[0])
        with pytest.raises(NoValues):
            reader.read(checkpoint.tensors[0], [slice(1 << 49, (1 << 49) + 5)])
        with pytest.raises(NoValues):
            next(reader.blocks(checkpoint.tensors[0]))


@given(st.lists(st.integers(0, (1 << 64) - 1)), st.sampled_from([1, 2, 4, 8]), st.data())
def test_varints(values: list[int], width: int, data: st.DataObject) -> None:
    encoded = b"".join(map(varint, values))
    cut = data.draw(st.integers(0, len(encoded)))
    found, used = _varints(encoded[:cut], width)
    whole = len(found) // width
    assert encoded[:used] == b"".join(map(varint, values[:whole]))
    assert cut - used < 10
    mask = (1 << (8 * width)) - 1
    expected = b"".join((v & mask).to_bytes(width, "little") for v in values[:whole])
    assert found == expected


def test_raw_data_beside_the_model(tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal((40, 30)).astype(np.float16)
    proto = numpy_helper.from_array(values, "w")
    model = helper.make_model(helper.make_graph([], "g", [], [], [proto]))
    external_data_helper.convert_model_to_external_data(model, location="w.bin", size_threshold=0)
    onnx.save(model, tmp_path / "m.onnx")
    assert (tmp_path / "w.bin").stat().st_size >= values.nbytes
    checkpoint = open_checkpoint(tmp_path / "m.onnx")
    with open_values(checkpoint) as reader:
        assert np.array_equal(reader.read(checkpoint.tensors[0]), values)
        (tmp_path / "w.bin").write_bytes(b"")
        with pytest.raises(CheckpointError):
            reader.read(checkpoint.tensors[0])


# --- tensors that were saved as numpy arrays


class OnDevice:
    """Pickles as a tensor on a device without storages does (torch_xla and its kin)."""

    def __init__(self, array: np.ndarray, dtype: torch.dtype) -> None:
        self.array, self.dtype = array, dtype

    def __reduce__(self) -> tuple[Any, ...]:
        rebuild = torch._utils._rebuild_device_tensor_from_numpy
        return rebuild, (self.array, self.dtype, "cpu", False)


ARRAYS = {
    "small": np.arange(6, dtype=np.float32).reshape(2, 3),
    "scalar": np.array(2.5),
    "none": np.zeros((0, 3), np.float32),
    "high bytes": np.full((64, 300), -1.0e-3, np.float64),
    "columns": np.asfortranarray(np.arange(20_000, dtype=np.int32).reshape(100, 200)),
    "big-endian": np.arange(10, dtype=">f4"),
    "bools": np.array([True, False, True]),
    "complex": np.array([1 + 2j, -3j], np.complex64),
    "large": np.random.default_rng(1).standard_normal((700, 500)),
    "large columns": np.asfortranarray(np.arange(600_000, dtype=np.float32).reshape(600, 1000)),
}


def saved(name: str, folder: Path, form: str) -> Path:
    made = {"w": OnDevice(ARRAYS[name], torch.bfloat16), "beside": torch.ones(3)}
    protocol = int(form[-1]) if form[-1].isdigit() else 2
    return torch_files.write(
        made, folder / "x.pth", protocol=protocol, legacy=form.startswith("legacy")
    )


@pytest.mark.parametrize("form", ["zip 2", "zip 3", "zip 5", "legacy"])
@pytest.mark.parametrize("name", ARRAYS)
def test_a_tensor_saved_as_an_array(tmp_path: Path, name: str, form: str) -> None:
    checkpoint = open_checkpoint(saved(name, tmp_path, form))
    tensor = checkpoint.tensors[0]
    array = ARRAYS[name]
    assert tensor.dtype == "bfloat16"
    assert tensor.shape == array.shape
    with open_values(checkpoint) as reader:
        found = reader.read(tensor)
        # What torch would round to the tensor's dtype is shown as it is in the file.
        assert np.array_equal(found, array)
        assert found.dtype == array.dtype.newbyteorder("=")
        blocks = [block.copy() for block in reader.blocks(tensor)]
        assert sum(block.size for block in blocks) == array.size
        if array.ndim == 2:
            assert np.array_equal(reader.read(tensor, [slice(1, 2)]), array[1:2])
            assert np.array_equal(reader.read(tensor, [slice(None, None, -50), 2]), array[::-50, 2])
        reader.check_unchanged(tensor)


def test_an_array_in_a_compressed_pickle_says_why_not(tmp_path: Path) -> None:
    path = saved("large", tmp_path, "zip 3")
    packed = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    path.write_bytes(packed.getvalue())
    checkpoint = open_checkpoint(path)
    with open_values(checkpoint) as reader, pytest.raises(NoValues) as caught:
        reader.read(checkpoint.tensors[0])
    assert "numpy array" in caught.value.message


def test_an_array_of_texts_says_why_not(tmp_path: Path) -> None:
    made = [OnDevice(np.array(["a", "bc"]), torch.float32)]
    checkpoint = open_checkpoint(torch_files.write(made, tmp_path / "x.pth"))
    with open_values(checkpoint) as reader, pytest.raises(NoValues) as caught:
        reader.read(checkpoint.tensors[0])
    assert "<U2" in caught.value.message


def test_a_text_that_is_no_bytes(tmp_path: Path) -> None:
    """A character beyond latin-1 in the middle of what stands for the bytes."""
    path = saved("large", tmp_path, "zip 2")
    data = bytearray(path.read_bytes())
    place = data.find(b"\xc3", len(data) // 2)
    data[place : place + 2] = "\u0400".encode()
    path.write_bytes(data)
    checkpoint = open_checkpoint(path)
    with open_values(checkpoint) as reader, pytest.raises(NoValues):
        reader.read(checkpoint.tensors[0])
