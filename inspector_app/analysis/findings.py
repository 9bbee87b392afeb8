"""What in a tensor's figures is worth a warning, and an exit status of 1."""

from __future__ import annotations

from enum import Enum

from inspector_app.analysis.stats import TensorStats
from inspector_app.analysis.tensor_roles import SEVERAL, Roles
from inspector_app.checkpoint.model import Checkpoint


class Finding(Enum):
    """What a tensor is warned of; the values are how JSON names them."""

    NAN = "nan"
    INFINITY = "infinity"
    ALL_ZERO = "all-zero"


class Findings:
    """Looks at the figures of a checkpoint's tensors.

    NaN and infinities are wrong anywhere. All zeros are wrong in what should have been trained
    to something else (`tensor_roles`): a zero bias may be what training began with, and a
    counter or an optimizer's state is no weight. The overview in the window lists the same
    tensors by the same rule.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._roles = Roles(checkpoint)

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
        all_zero = values.all_zero and values.count >= SEVERAL
        if all_zero and self._roles.should_vary(result.tensor, 0.0):
            found.append(Finding.ALL_ZERO)
        return tuple(found)
