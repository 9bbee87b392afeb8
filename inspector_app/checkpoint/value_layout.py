"""Which elements of a storage a view has, and in which blocks to read them.

All places and sizes are counted in elements and are Python integers: they come from a
file and may be of any size.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple


class Block(NamedTuple):
    """A part of a view that is read at once.

    Attributes:
        start: where its first element lies in the storage.
        first: the index of its first element in the view.
        shape: of the part; the strides are the view's.
        extent: how many elements of the storage it spans.
    """

    start: int
    first: tuple[int, ...]
    shape: tuple[int, ...]
    extent: int


def span(shape: Sequence[int], stride: Sequence[int]) -> int:
    """How many elements of the storage a view spans, from its first to its last."""
    if 0 in shape:
        return 0
    return 1 + sum((size - 1) * step for size, step in zip(shape, stride, strict=True))


def in_storage_order(stride: Sequence[int]) -> tuple[int, ...]:
    """The axes of a view, those that vary slowest in the storage first."""
    return tuple(sorted(range(len(stride)), key=lambda axis: -stride[axis]))


def gathered(
    shape: Sequence[int], stride: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """The same elements in storage order, with as few axes as possible.

    Returns:
        Shape, stride, and how often each element occurs: an expanded axis (stride 0) is
        left out and counted here instead.
    """
    repeats = 1
    sizes: list[int] = []
    steps: list[int] = []
    for axis in in_storage_order(stride):
        size, step = shape[axis], stride[axis]
        if size == 1:
            continue
        if step == 0 and size:
            repeats *= size
        elif sizes and steps[-1] == size * step and size:
            sizes[-1] *= size
            steps[-1] = step
        else:
            sizes.append(size)
            steps.append(step)
    return tuple(sizes), tuple(steps), repeats


class BlockPlan:
    """The blocks of a view, each within `capacity` elements; made one by one when asked for.

    Args:
        offset: of the view's first element.
        shape, stride: of the view, in storage order (`in_storage_order`).
        capacity: the most elements that a block may have, and may span.
        most_gap: beyond so many elements that are not the view's, what follows is another
            block: it costs less than to read them.
    """

    def __init__(
        self,
        offset: int,
        shape: tuple[int, ...],
        stride: tuple[int, ...],
        capacity: int,
        most_gap: int | None = None,
    ) -> None:
        self.shape = shape
        self.stride = stride
        self._offset = offset
        # The innermost axes that fit into a block are read whole, the next in pieces.
        axis, extent, count = len(shape), 1, 1
        while axis:
            size, step = shape[axis - 1], stride[axis - 1]
            wider, more = extent + (size - 1) * step, count * size
            if max(wider, more) > capacity or (most_gap is not None and step - extent > most_gap):
                break
            extent, count = wider, more
            axis -= 1
        self._split = axis - 1
        self._rows = 1
        if axis:
            step = stride[axis - 1]
            rows = capacity // max(count, 1)
            if step:
                rows = min(rows, (capacity - extent) // step + 1)
            if most_gap is not None and step - extent > most_gap:
                rows = 1
            self._rows = max(rows, 1)
        self._inner = extent
        self._outer = shape[: max(self._split, 0)]
        self._parts = -(-shape[self._split] // self._rows) if axis else 1
        self._count = 0 if 0 in shape else prod(self._outer) * self._parts

    def __len__(self) -> int:
        return self._count

    def block(self, number: int) -> Block:
        """The block `number`, counted in storage order."""
        if self._split < 0:
            return Block(self._offset, (0,) * len(self.shape), self.shape, self._inner)
        number, part = divmod(number, self._parts)
        index = [0] * len(self.shape)
        for axis in range(self._split - 1, -1, -1):
            number, index[axis] = divmod(number, self.shape[axis])
        row = part * self._rows
        rows = min(self._rows, self.shape[self._split] - row)
        index[self._split] = row
        start = self._offset + sum(i * step for i, step in zip(index, self.stride, strict=True))
        sizes = (1,) * self._split + (rows,) + self.shape[self._split + 1 :]
        return Block(
            start, tuple(index), sizes, self._inner + (rows - 1) * self.stride[self._split]
        )


class Window(NamedTuple):
    """A part of a view, as slices choose it.

    Attributes:
        offset, shape, stride: of the part; strides are never negative.
        dropped: the axes that an integer chose; they have size 1 here.
        flipped: the axes that go backwards.
        taken: of each axis the indices in the view, ascending.
    """

    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dropped: tuple[int, ...]
    flipped: tuple[int, ...]
    taken: tuple[range, ...]


def window(
    offset: int, shape: Sequence[int], stride: Sequence[int], slices: Sequence[slice | int]
) -> Window:
    """The part of a view that `slices` choose; axes that they do not name are whole.

    Raises:
        IndexError: there are more slices than axes, or an integer is out of range.
    """
    if len(slices) > len(shape):
        raise IndexError(f"{len(slices)} indices for {len(shape)} axes")
    taken = [range(size) for size in shape]
    dropped, flipped = [], []
    for axis, chosen in enumerate(slices):
        if isinstance(chosen, slice):
            indices = taken[axis][chosen]
            if indices.step < 0:
                indices = indices[::-1]
                flipped.append(axis)
        else:
            size = shape[axis]
            if not -size <= chosen < size:
                raise IndexError(f"index {chosen} is out of range for axis {axis} of size {size}")
            first = chosen % size
            indices = range(first, first + 1)
            dropped.append(axis)
        taken[axis] = indices
    sizes = tuple(map(len, taken))
    if 0 not in sizes:
        offset += sum(axis.start * step for axis, step in zip(taken, stride, strict=True))
    steps = tuple(axis.step * step for axis, step in zip(taken, stride, strict=True))
    return Window(offset, sizes, steps, tuple(dropped), tuple(flipped), tuple(taken))
