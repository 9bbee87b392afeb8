"""How far each layer of two compared models moved.

A layer's figure is the largest relative L2 change among its tensors, as the figures of one
tensor cannot be added to those of another without the values.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Generator, Sequence
from typing import NamedTuple

from inspector_app.analysis.comparison import Comparison, KeyPair, Metrics, Status
from inspector_app.checkpoint.model import SectionKind

_PARTS = (SectionKind.MODEL, SectionKind.EMA, "")
_PAIRS_A_STEP = 2_000


class LayerChange(NamedTuple):
    """One layer: the pairs whose keys differ in their last part alone.

    Attributes:
        name: text from the file, not yet made plain.
        change: the largest ‖b − a‖₂ / ‖a‖₂ of its tensors; infinite where A's are all zero
            and B's are not; None where nobody has measured one that changed.
        pair: whose change that is.
        tensors: how many pairs it has.
    """

    name: str
    change: float | None
    pair: KeyPair
    tensors: int


def relative_change(metrics: Metrics) -> float | None:
    """The relative L2 change; infinite where A is all zero and B is not."""
    if metrics.rel_l2 is None and metrics.max_abs:
        return math.inf
    return metrics.rel_l2


def is_counter(pair: KeyPair) -> bool:
    """A single integer, such as ``num_batches_tracked``: it counts, and is no weight that moves."""
    tensor = pair.a if pair.a is not None else pair.b
    return tensor is not None and tensor.shape == () and "int" in tensor.dtype


def layers_of(comparison: Comparison) -> Generator[None, None, list[LayerChange]]:
    """The layers of the compared models in A's order, of pairs with equal shapes; in steps.

    Counters belong to none.
    """
    layers: dict[str, list[KeyPair]] = {}
    for number, pair in enumerate(comparison.pairs):
        if number % _PAIRS_A_STEP == _PAIRS_A_STEP - 1:
            yield
        if pair.a is None or pair.b is None or "shape" in pair.reasons:
            continue
        if pair.part in _PARTS and not is_counter(pair):
            layers.setdefault(pair.key.rpartition(".")[0] or pair.key, []).append(pair)
    found = []
    for number, (name, pairs) in enumerate(layers.items()):
        if number % _PAIRS_A_STEP == _PAIRS_A_STEP - 1:
            yield
        found.append(_layer(name, pairs))
    return found


def _layer(name: str, pairs: Sequence[KeyPair]) -> LayerChange:
    most, which = 0.0, pairs[0]
    for pair in pairs:
        if pair.status == Status.IDENTICAL:
            continue
        change = relative_change(pair.metrics) if pair.metrics is not None else None
        if change is None:
            return LayerChange(name, None, pair, len(pairs))
        if change > most:
            most, which = change, pair
    return LayerChange(name, most, which, len(pairs))


def most_moved(layers: Sequence[LayerChange], count: int) -> list[LayerChange]:
    """Those that moved most, the first most; none that did not move."""
    moved = [(-layer.change, number) for number, layer in enumerate(layers) if layer.change]
    return [layers[number] for _, number in heapq.nsmallest(count, moved)]
