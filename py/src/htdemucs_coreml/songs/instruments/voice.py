"""Voices that sing syllables: pulses in the rhythm of the pitch, vowels that blend, consonants, vibrato, breath."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from htdemucs_coreml.core.contract import SAMPLE_RATE_HZ
from htdemucs_coreml.songs.arithmetic import Doubles, exp2, sine
from htdemucs_coreml.songs.chance import Chance
from htdemucs_coreml.songs.composition.notes import Note
from htdemucs_coreml.songs.instruments.base import Sound, Timbre
from htdemucs_coreml.songs.instruments.vowels import BLEND_STEPS, EFFORTS, FRACTIONS, GRAIN_SAMPLES, VOWELS, GrainBank
from htdemucs_coreml.songs.waves import Samples, band_taps, decay, filtered, rise, samples_in, shape

_FRAME = 128
_PAUSE = samples_in(0.09)
_LEAD = samples_in(0.16)
_TAIL = samples_in(0.14)
_GLIDE_FRAMES = 20
_BLEND_FRAMES = 28
_ONSET_FRAMES = 10
_NASAL_FRAMES = 24
_NOISE_SAMPLES = 1 << 16
_LEVEL = 0.3


@dataclass(frozen=True)
class Construction:
    """A kind of singer.

    Attributes
    ----------
    scale : float
        Of formants, over a grown man's.
    vibrato : float
        Depth in semitones.
    breath : float
        Level of breath noise.
    """

    scale: float
    vibrato: float = 0.3
    breath: float = 0.05


CONSTRUCTIONS: Mapping[str, Construction] = {
    "soprano": Construction(1.2, vibrato=0.35),
    "alto": Construction(1.12),
    "tenor": Construction(1.02),
    "baritone": Construction(0.94, vibrato=0.25),
    "breathy-alto": Construction(1.13, vibrato=0.15, breath=0.14),
    "speaker": Construction(0.97, vibrato=0.0, breath=0.06),
}
"""Kinds of singers."""

_NASALS = frozenset({"m", "n", "l"})


@dataclass(frozen=True)
class _Consonant:
    """A noise: its band in Hz, how long before the vowel it begins, its half-life or (held) its length, its level."""

    low_hz: float
    high_hz: float
    seconds: float
    held: bool
    level: float


_CONSONANTS: Mapping[str, _Consonant] = {
    "t": _Consonant(3000.0, 8000.0, 0.045, False, 0.5),
    "k": _Consonant(1200.0, 3500.0, 0.05, False, 0.5),
    "b": _Consonant(200.0, 1200.0, 0.02, False, 0.3),
    "d": _Consonant(1800.0, 5000.0, 0.02, False, 0.3),
    "s": _Consonant(5000.0, 11000.0, 0.1, True, 0.35),
    "sh": _Consonant(2200.0, 6500.0, 0.1, True, 0.35),
    "f": _Consonant(1500.0, 9000.0, 0.08, True, 0.12),
    "h": _Consonant(800.0, 4500.0, 0.07, True, 0.14),
}


class Voice:
    """One singer."""

    def __init__(self, construction: Construction, timbre: Timbre, chance: Chance) -> None:
        self._built = construction
        self._chance = chance
        self._bank = GrainBank(construction.scale * (0.95 + 0.1 * timbre.colour), timbre.brightness)
        self._vibrato_hz = chance.between(4.8, 6.0)
        self._breath = filtered(chance.noise(_NOISE_SAMPLES), band_taps(1200.0, 8000.0, 32)) * np.float32(
            construction.breath
        )
        self._consonants = {
            name: filtered(chance.noise(samples_in(0.25)), band_taps(kind.low_hz, kind.high_hz, 40))
            for name, kind in _CONSONANTS.items()
        }

    def play(self, notes: Sequence[Note]) -> Iterator[Sound]:
        """Sing notes, a phrase in one breath."""
        phrase: list[Note] = []
        for note in notes:
            if phrase and note.start - (phrase[-1].start + phrase[-1].length) > _PAUSE:
                yield self._sing(phrase)
                phrase = []
            phrase.append(note)
        if phrase:
            yield self._sing(phrase)

    def _sing(self, notes: Sequence[Note]) -> Sound:
        begin = notes[0].start - _LEAD
        count = notes[-1].start + notes[-1].length + _TAIL - begin
        frames = count // _FRAME + 2
        places = [(note.start - begin) // _FRAME for note in notes]
        ends = [min(place, frames) for place in places[1:]] + [frames]
        pitch = self._pitch(notes, places, ends, frames)
        loudness = self._loudness(notes, places, ends, frames)
        out: Samples = np.zeros(count + GRAIN_SAMPLES, np.float32)
        self._add_pulses(out, count, pitch, loudness, self._states(notes, places, ends, frames))
        out = out[:count]
        envelope = np.repeat(loudness.astype(np.float32), _FRAME)[:count]
        start = self._chance.below(_NOISE_SAMPLES)
        out += np.resize(np.roll(self._breath, -start), count) * envelope
        for note, place in zip(notes, places, strict=True):
            self._add_consonant(out, note, place * _FRAME)
        trimmed = max(0, -begin)
        return Sound(begin + trimmed, out[trimmed:] * np.float32(_LEVEL))

    def _pitch(self, notes: Sequence[Note], places: Sequence[int], ends: Sequence[int], frames: int) -> list[float]:
        """Frequencies in Hz, frame by frame: scoops, glides, drift, and vibrato on long notes."""
        semitones = np.full(frames, float(notes[0].pitch))
        before = notes[0].pitch - self._chance.between(0.3, 1.4)
        for note, place, end in zip(notes, places, ends, strict=True):
            length = end - place
            if length <= 0:
                continue
            age = np.arange(length, dtype=np.float64)
            glide = rise(min(_GLIDE_FRAMES, length)).astype(np.float64)
            line = np.full(length, float(note.pitch))
            line[: len(glide)] = before + (note.pitch - before) * glide
            seconds = age * (_FRAME / SAMPLE_RATE_HZ)
            grown = np.clip((seconds - 0.22) * 3, 0.0, 1.0)
            swing = self._built.vibrato * self._chance.between(0.6, 1.2)
            line += swing * grown * sine(self._vibrato_hz * seconds + self._chance.unit())
            line += 0.08 * sine(seconds * self._chance.between(0.7, 1.6) + self._chance.unit())
            semitones[place:end] = line
            before = note.pitch
        semitones[: max(places[0], 0)] = semitones[min(max(places[0], 0), frames - 1)]
        hertz: list[float] = (440.0 * exp2((semitones - 69) / 12)).tolist()
        return hertz

    def _loudness(self, notes: Sequence[Note], places: Sequence[int], ends: Sequence[int], frames: int) -> Doubles:
        """How loud the pulses are, frame by frame: silent before a phrase and in consonants."""
        out = np.zeros(frames)
        for number, (note, place, end) in enumerate(zip(notes, places, ends, strict=True)):
            stop = min(place + note.length // _FRAME + 12, end)
            out[place:stop] = note.velocity
            swell = min(stop - place, 60)
            out[place : place + swell] *= 0.75 + 0.25 * rise(swell)
            consonant = _split(note.manner)[0]
            onset = min(_ONSET_FRAMES, stop - place)
            if number == 0 or consonant in _CONSONANTS:
                out[place : place + onset] *= rise(onset)
                if consonant in _CONSONANTS:
                    gap = int(_CONSONANTS[consonant].seconds * SAMPLE_RATE_HZ / _FRAME)
                    first = max(place - gap, 0)
                    closing = min(5, place - first)
                    out[first:place] *= np.concatenate([1 - rise(closing), np.zeros(place - first - closing)])
            elif consonant in _NASALS:
                out[place : place + _NASAL_FRAMES] *= 0.55
            if stop < frames and (number + 1 == len(notes) or stop < end):
                release = min(24, stop - place)
                out[stop - release : stop] *= rise(release)[::-1]
        return out

    def _states(
        self, notes: Sequence[Note], places: Sequence[int], ends: Sequence[int], frames: int
    ) -> list[tuple[str, str, int, int]]:
        """Which grains sound, frame by frame."""
        before = _split(notes[0].manner)[1]
        states = [(before, before, 0, 1)] * frames
        for note, place, end in zip(notes, places, ends, strict=True):
            consonant, vowel = _split(note.manner)
            if consonant in _NASALS:
                before = "nasal"
            effort = min(int(note.velocity * EFFORTS), EFFORTS - 1)
            held = _NASAL_FRAMES if consonant in _NASALS else 0
            for frame in range(max(place, 0), end):
                blend = (frame - place - held) * BLEND_STEPS // _BLEND_FRAMES
                if blend >= BLEND_STEPS:
                    states[frame:end] = [(vowel, vowel, 0, effort)] * (end - frame)
                    break
                states[frame] = (before, vowel, max(blend, 0), effort)
            before = vowel
        return states

    def _add_pulses(
        self, out: Samples, count: int, hertz: list[float], loudness: Doubles, states: list[tuple[str, str, int, int]]
    ) -> None:
        levels: list[float] = loudness.tolist()
        jitter: list[float] = self._chance.noise(1024).tolist()
        at, number = 0.0, self._chance.below(1024)
        while at < count:
            frame = int(at) // _FRAME
            level = levels[frame]
            number = (number + 1) & 1023
            if level > 0.004:
                grains = self._bank.grains(*states[frame])
                place = int(at)
                strength = np.float32(level * (1 + 0.06 * jitter[number - 512]))
                out[place : place + GRAIN_SAMPLES] += grains[int((at - place) * FRACTIONS)] * strength
            at += SAMPLE_RATE_HZ / hertz[frame] * (1 + 0.006 * jitter[number])

    def _add_consonant(self, out: Samples, note: Note, place: int) -> None:
        name = _split(note.manner)[0]
        if name not in _CONSONANTS:
            return
        kind = _CONSONANTS[name]
        length = samples_in(kind.seconds)
        first = place - length if kind.held else place - samples_in(0.012)
        source = self._consonants[name]
        start = self._chance.below(len(source) - samples_in(0.13))
        noise = source[start : start + (length + samples_in(0.03) if kind.held else samples_in(0.06))].copy()
        if kind.held:
            shape(noise, samples_in(0.03), samples_in(0.03))
        else:
            noise *= decay(len(noise), kind.seconds / 5)
        first = max(first, 0)
        noise = noise[: len(out) - first]
        out[first : first + len(noise)] += noise * np.float32(kind.level * note.velocity * 2)


def _split(syllable: str) -> tuple[str, str]:
    """Consonant and vowel of a syllable; ``a`` for none."""
    vowel = next((name for name in sorted(VOWELS, key=len, reverse=True) if syllable.endswith(name)), "a")
    return syllable.removesuffix(vowel), vowel
