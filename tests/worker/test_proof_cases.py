"""Which sizes of dynamic axes are tried."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from inspector_app.worker.proof_cases import MOST_SETS, AxisRange, axis_ranges, size_sets
from inspector_app.worker.protocol import DynamicAxis


def test_the_example_comes_first_and_each_axis_is_varied_alone_and_with_others() -> None:
    ranges = {"batch": AxisRange(1, None, 1), "sequence": AxisRange(4, 32, 8)}
    sets = list(size_sets(ranges))
    assert sets[0] == {"batch": 1, "sequence": 8}
    assert {"batch": 1, "sequence": 4} in sets
    assert {"batch": 2, "sequence": 16} in sets
    assert {"batch": 1, "sequence": 9} in sets
    assert {"batch": 2, "sequence": 8} in sets


def test_without_dynamic_axes_there_is_the_example_alone() -> None:
    assert list(size_sets({})) == [{}]


def test_axes_of_one_name_share_their_bounds() -> None:
    axes = [
        DynamicAxis("x", 0, "batch", 2, None),
        DynamicAxis("y", 0, "batch", None, 64),
        DynamicAxis("y", 1, "length"),
    ]
    assert axis_ranges(axes, {"batch": 4, "length": 7}) == {
        "batch": AxisRange(2, 64, 4),
        "length": AxisRange(1, None, 7),
    }


@st.composite
def axis(draw: st.DrawFn) -> AxisRange:
    least = draw(st.integers(0, 10))
    example = least + draw(st.integers(0, 10))
    most = draw(st.none() | st.integers(example, example + 20))
    return AxisRange(least, most, example)


@given(st.dictionaries(st.sampled_from("abcd"), axis(), max_size=4))
def test_every_size_is_allowed_and_no_set_comes_twice(ranges: dict[str, AxisRange]) -> None:
    sets = list(size_sets(ranges))
    assert len(sets) <= MOST_SETS
    assert all(sets.count(each) == 1 for each in sets)
    for sizes in sets:
        assert sizes.keys() == ranges.keys()
        for name, size in sizes.items():
            bounds = ranges[name]
            assert bounds.least <= size
            assert bounds.most is None or size <= bounds.most
    for name, bounds in ranges.items():
        # One that can vary does, unless many others do.
        others = bounds.most is None or bounds.most > bounds.least
        if others and len(ranges) <= 2:
            assert len({sizes[name] for sizes in sets}) > 1
