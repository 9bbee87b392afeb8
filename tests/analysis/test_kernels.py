"""The compiled loops against numpy, at their edges."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
import torch

from inspector_app.analysis import kernels, pattern_counts
from inspector_app.analysis.rank_search import RankSearch, float_of_key32, float_of_key64
from inspector_app.checkpoint.errors import UnreadableFile


@pytest.mark.parametrize("length", [0, 1, 3, 4, 5, 1023])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_patterns_of_any_length(length: int, dtype: type) -> None:
    codes = np.random.default_rng(length).integers(0, np.iinfo(dtype).max, length, dtype=dtype)
    counts = pattern_counts.Counts()
    loop = kernels.count8 if dtype == np.uint8 else kernels.count16
    loop(codes, counts.tables_for(length))
    with pattern_counts.together([counts]) as total:
        assert np.array_equal(total, np.bincount(codes, minlength=1 << 16))


def test_counts_beyond_32_bits_are_moved_in_time() -> None:
    counts = pattern_counts.Counts()
    codes = np.full(8, 7, np.uint16)
    for _ in range(3):
        # As if so many had been counted, of which 8 are.
        kernels.count16(codes, counts.tables_for((1 << 32) - 1))
    with pattern_counts.together([counts]) as total:
        assert total[7] == 24
        assert total.sum() == 24


def test_tables_are_used_again_and_clean() -> None:
    first = pattern_counts.Counts()
    kernels.count16(np.arange(100, dtype=np.uint16), first.tables_for(100))
    with pattern_counts.together([first]) as total:
        assert total.sum() == 100
    second, third = pattern_counts.Counts(), pattern_counts.Counts()
    kernels.count16(np.arange(5, dtype=np.uint16), third.tables_for(5))
    with pattern_counts.together([second, third]) as total:
        assert total.sum() == 5


def test_more_candidates_than_room_stay_outside() -> None:
    """As where a file is written to between two passes."""
    room = np.zeros(3, np.float32)
    marks = np.ones(1 << 16, np.uint8)
    assert kernels.gather32(np.ones(10, np.float32), marks, room, 0) == 3
    wide = np.zeros(3)
    assert kernels.gather64(np.ones(10), marks, wide, 2) == 3
    assert wide.tolist() == [0, 0, 1]


def test_fewer_candidates_than_were_counted_are_told() -> None:
    counts = np.zeros(1 << 16, np.int64)
    counts[5] = 10
    search = RankSearch([9], counts)
    assert search.candidates == 10
    with pytest.raises(UnreadableFile):
        search.pick(np.zeros(9), 9)
    with pytest.raises(UnreadableFile):
        search.narrow(np.ones((1, 4), np.int64))
    with pytest.raises(UnreadableFile):
        RankSearch([10], counts)


@pytest.mark.parametrize("value", [0.0, 1.0, -1.0, 1e-45, -1e-45, 3.4e38, -3.4e38, np.inf])
def test_keys_are_in_the_order_of_the_numbers(value: float) -> None:
    single = np.float32(value)
    bits = int(single.view(np.uint32))
    key = bits ^ 0xFFFFFFFF if bits >> 31 else bits | 1 << 31
    assert float_of_key32(key) == single
    key = int(kernels._key64(value))
    assert float_of_key64(key) == value
    assert int(kernels._key64(np.nextafter(value, -np.inf))) < key
    assert kernels._key64(-0.0) == kernels._key64(0.0)


def test_bins_take_values_outside_without_harm() -> None:
    edges = np.array([0.0, 1.0, 2.0])
    counts = np.zeros(2, np.int64)
    values = np.array([-5.0, 0.0, 1.0, 2.0, 9.0, np.nan, np.inf, 1e308])
    kernels.bin_counts(values, edges, 1.0, counts)
    assert counts.tolist() == [2, 4]


def test_where_no_cache_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    real = numba.njit

    def refuse(*, cache: bool = False, **options: object) -> object:
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return real(**options)

    monkeypatch.setattr(numba, "njit", refuse)
    compiled = kernels.compiled()(lambda values: len(values) + 1)
    assert compiled(np.zeros(3)) == 4


def test_after_warming_up_nothing_is_compiled(tmp_path: Path) -> None:
    """Every kernel has been called with the very types that measuring uses."""
    torch.manual_seed(0)
    made = {
        "bf16": torch.randn(40_000).bfloat16(),
        "f32": torch.randn(300_000),
        "close": 1 + 1e-4 * torch.randn(300_000),
        "f64": torch.randn(40_000).double(),
        "int": torch.arange(400_000),
        "uint8": torch.zeros(40_000, dtype=torch.uint8),
        "ties": (torch.rand(600_000) < 0.5).float(),
    }
    torch.save(made, tmp_path / "x.pth")
    script = (
        "import sys, numba\n"
        "from inspector_app.analysis import kernels\n"
        "from inspector_app.analysis.warm_up import warm_up\n"
        "from inspector_app.analysis.stats import measuring\n"
        "from inspector_app.checkpoint import open_checkpoint\n"
        "from inspector_app.checkpoint.values import open_values\n"
        "def forms():\n"
        "    return {name: len(kernel.signatures) for name, kernel in vars(kernels).items()\n"
        "            if hasattr(kernel, 'signatures')}\n"
        "warm_up()\n"
        "before = forms()\n"
        "checkpoint = open_checkpoint(sys.argv[1])\n"
        "with open_values(checkpoint) as reader:\n"
        "    list(measuring(reader, checkpoint.tensors, exact=True))\n"
        "assert before == forms(), (before, forms())\n"
        "assert all(count for name, count in before.items() if name[0] != '_'), before\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "x.pth")], check=True)
