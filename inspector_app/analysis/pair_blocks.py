"""The elements of two views of equal shape, block by block, those of equal index together.

Where both views have their axes in the same order of strides, blocks are read from both as
they lie, which needs no copy if they are contiguous. Where they do not (one is transposed),
blocks are tiles: wide along the axis that is dense in A, and high along the one in B.
"""

from __future__ import annotations

from itertools import pairwise
from math import prod
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from inspector_app.checkpoint.dtypes import DType
from inspector_app.checkpoint.errors import LimitExceeded, NoValues
from inspector_app.checkpoint.model import contiguous_stride
from inspector_app.checkpoint.value_layout import Block, BlockPlan, in_storage_order, span
from inspector_app.checkpoint.values import BLOCK_BYTES, BlockBuffer, Elements

Array: TypeAlias = Any

# Of a tile whose elements lie apart, no more than so many times their bytes are read.
_SPARSE = 8
_OVERLAP = 256
_OVERLAPPING = 1 << 28
# Dequantizing by channel takes many times the bytes that are read.
_CHANNELS_TAKE = 8


class Axis(NamedTuple):
    """One axis of both views: its size, and a step in A, in B and in the row-major index."""

    size: int
    a: int
    b: int
    row: int


class PairBuffers:
    """Room for a block of each side. Each thread has its own."""

    def __init__(self) -> None:
        self.a = BlockBuffer()
        self.b = BlockBuffer()
        self.tiles: dict[tuple[str, str], Array] = {}

    def tile(self, side: str, dtype: Any, shape: tuple[int, ...]) -> Array:
        """Room for a tile of one side."""
        key, count = (side, str(dtype)), prod(shape)
        if key not in self.tiles or len(self.tiles[key]) < count:
            self.tiles[key] = np.empty(count, dtype)
        return self.tiles[key][:count].reshape(shape)


class PairBlocks:
    """The blocks of a pair of views.

    Attributes:
        repeats: how often each pair of elements occurs: more than once if both are expanded.
        axes: of the blocks, those that vary slowest first.
        in_rows: the blocks and their elements are in row-major order.

    Raises:
        NoValues: the shapes differ.
        LimitExceeded: the views show their elements too often.
    """

    def __init__(self, a: Elements, b: Elements) -> None:
        self.a, self.b = a, b
        by_channel = a.channels is not None or b.channels is not None
        if not by_channel and _is_dense(a) and a.shape == b.shape and a.stride == b.stride:
            # Nearly all are.
            axes: tuple[Axis, ...] = (Axis(prod(a.shape), 1, 1, 1),)
            self.repeats = 1
        else:
            axes, self.repeats = _joined(_axes(a, b), by_channel)
            _check_overlap(axes)
        self.axes = axes
        self._ordered = all(
            (wide.a >= dense.a and wide.b >= dense.b) or 1 in (wide.size, dense.size)
            for wide, dense in pairwise(axes)
        )
        self._steps = {"a": tuple(axis.a for axis in axes), "b": tuple(axis.b for axis in axes)}
        self.in_rows = self._ordered and all(
            wide.row >= dense.row for wide, dense in pairwise(axes)
        )
        nbytes = BLOCK_BYTES // (_CHANNELS_TAKE if by_channel else 1)
        capacity = max(min(nbytes * 8 // elements.bits for elements in (a, b)), 1)
        self._sizes = _whole(axes, capacity) if self._ordered else _tile(axes, capacity)
        self._parts = tuple(
            -(-axis.size // size) for axis, size in zip(axes, self._sizes, strict=True)
        )
        self._count = prod(self._parts)

    def __len__(self) -> int:
        return self._count

    def codes(self, number: int, buffers: PairBuffers) -> tuple[Array, Array]:
        """The elements of block `number` as codes (`Elements.codes`), in the same order, in
        the block's shape. They are overwritten when the buffers are used again."""
        return self.codes_of("a", number, buffers), self.codes_of("b", number, buffers)

    def codes_of(self, side: str, number: int, buffers: PairBuffers) -> Array:
        """Those of one side, ``a`` or ``b``."""
        elements: Elements = getattr(self, side)
        buffer: BlockBuffer = getattr(buffers, side)
        first, shape = self.place(number)
        steps = self._steps[side]
        start = elements.offset + sum(i * step for i, step in zip(first, steps, strict=True))
        extent, count = span(shape, steps), prod(shape)
        room = BLOCK_BYTES * 8 // elements.bits
        if self._ordered or extent <= min(room, _SPARSE * count):
            return elements.codes(Block(start, first, shape, extent), steps, buffer)
        order = in_storage_order(steps)
        sizes, strides = (tuple(of[axis] for axis in order) for of in (shape, steps))
        plan = BlockPlan(start, sizes, strides, min(_read_at_once(sizes, strides), room))
        tile: Array | None = None
        for part in range(len(plan)):
            block = plan.block(part)
            codes = elements.codes(block, strides, buffer)
            if tile is None:
                tile = buffers.tile(side, codes.dtype, shape)
            at = tuple(slice(i, i + n) for i, n in zip(block.first, block.shape, strict=True))
            tile.transpose(order)[at] = codes
        assert tile is not None
        return tile

    def place(self, number: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The index of the first element of block `number` in `axes`, and its shape."""
        if len(self.axes) == 1:
            start = number * self._sizes[0]
            return (start,), (min(self._sizes[0], self.axes[0].size - start),)
        first, shape = [], []
        for axis, size, parts in reversed(
            list(zip(self.axes, self._sizes, self._parts, strict=True))
        ):
            number, part = divmod(number, parts)
            first.append(part * size)
            shape.append(min(size, axis.size - part * size))
        return tuple(reversed(first)), tuple(reversed(shape))

    def first_index(self, number: int) -> int:
        """The least row-major index of the elements of block `number`."""
        first = self.place(number)[0]
        return sum(i * axis.row for i, axis in zip(first, self.axes, strict=True))

    def least_index(self, number: int, chosen: Array) -> int:
        """The least row-major index of those elements of block `number` that are chosen.

        Args:
            chosen: of each element whether it is, at least one.
        """
        places = chosen.argmax()[None] if self.in_rows else np.flatnonzero(chosen)
        return int(self.row_indices(number, places).min())

    def row_indices(self, number: int, places: Array) -> Array:
        """The row-major indices, int64, of elements at `places` of block `number`.

        Of pairs that are repeated it is the first.
        """
        first = self.first_index(number)
        if len(self.axes) == 1:
            return first + places * self.axes[0].row
        shape = self.place(number)[1]
        found = np.full(len(places), first, np.int64)
        for axis, size in reversed(list(zip(self.axes, shape, strict=True))):
            places, part = np.divmod(places, size)
            found += part * axis.row
        return found


def differing_codes(a: Array, b: Array) -> Array:
    """Of each element whether its code differs, flat; of 16 bytes it is both halves."""
    one, two = a.reshape(-1), b.reshape(-1)
    if one.itemsize == 16:
        return (one.view(np.uint64) != two.view(np.uint64)).reshape(-1, 2).any(axis=1)
    return one != two


def bits_of(values: Array) -> Array:
    """float64 as codes; of complex128 nothing is to be done."""
    return values if values.itemsize == 16 else values.view(np.uint64)


def values_of(
    elements: Elements, codes: Array, first: tuple[int, ...], shape: tuple[int, ...]
) -> Array:
    """The values of codes in the shape of their block, which begins at the index `first`."""
    values = elements.decode(codes)
    if elements.channels is None:
        return values
    taken = [range(start, start + size) for start, size in zip(first, shape, strict=True)]
    return elements.channels.dequantized(values, range(len(shape)), taken)


def _is_dense(elements: Elements) -> bool:
    return elements.stride == contiguous_stride(elements.shape)


def _axes(a: Elements, b: Elements) -> list[Axis]:
    """The axes of both views, in the order of their shape."""
    shapes, strides = [a.shape, b.shape], [a.stride, b.stride]
    if len(a.shape) != len(b.shape):
        # Of packed pairs one side has them as an axis of its own: the other gets one, too.
        short = 0 if len(a.shape) < len(b.shape) else 1
        shape, stride = shapes[short], strides[short]
        if shape and shape[-1] % 2 == 0 and shapes[1 - short][-1] == 2:
            shapes[short] = (*shape[:-1], shape[-1] // 2, 2)
            strides[short] = (*stride[:-1], 2 * stride[-1], stride[-1])
    if shapes[0] != shapes[1]:
        # Such as the stored values of sparse tensors.
        raise NoValues("no-values", reason="the two have other numbers of values")
    return [
        Axis(*each) for each in zip(shapes[0], *strides, contiguous_stride(shapes[0]), strict=True)
    ]


def _joined(axes: list[Axis], keep: bool) -> tuple[tuple[Axis, ...], int]:
    """The axes in A's storage order; joined where steps allow, and how often pairs occur."""
    if keep:
        return tuple(axes), 1
    repeats = 1
    found: list[Axis] = []
    for axis in sorted(axes, key=lambda axis: (-axis.a, -axis.b, -axis.row)):
        if axis.size == 1:
            continue
        if axis.size and axis.a == axis.b == 0:
            repeats *= axis.size
            continue
        if found and axis.size:
            wide = found[-1]
            if wide[1:] == (axis.size * axis.a, axis.size * axis.b, axis.size * axis.row):
                found[-1] = Axis(wide.size * axis.size, *axis[1:])
                continue
        found.append(axis)
    return tuple(found), repeats


def _check_overlap(axes: tuple[Axis, ...]) -> None:
    sizes = [axis.size for axis in axes]
    spans = [span(sizes, [getattr(axis, side) for axis in axes]) for side in ("a", "b")]
    if prod(sizes) > max(_OVERLAPPING, _OVERLAP * max(spans)):
        raise LimitExceeded("limit", what="how often a view shows the same element", limit=_OVERLAP)


def _whole(axes: tuple[Axis, ...], capacity: int) -> tuple[int, ...]:
    """Sizes of blocks that span at most `capacity` elements on either side."""
    sizes = [1] * len(axes)
    count, extents = 1, [1, 1]
    for place in range(len(axes) - 1, -1, -1):
        axis = axes[place]
        size = min(axis.size, capacity // count)
        for extent, step in zip(extents, (axis.a, axis.b), strict=True):
            if step:
                size = min(size, (capacity - extent) // step + 1)
        sizes[place] = size = max(size, 1)
        count *= size
        extents = [
            extent + (size - 1) * step
            for extent, step in zip(extents, (axis.a, axis.b), strict=True)
        ]
        if size < axis.size:
            break
    return tuple(sizes)


def _tile(axes: tuple[Axis, ...], capacity: int) -> tuple[int, ...]:
    """Sizes of tiles that are long along the dense axes of both sides."""
    sizes = [1] * len(axes)
    # As long in A as in B.
    for side, most in (("a", int(capacity**0.5)), ("b", capacity), ("a", capacity)):
        order = in_storage_order([getattr(axis, side) for axis in axes])
        for place in reversed(order):
            others = prod(sizes) // sizes[place]
            sizes[place] = max(min(axes[place].size, most // others), sizes[place], 1)
            if sizes[place] < axes[place].size:
                break
    return tuple(sizes)


def _read_at_once(sizes: tuple[int, ...], strides: tuple[int, ...]) -> int:
    """How many elements of the storage to read at once: few where they lie far apart."""
    count = extent = 1
    for size, step in reversed(list(zip(sizes, strides, strict=True))):
        wider = extent + (size - 1) * step
        if wider > _SPARSE * count * size:
            break
        extent, count = wider, count * size
    return extent


def resolved(codes: Array, dtype: DType, conjugate: bool, negative: bool) -> Array:
    """Codes of the values, where a lazy conjugate or negative stands for others.

    Args:
        codes: flat; they may be overwritten.
    """
    if dtype.kind == "complex":
        part = f"u{codes.itemsize // 2}"
        parts = codes.view(part).reshape(-1, 2)
        sign = np.array(1 << (4 * codes.itemsize - 1), part)
        if conjugate:
            parts[:, 1] ^= sign
        if negative:
            parts ^= sign
        return codes
    if not negative or dtype.kind == "bool":
        return codes
    if dtype.kind != "float":
        np.negative(codes, out=codes)
        if dtype.bits < 8:
            codes &= (1 << dtype.bits) - 1
        return codes
    sign = np.array(1 << (dtype.bits - 1), codes.dtype)
    if dtype.name.endswith("fnuz"):
        # They have one zero: with a sign it is their NaN.
        return np.where(codes & (sign - 1) == 0, codes, codes ^ sign)
    codes ^= sign
    return codes
