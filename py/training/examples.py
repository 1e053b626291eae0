"""Training examples: crops of songs, remixed. A step's examples depend on the seed, its number and the songs alone."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from htdemucs_coreml.core.contract import SAMPLE_RATE_HZ
from training.configuration import DataSettings, Phase
from training.song_cache import Stems

Examples = NDArray[np.float32]

_FULL_SCALE = np.float32(32768)


def examples_of(seed: int, step: int, phase: Phase, data: DataSettings, songs: Sequence[Stems]) -> Examples:
    """The examples of a step.

    Parameters
    ----------
    seed, step : int
        Of the run, and the step's number.
    phase : Phase
        How many and how long.
    data : DataSettings
        How they are remixed.
    songs : sequence of int16 [sources, 2, samples]
        To draw from.

    Returns
    -------
    float32 [batch, sources, 2, samples]
        True stems, full scale 1; the mix is their sum.
    """
    chance = np.random.Generator(np.random.PCG64([seed, step]))
    samples = round(phase.seconds * SAMPLE_RATE_HZ)
    return np.stack([_example(chance, samples, data, songs) for _ in range(phase.batch)])


def _example(chance: np.random.Generator, samples: int, data: DataSettings, songs: Sequence[Stems]) -> Examples:
    sources = songs[0].shape[0]
    place = _place(chance, samples, songs)
    is_coherent = chance.random() < data.coherent
    example = np.empty((sources, 2, samples), np.float32)
    for source in range(sources):
        song, start = place if is_coherent else _place(chance, samples, songs)
        crop = song[source, :, start : start + samples].astype(np.float32) / _FULL_SCALE
        example[source] = _remixed(chance, crop, data)
    return example


def _place(chance: np.random.Generator, samples: int, songs: Sequence[Stems]) -> tuple[Stems, int]:
    song = songs[int(chance.integers(len(songs)))]
    return song, int(chance.integers(song.shape[2] - samples + 1))


def _remixed(chance: np.random.Generator, crop: Examples, data: DataSettings) -> Examples:
    """A stem at another gain and balance, perhaps with its sides or its sign exchanged, or silent."""
    gain_db = chance.uniform(data.gain_db[0], data.gain_db[1])
    balance_db = chance.uniform(-data.balance_db, data.balance_db)
    sides = 10 ** (np.array([gain_db + balance_db / 2, gain_db - balance_db / 2]) / 20)
    exchanges, inverts, silences = chance.random(3) < (0.5, 0.5, data.silent)
    factors = sides * (0.0 if silences else -1.0 if inverts else 1.0)
    return (crop[::-1] if exchanges else crop) * factors[:, None].astype(np.float32)
