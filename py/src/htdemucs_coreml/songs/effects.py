"""Effects over a whole part: distortion, echo, chorus, tremolo, and ducking under the bass drum."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from htdemucs_coreml.core.contract import SAMPLE_RATE_HZ
from htdemucs_coreml.songs.chance import Chance
from htdemucs_coreml.songs.recipe import SongError
from htdemucs_coreml.songs.waves import SINE_CYCLE, Samples, band_taps, filtered, look_up, phases, rise, samples_in


@dataclass(frozen=True)
class Setting:
    """What an effect may follow.

    Attributes
    ----------
    seconds_per_beat : float
        Of a quarter note.
    colour : float
        The part's, 0 to 1: how strong the effect is.
    kicks : sequence of int
        Where the bass drum is struck, in samples.
    chance : Chance
        The part's.
    """

    seconds_per_beat: float
    colour: float
    kicks: Sequence[int]
    chance: Chance


Effect = Callable[[Samples, Setting], Samples]


def apply(names: Sequence[str], sound: Samples, setting: Setting) -> Samples:
    """Send a part [2, n] through effects, one after the other.

    Raises
    ------
    SongError
        If there is no effect of a name.
    """
    for name in names:
        if name not in EFFECTS:
            raise SongError(f"there is no effect {name}; take one of {', '.join(EFFECTS)}")
        sound = EFFECTS[name](sound, setting)
    return sound


def _drive(sound: Samples, setting: Setting) -> Samples:
    """An overdriven amplifier, a little lopsided, and its loudspeaker, which gives little above 5 kHz."""
    strength = np.float32(6 + 30 * setting.colour)
    driven = filtered(sound, (1.0, -0.85)) * strength
    driven += np.float32(0.15)
    driven /= np.abs(driven) + np.float32(1)
    driven -= np.float32(0.15 / 1.15)
    return filtered(driven, band_taps(90.0, 4800.0, 28)) * np.float32(0.5)


def _warm(sound: Samples, setting: Setting) -> Samples:
    """A little saturation, as of tubes."""
    driven = sound * np.float32(1.5 + 2 * setting.colour)
    driven /= np.abs(driven) + np.float32(1)
    return driven


def _echo(sound: Samples, setting: Setting) -> Samples:
    """Repeats at three quarters of a beat, alternating between the sides."""
    delay = samples_in(0.75 * setting.seconds_per_beat)
    feedback = np.float32(0.25 + 0.25 * setting.colour)
    out = sound.copy()
    if delay <= 0 or delay >= sound.shape[1]:
        return out
    repeats = sound.copy()
    for start in range(delay, sound.shape[1], delay):
        stop = min(start + delay, sound.shape[1])
        repeats[:, start:stop] += repeats[::-1, start - delay : stop - delay] * feedback
    out += (repeats - sound) * np.float32(0.6)
    return out


def _chorus(sound: Samples, setting: Setting) -> Samples:
    """A second voice whose delay swings."""
    samples = sound.shape[1]
    deepest = 0.0035 * SAMPLE_RATE_HZ
    out = sound.copy()
    places = np.arange(samples, dtype=np.float64)
    for side in (0, 1):
        swing = look_up(SINE_CYCLE, phases(samples, 0.45 + 0.5 * setting.colour, 0.25 * side + setting.chance.unit()))
        read = places - deepest * (1.6 + swing.astype(np.float64))
        np.maximum(read, 0.0, out=read)
        before = read.astype(np.intp)
        weight = (read - before).astype(np.float32)
        low = sound[side].take(before)
        out[side] += (low + (sound[side].take(before + 1, mode="clip") - low) * weight) * np.float32(0.7)
    return out * np.float32(0.7)


def _tremolo(sound: Samples, setting: Setting) -> Samples:
    """Loudness that swings between the sides."""
    hertz = 3.5 + 2.5 * setting.colour
    start = setting.chance.unit()
    out = sound.copy()
    for side in (0, 1):
        swing = look_up(SINE_CYCLE, phases(sound.shape[1], hertz, start + 0.5 * side))
        out[side] *= np.float32(0.75) + np.float32(0.25) * swing
    return out


def _duck(sound: Samples, setting: Setting) -> Samples:
    """Give way to the bass drum for a moment, as in dance music."""
    out = sound.copy()
    length = samples_in(min(0.22, 0.6 * setting.seconds_per_beat))
    depth = 0.4 + 0.4 * setting.colour
    dip = np.float32(1 - depth) + np.float32(depth) * rise(length)
    for number, kick in enumerate(setting.kicks):
        following = setting.kicks[number + 1] if number + 1 < len(setting.kicks) else sound.shape[1]
        stop = min(kick + length, following, sound.shape[1])
        if stop > kick:
            out[:, kick:stop] *= dip[: stop - kick]
    return out


EFFECTS: Mapping[str, Effect] = {
    "drive": _drive,
    "warm": _warm,
    "echo": _echo,
    "chorus": _chorus,
    "tremolo": _tremolo,
    "duck": _duck,
}
"""All effects."""
