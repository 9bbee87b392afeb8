"""Which values a key of the target gets, in the terms of what is written."""

from __future__ import annotations

from collections.abc import Sequence

from inspector_app.analysis.out_building import Replacement
from inspector_app.analysis.output_tree import FittedValues, InitialValues, TensorValues
from inspector_app.analysis.transfer_plan import Act, Flow, Initial, TransferPlan, Where
from inspector_app.checkpoint.dtypes import DTYPES
from inspector_app.checkpoint.model import TensorInfo

_CASTABLE = ("float", "int", "uint", "bool")


def has_values(tensor: TensorInfo) -> bool:
    """Whether its values are numbers that can be put together anew: real, strided, not
    quantized."""
    dtype = DTYPES.get(tensor.dtype)
    return (
        dtype is not None
        and dtype.kind in _CASTABLE
        and bool(dtype.numpy)
        and tensor.layout == "strided"
        and tensor.storage is not None
        and tensor.details.quantizer is None
    )


def unfit(source: TensorInfo, target: TensorInfo) -> str:
    """Why the one cannot be fitted into the other, or ""."""
    if len(source.shape) != len(target.shape):
        return f"it has {len(target.shape)} dimensions and the source's has {len(source.shape)}"
    for tensor in (source, target):
        if not has_values(tensor):
            return f"it is {tensor.layout} {tensor.dtype}"
    return ""


def overlap(
    source: Sequence[int], target: Sequence[int], where: Sequence[str]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Of equally many axes: the part of the target that is filled, and the part of the source
    that fills it.

    Args:
        where: of `Where`, one for each axis or one for all.
    """
    into, out_of = [], []
    for axis, (theirs, ours) in enumerate(zip(source, target, strict=True)):
        place = where[axis] if axis < len(where) else where[-1]
        count = min(theirs, ours)
        into.append(_placed(ours, count, place))
        out_of.append(_placed(theirs, count, place))
    return tuple(into), tuple(out_of)


def _placed(size: int, count: int, place: str) -> slice:
    first = {Where.BEGIN: 0, Where.CENTRE: (size - count) // 2, Where.END: size - count}[place]
    return slice(first, first + count)


def replacement_of(plan: TransferPlan, flow: Flow) -> Replacement | None:
    """What is written for a key of the target; None keeps its own."""
    target, source, act = flow.target, flow.source, flow.choice.act
    if act == Act.TAKE and source is not None:
        cast = plan.options.cast and has_values(source) and has_values(target)
        return Replacement(plan.source, source, "taken", target.dtype if cast else "")
    if act == Act.FIT and source is not None:
        into, out_of = overlap(source.shape, target.shape, flow.choice.where)
        base: TensorValues | InitialValues = TensorValues(plan.target, target, target.dtype)
        if flow.choice.initial is not None:
            base = _initial(flow.key, target, flow.choice.initial)
        patch = TensorValues(plan.source, source, target.dtype)
        made = FittedValues(base, patch, into, out_of, target.dtype)
        return Replacement(plan.target, target, "fitted", target.dtype, made)
    if act == Act.INITIALISE:
        new = _initial(flow.key, target, flow.choice.initial or Initial())
        return Replacement(plan.target, target, "initialised", target.dtype, new)
    return None


def _initial(key: str, target: TensorInfo, initial: Initial) -> InitialValues:
    return InitialValues(
        initial.kind, target.shape, target.dtype, initial.amount, initial.seed, key
    )
