"""The score of a recipe: the notes of each part."""

from collections.abc import Callable, Mapping, Sequence

from htdemucs_coreml.songs.composition import bass, chords, drums, melody
from htdemucs_coreml.songs.composition.notes import Note
from htdemucs_coreml.songs.composition.timing import Bar, Touch, bars_of, touch_of
from htdemucs_coreml.songs.recipe import Part, Recipe, SongError

Role = Callable[[Part, Sequence[Bar], Recipe, Touch], list[Note]]

_ROLES: Mapping[str, Role] = {
    "kit": drums.kit,
    "percussion": drums.percussion,
    "bass": bass.bass,
    "chords": chords.chords,
    "keys": chords.keys,
    "strum": chords.strum,
    "arpeggio": chords.arpeggio,
    "pad": chords.pad,
    "power": chords.power,
    "melody": melody.melody,
}
_HARMONY = "harmony"


def compose(recipe: Recipe) -> dict[str, list[Note]]:
    """Write all parts.

    Parameters
    ----------
    recipe : Recipe

    Returns
    -------
    dict of str to list of Note
        For each part by its name, ordered by start.

    Raises
    ------
    SongError
        If a chord, role or style is none, or a harmony follows nothing.
    """
    bars = bars_of(recipe)
    score: dict[str, list[Note]] = {}
    for part in recipe.parts:
        touch = touch_of(recipe, part.name)
        played = [bar for bar in bars if part.name in bar.section.parts]
        if part.role == _HARMONY:
            if not part.follows:
                raise SongError(f"part {part.name} is a harmony and follows no part; add `follows`")
            led = _within(score[part.follows], played)
            notes = melody.harmony(part, led, recipe, touch)
        elif part.role in _ROLES:
            notes = _ROLES[part.role](part, played, recipe, touch)
        else:
            raise SongError(
                f"part {part.name}: there is no role {part.role}; take one of {', '.join((*_ROLES, _HARMONY))}"
            )
        score[part.name] = sorted(notes, key=lambda note: note.start)
    return score


def _within(notes: Sequence[Note], bars: Sequence[Bar]) -> list[Note]:
    spans = [(bar.sample_at(0), bar.sample_at(bar.meter.steps)) for bar in bars]
    return [note for note in notes if any(start <= note.start < stop for start, stop in spans)]
