"""Which tensors of a checkpoint quantization leaves as they are, and why."""

from __future__ import annotations

from collections.abc import Sequence

from inspector_app.analysis.quantization_figures import Kept
from inspector_app.analysis.tensor_roles import Roles
from inspector_app.checkpoint.dtypes import DTYPES
from inspector_app.checkpoint.model import Checkpoint, TensorInfo

_SMALL = 8
_AXES_OF_A_WEIGHT = 2


def kept_reasons(checkpoint: Checkpoint, tensors: Sequence[TensorInfo]) -> list[str]:
    """Of each tensor one of `Kept`, or "" for a weight that every scheme takes."""
    roles = Roles(checkpoint)
    return [kept_reason(tensor, roles) for tensor in tensors]


def kept_reason(tensor: TensorInfo, roles: Roles) -> str:
    """One of `Kept`, or "" for a weight."""
    dtype = DTYPES.get(tensor.dtype)
    if tensor.details.quantizer is not None or isinstance(tensor.parent, TensorInfo):
        return Kept.QUANTIZED
    if dtype is None or dtype.kind != "float":
        return Kept.NOT_FLOATING
    if tensor.layout != "strided" or tensor.is_wrapper:
        return Kept.LAYOUT
    if roles.is_state(tensor):
        return Kept.STATE
    if dtype.bits <= _SMALL:
        return Kept.SMALL_DTYPE
    if 0 in tensor.shape:
        return Kept.EMPTY
    if len(tensor.shape) < _AXES_OF_A_WEIGHT:
        return Kept.NO_WEIGHT
    return ""
