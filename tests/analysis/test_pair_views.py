"""What is shown of one pair, against torch and numpy on the whole tensors."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.analysis.decimate import decimating
from inspector_app.analysis.difference_reader import DifferenceReader
from inspector_app.analysis.pair_views import (
    MOST_POINTS,
    Difference,
    PairHistograms,
    Points,
    first_differences,
    histograms,
    scatter,
)
from inspector_app.analysis.slices import parse, plane
from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.model import TensorInfo
from inspector_app.checkpoint.values import ValueReader, open_values
from tests.checkpoint import torch_files


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("views")


@contextmanager
def opened(
    folder: Path, a: Any, b: Any
) -> Iterator[tuple[tuple[ValueReader, ValueReader], TensorInfo, TensorInfo]]:
    one = open_checkpoint(torch_files.write({"x": a}, folder / "a.pth"))
    two = open_checkpoint(torch_files.write({"x": b}, folder / "b.pth"))
    with open_values(one) as first, open_values(two) as second:
        yield (first, second), one.tensors[0], two.tensors[0]


def last(steps: Iterator[Any]) -> Any:
    """The only result; whatever comes before it is None."""
    found = [step for step in steps if step is not None]
    assert len(found) == 1
    return found[0]


def histograms_of(folder: Path, a: torch.Tensor, b: torch.Tensor) -> PairHistograms:
    with opened(folder, a, b) as (readers, one, two):
        return last(histograms(readers, one, two))


def points_of(folder: Path, a: torch.Tensor, b: torch.Tensor, most: int = MOST_POINTS) -> Points:
    with opened(folder, a, b) as (readers, one, two):
        return last(scatter(readers, one, two, most))


def differences_of(
    folder: Path, a: torch.Tensor, b: torch.Tensor, **options: int
) -> list[Difference]:
    with opened(folder, a, b) as (readers, one, two):
        return last(first_differences(readers, one, two, **options))


# --- histograms


@pytest.mark.parametrize(
    "dtype", ["float32", "float64", "bfloat16", "float16", "float8_e5m2", "int8", "int64", "bool"]
)
def test_histograms_have_common_edges(folder: Path, dtype: str) -> None:
    kind = getattr(torch, dtype)
    wide = torch.randn(30_000) * 20
    a, b = wide.to(kind), (torch.randn(70, 90) * 3 + 40).to(kind)
    found = histograms_of(folder, a, b)
    for tensor, counts in ((a, found.a), (b, found.b)):
        values = tensor.to(torch.float64).flatten()
        values = values[values.isfinite()].numpy()
        assert counts.sum() == len(values)
        right = np.histogram(values, bins=found.edges)[0]
        assert np.array_equal(counts, right)
    if dtype not in ("int8", "int64", "bool"):
        ends = torch.cat([a.double().flatten(), b.double().flatten()])
        ends = ends[ends.isfinite()]
        assert found.edges[0] == float(ends.min())
        assert found.edges[-1] == float(ends.max())


def test_what_is_not_finite_is_counted_beside(folder: Path) -> None:
    for dtype in (torch.float32, torch.bfloat16, torch.float64):
        a = torch.tensor([1.0, 2.0, math.nan, math.inf], dtype=dtype)
        b = torch.tensor([1.5, -math.inf], dtype=dtype).repeat(2)
        found = histograms_of(folder, a, b)
        assert (found.a.sum(), found.a_others, found.b.sum(), found.b_others) == (2, 2, 2, 2)
        nothing = histograms_of(folder, a[2:], b[1:2])
        assert (len(nothing.edges), nothing.a_others, nothing.b_others) == (0, 2, 1)


def test_histograms_of_expanded_and_other_shapes(folder: Path) -> None:
    found = histograms_of(folder, torch.arange(3.0).expand(5, 3), torch.full((2, 2), 7.0))
    assert (found.a.sum(), found.b.sum()) == (15, 4)
    constant = histograms_of(folder, torch.ones(4), torch.ones(3))
    assert constant.a.tolist() == [4]
    assert constant.b.tolist() == [3]


# --- points


def test_all_points_of_a_small_pair(folder: Path) -> None:
    a = torch.randn(40, 50)
    b = (a * 2).t().contiguous().t()
    found = points_of(folder, a, b)
    assert found.of == len(found.a) == 2000
    assert np.array_equal(np.sort(found.a), np.sort(a.double().numpy().ravel()))
    assert np.array_equal(found.b, found.a * 2)


@pytest.mark.parametrize("shape", [(1_000_000,), (1000, 900), (3, 200_000), (150_000, 2), (7,) * 6])
def test_a_sample_is_even_and_the_same_again(folder: Path, shape: tuple[int, ...]) -> None:
    count = math.prod(shape)
    a = torch.arange(count, dtype=torch.int32).reshape(shape)
    b = (a * 3).transpose(0, -1).contiguous().transpose(0, -1)
    found = points_of(folder, a, b)
    assert found.of == count
    assert 0.7 * MOST_POINTS <= len(found.a) <= MOST_POINTS
    assert np.array_equal(found.b, found.a * 3)
    # Each twentieth of the tensor has its share.
    shares = np.histogram(found.a, bins=20, range=(0, count))[0] / len(found.a)
    assert shares.min() > 0.03
    assert shares.max() < 0.07
    again = points_of(folder, a, b)
    assert np.array_equal(again.a, found.a)


def test_points_of_quantized_and_complex(folder: Path) -> None:
    with torch_files.prototypes():
        rows = torch.randn(300, 100)
        scales, zeros = torch.rand(300).double() + 0.01, torch.zeros(300).long()
        a = torch.quantize_per_channel(rows, scales, zeros, 0, torch.qint8)
        found = points_of(folder, a, a)
        values = set(a.dequantize().double().flatten().tolist())
    assert np.array_equal(found.a, found.b)
    assert set(found.a.tolist()) <= values
    number = torch.complex(torch.tensor([3.0]), torch.tensor([4.0]))
    assert points_of(folder, number, number * 2).b.tolist() == [10.0]


# --- the elements that differ


@given(st.integers(0, 40), st.integers(1, 30), st.booleans(), st.integers(0, 50))
def test_first_differences_come_in_row_major_order(
    folder: Path, differing: int, most: int, turned: bool, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    a = torch.randint(-9, 9, (11, 13, 3), generator=generator).to(torch.int16)
    b = a.clone()
    places = torch.randperm(a.numel(), generator=generator)[:differing]
    b.view(-1)[places] += 1
    right = [tuple(place) for place in (a != b).nonzero().tolist()]
    first = int((a != b).flatten().nonzero()[0]) if differing else 0
    if turned:
        b = b.transpose(0, 1).contiguous().transpose(0, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("inspector_app.analysis.pair_blocks.BLOCK_BYTES", 64)
        found = differences_of(folder, a, b, most=most, first=first)
    assert [each.place for each in found] == right[:most]
    for each in found:
        assert (each.a, each.b) == (int(a[each.place]), int(b[each.place]))


def test_bits_tell_apart_what_values_do_not(folder: Path) -> None:
    a = torch.tensor([0.0, math.nan, 1.0])
    b = torch.tensor([-0.0, math.nan, 1.0])
    b.view(torch.int32)[1] += 1
    found = differences_of(folder, a, b)
    assert [each.place for each in found] == [(0,), (1,)]
    assert (found[0].a_code, found[0].b_code) == (0, 0x80000000)
    assert found[1].b_code == found[1].a_code + 1


def test_differences_of_every_kind(folder: Path) -> None:
    big = torch.tensor([2**64 - 1, 7], dtype=torch.uint64)
    assert differences_of(folder, big, torch.tensor([2**64 - 2, 7], dtype=torch.uint64))[0][
        1:3
    ] == (
        2**64 - 1,
        2**64 - 2,
    )
    lazy = torch.tensor([1 + 2j, 3 + 0j])
    found = differences_of(folder, lazy, lazy.conj())
    # The bits of 0 and −0 are not the same.
    assert [(each.a, each.b) for each in found] == [(1 + 2j, 1 - 2j), (3 + 0j, 3 - 0j)]
    assert differences_of(folder, torch.tensor(True), torch.tensor(False))[0][:3] == (
        (),
        True,
        False,
    )
    assert differences_of(folder, torch.ones(3), torch.ones(3)) == []
    assert differences_of(folder, torch.empty(0), torch.empty(0)) == []


# --- the map


def test_the_map_of_differences(folder: Path) -> None:
    a = torch.randn(700, 300)
    b = a.clone()
    b[123, 45] -= 3
    b[600, 7] += 2
    with opened(folder, a, b) as (readers, one, two):
        reader = DifferenceReader(*readers, two)
        shown = plane(parse("", a.shape), a.shape)
        assert shown is not None
        *_, picture = decimating(reader, one, shown, 70, 30)
    assert picture is not None
    assert picture.done == 1
    right = (b.double() - a.double()).numpy().reshape(70, 10, 30, 10)
    assert np.array_equal(picture.least, right.min(axis=(1, 3)))
    assert np.array_equal(picture.most, right.max(axis=(1, 3)))
    assert picture.values[12, 4] == pytest.approx(-3)


def test_differences_of_what_is_not_finite_and_of_large_integers(folder: Path) -> None:
    nan, inf = math.nan, math.inf
    pairs = [
        (torch.tensor([nan, inf, inf, nan, 1.0]), torch.tensor([nan, inf, -inf, 1.0, 1.5])),
        (torch.tensor([2**62, -(2**63)]), torch.tensor([2**62 + 1, 2**63 - 1])),
        (torch.tensor([5], dtype=torch.uint64), torch.tensor([2], dtype=torch.uint64)),
        (torch.tensor([200], dtype=torch.uint8), torch.tensor([10], dtype=torch.uint8)),
        (torch.tensor([True]), torch.tensor([False])),
        (torch.tensor([1 + 1j]), torch.tensor([4 + 5j])),
        (torch.tensor([1.0]), torch.tensor([3], dtype=torch.int16)),
    ]
    right = [[0, 0, -inf, nan, 0.5], [1.0, float(2**64)], [-3], [-190], [-1], [5], [2]]
    for (a, b), expected in zip(pairs, right, strict=True):
        with opened(folder, a, b) as (readers, one, two):
            found = DifferenceReader(*readers, two).read(one)
        assert np.array_equal(found, expected, equal_nan=True)


def test_sparse_tensors_with_other_counts_have_no_map(folder: Path) -> None:
    with torch_files.prototypes():
        a = torch.eye(3).to_sparse()
        b = torch.ones(3, 3).to_sparse()
    other = pytest.raises(CheckpointError, match="other numbers of values")
    with opened(folder, a, b) as (readers, one, two):
        with other:
            DifferenceReader(*readers, two).elements(one)
        with other:
            list(scatter(readers, one, two))
        with other:
            list(first_differences(readers, one, two))
        assert last(histograms(readers, one, two)).a.tolist() == [3]
