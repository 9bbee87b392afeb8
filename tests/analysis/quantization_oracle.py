"""What torch itself makes of a weight: the reference for the preview of quantization.

The weight in float64 goes through torch's fake-quantize with the scales and zero points of
torch.ao's observers, or through `Tensor.to`; the figures are computed in float64.
"""

from __future__ import annotations

import math
import warnings

import torch
from torch.nn.functional import pad

from inspector_app.analysis.quantization_schemes import Scheme, Spread

with warnings.catch_warnings():
    warnings.simplefilter("ignore", (DeprecationWarning, FutureWarning))
    from torch.ao.quantization import MinMaxObserver, PerChannelMinMaxObserver


def round_trip(weight: torch.Tensor, scheme: Scheme) -> tuple[torch.Tensor, torch.Tensor]:
    """What becomes of finite `weight` in float64, and which values were clipped."""
    if scheme.is_cast:
        return _cast(weight, scheme)
    # As it is, not float64: the observers would make float32 of it the same way.
    rows = weight.reshape(weight.shape[0], -1).double()
    length = rows.shape[1]
    if scheme.spread == Spread.GROUP:
        missing = -length % scheme.group
        rows = pad(rows, (0, missing)).reshape(-1, scheme.group)
    by_tensor = scheme.spread == Spread.TENSOR
    name = (
        f"per_{'tensor' if by_tensor else 'channel'}_{'affine' if scheme.affine else 'symmetric'}"
    )
    kind = MinMaxObserver if by_tensor else PerChannelMinMaxObserver
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", (DeprecationWarning, FutureWarning, UserWarning))
        observer = kind(
            dtype=torch.qint8,
            qscheme=getattr(torch, name),
            quant_min=scheme.least,
            quant_max=scheme.most,
        )
    observer(rows)
    scales, zeros = observer.calculate_qparams()
    ends = scheme.least, scheme.most
    if by_tensor:
        made, mask = torch.ops.aten.fake_quantize_per_tensor_affine_cachemask(
            rows, float(scales), int(zeros), *ends
        )
    else:
        made, mask = torch.ops.aten.fake_quantize_per_channel_affine_cachemask(
            rows, scales, zeros.int(), 0, *ends
        )
    if scheme.spread == Spread.GROUP:
        made, mask = (each.reshape(weight.shape[0], -1)[:, :length] for each in (made, mask))
    return made.reshape(weight.shape), ~mask.reshape(weight.shape)


def _cast(weight: torch.Tensor, scheme: Scheme) -> tuple[torch.Tensor, torch.Tensor]:
    made = weight.to(getattr(torch, scheme.dtype)).double()
    beyond = ~made.isfinite()
    if scheme.dtype == "float8_e4m3fn":
        # Beyond the middle between the greatest number and what would follow it.
        beyond |= weight.float().abs() > 464
    return made, beyond


def figures(weight: torch.Tensor, scheme: Scheme) -> dict[str, float]:
    """The figures of `quantization_figures`, values that are not finite left out."""
    finite = weight.isfinite()
    # They choose no scale, and what they would become is not counted: as 0 they do neither.
    made, clipped = round_trip(torch.where(finite, weight, 0), scheme)
    values, made, clipped = weight.double()[finite], made[finite], clipped[finite]
    overflows = int((~made.isfinite()).sum())
    count = values.numel()
    found = {
        "overflows": overflows,
        "clipped": float(clipped.sum()) / count if count else math.nan,
        "sqnr_db": math.nan,
        "max_abs": math.nan,
        "cosine": math.nan,
    }
    if overflows:
        return {**found, "sqnr_db": -math.inf, "max_abs": math.inf}
    if not count:
        return found
    # Scaled so that no square leaves the range of float64.
    most = float(values.abs().max()) or 1.0
    error = (values - made) / most
    values, made = values / most, made / most
    signal, noise = float(values.square().sum()), float(error.square().sum())
    found["max_abs"] = float(error.abs().max()) * most
    if signal:
        found["sqnr_db"] = 10 * math.log10(signal / noise) if noise else math.inf
    norms = float(values.norm() * made.norm())
    if norms:
        found["cosine"] = float(values @ made) / norms
    return found
