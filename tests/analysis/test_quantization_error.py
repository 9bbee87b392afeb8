"""The preview of quantization against torch: its fake-quantize, its observers, its casts."""

from __future__ import annotations

import math
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector_app.analysis import (
    quantization_kernels,
    quantization_passes,
    quantization_rows,
)
from inspector_app.analysis.quantization_error import previewing
from inspector_app.analysis.quantization_figures import Kept, TensorPreview, by_damage
from inspector_app.analysis.quantization_schemes import SCHEMES, Scheme, scheme_named
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


def check(
    found: TensorPreview,
    weight: torch.Tensor,
    names: Sequence[str] = tuple(s.name for s in SCHEMES),
) -> None:
    assert found.nans == int(weight.isnan().sum())
    assert found.infinities == int(weight.isinf().sum())
    assert found.schemes.keys() == {scheme.name for scheme in SCHEMES}
    for scheme in map(scheme_named, names):
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


@settings(max_examples=70)
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


@settings(max_examples=25)
@given(
    shape=st.tuples(st.integers(2, 6), st.integers(2, 40), st.integers(1, 3)),
    dtype=st.sampled_from(FLOATS),
    seed=st.integers(0, 2**31),
    order=st.permutations([0, 1, 2]),
    step=st.integers(1, 2),
    way=st.sampled_from(("whole", "blocks")),
)
def test_views_of_any_layout(
    folder: Path,
    shape: tuple[int, ...],
    dtype: torch.dtype,
    seed: int,
    order: list[int],
    step: int,
    way: str,
) -> None:
    weight = weights(shape, dtype, seed, "channels of any size").permute(order)[::step]
    check(preview_of(folder, weight, way), weight)


@pytest.mark.parametrize(("dtype", "length"), [("float32", 300_001), ("bfloat16", 530_001)])
def test_a_channel_longer_than_a_block(folder: Path, dtype: str, length: int) -> None:
    names = ("int8-per-tensor", "int8-per-channel-affine", "int4-group-128", "fp16")
    weight = weights((1, length), getattr(torch, dtype), 5, "usual")
    check(preview_of(folder, weight), weight, names)


@pytest.mark.parametrize("scheme", [s for s in SCHEMES if s.is_cast], ids=lambda s: s.name)
def test_casts_of_every_16_bit_value_and_around_the_ends(scheme: Scheme) -> None:
    codes = torch.arange(1 << 16, dtype=torch.int32).to(torch.uint16)
    target = torch.finfo(getattr(torch, scheme.dtype))
    ends = [target.max, target.tiny, target.tiny * target.eps, 464.0, 61440.0, 65520.0, 3.4e38]
    factors = [0.25, 0.5, 0.75, 1, 1.25, 1.5, 2]
    factors += [1 + sign * 2.0**-digit for digit in (9, 12, 24, 30) for sign in (1, -1)]
    around = torch.tensor(ends, dtype=torch.float64)[:, None] * torch.tensor(
        factors, dtype=torch.float64
    )
    around = torch.cat([around.flatten(), -around.flatten(), torch.zeros(2).double()])
    every = codes.view(torch.bfloat16), codes.view(torch.float16), around.float(), around
    for values in every:
        values = values[values.isfinite()]
        made = np.empty((1, len(values)))
        none = np.zeros(1)
        setting = quantization_passes.settings_of([scheme])[0]
        given = values.double().numpy()[None]
        quantization_kernels.quantize(given, none, none, np.zeros(2), setting, made)
        wanted = values.to(getattr(torch, scheme.dtype)).double()
        wanted[wanted.isinf()] = math.nan
        np.testing.assert_array_equal(made[0], wanted.numpy())


def test_what_is_kept_and_why(folder: Path) -> None:
    made = torch.Generator().manual_seed(0)
    model = torch.nn.Linear(8, 4)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(2, 8, generator=made)).sum().backward()
    optimizer.step()
    state = {
        **model.state_dict(),
        "tied": model.weight,
        "steps": torch.tensor(3),
        "codes": torch.zeros(4, 4, dtype=torch.int8),
        "small": torch.zeros(4, 4).to(torch.float8_e5m2),
        "none": torch.zeros(0, 4),
        "sparse": torch.eye(4).to_sparse(),
    }
    torch.save({"model": state, "optimizer": optimizer.state_dict()}, folder / "x.pth")
    found = {each.tensor.name: each for each in previews(folder / "x.pth")}
    assert {name: each.kept for name, each in found.items()} == {
        "model/weight": "",
        "model/tied": "",
        "model/bias": Kept.NO_WEIGHT,
        "model/steps": Kept.NOT_FLOATING,
        "model/codes": Kept.NOT_FLOATING,
        "model/small": Kept.SMALL_DTYPE,
        "model/none": Kept.EMPTY,
        "model/sparse": Kept.LAYOUT,
        **{
            f"optimizer/state/{index}/{name}": Kept.STATE
            for index in (0, 1)
            for name in ("step", "exp_avg", "exp_avg_sq")
        },
    }
    assert found["model/bias"].schemes.keys() == {"fp16", "bf16"}
    assert found["model/weight"].schemes == found["model/tied"].schemes
    assert not found["optimizer/state/0/exp_avg"].schemes


def test_totals_are_of_all_weights_once(folder: Path) -> None:
    first, second = (weights((6, 70), torch.float32, seed, "usual") for seed in (1, 2))
    bias = torch.full((5,), 7e4)
    torch.save({"a": first, "b": second, "again": first, "bias": bias}, folder / "x.pth")
    checkpoint = open_checkpoint(folder / "x.pth")
    with open_values(checkpoint) as reader:
        *_, last = previewing(reader, checkpoint.tensors)
    assert last.done == last.total
    totals = {each.scheme: each for each in last.totals}
    together = torch.cat([first, second])
    by_channel = totals["int8-per-channel"]
    wanted = figures(together, next(s for s in SCHEMES if s.name == "int8-per-channel"))
    assert by_channel.sqnr_db == pytest.approx(wanted["sqnr_db"], rel=1e-6)
    assert by_channel.max_abs == pytest.approx(wanted["max_abs"], rel=1e-6)
    assert by_channel.cosine == pytest.approx(wanted["cosine"], rel=1e-6)
    assert (by_channel.tensors, by_channel.kept) == (3, 1)
    assert by_channel.nbytes_before == 2 * 6 * 70 * 4 + 5 * 4
    assert by_channel.nbytes == 2 * (6 * 70 + 6 * 4) + 5 * 4
    # Groups are filled up: 70 values are three groups of 32.
    assert totals["int4-group-32"].nbytes == 2 * (6 * 96 // 2 + 6 * 3 * 4) + 5 * 4
    assert totals["int4-group-32-affine"].nbytes == 2 * (6 * 96 // 2 + 6 * 3 * 5) + 5 * 4
    half = totals["fp16"]
    assert (half.tensors, half.overflows, half.sqnr_db) == (4, 5, -math.inf)
    assert not totals["bf16"].overflows


def test_an_outlier_ranks_first(folder: Path) -> None:
    layers = {f"layer{n}.weight": weights((64, 64), torch.float32, n, "usual") for n in range(6)}
    layers["layer4.weight"][3] *= 400
    torch.save(layers, folder / "x.pth")
    found = previews(folder / "x.pth")
    assert by_damage(found, "int8-per-tensor")[0].tensor.name == "layer4.weight"
    best = max(each.schemes["int8-per-channel"].sqnr_db for each in found)
    worst = by_damage(found, "int8-per-tensor")[0].schemes["int8-per-tensor"].sqnr_db
    assert worst < best - 6


def test_values_that_cannot_be_read(folder: Path) -> None:
    path = folder / "x.pth"
    torch.save({"a": torch.randn(40, 40), "b": torch.randn(40, 40)}, path)
    checkpoint = open_checkpoint(path)
    path.write_bytes(path.read_bytes()[:9000])
    with open_values(checkpoint) as reader:
        found = [each for p in previewing(reader, checkpoint.tensors) for each in p.finished]
    assert {each.kept for each in found} == {Kept.UNREADABLE}
    assert all(each.error is not None and not each.schemes for each in found)


def test_closing_ends_the_threads(folder: Path) -> None:
    torch.save({f"w{n}": torch.randn(400, 500) for n in range(20)}, folder / "x.pth")
    checkpoint = open_checkpoint(folder / "x.pth")
    before = threading.active_count()
    with open_values(checkpoint) as reader:
        steps = previewing(reader, checkpoint.tensors, wait=0.001)
        next(steps)
        steps.close()
        assert threading.active_count() == before


def test_after_warming_up_nothing_is_compiled(folder: Path) -> None:
    """Every kernel has been called with the very types that previewing uses."""
    made = {f"{dtype} {n}": torch.randn(n, 70_000).to(dtype) for dtype in FLOATS for n in (1, 9)}
    torch.save({**made, "turned": torch.randn(40, 30).T}, folder / "x.pth")
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from inspector_app.analysis import quantization_kernels as kernels\n"
        "from inspector_app.analysis.quantization_warm_up import warm_up_quantization\n"
        "from tests.analysis.test_quantization_error import previews\n"
        "def forms():\n"
        "    return {name: len(kernel.signatures) for name, kernel in vars(kernels).items()\n"
        "            if hasattr(kernel, 'signatures')}\n"
        "warm_up_quantization()\n"
        "before = forms()\n"
        "assert all(each.schemes for each in previews(Path(sys.argv[1])))\n"
        "assert before == forms(), (before, forms())\n"
    )
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", script, str(folder / "x.pth")]
    subprocess.run(command, check=True, cwd=root)
