"""Statistics of what is rare: scalars and subnormals of every dtype, other byte orders, packed
elements, values that stand in the file in another form, views with wide gaps.
"""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from inspector_app.analysis.distribution import Distribution
from tests.analysis.test_stats import (
    COMPLEX,
    FLOATS,
    INTEGERS,
    SMALL_FLOATS,
    check,
    force,
    random_bits,
    statistics_in,
    statistics_of,
)
from tests.checkpoint import torch_files
from tests.checkpoint.test_value_forms import ARRAYS, OnDevice, made_of

WAYS = ("sorted", "counted", "tables", "small blocks", "estimated")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("forms")


def check_array(found: Distribution, values: np.ndarray) -> None:
    """Against the same numbers as a tensor of float64, or of complex128."""
    wide = np.complex128 if values.dtype.kind == "c" else np.float64
    with np.errstate(invalid="ignore"):
        check(found, torch.from_numpy(np.array(values.astype(wide))))


@pytest.mark.parametrize("dtype", [*FLOATS, *SMALL_FLOATS, *INTEGERS, *COMPLEX])
@pytest.mark.parametrize("way", WAYS)
def test_scalars(folder: Path, dtype: str, way: str) -> None:
    made = [random_bits(dtype, 1, seed).reshape(()) for seed in range(4)]
    with force(way):
        found = statistics_of(folder, made)
    for result, tensor in zip(found, made, strict=True):
        check(result.values, tensor)
        finite = result.values.count
        assert math.isnan(result.values.std)
        assert sum(result.values.counts) == finite
        assert result.values.constant == bool(finite)


@pytest.mark.parametrize("dtype", [*FLOATS, *SMALL_FLOATS])
@pytest.mark.parametrize("way", WAYS)
def test_subnormals(folder: Path, dtype: str, way: str) -> None:
    kind = getattr(torch, dtype)
    size = kind.itemsize
    # The least bits of both signs: all of them below the smallest normal number.
    codes = [code | sign << (8 * size - 1) for code in (1, 2, 3) for sign in (0, 1)]
    raw = b"".join(code.to_bytes(size, "little") for code in codes * 30)
    made = torch.frombuffer(bytearray(raw), dtype=torch.uint8).view(kind)
    assert 0 < made.double().abs().min() < torch.finfo(kind).smallest_normal
    with force(way):
        (found,) = statistics_of(folder, [made])
    check(found.values, made)
    assert found.values.zeros == 0
    assert not found.values.constant


@pytest.mark.parametrize("way", WAYS)
def test_powers_of_two_without_a_zero(folder: Path, way: str) -> None:
    """float8_e8m0fnu: 2**-127 to 2**127, and one NaN."""
    raw = torch.arange(256, dtype=torch.uint8).repeat(3)
    with torch_files.prototypes():
        made = raw.view(torch.float8_e8m0fnu)
        with force(way):
            (found,) = statistics_of(folder, [made])
        values = np.exp2(np.arange(255.0) - 127).repeat(3)
    assert (found.values.nans, found.values.zeros) == (3, 0)
    assert (found.values.least, found.values.most) == (2.0**-127, 2.0**127)
    assert found.values.count == sum(found.values.counts) == len(values)
    assert found.values.mean == pytest.approx(values.mean(), rel=1e-6)


@pytest.mark.parametrize("dtype", torch_files.TYPED)
@pytest.mark.parametrize("way", ["sorted", "counted", "tables"])
def test_big_endian_files(folder: Path, dtype: str, way: str) -> None:
    path = torch_files.write([random_bits(dtype, 5_000, 1)], folder / "big.pth", byteorder="big")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (loaded,) = torch.load(path, weights_only=True)
    with force(way):
        (found,) = statistics_in(path)
    if dtype == "bool":
        assert found.values.count == 5_000
        return
    check(found.values, loaded)


@pytest.mark.parametrize("element_type", [21, 22, 25, 26], ids=["u4", "i4", "u2", "i2"])
@pytest.mark.parametrize("way", WAYS)
def test_packed_integers_of_onnx(folder: Path, element_type: int, way: str) -> None:
    values = made_of(element_type, 40_001)
    proto = numpy_helper.from_array(values, "w")
    path = folder / "packed.onnx"
    graph = helper.make_graph([], "g", [], [], [proto])
    path.write_bytes(helper.make_model(graph).SerializeToString())
    with force(way):
        (found,) = statistics_in(path)
    check_array(found.values, values)


@pytest.mark.parametrize("way", ["sorted", "counted"])
@pytest.mark.parametrize("kind", [TensorProto.FLOAT16, TensorProto.INT64, TensorProto.UINT8])
def test_typed_fields_of_onnx(folder: Path, kind: int, way: str) -> None:
    values = made_of(kind, 70_001)
    proto = TensorProto(name="w", data_type=kind, dims=values.shape)
    codes = values.view(np.uint16) if kind == TensorProto.FLOAT16 else values
    field = proto.int64_data if kind == TensorProto.INT64 else proto.int32_data
    field.extend(codes.tolist())
    path = folder / "typed.onnx"
    graph = helper.make_graph([], "g", [], [], [proto])
    path.write_bytes(helper.make_model(graph).SerializeToString())
    with force(way):
        (found,) = statistics_in(path)
    if kind == TensorProto.FLOAT16:
        check(found.values, torch.from_numpy(values.copy()))
    else:
        check(found.values, torch.from_numpy(values.astype(np.int64)))


@pytest.mark.parametrize("name", ARRAYS)
def test_tensors_saved_as_arrays(folder: Path, name: str) -> None:
    path = torch_files.write([OnDevice(ARRAYS[name], torch.float32)], folder / "array.pth")
    (found,) = statistics_in(path)
    assert found.error is None
    check_array(found.values, ARRAYS[name])


@pytest.mark.parametrize("way", WAYS)
def test_views_with_gaps_that_are_skipped(folder: Path, way: str) -> None:
    torch.manual_seed(2)
    wide = torch.randn(40, 50_000)
    made = [
        wide[:, ::25_000],
        wide[:, 10:13],
        wide.t()[20_000:20_005],
        wide[::7, 100:],
        wide[5],
        wide[:, 3],
    ]
    with force(way):
        found = statistics_of(folder, made)
    for result, view in zip(found, made, strict=True):
        check(result.values, view)


def test_nothing_but_nan_and_infinities(folder: Path) -> None:
    made = [
        torch.full((70_000,), value, dtype=getattr(torch, dtype))
        for dtype in FLOATS
        for value in (math.nan, math.inf, -math.inf)
    ]
    for result, tensor in zip(statistics_of(folder, made), made, strict=True):
        check(result.values, tensor)
        assert sum(result.values.counts) == 0
