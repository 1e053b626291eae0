"""Drums and percussion: membranes that glide in pitch, noise, and many partials of metal."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from htdemucs_coreml.songs.chance import Chance
from htdemucs_coreml.songs.composition.notes import Note
from htdemucs_coreml.songs.instruments.base import Sound, Timbre
from htdemucs_coreml.songs.recipe import SongError
from htdemucs_coreml.songs.waves import (
    SINE_CYCLE,
    Samples,
    audible,
    band_taps,
    decay,
    filtered,
    increment,
    look_up,
    phases,
    samples_in,
    shape,
)

_VARIANTS = 3
_HATS = frozenset({"hat", "half_open", "open", "pedal"})
_CHOKED_SECONDS = 0.012
_METAL_RATIOS = (1.0, 1.342, 1.503, 1.791, 2.131, 2.417, 2.803, 3.271, 3.916, 4.538, 5.207, 6.113)
_SOFT_HERTZ = 6500.0


@dataclass(frozen=True)
class Construction:
    """How a kit is tuned; times are half-lives in seconds.

    Attributes
    ----------
    kick_hz, kick_drop, kick_time, kick_click : float
        Pitch, how far above it the stroke begins (a factor), ring, and click.
    snare_hz, snare_time, snare_wires, snare_tone : float
        Pitch, ring of the wires, and levels of wires and shell.
    hat_hz, hat_time, cymbal_time : float
        Lowest partial of the metal, ring of closed hats, ring of cymbals.
    tom_hz, tom_time : float
        The lowest tom's pitch and ring.
    """

    kick_hz: float = 52.0
    kick_drop: float = 4.0
    kick_time: float = 0.07
    kick_click: float = 0.35
    snare_hz: float = 190.0
    snare_time: float = 0.045
    snare_wires: float = 0.5
    snare_tone: float = 0.4
    hat_hz: float = 420.0
    hat_time: float = 0.016
    cymbal_time: float = 0.38
    tom_hz: float = 85.0
    tom_time: float = 0.11


CONSTRUCTIONS: Mapping[str, Construction] = {
    "rock-kit": Construction(),
    "tight-kit": Construction(
        kick_hz=58, kick_time=0.045, snare_hz=230, snare_time=0.03, hat_time=0.012, tom_time=0.08
    ),
    "jazz-kit": Construction(
        kick_hz=68,
        kick_time=0.09,
        kick_click=0.12,
        snare_hz=215,
        snare_wires=0.4,
        hat_hz=380,
        cymbal_time=0.5,
        tom_hz=105,
        tom_time=0.15,
    ),
    "vintage-kit": Construction(
        kick_hz=60, kick_click=0.2, snare_hz=175, snare_time=0.06, snare_tone=0.55, hat_time=0.02, cymbal_time=0.3
    ),
    "club-kit": Construction(
        kick_hz=48,
        kick_drop=6,
        kick_time=0.1,
        kick_click=0.5,
        snare_hz=180,
        snare_time=0.05,
        hat_hz=520,
        hat_time=0.014,
        cymbal_time=0.25,
    ),
    "boom-kit": Construction(
        kick_hz=44,
        kick_drop=3,
        kick_time=0.22,
        kick_click=0.15,
        snare_hz=200,
        snare_time=0.05,
        hat_hz=540,
        hat_time=0.01,
        tom_hz=75,
        tom_time=0.2,
    ),
    "box-kit": Construction(
        kick_hz=72, kick_time=0.05, kick_click=0.1, snare_hz=260, snare_time=0.035, snare_wires=0.3, hat_time=0.013
    ),
}
"""Kits; percussion comes with each."""

_PLACES: Mapping[str, float] = {
    "kick": 0.0, "snare": 0.08, "rim": 0.08, "clap": 0.0, "brush": 0.1, "hat": 0.55, "half_open": 0.55, "open": 0.55,
    "pedal": 0.55, "ride": -0.55, "crash": -0.7, "tom_high": 0.3, "tom_mid": -0.1, "tom_low": -0.45, "cowbell": 0.35,
    "tambourine": -0.6, "shaker": 0.7, "conga": -0.4,
}  # fmt: skip


DRUMS = tuple(_PLACES)
"""All drums that a kit has."""


class DrumKit:
    """A kit, seen from the drummer's stool or from the audience, as chance has it."""

    def __init__(self, construction: Construction, timbre: Timbre, chance: Chance) -> None:
        self._built = construction
        self._bright = 0.6 + 0.8 * timbre.brightness
        self._ring = 0.6 + 0.8 * timbre.decay
        self._tuning = (0.85 + 0.3 * timbre.colour) * chance.between(0.94, 1.06)
        self._side = chance.pick((-1.0, 1.0))
        self._metal = [ratio * chance.between(0.96, 1.04) for ratio in _METAL_RATIOS]
        self._chance = chance
        self._made: dict[tuple[str, int], tuple[Samples, Samples]] = {}

    def play(self, notes: Sequence[Note]) -> Iterator[Sound]:
        """Play strokes; a hi-hat ends what the hi-hat played before."""
        choke = samples_in(_CHOKED_SECONDS)
        hats = [note.start for note in notes if note.manner in _HATS] + [1 << 62]
        hat = 0
        strokes: dict[str, int] = {}
        for note in notes:
            stroke = strokes[note.manner] = strokes.get(note.manner, -1) + 1
            hard, soft = self._sample(note.manner, (stroke * 2 + stroke // 3) % _VARIANTS)
            loudness = np.float32(note.velocity)
            sound = soft * (loudness * (np.float32(1.15) - loudness)) + hard * (loudness * loudness)
            if note.manner in _HATS:
                hat += 1
                until = hats[hat] - note.start + choke
                if until < len(sound):
                    sound = shape(sound[:until], 0, choke)
            yield Sound(note.start, sound, _PLACES[note.manner] * self._side)

    def _sample(self, drum: str, variant: int) -> tuple[Samples, Samples]:
        """A stroke as it is when hard, and as it is when soft."""
        made = self._made.get((drum, variant))
        if made is None:
            if drum not in _PLACES:
                raise SongError(f"there is no drum {drum}; take one of {', '.join(_PLACES)}")
            hard = self._make(drum, self._chance.fork(drum, variant))
            shape(hard, 0, min(len(hard) // 4, 2000))
            taps = band_taps(0.0, _SOFT_HERTZ * self._bright, 12)
            made = self._made[drum, variant] = (hard, filtered(hard, taps))
        return made

    def _make(self, drum: str, chance: Chance) -> Samples:
        kit, tuning, ring = self._built, self._tuning, self._ring
        vary = 1 + chance.around(0.01)
        if drum == "kick":
            body = _membrane(kit.kick_hz * tuning * vary, kit.kick_drop, kit.kick_time * ring, 0.018, 0.9)
            return _mixed(body, _noise(chance, 1200.0, 7000.0, 0.003, kit.kick_click * self._bright))
        if drum == "snare":
            shell = _membrane(kit.snare_hz * tuning * vary, 1.4, 0.03 * ring, 0.012, kit.snare_tone)
            second = _membrane(kit.snare_hz * 1.72 * tuning, 1.2, 0.016 * ring, 0.012, kit.snare_tone * 0.5)
            wires = _noise(chance, 900.0, 9500.0 * self._bright, kit.snare_time * ring, kit.snare_wires * 1.4)
            return _mixed(shell, second, wires, _noise(chance, 2500.0, 12000.0, 0.005, 0.4))
        if drum == "rim":
            return _mixed(
                _membrane(1650.0 * tuning * vary, 1.0, 0.009, 0.01, 0.35),
                _membrane(470.0 * tuning, 1.0, 0.014, 0.01, 0.35),
            )
        if drum == "clap":
            tail = _noise(chance, 900.0, 5000.0, 0.045 * ring, 0.5)
            bursts = [
                _delayed(_noise(chance, 900.0, 6000.0, 0.004, 0.7), 0.011 * k + 0.002 * chance.unit()) for k in range(3)
            ]
            return _mixed(_delayed(tail, 0.03), *bursts)
        if drum == "brush":
            swirl = _noise(chance, 1500.0, 8000.0, 0.07 * ring, 0.5)
            return shape(swirl, min(len(swirl), samples_in(0.03)), 0)
        if drum in _HATS:
            lasting = {"hat": 1.0, "half_open": 6.0, "open": 12.0, "pedal": 1.6}[drum] * kit.hat_time * ring
            return self._cymbal(chance, kit.hat_hz * tuning, lasting, 0.34, 0.3 if drum != "pedal" else 0.15, 6000.0)
        if drum == "ride":
            ping = _membrane(3300.0 * tuning * vary, 1.0, 0.03, 0.01, 0.14)
            return _mixed(
                self._cymbal(chance, kit.hat_hz * tuning * 1.1, kit.cymbal_time * 0.8 * ring, 0.2, 0.1, 4200.0), ping
            )
        if drum == "crash":
            return self._cymbal(chance, kit.hat_hz * tuning * 0.8, kit.cymbal_time * 1.1 * ring, 0.3, 0.55, 2500.0)
        if drum.startswith("tom"):
            pitch = kit.tom_hz * tuning * vary * {"tom_low": 1.0, "tom_mid": 1.38, "tom_high": 1.85}[drum]
            return _mixed(
                _membrane(pitch, 1.5, kit.tom_time * ring, 0.03, 0.75),
                _membrane(pitch * 1.59, 1.2, kit.tom_time * 0.4 * ring, 0.02, 0.2),
                _noise(chance, 500.0, 5000.0, 0.006, 0.3),
            )
        if drum == "cowbell":
            return _mixed(_square(562.0 * tuning, 0.05 * ring, 0.2), _square(845.0 * tuning, 0.04 * ring, 0.2))
        if drum == "conga":
            pitch = chance.pick((195.0, 195.0, 290.0)) * tuning
            return _mixed(_membrane(pitch, 1.15, 0.07 * ring, 0.01, 0.6), _noise(chance, 700.0, 4000.0, 0.006, 0.35))
        if drum == "tambourine":
            return _mixed(
                _noise(chance, 6000.0, 15000.0, 0.03 * ring, 0.45),
                self._cymbal(chance, 1400.0, 0.05, 0.12, 0.0, 6000.0),
            )
        grains = _noise(chance, 4500.0, 12000.0, 0.018 * ring, 0.5)
        return shape(grains, min(len(grains), samples_in(0.015)), 0)

    def _cymbal(
        self, chance: Chance, lowest_hz: float, time: float, metal: float, wash: float, edge_hz: float
    ) -> Samples:
        """Partials of metal above an edge, beside a wash of noise."""
        count = samples_in(min(time * 12, 2.6))
        ringing = np.zeros(count, np.float32)
        for number, ratio in enumerate(self._metal):
            hertz = lowest_hz * ratio * (1 + number % 3)
            half_life = time * (1.3 - 0.07 * number)
            heard = audible(count, half_life)
            wave = (phases(heard, hertz, chance.unit()) >> np.uint32(31)).astype(np.float32) - np.float32(0.5)
            ringing[:heard] += wave * decay(heard, half_life)
        bright = filtered(ringing, band_taps(edge_hz, 15000.0, 32)) * np.float32(metal * self._bright)
        hiss = filtered(chance.noise(count), band_taps(edge_hz * 1.1, 16000.0, 32)) * decay(count, time * 0.8)
        return bright + hiss * np.float32(wash * self._bright)


def _membrane(hertz: float, drop: float, half_life: float, glide: float, level: float) -> Samples:
    """A decaying sine that begins `drop` times as high and glides down."""
    count = samples_in(min(half_life * 14, 2.0))
    rise_now = decay(count, glide) * np.float32(drop - 1) + np.float32(1)
    steps = (rise_now.astype(np.float64) * increment(hertz)).astype(np.int64).astype(np.uint32)
    tone = look_up(SINE_CYCLE, np.add.accumulate(steps, dtype=np.uint32)) * decay(count, half_life)
    return shape(tone * np.float32(level), samples_in(0.0006), 0)


def _noise(chance: Chance, low_hz: float, high_hz: float, half_life: float, level: float) -> Samples:
    count = samples_in(min(half_life * 13, 2.5)) + 64
    noise = filtered(chance.noise(count), band_taps(low_hz, min(high_hz, 20000.0), 40))
    return noise * decay(count, half_life) * np.float32(level)


def _square(hertz: float, half_life: float, level: float) -> Samples:
    count = samples_in(half_life * 12)
    wave = (phases(count, hertz) >> np.uint32(31)).astype(np.float32) - np.float32(0.5)
    return filtered(wave, band_taps(300.0, 7000.0, 24)) * decay(count, half_life) * np.float32(2 * level)


def _delayed(sound: Samples, seconds: float) -> Samples:
    return np.concatenate([np.zeros(samples_in(seconds), np.float32), sound])


def _mixed(*sounds: Samples) -> Samples:
    out = np.zeros(max(map(len, sounds)), np.float32)
    for sound in sounds:
        out[: len(sound)] += sound
    return out
