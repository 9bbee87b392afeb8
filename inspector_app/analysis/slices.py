"""The slice language: which part of a tensor is meant by ``[0, :, 3]``, as numpy reads it.

Indices, slices with steps, and one ``...``. No masks, no lists, no new axes: those are not
parts that can be read from a file by place.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

LONGEST_TEXT = 1_000
MESSAGES: dict[str, str] = {
    "slice-syntax": "“{item}” is neither an index nor a slice like 2:10",
    "slice-empty": "nothing stands before or between the commas",
    "slice-brackets": "the brackets do not match",
    "slice-ellipsis": "“...” may stand once only",
    "slice-many": "{given} indices for {rank} dimensions",
    "slice-range": "index {index} is out of range for dimension {axis}, which has {size} entries",
    "slice-step": "the step of “{item}” is 0",
    "slice-long": "this is too long to be a slice",
}
_NUMBER = r"\s*([+-]?[0-9]{1,18})\s*"
_INDEX = re.compile(_NUMBER)
_SLICE = re.compile(rf"(?:{_NUMBER}|\s*):(?:{_NUMBER}|\s*)(?::(?:{_NUMBER}|\s*))?")


class SliceError(ValueError):
    """A text is no slice of a tensor; `MESSAGES` has the sentence for `code`."""

    def __init__(self, code: str, **details: object) -> None:
        super().__init__(MESSAGES[code].format(**details))
        self.code = code
        self.details = details


def parse(text: str, shape: Sequence[int]) -> tuple[slice | int, ...]:
    """What `text` chooses from a tensor of `shape`: an entry for each dimension.

    Brackets around it may be left out; no text is the whole tensor.

    Raises:
        SliceError: numpy would refuse it, or it is more than indices and slices.
    """
    if len(text) > LONGEST_TEXT:
        raise SliceError("slice-long")
    inner = text.strip()
    if inner.startswith("[") != inner.endswith("]") or inner == "[":
        raise SliceError("slice-brackets")
    if inner.startswith("["):
        inner = inner[1:-1].strip()
    items = inner.split(",") if inner else []
    if len(items) > 1 and not items[-1].strip():
        items.pop()
    rank = len(shape)
    ellipses = sum(item.strip() == "..." for item in items)
    if ellipses > 1:
        raise SliceError("slice-ellipsis")
    if len(items) - ellipses > rank:
        raise SliceError("slice-many", given=len(items) - ellipses, rank=rank)
    chosen: list[slice | int] = []
    for item in items:
        if item.strip() == "...":
            chosen += [slice(None)] * (rank - len(items) + 1)
        else:
            axis = len(chosen)
            chosen.append(_entry(item, axis, shape[axis]))
    return (*chosen, *[slice(None)] * (rank - len(chosen)))


def _entry(item: str, axis: int, size: int) -> slice | int:
    if not item.strip():
        raise SliceError("slice-empty")
    if found := _INDEX.fullmatch(item):
        index = int(found[1])
        if not -size <= index < size:
            raise SliceError("slice-range", index=index, axis=axis, size=size)
        return index
    if found := _SLICE.fullmatch(item):
        start, stop, step = (None if part is None else int(part) for part in found.groups())
        if step == 0:
            raise SliceError("slice-step", item=item.strip())
        return slice(start, stop, step)
    raise SliceError("slice-syntax", item=item.strip())


def slice_of(indices: range) -> slice:
    """The slice that chooses `indices`, which lie in one dimension."""
    if not len(indices):
        return slice(0, 0)
    stop: int | None = indices[-1] + (1 if indices.step > 0 else -1)
    return slice(indices[0], None if stop == -1 else stop, indices.step)


class Plane(NamedTuple):
    """At most two dimensions of a tensor, the others fixed: what a grid or a picture shows.

    Attributes:
        fixed: an index for each dimension of the tensor; those of the two mean nothing.
        row_axis, column_axis: the two dimensions; -1 where there is none.
        rows, columns: the indices that are shown, `range(1)` where there is no dimension.
    """

    fixed: tuple[int, ...]
    row_axis: int
    column_axis: int
    rows: range
    columns: range

    def swapped(self) -> Plane:
        """Rows for columns."""
        return Plane(self.fixed, self.column_axis, self.row_axis, self.columns, self.rows)

    def window(self, rows: slice, columns: slice) -> tuple[slice | int, ...]:
        """Slices of the tensor for a part of the plane, for `ValueReader.read`.

        What is read has the plane's dimensions in the tensor's order: transpose it if
        `row_axis` is the greater, and shape it as `len(rows) × len(columns)`.
        """
        chosen: list[slice | int] = list(self.fixed)
        if self.row_axis >= 0:
            chosen[self.row_axis] = slice_of(self.rows[rows])
        if self.column_axis >= 0:
            chosen[self.column_axis] = slice_of(self.columns[columns])
        return tuple(chosen)

    def place(self, row: int, column: int) -> tuple[int, ...]:
        """The index in the tensor of an entry of the plane."""
        index = list(self.fixed)
        if self.row_axis >= 0:
            index[self.row_axis] = self.rows[row]
        if self.column_axis >= 0:
            index[self.column_axis] = self.columns[column]
        return tuple(index)


def free_axes(items: Sequence[slice | int], shape: Sequence[int]) -> list[tuple[int, range]]:
    """The dimensions that slices leave, each with its indices in order."""
    return [
        (axis, range(shape[axis])[item])
        for axis, item in enumerate(items)
        if isinstance(item, slice)
    ]


def plane(
    items: Sequence[slice | int], shape: Sequence[int], outer: Sequence[int] = ()
) -> Plane | None:
    """The last two dimensions of a part of a tensor.

    Args:
        items: of `parse`.
        outer: the place within each further dimension of the part, in order; 0 if missing.

    Returns:
        None if an outer dimension of the part is empty: there is nothing to stand in.
    """
    free = free_axes(items, shape)
    fixed = [0 if isinstance(item, slice) else item % size for item, size in _pairs(items, shape)]
    for number, (axis, indices) in enumerate(free[:-2]):
        if not indices:
            return None
        place = outer[number] if number < len(outer) else 0
        fixed[axis] = indices[min(max(place, 0), len(indices) - 1)]
    shown = free[-2:]
    if len(shown) == 2:
        return Plane(tuple(fixed), shown[0][0], shown[1][0], shown[0][1], shown[1][1])
    if shown:
        return Plane(tuple(fixed), shown[0][0], -1, shown[0][1], range(1))
    return Plane(tuple(fixed), -1, -1, range(1), range(1))


def _pairs(items: Sequence[slice | int], shape: Sequence[int]) -> list[tuple[slice | int, int]]:
    return list(zip(items, shape, strict=True))
