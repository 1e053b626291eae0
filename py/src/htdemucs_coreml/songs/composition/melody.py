"""Melodies: phrases with rests, over the scale, drawn to the chord on strong beats; and voices that follow them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from htdemucs_coreml.songs.chance import Chance
from htdemucs_coreml.songs.composition.harmony import nearest, scale_pitches, shifted_in_scale
from htdemucs_coreml.songs.composition.notes import Note
from htdemucs_coreml.songs.composition.timing import Bar, Touch
from htdemucs_coreml.songs.recipe import Part, Recipe, SongError

_REGISTER = 9
_PERIOD_BARS = 4
_CONSONANTS = ("", "t", "k", "s", "sh", "f", "m", "n", "l", "b", "d", "h")
_VOWELS = ("a", "e", "i", "o", "u", "@", "ae")


@dataclass(frozen=True)
class _Manner:
    """How a melody moves: lengths in sixteenths, how often it rests, leaps, and fills a phrase's end."""

    lengths: tuple[int, ...]
    rests: float
    leaps: float
    phrase: float


_MANNERS = {
    "phrases": _Manner((2, 2, 3, 4, 4, 6, 8), 0.12, 0.25, 0.75),
    "long": _Manner((4, 6, 8, 8, 12, 16), 0.1, 0.2, 0.85),
    "dense": _Manner((1, 2, 2, 2, 3, 4), 0.1, 0.3, 0.85),
    "spoken": _Manner((1, 1, 2, 2, 2, 3), 0.15, 0.1, 0.9),
    "riff": _Manner((1, 2, 2, 3, 4), 0.25, 0.45, 1.0),
    "answers": _Manner((2, 2, 3, 4), 0.1, 0.35, 0.5),
}


def melody(part: Part, bars: Sequence[Bar], recipe: Recipe, touch: Touch) -> list[Note]:
    """A tune; the style is how it moves. Sections of one name have one tune, and one text where it is sung."""
    if part.style not in _MANNERS:
        raise SongError(f"there is no style {part.style} among melodies; take one of {', '.join(_MANNERS)}")
    manner = _MANNERS[part.style]
    notes: list[Note] = []
    scale = scale_pitches(recipe.key, recipe.mode, part.centre - _REGISTER, part.centre + _REGISTER)
    place = len(scale) // 2
    for bar in bars:
        motif = _motif_number(bar, part.style)
        rhythm = _rhythm(bar, manner, Chance(recipe.seed, part.name, "rhythm", bar.section.name, motif), part.style)
        chance = Chance(recipe.seed, part.name, "tune", bar.section.name, motif)
        words = Chance(recipe.seed, part.name, "words", bar.section.name, bar.number)
        if bar.number % _PERIOD_BARS == 0:
            place = len(scale) // 2 + chance.below(3) - 1
        lift = 2 if bar.section.intensity > 0.7 else 0
        for step, length in rhythm:
            leap = (
                chance.pick((-4, -3, 3, 4)) if chance.happens(manner.leaps) else chance.pick((-2, -1, -1, 0, 1, 1, 2))
            )
            place = min(max(place + leap, 0), len(scale) - 1)
            pitch = scale[min(place + lift, len(scale) - 1)]
            if step in bar.meter.pulses or length >= 4:
                pitch = min(
                    (nearest(tone, pitch) for tone in bar.chord_at(step).pitch_classes),
                    key=lambda tone: abs(tone - pitch),
                )
            velocity = 0.6 + 0.3 * bar.section.intensity + (0.1 if step in bar.meter.pulses else 0)
            syllable = words.pick(_CONSONANTS) + words.pick(_VOWELS) if part.stem == "vocals" else ""
            held = bar.length_of(length * (0.96 if part.stem == "vocals" else 0.85))
            notes.append(Note(touch.moved(bar.sample_at(step)), held, pitch, touch.weighed(velocity), syllable))
    return notes


def harmony(part: Part, led: Sequence[Note], recipe: Recipe, touch: Touch) -> list[Note]:
    """The tune of another part: a `third` above, a `sixth` below, in unison (`double`), or an `octave` up.

    Raises
    ------
    SongError
        If the style is none of these.
    """
    steps = {"third": 2, "sixth": -5, "double": 0, "octave": 7}
    if part.style not in steps:
        raise SongError(f"there is no style {part.style} among harmonies; take one of {', '.join(steps)}")
    return [
        replace(
            note,
            start=touch.moved(note.start),
            pitch=shifted_in_scale(note.pitch, steps[part.style], recipe.key, recipe.mode),
            velocity=touch.weighed(note.velocity * 0.85),
        )
        for note in led
    ]


def _motif_number(bar: Bar, style: str) -> int:
    """Bars of a period are as A B A C; a riff repeats two bars."""
    if style == "riff":
        return bar.number % 2
    return (0, 1, 0, 2)[bar.number % _PERIOD_BARS] + (3 if bar.number // _PERIOD_BARS % 2 else 0)


def _rhythm(bar: Bar, manner: _Manner, chance: Chance, style: str) -> list[tuple[int, int]]:
    """When notes begin and how long they are, in sixteenths."""
    steps = bar.meter.steps
    grid = 2 if bar.meter.is_compound else 1
    end = steps
    if bar.number % 2 == 1:
        end = int(steps * manner.phrase)
    start = chance.pick((0, 0, 0, 2, 4))
    if style == "answers":
        if bar.number % 2 == 0:
            return []
        start = steps // 2
        end = steps
    notes = []
    step = start
    while step < end:
        length = chance.pick(manner.lengths) * grid
        length = min(length, max(end - step, 1))
        if not chance.happens(manner.rests):
            notes.append((step, length))
        step += length
    return notes
