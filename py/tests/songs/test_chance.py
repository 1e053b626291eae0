"""Chance is decided by names, evenly distributed, and will be the same tomorrow."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from htdemucs_coreml.songs.chance import Chance


def test_streams_stay_what_they_are() -> None:
    chance = Chance(7, "bass")
    assert [chance.below(1000) for _ in range(6)] == [890, 812, 237, 480, 787, 249]
    assert Chance(7, "bass").noise(4).tolist() == [
        -0.3194083571434021,
        -0.2181449681520462,
        0.13827791810035706,
        -0.3744800090789795,
    ]


@given(seed=st.integers(0, 1 << 62))
@settings(deadline=None)
def test_equal_names_give_equal_streams_and_others_do_not(seed: int) -> None:
    first, again, other = Chance(seed, "a"), Chance(seed, "a"), Chance(seed, "b")
    drawn = [first.unit() for _ in range(8)]
    assert drawn == [again.unit() for _ in range(8)]
    assert drawn != [other.unit() for _ in range(8)]


@given(seed=st.integers(0, 1 << 62))
@settings(deadline=None)
def test_a_fork_does_not_depend_on_what_was_drawn(seed: int) -> None:
    used = Chance(seed)
    used.unit()
    assert used.fork("x").unit() == Chance(seed).fork("x").unit()


def test_draws_are_in_range_and_even() -> None:
    chance = Chance("distribution")
    units = np.array([chance.unit() for _ in range(4000)])
    assert float(units.min()) >= 0
    assert float(units.max()) < 1
    assert abs(units.mean() - 0.5) < 0.02
    assert sorted({chance.below(5) for _ in range(200)}) == [0, 1, 2, 3, 4]
    noise = chance.noise(100_001)
    assert noise.shape == (100_001,)
    assert abs(float(noise.mean())) < 0.01
    assert float(noise.min()) == pytest.approx(-1, abs=0.01)
    assert float(noise.max()) == pytest.approx(1, abs=0.01)
    assert float(np.abs(noise).max()) <= 1
