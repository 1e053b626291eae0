"""Signals on which precision is measured; a seed makes others of the same kind.

``music``, ``tones_and_noise``, ``quiet`` (peak at -60 dBFS), ``clipping``, ``one_channel`` and ``constant`` (DC)
decide. ``click``, one sample at full scale, is a stress signal: float32 itself is far from float64 on it.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from htdemucs_coreml.core.contract import SAMPLE_RATE_HZ
from htdemucs_coreml.signals import synthetic_song

STRESS = "click"
_QUIET_PEAK = 1e-3
_NOTES_PER_SECOND = 8
_STEP_SECONDS = 0.75

Stereo = NDArray[np.float64]
_Generator = Callable[[int, np.random.Generator], Stereo]


def _music(samples: int, random: np.random.Generator) -> Stereo:
    """An excerpt of the project's song with notes of random pitch, place and onset over it; peak 0.8."""
    skipped = int(random.integers(0, 24) * _STEP_SECONDS * SAMPLE_RATE_HZ)
    mix = synthetic_song(skipped + samples)[:, skipped:].astype(np.float64)
    for _ in range(max(1, round(_NOTES_PER_SECOND * samples / SAMPLE_RATE_HZ))):
        onset, place = int(random.integers(0, samples)), random.uniform(0, np.pi / 2)
        seconds = np.arange(samples - onset) / SAMPLE_RATE_HZ
        frequency_hz, half_life = 440 * 2 ** random.uniform(-3, 2), random.uniform(0.05, 0.5)
        note = sum((np.sin(2 * np.pi * frequency_hz * k * seconds) / k for k in range(1, 7)), np.zeros_like(seconds))
        note *= 0.1 * np.exp2(-seconds / half_life) * np.minimum(seconds / 0.003, 1)
        mix[0, onset:] += np.cos(place) * note
        mix[1, onset:] += np.sin(place) * note
    mix *= 0.8 / np.abs(mix).max()
    return mix


def _tones_and_noise(samples: int, random: np.random.Generator) -> Stereo:
    seconds = np.arange(samples) / SAMPLE_RATE_HZ
    mix = 0.1 * random.uniform(-1, 1, (2, samples))
    for channel in mix:
        for frequency_hz in 55 * 2 ** random.uniform(0, 8, 3):
            channel += 0.2 * np.sin(2 * np.pi * (frequency_hz * seconds + random.uniform()))
    return mix


def _quiet(samples: int, random: np.random.Generator) -> Stereo:
    mix = _music(samples, random)
    mix *= _QUIET_PEAK / np.abs(mix).max()
    return mix


def _clipping(samples: int, random: np.random.Generator) -> Stereo:
    return np.clip(10 * _music(samples, random), -1, 1)


def _one_channel(samples: int, random: np.random.Generator) -> Stereo:
    mix = _music(samples, random)
    mix[1 - int(random.integers(0, 2))] = 0
    return mix


def _constant(samples: int, random: np.random.Generator) -> Stereo:
    return np.repeat(random.uniform(-0.8, 0.8, (2, 1)), samples, axis=1)


def _click(samples: int, random: np.random.Generator) -> Stereo:
    mix = np.zeros((2, samples))
    mix[:, int(random.integers(samples // 4, samples // 2))] = 1
    return mix


_PROBES: Mapping[str, _Generator] = MappingProxyType(
    {
        "music": _music,
        "tones_and_noise": _tones_and_noise,
        "quiet": _quiet,
        "clipping": _clipping,
        "one_channel": _one_channel,
        "constant": _constant,
        STRESS: _click,
    }
)
PROBES = tuple(_PROBES)
"""Names of all signals; the last one is the stress signal."""


def probe(name: str, samples: int, seed: int) -> NDArray[np.float32]:
    """Make a signal.

    Parameters
    ----------
    name : str
        One of `PROBES`.
    samples : int
        Length at 44,100 Hz.
    seed : int
        Which one of its kind.

    Returns
    -------
    NDArray[np.float32] [2, samples]
        Full scale 1.0.
    """
    random = np.random.Generator(np.random.PCG64([seed, PROBES.index(name)]))
    made: NDArray[np.float32] = _PROBES[name](samples, random).astype(np.float32)
    return np.ascontiguousarray(made)
