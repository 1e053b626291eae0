"""The registry of models and bags of models: data in ``registry.toml`` beside this file, read once."""

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from importlib import resources
from types import MappingProxyType
from typing import Any

from htdemucs_coreml.errors import HTDemucsCoreMLError

EMBEDDED_MODEL = "fixture"
"""The model whose packages come with the tool, used where none is named."""


class UnknownModelError(HTDemucsCoreMLError):
    """A name is not that of a model of the registry."""


@dataclass(frozen=True)
class PublishedFile:
    """A weights file that can be had from its publisher.

    Attributes
    ----------
    file : str
        The file's name.
    url : str
        Where its publisher offers it.
    bytes : int or None
        Its exact size; None where the pin is open.
    sha256 : str or None
        Its hexadecimal sha256; None where the pin is open.
    open : str or None
        Why the pin is open, as a phrase; None where it is not.
    """

    file: str
    url: str
    bytes: int | None = None
    sha256: str | None = None
    open: str | None = None

    def __post_init__(self) -> None:
        pinned = (self.bytes is not None, self.sha256 is not None)
        if pinned != (self.open is None, self.open is None):
            raise ValueError(f"{self.file} needs both bytes and sha256, or neither and the reason why in `open`")


@dataclass(frozen=True)
class ModelEntry:
    """One model of the registry.

    Attributes
    ----------
    name : str
        The registry's key.
    summary : str
        What the model is, in a line.
    sources : tuple of str
        Stems in the order of the checkpoint.
    architecture : Mapping[str, object]
        Arguments of ``demucs.htdemucs.HTDemucs`` that differ from its defaults.
    licence : str
        What is known of the weights' licence.
    weights : tuple of PublishedFile
        Files that hold the model's weights, the preferred one first; none where this project generates them.
    weights_sha256 : str or None
        Digest that the tensors must have, where it is known; see `htdemucs_coreml.weights.checkpoint.canonical_sha256`.
    """

    name: str
    summary: str
    sources: tuple[str, ...]
    architecture: Mapping[str, object]
    licence: str
    weights: tuple[PublishedFile, ...] = ()
    weights_sha256: str | None = None


@dataclass(frozen=True)
class BagEntry:
    """Models of the registry that are run together.

    Attributes
    ----------
    name : str
        The registry's key.
    summary : str
        What the bag is, in a line.
    members : tuple of str
        Names of its models.
    matrix : tuple of tuple of float
        How much each member (row) counts in each stem (column), relative to the others; not negative.
    """

    name: str
    summary: str
    members: tuple[str, ...]
    matrix: tuple[tuple[float, ...], ...]

    @property
    def sources(self) -> tuple[str, ...]:
        """Stems, in the order of the members' checkpoints."""
        return find_model(self.members[0]).sources

    def weights_of(self, stem: str) -> dict[str, float]:
        """How much each member counts in a stem, without those that do not."""
        column = self.sources.index(stem)
        return {member: row[column] for member, row in zip(self.members, self.matrix, strict=True) if row[column] > 0}


@functools.cache
def registry() -> Mapping[str, ModelEntry]:
    """Every model by its name."""
    return MappingProxyType({name: _entry(name, fields) for name, fields in _tables().items() if "bag" not in fields})


@functools.cache
def bags() -> Mapping[str, BagEntry]:
    """Every bag by its name."""
    return MappingProxyType({name: _bag(name, fields) for name, fields in _tables().items() if "bag" in fields})


def find_model(name: str) -> ModelEntry:
    """Look a model up by its name.

    Raises
    ------
    UnknownModelError
        If the registry has no such model; the message lists those that it has, or a bag's members.
    """
    if name in bags():
        raise UnknownModelError(
            f"{name} is a bag of models: choose one of its members {', '.join(bags()[name].members)}"
        )
    entry = registry().get(name)
    if entry is None:
        raise UnknownModelError(f"there is no model {name!r}; choose one of {', '.join([*registry(), *bags()])}")
    return entry


def _tables() -> dict[str, dict[str, Any]]:
    return tomllib.loads(resources.files(__package__).joinpath("registry.toml").read_text(encoding="utf-8"))


def _bag(name: str, fields: Mapping[str, Any]) -> BagEntry:
    return BagEntry(
        name=name,
        summary=fields["summary"],
        members=tuple(fields["bag"]),
        matrix=tuple(tuple(float(weight) for weight in row) for row in fields["matrix"]),
    )


def _entry(name: str, fields: Mapping[str, Any]) -> ModelEntry:
    architecture = {
        key: Fraction(value) if key == "segment" else value for key, value in fields["architecture"].items()
    }
    return ModelEntry(
        name=name,
        summary=fields["summary"],
        sources=tuple(fields["sources"]),
        architecture=MappingProxyType(architecture),
        licence=fields["licence"],
        weights=tuple(PublishedFile(**file) for file in fields.get("weights", ())),
        weights_sha256=fields.get("weights_sha256"),
    )
