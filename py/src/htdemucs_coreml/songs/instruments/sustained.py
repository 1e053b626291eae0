"""Tones that are held: strings, winds, organs, synthesisers.

A tone is read from a cycle of harmonics, in several voices that are a little out of tune with each other, beside noise
of breath or bow. Upper harmonics have a cycle and an envelope of their own: they open after the attack or die away.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from htdemucs_coreml.songs.arithmetic import frequency_hz, power_of_two
from htdemucs_coreml.songs.chance import Chance
from htdemucs_coreml.songs.composition.notes import Note
from htdemucs_coreml.songs.instruments.base import Sound, Timbre
from htdemucs_coreml.songs.waves import (
    Samples,
    band_taps,
    curve,
    cycle_of,
    decay,
    filtered,
    look_up,
    phases,
    samples_in,
    shape,
    wobble,
)

_HIGHEST_HZ = 11000.0
_MOST_PARTIALS = 48
_NOISE_SAMPLES = 1 << 16
_LOWER_PARTIALS = 3


@dataclass(frozen=True)
class Construction:
    """How a tone is made.

    Attributes
    ----------
    slope : float
        Halvings of amplitude from one harmonic to the next, beside ``1 / k``.
    even : float
        Level of even harmonics: 0 for clarinets and square waves.
    attack, release : float
        In seconds.
    opening : float
        Seconds until upper harmonics are there; negative: how fast they die away; 0 at once.
    fading : float
        Half-life of the whole tone in seconds; 0 if it is held.
    vibrato : float
        Depth in semitones.
    breath : float
        Level of noise.
    voices : int
        How many play, on each side if there are several.
    detune : float
        Between voices, relative.
    drawbars : tuple of float
        Levels of harmonics 1, 2, 3, … if they follow no slope.
    level : float
        Of the whole.
    """

    slope: float = 0.15
    even: float = 1.0
    attack: float = 0.05
    release: float = 0.1
    opening: float = 0.0
    fading: float = 0.0
    vibrato: float = 0.0
    breath: float = 0.0
    voices: int = 1
    detune: float = 0.0
    drawbars: tuple[float, ...] = ()
    level: float = 0.2


CONSTRUCTIONS: Mapping[str, Construction] = {
    "strings": Construction(
        0.1, attack=0.18, release=0.3, opening=0.25, vibrato=0.12, breath=0.02, voices=2, detune=3.5e-3, level=0.11
    ),
    "violin": Construction(0.08, attack=0.08, release=0.12, opening=0.1, vibrato=0.3, breath=0.025),
    "brass": Construction(
        0.12, attack=0.04, release=0.09, opening=0.09, vibrato=0.05, voices=2, detune=2e-3, level=0.12
    ),
    "trumpet": Construction(0.12, attack=0.025, release=0.08, opening=0.06, vibrato=0.15),
    "flute": Construction(0.9, attack=0.06, release=0.1, vibrato=0.2, breath=0.06, level=0.28),
    "clarinet": Construction(0.2, even=0.12, attack=0.04, release=0.08, vibrato=0.05, breath=0.015),
    "saxophone": Construction(0.1, even=0.8, attack=0.035, release=0.08, opening=0.05, vibrato=0.2, breath=0.03),
    "accordion": Construction(0.14, attack=0.03, release=0.06, voices=2, detune=2.5e-3, level=0.1),
    "harmonica": Construction(0.12, attack=0.03, release=0.07, vibrato=0.2, breath=0.03),
    "organ": Construction(attack=0.006, release=0.03, drawbars=(0.8, 0.7, 0.5, 0.4, 0, 0.3, 0, 0.25), vibrato=0.06),
    "church-organ": Construction(
        attack=0.05, release=0.25, drawbars=(0.6, 0.7, 0.3, 0.6, 0.1, 0.2, 0.05, 0.4), voices=2, detune=1e-3, level=0.1
    ),
    "synth-pad": Construction(0.05, attack=0.4, release=0.6, opening=0.8, voices=2, detune=5e-3, level=0.1),
    "synth-lead": Construction(0.02, attack=0.006, release=0.06, vibrato=0.12, voices=2, detune=1.5e-3, level=0.12),
    "square-lead": Construction(0.04, even=0.05, attack=0.004, release=0.05, vibrato=0.1, level=0.16),
    "synth-pluck": Construction(
        0.02, attack=0.002, release=0.12, opening=-0.09, fading=0.25, voices=2, detune=2e-3, level=0.16
    ),
    "saw-bass": Construction(0.03, attack=0.004, release=0.05, opening=-0.2, fading=1.5, level=0.26),
    "square-bass": Construction(0.06, even=0.1, attack=0.004, release=0.05, opening=-0.15, fading=1.2, level=0.28),
    "sub-bass": Construction(1.6, attack=0.008, release=0.06, level=0.42),
    "warm-bass": Construction(0.5, attack=0.006, release=0.06, opening=-0.3, fading=2.0, level=0.34),
}
"""Instruments of this family."""


class Sustained:
    """An instrument of this family."""

    def __init__(self, construction: Construction, timbre: Timbre, chance: Chance) -> None:
        self._built = construction
        self._timbre = timbre
        self._chance = chance
        self._levels = [chance.between(0.6, 1.4) for _ in range(_MOST_PARTIALS + 1)]
        self._noise = filtered(chance.noise(_NOISE_SAMPLES), band_taps(900.0, 7000.0, 32))
        self._vibrato_hz = chance.between(4.6, 6.2)
        self._detunes = [chance.between(0.5, 1.2) for _ in range(2 * construction.voices)]
        self._cycles = functools.cache(self._make_cycles)

    def play(self, notes: Sequence[Note]) -> Iterator[Sound]:
        """Play notes; an ensemble's come in stereo."""
        release = samples_in(self._built.release * (0.6 + 0.8 * self._timbre.decay))
        attack = samples_in(self._built.attack * (1.4 - 0.8 * self._timbre.brightness))
        for note in notes:
            count = note.length + release
            sound = self._tone(note, count)
            if self._built.fading:
                sound *= decay(count, self._built.fading * (0.5 + self._timbre.decay))
            sound *= np.float32(self._built.level * note.velocity)
            place = max(-1.0, min(1.0, (note.pitch - self._timbre.centre) / 24))
            yield Sound(note.start, shape(sound, min(attack, note.length // 2 + 1), release), place)

    def _tone(self, note: Note, count: int) -> Samples:
        lower, upper = self._cycles(note.pitch)
        opening = self._opening(count, note.velocity)
        cycle = lower + upper if opening is None else lower
        channels = 2 if self._built.voices > 1 else 1
        voices = self._built.voices if channels > 1 else 1
        out = np.zeros((channels, count), np.float32)
        fundamental = frequency_hz(note.pitch)
        for number in range(channels * voices):
            side = self._detunes[number] * (-1 if number % 2 else 1) * (1 if number < 2 else 0.4)
            hertz = fundamental * (1 + self._built.detune * side)
            at = phases(count, hertz, self._chance.unit())
            if self._built.vibrato:
                # Of pitch, as a swing of phase: semitones / 12 * ln 2 * f / f_vibrato turns, over 2 pi.
                depth = self._built.vibrato * 0.0092 * hertz / self._vibrato_hz
                at = at + wobble(count, self._vibrato_hz * self._detunes[number], depth, self._chance.unit())
            tone = look_up(cycle, at)
            if opening is not None:
                tone += look_up(upper, at) * opening
            out[number % channels] += tone
        if self._built.breath:
            out += self._breath(count) * np.float32(self._built.breath * (0.5 + note.velocity) * 4)
        return out if channels > 1 else out[0]

    def _opening(self, count: int, velocity: float) -> Samples | None:
        """The envelope of upper harmonics; None if it is flat."""
        seconds = self._built.opening
        if seconds == 0:
            return None
        level = 0.4 + 0.8 * velocity
        if seconds < 0:
            return decay(count, -seconds * (0.5 + self._timbre.decay)) * np.float32(level * 1.3)
        return curve(((0.0, 0.15 * level), (seconds, level), (seconds * 4, level * 0.85)), count)

    def _breath(self, count: int) -> Samples:
        start = self._chance.below(_NOISE_SAMPLES)
        return np.resize(np.roll(self._noise, -start), count)

    def _make_cycles(self, pitch: int) -> tuple[Samples, Samples]:
        fundamental = frequency_hz(pitch)
        most = max(1, min(_MOST_PARTIALS, int(_HIGHEST_HZ / fundamental)))
        partials = [(k, self._amplitude(k) * self._levels[k]) for k in range(1, most + 1)]
        return cycle_of(partials[:_LOWER_PARTIALS]), cycle_of(partials[_LOWER_PARTIALS:])

    def _amplitude(self, k: int) -> float:
        if self._built.drawbars:
            return (
                self._built.drawbars[k - 1] * (1 if k == 1 else 0.5 + self._timbre.brightness)
                if k <= len(self._built.drawbars)
                else 0.0
            )
        slope = self._built.slope * (1.8 - 1.6 * self._timbre.brightness) + 0.01
        return power_of_two(-slope * (k - 1)) / k * (self._built.even if k % 2 == 0 else 1.0)
