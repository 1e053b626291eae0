"""Sines and powers from additions and multiplications are those that numpy has."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from htdemucs_coreml.songs.arithmetic import exp2, frequency_hz, gain, power_of_two, sine


@given(st.lists(st.floats(-1000, 1000), min_size=1, max_size=50))
@settings(deadline=None)
def test_sine_is_numpys(turns: list[float]) -> None:
    angles = np.array(turns)
    np.testing.assert_allclose(sine(angles), np.sin(2 * np.pi * (angles - np.rint(angles))), atol=1e-13)


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=50))
@settings(deadline=None)
def test_exp2_is_numpys_and_one_number_gives_what_an_array_gives(exponents: list[float]) -> None:
    powers = exp2(np.array(exponents))
    np.testing.assert_allclose(powers, np.exp2(exponents), rtol=1e-13)
    assert powers.tolist() == [power_of_two(exponent) for exponent in exponents]


def test_levels_and_pitches_by_hand() -> None:
    assert gain(20) == pytest.approx(10, rel=1e-12)
    assert gain(-6.0206) == pytest.approx(0.5, rel=1e-5)
    assert frequency_hz(69) == 440
    assert frequency_hz(57) == 220
    assert frequency_hz(60) == pytest.approx(261.6256, rel=1e-6)
