"""New values for parameters, as ``torch.nn.init`` has them, from numpy's generator.

Sources of the formulas: ``torch/nn/init.py``. The numbers are not torch's own: its generator
is not reproducible from one version and device to another either.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any, TypeAlias

from inspector_app.analysis.output_tree import InitialValues
from inspector_app.saving.casting import cast

Array: TypeAlias = Any


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Inputs and outputs of each unit: torch's ``_calculate_fan_in_and_fan_out``; of vectors
    and numbers their length for both."""
    if len(shape) < 2:
        count = max(math.prod(shape), 1)
        return count, count
    field = math.prod(shape[2:])
    return max(shape[1] * field, 1), max(shape[0] * field, 1)


def spread(values: InitialValues) -> tuple[str, float]:
    """``constant`` and its value, ``normal`` and its deviation, ``uniform`` and its bound."""
    fan_in, fan_out = fans(values.shape)
    if values.kind == "zeros":
        return "constant", 0.0
    if values.kind == "ones":
        return "constant", 1.0
    if values.kind in ("normal", "uniform"):
        return values.kind, values.amount
    rule, _, kind = values.kind.partition("_")
    # kaiming: the gain of ReLU; xavier: gain 1.
    deviation = math.sqrt(2 / fan_in if rule == "kaiming" else 2 / (fan_in + fan_out))
    return kind, deviation if kind == "normal" else deviation * math.sqrt(3)


class Drawing:
    """Draws the values of one tensor from front to back, in pieces of any length."""

    def __init__(self, values: InitialValues) -> None:
        import numpy as np

        self._dtype = values.dtype
        self._kind, self._amount = spread(values)
        # A tensor's numbers do not depend on which others are drawn.
        digest = hashlib.sha256(values.name.encode("utf-8", "surrogatepass")).digest()
        seed = [values.seed & (1 << 64) - 1, int.from_bytes(digest[:8], "little")]
        self._generator = np.random.Generator(np.random.PCG64(seed))

    def take(self, count: int) -> Array:
        """The next `count` values, flat."""
        import numpy as np

        if self._kind == "constant":
            drawn: Array = np.full(count, self._amount)
        elif self._kind == "normal":
            drawn = self._generator.standard_normal(count) * self._amount
        else:
            drawn = (self._generator.random(count) * 2 - 1) * self._amount
        return cast(drawn, self._dtype)[0]
