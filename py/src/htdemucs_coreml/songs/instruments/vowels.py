"""Vowels as resonances of the mouth, and what one pulse of the voice sounds like in each.

The method is that of formant wave functions: every pulse of the glottis starts a group of decaying sines, one for each
formant. Source: Rodet, "Time-domain formant-wave-function synthesis", Computer Music Journal 8(3), 1984.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from htdemucs_coreml.songs.arithmetic import gain
from htdemucs_coreml.songs.waves import SINE_CYCLE, Samples, decay, increment, look_up, shape

GRAIN_SAMPLES = 896
FRACTIONS = 16
"""Grains are made for so many places between two samples."""
BLEND_STEPS = 4
"""Ways between two vowels are taken in so many steps."""
EFFORTS = 3
_FADE_SAMPLES = 240
_GRID = 1 << 20
_ATTACK_SAMPLES = 24
_HALVING_OVER_PI = 0.2206356
"""ln 2 / pi: a resonance of bandwidth b halves every 0.22 / b seconds."""


@dataclass(frozen=True)
class Formants:
    """Resonances of one vowel: frequencies and bandwidths in Hz, levels in decibels."""

    hertz: tuple[float, ...]
    bandwidths: tuple[float, ...]
    levels: tuple[float, ...]


_WIDTHS = (90.0, 110.0, 150.0, 200.0, 260.0)
VOWELS: Mapping[str, Formants] = {
    "a": Formants((760, 1220, 2650, 3500, 4500), _WIDTHS, (0, -5, -15, -20, -30)),
    "ae": Formants((680, 1700, 2550, 3550, 4500), _WIDTHS, (0, -7, -13, -18, -30)),
    "e": Formants((460, 1950, 2600, 3600, 4600), _WIDTHS, (0, -12, -15, -20, -32)),
    "i": Formants((300, 2250, 3000, 3650, 4700), _WIDTHS, (0, -15, -16, -20, -33)),
    "o": Formants((470, 830, 2600, 3400, 4500), _WIDTHS, (0, -8, -25, -28, -38)),
    "u": Formants((330, 720, 2450, 3350, 4500), _WIDTHS, (0, -14, -30, -33, -42)),
    "@": Formants((540, 1430, 2500, 3450, 4500), _WIDTHS, (0, -9, -17, -22, -33)),
    "nasal": Formants((260, 1080, 2250, 3300, 4300), (70.0, 180.0, 240.0, 260.0, 300.0), (0, -20, -26, -32, -42)),
}
"""For a grown man's mouth; shorter ones have all frequencies higher. ``nasal`` stands for m, n and l."""


class GrainBank:
    """Grains of one singer, made when they are first sung.

    Parameters
    ----------
    scale : float
        All formants' frequencies are multiplied by it.
    brightness : float
        0 dark, 1 bright.
    """

    def __init__(self, scale: float, brightness: float) -> None:
        self._scale = scale
        self._tilt = 9 * (brightness - 0.5)
        self.grains = functools.cache(self._make)

    def _make(self, before: str, after: str, blend: int, effort: int) -> Samples:
        """Grains [FRACTIONS, GRAIN_SAMPLES] on the way from one vowel to another, sung softly (0) or loudly (2)."""
        weight = blend / BLEND_STEPS
        places = np.arange(GRAIN_SAMPLES, dtype=np.uint32)[None, :]
        fractions = np.arange(FRACTIONS, dtype=np.float64)[:, None] / FRACTIONS
        grains = np.zeros((FRACTIONS, GRAIN_SAMPLES), np.float32)
        first, second = VOWELS[before], VOWELS[after]
        for number in range(len(_WIDTHS)):
            hertz = _between(first.hertz[number], second.hertz[number], weight) * self._scale
            width = _between(first.bandwidths[number], second.bandwidths[number], weight)
            level = _between(first.levels[number], second.levels[number], weight)
            level += (self._tilt + 4.0 * (effort - 1)) * (0, 0.5, 0.9, 1.0, 1.2)[number]
            step = increment(hertz)
            late = (fractions * step).astype(np.int64).astype(np.uint32)
            tone = look_up(SINE_CYCLE, places * np.uint32(step) - late)
            grains += tone * (decay(GRAIN_SAMPLES, _HALVING_OVER_PI / width) * np.float32(gain(level)))
        return _without_mean(shape(grains, _ATTACK_SAMPLES, _FADE_SAMPLES))


def _without_mean(grains: Samples) -> Samples:
    """Grains that add no pressure of their own. Their sums are those of whole numbers, which no order changes."""
    window = shape(np.ones(GRAIN_SAMPLES, np.float32), _ATTACK_SAMPLES, GRAIN_SAMPLES - _ATTACK_SAMPLES)
    sums = np.rint(grains * np.float32(_GRID)).astype(np.int64).sum(axis=1)
    total = int(np.rint(window * np.float32(_GRID)).astype(np.int64).sum())
    out: Samples = grains - window[None, :] * (sums / total).astype(np.float32)[:, None]
    return out


def _between(first: float, second: float, weight: float) -> float:
    return first + (second - first) * weight
