"""torchao's quantized tensors, which wrap integers, scales and zero points.

Source: ``torchao/quantization/quantize_/workflows``: ``int8/int8_tensor.py``,
``intx/intx_unpacked_to_int8_tensor.py``, ``float8/float8_tensor.py`` of 0.13 to 0.18. Kinds
that pack or tile their integers (``Int4Tensor``, ``Int4TilePackedTo4dTensor``) are shown as
the parts that they consist of.
"""

from __future__ import annotations

from inspector_app.checkpoint.block_scales import BLOCKS, SCALE, ZERO_POINT
from inspector_app.checkpoint.model import Quantizer, TensorInfo

_KINDS = ("Int8Tensor", "IntxUnpackedToInt8Tensor", "Float8Tensor")
_INTEGERS = "qdata"


def quantized_by_torchao(tensor: TensorInfo) -> TensorInfo | None:
    """What `tensor` stores, as a quantized tensor; None if it is no such wrapper."""
    package, _, kind = tensor.details.python_type.rpartition(".")
    if kind not in _KINDS or package.partition(".")[0] != "torchao":
        return None
    parts = {part.key: part for part in tensor.inner_tensors()}
    integers, scale = parts.get(_INTEGERS), parts.get(SCALE)
    if integers is None or scale is None or integers.shape != tensor.shape:
        return None
    held = TensorInfo(
        tensor.key,
        integers.dtype,
        integers.shape,
        integers.stride,
        integers.storage,
        integers.storage_offset,
        integers.device,
        parent=tensor.parent,
        details=integers.details._replace(quantizer=Quantizer(BLOCKS, dtype=tensor.dtype)),
    )
    held.children = [part for key, part in parts.items() if key in (SCALE, ZERO_POINT)]
    return held
