"""`quantize --preview`: what each scheme would cost, from the weights alone."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from inspector_app.analysis.quantities import size_text
from inspector_app.analysis.quantization_schemes import SCHEMES, Scheme, scheme_named
from inspector_app.checkpoint.model import Checkpoint
from inspector_app.checkpoint.values import open_values
from inspector_app.terminal.command import Trouble
from inspector_app.terminal.progress_line import ProgressLine, drive, share_bar
from inspector_app.terminal.stats_command import selected
from inspector_app.terminal.style import Style

if TYPE_CHECKING:
    from inspector_app.analysis.quantization_figures import (
        PreviewProgress,
        SchemeError,
        SchemeTotal,
        TensorPreview,
    )
    from inspector_app.checkpoint.errors import CheckpointError

Write = Callable[[Iterable[str]], None]
SCHEMA = 1
_MOST_THREADS = 4
# Tensors are sorted by what this does to them, if it is among those that were asked for.
SORTED_BY = "int8-per-channel"


def declare_preview(parser: argparse.ArgumentParser) -> None:
    """Add what `--preview` needs."""
    preview = parser.add_argument_group("what it would cost, without a model")
    preview.add_argument(
        "--preview",
        action="store_true",
        help="show the error of each tensor and the size of the file; writes nothing",
    )
    preview.add_argument(
        "--scheme",
        metavar="NAME",
        action="append",
        help=f"only this one; may be given several times: {', '.join(s.name for s in SCHEMES)}",
    )
    preview.add_argument(
        "--select",
        metavar="GLOB",
        action="append",
        help="only tensors whose name or key matches; may be given several times",
    )


def preview(arguments: argparse.Namespace, write: Write) -> bool:
    """Measure and print; whether values would overflow in fp16, or there are NaNs or infinities.

    Raises:
        CheckpointError: the file or a tensor's values cannot be read.
        Trouble: there is no such scheme, or no such tensor.
    """
    from inspector_app.analysis.quantization_error import previewing

    schemes = chosen_schemes(arguments.scheme)
    visible = not (arguments.no_progress or arguments.quiet)
    checkpoint = drive(arguments.file, visible)
    try:
        tensors = selected(checkpoint, arguments.select)
    except LookupError as error:
        raise Trouble(f"{arguments.file}: {error}") from None
    threads = min(os.cpu_count() or 1, _MOST_THREADS)
    line = ProgressLine(visible)
    found: list[TensorPreview] = []
    totals: tuple[SchemeTotal, ...] = ()
    with open_values(checkpoint) as reader:
        steps = previewing(reader, tensors, schemes=schemes, threads=threads)
        with closing(steps):
            try:
                for progress in steps:
                    found += progress.finished
                    totals = progress.totals
                    if line.due:
                        line.show(_bar(progress))
            finally:
                line.erase()
    key = sorting_scheme(schemes)
    found = sorted_by_damage(found, key)
    if arguments.json:
        write(json_parts(checkpoint, found, totals))
    else:
        from inspector_app.terminal.quantize_preview_text import text_parts

        style = Style.of(sys.stdout)
        write(text_parts(checkpoint, found, totals, schemes, key, style, not arguments.quiet))
    failed = _first_error(found)
    if failed is not None:
        raise failed
    return any(True for _ in warnings(found))


def chosen_schemes(names: Sequence[str] | None) -> tuple[Scheme, ...]:
    """The schemes of these names; all if there are none.

    Raises:
        Trouble: there is none of that name.
    """
    if not names:
        return SCHEMES
    try:
        return tuple(scheme_named(name) for name in dict.fromkeys(names))
    except KeyError as error:
        known = ", ".join(scheme.name for scheme in SCHEMES)
        raise Trouble(f"there is no scheme {error.args[0]!r}; there are {known}") from None


def sorting_scheme(schemes: Sequence[Scheme]) -> str:
    """The scheme by whose damage tensors are sorted."""
    names = [scheme.name for scheme in schemes]
    return SORTED_BY if SORTED_BY in names else names[0]


def sorted_by_damage(found: Sequence[TensorPreview], scheme: str) -> list[TensorPreview]:
    """Those that `scheme` takes, the most damaged first; then the others in the file's order."""

    def key(each: TensorPreview) -> tuple[bool, float, int]:
        here = each.schemes.get(scheme)
        return here is None, 0.0 if here is None else -here.damage, each.number

    return sorted(found, key=key)


def warnings(found: Sequence[TensorPreview]) -> Iterator[tuple[TensorPreview, str, int]]:
    """What is worth a warning: the tensor, a code and how many values."""
    for each in found:
        if each.nans:
            yield each, "nan", each.nans
        if each.infinities:
            yield each, "infinity", each.infinities
        half = each.schemes.get("fp16")
        if half is not None and half.overflows:
            yield each, "fp16-overflow", half.overflows


def json_parts(
    checkpoint: Checkpoint, found: Sequence[TensorPreview], totals: Sequence[SchemeTotal]
) -> Iterator[str]:
    """One JSON object, in pieces, with a newline at its end; what is undefined is null.

    `sqnr_db` is null where nothing is lost (then `max_abs` is 0) and where values overflow
    (then `overflows` is not 0). A tensor that a scheme is not among leaves it as it is, and
    `kept` says why.
    """
    yield f'{{"schema":{SCHEMA},"path":{_dump(checkpoint.path)},'
    yield f'"schemes":{_dump({each.scheme: _total(each) for each in totals})},"tensors":['
    separator = ""
    for each in found:
        yield separator + _dump(_row(each))
        separator = ","
    listed = [
        {"code": code, "name": each.tensor.name, "values": count}
        for each, code, count in warnings(found)
    ]
    yield f'],"findings":{_dump(listed)}}}\n'


def _row(found: TensorPreview) -> dict[str, object]:
    tensor = found.tensor
    row: dict[str, object] = {
        "path": [key if type(key) is int else f"{key}" for key in tensor.path],
        "name": tensor.name,
        "dtype": tensor.dtype,
        "shape": list(tensor.shape),
        "nbytes": found.nbytes,
        "kept": found.kept or None,
        "nans": found.nans,
        "infs": found.infinities,
        "schemes": {name: _cost(each) for name, each in found.schemes.items()},
    }
    if found.error is not None:
        row["error"] = {"code": found.error.code, "message": found.error.message}
    return row


def _cost(found: SchemeError) -> dict[str, object]:
    return {**_figures(found), "nbytes": found.nbytes, "padded": found.padded}


def _total(found: SchemeTotal) -> dict[str, object]:
    return {
        **_figures(found),
        "nbytes": found.nbytes,
        "nbytes_before": found.nbytes_before,
        "tensors": found.tensors,
        "kept": found.kept,
    }


def _figures(found: SchemeError | SchemeTotal) -> dict[str, object]:
    return {
        "sqnr_db": _number(found.sqnr_db),
        "max_abs": _number(found.max_abs),
        "cosine": _number(found.cosine),
        "clipped": _number(found.clipped),
        "overflows": found.overflows,
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _first_error(found: Sequence[TensorPreview]) -> CheckpointError | None:
    """Of those whose values should be in the file and cannot be read."""
    for each in found:
        if each.error is not None and each.error.code != "no-values":
            return each.error
    return None


def _bar(progress: PreviewProgress) -> str:
    sizes = f"{size_text(progress.done)} of {size_text(progress.total)}"
    return f"{share_bar(progress.done, progress.total)}  {sizes}"
