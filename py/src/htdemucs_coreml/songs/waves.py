"""What sounds are made of: cycles that are read from tables, envelopes, noise filters.

Everything is float32, one operation at a time, each of which IEEE 754 fixes; phases are 32-bit integers that wrap once
a cycle. Sums are in a fixed order: neither BLAS nor an FFT takes part.
"""

import functools
import itertools
import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from htdemucs_coreml.core.contract import SAMPLE_RATE_HZ
from htdemucs_coreml.songs.arithmetic import exp2, sine

Samples = NDArray[np.float32]
Phases = NDArray[np.uint32]

_TABLE_BITS = 14
_TABLE_SIZE = 1 << _TABLE_BITS
_CYCLE = 1 << 32
_FINE = 256
_BLOCK = 1 << 14
INAUDIBLE_HALVINGS = 17
"""After so many half-lives, 102 dB, a decay has ended."""

SINE_CYCLE: Samples = sine(np.arange(_TABLE_SIZE, dtype=np.float64) / _TABLE_SIZE).astype(np.float32)
"""One cycle of a sine."""


def samples_in(seconds: float) -> int:
    """How many samples a time takes, rounded down."""
    return int(seconds * SAMPLE_RATE_HZ)


def increment(frequency_hz: float) -> int:
    """By how much the phase of a frequency grows with each sample."""
    return int(frequency_hz / SAMPLE_RATE_HZ * _CYCLE)


def phases(samples: int, frequency_hz: float, start: float = 0.0) -> Phases:
    """Phases of a steady frequency; `start` is in turns."""
    return _counted(samples) * np.uint32(increment(frequency_hz) % _CYCLE) + np.uint32(int(start * _CYCLE) % _CYCLE)


def wobble(samples: int, frequency_hz: float, depth_turns: float, start: float = 0.0) -> Phases:
    """What to add to phases so that the pitch goes up and down: vibrato."""
    swing = look_up(SINE_CYCLE, phases(samples, frequency_hz, start)) * np.float32(depth_turns * _CYCLE)
    return swing.astype(np.int64).astype(np.uint32)


def look_up(cycle: Samples, at: Phases) -> Samples:
    """The values of a cycle at given phases."""
    return cycle.take((at >> np.uint32(32 - _TABLE_BITS)).astype(np.intp), mode="clip")


def cycle_of(partials: Iterable[tuple[int, float]]) -> Samples:
    """One cycle of a sum of harmonics, of scattered phases, so that its peak is low.

    Parameters
    ----------
    partials : iterable of (int, float)
        Number, from 1, and amplitude of each.
    """
    cycle = np.zeros(_TABLE_SIZE, np.float32)
    places = np.arange(_TABLE_SIZE)
    for number, amplitude in partials:
        scattered = number * number * 2654435761 % _TABLE_SIZE
        cycle += SINE_CYCLE.take((places * number + scattered) % _TABLE_SIZE) * np.float32(amplitude)
    return cycle


def decay(samples: int, half_life_seconds: float) -> Samples:
    """An envelope that halves every `half_life_seconds`, from 1."""
    per_sample = -1 / (half_life_seconds * SAMPLE_RATE_HZ)
    fine = np.arange(_FINE, dtype=np.float64) * per_sample
    coarse = np.arange(-(-samples // _FINE), dtype=np.float64) * (_FINE * per_sample)
    # Limited, so that no product is too small for a normal float32, which some processors take for zero.
    out = np.multiply.outer(exp2(np.maximum(coarse, -60.0)).astype(np.float32), exp2(fine).astype(np.float32))
    return out.reshape(-1)[:samples]


def audible(samples: int, half_life_seconds: float) -> int:
    """How many of the first samples of a decay can be heard."""
    return min(samples, samples_in(half_life_seconds * INAUDIBLE_HALVINGS))


def rise(samples: int) -> Samples:
    """A smooth way from 0 to 1, without corners."""
    line = (np.arange(samples, dtype=np.float32) + np.float32(0.5)) / np.float32(max(samples, 1))
    out: Samples = line * line * (np.float32(3) - np.float32(2) * line)
    return out


def shape(sound: Samples, attack: int, release: int) -> Samples:
    """Let a sound begin over `attack` samples and end over `release`; it is changed in place, and returned."""
    attack, release = min(attack, sound.shape[-1]), min(release, sound.shape[-1])
    if attack > 0:
        sound[..., :attack] *= rise(attack)
    if release > 0:
        sound[..., -release:] *= rise(release)[::-1]
    return sound


def curve(points: Sequence[tuple[float, float]], samples: int) -> Samples:
    """Straight lines between points (second, value), flat after the last."""
    out = np.full(samples, points[-1][1], np.float32)
    for (start, low), (stop, high) in itertools.pairwise(points):
        first, last = min(samples_in(start), samples), min(samples_in(stop), samples)
        if last > first:
            line = np.arange(last - first, dtype=np.float32) / np.float32(max(samples_in(stop) - samples_in(start), 1))
            out[first:last] = np.float32(low) + line * np.float32(high - low)
    return out


def filtered(sound: Samples, taps: Sequence[float]) -> Samples:
    """A finite filter without its delay's end: as many samples as came in."""
    out = np.empty_like(sound)
    for start in range(0, sound.shape[-1], _BLOCK):
        stop = min(start + _BLOCK, sound.shape[-1])
        block = out[..., start:stop]
        np.multiply(sound[..., start:stop], np.float32(taps[0]), out=block)
        for delay, tap in enumerate(taps[1:], 1):
            first = max(start, delay)
            if tap != 0 and first < stop:
                block[..., first - start :] += sound[..., first - delay : stop - delay] * np.float32(tap)
    return out


@functools.cache
def band_taps(low_hz: float, high_hz: float, count: int) -> tuple[float, ...]:
    """Taps of a band-pass, a windowed difference of two sincs; `low_hz` 0 gives a low-pass, others let no mean pass."""
    places = np.arange(count, dtype=np.float64) - (count - 1) / 2
    window = 0.5 + 0.5 * sine(places / (count + 1) + 0.25)
    taps = (_low_pass(high_hz, places) - _low_pass(low_hz, places)) * window
    if low_hz > 0:
        taps = taps - window * (math.fsum(taps) / math.fsum(window))
    return tuple(taps.tolist())


def _low_pass(cutoff_hz: float, places: NDArray[np.float64]) -> NDArray[np.float64]:
    turns = cutoff_hz / SAMPLE_RATE_HZ
    safe = np.where(places == 0, 1.0, places)
    return np.where(places == 0, 2 * turns, sine(turns * safe) / (np.pi * safe))


def _counted(samples: int) -> Phases:
    """Give whole numbers from 0."""
    return _numbers(max(samples - 1, 1).bit_length())[:samples]


@functools.cache
def _numbers(bits: int) -> Phases:
    return np.arange(1 << bits, dtype=np.uint32)
