"""Which sizes and values the proof tries.

Sizes: those of the example; then each dynamic axis at its least size, one above the
example's and twice the example's, the others as in the example; then all axes at their
least and all at their largest. What the original itself does not take (a U-Net of an odd
width, positions beyond a table) is no departure.

Values: at each set of sizes the first inputs are drawn as the example is, the second are
their mirror image within the same range. A branch that hangs on a sum, a maximum or a sign
goes the other way in one of the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from inspector_app.worker.protocol import DynamicAxis

MOST_SETS = 12


@dataclass(frozen=True, slots=True)
class AxisRange:
    """The sizes that the axes of one name may have, and the one of the example."""

    least: int
    most: int | None
    example: int


def axis_ranges(axes: Iterable[DynamicAxis], example: Mapping[str, int]) -> dict[str, AxisRange]:
    """The ranges of the axes by their names; `example` has their sizes."""
    ranges: dict[str, AxisRange] = {}
    for axis in axes:
        known = ranges.get(axis.name, AxisRange(1, None, example[axis.name]))
        most = [each for each in (known.most, axis.most) if each is not None]
        least = max(known.least, axis.least or 0)
        ranges[axis.name] = AxisRange(least, min(most, default=None), known.example)
    return ranges


def size_sets(ranges: Mapping[str, AxisRange]) -> Iterator[dict[str, int]]:
    """Each set once, the example's own first; at most `MOST_SETS`."""
    example = {name: each.example for name, each in ranges.items()}
    seen = []
    for sizes in _sets(ranges, example):
        if sizes not in seen:
            seen.append(sizes)
            yield sizes
        if len(seen) == MOST_SETS:
            return


def _sets(ranges: Mapping[str, AxisRange], example: dict[str, int]) -> Iterator[dict[str, int]]:
    yield example
    if not ranges:
        return
    yield {name: each.least for name, each in ranges.items()}
    yield {name: _others(each)[-1] for name, each in ranges.items()}
    for name, each in ranges.items():
        for size in _others(each):
            yield {**example, name: size}


def _others(axis: AxisRange) -> list[int]:
    """Sizes of one axis, the largest last. One above the example is odd where it is even, and
    twice is a multiple where only multiples will do."""
    wanted = [axis.least, axis.example + 1, 2 * axis.example]
    allowed = {size for size in wanted if axis.most is None or size <= axis.most}
    if axis.most is not None and axis.most <= 2 * axis.example:
        allowed.add(axis.most)
    return sorted(allowed | {axis.least})
