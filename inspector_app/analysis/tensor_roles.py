"""What a tensor is for, as far as its key and its place tell: what it begins as, and what its
scale means.

A tensor in which every value is the one that its kind begins with says only that nothing has
moved it: a fresh bias is 0, a fresh norm's scale is 1. Any other tensor of numbers that is
all zero, or constant, has lost what it was trained for, or was never initialised. The window's
list of suspicious tensors and the command's exit status ask here both, so they agree.

Sources for what they begin as: ``reset_parameters`` and the buffers of ``torch.nn`` (linear
and convolution biases may be 0 after any of ``torch.nn.init``; norms: weight 1, bias 0,
running_mean 0, running_var 1; LSTM and MultiheadAttention name theirs ``bias_ih_l0``,
``in_proj_bias``); TensorFlow's and flax's names ``beta``, ``gamma``, ``scale``,
``moving_mean``, ``moving_variance``; ``torch.optim``: states begin as 0.
"""

from __future__ import annotations

from collections.abc import Iterable

from inspector_app.checkpoint.dtypes import DTYPES
from inspector_app.checkpoint.model import Checkpoint, Node, Section, SectionKind, TensorInfo

# A single value is always equal to itself.
SEVERAL = 2
# Statistics of activations: their scale is that of the data.
ACTIVATION_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
_NUMBERS = ("float", "complex", "quantized")
_STATE = (SectionKind.OPTIMIZER, SectionKind.SCHEDULER, SectionKind.SCALER, SectionKind.RNG)
_BEGIN_AS_ZERO = ("beta", "running_mean", "moving_mean", "zero_point", "zero_points")
_BEGIN_AS_ONE = ("weight", "gamma", "scale", "running_var", "moving_variance", "weight_g")


class Roles:
    """Knows which parts of a checkpoint are no model."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._state = _nodes(checkpoint, _STATE)

    def is_state(self, tensor: TensorInfo) -> bool:
        """It is kept beside a model: it belongs to an optimizer, a scheduler, a scaler, or is
        the state of a random number generator.
        """
        node: Node | None = tensor
        while node is not None:
            if id(node) in self._state:
                return True
            node = node.parent
        return False

    def is_trained(self, tensor: TensorInfo) -> bool:
        """Its values are numbers of a model: integers count or choose, and may all be equal."""
        dtype = DTYPES.get(tensor.dtype)
        return dtype is not None and dtype.kind in _NUMBERS and not self.is_state(tensor)

    def should_vary(self, tensor: TensorInfo, value: float) -> bool:
        """Whether something is wrong if all values of `tensor` are `value`."""
        if not tensor.shape or not self.is_trained(tensor):
            return False
        return initial_value(tensor) != value

    def has_usual_scale(self, tensor: TensorInfo) -> bool:
        """Large values in it would be wrong: it has numbers of a model, not of its data."""
        dtype = DTYPES.get(tensor.dtype)
        return (
            dtype is not None
            and dtype.kind in ("float", "complex")
            and not str(tensor.key).endswith(ACTIVATION_STATISTICS)
            and not self.is_state(tensor)
        )


def initial_value(tensor: TensorInfo) -> float | None:
    """What every value is in a fresh tensor of this name; None if they differ."""
    name = str(tensor.key).rpartition(".")[2].rpartition("/")[2].lower()
    if "bias" in name or name.endswith(_BEGIN_AS_ZERO):
        return 0.0
    # A matrix called weight is none of a norm.
    if name.endswith(_BEGIN_AS_ONE) and sum(size != 1 for size in tensor.shape) <= 1:
        return 1.0
    return None


def _nodes(checkpoint: Checkpoint, kinds: Iterable[str]) -> set[int]:
    sections: list[Section] = [s for s in checkpoint.sections if s.kind in kinds]
    nodes = (checkpoint.find(section.path) for section in sections)
    return {id(node) for node in nodes if node is not None}
