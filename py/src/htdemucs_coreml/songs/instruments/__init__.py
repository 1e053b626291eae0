"""Instruments: one module a family, and the register of all."""

from collections.abc import Callable
from functools import partial

from htdemucs_coreml.songs.chance import Chance
from htdemucs_coreml.songs.instruments import drum_kit, plucked, struck, sustained, voice
from htdemucs_coreml.songs.instruments.base import Instrument, Sound, Timbre
from htdemucs_coreml.songs.recipe import Part, Recipe, SongError

__all__ = ["Instrument", "Sound", "Timbre", "instrument_for", "instrument_names"]

Maker = Callable[[Timbre, Chance], Instrument]


def instrument_for(part: Part, recipe: Recipe) -> Instrument:
    """Build a part's instrument.

    Raises
    ------
    SongError
        If there is none of that name.
    """
    makers = _makers()
    if part.instrument not in makers:
        raise SongError(f"part {part.name}: there is no instrument {part.instrument}; take one of {', '.join(makers)}")
    timbre = Timbre(part.brightness, part.decay, part.colour, part.centre)
    return makers[part.instrument](timbre, Chance(recipe.seed, part.name, "instrument"))


def instrument_names() -> tuple[str, ...]:
    """All instruments, family by family."""
    return tuple(_makers())


def _makers() -> dict[str, Maker]:
    makers: dict[str, Maker] = {}
    makers |= {name: partial(drum_kit.DrumKit, built) for name, built in drum_kit.CONSTRUCTIONS.items()}
    makers |= {name: partial(plucked.Plucked, built) for name, built in plucked.CONSTRUCTIONS.items()}
    makers |= {name: partial(struck.Struck, built) for name, built in struck.CONSTRUCTIONS.items()}
    makers |= {name: partial(sustained.Sustained, built) for name, built in sustained.CONSTRUCTIONS.items()}
    makers |= {name: partial(voice.Voice, built) for name, built in voice.CONSTRUCTIONS.items()}
    return makers
