"""Variations as data: ``variations.toml`` beside this file."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from repro import toys
from repro.errors import ReproductionError

FILE = Path(__file__).with_name("variations.toml")


@dataclass(frozen=True)
class Variation:
    """One thing that is different; the head of ``variations.toml`` says what the attributes mean."""

    name: str
    what: str
    toy: str
    steady: bool = True
    ways: tuple[tuple[str, ...], ...] = ((),)
    environment: Mapping[str, str] = field(default_factory=dict)
    umask: str = "022"
    folder: str = "work"
    modified: int | None = None
    order: bool = False
    layout: bool = False
    machine: str | None = None
    cpu: tuple[str, ...] = ()
    slow: int = 1


@dataclass(frozen=True)
class Plan:
    """All variations, how many of them have to run at least, and how many seconds a process may take, by its kind."""

    variations: tuple[Variation, ...]
    minimum: int
    seconds: Mapping[str, int]


def read_plan(path: Path = FILE) -> Plan:
    """Read the variations.

    Raises
    ------
    ReproductionError
        If the file cannot be read or is malformed, or a variation names a toy that does not exist.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        variations = tuple(_variation(entry) for entry in table["variation"])
        plan = Plan(variations, int(table["minimum"]), dict(table["seconds"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ReproductionError(f"{path} holds no variations: {error}") from error
    if len({variation.name for variation in variations}) != len(variations):
        raise ReproductionError(f"{path} has two variations of one name; give them different ones")
    return plan


def _variation(entry: dict[str, Any]) -> Variation:
    unknown = entry.keys() - {attribute.name for attribute in fields(Variation)}
    if unknown:
        raise ValueError(f"variation {entry.get('name')!r} has unknown keys {sorted(unknown)}")
    if entry["toy"] not in toys.TOYS:
        raise ValueError(f"variation {entry['name']!r} has no toy {entry['toy']!r} to control it")
    if "ways" in entry:
        entry["ways"] = tuple(tuple(way) for way in entry["ways"])
    if "cpu" in entry:
        entry["cpu"] = tuple(entry["cpu"])
    return Variation(**entry)
