"""The signals that goldens are computed from: stereo, multiples of 2^-15, like the samples of a 16-bit file.

Noise and impulses come from integers. Sines and music come from float64 formulas, whose differences between machines
are a billionth of the grid's step.
"""

import numpy as np
from numpy.typing import NDArray

from htdemucs_coreml.goldens.grid import on_grid
from htdemucs_coreml.signals import synthetic_song

GRID_EXPONENT = -15
QUIET_EXPONENT = -10
_SINE_SPREAD = 1e-14
_SINE_PERIOD_SAMPLES = 4096

Stereo = NDArray[np.float64]


def hashed_noise(count: int, seed: int) -> NDArray[np.float64]:
    """White noise: ``count`` multiples of 2^-15 in [-0.5, 0.5), from the splitmix64 hash (Vigna, 2015)."""
    state = np.arange(count, dtype=np.uint64) + (np.uint64(seed) << np.uint64(32))
    state = (state + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    top = ((state ^ (state >> np.uint64(31))) >> np.uint64(49)).astype(np.int64)
    return np.ldexp((top - (1 << 14)).astype(np.float64), GRID_EXPONENT)


def noise(samples: int) -> Stereo:
    """White noise, other noise in each channel."""
    return hashed_noise(2 * samples, seed=1).reshape(2, samples)


def music(samples: int, start: int = 0) -> Stereo:
    """The project's own song from sample `start` on."""
    song = synthetic_song(start + samples)[:, start:].astype(np.float64)
    return np.ldexp(np.round(np.ldexp(song, -GRID_EXPONENT)), GRID_EXPONENT)


def quiet(signal: Stereo) -> Stereo:
    """The signal 60.2 dB lower, on a finer grid."""
    return np.ldexp(signal, QUIET_EXPONENT)


def sines(samples: int) -> Stereo:
    """Left, sines in the middle of bins 40 and 400 of 4096; right, one halfway between bins 1000 and 1001."""
    turns = np.arange(samples) / _SINE_PERIOD_SAMPLES
    left = 0.5 * np.sin(2 * np.pi * 40 * turns) + 0.25 * np.sin(2 * np.pi * 400 * turns)
    right = 0.5 * np.sin(2 * np.pi * 1000.5 * turns)
    return on_grid(np.stack([left, right]), GRID_EXPONENT, _SINE_SPREAD)


def impulse(samples: int) -> Stereo:
    """Left, full scale at sample 3000; right, half scale at the very first sample, which no reflection repeats."""
    signal = np.zeros((2, samples))
    signal[0, 3000] = 1.0
    signal[1, 0] = 0.5
    return signal


def silence(samples: int) -> Stereo:
    """Zeros."""
    return np.zeros((2, samples))
