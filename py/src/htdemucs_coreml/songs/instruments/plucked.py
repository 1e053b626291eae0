"""Plucked strings: guitars, basses, banjo, harp.

A period of noise goes round a loop that smooths it a little each time. Source: Karplus and Strong, "Digital Synthesis
of Plucked-String and Drum Timbres", Computer Music Journal 7(2), 1983; the comb for the plucking position: Jaffe and
Smith, same issue. The loop runs at twice the sample rate, a whole period at a time, and is read at the pitch that is
wanted.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from htdemucs_coreml.core.contract import SAMPLE_RATE_HZ
from htdemucs_coreml.songs.arithmetic import frequency_hz, power_of_two
from htdemucs_coreml.songs.chance import Chance
from htdemucs_coreml.songs.instruments.base import SampledInstrument, Timbre
from htdemucs_coreml.songs.waves import Samples, band_taps, decay, filtered, samples_in, shape

_OVERSAMPLING = 2
_GRID = 1 << 20
_BODY_TAPS = 7
_BODY_SECONDS = 0.0035


@dataclass(frozen=True)
class Construction:
    """How an instrument is built.

    Attributes
    ----------
    half_life : float
        Of the lowest partials, in seconds.
    smoothings : int
        How often a period is smoothed each time round: strings of nylon and gut more than those of steel.
    hardness : int
        Over how many samples the pluck is smoothed beforehand; the fewer, the harder the plectrum.
    position : float
        Where it is plucked, as a share of the string.
    body : float
        How much of the body is heard.
    click : float
        How much of the plectrum's edge stays on the string.
    thump : float
        Noise of the finger or plectrum.
    courses : tuple of float
        Strings that are plucked together: their pitches in semitones.
    """

    half_life: float
    smoothings: int = 1
    hardness: int = 3
    position: float = 0.18
    body: float = 0.35
    click: float = 0.22
    thump: float = 0.03
    courses: tuple[float, ...] = (0.0,)


CONSTRUCTIONS: Mapping[str, Construction] = {
    "steel": Construction(0.9, click=0.34, hardness=2, position=0.2),
    "nylon": Construction(0.55, smoothings=2, hardness=6, position=0.3, body=0.5, thump=0.05),
    "twelve-string": Construction(0.9, click=0.34, hardness=2, position=0.15, courses=(0.0, 12.06)),
    "clean": Construction(1.0, hardness=3, position=0.22, body=0.05, thump=0.01),
    "hollow": Construction(0.6, click=0.12, smoothings=2, hardness=5, position=0.3, body=0.25, thump=0.02),
    "lead": Construction(2.4, click=0.15, hardness=3, position=0.12, body=0.0, thump=0.01),
    "banjo": Construction(0.16, click=0.25, hardness=1, position=0.1, body=0.6, thump=0.06),
    "harp": Construction(0.8, click=0.05, smoothings=2, hardness=8, position=0.45, body=0.3, thump=0.01),
    "clavinet": Construction(0.5, click=0.3, hardness=1, position=0.08, body=0.0, thump=0.08),
    "finger-bass": Construction(0.9, smoothings=3, click=0.03, hardness=14, position=0.25, body=0.05, thump=0.05),
    "pick-bass": Construction(0.8, smoothings=2, click=0.1, hardness=6, position=0.12, body=0.02, thump=0.06),
    "slap-bass": Construction(0.7, smoothings=2, click=0.18, hardness=3, position=0.35, body=0.02, thump=0.14),
    "upright-bass": Construction(0.42, click=0.03, smoothings=3, hardness=22, position=0.3, body=0.5, thump=0.1),
    "fretless-bass": Construction(1.2, click=0.02, smoothings=3, hardness=16, position=0.3, body=0.1, thump=0.02),
}
"""Instruments of this family."""


class Plucked(SampledInstrument):
    """An instrument of this family."""

    def __init__(self, construction: Construction, timbre: Timbre, chance: Chance) -> None:
        super().__init__(timbre, chance)
        self._built = construction
        self._half_life = construction.half_life * (0.55 + 0.9 * timbre.decay)
        self._position = construction.position * chance.between(0.8, 1.25)
        delays = [1 + chance.below(samples_in(_BODY_SECONDS)) for _ in range(_BODY_TAPS)]
        self._body = [(delay, construction.body * chance.between(-0.5, 0.5)) for delay in sorted(set(delays))]
        self.longest_seconds = min(4.0, 7 * self._half_life)
        self.release_seconds = 0.05 + 0.1 * timbre.decay

    def layers(self, pitch: int, samples: int, chance: Chance) -> tuple[Samples, Samples]:
        """Soft strokes are smooth; hard ones add what a harder plectrum excites."""
        both = np.zeros((2, samples), np.float32)
        for semitones in self._built.courses:
            both += self._string(frequency_hz(pitch + semitones) * (1 + chance.around(4e-4)), samples, chance)
        if self._built.body:
            dry = both.copy()
            for delay, level in self._body:
                both[:, delay:] += dry[:, :-delay] * np.float32(level)
        count = min(samples, samples_in(0.05))
        thump = filtered(chance.noise(count), band_taps(60.0, 1800.0, 24)) * decay(count, 0.007)
        both[:, :count] += thump * np.float32(self._built.thump)
        shape(both, samples_in(0.0008), 0)
        return both[0], both[1]

    def _string(self, fundamental: float, samples: int, chance: Chance) -> Samples:
        period = int(_OVERSAMPLING * SAMPLE_RATE_HZ / fundamental)
        passes = self._built.smoothings
        step = (period + passes / 2) * fundamental / SAMPLE_RATE_HZ
        rounds = int(samples * step) // period + 3
        loop = np.empty((rounds, 2, period), np.float32)
        loop[0] = self._pluck(period, chance)
        loss = np.float32(0.5 * power_of_two(-1 / (fundamental * self._half_life)))
        for number in range(1, rounds):
            turn = loop[number - 1]
            for smoothing in range(passes):
                into = loop[number] if smoothing == passes - 1 else np.empty_like(turn)
                into[:, 1:] = turn[:, 1:] + turn[:, :-1]
                into[:, 0] = turn[:, 0] + turn[:, -1]
                into *= loss if smoothing == 0 else np.float32(0.5)
                turn = into
        stream = loop.transpose(1, 0, 2).reshape(2, rounds * period)
        places = np.arange(samples) * step
        before = places.astype(np.intp)
        weight = (places - before).astype(np.float32)
        low = stream.take(before, axis=1)
        return low + (stream.take(before + 1, axis=1) - low) * weight

    def _pluck(self, period: int, chance: Chance) -> Samples:
        """A period as a soft plectrum leaves the string, and what a hard one adds; both of one loudness.

        A string that is let go has partials that fall with their number: the running sum of white noise.
        """
        steps = np.rint(chance.noise(period) * np.float32(_GRID)).astype(np.int64)
        string = np.add.accumulate(_centred(steps))
        raw = (steps - np.roll(steps, max(1, int(period * self._position)))).astype(np.float32)
        string = (string - np.roll(string, max(1, int(period * self._position)))).astype(np.float32)
        width = self._built.hardness * (1.6 - 1.2 * self.timbre.brightness)
        soft = _smoothed(string, 2 * width)
        hard = _smoothed(string, 0.6 * width) - soft * np.float32(0.6)
        click = _smoothed(raw, 0.4 * width)
        return np.stack([_levelled(soft, 0.32), _levelled(hard, 0.3) + _levelled(click, self._built.click)])


def _smoothed(period: Samples, width: float) -> Samples:
    """A low-pass: means of pairs that are ever nearer to each other, the farthest `width` samples apart."""
    for share in (1.0, 0.77, 0.59, 0.43, 0.3):
        period = (period + np.roll(period, max(1, round(width * share)))) * np.float32(0.5)
    return period


def _levelled(period: Samples, peak: float) -> Samples:
    """Without a mean, at a peak."""
    largest = float(np.abs(period).max())
    if largest == 0:
        return period
    centred = _centred(np.rint(period * np.float32(_GRID / largest)).astype(np.int64)).astype(np.float32)
    return centred * np.float32(peak / max(float(np.abs(centred).max()), 1.0))


def _centred(steps: NDArray[np.int64]) -> NDArray[np.int64]:
    """Without their mean; that of whole numbers depends on no order."""
    return steps - int(steps.sum()) // len(steps)
