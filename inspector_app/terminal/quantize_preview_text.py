"""`quantize --preview`: the costs as two tables that people read, of schemes and of tensors."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from inspector_app.analysis.quantities import count_text, size_text
from inspector_app.analysis.quantization_schemes import Scheme
from inspector_app.checkpoint.model import Checkpoint
from inspector_app.checkpoint.text import plain
from inspector_app.terminal.quantize_preview import warnings
from inspector_app.terminal.style import Style, clipped, display_width, fitted

if TYPE_CHECKING:
    from inspector_app.analysis.quantization_figures import (
        SchemeError,
        SchemeTotal,
        TensorPreview,
    )

_WIDEST_NAME = 80
_NARROWEST_NAME = 24
_GAP = "  "
_LISTED = 20
# What a terminal has room for where all schemes were asked for.
_SHOWN = ("int8-per-channel", "int4-group-128", "fp8-e4m3", "int8-per-tensor", "int4-group-32")
_MOST_COLUMNS = 6
_WHY = {
    "no-weight": "with fewer than two dimensions",
    "not-floating": "without floating-point numbers",
    "state": "beside the model (optimizer, generator)",
    "quantized": "quantized already",
    "layout": "sparse, nested or wrapped",
    "small-dtype": "of 8 bits already",
    "empty": "empty",
    "unreadable": "that cannot be read",
}
_SENTENCES = {
    "nan": "{count} NaN, which no integer can keep",
    "infinity": "{count} Inf, which no integer can keep",
    "fp16-overflow": "{count} become infinite in fp16",
}


def text_parts(
    checkpoint: Checkpoint,
    found: Sequence[TensorPreview],
    totals: Sequence[SchemeTotal],
    schemes: Sequence[Scheme],
    sorted_by: str,
    style: Style,
    table: bool = True,
) -> Iterator[str]:
    """The text, in pieces. Without `table` only the schemes and what is wrong."""
    if table and found:
        yield from _tensors(found, _columns(schemes, sorted_by, style.width), sorted_by, style)
        yield "\n"
    yield from _schemes(totals, style)
    listed = list(warnings(found))
    if listed:
        yield "\n"
    for each, code, count in listed[:_LISTED]:
        name = plain(each.tensor.name) or "''"
        sentence = _SENTENCES[code].format(count=count_text(count))
        yield style.warning(_clipped(f"{name}: {sentence}", style)) + "\n"
    if len(listed) > _LISTED:
        yield style.warning(f"and {len(listed) - _LISTED:,} more") + "\n"
    yield style.bold(_sentence(checkpoint, found)) + "\n"


def _columns(schemes: Sequence[Scheme], sorted_by: str, width: int) -> list[str]:
    """The schemes that have a column: those that matter most, as many as there is room for."""
    names = [scheme.name for scheme in schemes]
    if len(names) > _MOST_COLUMNS:
        names = [name for name in _SHOWN if name in names] or names[:_MOST_COLUMNS]
    columns = [sorted_by, *(name for name in names if name != sorted_by)]
    room = width - _NARROWEST_NAME
    while width and len(columns) > 1 and sum(len(_GAP) + max(len(c), 9) for c in columns) > room:
        columns.pop()
    return columns


def _tensors(
    found: Sequence[TensorPreview], columns: list[str], sorted_by: str, style: Style
) -> Iterator[str]:
    single = all(each.schemes.keys() <= {sorted_by} for each in found)
    heads = ["SQNR dB", "size", "after", "max abs", "cosine", "clipped"] if single else columns
    widths = [max(len(head), 9) for head in heads]
    tail = "".join(f"{_GAP}{head:>{width}}" for head, width in zip(heads, widths, strict=True))
    taken = [each for each in found if each.schemes.keys() & set(columns)]
    kept = Counter(each.kept for each in found if not each.schemes.keys() & set(columns))
    names = [plain(each.tensor.name) or "''" for each in taken]
    width = min(max(map(display_width, names), default=0), _WIDEST_NAME)
    if style.width:
        width = min(width, max(style.width - len(tail), _NARROWEST_NAME))
    width = max(width, len("tensor"))
    what = f"{sorted_by}, the most damaged first" if single else "SQNR in dB, by"
    if not single:
        what = f"{what} damage of {sorted_by}"
    yield style.bold(_clipped(what, style)) + "\n"
    yield style.dim(_clipped(f"{'tensor':<{width}}{tail}", style)) + "\n"
    for name, each in zip(names, taken, strict=True):
        shown = fitted(name, width) if style.width else name
        cells = _cells(each, sorted_by) if single else [_sqnr_in(each, s) for s in columns]
        pairs = zip(cells, widths, strict=True)
        text = "".join(f"{_GAP}{cell:>{size}}" for cell, size in pairs)
        line = shown + " " * (width - display_width(shown)) + text
        yield style.drawing(_clipped(line, style)) + "\n"
    if kept:
        reasons = ", ".join(f"{count_text(n)} {_WHY[why]}" for why, n in kept.most_common())
        yield style.dim(f"kept as they are: {reasons}") + "\n"


def _cells(found: TensorPreview, scheme: str) -> list[str]:
    here = found.schemes[scheme]
    return [
        sqnr_text(here),
        size_text(found.nbytes),
        size_text(here.nbytes),
        number_text(here.max_abs),
        cosine_text(here.cosine),
        share_text(here.clipped),
    ]


def _sqnr_in(found: TensorPreview, scheme: str) -> str:
    here = found.schemes.get(scheme)
    return "kept" if here is None else sqnr_text(here)


def _schemes(totals: Sequence[SchemeTotal], style: Style) -> Iterator[str]:
    heads = ("SQNR dB", "size", "of now", "max abs", "cosine", "clipped", "tensors")
    width = max([len(each.scheme) for each in totals], default=0)
    line = f"{'scheme':<{width}}" + "".join(f"{_GAP}{head:>9}" for head in heads)
    yield style.dim(_clipped(line, style)) + "\n"
    for each in totals:
        share = f"{100 * each.nbytes / each.nbytes_before:.1f}%" if each.nbytes_before else "-"
        cells = (
            sqnr_text(each),
            size_text(each.nbytes),
            share,
            number_text(each.max_abs),
            cosine_text(each.cosine),
            share_text(each.clipped),
            count_text(each.tensors),
        )
        line = f"{each.scheme:<{width}}" + "".join(f"{_GAP}{cell:>9}" for cell in cells)
        yield style.drawing(_clipped(line, style)) + "\n"


def sqnr_text(found: SchemeError | SchemeTotal) -> str:
    """A number of dB; words where there is none."""
    if found.overflows:
        return "overflows"
    if math.isnan(found.sqnr_db):
        return "-"
    return "exact" if math.isinf(found.sqnr_db) else f"{found.sqnr_db:.2f}"


def number_text(number: float) -> str:
    if math.isnan(number):
        return "-"
    return "inf" if math.isinf(number) else f"{number:.3g}"


def cosine_text(number: float) -> str:
    """Six digits, and never a 1 for what is only close to it."""
    if math.isnan(number):
        return "-"
    shown = f"{number:.6f}"
    return ">0.999999" if shown == "1.000000" and number < 1 else shown


def share_text(share: float) -> str:
    if math.isnan(share):
        return "-"
    percent = 100 * share
    if share and percent < 0.001:
        return "<0.001%"
    return f"{percent:.3g}%" if share else "0"


def _sentence(checkpoint: Checkpoint, found: Sequence[TensorPreview]) -> str:
    weights = sum(not each.kept for each in found)
    words = [f"{count_text(len(found))} tensor{'' if len(found) == 1 else 's'}"]
    words.append(f"{count_text(weights)} of them weights that can be quantized")
    return f"{plain(checkpoint.path)}: {', '.join(words)}"


def _clipped(line: str, style: Style) -> str:
    return clipped(line, style.width) if style.width else line
