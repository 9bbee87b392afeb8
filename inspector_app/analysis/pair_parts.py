"""Which views of bytes a pair of tensors consists of, and what their outcomes say about it.

A strided tensor is one part. A sparse or nested one, one quantized by channel and a wrapping
subclass are made of inner tensors, which are compared each with its namesake:

- If the inner ones have other names, shapes or dtypes (sparse tensors with another number of
  values), the pair is changed without a figure: there is nothing to subtract.
- The figures of a sparse or nested tensor are those of its stored values, if the indices are
  the same. COO tensors that were not coalesced may list equal values in another order: their
  bits differ, and so they are changed, without figures.
- The figures of a quantized tensor are those of what its integers stand for; it is identical
  if integers, scales and zero points are.
- A wrapping subclass has the figures of its inner tensor if that is only one.
"""

from __future__ import annotations

from typing import NamedTuple

from inspector_app.analysis.comparison import Metrics
from inspector_app.checkpoint.model import TensorInfo
from inspector_app.checkpoint.values import stored


class PartOutcome(NamedTuple):
    """What became of one pair of views.

    Attributes:
        same: they have the same bits.
        within: they have, or no value is beyond the tolerance.
        metrics: if they were asked for, and the bits differ.
        error: why the bytes could not be compared, in a sentence, or "".
    """

    same: bool
    within: bool
    metrics: Metrics | None = None
    error: str = ""


class Part(NamedTuple):
    """A pair of views; `main` if its figures are those of the whole."""

    a: TensorInfo
    b: TensorInfo
    main: bool


def parts_of(a: TensorInfo, b: TensorInfo) -> list[Part] | None:
    """The pairs of views that two tensors are made of; None if those do not match."""
    found = []
    todo = [(a, b)]
    while todo:
        one, two = todo.pop()
        others = {part.key: part for part in two.inner_tensors()}
        inner = {part.key: part for part in one.inner_tensors()}
        if inner.keys() != others.keys() or one.layout != two.layout:
            return None
        if one is not a and (one.shape, one.dtype) != (two.shape, two.dtype):
            return None
        if one.storage is not None or two.storage is not None or not inner:
            found.append((one, two))
        todo += [(part, others[key]) for key, part in inner.items()]
    alone = len(found) == 1
    main = a if a.storage is not None or a.layout == "strided" else stored(a)
    return [Part(one, two, alone or one is main) for one, two in found]


class PairOutcome(NamedTuple):
    """What became of a pair; the fields are those of `PartOutcome`."""

    same: bool
    within: bool
    metrics: Metrics | None = None
    error: str = ""


def outcome_of(
    a: TensorInfo, b: TensorInfo, parts: list[Part] | None, outcomes: list[PartOutcome]
) -> PairOutcome:
    """What the outcomes of the parts say about the tensors."""
    if parts is None:
        return PairOutcome(False, False)
    for outcome in outcomes:
        if outcome.error:
            return PairOutcome(False, False, error=outcome.error)
    quantizers = a.details.quantizer, b.details.quantizer
    same = all(outcome.same for outcome in outcomes) and repr(quantizers[0]) == repr(quantizers[1])
    mains = [outcome for part, outcome in zip(parts, outcomes, strict=True) if part.main]
    if same:
        return PairOutcome(True, True, mains[0].metrics if len(mains) == 1 else None)
    if a.layout == "strided" and len(mains) == 1:
        return PairOutcome(False, mains[0].within, mains[0].metrics)
    others = [outcome for part, outcome in zip(parts, outcomes, strict=True) if not part.main]
    placed = all(outcome.same for outcome in others) and len(mains) == 1
    return PairOutcome(False, placed and mains[0].within, mains[0].metrics if placed else None)


def view_of(tensor: TensorInfo) -> tuple[object, ...]:
    """Equal for tensors that are the same view of the same bytes."""
    held = stored(tensor)
    details = held.details
    quantizer = details.quantizer
    return (
        id(held.storage) if held is tensor and held.storage is not None else id(tensor),
        held.dtype,
        held.storage_offset,
        held.shape,
        held.stride,
        details.conj,
        details.neg,
        details.big_endian,
        # By channel, scales are tensors of each: such a tensor is like none but itself.
        id(tensor) if quantizer is not None and quantizer.scale is None else quantizer,
    )


def is_sequential(tensor: TensorInfo) -> bool:
    """Its bytes are packed or made from others, and reading them backwards starts anew."""
    storage = stored(tensor).storage
    return storage is not None and (storage.record is None or storage.record.method != 0)
