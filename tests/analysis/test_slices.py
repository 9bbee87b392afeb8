"""The slice language says what numpy says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.analysis.slices import SliceError, free_axes, parse, plane, slice_of

shapes = st.lists(st.integers(0, 4), max_size=4).map(tuple)
number = st.integers(-6, 6).map(str)
maybe = st.one_of(st.just(""), number)
entries = st.one_of(
    number,
    st.just("..."),
    st.builds("{}:{}".format, maybe, maybe),
    st.builds("{}:{}:{}".format, maybe, maybe, maybe),
    st.sampled_from([" : ", "::", "", "1.5", "x", "1:2:3:4", "None", "0x1", "[0]"]),
)
texts = st.lists(entries, max_size=5).map(", ".join)


def by_numpy(array: np.ndarray, text: str) -> np.ndarray:
    # Only texts of digits, colons, commas and dots come here.
    return eval(f"array[{text}]", {"array": array}) if text.strip() else array


@given(shapes, texts, st.booleans())
def test_it_chooses_what_numpy_chooses(shape, text, brackets):
    array = np.arange(int(np.prod(shape))).reshape(shape)
    try:
        items = parse(f"[{text}]" if brackets else text, shape)
    except SliceError:
        if not set(text) <= set("0123456789-+:,. "):
            return  # words and lists, which numpy may know and we do not
        with pytest.raises((IndexError, ValueError, SyntaxError, TypeError)):
            by_numpy(array, text)
        return
    chosen = array[items]
    assert len(items) == len(shape)
    np.testing.assert_array_equal(chosen, by_numpy(array, text))
    assert tuple(len(indices) for _, indices in free_axes(items, shape)) == chosen.shape


@given(st.integers(0, 9), st.integers(-12, 12), st.integers(-12, 12), st.integers(-4, 4))
def test_a_range_is_a_slice(size, start, stop, step):
    chosen = range(size)[slice(start, stop, step or 1)]
    assert range(size)[slice_of(chosen)] == chosen


@given(st.lists(st.integers(1, 4), max_size=4).map(tuple), texts, st.data())
def test_a_plane_is_the_last_two_dimensions_of_the_part(shape, text, data):
    array = np.arange(int(np.prod(shape))).reshape(shape)
    try:
        items = parse(text, shape)
    except SliceError:
        return
    part = array[items]
    outer = [data.draw(st.integers(0, max(size - 1, 0))) for size in part.shape[:-2]]
    shown = plane(items, shape, outer)
    if 0 in part.shape[:-2]:
        assert shown is None
        return
    expected = part[tuple(outer)]
    got = array[shown.window(slice(None), slice(None))]
    np.testing.assert_array_equal(got, expected)
    if expected.size and expected.ndim == 2:
        row, column = expected.shape[0] - 1, expected.shape[1] - 1
        assert array[shown.place(row, column)] == expected[row, column]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[0", "the brackets do not match"),
        ("0]", "the brackets do not match"),
        ("...,...", "“...” may stand once only"),
        ("1,,2", "nothing stands before or between the commas"),
        ("0,0,0,0", "4 indices for 3 dimensions"),
        ("0, 9", "index 9 is out of range for dimension 1, which has 5 entries"),
        ("0:3:0", "the step of “0:3:0” is 0"),
        ("fc.weight", "“fc.weight” is neither an index nor a slice like 2:10"),
        ("9" * 30, f"“{'9' * 30}” is neither an index nor a slice like 2:10"),
        (":" * 2_000, "this is too long to be a slice"),
    ],
)
def test_what_is_wrong_is_said(text, sentence):
    with pytest.raises(SliceError) as found:
        parse(text, (4, 5, 6))
    assert str(found.value) == sentence
