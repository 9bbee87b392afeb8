"""What in a tensor's figures is worth a warning."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from inspector_app.analysis.stats import TensorStats
from inspector_app.checkpoint.dtypes import DTYPES
from inspector_app.checkpoint.model import Checkpoint, Node, Section, SectionKind, TensorInfo

_NUMBERS = ("float", "complex", "quantized")
# Sections in which zeros are what a fresh run has.
_NO_WEIGHTS = (
    SectionKind.OPTIMIZER,
    SectionKind.SCHEDULER,
    SectionKind.SCALER,
    SectionKind.RNG,
)
# Such tensors begin as zeros, and may well stay so.
_OFTEN_ZERO = ("bias", "beta", "running_mean", "zero_point", "zero_points")


class Finding(Enum):
    """What a tensor is warned of; the values are how JSON names them."""

    NAN = "nan"
    INFINITY = "infinity"
    ALL_ZERO = "all-zero"


class Findings:
    """Looks at the figures of a checkpoint's tensors."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._no_weights = _nodes(checkpoint, _NO_WEIGHTS)

    def of(self, result: TensorStats) -> tuple[Finding, ...]:
        """What is wrong with a tensor: NaN or infinities anywhere, a weight that is all zero."""
        values = result.values
        if values is None:
            return ()
        found = []
        if values.nans:
            found.append(Finding.NAN)
        if values.infinities:
            found.append(Finding.INFINITY)
        if values.all_zero and self.is_weight(result.tensor):
            found.append(Finding.ALL_ZERO)
        return tuple(found)

    def is_weight(self, tensor: TensorInfo) -> bool:
        """A trained tensor that should not be zero all over.

        Biases and running means are none, nor are counters, or states of an optimizer.
        """
        dtype = DTYPES.get(tensor.dtype)
        if dtype is None or dtype.kind not in _NUMBERS or not tensor.shape:
            return False
        if str(tensor.key).rpartition(".")[2].lower().endswith(_OFTEN_ZERO):
            return False
        node: Node | None = tensor
        while node is not None:
            if id(node) in self._no_weights:
                return False
            node = node.parent
        return True


def _nodes(checkpoint: Checkpoint, kinds: Iterable[str]) -> set[int]:
    sections: list[Section] = [s for s in checkpoint.sections if s.kind in kinds]
    nodes = (checkpoint.find(section.path) for section in sections)
    return {id(node) for node in nodes if node is not None}
