"""What bass players play: the chords' roots, and ways between them."""

from collections.abc import Sequence

from htdemucs_coreml.songs.chance import Chance
from htdemucs_coreml.songs.composition.harmony import nearest
from htdemucs_coreml.songs.composition.notes import Note
from htdemucs_coreml.songs.composition.patterns import bass_line
from htdemucs_coreml.songs.composition.timing import Bar, Touch
from htdemucs_coreml.songs.recipe import Part, Recipe

_LOWEST = 28


def bass(part: Part, bars: Sequence[Bar], recipe: Recipe, touch: Touch) -> list[Note]:
    """A line in a style, with tones left out and added now and then."""
    notes: list[Note] = []
    for index, bar in enumerate(bars):
        following = bars[index + 1] if index + 1 < len(bars) else bar
        chance = Chance(recipe.seed, part.name, "line", bar.section.name, bar.number % 4)
        tones = _tones(bass_line(part.style, bar.meter), bar, chance)
        for place, (step, tone) in enumerate(tones):
            until = tones[place + 1][0] if place + 1 < len(tones) else bar.meter.steps
            pitch = _pitch(tone, step, bar, following, part.centre, chance)
            held = bar.length_of((until - step) * (0.92 - 0.25 * recipe.looseness * chance.unit()))
            velocity = (0.5 if tone == "r" else 0.75) * (0.7 + 0.4 * bar.section.intensity) + (0.1 if step == 0 else 0)
            notes.append(Note(touch.moved(bar.sample_at(step)), held, pitch, touch.weighed(velocity)))
    return notes


def _tones(line: str, bar: Bar, chance: Chance) -> list[tuple[int, str]]:
    tones = []
    changes = {first for first, _ in bar.chords}
    for step, tone in enumerate(line):
        if step in changes and (step == 0 or tone == "-"):
            tones.append((step, "R"))
        elif tone != "-" and (step == 0 or tone not in "rA" or chance.happens(0.3 + 0.6 * bar.section.intensity)):
            tones.append((step, tone))
    return tones


def _pitch(tone: str, step: int, bar: Bar, following: Bar, centre: int, chance: Chance) -> int:
    chord = bar.chord_at(step)
    root = _playable(nearest(chord.root, centre))
    if tone == "O":
        return root + 12
    if tone == "F":
        return _playable(nearest(chord.fifth, centre))
    if tone == "T":
        third = (chord.root + chord.intervals[1]) % 12
        return nearest(third, root + 3)
    if tone == "A":
        target = _playable(nearest(following.chord_at(0).root, centre))
        return target + chance.pick((-1, 1, -2, 2))
    return root


def _playable(pitch: int) -> int:
    return pitch if pitch >= _LOWEST else pitch + 12
