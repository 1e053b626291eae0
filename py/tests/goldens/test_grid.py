"""Rounding gives the same bits for values that differ by less than the spread, or refuses."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from htdemucs_coreml.goldens.errors import GoldenValueError
from htdemucs_coreml.goldens.grid import on_grid, rounded_once, step_exponent

SPREAD = 1e-12
EXPONENT = -20


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=20), st.floats(-0.99, 0.99))
def test_values_within_the_spread_of_each_other_give_the_same_bits(numbers: list[float], share: float) -> None:
    values = np.array(numbers)
    try:
        expected = on_grid(values, EXPONENT, SPREAD)
    except GoldenValueError:
        return
    actual = on_grid(values + share * SPREAD, EXPONENT, 0.0)
    assert actual.tobytes() == expected.tobytes()
    assert (np.ldexp(actual, -EXPONENT) % 1 == 0).all()
    assert (np.abs(actual - values) <= 0.52 * 2.0**EXPONENT).all()


@given(st.integers(-1000, 1000))
def test_exact_middles_of_a_step_are_no_boundary(half_steps: int) -> None:
    values = np.ldexp(np.array([half_steps + 0.5]), EXPONENT)
    assert on_grid(values, EXPONENT, SPREAD) == np.ldexp(half_steps, EXPONENT)


def test_a_value_at_the_boundary_is_refused() -> None:
    boundary = np.array([math.ldexp(0.5 + 1 / 97, EXPONENT)])
    for offset in (-SPREAD / 2, 0, SPREAD / 2):
        with pytest.raises(GoldenValueError, match="1 values lie within"):
            on_grid(boundary + offset, EXPONENT, SPREAD)
    assert on_grid(boundary + 2 * SPREAD, EXPONENT, SPREAD) == 2.0**EXPONENT
    assert on_grid(boundary - 2 * SPREAD, EXPONENT, SPREAD) == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(GoldenValueError, match="not finite"):
        on_grid(np.array([0, value]), EXPONENT, SPREAD)
    with pytest.raises(GoldenValueError, match="not finite"):
        rounded_once(np.array([0, value]), SPREAD)


def test_a_spread_that_is_not_a_number_passes_nothing() -> None:
    with pytest.raises(GoldenValueError):
        on_grid(np.array([0.1]), EXPONENT, math.nan)


def test_zeros_are_positive() -> None:
    assert not np.signbit(on_grid(np.array([-0.0, -1e-9]), EXPONENT, SPREAD)).any()


@given(st.floats(1e-6, 1e6))
def test_the_step_is_at_most_the_share_of_the_peak_and_more_than_half_of_it(peak: float) -> None:
    step = 2.0 ** step_exponent(peak, 27)
    assert step <= peak * 2.0**-27 * (1 + 1e-15)
    assert step > peak * 2.0**-28 * (1 - 1e-11)


@pytest.mark.parametrize("peak", [0.5, 1.0, 64.0])
def test_the_last_bits_of_the_peak_do_not_move_the_step(peak: float) -> None:
    neighbours = (peak * (1 - 1e-15), peak, peak * (1 + 1e-15))
    assert len({step_exponent(neighbour, 27) for neighbour in neighbours}) == 1


def test_rounding_once_refuses_a_boundary_of_float32() -> None:
    boundary = 1 + 2.0**-24
    with pytest.raises(GoldenValueError, match="boundary of float32"):
        rounded_once(np.array([boundary]), 1e-15)
    assert rounded_once(np.array([boundary * (1 + 1e-13)]), 1e-15) == np.float32(1 + 2.0**-23)
