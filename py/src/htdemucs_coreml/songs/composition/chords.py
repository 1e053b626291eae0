"""What players of chords play: struck, strummed, broken, held, and power chords."""

from collections.abc import Iterator, Sequence

from htdemucs_coreml.songs.chance import Chance
from htdemucs_coreml.songs.composition.harmony import Chord, nearest, voicing
from htdemucs_coreml.songs.composition.notes import Note
from htdemucs_coreml.songs.composition.patterns import STRENGTHS, rhythm
from htdemucs_coreml.songs.composition.timing import Bar, Touch
from htdemucs_coreml.songs.recipe import Part, Recipe

_STRUM_SECONDS = (0.006, 0.02)
_SHORT = frozenset({"skank", "offbeats", "stabs", "funk", "charleston"})
"""Rhythms whose chords are let go at once."""


def chords(part: Part, bars: Sequence[Bar], recipe: Recipe, touch: Touch) -> list[Note]:
    """Chords in close position, all tones together: keyboards, horns."""
    notes: list[Note] = []
    for bar, step, until, strength in _strokes(part, bars, recipe):
        tones = 4 if len(bar.chord_at(step).intervals) > 3 else 3
        pitches = voicing(bar.chord_at(step), part.centre, tones)
        notes += [_note(part, bar, touch, step, until, pitch, strength) for pitch in pitches]
    return notes


def keys(part: Part, bars: Sequence[Bar], recipe: Recipe, touch: Touch) -> list[Note]:
    """Two hands at a piano: the left one plays the chord's root and fifth below, the right one chords."""
    notes = chords(part, bars, recipe, touch)
    for bar in bars:
        for place, (step, chord) in enumerate(bar.chords):
            until = bar.chords[place + 1][0] if place + 1 < len(bar.chords) else bar.meter.steps
            root = nearest(chord.root, part.centre - 20)
            notes.append(_note(part, bar, touch, step, until, root, 0.7))
            if bar.section.intensity > 0.55:
                notes.append(_note(part, bar, touch, step, until, root + 7 if until - step > 8 else root + 12, 0.55))
    return notes


def strum(part: Part, bars: Sequence[Bar], recipe: Recipe, touch: Touch) -> list[Note]:
    """Five strings, one after the other, down on the beat and up between."""
    notes: list[Note] = []
    for bar, step, until, strength in _strokes(part, bars, recipe):
        muted = strength < 0.4
        strings = _strings(bar.chord_at(step), part.centre)
        up = step % 4 == 2
        low, high = _STRUM_SECONDS
        spread = touch.chance.between(low, high) / max(bar.section.seconds_per_step, 1e-3)
        for place, pitch in enumerate(strings[:1:-1] if up else strings):
            delay = spread * place / len(strings) * 4
            weight = strength * (0.85 if up else 1.0) * (1 - 0.05 * place)
            notes.append(_note(part, bar, touch, step + delay, until, pitch, weight, "muted" if muted else ""))
    return notes


def arpeggio(part: Part, bars: Sequence[Bar], recipe: Recipe, touch: Touch) -> list[Note]:
    """The chord's tones one after the other, in an order that the section keeps."""
    notes: list[Note] = []
    for bar in bars:
        chance = Chance(recipe.seed, part.name, "order", bar.section.name)
        order = chance.pick(
            ((0, 1, 2, 3, 4, 3, 2, 1), (0, 2, 1, 3, 2, 4, 3, 1), (0, 2, 4, 2, 3, 2, 4, 2), (0, 1, 2, 4, 3, 4, 2, 1))
        )
        spacing = 1 if part.style == "sixteenths" else 2
        left_out = Chance(recipe.seed, part.name, "left out", bar.section.name, bar.number % 2)
        for count, step in enumerate(range(0, bar.meter.steps, spacing)):
            tones = _strings(bar.chord_at(step), part.centre)
            if count and left_out.happens(0.3 - 0.25 * bar.section.intensity):
                continue
            strength = 0.8 if step in bar.meter.pulses else 0.6
            ring = max(spacing * 2, 4)
            notes.append(_note(part, bar, touch, step, step + ring, tones[order[count % len(order)]], strength))
    return notes


def pad(part: Part, bars: Sequence[Bar], _: Recipe, touch: Touch) -> list[Note]:
    """Chords that are held until they change, over bar lines too."""
    held: list[tuple[Bar, int, Chord, int]] = []
    for bar in bars:
        for place, (step, chord) in enumerate(bar.chords):
            until = bar.sample_at(bar.chords[place + 1][0] if place + 1 < len(bar.chords) else bar.meter.steps)
            if held and held[-1][2] == chord and held[-1][3] == bar.sample_at(step) and bar.number % 4:
                held[-1] = (*held[-1][:3], until)
            else:
                held.append((bar, step, chord, until))
    notes = []
    for bar, step, chord, until in held:
        start = bar.sample_at(step)
        for pitch in voicing(chord, part.centre, 3 if bar.section.intensity < 0.5 else 4):
            velocity = touch.weighed(0.5 + 0.4 * bar.section.intensity)
            notes.append(Note(touch.moved(start), until - start, pitch, velocity))
    return notes


def power(part: Part, bars: Sequence[Bar], recipe: Recipe, touch: Touch) -> list[Note]:
    """Root, fifth and octave, for distortion."""
    notes: list[Note] = []
    for bar, step, until, strength in _strokes(part, bars, recipe):
        root = nearest(bar.chord_at(step).root, part.centre)
        for place, interval in enumerate((0, 7, 12)):
            manner = "muted" if strength < 0.4 else ""
            notes.append(
                _note(part, bar, touch, step + 0.02 * place, until, root + interval, max(strength, 0.6), manner)
            )
    return notes


def _strokes(part: Part, bars: Sequence[Bar], recipe: Recipe) -> Iterator[tuple[Bar, int, int, float]]:
    """Bar, step, step of the end, and strength of every chord that is struck."""
    for bar in bars:
        fixed = Chance(recipe.seed, part.follows or part.name, "strokes", bar.section.name, bar.number % 2)
        pattern = rhythm(part.style, bar.meter)
        struck = [
            (step, STRENGTHS[character])
            for step, character in enumerate(pattern)
            if character != "-" and (step == 0 or fixed.happens({"o": 0.8, ".": 0.7}.get(character, 0.96)))
        ]
        for place, (step, strength) in enumerate(struck):
            until = struck[place + 1][0] if place + 1 < len(struck) else bar.meter.steps
            if part.style in _SHORT:
                until = min(until, step + 2)
            yield bar, step, until, strength


def _strings(chord: Chord, centre: int) -> list[int]:
    """Five tones, ascending: the chord and its lower tones again an octave higher."""
    low = voicing(chord, centre - 5, 3)
    return [*low, low[0] + 12, low[1] + 12]


def _note(
    part: Part, bar: Bar, touch: Touch, step: float, until: float, pitch: int, strength: float, manner: str = ""
) -> Note:
    held = bar.length_of(max(until - step, 0.5) * (0.55 if part.style in _SHORT else 0.95))
    velocity = touch.weighed(strength * (0.65 + 0.45 * bar.section.intensity))
    return Note(touch.moved(bar.sample_at(step)), held, pitch, velocity, manner)
