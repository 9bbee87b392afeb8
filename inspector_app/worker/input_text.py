"""Inputs and dynamic axes as people write them: ``x:1,3,224,224:float32``, ``x:0=batch``.

::

    input    NAME:SHAPE[:DTYPE[:LOW..HIGH]]   or   NAME=@FILE[:ENTRY]
    dynamic  NAME:AXIS=LABEL[:LEAST..MOST]
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from inspector_app.checkpoint.dtypes import DTYPES
from inspector_app.worker.failures import Failure
from inspector_app.worker.protocol import DynamicAxis, InputSpec

_FILES = (".npy", ".npz", ".pt", ".pth")
_MOST_AXES = 32
_MOST_SIZE = 1 << 40
_NO_INPUT = ("quantized", "bits")


def parse_input(text: str, dtype: str = "float32") -> InputSpec:
    """The input that `text` describes, of `dtype` where it names none.

    Raises:
        Failure: it describes none; the sentence says what is wrong.
    """
    name, at, file = text.partition("=@")
    if at and ":" not in name:
        return _file_input(name.strip(), file)
    name, *rest = (part.strip() for part in text.split(":"))
    if not name:
        raise Failure("bad-input", name=text, reason="it has no name")
    if not rest or len(rest) > 3:
        raise Failure("bad-input", name=name, reason="after the name come shape, dtype and range")
    shape = _shape(name, rest[0])
    dtype = (rest[1] if len(rest) > 1 else "") or dtype
    known = DTYPES.get(dtype)
    if known is None or known.kind in _NO_INPUT:
        raise Failure("bad-input", name=name, reason=f"there is no dtype {dtype}")
    low, high = _range(name, rest[2], known.kind) if len(rest) > 2 else (None, None)
    return InputSpec(name, shape, dtype, low, high)


def parse_axis(text: str) -> DynamicAxis:
    """The dynamic axis that `text` describes.

    Raises:
        Failure: it describes none.
    """
    place, equals, label = text.partition("=")
    name, colon, axis = place.rpartition(":")
    if not equals or not colon or not name or not axis.strip().isdecimal():
        raise Failure("bad-axis", axis=text, reason="it names no input and axis")
    label, colon, bounds = label.partition(":")
    if not label.strip().isidentifier():
        raise Failure("bad-axis", axis=text, reason=f"{label or 'nothing'} is no name for it")
    least: int | None = None
    most: int | None = None
    if colon:
        first, dots, last = bounds.partition("..")
        if not dots or not all(
            part.strip().isdecimal() or not part.strip() for part in (first, last)
        ):
            raise Failure("bad-axis", axis=text, reason="bounds are written 1..512")
        least = int(first) if first.strip() else None
        most = int(last) if last.strip() else None
        if least is not None and most is not None and least > most:
            raise Failure("bad-axis", axis=text, reason=f"{least} is more than {most}")
    return DynamicAxis(name.strip(), int(axis), label.strip(), least, most)


def check_axes(specs: Sequence[InputSpec], axes: Sequence[DynamicAxis]) -> None:
    """Raise `Failure` where an axis is of no input, or two disagree."""
    _check_bounds(axes)
    shapes = {spec.name: spec.shape for spec in specs}
    seen: dict[tuple[str, int], str] = {}
    sizes: dict[str, int] = {}
    for each in axes:
        place = f"{each.input}:{each.axis}"
        if each.input not in shapes:
            raise Failure("bad-axis", axis=place, reason=f"there is no input {each.input}")
        shape = shapes[each.input]
        if (each.input, each.axis) in seen:
            raise Failure("bad-axis", axis=place, reason="it is given twice")
        seen[each.input, each.axis] = each.name
        if not shape:
            continue  # a file says
        if each.axis >= len(shape):
            raise Failure("bad-axis", axis=place, reason=f"{each.input} has {len(shape)} axes")
        size = shape[each.axis]
        if sizes.setdefault(each.name, size) != size:
            raise Failure(
                "bad-axis",
                axis=place,
                reason=f"{each.name} is {size} here and {sizes[each.name]} elsewhere",
            )


def _check_bounds(axes: Sequence[DynamicAxis]) -> None:
    """Axes of one name have the bounds of all of them."""
    for axis in axes:
        same = [each for each in axes if each.name == axis.name]
        least = max(each.least or 0 for each in same)
        most = min((each.most for each in same if each.most is not None), default=None)
        if most is not None and least > most:
            reason = f"{axis.name} cannot be at least {least} and at most {most}"
            raise Failure("bad-axis", axis=f"{axis.input}:{axis.axis}", reason=reason)


def text_of(spec: InputSpec) -> str:
    """What `parse_input` reads back."""
    if spec.file:
        return f"{spec.name}=@{spec.file}" + (f":{spec.entry}" if spec.entry else "")
    text = f"{spec.name}:{','.join(map(str, spec.shape))}:{spec.dtype}"
    return text if spec.low is None or spec.high is None else f"{text}:{spec.low}..{spec.high}"


def axis_text(axis: DynamicAxis) -> str:
    """What `parse_axis` reads back."""
    text = f"{axis.input}:{axis.axis}={axis.name}"
    if axis.least is None and axis.most is None:
        return text
    least, most = ("" if each is None else str(each) for each in (axis.least, axis.most))
    return f"{text}:{least}..{most}"


def _file_input(name: str, file: str) -> InputSpec:
    entry = ""
    if not file.lower().endswith(_FILES):
        before, _, entry = file.rpartition(":")
        file = before if before.lower().endswith(_FILES) else file
    if not name:
        raise Failure("bad-input", name=file, reason="it has no name")
    if Path(file).suffix.lower() not in _FILES:
        raise Failure("bad-input", name=name, reason=f"{file} is no .npy, .npz or .pt file")
    return InputSpec(name, (), "", file=file, entry=entry)


def _shape(name: str, text: str) -> tuple[int, ...]:
    sizes = [part.strip() for part in text.split(",")] if text else []
    if not all(size.isdecimal() for size in sizes):
        raise Failure("bad-input", name=name, reason=f"{text} is no shape such as 1,3,224,224")
    if len(sizes) > _MOST_AXES or any(len(size) > 13 for size in sizes):
        raise Failure("bad-input", name=name, reason="its shape is too large")
    shape = tuple(map(int, sizes))
    if math.prod(shape) > _MOST_SIZE:
        raise Failure("bad-input", name=name, reason="its shape is too large")
    return shape


def _range(name: str, text: str, kind: str) -> tuple[float | int, float | int]:
    low_text, dots, high_text = text.partition("..")
    number: type[int] | type[float] = int if kind in ("int", "uint") else float
    try:
        low, high = number(low_text), number(high_text)
    except ValueError:
        dots = ""
        low = high = 0
    if not dots or not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise Failure("bad-input", name=name, reason=f"{text} is no range such as 0..1")
    return low, high
