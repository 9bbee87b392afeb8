"""The norms of a model's layers, as its tensors' figures come in."""

from __future__ import annotations

from math import hypot
from typing import TYPE_CHECKING

from inspector_app.checkpoint.model import TensorInfo
from inspector_app.ui.depth_chart import Point

if TYPE_CHECKING:
    from inspector_app.analysis.figures import Figures
    from inspector_app.analysis.module_sizes import Layer

# A chart has no room for more; of those side by side the largest is shown.
MOST_POINTS = 1_000


class LayerNorms:
    """The L2 norm of each layer: that of all its parameters in one vector."""

    def __init__(self, layers: list[Layer]) -> None:
        self._layers = layers
        self._layer_of = {
            id(tensor): number for number, layer in enumerate(layers) for tensor in layer.tensors
        }
        self._norms = [0.0] * len(layers)
        self._missing = [len(layer.tensors) for layer in layers]
        self._broken = [False] * len(layers)

    def __len__(self) -> int:
        return len(self._layers)

    def add(self, tensor: TensorInfo, figures: Figures) -> None:
        """What was found out about one tensor."""
        number = self._layer_of.pop(id(tensor), None)
        if number is None:
            return
        self._missing[number] -= 1
        if figures.count:
            self._norms[number] = hypot(self._norms[number], figures.l2)
        if figures.nans or figures.infinities:
            self._broken[number] = True

    def points(self) -> tuple[list[Point], list[int]]:
        """What to show, and the number of the layer that each point stands for."""
        together = -(-len(self._layers) // MOST_POINTS) or 1
        numbers = [
            max(
                range(first, min(first + together, len(self._layers))),
                key=lambda number: (self._broken[number], self._norms[number]),
            )
            for first in range(0, len(self._layers), together)
        ]
        return [self._point(number) for number in numbers], numbers

    def span(self, number: int) -> tuple[TensorInfo, TensorInfo]:
        """The first and the last tensor of a layer."""
        tensors = self._layers[number].tensors
        return tensors[0], tensors[-1]

    def _point(self, number: int) -> Point:
        known = not self._missing[number]
        value = self._norms[number] if known else None
        return Point(self._layers[number].name, value, self._broken[number])
