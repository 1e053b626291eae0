"""The registry of models: data in ``registry.toml`` beside this file, read once and checked."""

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
    """A name is not in the registry."""


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


@functools.cache
def registry() -> Mapping[str, ModelEntry]:
    """Every model by its name."""
    table = tomllib.loads(resources.files(__package__).joinpath("registry.toml").read_text(encoding="utf-8"))
    return MappingProxyType({name: _entry(name, fields) for name, fields in table.items()})


def find_model(name: str) -> ModelEntry:
    """Look a model up by its name.

    Raises
    ------
    UnknownModelError
        If the registry has no such model; the message lists those that it has.
    """
    entry = registry().get(name)
    if entry is None:
        raise UnknownModelError(f"there is no model {name!r}; choose one of {', '.join(registry())}")
    return entry


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
