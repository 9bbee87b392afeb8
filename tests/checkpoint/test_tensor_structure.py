"""Parts of sparse, nested and quantized tensors whose shapes contradict each other."""

from __future__ import annotations

from typing import Any

import pytest

from inspector_app.checkpoint.model import TensorInfo
from inspector_app.checkpoint.tensor_structure import (
    compressed_fault,
    coo_fault,
    nested_fault,
    per_tensor_oddities,
    too_many_elements,
)


def tensor(*shape: int, dtype: str = "int64") -> TensorInfo:
    return TensorInfo("", dtype, shape, None, None, None)


@pytest.mark.parametrize(
    ("indices", "values", "shape", "words"),
    [
        (tensor(2, 3), tensor(3), (5, 5), ""),
        (tensor(1, 3), tensor(3, 5), (9, 5), ""),
        (tensor(0, 1), tensor(1), (), ""),
        (tensor(2, 3, dtype="float32"), tensor(3), (5, 5), "are float32"),
        (tensor(6), tensor(3), (5, 5), "1 dimensions instead of 2"),
        (tensor(3, 3), tensor(3), (5, 5), "for 3 dimensions and it has 2"),
        (tensor(2, 3), tensor(4), (5, 5), "3 indices and values of shape 4"),
        (tensor(2, 3), tensor(), (5, 5), "values of shape ()"),
        (tensor(1, 3), tensor(3, 4), (9, 5), "3 × 4, which does not fit"),
    ],
)
def test_coo(indices: Any, values: Any, shape: tuple[int, ...], words: str) -> None:
    fault = coo_fault(indices, values, shape)
    assert words in fault
    assert bool(words) == bool(fault)


@pytest.mark.parametrize(
    ("layout", "outer", "inner", "values", "shape", "words"),
    [
        ("sparse_csr", (4,), (6,), (6,), (3, 9), ""),
        ("sparse_csc", (10,), (6,), (6,), (3, 9), ""),
        ("sparse_csr", (2, 4), (2, 6), (2, 6), (2, 3, 9), ""),
        ("sparse_csr", (4,), (6,), (6, 7), (3, 9, 7), ""),
        ("sparse_bsr", (3,), (5,), (5, 2, 3), (4, 9), ""),
        ("sparse_bsc", (4,), (5,), (5, 2, 3), (4, 9), ""),
        ("sparse_csr", (10,), (6,), (6,), (3, 9), "10 compressed indices instead of 4"),
        ("sparse_csr", (4,), (6,), (5,), (3, 9), "6 plain indices and 5 values"),
        ("sparse_csr", (4,), (1, 6), (6,), (3, 9), "same number of dimensions"),
        ("sparse_csr", (), (), (6,), (3, 9), "same number of dimensions"),
        ("sparse_csr", (4,), (6,), (6,), (3,), "too few"),
        ("sparse_csr", (2, 4), (2, 6), (3, 6), (2, 3, 9), "batch dimensions"),
        ("sparse_csr", (4,), (6,), (6, 7), (3, 9), "which does not fit"),
        ("sparse_bsr", (3,), (5,), (5, 2, 4), (4, 9), "do not divide"),
        ("sparse_bsr", (3,), (5,), (5, 0, 3), (4, 9), "do not divide"),
        ("sparse_bsr", (3,), (5,), (5, 2), (4, 9), "too few"),
    ],
)
def test_compressed(
    layout: str,
    outer: tuple[int, ...],
    inner: tuple[int, ...],
    values: tuple[int, ...],
    shape: tuple[int, ...],
    words: str,
) -> None:
    fault = compressed_fault(layout, tensor(*outer), tensor(*inner), tensor(*values), shape)
    assert words in fault
    assert bool(words) == bool(fault)


def test_indices_of_two_dtypes() -> None:
    parts = tensor(4), tensor(6, dtype="int32"), tensor(6)
    assert "int64 and int32" in compressed_fault("sparse_csr", *parts, (3, 9))


def test_nested() -> None:
    assert nested_fault(tensor(2, 3), tensor(2, 3), tensor(2)) == ""
    assert nested_fault(tensor(2, 3), None, None) == ""
    assert "same shape" in nested_fault(tensor(2, 3), tensor(3, 2), tensor(2))
    assert "3 storage_offsets for 2" in nested_fault(tensor(2, 3), tensor(2, 3), tensor(3))
    assert "float32" in nested_fault(tensor(2, dtype="float32"), None, None)


@pytest.mark.parametrize(
    ("dtype", "scale", "zero_point", "count"),
    [
        ("qint8", 0.5, -128, 0),
        ("quint8", 1e-300, 255, 0),
        ("quint4x2", 0.5, 15, 0),
        ("qint8", 0.0, 0, 1),
        ("qint8", float("nan"), 128, 2),
        ("qint8", float("-inf"), 0, 1),
        ("quint8", 0.5, -1, 1),
        ("quint2x4", 0.5, 4, 1),
        ("qint32", 0.5, 1 << 40, 1),
        ("float32", 0.5, 0, 1),
    ],
)
def test_scale_and_zero_point(dtype: str, scale: float, zero_point: int, count: int) -> None:
    assert len(list(per_tensor_oddities(dtype, scale, zero_point))) == count


def test_more_elements_than_64_bits_count() -> None:
    assert too_many_elements((1 << 62, 2))
    assert not too_many_elements((1 << 62, 1))
    assert not too_many_elements(())
