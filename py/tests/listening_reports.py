"""Made-up reports: sounds by which ear and eye of a test tell what is heard and where."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from htdemucs_coreml.core.contract import SAMPLE_RATE_HZ
from htdemucs_coreml.listening.description import Report, Samples, Song, Stem
from htdemucs_coreml.songs.quality import score_song

SLOPE_HZ_PER_S = 500.0
FIRST_HZ: Mapping[str, float] = {"mix": 1000.0, "reference": 5000.0, "mixed": 9000.0, "budget20": 13000.0}
"""Where the glides of `glide` begin: no two of them, 6 s long, have a frequency in common."""


def glide(name: str, seconds: float, amplitude: float = 0.5) -> Samples:
    """A tone that rises steadily: its frequency says what is heard, and where."""
    time = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    tone = amplitude * np.sin(2 * np.pi * (FIRST_HZ[name] * time + SLOPE_HZ_PER_S * time**2 / 2))
    return np.stack([tone, tone]).astype(np.float32)


def noise(seed: int, samples: int, amplitude: float = 0.1) -> Samples:
    chance = np.random.default_rng(seed)
    return (amplitude * chance.standard_normal((2, samples))).astype(np.float32)


def report(songs: Sequence[Song], title: str = "Listening report", notes: tuple[str, ...] = ()) -> Report:
    """Songs with their scores; what is heard counts for the whole song."""
    scores = {
        result: tuple(
            score_song(
                song.name,
                {stem.name: torch.from_numpy(stem.results[result]) for stem in song.stems},
                {stem.name: torch.from_numpy(stem.reference) for stem in song.stems},
            )
            for song in songs
        )
        for result in songs[0].stems[0].results
    }
    return Report(title, notes, SAMPLE_RATE_HZ, tuple(songs), scores)


def noisy_song(name: str, stems: Sequence[str], results: Sequence[str], samples: int = 4096) -> Song:
    """A short song of noise, and results that are near it."""
    made = []
    for at, stem in enumerate(stems):
        reference = noise(at, samples)
        near = {result: reference + noise(100 + place, samples, 0.01) for place, result in enumerate(results)}
        made.append(Stem(stem, reference, near))
    mix = np.stack([stem.reference for stem in made]).sum(axis=0)
    return Song(name, samples / SAMPLE_RATE_HZ, 0.0, mix, tuple(made))


def gliding_song(name: str, stems: Sequence[str], seconds: float) -> Song:
    """A song whose every sound is a `glide` of its own name."""
    made = tuple(
        Stem(stem, glide("reference", seconds), {result: glide(result, seconds) for result in ("mixed", "budget20")})
        for stem in stems
    )
    return Song(name, seconds, 0.0, glide("mix", seconds), made)
