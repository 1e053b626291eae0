"""Recipes: what a song is made of, as data.

A recipe is a TOML file::

    name = "harbour"
    seed = 7                       # decides whatever the recipe leaves open: notes, timing, noise
    genre = "rock"                 # a label
    set = "development"            # or "held-out"; left out: neither
    key = 9                        # semitones above C
    mode = "major"
    swing = 0.0                    # 0 even eighths, 1 triplets
    looseness = 0.3                # how far players stray from the beat
    samples = 9261000              # at 44,100 Hz: what sections and silence before and after come to

    [[sections]]
    name = "verse"                 # sections of one name share melodies and patterns
    bars = 8
    tempo = 120.0                  # quarter notes a minute
    meter = "4/4"
    intensity = 0.5
    chords = ["I", "V", "vi", "IV7 V7"]        # a bar each, repeated; two chords share a bar
    parts = ["kit", "bass", "lead"]

    [[parts]]
    name = "lead"
    stem = "vocals"
    role = "melody"                # what it plays, see `composition`
    style = "phrases"              # how, see `composition`
    instrument = "soprano"         # see `instruments`
    level_db = 0.0                 # within its stem
    pan = 0.0                      # -1 left, 1 right
    width = 0.2                    # how far apart its notes or drums are placed
    centre = 67                    # MIDI pitch in the middle of its register
    brightness = 0.5
    decay = 0.5
    colour = 0.5                   # what each instrument makes of it
    reverb = 0.3
    effects = ["echo"]
    follows = "…"                  # optional: plays what that part plays

    [room]
    seconds = 0.8                  # until the reverberation is 60 dB down
    size = 0.5
    brightness = 0.5

    [mix]
    levels_db = { drums = -18.0, … }           # of each stem while it sounds, full scale 0
    peak_db = -1.0                 # of the loudest sample of the mix; above 0 the mix clips
    fade_in = 0.0                  # seconds
    fade_out = 0.0
    silence_before = 0.0
    silence_after = 1.0
    silences = [[10.0, 12.5]]      # hard silence, from second to second
"""

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from htdemucs_coreml.core.contract import SAMPLE_RATE_HZ
from htdemucs_coreml.errors import HTDemucsCoreMLError

STEMS = ("drums", "bass", "other", "vocals", "guitar", "piano")
"""The stems of HTDemucs-6s, in its order."""

MODES: Mapping[str, tuple[int, ...]] = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
}
"""Scales, in semitones above the key."""

MAXIMUM_BYTES = 1 << 16
_MAXIMUM_SECONDS = 3600.0
_MAXIMUM_PARTS = 24
_MAXIMUM_SECTIONS = 64
_NAME = re.compile("[a-z0-9][a-z0-9-]{0,39}")
_SETS = ("development", "held-out", None)


class SongError(HTDemucsCoreMLError):
    """A recipe is malformed or asks for what there is not."""


@dataclass(frozen=True)
class Meter:
    """Where the beats of a bar are, in sixteenths.

    Attributes
    ----------
    steps : int
        Sixteenths in a bar.
    pulses : tuple of int
        Beats that are felt.
    backbeats : tuple of int
        Where a snare drum falls.
    """

    steps: int
    pulses: tuple[int, ...]
    backbeats: tuple[int, ...]

    @property
    def is_compound(self) -> bool:
        """Whether beats divide by three."""
        return self.pulses[1] == 6


METERS: Mapping[str, Meter] = {
    "4/4": Meter(16, (0, 4, 8, 12), (4, 12)),
    "3/4": Meter(12, (0, 4, 8), (4, 8)),
    "6/8": Meter(12, (0, 6), (6,)),
    "12/8": Meter(24, (0, 6, 12, 18), (6, 18)),
    "5/4": Meter(20, (0, 4, 8, 12, 16), (8, 16)),
    "7/8": Meter(14, (0, 4, 8), (4, 10)),
}


@dataclass(frozen=True)
class Section:
    """A stretch of bars, see the module's description."""

    name: str
    bars: int
    tempo: float
    meter: str
    intensity: float
    chords: tuple[str, ...]
    parts: tuple[str, ...]

    @property
    def seconds_per_step(self) -> float:
        """How long a sixteenth lasts."""
        return 15 / self.tempo

    @property
    def seconds(self) -> float:
        """How long the section lasts."""
        return self.bars * METERS[self.meter].steps * self.seconds_per_step


@dataclass(frozen=True)
class Part:
    """What one player plays, on what, from where; see the module's description."""

    name: str
    stem: str
    role: str
    style: str
    instrument: str
    level_db: float = 0.0
    pan: float = 0.0
    width: float = 0.0
    centre: int = 60
    brightness: float = 0.5
    decay: float = 0.5
    colour: float = 0.5
    reverb: float = 0.2
    effects: tuple[str, ...] = ()
    follows: str = ""


@dataclass(frozen=True)
class Room:
    """Where a song is played, see the module's description."""

    seconds: float = 0.6
    size: float = 0.5
    brightness: float = 0.5


@dataclass(frozen=True)
class Mix:
    """Levels and edges, see the module's description."""

    levels_db: Mapping[str, float]
    peak_db: float = -1.0
    fade_in: float = 0.0
    fade_out: float = 0.0
    silence_before: float = 0.0
    silence_after: float = 1.0
    silences: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Recipe:
    """All of a song, see the module's description."""

    name: str
    seed: int
    genre: str
    key: int
    mode: str
    swing: float
    looseness: float
    sections: tuple[Section, ...]
    parts: tuple[Part, ...]
    room: Room
    mix: Mix
    set: str | None = None

    @property
    def samples(self) -> int:
        """Length at 44,100 Hz, silence before and after included."""
        played = sum(section.seconds for section in self.sections)
        return int((self.mix.silence_before + played + self.mix.silence_after) * SAMPLE_RATE_HZ)


def parse_recipe(text: str, source: str) -> Recipe:
    """Read a recipe.

    Parameters
    ----------
    text : str
        TOML, at most 64 KiB.
    source : str
        Where it comes from, for messages.

    Raises
    ------
    SongError
        If it is not TOML, lacks a key, has one that is unknown or of another type, or its values contradict each other.
    """
    if len(text) > MAXIMUM_BYTES:
        raise SongError(f"{source} is longer than {MAXIMUM_BYTES} characters and no recipe; pass a smaller file")
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SongError(f"{source} is not TOML: {error}; mend it") from None
    reader = _Reader(source)
    stated = reader.take(table, "samples", int)
    recipe = Recipe(
        sections=tuple(reader.record(Section, item, "sections") for item in reader.tables(table, "sections")),
        parts=tuple(reader.record(Part, item, "parts") for item in reader.tables(table, "parts")),
        room=reader.record(Room, reader.take(table, "room", dict), "room"),
        mix=reader.record(Mix, reader.take(table, "mix", dict), "mix"),
        **{
            key: reader.take(table, key, kind)
            for key, kind in {"name": str, "seed": int, "genre": str, "key": int, "mode": str}.items()
        },
        swing=float(reader.take(table, "swing", float)),
        looseness=float(reader.take(table, "looseness", float)),
        set=table.pop("set", None),
    )
    reader.require_nothing_left(table, "the recipe")
    check(recipe, source)
    if recipe.samples != stated:
        raise SongError(f"{source} says {stated} samples and its sections come to {recipe.samples}; correct `samples`")
    return recipe


def recipe_text(recipe: Recipe) -> str:
    """The recipe as TOML; `parse_recipe` gives it back."""
    lines = [
        f"name = {json.dumps(recipe.name)}",
        f"seed = {recipe.seed}",
        f"genre = {json.dumps(recipe.genre)}",
        *([f"set = {json.dumps(recipe.set)}"] if recipe.set else []),
        f"key = {recipe.key}",
        f"mode = {json.dumps(recipe.mode)}",
        f"swing = {recipe.swing!r}",
        f"looseness = {recipe.looseness!r}",
        f"samples = {recipe.samples}",
    ]
    for heading, records in (("[[sections]]", recipe.sections), ("[[parts]]", recipe.parts)):
        for record in records:
            lines += ["", heading, *_assignments(record)]
    lines += ["", "[room]", *_assignments(recipe.room), "", "[mix]", *_assignments(recipe.mix)]
    return "\n".join(lines) + "\n"


def check(recipe: Recipe, source: str) -> None:
    """Raise SongError unless all values are in range and every name stands for something."""

    def require(condition: bool, what: str) -> None:
        if not condition:
            raise SongError(f"{source}: {what}; correct the recipe")

    require(_NAME.fullmatch(recipe.name) is not None, "`name` has to be of a-z, 0-9 and hyphens")
    require(0 <= recipe.seed < 1 << 63, "`seed` has to be from 0 to 2^63 - 1")
    require(recipe.set in _SETS, "`set` has to be development or held-out")
    require(0 <= recipe.key < 12 and recipe.mode in MODES, f"`key` is 0 to 11, `mode` one of {', '.join(MODES)}")
    require(0 <= recipe.swing <= 1 and 0 <= recipe.looseness <= 1, "`swing` and `looseness` are from 0 to 1")
    require(0 < len(recipe.sections) <= _MAXIMUM_SECTIONS, f"there have to be 1 to {_MAXIMUM_SECTIONS} sections")
    require(len(recipe.parts) <= _MAXIMUM_PARTS, f"there may be {_MAXIMUM_PARTS} parts")
    names = [part.name for part in recipe.parts]
    require(len(set(names)) == len(names), "two parts have one name")
    for number, part in enumerate(recipe.parts):
        where = f"part {part.name}"
        require(part.stem in STEMS, f"{where}: `stem` has to be one of {', '.join(STEMS)}")
        require(
            not part.follows or part.follows in names[:number], f"{where} follows a part that does not stand before"
        )
        unit = (part.width, part.brightness, part.decay, part.colour, part.reverb)
        require(all(0 <= value <= 1 for value in unit) and -1 <= part.pan <= 1, f"{where} has a value out of range")
        require(24 <= part.centre <= 96 and -40 <= part.level_db <= 20, f"{where} has a value out of range")
    for section in recipe.sections:
        where = f"section {section.name}"
        require(section.meter in METERS, f"{where}: `meter` has to be one of {', '.join(METERS)}")
        require(0 < section.bars <= 256 and 30 <= section.tempo <= 300, f"{where} has a value out of range")
        require(0 <= section.intensity <= 1 and bool(section.chords), f"{where} has a value out of range")
        unknown = [name for name in section.parts if name not in names]
        require(not unknown, f"{where} has a part {unknown[0] if unknown else ''} that the recipe lacks")
    room, mix = recipe.room, recipe.mix
    require(
        0.1 <= room.seconds <= 6 and 0 <= room.size <= 1 and 0 <= room.brightness <= 1,
        "a value of [room] is out of range",
    )
    require(set(mix.levels_db) == set(STEMS), "`levels_db` needs all stems and no others")
    require(
        all(-60 <= level <= 0 for level in mix.levels_db.values()) and -60 <= mix.peak_db <= 24,
        "a level of [mix] is out of range",
    )
    times = (mix.fade_in, mix.fade_out, mix.silence_before, mix.silence_after)
    require(all(0 <= seconds <= 60 for seconds in times), "a time of [mix] is out of range")
    require(all(0 <= start < stop for start, stop in mix.silences), "a silence has to end after it begins")
    require(recipe.samples <= _MAXIMUM_SECONDS * SAMPLE_RATE_HZ, "a song lasts an hour at most")


class _Reader:
    """Takes values out of tables, and says where one is missing, unknown or of another type."""

    def __init__(self, source: str) -> None:
        self._source = source

    def take(self, table: dict[str, Any], key: str, kind: type) -> Any:
        if key not in table:
            raise SongError(f"{self._source} lacks `{key}`; add it")
        return self._checked(table.pop(key), key, kind)

    def tables(self, table: dict[str, Any], key: str) -> list[dict[str, Any]]:
        items = self.take(table, key, list)
        return [self._checked(item, key, dict) for item in items]

    def record(self, kind: type[Any], table: dict[str, Any], where: str) -> Any:
        values: dict[str, Any] = {}
        for field in fields(kind):
            if field.name in table:
                values[field.name] = self._value(table.pop(field.name), field.name, str(field.type))
        self.require_nothing_left(table, where)
        try:
            return kind(**values)
        except TypeError:
            missing = [field.name for field in fields(kind) if field.name not in values]
            raise SongError(f"{self._source}: {where} lacks one of {', '.join(missing)}; add it") from None

    def require_nothing_left(self, table: Mapping[str, Any], where: str) -> None:
        if table:
            raise SongError(f"{self._source}: {where} has an unknown key {next(iter(table))}; remove it")

    def _value(self, value: Any, key: str, annotation: str) -> Any:
        if annotation == "<class 'float'>":
            return float(self._checked(value, key, float))
        if annotation == "<class 'int'>":
            return self._checked(value, key, int)
        if annotation == "<class 'str'>":
            return self._checked(value, key, str)
        if key == "levels_db":
            return {
                str(stem): float(self._checked(level, key, float))
                for stem, level in self._checked(value, key, dict).items()
            }
        items = self._checked(value, key, list)
        if key == "silences":
            if any(not isinstance(pair, list) or len(pair) != 2 for pair in items):
                raise SongError(f"{self._source}: `{key}` has to be pairs of seconds; correct it")
            return tuple(tuple(float(self._checked(second, key, float)) for second in pair) for pair in items)
        return tuple(self._checked(item, key, str) for item in items)

    def _checked(self, value: Any, key: str, kind: type) -> Any:
        accepted = (float, int) if kind is float else (kind,)
        if not isinstance(value, accepted) or isinstance(value, bool):
            raise SongError(f"{self._source}: `{key}` has to be of type {kind.__name__}; correct it")
        return value


def _assignments(record: object) -> list[str]:
    return [f"{field.name} = {_toml(getattr(record, field.name))}" for field in fields(record)]  # type: ignore[arg-type]


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
