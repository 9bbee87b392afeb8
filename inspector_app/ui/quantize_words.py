"""What the quantize dialog calls schemes, figures and reasons."""

from __future__ import annotations

import math

from PySide6.QtCore import QT_TRANSLATE_NOOP, QCoreApplication

from inspector_app.analysis.quantities import size_text
from inspector_app.analysis.quantization_figures import Kept
from inspector_app.analysis.quantization_schemes import Scheme, Spread

_translate = QCoreApplication.translate
_NOOP = QT_TRANSLATE_NOOP

# Below these a tensor deserves a look: what is lost is a thirtieth, or a fifth, of the values.
DOUBTFUL_DB, BAD_DB = 30.0, 14.0

_KEPT = {
    Kept.NO_WEIGHT: _NOOP("Quantize", "bias or norm"),
    Kept.NOT_FLOATING: _NOOP("Quantize", "not float"),
    Kept.STATE: _NOOP("Quantize", "training state"),
    Kept.QUANTIZED: _NOOP("Quantize", "quantized already"),
    Kept.LAYOUT: _NOOP("Quantize", "sparse, nested or wrapped"),
    Kept.SMALL_DTYPE: _NOOP("Quantize", "8 bits already"),
    Kept.EMPTY: _NOOP("Quantize", "empty"),
    Kept.UNREADABLE: _NOOP("Quantize", "cannot be read"),
}
_DTYPES = {
    "float8_e4m3fn": "fp8 e4m3",
    "float8_e5m2": "fp8 e5m2",
    "float16": "fp16",
    "bfloat16": "bf16",
}


def scheme_text(scheme: Scheme) -> str:
    """``int8, per channel``, ``int4, groups of 64, with zero point``, ``fp16``."""
    if scheme.is_cast:
        return _DTYPES.get(scheme.dtype, scheme.dtype)
    words = [f"int{scheme.bits}"]
    if scheme.spread == Spread.TENSOR:
        words.append(_translate("Quantize", "one scale per tensor"))
    elif scheme.spread == Spread.CHANNEL:
        words.append(_translate("Quantize", "one scale per channel"))
    elif scheme.spread == Spread.GROUP:
        words.append(_translate("Quantize", "groups of {n}").format(n=scheme.group))
    if scheme.affine:
        words.append(_translate("Quantize", "with zero points"))
    return ", ".join(words)


def kept_text(reason: str) -> str:
    """Why a tensor stays as it is."""
    return _translate("Quantize", _KEPT[reason])


def db_text(value: float) -> str:
    """A signal-to-noise ratio: ``41.3 dB``, ``exact``, ``overflows``."""
    if math.isnan(value):
        return "—"
    if math.isinf(value):
        exact, over = _translate("Quantize", "exact"), _translate("Quantize", "overflows")
        return exact if value > 0 else over
    return f"{value:.1f} dB"


def cosine_text(value: float) -> str:
    """``0.99987``; what is not quite 1 never looks so."""
    if math.isnan(value):
        return "—"
    text = f"{value:.5f}"
    return "0.99999…" if text == "1.00000" and value < 1 else text


def percent_text(share: float | None) -> str:
    """``0.12%``, ``97.5%``; what is neither none nor all never looks so."""
    if share is None or math.isnan(share):
        return "—"
    if 0 < share < 1e-4:
        return "<0.01%"
    if 0.9999 < share < 1:
        return ">99.99%"
    return f"{100 * share:.3g}%"


def sizes_text(before: int, after: int) -> str:
    """``46.8 MB → 12.1 MB (26 %)``."""
    share = f" ({after / before:.0%})" if before else ""
    return f"{size_text(before)} → {size_text(after)}{share}"


def damage_share(sqnr_db: float) -> float:
    """How long a bar of damage is, of 1: none from 45 dB on, all of it at 0 dB."""
    if math.isnan(sqnr_db):
        return 0.0
    return min(max((45.0 - sqnr_db) / 45.0, 0.0), 1.0)
