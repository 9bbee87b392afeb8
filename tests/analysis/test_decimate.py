"""Small pictures and norms of tensors that torch wrote."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from inspector_app.analysis import chunks, decimate
from inspector_app.analysis.chunks import measuring_channels, windows
from inspector_app.analysis.decimate import MAX_ABS, MEAN, as_floats, decimating
from inspector_app.analysis.slices import parse, plane
from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.values import ValueReader


@pytest.fixture
def saved(tmp_path):
    """Saves a tensor and gives it back as (reader, tensor)."""
    readers = []

    def save(tensor: torch.Tensor):
        path = tmp_path / f"{len(readers)}.pth"
        torch.save({"t": tensor}, path)
        checkpoint = open_checkpoint(str(path))
        readers.append(ValueReader(checkpoint))
        return readers[-1], checkpoint.tensors[0]

    yield save
    for reader in readers:
        reader.close()


def last(generator):
    *_, final = generator
    return final


def result(generator):
    while True:
        try:
            next(generator)
        except StopIteration as stop:
            return stop.value


def expected(array: np.ndarray, rows: int, columns: int, how: str) -> np.ndarray:
    """The definition, written without regard for time."""
    tops, lefts = decimate.edges(array.shape[0], rows), decimate.edges(array.shape[1], columns)
    found = np.zeros((len(tops) - 1, len(lefts) - 1))
    for i in range(len(tops) - 1):
        for j in range(len(lefts) - 1):
            cell = array[tops[i] : tops[i + 1], lefts[j] : lefts[j + 1]].astype(np.float64)
            if how == MEAN:
                found[i, j] = cell.mean()
            elif np.isnan(cell).any():
                found[i, j] = np.nan
            else:
                flat = cell.reshape(-1)
                found[i, j] = flat.max() if flat.max() >= -flat.min() else flat.min()
    return found


@pytest.mark.parametrize("how", [MAX_ABS, MEAN])
@pytest.mark.parametrize(
    ("shape", "turned"), [((37, 53), False), ((37, 53), True), ((500, 3), False), ((2, 900), True)]
)
@pytest.mark.parametrize("chunk", [7, 64, 1 << 20])
def test_a_cell_stands_for_its_values(saved, monkeypatch, how, shape, turned, chunk):
    monkeypatch.setattr(decimate, "CHUNK_ELEMENTS", chunk)
    tensor = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    tensor[1, 2] = torch.nan
    tensor = tensor.T if turned else tensor
    reader, info = saved(tensor)
    shown = plane(parse("", info.shape), info.shape)
    picture = last(decimating(reader, info, shown, 10, 16, how))
    wanted = expected(tensor.numpy(), 10, 16, how)
    np.testing.assert_allclose(picture.values, wanted, rtol=1e-6, atol=1e-6)
    assert picture.done == 1
    assert picture.row_edges[-1] == tensor.shape[0]
    assert picture.column_edges[-1] == tensor.shape[1]


def test_a_part_of_a_plane_with_steps(saved):
    tensor = torch.arange(4 * 6 * 8).reshape(4, 6, 8).float()
    reader, info = saved(tensor)
    shown = plane(parse("1, ::-1, 1::3", info.shape), info.shape)
    picture = last(decimating(reader, info, shown, 99, 99))
    np.testing.assert_array_equal(picture.values, np.flip(tensor[1].numpy(), 0)[:, 1::3])


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("how", [MAX_ABS, MEAN])
def test_samples_come_first_and_everything_after(saved, monkeypatch, wide, how):
    monkeypatch.setattr(decimate, "SAMPLED_BYTES", 512 if wide else 20_000)
    monkeypatch.setattr(decimate, "_NEWS_SECONDS", 0)
    monkeypatch.setattr(decimate, "CHUNK_ELEMENTS", 1000)
    tensor = torch.full((120, 130), -2.0)
    reader, info = saved(tensor)
    shown = plane(parse("", info.shape), info.shape)
    pictures = [each for each in decimating(reader, info, shown, 50, 60, how) if each]
    assert pictures[0].done == 0
    for picture in pictures:
        np.testing.assert_array_equal(picture.values, np.full((50, 60), -2.0))
    shares = [picture.done for picture in pictures]
    assert shares == sorted(shares)
    assert shares[-1] == 1


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (1,), ()])
def test_empty_and_single(saved, shape):
    reader, info = saved(torch.ones(shape))
    picture = last(decimating(reader, info, plane(parse("", shape), shape), 4, 4))
    assert picture.values.size == int(np.prod(shape))


@pytest.mark.parametrize(
    "dtype",
    [
        *(torch.bfloat16, torch.float16, torch.float32, torch.float64, torch.int8, torch.uint8),
        *(torch.int64, torch.bool, torch.float8_e4m3fn, torch.float8_e5m2, torch.complex64),
    ],
)
def test_values_of_every_dtype_as_floats(saved, dtype):
    tensor = (torch.randn(5, 7, generator=torch.Generator().manual_seed(2)) * 3).to(dtype)
    reader, info = saved(tensor)
    wanted = tensor.abs() if dtype.is_complex else tensor
    floats = as_floats(reader.read(info))
    np.testing.assert_allclose(floats, wanted.to(torch.float64).numpy(), rtol=1e-6)


@pytest.mark.parametrize("most", [1, 5, 12, 1000])
def test_windows_cover_everything_once(most):
    shape = (3, 4, 5)
    for order in ((0, 1, 2), (2, 0, 1)):
        counted = np.zeros(shape, int)
        for chosen in windows(shape, order, most):
            counted[chosen] += 1
            assert counted[chosen].size <= most
        assert (counted == 1).all()


@pytest.mark.parametrize("axis", [0, 1, 3])
@pytest.mark.parametrize("most", [10, 1 << 20])
def test_norms_of_channels(saved, monkeypatch, axis, most):
    monkeypatch.setattr(chunks, "CHUNK_ELEMENTS", most)
    tensor = torch.randn(6, 5, 3, 4, generator=torch.Generator().manual_seed(3))
    tensor.select(axis, 2).zero_()
    reader, info = saved(tensor)
    found = result(measuring_channels(reader, info, axis))
    others = [each for each in range(4) if each != axis]
    wanted = tensor.double().pow(2).sum(others).sqrt()
    np.testing.assert_allclose(found.norms, wanted.numpy(), rtol=1e-12)
    assert found.dead.tolist() == [2]


def test_norms_of_what_is_not_finite(saved):
    tensor = torch.ones(4, 3)
    tensor[1, 1], tensor[2, 0] = torch.nan, -torch.inf
    found = result(measuring_channels(*saved(tensor), 0))
    assert np.isnan(found.norms[1])
    assert np.isinf(found.norms[2])
    assert not len(found.dead)
