"""Recipes from seeds: a genre, a band, a form, chords, and everything else that a recipe says."""

import functools
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from importlib import resources
from typing import Any

from htdemucs_coreml.songs.chance import Chance
from htdemucs_coreml.songs.recipe import METERS, STEMS, Mix, Part, Recipe, Room, Section, SongError, check

_FORM = (
    ("intro", 0.5, 0.4),
    ("verse", 1.0, 0.5),
    ("chorus", 1.0, 0.8),
    ("verse", 1.0, 0.55),
    ("chorus", 1.0, 0.85),
    ("bridge", 0.5, 0.45),
    ("solo", 0.5, 0.7),
    ("chorus", 1.0, 0.95),
    ("outro", 0.5, 0.4),
)
"""Kinds of sections, how long each is over a verse, and its intensity."""
_SHORT_FORM = (("verse", 1.0, 0.6), ("chorus", 1.0, 0.85))
_SHORT_SECONDS = 45.0
_LEVELS_DB = {
    "drums": (-21, -15),
    "bass": (-23, -17),
    "other": (-26, -20),
    "vocals": (-22, -16),
    "guitar": (-25, -18),
    "piano": (-25, -18),
}
_CHORDS_OF = {"intro": "verse", "outro": "verse", "solo": "chorus"}
_TAIL_SECONDS = 1.5


def genre_names() -> tuple[str, ...]:
    """All genres."""
    return tuple(_table("genres.toml"))


def invent(seed: int, *, genre: str | None = None, seconds: float | None = None, name: str | None = None) -> Recipe:
    """A recipe from a seed.

    Parameters
    ----------
    seed : int
        From 0 to 2^63 - 1. Equal arguments give equal recipes, on every machine.
    genre : str or None
        One of `genre_names`; by chance if it is None.
    seconds : float or None
        About how long the song is to be, 4 to 1800; from 2 to 4 minutes by chance if it is None. It is at least two
        sections of two bars.
    name : str or None
        The recipe's name; ``song-SEED`` if it is None.

    Raises
    ------
    SongError
        If there is no such genre, or a number is out of range.
    """
    chance = Chance(seed, "invention")
    genre = genre or chance.pick(genre_names())
    if genre not in genre_names():
        raise SongError(f"there is no genre {genre}; take one of {', '.join(genre_names())}")
    seconds = seconds if seconds is not None else chance.between(120.0, 240.0)
    if not 4 <= seconds <= 1800:
        raise SongError(f"a song of {seconds} seconds cannot be invented; ask for 4 to 1800")
    style = _table("genres.toml")[genre]
    mode = chance.pick(style["modes"])
    parts, starts = _band(style, chance.fork("band"))
    sections = _sections(style, mode, parts, starts, seconds, chance.fork("form"))
    recipe = Recipe(
        name=name or f"song-{seed}",
        seed=seed,
        genre=genre,
        key=chance.below(12),
        mode=mode,
        swing=_rounded(chance.between(*style["swing"])),
        looseness=_rounded(chance.between(*style["looseness"])),
        sections=tuple(sections),
        parts=tuple(parts),
        room=Room(_rounded(chance.between(*style["rooms"])), _rounded(chance.unit()), _rounded(chance.unit())),
        mix=Mix(
            levels_db={stem: _rounded(chance.between(*_LEVELS_DB[stem])) for stem in STEMS},
            peak_db=_rounded(chance.between(-3.0, -0.3)),
            silence_after=_TAIL_SECONDS if seconds > _SHORT_SECONDS else 0.3,
        ),
    )
    check(recipe, f"the recipe of seed {seed}")
    return recipe


def _band(style: dict[str, Any], chance: Chance) -> tuple[list[Part], dict[str, dict[str, Any]]]:
    """Parts, and for each the player's entry in ``players.toml``."""
    players = _table("players.toml")
    side = chance.pick((-1.0, 1.0))
    lineups = {"bass": [["bass"]], **style["bands"]}
    parts: list[Part] = []
    entries: dict[str, dict[str, Any]] = {}
    for stem in STEMS:
        for name in chance.pick(lineups[stem]):
            entry = players[name]
            parts.append(_part(name, entry, style, side, parts, chance.fork(name)))
            entries[name] = entry
    return parts, entries


def _part(
    name: str, entry: dict[str, Any], style: dict[str, Any], side: float, before: Sequence[Part], chance: Chance
) -> Part:
    styles = entry.get("styles", {"kit": style["grooves"], "bass": style["lines"]}.get(name, ["plain"]))
    instruments = entry.get("instruments") or {"kit": style["kits"], "bass": style["basses"]}[name]
    low, high = entry.get("centre", (60, 60))
    part = Part(
        name=name,
        stem=entry["stem"],
        role=entry["role"],
        style=chance.pick(styles),
        instrument=chance.pick(instruments),
        level_db=_rounded(chance.between(*entry.get("level", (-2.0, 2.0)))),
        pan=_rounded(_pan(entry["place"], entry["stem"], side, chance)),
        width=_rounded(chance.between(*entry.get("width", (0.0, 0.2)))),
        centre=low + chance.below(high - low + 1),
        brightness=_rounded(chance.between(*entry.get("brightness", (0.15, 0.85)))),
        decay=_rounded(chance.between(*entry.get("decay", (0.2, 0.8)))),
        colour=_rounded(chance.unit()),
        reverb=_rounded(chance.between(*entry["reverb"])),
        effects=tuple(chance.pick(entry.get("effects", [[]]))),
    )
    if part.stem == "vocals":
        part = replace(part, centre=_SINGERS[part.instrument] + chance.below(4))
    led = next((other for other in before if other.name == entry.get("follows")), None)
    if led is not None:
        part = replace(part, follows=led.name)
        if part.role == led.role:
            part = replace(part, style=led.style, centre=led.centre)
    return part


_SINGERS = {"soprano": 68, "alto": 64, "breathy-alto": 64, "tenor": 59, "baritone": 54, "speaker": 52}
"""Where singers are at ease, at the lowest."""


def _pan(place: str, stem: str, side: float, chance: Chance) -> float:
    if place == "centre":
        return chance.around(0.03)
    if place == "near":
        return chance.around(0.15)
    if place == "side":
        return side * chance.between(0.35, 0.85)
    if place == "opposite":
        return -side * chance.between(0.3, 0.75)
    # Wide: between the middle and a side, on the side where its neighbours leave room.
    return (chance.pick((-1.0, 1.0)) if stem == "vocals" else chance.pick((-side, side))) * chance.between(0.15, 0.5)


def _sections(
    style: dict[str, Any],
    mode: str,
    parts: Sequence[Part],
    entries: dict[str, dict[str, Any]],
    seconds: float,
    chance: Chance,
) -> list[Section]:
    meter = chance.pick(style["meters"])
    low, high = style["tempo"]
    tempo = float(low + chance.below(high - low + 1))
    bar_seconds = METERS[meter].steps * 15 / tempo
    progressions = {kind: chance.pick(options) for kind, options in style["chords"][mode].items()}
    drops = {part.name: chance.unit() for part in parts}
    sections = []
    for kind, bars, intensity in _form(seconds / bar_seconds, seconds, chance):
        intensity = _rounded(min(1.0, max(0.25, intensity + chance.around(0.08))))
        playing = [
            part.name for part in parts if _plays(part, entries[part.name], kind, intensity, drops[part.name], chance)
        ]
        if len(playing) < 2:
            playing = [part.name for part in parts if part.role != "harmony" and not _rests(part, kind)]
        playing = [name for name in playing if _leader(parts, name) is None or _leader(parts, name) in playing]
        sections.append(
            Section(
                kind, bars, tempo, meter, intensity, tuple(progressions[_CHORDS_OF.get(kind, kind)]), tuple(playing)
            )
        )
    return sections


def _form(total_bars: float, seconds: float, chance: Chance) -> list[tuple[str, int, float]]:
    """Kinds, bars and intensities of sections that come to about so many bars."""
    if seconds < _SHORT_SECONDS:
        bars = 2 * max(1, round(total_bars / 4))
        first = chance.pick(
            (
                _SHORT_FORM,
                _SHORT_FORM[::-1],
                (("verse", 1.0, 0.45), ("bridge", 1.0, 0.6)),
                (("intro", 1.0, 0.5), ("chorus", 1.0, 0.9)),
                (("verse", 1.0, 0.55), ("solo", 1.0, 0.75)),
            )
        )
        return [(kind, bars, intensity) for kind, _, intensity in first]
    form = list(_FORM)
    unit = 4
    while unit < 16 and sum(share for _, share, _ in form) * unit * 1.5 < total_bars:
        unit *= 2
    while sum(share for _, share, _ in form) * unit + unit < total_bars:
        form[-4:-4] = [("verse", 1.0, 0.6), ("chorus", 1.0, 0.85)]
    while len(form) > 3 and sum(share for _, share, _ in form) * unit > total_bars + unit:
        form.pop(len(form) // 2)
    return [(kind, max(2, int(unit * share)), intensity) for kind, share, intensity in form]


def _plays(part: Part, entry: dict[str, Any], kind: str, intensity: float, drop: float, chance: Chance) -> bool:
    if _rests(part, kind):
        return False
    if "sections" in entry and kind not in entry["sections"]:
        return chance.happens(0.25)
    if kind == "intro" and part.stem in ("drums", "bass") and drop < 0.35:
        return False
    if kind == "bridge" and part.stem == "drums" and drop > 0.75:
        return False
    return bool(intensity + chance.around(0.12) >= entry["from"] * (0.8 + 0.4 * drop))


def _rests(part: Part, kind: str) -> bool:
    """Whether singers have a break."""
    return part.stem == "vocals" and kind in ("intro", "solo", "outro")


def _leader(parts: Sequence[Part], name: str) -> str | None:
    """Whom a harmony follows; others that follow play without their leader too."""
    part = next(part for part in parts if part.name == name)
    return part.follows if part.role == "harmony" else None


def _rounded(value: float) -> float:
    return round(value, 3)


@functools.cache
def _table(file: str) -> dict[str, Any]:
    return tomllib.loads((resources.files("htdemucs_coreml.songs") / file).read_text(encoding="utf-8"))
