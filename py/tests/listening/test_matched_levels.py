"""Results are heard at the reference's level, unless that would hide what they are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from htdemucs_coreml.listening.description import Song, Stem
from htdemucs_coreml.listening.levels import headroom, matched, matching_gain_db
from listening_reports import noise

REFERENCE = noise(1, 2000)
SILENCE = np.zeros_like(REFERENCE)


@settings(deadline=None)
@given(st.floats(-5.9, 5.9))
def test_the_gain_of_a_sound_at_another_level_is_undone(gain_db: float) -> None:
    louder = REFERENCE * np.float32(10 ** (gain_db / 20))
    assert matching_gain_db(louder, REFERENCE) == pytest.approx(-gain_db, abs=1e-4)
    np.testing.assert_allclose(matched(louder, REFERENCE), REFERENCE, rtol=1e-5)


@pytest.mark.parametrize("gain_db", [-60.0, -6.1, 6.1, 60.0])
def test_what_is_farther_apart_is_left_as_it_is(gain_db: float) -> None:
    other = REFERENCE * np.float32(10 ** (gain_db / 20))
    assert matching_gain_db(other, REFERENCE) is None
    np.testing.assert_array_equal(matched(other, REFERENCE), other)


def test_silence_has_no_level_to_match() -> None:
    assert matching_gain_db(SILENCE, REFERENCE) is None
    assert matching_gain_db(REFERENCE, SILENCE) is None
    assert matching_gain_db(SILENCE, SILENCE) is None


def _song(mix: float, reference: float, result: float) -> Song:
    sounds = (np.full((2, 10), value, np.float32) for value in (mix, reference, result))
    mixed, truth, judged = sounds
    return Song("song", 1.0, 0.0, mixed, (Stem("drums", truth, {"mixed": judged}),))


@pytest.mark.parametrize(
    ("song", "factor"),
    [
        (_song(0.5, 0.25, 0.25), 1.0),
        (_song(2.0, 0.25, 0.25), 0.5),
        (_song(0.5, -1.6, -0.1), 0.625),
        # Matched, the result is as loud as the reference.
        (_song(0.5, 0.9, 1.2), 1.0),
        (_song(0.5, 0.1, 4.0), 0.25),
        (_song(0.0, 0.0, 0.0), 1.0),
    ],
)
def test_a_song_is_as_loud_as_it_can_be_without_clipping(song: Song, factor: float) -> None:
    assert headroom(song) == pytest.approx(factor, rel=1e-6)
