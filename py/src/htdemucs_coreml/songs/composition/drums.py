"""What drummers and percussionists play: a groove, ghost notes, fills, crashes."""

from collections.abc import Sequence

from htdemucs_coreml.songs.chance import Chance
from htdemucs_coreml.songs.composition.notes import Note
from htdemucs_coreml.songs.composition.patterns import STRENGTHS, groove
from htdemucs_coreml.songs.composition.timing import Bar, Touch
from htdemucs_coreml.songs.recipe import Part, Recipe

_FILL_DRUMS = ("snare", "tom_high", "tom_mid", "tom_low")
_QUIET, _LOUD = 0.4, 0.75
_RING_STEPS = 8


def kit(part: Part, bars: Sequence[Bar], recipe: Recipe, touch: Touch) -> list[Note]:
    """A drum kit: the style is a groove; the last bar of a section ends in a fill, the first begins with a crash."""
    notes: list[Note] = []
    for bar in bars:
        chance = Chance(recipe.seed, part.name, "kit", bar.section.name, bar.occurrence, bar.number)
        fill_from = _fill_start(bar, chance)
        for drum, step, velocity in _struck(part, bar, recipe):
            if step < fill_from or (drum == "kick" and step % 4 == 0):
                notes.append(_stroke(bar, touch, drum, step, velocity))
        notes += _fill(bar, touch, chance, fill_from)
        if bar.number == 0 and bar.section.intensity > _QUIET:
            notes.append(_stroke(bar, touch, "crash", 0, 0.9))
    return notes


def percussion(part: Part, bars: Sequence[Bar], recipe: Recipe, touch: Touch) -> list[Note]:
    """Shakers, congas, tambourine: the style is a groove, without fills."""
    return [
        _stroke(bar, touch, drum, step, velocity) for bar in bars for drum, step, velocity in _struck(part, bar, recipe)
    ]


def _struck(part: Part, bar: Bar, recipe: Recipe) -> list[tuple[str, int, float]]:
    """The groove as this section varies it, every other bar in one way."""
    intensity = bar.section.intensity
    fixed = Chance(recipe.seed, part.name, "groove", bar.section.name, bar.number % 2)
    passing = Chance(recipe.seed, part.name, "ghosts", bar.section.name, bar.occurrence, bar.number)
    strokes = []
    for drum, pattern in groove(part.style, bar.meter).items():
        played = _drum_for(drum, intensity)
        for step, character in enumerate(pattern):
            varied = fixed.unit()
            if character == "-":
                if drum == "kick" and step % 4 == 2 and varied < 0.12 * intensity:
                    strokes.append((drum, step, 0.6))
                continue
            if character == "." and not passing.happens(0.35 + 0.4 * intensity):
                continue
            if character == "o" and drum in ("kick", "hat") and varied > 0.75 + 0.25 * intensity:
                continue
            velocity = STRENGTHS[character] * (0.55 + 0.5 * intensity)
            strokes.append((played, step, velocity))
    return strokes


def _drum_for(drum: str, intensity: float) -> str:
    """Quiet sections have a rim click for the snare drum, loud ones a ride or half-open hats."""
    if intensity < _QUIET and drum == "snare":
        return "rim"
    if intensity > _LOUD and drum == "hat":
        return "half_open"
    return drum


def _fill_start(bar: Bar, chance: Chance) -> int:
    """The sixteenth from which a fill takes over; the bar's end for none."""
    steps = bar.meter.steps
    likely = 0.9 if bar.is_last else 0.2 if bar.number % 4 == 3 else 0.0
    if not chance.happens(likely * (0.4 + 0.6 * bar.section.intensity)):
        return steps
    return steps - (chance.pick((2, 4, 4, 8)) if bar.is_last else 2)


def _fill(bar: Bar, touch: Touch, chance: Chance, start: int) -> list[Note]:
    steps = bar.meter.steps
    spacing = chance.pick((1, 1, 2)) if steps - start > 2 else 1
    notes = []
    for step in range(start, steps, spacing):
        progress = (step - start) / max(steps - start, 1)
        drum = _FILL_DRUMS[min(int(progress * 4 + chance.between(-0.5, 0.8)), 3)] if chance.happens(0.8) else "snare"
        velocity = (0.45 + 0.45 * progress) * (0.6 + 0.4 * bar.section.intensity)
        if chance.happens(0.88):
            notes.append(_stroke(bar, touch, drum, step, velocity))
    return notes


def _stroke(bar: Bar, touch: Touch, drum: str, step: int, velocity: float) -> Note:
    return Note(touch.moved(bar.sample_at(step)), bar.length_of(_RING_STEPS), 0, touch.weighed(velocity), manner=drum)
