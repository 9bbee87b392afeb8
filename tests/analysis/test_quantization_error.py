"""The preview of quantization against torch: its fake-quantize, its observers, its casts."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector_app.analysis import quantization_passes, quantization_rows
from inspector_app.analysis.quantization_error import previewing
from inspector_app.analysis.quantization_figures import TensorPreview
from inspector_app.analysis.quantization_schemes import SCHEMES, Scheme
from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.values import open_values
from tests.analysis.quantization_oracle import figures

FLOATS = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
SHAPES = st.one_of(
    st.tuples(st.integers(1, 9), st.integers(1, 300)),
    st.tuples(st.integers(1, 4), st.integers(1, 40), st.integers(1, 3), st.integers(1, 3)),
    st.sampled_from([(1, 1), (3, 32), (2, 128), (1, 2000), (40, 70), (2, 4096)]),
)
WAYS = ("whole", "blocks", "patterns", "patterns of blocks")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("quantization")


def previews(path: Path, schemes: tuple[Scheme, ...] = SCHEMES) -> list[TensorPreview]:
    checkpoint = open_checkpoint(path)
    with open_values(checkpoint) as reader:
        steps = previewing(reader, checkpoint.tensors, schemes=schemes)
        found = [each for progress in steps for each in progress.finished]
    return sorted(found, key=lambda each: each.number)


def preview_of(folder: Path, weight: torch.Tensor, way: str = "whole") -> TensorPreview:
    """`way`: rows are cut into blocks, patterns of 16 bits are counted, or neither."""
    torch.save({"weight": weight}, folder / "x.pth")
    with pytest.MonkeyPatch.context() as patch:
        if "blocks" in way:
            patch.setattr(quantization_rows, "BLOCK_BYTES", 1 << 10)
            patch.setattr(quantization_rows, "_GATHERED_BYTES", 1 << 10)
        if "patterns" in way:
            patch.setattr(quantization_passes, "_COUNTED", -1)
        (found,) = previews(folder / "x.pth")
    assert found.error is None
    return found


def check(found: TensorPreview, weight: torch.Tensor) -> None:
    assert found.nans == int(weight.isnan().sum())
    assert found.infinities == int(weight.isinf().sum())
    assert found.schemes.keys() == {scheme.name for scheme in SCHEMES}
    for scheme in SCHEMES:
        here, wanted = found.schemes[scheme.name], figures(weight, scheme)
        assert here.sums.count == int(weight.isfinite().sum()), scheme.name
        for name, value in wanted.items():
            mine = getattr(here, name)
            where = f"{scheme.name} {name}"
            if math.isfinite(value):
                assert mine == pytest.approx(value, rel=1e-6, abs=1e-300), where
            else:
                assert repr(mine) == repr(value), where


def weights(shape: tuple[int, ...], dtype: torch.dtype, seed: int, kind: str) -> torch.Tensor:
    made = torch.Generator().manual_seed(seed)
    weight = torch.randn(shape, generator=made, dtype=torch.float64)
    rows = torch.randn(shape[:1] + (1,) * (len(shape) - 1), generator=made, dtype=torch.float64)
    match kind:
        case "usual":
            weight *= 0.02
        case "channels of any size":
            weight *= 10 ** (rows * 2)
        case "outlier":
            weight.view(-1)[-1] = 300.0
        case "one sign":
            weight = weight.abs() + 0.1 * rows.abs()
        case "tiny":
            weight *= 1e-7
        case "denormal":
            weight *= torch.finfo(dtype).tiny if dtype != torch.float64 else 1e-40
        case "huge":
            weight *= 1e4 if dtype == torch.float16 else 1e38
        case "constant":
            weight.fill_(float(weight.view(-1)[0]))
        case "zeros":
            weight.zero_()
        case "not finite":
            flat = weight.view(-1)
            flat[0] = math.nan
            flat[-1] = -math.inf
            flat[len(flat) // 2] = math.inf
    return weight.to(dtype)


KINDS = (
    "usual, channels of any size, outlier, one sign, tiny, denormal, huge, constant, zeros, "
    "not finite"
).split(", ")


@settings(max_examples=150)
@given(
    shape=SHAPES,
    dtype=st.sampled_from(FLOATS),
    seed=st.integers(0, 2**31),
    kind=st.sampled_from(KINDS),
    way=st.sampled_from(WAYS),
)
def test_every_figure_is_that_of_torch(
    folder: Path, shape: tuple[int, ...], dtype: torch.dtype, seed: int, kind: str, way: str
) -> None:
    weight = weights(shape, dtype, seed, kind)
    check(preview_of(folder, weight, way), weight)
