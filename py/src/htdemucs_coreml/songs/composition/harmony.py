"""Scales and chords: from Roman numerals to pitches."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from htdemucs_coreml.songs.recipe import MODES, SongError

_NUMERALS = {"i": 0, "ii": 2, "iii": 4, "iv": 5, "v": 7, "vi": 9, "vii": 11}
_CHORD = re.compile("(b|#)?([ivIV]+)(m7b5|maj7|maj9|dim|sus2|sus4|add9|m9|m7|6|7|9|5|)")
_SUFFIXES: dict[str, tuple[int, ...]] = {
    "m7b5": (0, 3, 6, 10),
    "dim": (0, 3, 6),
    "sus2": (0, 2, 7),
    "sus4": (0, 5, 7),
    "5": (0, 7),
}
_ADDED = {
    "": (),
    "maj7": (11,),
    "maj9": (11, 14),
    "add9": (14,),
    "m9": (10, 14),
    "m7": (10,),
    "6": (9,),
    "7": (10,),
    "9": (10, 14),
}


@dataclass(frozen=True)
class Chord:
    """A chord.

    Attributes
    ----------
    root : int
        Pitch class of its root, 0 to 11, 0 being C.
    intervals : tuple of int
        Its tones in semitones above the root, ascending from 0.
    """

    root: int
    intervals: tuple[int, ...]

    @property
    def pitch_classes(self) -> tuple[int, ...]:
        """Its tones as pitch classes, the root first."""
        return tuple((self.root + interval) % 12 for interval in self.intervals)

    @property
    def fifth(self) -> int:
        """The fifth's pitch class, or what stands in its place."""
        return (self.root + next((interval for interval in self.intervals if interval in (6, 7, 8)), 7)) % 12


def parse_chord(text: str, key: int) -> Chord:
    """A Roman numeral over the major scale of a key: upper case is major, lower case minor.

    Raises
    ------
    SongError
        If it is none.
    """
    match = _CHORD.fullmatch(text)
    if match is None or match[2].lower() not in _NUMERALS or match[2] not in (match[2].lower(), match[2].upper()):
        raise SongError(f"{text} is not a chord such as vi, IV7, bVII or Imaj7; correct the recipe")
    accidental, numeral, suffix = match.groups()
    root = (key + _NUMERALS[numeral.lower()] + {None: 0, "b": -1, "#": 1}[accidental]) % 12
    triad = (0, 4, 7) if numeral.isupper() else (0, 3, 7)
    return Chord(root, _SUFFIXES.get(suffix, triad + _ADDED.get(suffix, ())))


def nearest(pitch_class: int, target: float) -> int:
    """The pitch of a class that is nearest to a target."""
    base = int(target) - (int(target) - pitch_class) % 12
    return base if target - base <= 6 else base + 12


def voicing(chord: Chord, centre: float, tones: int) -> list[int]:
    """The chord in close position, in the inversion whose middle is nearest to `centre`.

    Chords that follow each other move little, since all are drawn to one centre.
    """
    classes = chord.pitch_classes
    wanted = _without_root_and_fifth(classes, tones)
    best: list[int] = []
    for lowest in wanted:
        stack = [nearest(lowest, centre - 4)]
        while len(stack) < tones:
            stack.append(min(_above(pitch_class, stack[-1]) for pitch_class in wanted))
        if not best or abs(_middle(stack) - centre) < abs(_middle(best) - centre):
            best = stack
    return best


def scale_pitches(key: int, mode: str, low: int, high: int) -> list[int]:
    """All pitches of a scale from `low` to `high`."""
    classes = {(key + interval) % 12 for interval in MODES[mode]}
    return [pitch for pitch in range(low, high + 1) if pitch % 12 in classes]


def shifted_in_scale(pitch: int, steps: int, key: int, mode: str) -> int:
    """The pitch some steps of the scale above or below, to sing in thirds."""
    scale = scale_pitches(key, mode, pitch - 24, pitch + 24)
    at = min(range(len(scale)), key=lambda index: (abs(scale[index] - pitch), index))
    return scale[at + steps]


def _without_root_and_fifth(classes: Sequence[int], tones: int) -> Sequence[int]:
    """Of rich chords in few tones, the root is the bass player's and the fifth says least."""
    if len(classes) <= max(tones, 3):
        return classes
    return [
        pitch_class
        for number, pitch_class in enumerate(classes)
        if number not in ((0, 2) if len(classes) > 4 else (2,))
    ]


def _above(pitch_class: int, pitch: int) -> int:
    return pitch + ((pitch_class - pitch - 1) % 12) + 1


def _middle(pitches: Sequence[int]) -> float:
    return sum(pitches) / len(pitches)
