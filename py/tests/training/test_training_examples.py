"""Examples depend on seed and step alone, keep their stems apart, and are varied as the configuration says."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from training.configuration import DataSettings, Phase
from training.examples import Examples, examples_of
from training.song_cache import Stems
from training_runs import SMALL_RUN

PHASE = Phase(steps=1, seconds=0.01, batch=64)
PLAIN = dataclasses.replace(SMALL_RUN.data, gain_db=(0.0, 0.0), balance_db=0.0, silent=0.0, coherent=1.0)
SAMPLES = 441


def numbered_song(number: int, samples: int = 2000) -> Stems:
    """Each sample says of which song, stem and side it is, and its place."""
    place = np.arange(samples) % 256
    values = np.arange(6)[:, None, None] * 2 + np.arange(2)[None, :, None]
    song: Stems = ((values + 12 * number) * 256 + place[None, None, :]).astype(np.int16)
    return song


SONGS = [numbered_song(number) for number in range(8)]


def origins(example: Examples) -> NDArray[np.int64]:
    """Song, stem, side and place of each sample of an example without gains."""
    whole = np.rint(np.abs(example) * 32768).astype(np.int64)
    values, places = whole // 256, whole % 256
    return np.stack([values // 12, values % 12 // 2, values % 2, places])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**40), step=st.integers(0, 2**40))
def test_the_same_step_gives_the_same_examples_and_the_next_one_others(seed: int, step: int) -> None:
    first, again, following = (examples_of(seed, at, PHASE, SMALL_RUN.data, SONGS) for at in (step, step, step + 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, following)
    assert first.shape == (64, 6, 2, SAMPLES) and first.dtype == np.float32


def test_every_stem_stays_in_its_place() -> None:
    for example in examples_of(1, 1, PHASE, PLAIN, SONGS):
        assert np.array_equal(origins(example)[1], np.broadcast_to(np.arange(6)[:, None, None], (6, 2, SAMPLES)))


def test_coherent_examples_come_from_one_place_of_one_song_and_others_from_many() -> None:
    for example in examples_of(1, 1, PHASE, PLAIN, SONGS):
        song, _, _, place = origins(example)
        assert len(np.unique(song)) == 1
        assert (place == place[0, 0]).all()
    apart = examples_of(1, 1, PHASE, dataclasses.replace(PLAIN, coherent=0.0), SONGS)
    assert np.mean([len(np.unique(origins(example)[0])) for example in apart]) > 3


def test_sides_and_signs_are_exchanged_stem_by_stem_half_of_the_time() -> None:
    examples = examples_of(1, 1, PHASE, PLAIN, SONGS)
    exchanged = np.array([origins(example)[2][:, 0, 0] == 1 for example in examples])
    inverted = examples[:, :, 0, 0] < 0
    for share in (exchanged.mean(), inverted.mean(), (exchanged == inverted).mean()):
        assert 0.4 < share < 0.6


def test_gains_and_balances_fill_their_ranges_and_do_not_leave_them() -> None:
    songs = [np.full((6, 2, 2000), 8192, np.int16)]
    data = dataclasses.replace(PLAIN, gain_db=(-6.0, 4.0), balance_db=3.0)
    left, right = np.moveaxis(20 * np.log10(np.abs(examples_of(1, 1, PHASE, data, songs)[..., 0]) / 0.25), 2, 0)
    middle, balance = (left + right) / 2, left - right
    assert -6.001 < middle.min() < -5.5 and 3.5 < middle.max() < 4.001
    assert -3.001 < balance.min() < -2.8 and 2.8 < balance.max() < 3.001


@pytest.mark.parametrize("silent", [0.0, 0.25, 1.0])
def test_stems_are_silent_as_often_as_is_asked_for(silent: float) -> None:
    data: DataSettings = dataclasses.replace(PLAIN, silent=silent)
    songs = [np.full((6, 2, 2000), 8192, np.int16)]
    share = float((examples_of(1, 1, PHASE, data, songs) == 0).mean())
    assert share == pytest.approx(silent, abs=0.06)
