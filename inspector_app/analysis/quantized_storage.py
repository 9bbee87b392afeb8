"""How a tensor is quantized, and how many bits that takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from inspector_app.checkpoint.block_scales import BLOCKS, SCALE
from inspector_app.checkpoint.model import TensorInfo
from inspector_app.checkpoint.torchao_tensors import quantized_by_torchao

# torch keeps the scale of a tensor as float64, its zero point as int64.
_OF_ONE_SCALE = 16
_PACKAGE = "torchao"


class QuantizedStorage(NamedTuple):
    """What is stored of a quantized tensor.

    Attributes:
        nbytes: of integers, scales and zero points together.
        bits: of those, for each value.
        scales: how many there are; 0 if nobody says.
        block: how many values along each axis share a scale; empty if nobody says.
    """

    nbytes: int
    bits: float
    scales: int
    block: tuple[int, ...]


def quantized_storage(tensor: TensorInfo) -> QuantizedStorage | None:
    """How `tensor` is quantized; None if it is not."""
    quantizer = tensor.details.quantizer
    of_torchao = tensor.details.python_type.partition(".")[0] == _PACKAGE
    numel = tensor.numel
    if not numel or (quantizer is None and not of_torchao):
        return None
    nbytes = tensor.nbytes
    held = tensor
    if quantizer is None:
        held = quantized_by_torchao(tensor) or tensor
    else:
        parts = sum(part.nbytes for part in tensor.inner_tensors())
        nbytes += parts if quantizer.scale is None else _OF_ONE_SCALE
    scales, block = _scales(held)
    return QuantizedStorage(nbytes, 8 * nbytes / numel, scales, block)


def _scales(tensor: TensorInfo) -> tuple[int, tuple[int, ...]]:
    quantizer, shape = tensor.details.quantizer, tensor.shape
    if quantizer is None:
        return 0, ()
    if quantizer.scale is not None:
        return 1, shape
    if quantizer.scheme != BLOCKS:
        count = shape[quantizer.axis or 0]
        return count, _by_axis(shape, quantizer.axis or 0)
    for part in tensor.inner_tensors():
        if part.key == SCALE:
            return _of_blocks(shape, part, quantizer.axis)
    return 0, ()


def _of_blocks(
    shape: Sequence[int], scale: TensorInfo, axis: int | None
) -> tuple[int, tuple[int, ...]]:
    count = scale.numel
    if count == 1:
        return 1, tuple(shape)
    if axis is not None and len(scale.shape) == 1 and count == shape[axis]:
        return count, _by_axis(shape, axis)
    if len(scale.shape) != len(shape) or any(
        not groups or size % groups for size, groups in zip(shape, scale.shape, strict=True)
    ):
        return count, ()
    return count, tuple(size // groups for size, groups in zip(shape, scale.shape, strict=True))


def _by_axis(shape: Sequence[int], axis: int) -> tuple[int, ...]:
    return tuple(1 if place == axis else size for place, size in enumerate(shape))
