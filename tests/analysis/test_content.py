"""What two tensors' bytes say, against torch and numpy in float64: every dtype and layout."""

from __future__ import annotations

import math
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from inspector_app.analysis.comparison import Comparison, Evidence, KeyPair, Metrics, Status
from inspector_app.analysis.content import EXACT, Measured, Tolerance, measuring
from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.limits import DEFAULT
from inspector_app.checkpoint.model import Checkpoint
from inspector_app.checkpoint.values import ValueReader, open_values
from tests.checkpoint import torch_files

FLOATS = ("float64", "float32", "float16", "bfloat16")
SMALL_FLOATS = ("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz")
INTEGERS = ("int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8", "bool")
COMPLEX = ("complex128", "complex64", "complex32")
DTYPES = (*FLOATS, *SMALL_FLOATS, "float8_e8m0fnu", *INTEGERS, *COMPLEX)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("content")


def pairs_of(a: Path, b: Path) -> tuple[Comparison, list[KeyPair]]:
    """Each tensor of one file with that of the same name in the other."""
    one, two = open_checkpoint(a), open_checkpoint(b)
    others = {tensor.name: tensor for tensor in two.tensors}
    pairs = []
    for tensor in one.tensors:
        other = others[tensor.name]
        alike = (tensor.shape, tensor.dtype) == (other.shape, other.dtype)
        status = Status.UNCOMPARED if alike else Status.MISMATCHED
        pairs.append(KeyPair(tensor.name, "", tensor, other, status))
    return Comparison(one, two, pairs=pairs), pairs


def compare_files(a: Path, b: Path, **options: Any) -> dict[str, KeyPair]:
    comparison, pairs = pairs_of(a, b)
    steps = list(measuring(comparison, pairs, **options))
    finished = [step.pair for step in steps if step.pair is not None]
    assert sorted(map(id, finished)) == sorted(map(id, pairs))
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert steps[-1].done == steps[-1].total
    return {pair.key: pair for pair in pairs}


def compare(folder: Path, a: Any, b: Any, **options: Any) -> dict[str, KeyPair]:
    """The pairs of two objects, each saved to a file of its own."""
    return compare_files(
        torch_files.write(a, folder / "a.pth"), torch_files.write(b, folder / "b.pth"), **options
    )


def compare_one(folder: Path, a: torch.Tensor, b: torch.Tensor, **options: Any) -> KeyPair:
    return compare(folder, {"x": a}, {"x": b}, **options)["x"]


# --- the reference


def resolve(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().resolve_conj().resolve_neg().clone()


def bits(tensor: torch.Tensor) -> np.ndarray:
    """The bytes of each element, one row each, in row-major order."""
    with torch_files.prototypes():
        tensor = resolve(tensor)
        if not tensor.numel():
            return np.zeros((0, tensor.itemsize), np.uint8)
        # A single element may have any stride.
        flat = torch.empty(tensor.numel(), dtype=tensor.dtype).copy_(tensor.reshape(-1))
        raw = flat.view(torch.uint8).numpy()
        return raw.reshape(tensor.numel(), tensor.itemsize)


def values(tensor: torch.Tensor) -> np.ndarray:
    """float64, or complex128, flat."""
    with torch_files.prototypes():
        tensor = resolve(tensor)
        if tensor.dtype == torch.complex32:
            tensor = tensor.to(torch.complex64)
        if tensor.dtype.is_complex:
            return tensor.to(torch.complex128).numpy().reshape(-1)
        if tensor.dtype in (torch.uint64, torch.uint32, torch.uint16):
            return tensor.numpy().astype(np.float64).reshape(-1)
        return tensor.to(torch.float64).numpy().reshape(-1)


def expected(a: torch.Tensor, b: torch.Tensor, tolerance: Tolerance = EXACT) -> Metrics | None:
    """The figures as their definitions have them; None for the same bits."""
    differs = (bits(a) != bits(b)).any(axis=1)
    if not differs.any():
        return None
    x, y = values(a), values(b)
    with np.errstate(all="ignore"):
        nan_x, nan_y = np.isnan(x), np.isnan(y)
        inf_x, inf_y = np.isinf(x) & ~nan_x, np.isinf(y) & ~nan_y
        finite = np.isfinite(x) & np.isfinite(y)
        apart = np.abs(y[finite] - x[finite])
        if a.dtype in (torch.int64, torch.uint64):
            both = zip(
                resolve(a).reshape(-1).tolist(), resolve(b).reshape(-1).tolist(), strict=True
            )
            apart = np.array([float(abs(q - p)) for p, q in both])
        nans, infinities = nan_x != nan_y, (inf_x | inf_y) & (x != y)
        beyond = nans | infinities
        beyond[finite] = apart > tolerance.atol + tolerance.rtol * np.abs(x[finite])
        flips = 0
        if not np.iscomplexobj(x):
            flips = int((((x > 0) & (y < 0)) | ((x < 0) & (y > 0))).sum())
    # Divided by the greatest of each, squares stay within the range of float64.
    sizes = [float(np.abs(side[finite]).max(initial=0)) or 1.0 for side in (x, y)]
    wide = float(apart.max(initial=0)) or 1.0
    scaled = apart / wide
    if math.isinf(wide):
        wide = max(sizes)
        scaled = np.abs(y[finite] / wide - x[finite] / wide)
    p, q = x[finite] / sizes[0], y[finite] / sizes[1]
    norms = [float(np.sqrt((np.abs(side) ** 2).sum())) for side in (p, q, scaled)]
    some = bool(finite.any())
    rel = cosine = None
    if some and norms[0]:
        rel = norms[2] / norms[0] * (wide / sizes[0])
    elif some and not norms[1]:
        rel = 0.0
    if some and norms[0] and norms[1]:
        cosine = float((np.conj(p) * q).real.sum()) / norms[0] / norms[1]
    return Metrics(
        len(x),
        float(apart.max()) if some else None,
        float(scaled.mean()) * wide if some else None,
        rel,
        cosine,
        int(differs.sum()),
        int(differs.sum() if tolerance == EXACT else beyond.sum()),
        flips,
        int(nans.sum()),
        int(infinities.sum()),
        int(np.flatnonzero(differs)[0]),
    )


def check(pair: KeyPair, a: torch.Tensor, b: torch.Tensor, tolerance: Tolerance = EXACT) -> None:
    right = expected(a, b, tolerance)
    assert pair.error == ""
    assert pair.evidence == Evidence.BYTES
    if right is None:
        assert (pair.status, pair.metrics) == (Status.IDENTICAL, None)
        return
    within = tolerance != EXACT and not right.beyond
    assert pair.status == (Status.IDENTICAL if within else Status.CHANGED)
    found = pair.metrics
    assert found is not None
    for name in (
        "count differing beyond sign_flips nan_changes infinity_changes first differing_share"
    ).split():
        assert getattr(found, name) == getattr(right, name), name
    for name in ("max_abs", "mean_abs", "rel_l2", "cosine"):
        one, two = getattr(found, name), getattr(right, name)
        if two is None:
            assert one is None, name
        else:
            assert one == pytest.approx(two, rel=1e-9, abs=1e-12 if name == "cosine" else 0), name
    if right.max_abs is not None and not a.dtype.is_complex:
        assert found.max_abs == right.max_abs


# --- every dtype


def random_bits(dtype: str, count: int, seed: int) -> torch.Tensor:
    """Any bits at all: NaNs, infinities and subnormal numbers among them."""
    kind = getattr(torch, dtype)
    generator = torch.Generator().manual_seed(seed)
    raw = torch.randint(0, 256, (count * kind.itemsize,), generator=generator, dtype=torch.uint8)
    return (raw % 2 if dtype == "bool" else raw).view(kind)


def moderate(dtype: str, count: int, seed: int) -> torch.Tensor:
    """Numbers as weights have them."""
    kind = getattr(torch, dtype)
    generator = torch.Generator().manual_seed(seed)
    if dtype in INTEGERS:
        return random_bits(dtype, count, seed)
    if kind.is_complex:
        wide = torch.randn(count, dtype=torch.complex128, generator=generator)
        with torch_files.prototypes():
            return wide.to(torch.complex64).to(kind) if dtype == "complex32" else wide.to(kind)
    return torch.randn(count, dtype=torch.float64, generator=generator).to(kind)


def spoiled(tensor: torch.Tensor, share: float, seed: int) -> torch.Tensor:
    """Other bits in about so many elements."""
    dtype = str(tensor.dtype).removeprefix("torch.")
    chosen = torch.rand(tensor.numel(), generator=torch.Generator().manual_seed(seed)) < share
    raw = tensor.clone().view(torch.uint8).reshape(tensor.numel(), -1)
    other = random_bits(dtype, tensor.numel(), seed + 1).view(torch.uint8).reshape(raw.shape)
    raw[chosen] = other[chosen]
    return raw.reshape(-1).view(tensor.dtype)


@pytest.mark.parametrize("kind", ["moderate", "any bits"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype(folder: Path, dtype: str, kind: str) -> None:
    made = moderate if kind == "moderate" else random_bits
    a, b = {}, {}
    for count in (1, 7, 1023, 1025, 5000):
        for share in (0.0, 0.002, 0.3, 1.0):
            name = f"{count} {share}"
            a[name] = made(dtype, count, count)
            b[name] = a[name].clone() if share == 0 else spoiled(a[name], share, count)
            if share == 1:
                b[name] = made(dtype, count, count + 1)
    found = compare(folder, a, b)
    for name, pair in found.items():
        check(pair, a[name], b[name])


@pytest.mark.parametrize("dtype", DTYPES)
def test_tolerance(folder: Path, dtype: str) -> None:
    a = {str(place): moderate(dtype, 700, place) for place in range(4)}
    b = {name: spoiled(tensor, 0.1, 5) for name, tensor in a.items()}
    for tolerance in (Tolerance(0.5, 0.0), Tolerance(0.0, 0.75), Tolerance(0.1, 0.25)):
        for name, pair in compare(folder, a, b, tolerance=tolerance).items():
            check(pair, a[name], b[name], tolerance)


def test_within_a_tolerance_is_identical_and_keeps_its_figures(folder: Path) -> None:
    a = torch.randn(3000)
    b = a + 1e-4
    a[5], b[5] = 0.0, -0.0
    b.view(torch.int32)[6], a.view(torch.int32)[6] = 0x7FC00001, 0x7FC00000
    assert compare_one(folder, a, b).status == Status.CHANGED
    pair = compare_one(folder, a, b, tolerance=Tolerance(0, 1e-3), metrics=False)
    assert pair.status == Status.IDENTICAL
    assert pair.metrics is not None
    assert pair.metrics.differing == 3000
    assert pair.metrics.beyond == 0


def test_minus_zero_is_changed_by_nothing(folder: Path) -> None:
    for dtype in (*FLOATS, *SMALL_FLOATS[::2], *COMPLEX):
        kind = getattr(torch, dtype)
        with torch_files.prototypes():
            a, b = torch.zeros(3).to(kind), torch.zeros(3).to(kind)
        raw = b.view(torch.uint8)
        raw[-1] = 0x80
        pair = compare_one(folder, a, b)
        assert pair.status == Status.CHANGED
        found = pair.metrics
        assert found is not None
        assert (found.max_abs, found.rel_l2, found.cosine) == (0, 0, None)
        assert (found.differing, found.first, found.sign_flips) == (1, 2, 0)


def test_equal_nan_bits_are_identical_and_other_payloads_changed(folder: Path) -> None:
    a = torch.tensor([1.0, math.nan, math.inf])
    assert compare_one(folder, a, a.clone()).status == Status.IDENTICAL
    b = a.clone()
    b.view(torch.int32)[1] += 1
    pair = compare_one(folder, a, b)
    assert pair.status == Status.CHANGED
    assert pair.metrics is not None
    assert (pair.metrics.differing, pair.metrics.nan_changes, pair.metrics.first) == (1, 0, 1)
    assert pair.metrics.max_abs == 0


def test_integers_beyond_float64(folder: Path) -> None:
    top = 2**64 - 1
    a = torch.tensor([0, top, 2**63, 5], dtype=torch.uint64)
    b = torch.tensor([0, top - 1, 2**63 - 1, 5], dtype=torch.uint64)
    found = compare_one(folder, a, b).metrics
    assert found is not None
    assert (found.max_abs, found.mean_abs, found.differing) == (1.0, 0.5, 2)
    low, high = -(2**63), 2**63 - 1
    found = compare_one(folder, torch.tensor([low, 1]), torch.tensor([high, 1])).metrics
    assert found is not None
    assert (found.max_abs, found.sign_flips) == (float(2**64), 1)


@pytest.mark.parametrize("size", [1e-300, 1e-170, 1e160, 1e300])
def test_squares_beyond_float64(folder: Path, size: float) -> None:
    a = torch.randn(3000, dtype=torch.float64) * size
    b = a * 1.25
    b[77] *= -1
    for one, two in ((a, b), (torch.complex(a, b), torch.complex(b, a))):
        pair = compare_one(folder, one, two)
        check(pair, one, two)
        assert pair.metrics is not None
        assert pair.metrics.rel_l2 is not None
        assert pair.metrics.rel_l2 > 0.1


def test_nothing_finite(folder: Path) -> None:
    a, b = torch.full((4,), math.nan), torch.full((4,), math.inf)
    found = compare_one(folder, a, b).metrics
    assert found == Metrics(4, None, None, None, None, 4, 4, 0, 4, 4, 0)


def test_bare_bits_and_packed_pairs(folder: Path) -> None:
    for dtype in ("bits8", "bits16", "bits4x2", "float4_e2m1fn_x2"):
        kind = getattr(torch, dtype)
        with torch_files.prototypes():
            a = torch_files.filled(dtype, 4, 6)
            raw = a.view(torch.uint8 if kind.itemsize == 1 else torch.int16).clone()
            raw[2, 3] ^= 0x10
            b = raw.view(kind)
        assert compare_one(folder, a, a.clone()).status == Status.IDENTICAL
        found = compare_one(folder, a, b).metrics
        assert found is not None
        assert found.differing == 1
        width = 2 if dtype.startswith("float4") else 1
        # The high half is the second value of its byte.
        assert (found.count, found.first) == (24 * width, 15 * width + width - 1)


# --- views


@st.composite
def layouts(draw: st.DrawFn) -> tuple[tuple[int, ...], list[list[int]], list[int], list[bool]]:
    """A shape, for each side an order of the axes in memory, steps, and expanded axes."""
    shape = tuple(draw(st.lists(st.integers(0, 7), min_size=0, max_size=4)))
    axes = list(range(len(shape)))
    orders = [draw(st.permutations(axes)) for _ in range(2)]
    steps = [draw(st.integers(1, 3)) for _ in range(2)]
    expanded = [draw(st.booleans()) for _ in axes]
    return shape, orders, steps, expanded


def laid_out(tensor: torch.Tensor, order: list[int], step: int, offset: int) -> torch.Tensor:
    """The same values with its axes in another order in memory, and gaps between them."""
    if not order:
        whole = torch.zeros(offset + 1, dtype=tensor.dtype)
        whole[offset] = tensor
        return whole[offset]
    moved = tensor.permute(order)
    sizes = list(moved.shape)
    whole = torch.zeros(offset + math.prod(sizes) * step + 1, dtype=tensor.dtype)
    room = whole[offset : offset + math.prod(sizes) * step : step].reshape(-1)
    view = whole[offset:].as_strided(
        sizes, [math.prod(sizes[i + 1 :]) * step for i in range(len(sizes))], offset
    )
    assert room.numel() == view.numel()
    view.copy_(moved)
    return view.permute([order.index(axis) for axis in range(len(order))])


@given(layouts(), st.integers(0, 3), st.sampled_from([64, 1 << 20]), st.integers(0, 99))
def test_elements_of_equal_index_are_paired_whatever_the_strides(
    folder: Path, layout: Any, differing: int, block: int, seed: int
) -> None:
    shape, orders, steps, expanded = layout
    generator = torch.Generator().manual_seed(seed)
    dtype = (torch.float32, torch.bfloat16, torch.int64, torch.uint8, torch.complex128)[seed % 5]
    base = torch.randint(0, 100, shape, generator=generator).to(dtype)
    other = base.clone()
    for place in range(differing):
        if other.numel():
            other.view(-1)[(seed * 7 + place * 13) % other.numel()] += 1
    a = laid_out(base, orders[0], steps[0], seed % 3)
    b = laid_out(other, orders[1], steps[1], seed % 2)
    for axis, wide in enumerate(expanded):
        if wide and shape[axis]:
            # On one side or on both.
            a = a.narrow(axis, 0, 1).expand(shape)
            if seed % 2:
                b = b.narrow(axis, 0, 1).expand(shape)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("inspector_app.analysis.pair_blocks.BLOCK_BYTES", block)
        patch.setattr("inspector_app.analysis.pair_work._SMALL", 100 if seed % 2 else 1 << 19)
        check(compare_one(folder, a, b), a, b)


def test_large_tiles_and_runs(folder: Path) -> None:
    a = torch.randn(1500, 1100)
    b = a.clone()
    b[700, 800] += 1
    check(compare_one(folder, a, b.t().contiguous().t()), a, b)
    check(compare_one(folder, a.t().contiguous().t(), b), a, b)
    wide = torch.randn(3, 400_000)
    check(compare_one(folder, wide, wide.t().contiguous().t()), wide, wide)


def test_views_of_one_storage(folder: Path) -> None:
    base = torch.arange(10.0)
    a = {"view": base[2:5], "clone": base[2:5], "whole": base}
    b = {"view": base[3:6], "clone": base[2:5].clone(), "whole": base.clone()}
    found = compare(folder, a, b)
    assert [pair.status for pair in found.values()] == ["changed", "identical", "identical"]
    check(found["view"], a["view"], b["view"])


def test_views_of_equal_bytes_are_read_once(folder: Path) -> None:
    weight, other = torch.randn(900, 700), torch.randn(900, 700)
    a = {"embed": weight, "head": weight, "rows": weight[:10]}
    b = {"embed": other, "head": other, "rows": other[:10]}
    paths = torch_files.write(a, folder / "a.pth"), torch_files.write(b, folder / "b.pth")
    comparison, pairs = pairs_of(*paths)
    steps = list(measuring(comparison, pairs))
    assert steps[-1].total == 2 * (weight.nbytes + a["rows"].nbytes)
    for pair in pairs:
        check(pair, a[pair.key], b[pair.key])
    # Tied on one side only, they are two.
    paths = paths[0], torch_files.write({**b, "head": other.clone()}, folder / "b.pth")
    comparison, pairs = pairs_of(*paths)
    assert list(measuring(comparison, pairs))[-1].total == 2 * (2 * weight.nbytes + 28_000)


# --- bits that stand for others


def test_lazy_conjugate_and_negative(folder: Path) -> None:
    number = torch.view_as_complex(torch.randn(30, 40, 2))
    changed = number.conj().resolve_conj().clone()
    changed[3, 4] += 1
    apart = number.clone()
    a = {"conj": number.conj(), "neg": apart.conj().imag, "both": number.conj(), "one": number}
    a |= {"other": number.conj()}
    b = {"conj": number.conj().resolve_conj(), "neg": apart.conj().imag.resolve_neg()}
    b |= {"both": number.clone().conj(), "one": number.conj(), "other": changed}
    found = compare(folder, a, b)
    for name, pair in found.items():
        check(pair, a[name], b[name])
    assert [pair.status for pair in found.values()] == 3 * ["identical"] + 2 * ["changed"]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int64", "complex64", "float64"])
def test_big_endian_against_little(folder: Path, dtype: str) -> None:
    little = moderate(dtype, 1200, 1)
    swapped = torch.from_numpy(
        little.view(torch.uint8).numpy().reshape(-1, little.itemsize)[:, ::-1].copy()
    )
    if dtype == "complex64":
        halves = little.view(torch.uint8).numpy().reshape(-1, 4)[:, ::-1].copy()
        swapped = torch.from_numpy(halves)
    bytes_of_big = swapped.reshape(-1).view(little.dtype)
    path = torch_files.write({"x": bytes_of_big}, folder / "b.pth", byteorder="big")
    found = compare_files(torch_files.write({"x": little}, folder / "a.pth"), path)["x"]
    assert found.status == Status.IDENTICAL
    check(found, little, little)


# --- tensors of several parts


def test_quantized_tensors_by_what_their_integers_stand_for(folder: Path) -> None:
    with torch_files.prototypes():
        a = torch_files.quantized()
        found = compare(folder, a, a)
        assert {pair.status for pair in found.values()} == {Status.IDENTICAL}
        values = torch.linspace(-1, 1, 2000)
        one = torch.quantize_per_tensor(values, 0.02, 3, torch.qint8)
        two = torch.quantize_per_tensor(values, 0.03, 0, torch.qint8)
        rows = values.reshape(4, 500)
        scales, zeros = torch.full((4,), 0.02, dtype=torch.float64), torch.zeros(4).long()
        by_row = torch.quantize_per_channel(rows, scales, zeros, 0, torch.qint8)
        moved = torch.quantize_per_channel(rows, scales * 1.5, zeros, 0, torch.qint8)
        long = torch.quantize_per_tensor(values, 1e-6, 0, torch.qint32)
        longer = torch.quantize_per_tensor(values + 1e-3, 1e-6, 0, torch.qint32)
    for x, y in ((one, two), (by_row, moved), (long, longer)):
        pair = compare_one(folder, x, y)
        assert pair.status == Status.CHANGED
        p, q = x.dequantize().double(), y.dequantize().double()
        found = pair.metrics
        assert found is not None
        assert found.max_abs == float((q - p).abs().max())
        assert found.rel_l2 == pytest.approx(float((q - p).norm() / p.norm()), rel=1e-12)
        assert found.differing == int((x.int_repr() != y.int_repr()).logical_or(p != q).sum())
        assert found.first == 0


def test_another_scale_alone_is_a_change(folder: Path) -> None:
    with torch_files.prototypes():
        zeros = [
            torch._make_per_tensor_quantized_tensor(torch.zeros(5, dtype=torch.int8), scale, 0)
            for scale in (0.5, 0.25)
        ]
    pair = compare_one(folder, *zeros)
    assert pair.status == Status.CHANGED
    assert pair.metrics is not None
    assert (pair.metrics.differing, pair.metrics.max_abs) == (0, 0)


def test_sparse_tensors(folder: Path) -> None:
    made = torch_files.sparse()
    same = compare(folder, made, torch_files.sparse() | {"coo hybrid": made["coo hybrid"]})
    assert {pair.status for pair in same.values()} == {Status.IDENTICAL}
    dense = torch.zeros(4, 6)
    dense[0, 1], dense[2, 3], dense[3, 0] = 1, 2.5, 3
    with torch_files.prototypes():
        other = made | {"coo": dense.to_sparse(), "csr": dense.to_sparse_csr()}
        dense[1, 1] = 1
        other |= {"csc": dense.to_sparse_csc()}
        places = torch.tensor([[0, 2, 3], [1, 3, 0]])
        turned = torch.sparse_coo_tensor(places.flip(1), torch.tensor([3.0, 2.0, 1.0]), (4, 6))
        other |= {"bsr": made["bsr"].clone()}
    found = compare(folder, made, other)
    for name in ("coo", "csr"):
        metrics = found[name].metrics
        assert found[name].status == Status.CHANGED
        assert metrics is not None
        assert (metrics.count, metrics.max_abs, metrics.first) == (3, 0.5, 1)
    # Another number of values: nothing to subtract.
    assert (found["csc"].status, found["csc"].metrics) == (Status.CHANGED, None)
    assert found["bsr"].status == Status.IDENTICAL
    # The same values, listed in another order: other bits, and no pairs of values.
    pair = compare_one(folder, made["coo"], turned)
    assert (pair.status, pair.metrics, pair.error) == (Status.CHANGED, None, "")


def test_tolerance_is_for_values_and_not_for_indices(folder: Path) -> None:
    with torch_files.prototypes():
        one = torch.sparse_coo_tensor([[0, 100]], [1.0, 2.0], (1000,)).coalesce()
        near = torch.sparse_coo_tensor([[0, 100]], [1.0, 2.01], (1000,)).coalesce()
        beside = torch.sparse_coo_tensor([[0, 101]], [1.0, 2.0], (1000,)).coalesce()
    tolerance = Tolerance(0.1, 1.0)
    assert compare_one(folder, one, near, tolerance=tolerance).status == Status.IDENTICAL
    assert compare_one(folder, one, beside, tolerance=tolerance).status == Status.CHANGED


def test_nested_tensors(folder: Path) -> None:
    made = torch_files.nested()
    with torch_files.prototypes():
        parts = [part.clone() for part in made["strided"].unbind()]
        assert (
            compare_one(folder, made["strided"], torch.nested.nested_tensor(parts)).status
            == Status.IDENTICAL
        )
        parts[1][2, 4] += 0.5
        pair = compare_one(folder, made["strided"], torch.nested.nested_tensor(parts))
    assert pair.status == Status.CHANGED
    assert pair.metrics is not None
    assert pair.metrics.max_abs == pytest.approx(0.5)
    assert (pair.metrics.count, pair.metrics.first) == (25, 24)


def test_wrapping_subclasses(folder: Path) -> None:
    codes, scale = torch.arange(12, dtype=torch.int8).reshape(3, 4), torch.rand(3)
    one = torch_files.TwoPart(codes, scale)
    same = torch_files.TwoPart(codes.clone(), scale.clone())
    other = torch_files.TwoPart(codes, scale + 1)
    statuses = [compare(folder, {"x": one}, {"x": second})["x"].status for second in (same, other)]
    assert statuses == [Status.IDENTICAL, Status.CHANGED]


# --- what is no pair of equal tensors


def test_other_dtypes_are_measured_by_value_and_stay_mismatched(folder: Path) -> None:
    a = torch.randn(2500)
    cast = a.bfloat16()
    pair = compare_one(folder, a, cast)
    assert (pair.status, pair.evidence) == (Status.MISMATCHED, Evidence.HEADER)
    assert pair.metrics is not None
    apart = (cast.double() - a.double()).abs()
    assert pair.metrics.max_abs == float(apart.max())
    assert pair.metrics.differing == int((apart > 0).sum())
    assert pair.metrics.rel_l2 == pytest.approx(float(apart.norm() / a.double().norm()))
    small = torch.arange(100, dtype=torch.uint8)
    pair = compare_one(folder, small, small.to(torch.int8))
    assert pair.metrics is not None
    assert (pair.metrics.differing, pair.metrics.max_abs) == (0, 0)
    shapes = compare_one(folder, a, a[:10])
    assert (shapes.status, shapes.metrics, shapes.error) == (Status.MISMATCHED, None, "")


def test_errors_are_told_and_leave_the_status(folder: Path) -> None:
    meta = torch.empty(3, device="meta")
    pair = compare_one(folder, meta, meta)
    assert (pair.status, pair.evidence) == (Status.UNCOMPARED, Evidence.HEADER)
    assert "meta device" in pair.error
    a = {"cut": torch.rand(1000), "fine": torch.rand(10)}
    one, two = folder / "a.safetensors", folder / "b.safetensors"
    save_file(a, one)
    save_file(a, two)
    comparison, pairs = pairs_of(one, two)
    two.write_bytes(two.read_bytes()[:-100])
    found = {step.pair.key: step.pair for step in measuring(comparison, pairs) if step.pair}
    assert all("changed after it was opened" in pair.error for pair in found.values())
    assert {pair.status for pair in found.values()} == {Status.UNCOMPARED}


def test_another_format(folder: Path) -> None:
    a = {"x": torch.randn(70, 50), "y": torch.randn(4).half()}
    save_file(a, folder / "b.safetensors")
    found = compare_files(torch_files.write(a, folder / "a.pth"), folder / "b.safetensors")
    assert {pair.status for pair in found.values()} == {Status.IDENTICAL}
    old = torch_files.write(a, folder / "old.pth", legacy=True)
    found = compare_files(old, folder / "b.safetensors")
    assert {pair.status for pair in found.values()} == {Status.IDENTICAL}


def test_a_tensor_that_only_one_file_has_is_refused(folder: Path) -> None:
    comparison, pairs = pairs_of(*[torch_files.write({"x": torch.ones(1)}, folder / "a.pth")] * 2)
    with pytest.raises(ValueError, match="in one file only"):
        list(measuring(comparison, [KeyPair("x", "", pairs[0].a, None, Status.MISSING)]))


# --- the work itself


def test_without_metrics_reading_stops_at_the_first_difference(folder: Path) -> None:
    a = torch.zeros(8 << 20, dtype=torch.uint8)
    b = a.clone()
    b[3] = 1
    comparison, pairs = pairs_of(
        torch_files.write({"x": a}, folder / "a.pth"), torch_files.write({"x": b}, folder / "b.pth")
    )
    read: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        from inspector_app.checkpoint.value_bytes import BlockFile

        real = BlockFile.read_into

        def noted(self: BlockFile, offset: int, block: memoryview) -> int:
            read.append(len(block))
            return real(self, offset, block)

        patch.setattr(BlockFile, "read_into", noted)
        list(measuring(comparison, pairs, metrics=False, threads=1))
    assert (pairs[0].status, pairs[0].metrics) == (Status.CHANGED, None)
    assert sum(read) <= 3 << 20


def test_closing_stops_the_threads(folder: Path) -> None:
    a = {str(place): torch.full((1 << 20,), float(place)) for place in range(12)}
    b = {name: tensor + 1 for name, tensor in a.items()}
    comparison, pairs = pairs_of(
        torch_files.write(a, folder / "a.pth"), torch_files.write(b, folder / "b.pth")
    )
    steps = measuring(comparison, pairs, wait=0)
    assert isinstance(next(steps), Measured)
    begin = time.monotonic()
    steps.close()
    assert threading.active_count() == 1
    assert time.monotonic() - begin < 5  # no promise: only that it ends
    assert any(pair.status == Status.UNCOMPARED for pair in pairs)


def test_a_failure_reaches_the_caller(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = {"x": torch.rand(10), "y": torch.rand(300_000)}
    comparison, pairs = pairs_of(*[torch_files.write(tensors, folder / "a.pth")] * 2)

    def broken(*_: object) -> bool:
        raise RuntimeError("a bug")

    monkeypatch.setattr("inspector_app.analysis.pair_passes.equal_bits", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        list(measuring(comparison, pairs))


def test_no_pairs(folder: Path) -> None:
    comparison, _ = pairs_of(*[torch_files.write({}, folder / "a.pth")] * 2)
    steps = list(measuring(comparison, []))
    assert steps == [Measured(None, 0, 0)]


def packed(path: Path) -> Path:
    """The same archive with its entries deflated."""
    other = path.with_name(f"packed-{path.name}")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(other, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
    return other


def test_packed_entries_are_read_in_order(folder: Path) -> None:
    a = torch.arange(700_000, dtype=torch.int32)
    b = a.clone()
    b[600_000] = -1
    paths = [
        packed(torch_files.write({"x": tensor}, folder / f"{name}.pth"))
        for name, tensor in (("a", a), ("b", b))
    ]
    check(compare_files(paths[0], paths[1])["x"], a, b)


def test_many_views_of_a_packed_entry(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In any other order it would be unpacked more often than is allowed."""
    monkeypatch.setattr("inspector_app.checkpoint.value_decoders._AGAIN", 1)
    monkeypatch.setattr("inspector_app.analysis.content.open_values", _with_little_room)
    whole = torch.randn(80, 30_000)
    views = {str(place): whole[37 * place % 80] for place in range(80)}
    path = packed(torch_files.write(views, folder / "a.pth"))
    found = compare_files(path, path)
    assert {(pair.status, pair.error) for pair in found.values()} == {(Status.IDENTICAL, "")}


def _with_little_room(checkpoint: Checkpoint) -> ValueReader:
    return open_values(checkpoint, DEFAULT._replace(inflated_bytes=0))


def test_after_warming_up_nothing_is_compiled(tmp_path: Path) -> None:
    """Every kernel has been called with the very types that comparing uses."""
    a = {dtype: moderate(dtype, 20_000, 1) for dtype in DTYPES}
    b = {dtype: spoiled(tensor, 0.5, 2) for dtype, tensor in a.items()}
    a["huge"], b["huge"] = torch.ones(9).double() * 1e200, torch.ones(9).double()
    a["mixed"], b["mixed"] = torch.randn(999), torch.randn(999).half()
    paths = torch_files.write(a, tmp_path / "a.pth"), torch_files.write(b, tmp_path / "b.pth")
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from inspector_app.analysis import pair_kernels\n"
        "from inspector_app.analysis.pair_warm_up import warm_up_pairs\n"
        "from tests.analysis.test_content import compare_files\n"
        "def forms():\n"
        "    return {name: len(kernel.signatures) for name, kernel in vars(pair_kernels).items()\n"
        "            if hasattr(kernel, 'signatures')}\n"
        "warm_up_pairs()\n"
        "before = forms()\n"
        "found = compare_files(*map(Path, sys.argv[1:]))\n"
        "assert all(pair.metrics for pair in found.values())\n"
        "assert before == forms(), (before, forms())\n"
        "assert all(count for name, count in before.items() if name[0] != '_'), before\n"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", script, *map(str, paths)], check=True, cwd=root)


def test_nothing_is_left_for_the_collector(tmp_path: Path) -> None:
    import gc

    from inspector_app.analysis.pair_work import Entry

    tied = torch.ones(40)
    made = {"one": tied, "two": tied, "other": torch.zeros(1 << 20)}
    path = torch_files.write(made, tmp_path / "a.pth")
    moved = torch_files.write({key: value + 1 for key, value in made.items()}, tmp_path / "b.pth")
    comparison = Comparison(open_checkpoint(path), open_checkpoint(moved))
    others = {tensor.name: tensor for tensor in comparison.b.tensors}
    gc.collect()
    gc.disable()
    try:
        for whole in (True, False):
            pairs = [
                KeyPair(tensor.name, "", tensor, others[tensor.name], Status.UNCOMPARED)
                for tensor in comparison.a.tensors
            ]
            steps = measuring(comparison, pairs)
            for _ in steps:
                if not whole:
                    break
            steps.close()
            assert not [each for each in gc.get_objects() if type(each) is Entry]
    finally:
        gc.enable()
