"""Every figure against torch in float64, whatever the dtype, the layout and the way it is found."""

from __future__ import annotations

import itertools
import math
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from inspector_app.analysis import distribution, passes
from inspector_app.analysis.distribution import NEAR_ZERO, Distribution
from inspector_app.analysis.stats import TensorStats, measure, measuring
from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.values import open_values
from tests.checkpoint import torch_files

FLOATS = ("float64", "float32", "float16", "bfloat16")
SMALL_FLOATS = ("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz")
INTEGERS = ("int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8", "bool")
COMPLEX = ("complex128", "complex64", "complex32")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stats")


@pytest.fixture(params=["sorted", "counted"])
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    """Few values are sorted; the ways for many are held to the same figures."""
    with force(request.param):
        yield request.param


def force(way: str) -> Any:
    patch = pytest.MonkeyPatch()
    patch.setattr(passes, "SORTED_AT_MOST", (1 << 40) if way == "sorted" else -1)
    if way == "estimated":
        patch.setattr(passes, "EXACT_BYTES", 0)
    if way == "small blocks":
        patch.setattr("inspector_app.checkpoint.values.BLOCK_BYTES", 1 << 6)
    return _Undo(patch)


class _Undo:
    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        self._patch.undo()


def statistics_of(folder: Path, value: Any, exact: bool = False) -> list[TensorStats]:
    """What is found of the tensors in `value`, in their order."""
    path = torch_files.write(value, folder / "x.pth")
    return statistics_in(path, exact)


def statistics_in(path: Path, exact: bool = False) -> list[TensorStats]:
    checkpoint = open_checkpoint(path)
    with open_values(checkpoint) as reader:
        steps = measuring(reader, checkpoint.tensors, exact=exact)
        found = [result for progress in steps for result in progress.finished]
    return sorted(found, key=lambda result: result.number)


def float64(tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.detach()
    with torch_files.prototypes():
        if tensor.is_quantized:
            tensor = tensor.dequantize()
        if tensor.dtype == torch.complex32:
            tensor = tensor.to(torch.complex64)
        if tensor.is_complex():
            wide = tensor.resolve_conj().to(torch.complex128)
            magnitudes = wide.abs()
            magnitudes[wide.isnan()] = math.nan
            return magnitudes.reshape(-1)
        if tensor.dtype in (torch.uint64, torch.uint32, torch.uint16):
            return torch.from_numpy(tensor.numpy().astype(np.float64)).reshape(-1)
        return tensor.resolve_neg().to(torch.float64).reshape(-1)


def check(found: Distribution, tensor: torch.Tensor) -> None:
    """Hold every figure against torch's own in float64."""
    values = float64(tensor)
    finite = values[values.isfinite()]
    assert found.count == len(finite) == int(np.sum(found.counts))
    assert found.nans == int(values.isnan().sum())
    assert found.infinities == int(values.isinf().sum())
    assert found.zeros == int((finite == 0).sum())
    assert found.near_zeros == int((finite.abs() < NEAR_ZERO).sum())
    if not len(finite):
        assert math.isnan(found.mean)
        assert math.isnan(found.least)
        assert found.l2 == found.l1 == 0
        assert len(found.counts) == len(found.edges) == 0
        return
    if tensor.dtype.is_complex:
        # hypot is rounded differently here and there.
        assert found.least == pytest.approx(float(finite.min()), rel=1e-15)
        assert found.most == pytest.approx(float(finite.max()), rel=1e-15)
    elif tensor.dtype.is_floating_point or tensor.is_quantized:
        assert found.least == float(finite.min())
        assert found.most == float(finite.max())
    else:
        exact = tensor.detach().numpy()
        assert (found.least, found.most) == (int(exact.min()), int(exact.max()))
    size = float(finite.abs().max())
    if 1e-140 < size < 1e140:
        assert found.mean == pytest.approx(float(finite.mean()), rel=1e-6, abs=1e-12 * size)
        assert found.l2 == pytest.approx(float(finite.norm()), rel=1e-6)
        assert found.l1 == pytest.approx(float(finite.abs().sum()), rel=1e-6)
        if len(finite) > 1:
            # torch.var of numbers close together far from 0 is no better than this itself.
            expected = float(finite.std())
            assert found.std == pytest.approx(expected, rel=1e-6, abs=1e-9 * size)
    if len(finite) == 1:
        assert math.isnan(found.std)
    quantiles = torch.tensor(list(found.quantiles), dtype=torch.float64)
    if size < 1e300:
        right = torch.quantile(finite, quantiles)
        around = [
            torch.quantile(finite, quantiles, interpolation=way).abs()
            for way in ("lower", "higher")
        ]
        bound = found.quantile_error * torch.maximum(*around) + 1e-12 * size + 2.0**-132
        assert (
            torch.tensor(list(found.quantiles.values()), dtype=torch.float64).sub(right).abs()
            <= bound
        ).all()
    assert np.all(np.diff(found.edges) >= 0)
    if tensor.dtype.is_complex:
        return
    counts, _ = np.histogram(finite.numpy(), found.edges)
    assert counts.tolist() == found.counts.tolist()
    assert found.edges[0] <= float(finite.min())
    assert found.edges[-1] >= float(finite.max())


def random_bits(dtype: str, count: int, seed: int) -> torch.Tensor:
    """All patterns alike: NaN, infinities, subnormals and both zeros among them."""
    kind = getattr(torch, dtype)
    if not count:
        with torch_files.prototypes():
            return torch.empty(0, dtype=kind)
    generator = np.random.default_rng(seed)
    raw = generator.integers(0, 256, count * kind.itemsize, dtype=np.uint8)
    if dtype == "bool":
        raw %= 2
    return torch.from_numpy(raw).view(kind)


@pytest.mark.parametrize("dtype", [*FLOATS, *SMALL_FLOATS, *INTEGERS, *COMPLEX])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 1000, 70_001])
def test_any_bits(folder: Path, way: str, dtype: str, count: int) -> None:
    made = random_bits(dtype, count, count)
    (found,) = statistics_of(folder, [made])
    check(found.values, made)
    assert found.values.exact
    assert found.error is None


@pytest.mark.parametrize("dtype", FLOATS)
def test_weights(folder: Path, way: str, dtype: str) -> None:
    torch.manual_seed(1)
    made = [
        (torch.randn(300, 301) * 0.02).to(getattr(torch, dtype)),
        torch.rand(50_000).to(getattr(torch, dtype)) ** 8,
        (1 + 1e-4 * torch.randn(70_000, dtype=torch.float64)).to(getattr(torch, dtype)),
        torch.zeros(40_000, dtype=getattr(torch, dtype)),
        torch.full((33_000,), -1.5, dtype=getattr(torch, dtype)),
        (torch.rand(50_000) < 0.1).to(getattr(torch, dtype)),
    ]
    for found, tensor in zip(statistics_of(folder, made), made, strict=True):
        check(found.values, tensor)
        assert found.values.exact
    constant = [found.values.constant for found in statistics_of(folder, made)]
    # 8 significant bits do not tell 1 from 1.0001.
    assert constant == [False, False, dtype == "bfloat16", True, True, False]
    all_zero = [found.values.all_zero for found in statistics_of(folder, made)]
    assert all_zero == [False, False, False, True, False, False]


def test_large_float32_say_how_far_quantiles_may_be_off(folder: Path) -> None:
    torch.manual_seed(1)
    made = [
        torch.randn(300_000) * 0.02,
        torch.rand(300_000),
        -torch.rand(300_000),
        torch.cat([torch.zeros(200_000), torch.randn(100_000)]),
        random_bits("float32", 100_000, 3),
        torch.full((100_000,), 0.1),
        1 + 1e-4 * torch.randn(100_000),
    ]
    with force("estimated"):
        estimated = statistics_of(folder, made)
        exact = statistics_of(folder, made, exact=True)
    for rough, fine, tensor in zip(estimated, exact, made, strict=True):
        check(rough.values, tensor)
        check(fine.values, tensor)
        assert fine.values.exact
    assert [found.values.exact for found in estimated] == [False] * 3 + [False] + [
        False,
        True,
        True,
    ]
    normal = estimated[0].values
    assert normal.quantile_error == 2**-7
    # Within the upper half it is interpolated: far closer than what is promised.
    assert normal.quantiles[0.75] == pytest.approx(exact[0].values.quantiles[0.75], rel=1e-3)
    widths = np.diff(normal.edges)
    assert widths.max() < 1.5 * widths.mean()


@pytest.mark.parametrize("way_", ["counted", "sorted"])
def test_moments_of_numbers_close_together_far_from_zero(folder: Path, way_: str) -> None:
    made = [
        1e8 + torch.rand(60_000, dtype=torch.float64),
        torch.arange(60_000, dtype=torch.int64) + 10**15,
        (1000 + torch.rand(60_000)).to(torch.float32),
        torch.cat([torch.full((4096,), 1e6), torch.randn(60_000)]),
        torch.cat([torch.tensor([1e7]), torch.randn(60_000)]),
    ]
    with force(way_):
        for found, tensor in zip(statistics_of(folder, made), made, strict=True):
            expected = np.std(tensor.numpy().astype(np.longdouble), ddof=1)
            assert found.values.std == pytest.approx(float(expected), rel=1e-9)


@pytest.mark.parametrize("size", [1e300, 1e-300, 5e-324, 1.7e308])
def test_numbers_whose_squares_leave_the_range(folder: Path, way: str, size: float) -> None:
    made = torch.tensor([size, -size, size / 2, 0.0] * 50, dtype=torch.float64)
    (found,) = statistics_of(folder, [made])
    exact = made.numpy().astype(np.longdouble)
    assert found.values.l2 == pytest.approx(float(np.sqrt((exact**2).sum())), rel=1e-9)
    assert found.values.std == pytest.approx(float(exact.std(ddof=1)), rel=1e-9)
    assert found.values.mean == pytest.approx(float(exact.mean()), rel=1e-9)
    assert math.isfinite(found.values.quantiles[0.25])
    assert found.values.counts.sum() == 200
    assert np.all(np.isfinite(found.values.edges))


def test_large_integers_keep_their_ends(folder: Path, way: str) -> None:
    made = [
        torch.tensor([2**63 - 1, -(2**63), 5], dtype=torch.int64),
        torch.tensor([2**64 - 1, 3], dtype=torch.uint64),
    ]
    found = statistics_of(folder, made)
    assert (found[0].values.least, found[0].values.most) == (-(2**63), 2**63 - 1)
    assert (found[1].values.least, found[1].values.most) == (3, 2**64 - 1)
    for result, tensor in zip(found, made, strict=True):
        check(result.values, tensor)


@pytest.mark.parametrize("ends", [(0, 1), (0, 5), (-128, 127), (0, 63), (0, 64), (-1000, 100_000)])
def test_integer_bins_have_equally_many_each(ends: tuple[int, int]) -> None:
    edges = distribution.histogram_edges(*ends, integers=True)
    values = np.arange(ends[0], ends[1] + 1)
    counts, _ = np.histogram(values, edges)
    assert counts.sum() == len(values)
    assert len(set(counts[:-1].tolist())) <= 1
    assert len(counts) <= distribution.BINS
    assert edges[0] == ends[0] - 0.5


LAYOUTS = {
    "views": torch_files.views,
    "bits": torch_files.bits,
    "quantized": torch_files.quantized,
    "parameters": torch_files.parameters,
    "optimizer": torch_files.optimizer_state,
}


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("way_", ["sorted", "counted", "small blocks", "estimated"])
def test_layouts(folder: Path, name: str, way_: str) -> None:
    with torch_files.prototypes():
        made = LAYOUTS[name]()
    with force(way_):
        found = statistics_of(folder, made)
    for result in found:
        value: Any = made
        for key in result.tensor.path:
            value = value[key]
        check(result.values, value)
        if value.is_quantized and result.tensor.dtype in ("qint8", "quint8", "qint32"):
            check(result.raw, value.int_repr())
        assert (result.raw is not None) == value.is_quantized


def test_stored_values_of_sparse_tensors(folder: Path, way: str) -> None:
    made = torch_files.sparse()
    for result in statistics_of(folder, made):
        tensor = made[result.tensor.path[0]]
        stored = tensor._values() if tensor.layout is torch.sparse_coo else tensor.values()
        check(result.values, stored)


def test_packed_halves_are_counted_each(folder: Path, way: str) -> None:
    with torch_files.prototypes():
        made = torch.tensor([[0x21, 0xF7]], dtype=torch.uint8).view(torch.float4_e2m1fn_x2)
        (found,) = statistics_of(folder, [made])
    assert (found.values.count, found.values.least, found.values.most) == (4, -6, 6)


VALUES = st.one_of(
    st.floats(width=32),
    st.sampled_from([0.0, -0.0, math.inf, -math.inf, math.nan, 1e-45, NEAR_ZERO, -NEAR_ZERO]),
    st.floats(-1, 1, width=16),
)


@given(
    st.lists(VALUES, max_size=200),
    st.sampled_from(["float64", "float32", "bfloat16", "float16"]),
    st.sampled_from(["sorted", "counted", "small blocks", "estimated"]),
)
@example([0.0, -0.0], "float32", "estimated")
@example([-0.0, 1e-45, 3.4e38, -3.4e38], "float32", "estimated")
@example([1.0] * 100 + [math.nan], "float32", "small blocks")
def test_any_floats(folder: Path, values: list[float], dtype: str, way_: str) -> None:
    made = torch.tensor(values, dtype=torch.float64).to(getattr(torch, dtype))
    with force(way_):
        (found,) = statistics_of(folder, [made])
    check(found.values, made)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=50), st.booleans())
def test_any_integers(folder: Path, values: list[int], few: bool) -> None:
    made = torch.tensor(values, dtype=torch.int64)
    with force("sorted" if few else "counted"):
        (found,) = statistics_of(folder, [made])
    check(found.values, made)


@given(st.integers(1, 50), st.integers(0, 10**6), st.integers(1, 10**12))
def test_ranks_of_repeated_values(count: int, seed: int, repeats: int) -> None:
    """As if each value stood there as often as it occurs."""
    repeats = repeats % 7 + 1
    values = np.sort(np.random.default_rng(seed).standard_normal(count))
    found = distribution.of_sorted(values, repeats=repeats)
    expected = np.quantile(np.repeat(values, repeats), list(distribution.QUANTILES))
    assert list(found.quantiles.values()) == pytest.approx(expected.tolist(), abs=1e-12)
    assert found.counts.sum() == found.count == count * repeats


def test_an_expanded_tensor_of_any_size_is_at_once(folder: Path) -> None:
    made = torch.tensor([1.0, 3.0]).reshape(2, 1).expand(2, 1 << 60)
    (found,) = statistics_of(folder, [made])
    assert found.values.count == 1 << 61 == sum(found.values.counts)
    assert found.values.mean == 2
    assert found.values.std == pytest.approx(1)
    assert found.values.quantiles[0.25] == 1


# --- the work itself


def test_tied_tensors_are_read_once(folder: Path) -> None:
    weight = torch.randn(100_000)
    path = torch_files.write(
        {"a": weight, "b": weight, "other view": weight[1:], "c": weight}, folder / "tied.pth"
    )
    checkpoint = open_checkpoint(path)
    with open_values(checkpoint) as reader:
        steps = list(measuring(reader, checkpoint.tensors))
    found = {result.tensor.name: result for step in steps for result in step.finished}
    assert found["a"].values is found["b"].values is found["c"].values
    assert found["other view"].values.count == 99_999
    assert steps[-1].done == steps[-1].total == 4 * (100_000 + 99_999)


def test_an_error_of_one_tensor_leaves_the_others(folder: Path) -> None:
    made = {"meta": torch.empty(3, device="meta"), "a": torch.ones(3), "b": torch.rand(50_000)}
    found = statistics_of(folder, made)
    assert found[0].values is None
    assert found[0].error.code == "no-values"
    assert [result.values.count for result in found[1:]] == [3, 50_000]


def test_a_file_that_is_cut_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    torch.save({"a": torch.rand(8_000_000), "b": torch.rand(8_000_000)}, path)
    checkpoint = open_checkpoint(path)
    with open_values(checkpoint) as reader:
        reader.elements(checkpoint.tensors[0])
        os.truncate(path, 40_000_000)
        found = [r for step in measuring(reader, checkpoint.tensors) for r in step.finished]
    assert {result.error.code for result in found} == {"file-changed"}


def test_closing_ends_the_threads(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    torch.save([torch.zeros(20_000_000, dtype=torch.complex64)], path)
    checkpoint = open_checkpoint(path)
    before = set(threading.enumerate())
    with open_values(checkpoint) as reader:
        steps = measuring(reader, checkpoint.tensors, wait=0)
        first = next(steps)
        assert not first.finished
        assert set(threading.enumerate()) - before
        steps.close()
        assert set(threading.enumerate()) == before


def test_a_fault_in_a_thread_reaches_the_caller(folder: Path) -> None:
    def fault(*_: object) -> None:
        raise ZeroDivisionError("made up")

    path = torch_files.write([torch.rand(10)], folder / "fault.pth")
    checkpoint = open_checkpoint(path)
    with open_values(checkpoint) as reader, pytest.MonkeyPatch.context() as patch:
        patch.setattr("inspector_app.analysis.stats.first_pass", fault)
        with pytest.raises(ZeroDivisionError):
            list(measuring(reader, checkpoint.tensors))


def test_many_tensors_on_many_threads(folder: Path) -> None:
    made = {str(n): torch.full((n % 40 + 1,), float(n)) for n in range(400)}
    path = torch_files.write(made, folder / "many.pth")
    checkpoint = open_checkpoint(path)
    with open_values(checkpoint) as reader:
        steps = measuring(reader, checkpoint.tensors, threads=8)
        found = list(itertools.chain.from_iterable(step.finished for step in steps))
    assert sorted(result.number for result in found) == list(range(400))
    assert all(result.values.most == float(str(result.tensor.key)) for result in found)


def test_one_tensor(folder: Path) -> None:
    path = torch_files.write([torch.arange(5.0)], folder / "one.pth")
    checkpoint = open_checkpoint(path)
    with open_values(checkpoint) as reader:
        assert measure(reader, checkpoint.tensors[0]).values.mean == 2


def test_samples(samples: Path) -> None:
    for path in sorted(samples.glob("*.pth")):
        loaded = torch.load(path, weights_only=True)
        for result in statistics_in(path):
            value: Any = loaded
            for key in result.tensor.path:
                value = value[key]
            check(result.values, value)


def test_no_statistics_without_a_wait_between(folder: Path) -> None:
    """A step with `wait=0` returns at once, whatever the threads do."""
    path = torch_files.write([torch.rand(3_000_000)], folder / "steps.pth")
    checkpoint = open_checkpoint(path)
    with open_values(checkpoint) as reader:
        steps = measuring(reader, checkpoint.tensors, wait=0)
        for progress in steps:
            assert 0 <= progress.done <= progress.total
            time.sleep(0.001)
