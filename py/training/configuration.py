"""What a training run is: read from a TOML file, complete and without anything unknown."""

import dataclasses
import json
import tomllib
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from htdemucs_coreml.errors import HTDemucsCoreMLError
from htdemucs_coreml.songs.corpus import FIRST_CORPUS_SEED
from htdemucs_coreml.songs.invention import genre_names

DEFAULT_CONFIGURATION = Path(__file__).parent / "nano.toml"
HELD_OUT_GENRES = frozenset({"jazz", "latin", "hip-hop", "soul"})
"""Genres that models are judged on; no run may train on them."""

_Table = TypeVar("_Table")


class TrainingError(HTDemucsCoreMLError):
    """A training run cannot start or go on."""


@dataclasses.dataclass(frozen=True)
class DataSettings:
    """Which songs, and how examples are made of them.

    Attributes
    ----------
    genres : tuple of str
        Song by song, in turn.
    first_seed : int
        Seed of the first song; the others follow.
    song_seconds : float
        About how long a song is.
    first_songs : int
        How many songs the first step draws from.
    steps_per_song : int
        After how many steps there is another song.
    window : int
        How many songs a step draws from at most: the newest.
    coherent : float
        Share of examples whose stems come from one place of one song.
    gain_db : tuple of two floats
        Range of each stem's gain.
    balance_db : float
        Greatest difference between the gains of left and right.
    silent : float
        Probability that a stem is silenced.
    """

    genres: tuple[str, ...]
    first_seed: int
    song_seconds: float
    first_songs: int
    steps_per_song: int
    window: int
    coherent: float
    gain_db: tuple[float, ...]
    balance_db: float
    silent: float


@dataclasses.dataclass(frozen=True)
class OptimiserSettings:
    """How weights are moved.

    Attributes
    ----------
    rate : float
        The highest learning rate.
    betas, weight_decay
        As AdamW has them.
    largest_gradient : float
        Norm to which longer gradients are cut.
    average : float
        Weight of the past in the moving average of the weights.
    bfloat16 : bool
        Whether the forward pass multiplies in bfloat16.
    """

    rate: float
    betas: tuple[float, ...]
    weight_decay: float
    largest_gradient: float
    average: float
    bfloat16: bool


@dataclasses.dataclass(frozen=True)
class Phase:
    """Steps on examples of one length: how many, seconds of an example, and examples of a step."""

    steps: int
    seconds: float
    batch: int


@dataclasses.dataclass(frozen=True)
class Schedule:
    """Steps of warm-up, within `main`, and the two phases."""

    warm_up: int
    main: Phase
    final: Phase

    @property
    def steps(self) -> int:
        """Of both phases together."""
        return self.main.steps + self.final.steps


@dataclasses.dataclass(frozen=True)
class ValidationSettings:
    """Seed of the first song and the number of songs that are scored on the way."""

    first_seed: int
    songs: int

    @property
    def seeds(self) -> range:
        """Of all its songs."""
        return range(self.first_seed, self.first_seed + self.songs)


@dataclasses.dataclass(frozen=True)
class Records:
    """After how many steps a line is logged, songs are scored, and the state is saved."""

    log_every: int
    validate_every: int
    save_every: int


@dataclasses.dataclass(frozen=True)
class Configuration:
    """A training run."""

    seed: int
    architecture: Mapping[str, object]
    data: DataSettings
    optimiser: OptimiserSettings
    schedule: Schedule
    validation: ValidationSettings
    records: Records

    @property
    def sources(self) -> tuple[str, ...]:
        """Stems, in the model's order."""
        sources = self.architecture["sources"]
        assert isinstance(sources, tuple)  # noqa: S101
        return sources

    @property
    def identity(self) -> str:
        """What has to stay as it is when a run is continued."""
        fixed = {"seed": self.seed, "architecture": dict(self.architecture), "data": dataclasses.asdict(self.data)}
        return json.dumps(fixed, sort_keys=True, default=str)


def read_configuration(path: Path) -> Configuration:
    """Read a run's configuration.

    Raises
    ------
    TrainingError
        If the file cannot be read, lacks a value, has an unknown one or one of another type, or trains on what models
        are judged on.
    """
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TrainingError(f"{path} cannot be read as a configuration: {error}") from error
    architecture = fields.pop("architecture", None)
    if not isinstance(architecture, dict) or not isinstance(architecture.get("sources"), list):
        raise TrainingError(f"{path} has no table [architecture] with `sources`")
    configuration = _table(Configuration, {**fields, "architecture": _architecture(path, architecture)}, str(path))
    _check(path, configuration)
    return configuration


def _architecture(path: Path, fields: Mapping[str, Any]) -> Mapping[str, object]:
    try:
        segment = Fraction(fields["segment"])
    except (KeyError, ValueError, TypeError, ZeroDivisionError) as error:
        raise TrainingError(f"{path} has no `segment` in [architecture], or one that is no fraction") from error
    return MappingProxyType({**fields, "sources": tuple(fields["sources"]), "segment": segment})


def _check(path: Path, configuration: Configuration) -> None:
    data, schedule = configuration.data, configuration.schedule
    if unknown := [genre for genre in data.genres if genre not in genre_names()]:
        raise TrainingError(f"{path} names genres that there are not: {', '.join(unknown)}")
    if judged := [genre for genre in data.genres if genre in HELD_OUT_GENRES]:
        raise TrainingError(f"{path} trains on genres that are held out: {', '.join(judged)}; take others")
    last_seed = data.first_seed + data.first_songs + schedule.steps // max(1, data.steps_per_song)
    validation = configuration.validation.seeds
    if not (data.first_seed >= 0 and last_seed < validation.start and validation.stop <= FIRST_CORPUS_SEED):
        raise TrainingError(f"{path}: seeds of training, of validation and of the corpus have to follow one another")
    positive = (
        *(data.first_songs, data.steps_per_song, data.window, len(data.genres), configuration.validation.songs),
        *(schedule.main.batch, schedule.final.batch, schedule.main.steps, schedule.final.steps, schedule.warm_up),
        *dataclasses.astuple(configuration.records),
    )
    if min(positive) < 1 or max(schedule.main.seconds, schedule.final.seconds) > data.song_seconds / 2:
        raise TrainingError(f"{path}: counts have to be 1 or more, and examples at most half as long as songs")
    if len(data.gain_db) != 2 or len(configuration.optimiser.betas) != 2:
        raise TrainingError(f"{path}: `gain_db` and `betas` have two numbers each")


def _table(kind: type[_Table], fields: Mapping[str, Any], where: str) -> _Table:
    """A dataclass from a table that has exactly its fields."""
    expected = {field.name: field.type for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for name in sorted(expected.keys() ^ fields.keys()):
        problem = "lacks" if name in expected else "has an unknown value"
        raise TrainingError(f"{where} {problem} {name}")
    return kind(**{name: _value(expected[name], value, f"{where}: {name}") for name, value in fields.items()})


def _value(kind: Any, value: Any, where: str) -> object:
    if dataclasses.is_dataclass(kind) and isinstance(kind, type) and isinstance(value, dict):
        return _table(kind, value, where)
    if kind is float and type(value) in (int, float):
        return float(value)
    if kind in (int, bool) and type(value) is kind:
        return value
    if kind == tuple[float, ...] and isinstance(value, list) and all(type(item) in (int, float) for item in value):
        return tuple(map(float, value))
    if kind == tuple[str, ...] and isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    if isinstance(value, MappingProxyType):
        return value
    raise TrainingError(f"{where} is {value!r}, which is of another type than it has to be")
