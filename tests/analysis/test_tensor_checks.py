"""Parts of sparse, nested and quantized tensors that contradict each other are named."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from inspector_app.analysis.tensor_checks import checking
from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.errors import Problem


def problems(path: Path) -> list[Problem]:
    checkpoint = open_checkpoint(path)
    assert checkpoint.problems == []
    steps = checking(checkpoint)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return list(end.value)


def sparse(layout: str) -> torch.Tensor:
    dense = torch.tensor([[0.0, 2, 0, 0], [3, 0, 0, 1], [0, 0, 0, 4], [0, 5, 6, 0]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if layout == "coo":
            return dense.to_sparse().coalesce()
        if layout in ("bsr", "bsc"):
            return getattr(dense, f"to_sparse_{layout}")((2, 2))
        return getattr(dense, f"to_sparse_{layout}")()


def quantized() -> torch.Tensor:
    scales, zeros = torch.tensor([0.5, 0.25], dtype=torch.float64), torch.tensor([3, 4])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.quantize_per_channel(torch.ones(2, 3), scales, zeros, 0, torch.qint8)


def nested() -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.nested.nested_tensor([torch.ones(2, 3), torch.ones(4, 1)])


def jagged() -> torch.Tensor:
    return torch.nested.nested_tensor([torch.ones(2, 3), torch.ones(4, 3)], layout=torch.jagged)


MADE: dict[str, Callable[[], torch.Tensor]] = {
    **{name: (lambda name=name: sparse(name)) for name in ("coo", "csr", "csc", "bsr", "bsc")},
    "quantized": quantized,
    "nested": nested,
    "jagged": jagged,
}


@pytest.mark.parametrize("name", MADE)
def test_what_torch_makes_is_right(name: str, tmp_path: Path) -> None:
    torch.save({"a": MADE[name](), "b": torch.ones(2)}, tmp_path / "x.pth")
    assert problems(tmp_path / "x.pth") == []


def damaged(value: torch.Tensor, old: torch.Tensor, new: torch.Tensor, path: Path) -> list[str]:
    """The sentences about `value` with the bytes of `old` replaced in the file."""
    stream = io.BytesIO()
    torch.save({"a": value}, stream)
    data, before = stream.getvalue(), old.contiguous().numpy().tobytes()
    assert data.count(before) == 1
    path.write_bytes(data.replace(before, new.contiguous().numpy().tobytes()))
    # The checksum of data is not compared on opening.
    found = problems(path)
    assert {problem.where for problem in found} <= {"a"}
    return [problem.message for problem in found]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ((0, 1, 9), "an index of dimension 0 is outside of it"),
        ((1, 2, -1), "an index of dimension 1 is outside of it"),
        ((0, 0, 3), "it says that it is coalesced, and its indices are not in order"),
        ((1, 3, 1), None),
    ],
)
def test_indices_of_coo(change: tuple[int, int, int], sentence: str | None, tmp_path: Path) -> None:
    value = sparse("coo")
    row, column, number = change
    new = value.indices().clone()
    new[row, column] = number
    found = damaged(value, value.indices(), new, tmp_path / "x.pth")
    assert found == ([sentence] if sentence else [])


@pytest.mark.parametrize("layout", ["csr", "csc", "bsr", "bsc"])
def test_indices_of_compressed_layouts(layout: str, tmp_path: Path) -> None:
    value = sparse(layout)
    rows = layout in ("csr", "bsr")
    outer = value.crow_indices() if rows else value.ccol_indices()
    inner = value.col_indices() if rows else value.row_indices()
    names = ("crow_indices", "col_indices") if rows else ("ccol_indices", "row_indices")
    path = tmp_path / "x.pth"
    for place, number, expected in (
        (0, 1, f"its {names[0]} do not begin with 0"),
        (1, 5, f"its {names[0]} do not ascend as they should"),
        (-1, int(outer[-1]) - 1, f"its {names[0]} end with"),
    ):
        new = outer.clone()
        new[place] = number
        (sentence,) = damaged(value, outer, new, path)
        assert sentence.startswith(expected)
    new = inner.clone()
    new[1] = 99
    assert damaged(value, inner, new, path) == [f"one of its {names[1]} is outside of it"]


def test_scales_and_zero_points(tmp_path: Path) -> None:
    value, path = quantized(), tmp_path / "x.pth"
    scales, zeros = value.q_per_channel_scales(), value.q_per_channel_zero_points()
    for number in (0.0, -1.0, float("nan"), float("inf")):
        new = scales.clone()
        new[1] = number
        assert damaged(value, scales, new, path) == ["one of its scales is no positive number"]
    for number in (128, -129):
        new = zeros.clone()
        new[0] = number
        (sentence,) = damaged(value, zeros, new, path)
        assert sentence == "one of its zero_points is not between -128 and 127, as qint8 is"


def test_components_of_nested_tensors(tmp_path: Path) -> None:
    value, path = nested(), tmp_path / "x.pth"
    sizes = value._nested_tensor_size()
    new = sizes.clone()
    new[1, 0] = 40
    assert damaged(value, sizes, new, path) == ["a component reaches beyond its buffer"]
    new[1, 0] = -4
    (sentence,) = damaged(value, sizes, new, path)
    assert sentence == "a component's size, stride or offset is negative"
    ragged = jagged()
    offsets = ragged.offsets()
    new = offsets.clone()
    new[1] = 77
    (sentence,) = damaged(ragged, offsets, new, path)
    assert sentence == "its offsets do not ascend"
    new[1:] = 77
    (sentence,) = damaged(ragged, offsets, new, path)
    assert sentence == "one of its offsets is outside of its values"
