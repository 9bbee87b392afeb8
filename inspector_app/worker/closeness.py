"""How far two outputs lie apart, and whether that is rounding.

Another runtime adds in another order, so the last bits differ, the more the deeper a model
is. An element is within tolerance where

    |original − result| ≤ rtol · |original| + atol · scale

`scale` is the largest finite magnitude of that output (and at least `_LEAST_SCALE`): what
rounding leaves behind grows with the values that were added, not with the one that remains
of them. Where `atol` was chosen by somebody, `scale` is 1, as `torch.testing.assert_close`
has it. Integers and truth values must be equal.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from inspector_app.worker.protocol import OutputError, ProofSettings

# (rtol, atol) of a model that computes in this dtype: roughly 1,000 and 100 units in the last
# place, which a deep network needs and a wrong operator does not keep.
BOUNDS = {
    torch.float64: (1e-9, 1e-10),
    torch.float32: (1e-4, 1e-5),
    torch.float16: (2e-2, 5e-3),
    torch.bfloat16: (5e-2, 2e-2),
}
_LEAST_SCALE = 1e-5
_ELEMENTS_A_STEP = 1 << 22


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one proof. `scaled`: `atol` counts in units of an output's largest magnitude."""

    rtol: float
    atol: float
    scaled: bool


def bounds_for(dtypes: Iterable[torch.dtype], settings: ProofSettings) -> Bounds:
    """The bounds of a model whose parameters and outputs have `dtypes`: those of the coarsest."""
    known = [BOUNDS[dtype] for dtype in dtypes if dtype in BOUNDS]
    rtol, atol = max(known, default=BOUNDS[torch.float32])
    scaled = settings.atol is None
    return Bounds(
        rtol if settings.rtol is None else settings.rtol,
        atol if settings.atol is None else settings.atol,
        scaled,
    )


def compare(name: str, original: Tensor, result: Tensor, bounds: Bounds) -> OutputError:
    """The distance of two tensors of one shape, on the CPU.

    NaN on both sides is equal, on one side alone makes the distance NaN. The relative error
    is the largest one among elements that are not smaller than the absolute tolerance: below
    it a relative error says nothing.
    """
    original, result = _real(original), _real(result)
    if not (original.is_floating_point() or result.is_floating_point()):
        return _exact(name, original, result)
    scale = _scale(original) if bounds.scaled else 1.0
    absolute = bounds.atol * scale
    max_abs = max_rel = 0.0
    within = True
    for a, b in _pieces(original, result):
        same = (a == b) | (a.isnan() & b.isnan())
        apart = torch.where(same, torch.zeros_like(a), (a - b).abs())
        if apart.isnan().any() or math.isnan(max_abs):
            return OutputError(name, math.nan, math.nan, False)
        magnitude = torch.where(a.isfinite(), a.abs(), torch.zeros_like(a))
        max_abs = max(max_abs, apart.max().item())
        counts = magnitude > absolute
        if counts.any():
            max_rel = max(max_rel, (apart[counts] / magnitude[counts]).max().item())
        within = within and bool((apart <= bounds.rtol * magnitude + absolute).all())
    return OutputError(name, max_abs, max_rel, within)


def _exact(name: str, original: Tensor, result: Tensor) -> OutputError:
    max_abs = max_rel = 0.0
    for a, b in _pieces(original, result):
        apart = (a - b).abs()
        max_abs = max(max_abs, apart.max().item())
        other = a != 0
        if other.any():
            max_rel = max(max_rel, (apart[other] / a[other].abs()).max().item())
    # Two integers that a float64 cannot tell apart are told apart here.
    return OutputError(name, max_abs, max_rel, torch.equal(original, result.to(original.dtype)))


def _scale(tensor: Tensor) -> float:
    largest = _LEAST_SCALE
    for (piece,) in _pieces(tensor):
        finite = piece[piece.isfinite()]
        if finite.numel():
            largest = max(largest, finite.abs().max().item())
    return largest


def _pieces(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Flat pieces in float64, none of them empty: no copy of a whole output."""
    flat = [tensor.reshape(-1) for tensor in tensors]
    for start in range(0, flat[0].numel(), _ELEMENTS_A_STEP):
        yield tuple(each[start : start + _ELEMENTS_A_STEP].to(torch.float64) for each in flat)


def _real(tensor: Tensor) -> Tensor:
    """Complex numbers as pairs, which is how ONNX has them; the values of quantized ones."""
    tensor = tensor.detach()
    if tensor.is_quantized:
        tensor = tensor.dequantize()
    if tensor.is_complex():
        return torch.view_as_real(tensor.resolve_conj())
    return tensor
