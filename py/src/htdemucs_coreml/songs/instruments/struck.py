"""Struck strings, tines, reeds and bars: pianos, electric pianos, mallets.

A note is a sum of partials that decay, the higher the faster. Those of strings are stretched by their stiffness,
``f k sqrt(1 + B k^2)``, and doubled, a little out of tune, so that they beat.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from htdemucs_coreml.songs.arithmetic import frequency_hz, power_of_two
from htdemucs_coreml.songs.chance import Chance
from htdemucs_coreml.songs.instruments.base import SampledInstrument, Timbre
from htdemucs_coreml.songs.waves import (
    SINE_CYCLE,
    Samples,
    audible,
    band_taps,
    decay,
    filtered,
    look_up,
    phases,
    samples_in,
    shape,
)

_HIGHEST_HZ = 13000.0
_REFERENCE_HZ = 220.0


@dataclass(frozen=True)
class Construction:
    """How an instrument is built.

    Attributes
    ----------
    ratios : tuple of float
        Frequencies of its partials over the fundamental; empty for the harmonics of stiff strings.
    levels : tuple of float
        Amplitudes of these partials.
    stiffness : float
        ``B`` at 220 Hz.
    slope : float
        Halvings of amplitude with each harmonic of a string.
    half_life : float
        Of the fundamental at 220 Hz, in seconds.
    damping : float
        How much faster higher partials decay.
    detune : float
        Between the strings of one note, relative.
    knock : float
        Noise of the stroke.
    partials : int
        Harmonics of a string at most.
    """

    half_life: float
    ratios: tuple[float, ...] = ()
    levels: tuple[float, ...] = ()
    stiffness: float = 4e-4
    slope: float = 0.42
    damping: float = 0.22
    detune: float = 4e-4
    knock: float = 0.1
    partials: int = 26


CONSTRUCTIONS: Mapping[str, Construction] = {
    "grand": Construction(0.75),
    "upright": Construction(0.5, stiffness=7e-4, slope=0.5, damping=0.3, detune=9e-4, knock=0.18),
    "honky-tonk": Construction(0.45, stiffness=8e-4, slope=0.36, damping=0.26, detune=3e-3, knock=0.15),
    "felt": Construction(0.55, slope=0.8, damping=0.45, knock=0.3, detune=5e-4),
    "tines": Construction(
        1.1, (1, 2, 3, 4, 7.1, 12.4), (1, 0.28, 0.12, 0.05, 0.11, 0.05), damping=0.35, detune=0.0, knock=0.05
    ),
    "reeds": Construction(
        0.6,
        (1, 2, 3, 4, 5, 6, 7, 8),
        (0.7, 0.5, 0.4, 0.2, 0.16, 0.08, 0.06, 0.04),
        damping=0.12,
        detune=0.0,
        knock=0.08,
    ),
    "vibraphone": Construction(1.3, (1, 3.98, 9.9), (1, 0.18, 0.06), damping=0.5, detune=2e-4, knock=0.04),
    "marimba": Construction(0.12, (1, 3.93, 9.3), (1, 0.3, 0.1), damping=0.6, detune=0.0, knock=0.12),
    "bells": Construction(
        1.0,
        (0.5, 1, 1.19, 1.71, 2, 2.74, 3.76),
        (0.25, 1, 0.5, 0.3, 0.45, 0.3, 0.2),
        damping=0.2,
        detune=6e-4,
        knock=0.03,
    ),
}
"""Instruments of this family."""


class Struck(SampledInstrument):
    """An instrument of this family."""

    def __init__(self, construction: Construction, timbre: Timbre, chance: Chance) -> None:
        super().__init__(timbre, chance)
        self._built = construction
        self._strike = chance.between(0.09, 0.16)
        self._half_life = construction.half_life * (0.6 + 0.8 * timbre.decay)
        self._slope = construction.slope * (1.45 - 0.9 * timbre.brightness)
        self._detune = construction.detune * chance.between(0.6, 1.5)
        self._levels = [chance.between(0.75, 1.25) for _ in range(32)]
        self.longest_seconds = min(4.5, 8 * self._half_life)
        self.release_seconds = 0.08 + 0.15 * timbre.decay

    def layers(self, pitch: int, samples: int, chance: Chance) -> tuple[Samples, Samples]:
        """Soft strokes are dark; hard ones add upper partials and the knock."""
        soft, hard = np.zeros(samples, np.float32), np.zeros(samples, np.float32)
        fundamental = frequency_hz(pitch) * (1 + chance.around(2e-4))
        register = math.sqrt(_REFERENCE_HZ / fundamental)
        for number, (ratio, level) in enumerate(self._partials(fundamental)):
            if ratio * fundamental > _HIGHEST_HZ:
                break
            half_life = (
                self._half_life * register / (1 + self._built.damping * number * (1.4 - 0.8 * self.timbre.decay))
            )
            for detune, share, lasting in ((-self._detune, 0.65, 1.0), (self._detune, 0.35, 2.6)):
                if detune == 0.0 and share < 0.5:
                    continue
                count = audible(samples, half_life * lasting)
                tone = look_up(SINE_CYCLE, phases(count, fundamental * ratio * (1 + detune), chance.unit()))
                tone *= decay(count, half_life * lasting)
                soft[:count] += tone * np.float32(0.34 * level * share)
                hard[:count] += tone * np.float32(0.34 * level * share * (0.35 + 0.3 * min(number, 6)))
                if number > 9:
                    break
        self._add_knock(soft, hard, pitch, chance)
        attack = samples_in(0.0015)
        return shape(soft, attack, 0), shape(hard, attack, 0)

    def _partials(self, fundamental: float) -> list[tuple[float, float]]:
        if self._built.ratios:
            bright = 0.5 + self.timbre.brightness
            return [
                (ratio, level * (bright if number else 1.0) * self._levels[number])
                for number, (ratio, level) in enumerate(zip(self._built.ratios, self._built.levels, strict=True))
            ]
        stiffness = self._built.stiffness * fundamental / _REFERENCE_HZ
        partials = []
        for k in range(1, self._built.partials + 1):
            node = abs(float(SINE_CYCLE[int(k * self._strike * 8192) % 16384]))
            level = power_of_two(-self._slope * (k - 1)) * (0.25 + 0.75 * node) * self._levels[k]
            partials.append((k * math.sqrt(1 + stiffness * k * k), level * 1.4))
        return partials

    def _add_knock(self, soft: Samples, hard: Samples, pitch: int, chance: Chance) -> None:
        count = min(len(soft), samples_in(0.06))
        centre = 300 + 20.0 * max(pitch - 36, 0)
        noise = filtered(chance.noise(count), band_taps(centre * 0.4, centre * 2, 24)) * decay(count, 0.008)
        soft[:count] += noise * np.float32(self._built.knock * 0.6)
        hard[:count] += noise * np.float32(self._built.knock * 1.6)
