"""The charts of a report: places, names and bars."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.analysis.svg_charts import (
    HEIGHT,
    WIDTH,
    Point,
    Share,
    depth_chart,
    meter,
    power,
    share_bar,
)

values = st.one_of(st.none(), st.floats(min_value=0, allow_nan=False))


def drawn(points: list[Point]) -> str:
    return "".join(depth_chart(points, "a <title>", "first & last", "last"))


def dots(text: str) -> list[tuple[float, float]]:
    found = re.findall(r'<circle class="dot[ a-z]*" cx="([-0-9.]+)" cy="([-0-9.]+)"', text)
    return [(float(x), float(y)) for x, y in found]


def test_places_follow_the_values() -> None:
    text = drawn([Point(f"l{n}", value, "") for n, value in enumerate((1e-3, 1e-1, 1e-2, 0.0))])
    (x0, low), (x1, high), (x2, middle), (x3, zero) = dots(text)
    assert x0 < x1 < x2 < x3
    assert high < middle < low < zero
    # A logarithmic scale: a decade is as high as another.
    assert low - middle == pytest.approx(middle - high, abs=0.2)
    assert {"10⁻¹", "10⁻²", "10⁻³", "0"} <= set(re.findall(r'class="tick"[^>]*>([^<]+)<', text))
    assert 'aria-label="a &lt;title&gt;"' in text
    assert ">first &amp; last<" in text


@given(st.lists(values, min_size=1, max_size=60))
def test_everything_is_inside(heights: list[float | None]) -> None:
    text = drawn([Point(f"layers.{n}", value, "x") for n, value in enumerate(heights)])
    assert all(0 < x < WIDTH and 0 < y < HEIGHT for x, y in dots(text))
    known = [value for value in heights if value is not None]
    assert len(dots(text)) + text.count('class="cross"') == len(known)
    for x, y in re.findall(r'<text[^>]* x="([-0-9.]+)" y="([-0-9.]+)"', text):
        assert 0 <= float(x) <= WIDTH
        assert 8 <= float(y) <= HEIGHT


def test_names_do_not_lie_on_each_other() -> None:
    points = [Point(f"layers.{n}.attention.output", 1.0 + n / 50, "") for n in range(100)]
    names = re.findall(r'class="name" x="([0-9.]+)"', drawn(points))
    assert len(names) == 1
    far = [Point(f"layers.{n}", 2.0 if n in (5, 50, 95) else 0.1, "") for n in range(100)]
    assert len(re.findall(r'class="name"', drawn(far))) == 3


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=6).filter(any))
def test_a_bar_is_full(counts: list[int]) -> None:
    text = share_bar([Share("changed", count, "x") for count in counts], "title")
    parts = re.findall(r'x="([0-9.]+)" width="([0-9.]+)"', text)
    assert len(parts) == sum(count > 0 for count in counts)
    assert all(float(width) > 4.5 for _, width in parts)
    assert float(parts[-1][0]) + float(parts[-1][1]) == pytest.approx(WIDTH, abs=0.2)


def test_small_things() -> None:
    assert [power(n) for n in (-12, 0, 1, 5)] == ["10⁻¹²", "1", "10", "10⁵"]
    assert 'width="60.0"' in meter(0.5)
    assert 'width="120.0"' in meter(7)
