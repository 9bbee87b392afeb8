"""How far outputs lie apart, held against numpy and against rounding that is made."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.worker.closeness import BOUNDS, Bounds, bounds_for, compare
from inspector_app.worker.protocol import ProofSettings

EXACT = Bounds(0.0, 0.0, scaled=False)
FLOAT32 = bounds_for([torch.float32], ProofSettings())
floats = st.lists(st.floats(width=32), min_size=1, max_size=8)


@given(floats, floats)
def test_distances_are_those_of_float64_arithmetic(a: list[float], b: list[float]) -> None:
    size = min(len(a), len(b))
    a, b = a[:size], b[:size]
    found = compare("x", torch.tensor(a), torch.tensor(b), EXACT)
    apart = [
        0.0 if x == y or (math.isnan(x) and math.isnan(y)) else abs(x - y)
        for x, y in zip(torch.tensor(a).tolist(), torch.tensor(b).tolist(), strict=True)
    ]
    if any(map(math.isnan, apart)):
        assert math.isnan(found.max_abs)
        assert not found.within
    else:
        assert found.max_abs == max(apart)
        assert found.within == (max(apart) == 0)


def test_nan_agrees_with_nan_alone() -> None:
    nan = torch.tensor([math.nan, 1.0])
    assert compare("x", nan, nan.clone(), FLOAT32).within
    for other in (torch.tensor([0.0, 1.0]), torch.tensor([math.nan, math.nan])):
        for one, two in ((nan, other), (other, nan)):
            found = compare("x", one, two, FLOAT32)
            assert not found.within
            assert math.isnan(found.max_abs)


def test_infinities_agree_by_sign() -> None:
    up, down = torch.tensor([math.inf]), torch.tensor([-math.inf])
    assert compare("x", up, up.clone(), FLOAT32).within
    assert compare("x", up, down, FLOAT32).max_abs == math.inf
    assert not compare("x", up, torch.tensor([3e38]), FLOAT32).within
    assert not compare("x", torch.tensor([3e38]), up, FLOAT32).within


@pytest.mark.parametrize("magnitude", [1e-6, 1.0, 1e6])
def test_rounding_is_within_and_one_percent_is_not(magnitude: float) -> None:
    """Whatever the output's magnitude: a fixed absolute tolerance would be blind to small ones
    and refuse rounding in large ones."""
    generator = torch.Generator().manual_seed(3)
    weight = torch.randn(512, 512, generator=generator, dtype=torch.float64)
    exact = (torch.randn(64, 512, generator=generator, dtype=torch.float64) @ weight) * magnitude
    assert compare("x", exact.float(), exact.float() * (1 + 3e-7), FLOAT32).within
    assert not compare("x", exact.float(), exact.float() * 1.01, FLOAT32).within
    shifted = exact.float() + 0.01 * magnitude
    assert not compare("x", exact.float(), shifted, FLOAT32).within


def test_a_relative_error_is_not_that_of_elements_that_are_nothing() -> None:
    original = torch.tensor([100.0, 1e-12])
    found = compare("x", original, torch.tensor([100.0, 1e-9]), FLOAT32)
    assert found.within
    assert found.max_rel == 0


def test_integers_must_be_equal() -> None:
    big = torch.tensor([2**53, 5])
    assert compare("x", big, big.clone(), FLOAT32).within
    # float64 cannot tell these apart.
    assert not compare("x", big, big + torch.tensor([1, 0]), FLOAT32).within
    found = compare("x", torch.tensor([4, 5]), torch.tensor([4, 7]), FLOAT32)
    assert (found.max_abs, found.max_rel) == (2, pytest.approx(0.4))
    assert not compare("x", torch.tensor([True]), torch.tensor([False]), FLOAT32).within


def test_complex_numbers_may_come_back_as_pairs() -> None:
    value = torch.tensor([1 + 2j, 3 - 1j])
    assert compare("x", value, torch.view_as_real(value), EXACT).within


def test_an_empty_output_agrees() -> None:
    assert compare("x", torch.empty(0, 3), torch.empty(0, 3), EXACT).within


def test_a_long_output_is_compared_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inspector_app.worker.closeness._ELEMENTS_A_STEP", 7)
    original = torch.ones(50)
    result = original.clone()
    result[49] = 2
    assert compare("x", original, result, FLOAT32).max_abs == 1
    # The scale is that of the whole output, not of a piece.
    original[0] = 1e6
    assert compare("x", original, result * original, FLOAT32).within


def test_bounds_are_those_of_the_coarsest_dtype_unless_they_are_given() -> None:
    given = bounds_for([torch.float32, torch.bfloat16, torch.int64], ProofSettings())
    assert (given.rtol, given.atol) == BOUNDS[torch.bfloat16]
    assert given.scaled
    assert bounds_for([torch.int64], ProofSettings()).rtol == BOUNDS[torch.float32][0]
    asked = bounds_for([torch.float16], ProofSettings(rtol=0.0, atol=1e-3))
    assert asked == Bounds(0.0, 1e-3, scaled=False)
