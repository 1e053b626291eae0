"""Patterns of one bar, read from `patterns.toml` and fitted to a meter."""

import functools
import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Any

from htdemucs_coreml.songs.recipe import Meter, SongError

STRENGTHS: Mapping[str, float] = {"X": 1.0, "x": 0.8, "o": 0.55, ".": 0.3}
"""What the characters of drums and chords mean as velocities."""


def groove(name: str, meter: Meter) -> dict[str, str]:
    """The pattern of each drum.

    Raises
    ------
    SongError
        If there is no groove of that name; so do the others.
    """
    lanes = _entry("grooves", name)["compound" if meter.is_compound else "binary"]
    return {drum: _fitted(pattern, meter) for drum, pattern in lanes.items()}


def bass_line(name: str, meter: Meter) -> str:
    """The tones of a bass line."""
    return _fitted(_entry("bass", name)["compound" if meter.is_compound else "binary"], meter)


def rhythm(name: str, meter: Meter) -> str:
    """When chords are struck."""
    return _fitted(_entry("rhythms", name)["compound" if meter.is_compound else "binary"], meter)


def names(kind: str) -> frozenset[str]:
    """All names of ``grooves``, ``bass`` or ``rhythms``."""
    return frozenset(_patterns()[kind])


def _fitted(pattern: str, meter: Meter) -> str:
    """A bar that is longer begins again from the half, one that is shorter ends early."""
    if meter.steps <= len(pattern):
        return pattern[: meter.steps]
    return pattern + pattern[len(pattern) // 2 :][: meter.steps - len(pattern)]


def _entry(kind: str, name: str) -> Any:
    table = _patterns()[kind]
    if name not in table:
        raise SongError(f"there is no style {name} among {kind}; take one of {', '.join(sorted(table))}")
    return table[name]


@functools.cache
def _patterns() -> dict[str, Any]:
    text = (resources.files(__package__) / "patterns.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
