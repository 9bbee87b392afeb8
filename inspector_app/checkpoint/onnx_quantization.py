"""Which initializers of an ONNX model are quantized, and by which scales.

A graph says so by the nodes that read them: DequantizeLinear has the integers, their scale
and zero point as inputs (``onnx/defs/quantization``), and an axis. MatMulInteger and
ConvInteger have integers and zero point; the scale is applied to their result, and
``onnxruntime.quantization`` calls it after the weight: ``X_quantized``, ``X_scale``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from inspector_app.checkpoint.block_scales import BLOCKS, SCALE, ZERO_POINT
from inspector_app.checkpoint.model import Quantizer, TensorInfo

DEQUANTIZE = "DequantizeLinear"
INTEGER_OPERATORS = {"MatMulInteger": -1, "ConvInteger": 0}  # and the axis of their channels
_SUFFIX, _SCALE_SUFFIX = "_quantized", "_scale"
_DEFAULT_AXIS = 1


class Use(NamedTuple):
    """A node that reads integers.

    Attributes:
        inputs: the names of its inputs.
        axis: as its attribute says, or None.
    """

    operator: str
    inputs: tuple[str, ...]
    axis: int | None


def link(uses: Iterable[Use], initializers: Mapping[str, TensorInfo]) -> None:
    """Give each quantized initializer its quantizer, and scale and zero point as parts."""
    for use in uses:
        if use.operator == DEQUANTIZE:
            names = (*use.inputs, "", "", "")[:3]
            axis = _DEFAULT_AXIS if use.axis is None else use.axis
        else:
            weight, zero_point = ((*use.inputs, "", "", "", "")[place] for place in (1, 3))
            names = weight, weight.removesuffix(_SUFFIX) + _SCALE_SUFFIX, zero_point
            axis = INTEGER_OPERATORS[use.operator]
        integers, scale = initializers.get(names[0]), initializers.get(names[1])
        if integers is None or scale is None or integers.details.quantizer is not None:
            continue
        if integers.children or integers is scale:
            continue
        rank = len(integers.shape)
        axis = axis + rank if axis < 0 else axis
        quantizer = Quantizer(BLOCKS, axis=axis if 0 <= axis < rank else None, dtype=scale.dtype)
        integers.details = integers.details._replace(quantizer=quantizer)
        parts = [(SCALE, scale), (ZERO_POINT, initializers.get(names[2]))]
        integers.children = [_part(integers, key, part) for key, part in parts if part is not None]


def _part(parent: TensorInfo, key: str, tensor: TensorInfo) -> TensorInfo:
    return TensorInfo(
        key,
        tensor.dtype,
        tensor.shape,
        tensor.stride,
        tensor.storage,
        tensor.storage_offset,
        tensor.device,
        parent=parent,
        details=tensor.details,
        type_name=tensor.type_name,
    )
