"""The excerpt is where the quietest stem, each measured by itself, is loudest."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from htdemucs_coreml.listening.description import Samples
from htdemucs_coreml.listening.excerpts import telling_start
from listening_reports import noise


def _gated(seed: int, samples: int, sounding: slice, amplitude: float) -> Samples:
    sound = np.zeros((2, samples), np.float32)
    sound[:, sounding] = noise(seed, samples, amplitude)[:, sounding]
    return sound


@settings(deadline=None)
@given(st.integers(0, 100), st.lists(st.sampled_from([0.0, 0.001, 0.1, 1.0]), min_size=1, max_size=3))
def test_it_is_the_best_of_all_windows(seed: int, amplitudes: list[float]) -> None:
    stems = [noise(seed + at, 60, amplitude) for at, amplitude in enumerate(amplitudes)]

    def least(start: int) -> float:
        shares = []
        for stem in stems:
            energies = [float(np.square(stem[:, at : at + 16].astype(np.float64)).sum()) for at in range(0, 45, 4)]
            if max(energies) > 0:
                shares.append(energies[start // 4] / max(energies))
        return min(shares, default=1.0)

    start = telling_start(stems, 16, 4)
    assert start % 4 == 0
    assert least(start) >= max(least(at) for at in range(0, 45, 4)) - 1e-9


def test_a_soft_stem_counts_as_much_as_a_loud_one() -> None:
    loud = _gated(1, 100, slice(0, 60), 1.0)
    soft = _gated(2, 100, slice(50, 100), 1e-4)
    assert 30 < telling_start([loud, soft], 20, 5) < 60


def test_a_silent_stem_does_not_count() -> None:
    sounding = _gated(1, 100, slice(40, 60), 1.0)
    assert telling_start([np.zeros((2, 100), np.float32), sounding], 20, 5) == 40


def test_a_song_that_is_shorter_than_two_steps_is_taken_from_its_start() -> None:
    assert telling_start([noise(1, 10)], 10, 100) == 0
