"""Tensors saved as .npy files: numpy reads what torch saved, whatever its view."""

from __future__ import annotations

import os
from collections.abc import Generator
from math import prod
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.analysis import npy_file
from inspector_app.analysis.npy_file import saving_npy, tile_shape
from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.values import open_values
from tests.checkpoint import torch_files


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("npy")
    (made / "saved").mkdir()
    return made


def end_of(steps: Generator[float, None, str]) -> str:
    shares = []
    while True:
        try:
            shares.append(next(steps))
        except StopIteration as stop:
            assert shares == sorted(shares)
            assert not shares or 0 < shares[0] <= shares[-1] <= 1
            return stop.value


def saved(folder: Path, tensor: torch.Tensor, raw: bool = False) -> np.ndarray:
    with torch_files.prototypes():
        torch.save({"t": tensor}, folder / "t.pth")
    checkpoint = open_checkpoint(folder / "t.pth")
    path = folder / "saved" / "t.npy"
    with open_values(checkpoint) as reader:
        dtype = end_of(saving_npy(reader, checkpoint.tensors[0], str(path), raw))
    loaded = np.load(path, allow_pickle=False)
    assert loaded.dtype == dtype
    assert os.listdir(path.parent) == ["t.npy"]
    return loaded


@pytest.mark.parametrize(
    "tensor",
    [
        *(torch.randn(6, 7), torch.randn(6, 7).T, torch.tensor(2.5), torch.zeros(0, 3)),
        *(torch.arange(9), torch.tensor([True, False]), torch.randn(4).to(torch.complex64)),
        torch.tensor([torch.nan, torch.inf, -0.0, 1e-45]),
        torch.tensor([1.0, 2.0]).expand(3, 2),
    ],
    ids=str,
)
def test_npy_files_hold_the_tensor(folder: Path, tensor: torch.Tensor) -> None:
    np.testing.assert_array_equal(saved(folder, tensor), tensor.numpy(), strict=True)


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e4m3fn", "float8_e5m2"])
def test_what_numpy_lacks_is_float32(folder: Path, dtype: str) -> None:
    made = torch.randn(5, 4).to(getattr(torch, dtype)).t()
    np.testing.assert_array_equal(saved(folder, made), made.float().numpy(), strict=True)


def test_quantized_values_and_their_integers(folder: Path) -> None:
    with torch_files.prototypes():
        made = torch.quantize_per_tensor(torch.randn(5, 4), 0.1, 3, torch.qint8)
        values, integers = made.dequantize().numpy(), made.int_repr().numpy()
    np.testing.assert_array_equal(saved(folder, made), values, strict=True)
    np.testing.assert_array_equal(saved(folder, made, raw=True), integers, strict=True)


@st.composite
def views(draw: st.DrawFn) -> torch.Tensor:
    shape = draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))
    view = torch.arange(prod(shape), dtype=torch.int32).reshape(shape)
    view = view.permute(draw(st.permutations(range(len(shape)))))
    for axis in range(view.dim()):
        start = draw(st.integers(0, view.shape[axis] - 1))
        view = view[(slice(None),) * axis + (slice(start, None, draw(st.integers(1, 2))),)]
    return view.unsqueeze(0).expand(2, *view.shape) if draw(st.booleans()) else view


@given(views(), st.sampled_from([4, 20, 100, 400]), st.sampled_from([1, 5, 1000]))
def test_any_view_in_any_tiles(folder: Path, view: torch.Tensor, tile: int, read: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(npy_file, "TILE_BYTES", tile)
        patch.setattr(npy_file, "READ_ELEMENTS", read)
        patch.setattr(npy_file, "STEP_SECONDS", 0)
        patch.setattr("inspector_app.checkpoint.values.GAP_BYTES", tile)
        np.testing.assert_array_equal(saved(folder, view), view.numpy(), strict=True)


@given(
    st.lists(st.tuples(st.integers(1, 3000), st.integers(0, 10**6)), max_size=5),
    st.integers(1, 1 << 22),
)
def test_tiles_fit_and_have_long_runs(axes: list[tuple[int, int]], most: int) -> None:
    shape, stride = [a for a, _ in axes], [b for _, b in axes]
    found = tile_shape(shape, stride, most)
    assert prod(found) <= most
    assert all(1 <= part <= size for part, size in zip(found, shape, strict=True))
    # It could not be twice as large.
    if list(found) != shape:
        assert 2 * prod(found) > most or any(
            2 * part > size for part, size in zip(found, shape, strict=True)
        )


def test_a_transposed_matrix_is_read_and_written_in_long_runs() -> None:
    rows, columns = tile_shape((50_000, 40_000), (1, 50_000), 1 << 22)
    assert rows == columns == 2048
    assert tile_shape((50_000, 40_000), (40_000, 1), 1 << 22) == (104, 40_000)


def test_a_cancelled_save_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npy_file, "TILE_BYTES", 64)
    monkeypatch.setattr(npy_file, "STEP_SECONDS", 0)
    target = folder / "cancelled"
    target.mkdir()
    torch.save([torch.randn(50)], folder / "c.pth")
    checkpoint = open_checkpoint(folder / "c.pth")
    with open_values(checkpoint) as reader:
        (target / "t.npy").write_text("before")
        steps = saving_npy(reader, checkpoint.tensors[0], str(target / "t.npy"))
        next(steps)
        assert len(os.listdir(target)) == 2
        steps.close()
    assert os.listdir(target) == ["t.npy"]
    assert (target / "t.npy").read_text() == "before"


@pytest.mark.parametrize("tensor", [torch.empty(3, device="meta"), torch.randn(40)], ids=str)
def test_what_cannot_be_saved_leaves_nothing(folder: Path, tensor: torch.Tensor) -> None:
    target = folder / f"failed {tensor.device}"
    target.mkdir()
    torch.save([tensor], folder / "f.pth", _use_new_zipfile_serialization=False)
    if not tensor.is_meta:
        os.truncate(folder / "f.pth", (folder / "f.pth").stat().st_size - 20)
    checkpoint = open_checkpoint(folder / "f.pth")
    with open_values(checkpoint) as reader, pytest.raises(CheckpointError):
        end_of(saving_npy(reader, checkpoint.tensors[0], str(target / "t.npy")))
    assert os.listdir(target) == []
    with open_values(checkpoint) as reader, pytest.raises((OSError, CheckpointError)):
        end_of(saving_npy(reader, checkpoint.tensors[0], str(target / "none" / "t.npy")))
