"""What all instruments have in common."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from htdemucs_coreml.songs.chance import Chance
from htdemucs_coreml.songs.composition.notes import Note
from htdemucs_coreml.songs.waves import Samples, decay, samples_in, shape

_MUTED_HALF_LIFE_SECONDS = 0.022


@dataclass(frozen=True)
class Sound:
    """Samples to be added to a song.

    Attributes
    ----------
    start : int
        The first sample's place in the song.
    samples : float32 [n] or [2, n]
        One channel, or left and right.
    place : float
        Where it comes from within the instrument, -1 to 1: keys from left to right, the drums of a kit.
    """

    start: int
    samples: Samples
    place: float = 0.0


@dataclass(frozen=True)
class Timbre:
    """What a recipe says of an instrument's sound: numbers from 0 to 1, and the middle of its register."""

    brightness: float
    decay: float
    colour: float
    centre: int


class Instrument(Protocol):
    """Turns notes into sounds."""

    def play(self, notes: Sequence[Note]) -> Iterator[Sound]:
        """Play notes, ordered by their start."""
        ...


class SampledInstrument(ABC):
    """An instrument whose notes ring by themselves: each pitch is made once, in two layers, and played many times.

    Parameters
    ----------
    timbre : Timbre
        From the recipe.
    chance : Chance
        What makes this instrument another than the next of its kind.
    """

    variants = 2
    longest_seconds = 4.0
    release_seconds = 0.12

    def __init__(self, timbre: Timbre, chance: Chance) -> None:
        self.timbre = timbre
        self.chance = chance
        self._made: dict[tuple[int, int], tuple[Samples, Samples]] = {}

    @abstractmethod
    def layers(self, pitch: int, samples: int, chance: Chance) -> tuple[Samples, Samples]:
        """Make what a soft stroke sounds like, and what a hard one adds."""

    def play(self, notes: Sequence[Note]) -> Iterator[Sound]:
        """Play notes; strokes of one pitch take turns among its variants."""
        release = samples_in(self.release_seconds)
        longest = samples_in(self.longest_seconds)
        needed: dict[int, int] = {}
        for note in notes:
            needed[note.pitch] = max(needed.get(note.pitch, 0), min(note.length + release, longest))
        strokes: dict[int, int] = {}
        for note in notes:
            stroke = strokes[note.pitch] = strokes.get(note.pitch, -1) + 1
            soft, hard = self._layers_of(note.pitch, stroke % self.variants, needed[note.pitch])
            count = min(note.length + release, longest)
            loudness = np.float32(note.velocity)
            sound = soft[:count] * loudness + hard[:count] * (loudness * loudness)
            if note.manner == "muted":
                sound *= decay(count, _MUTED_HALF_LIFE_SECONDS)
            place = (note.pitch - self.timbre.centre) / 24
            yield Sound(note.start, shape(sound, 0, release), max(-1.0, min(1.0, place)))

    def _layers_of(self, pitch: int, variant: int, samples: int) -> tuple[Samples, Samples]:
        made = self._made.get((pitch, variant))
        if made is None or len(made[0]) < samples:
            made = self.layers(pitch, samples, self.chance.fork(pitch, variant))
            self._made[pitch, variant] = made
        return made
