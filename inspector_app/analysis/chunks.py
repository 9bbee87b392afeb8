"""A tensor in pieces that fit into memory, and the norms of its channels."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

import numpy as np

from inspector_app.analysis.decimate import STEP_SECONDS, as_floats
from inspector_app.checkpoint.model import TensorInfo
from inspector_app.checkpoint.values import ValueReader

Array: TypeAlias = Any

CHUNK_ELEMENTS = 1 << 20
DEAD_SHARE = 1e-6
MOST_CHANNELS = 1 << 24


def windows(shape: Sequence[int], order: Sequence[int], most: int) -> Iterator[tuple[slice, ...]]:
    """Slices that cover `shape`, each of at most `most` elements.

    Args:
        order: the axes, the one that varies slowest first.
    """
    if 0 in shape:
        return
    inner = 1
    split = len(order)
    while split and inner * shape[order[split - 1]] <= most:
        split -= 1
        inner *= shape[order[split]]
    if not split:
        yield tuple(slice(0, size) for size in shape)
        return
    axis = order[split - 1]
    step = max(most // inner, 1)
    outer = order[: split - 1]
    for number in range(prod(shape[each] for each in outer)):
        chosen = [slice(0, size) for size in shape]
        for each in reversed(outer):
            number, place = divmod(number, shape[each])
            chosen[each] = slice(place, place + 1)
        for start in range(0, shape[axis], step):
            chosen[axis] = slice(start, min(start + step, shape[axis]))
            yield tuple(chosen)


@dataclass(frozen=True, slots=True, eq=False)
class ChannelNorms:
    """The L2 norm of each slice along one axis, in float64.

    Attributes:
        axis: of the channels.
        norms: one for each channel; NaN or infinite where a value is.
        dead: the channels whose norm is 0, or below `DEAD_SHARE` of the median norm.
    """

    axis: int
    norms: Array
    dead: Array


def measuring_channels(
    reader: ValueReader, tensor: TensorInfo, axis: int, raw: bool = False
) -> Generator[float, None, ChannelNorms]:
    """Norms of the channels along `axis`; yields the share that is done.

    Raises:
        CheckpointError: the values cannot be read.
        IndexError: there is no such axis.
    """
    elements = reader.elements(tensor, raw)
    shape = elements.shape
    sums: Array = np.zeros(shape[axis])
    others = tuple(each for each in range(len(shape)) if each != axis)
    done, total = 0, max(prod(shape), 1)
    order = sorted(range(len(shape)), key=lambda each: -elements.stride[each])
    stepped = time.monotonic()
    for chosen in windows(shape, order, CHUNK_ELEMENTS):
        values = as_floats(reader.read(tensor, chosen, raw)).astype(np.float64)
        with np.errstate(all="ignore"):
            sums[chosen[axis]] += np.square(values, out=values).sum(axis=others)
        done += values.size
        if time.monotonic() - stepped > STEP_SECONDS:
            yield done / total
            stepped = time.monotonic()
    norms = np.sqrt(sums)
    finite = norms[np.isfinite(norms) & (norms > 0)]
    bound = float(np.median(finite)) * DEAD_SHARE if len(finite) else 0.0
    return ChannelNorms(axis, norms, np.flatnonzero(norms <= bound))
