"""Charts as inline SVG: no script, no style of their own.

Colours come from classes, so that a page's style sheet decides, also in the dark. Text is
escaped here. Coordinates have one decimal: the same figures make the same text anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

WIDTH = 960
HEIGHT = 270
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 46, 36
_MOST_DECADES = 6
_MOST_DOTS = 300
_NAMED = 3
_CHARACTER = 7.6  # at most as wide is one of a name, on average
_LONGEST_NAME = 34


class Point(NamedTuple):
    """One place of `depth_chart`.

    Attributes:
        name: safe to show.
        value: at least 0; infinite where there is nothing to divide by; None if unknown.
        hint: what is said of it when it is pointed at.
    """

    name: str
    value: float | None
    hint: str


def depth_chart(points: Sequence[Point], title: str, first: str, last: str) -> Iterator[str]:
    """A stem for each point, from left to right, on a logarithmic scale.

    A logarithm has no 0: what is 0 stands on the axis, below a gap. What is infinite is a
    cross at the top.

    Args:
        title: what the chart says, for those who do not see it.
        first, last: what stands below the left and the right end.
    """
    scale = _Scale(points)
    right, base = WIDTH - _RIGHT, HEIGHT - _BOTTOM
    yield (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title)}">'
    )
    for exponent in scale.marks():
        y = scale.at(exponent)
        yield f'<path class="grid" d="M{_LEFT} {y:.1f}H{right}"/>'
        yield f'<text class="tick" x="{_LEFT - 8}" y="{y + 4:.1f}">{power(exponent)}</text>'
    yield f'<path class="axis" d="M{_LEFT} {base}H{right}"/>'
    if scale.zeros:
        yield f'<text class="tick" x="{_LEFT - 8}" y="{base + 4}">0</text>'
    step = (right - _LEFT) / max(len(points), 1)
    places = [_LEFT + step * (number + 0.5) for number in range(len(points))]
    heights = [None if point.value is None else scale.y(point.value) for point in points]
    stems = "".join(
        f"M{x:.1f} {base}V{y:.1f}"
        for x, y in zip(places, heights, strict=True)
        if y is not None and y < base
    )
    if stems:
        yield f'<path class="stem" stroke-width="{min(max(step * 0.5, 0.5), 5):.1f}" d="{stems}"/>'
    radius = 3.5 if len(points) <= _MOST_DOTS // 3 else 2.5 if len(points) <= _MOST_DOTS else 1.5
    for x, height, point in zip(places, heights, points, strict=True):
        if height is None or point.value is None:
            continue
        hint = f"<title>{escape(point.hint)}</title>"
        if math.isinf(point.value):
            place = f"M{x - 4:.1f} {height - 4:.1f}"
            yield f'<path class="cross" d="{place}l8 8m0-8l-8 8">{hint}</path>'
        else:
            kind = "dot" if point.value else "dot zero"
            place = f'cx="{x:.1f}" cy="{height:.1f}"'
            yield f'<circle class="{kind}" {place} r="{radius}">{hint}</circle>'
    yield from _names(points, places, heights)
    yield f'<text class="end" x="{_LEFT}" y="{HEIGHT - 12}">{escape(_cut(first))}</text>'
    if last != first:
        yield (f'<text class="end last" x="{right}" y="{HEIGHT - 12}">{escape(_cut(last))}</text>')
    yield "</svg>"


def _names(
    points: Sequence[Point], places: Sequence[float], heights: Sequence[float | None]
) -> Iterator[str]:
    """The names of the highest points, where there is room above what is drawn."""
    ranked = sorted(
        (number for number, point in enumerate(points) if point.value),
        key=lambda number: (-(points[number].value or 0.0), number),
    )
    taken: list[tuple[float, float]] = []
    for number in ranked[:_NAMED]:
        name = _cut(points[number].name)
        half = len(name) * _CHARACTER / 2
        x = min(max(places[number], _LEFT + half), WIDTH - half)
        if any(x - half < right and left < x + half for left, right in taken):
            continue
        taken.append((x - half, x + half))
        below = [
            y
            for place, y in zip(places, heights, strict=True)
            if y is not None and abs(place - x) < half + 4
        ]
        y = min(below) - 9
        yield f'<text class="name" x="{x:.1f}" y="{y:.1f}">{escape(name)}</text>'


class _Scale:
    """Where a value stands."""

    def __init__(self, points: Sequence[Point]) -> None:
        values = [point.value for point in points if point.value is not None]
        finite = [math.log10(value) for value in values if 0 < value < math.inf]
        self.zeros = len(finite) < len(values)
        low, high = (min(finite), max(finite)) if finite else (-1.0, 0.0)
        self._low = math.floor(low - 0.05)
        self._high = max(math.ceil(high), self._low + 1)
        self._base = HEIGHT - _BOTTOM
        # Where some are 0 the least of the others stands above a gap.
        self._floor = self._base - (18 if self.zeros else 0)

    def y(self, value: float) -> float:
        if value <= 0:
            return float(self._base)
        if math.isinf(value):
            return _TOP - 18.0
        return self.at(math.log10(value))

    def at(self, exponent: float) -> float:
        """Of a power of ten, which may be none that a float can be."""
        share = (exponent - self._low) / (self._high - self._low)
        return self._floor - share * (self._floor - _TOP)

    def marks(self) -> range:
        """Exponents of ten, few enough to be read."""
        step = -(-(self._high - self._low) // _MOST_DECADES)
        return range(self._low, self._high + 1, step)


class Share(NamedTuple):
    """A part of `share_bar`; `kind` is its class."""

    kind: str
    keys: int
    hint: str


def share_bar(shares: Sequence[Share], title: str) -> str:
    """One bar, whose parts are as wide as their counts; the least is still seen."""
    shown = [share for share in shares if share.keys]
    least, gap = 5.0, 2.0
    room = WIDTH - gap * (len(shown) - 1)
    total = sum(share.keys for share in shown)
    small = [share for share in shown if room * share.keys < least * total]
    rest = sum(share.keys for share in shown if share not in small)
    wide = room - least * len(small)
    parts, x = [], 0.0
    for share in shown:
        width = least if share in small else wide * share.keys / rest
        parts.append(
            f'<rect class="{escape(share.kind)}" x="{x:.1f}" width="{width:.1f}" height="14">'
            f"<title>{escape(share.hint)}</title></rect>"
        )
        x += width + gap
    return (
        f'<svg class="shares" viewBox="0 0 {WIDTH} 14" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(title)}">{"".join(parts)}</svg>'
    )


def meter(share: float) -> str:
    """A small bar in a table, as long as `share` of its room; the figure stands beside it."""
    width = min(max(share, 0.0), 1.0) * 120
    return (
        '<svg class="meter" viewBox="0 0 120 8" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="room" width="120" height="8"/>'
        f'<rect class="fill" width="{max(width, 1.0):.1f}" height="8"/></svg>'
    )


def power(exponent: int) -> str:
    """``10⁻³``; ``1`` and ``10`` in full."""
    if exponent in (0, 1):
        return str(10**exponent)
    digits = str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"10{digits}"


def _cut(name: str) -> str:
    """The end of a key tells more than its beginning."""
    return name if len(name) <= _LONGEST_NAME else f"…{name[-_LONGEST_NAME + 1 :]}"
