"""A short song of the project's own, for demonstrations and for checks that need music.

Six parts, one per stem of HTDemucs-6s, at 120 beats a minute over a four-chord loop, synthesised from formulas: nothing
is sampled, nothing is random.
"""

import numpy as np
from numpy.typing import NDArray

from htdemucs_coreml.core.contract import SAMPLE_RATE_HZ

BEAT_SECONDS = 0.5
_BEATS_PER_CHORD = 4
_CHORDS_MIDI = ((45, 57, 60, 64), (41, 57, 60, 65), (48, 55, 60, 64), (43, 55, 59, 62))
_PEAK = 0.8

Mono = NDArray[np.float64]


def synthetic_song(samples: int) -> NDArray[np.float32]:
    """The mix of all parts.

    Parameters
    ----------
    samples : int
        Length at 44,100 Hz.

    Returns
    -------
    NDArray[np.float32] [2, samples]
        Left and right, full scale 1.0, peak at most 0.8.
    """
    seconds = np.arange(samples) / SAMPLE_RATE_HZ
    # Each part with its place between left (0) and right (1).
    parts = (
        (_drums(seconds), 0.5),
        (_bass(seconds), 0.5),
        (_organ(seconds), 0.35),
        (_vocals(seconds), 0.55),
        (_guitar(seconds), 0.2),
        (_piano(seconds), 0.8),
    )
    mix = np.zeros((2, samples))
    for part, place in parts:
        mix[0] += part * np.cos(place * np.pi / 2)
        mix[1] += part * np.sin(place * np.pi / 2)
    scaled: NDArray[np.float32] = (mix * (_PEAK / max(np.abs(mix).max(initial=0.0), 1.0))).astype(np.float32)
    return scaled


def _frequency_hz(midi: Mono | int) -> Mono:
    return 440.0 * np.exp2((np.asarray(midi, np.float64) - 69) / 12)


def _beat(seconds: Mono, length_beats: float = 1.0, offset_beats: float = 0.0) -> tuple[NDArray[np.int64], Mono]:
    """Which note of a steady pulse sounds at each moment, and for how many seconds it has."""
    length = length_beats * BEAT_SECONDS
    shifted = seconds - offset_beats * BEAT_SECONDS
    index = np.floor(shifted / length).astype(np.int64)
    return index, shifted - index * length


def _chord_notes(seconds: Mono, voice: int) -> Mono:
    chord, _ = _beat(seconds, _BEATS_PER_CHORD)
    notes = np.array([notes[voice] for notes in _CHORDS_MIDI], np.float64)
    return notes[chord % len(notes)]


def _decay(age: Mono, half_life_seconds: float) -> Mono:
    attack_seconds = 0.003
    envelope: Mono = np.exp2(-age / half_life_seconds) * np.clip(age / attack_seconds, 0, 1)
    return envelope


def white_noise(samples: int) -> Mono:
    """Noise between -1 and 1 from a hash of the sample's number."""
    state = np.arange(samples, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    return (state >> np.uint64(40)).astype(np.float64) / 2**23 - 1


def _drums(seconds: Mono) -> Mono:
    noise = white_noise(len(seconds))
    _, since_kick = _beat(seconds, 2)
    _, since_snare = _beat(seconds, 2, offset_beats=1)
    _, since_hat = _beat(seconds, 0.5)
    kick = np.sin(2 * np.pi * (50 * since_kick + 4 * (1 - np.exp(-since_kick * 30)))) * _decay(since_kick, 0.08)
    snare = noise * _decay(since_snare, 0.05) * (seconds >= BEAT_SECONDS)
    hat = np.diff(noise, prepend=0.0) * _decay(since_hat, 0.015)
    drums: Mono = 0.5 * kick + 0.25 * snare + 0.08 * hat
    return drums


def _bass(seconds: Mono) -> Mono:
    _, age = _beat(seconds)
    phase = 2 * np.pi * _frequency_hz(_chord_notes(seconds, 0) - 12) * age
    return 0.2 * sum((np.sin(k * phase) / k for k in range(1, 6)), np.zeros_like(seconds)) * _decay(age, 0.3)


def _organ(seconds: Mono) -> Mono:
    _, age = _beat(seconds, _BEATS_PER_CHORD)
    swell = np.sin(np.pi * age / (_BEATS_PER_CHORD * BEAT_SECONDS))
    voices = sum(
        (np.sin(2 * np.pi * _frequency_hz(_chord_notes(seconds, voice)) * age) for voice in (1, 2, 3)),
        np.zeros_like(seconds),
    )
    return 0.05 * swell * voices


def _vocals(seconds: Mono) -> Mono:
    index, age = _beat(seconds, 2)
    note = _frequency_hz(_chord_notes(seconds, 3) + np.array([0, 2, 3, 2])[index % 4])
    phase = 2 * np.pi * note * age + 1.2 * np.sin(2 * np.pi * 5.5 * age)
    formants_hz = (700.0, 1200.0, 2600.0)
    voice = np.zeros_like(seconds)
    for harmonic in range(1, 16):
        gain = sum(1 / (1 + ((harmonic * note - formant) / 150) ** 2) for formant in formants_hz)
        voice += gain * np.sin(harmonic * phase)
    vocals: Mono = 0.12 * voice * np.sin(np.pi * age / (2 * BEAT_SECONDS))
    return vocals


def _guitar(seconds: Mono) -> Mono:
    index, age = _beat(seconds, 0.5)
    voice = 1 + index % 3
    note: Mono = np.choose(voice - 1, [_chord_notes(seconds, number) for number in (1, 2, 3)])
    phase = 2 * np.pi * _frequency_hz(note) * age
    string = sum((np.sin(k * phase) * _decay(age, 0.25 / k) / k for k in range(1, 9)), np.zeros_like(seconds))
    return 0.1 * string


def _piano(seconds: Mono) -> Mono:
    _, age = _beat(seconds, 2, offset_beats=0.5)
    piano = np.zeros_like(seconds)
    for voice in (1, 2, 3):
        fundamental = _frequency_hz(_chord_notes(seconds, voice) + 12)
        for k in range(1, 6):
            stretched = k * np.sqrt(1 + 4e-4 * k * k)
            piano += np.sin(2 * np.pi * fundamental * stretched * age) * _decay(age, 0.5 / k) / k**1.5
    return 0.06 * piano * (seconds >= BEAT_SECONDS / 2)
