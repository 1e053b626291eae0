"""Variants of a package: data in ``variants.toml`` beside this file."""

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Any

from htdemucs_coreml.compress.plans import CompressionPlan, shipped_compression_plans
from htdemucs_coreml.errors import HTDemucsCoreMLError
from htdemucs_coreml.plan_files import SHORT_SUFFIX
from htdemucs_coreml.precision.plans import Plan, shipped_plans


class UnknownVariantError(HTDemucsCoreMLError):
    """A name is not among the variants."""


@dataclass(frozen=True)
class Variant:
    """One way to convert a model.

    Attributes
    ----------
    name : str
        The table's key, with the suffix ``-7_8s`` for the short segment.
    segment_samples : int
        Length of one network input in samples at 44,100 Hz.
    plan : Plan
        Types that the program's blocks compute in.
    stem_floor_db : float or None
        Signal-to-noise ratio that every stem of music has at least, against PyTorch in float32; None of a plan of
        one's own.
    compression : CompressionPlan or None
        Forms in which weights are stored; None leaves them as they are.
    """

    name: str
    segment_samples: int
    plan: Plan
    stem_floor_db: float | None
    compression: CompressionPlan | None = None

    def with_plan(self, plan: Plan) -> "Variant":
        """The same segment under another precision plan, named after it."""
        return Variant(plan.name + self._suffix, self.segment_samples, plan, stem_floor_db=None)

    def with_compression(self, compression: CompressionPlan) -> "Variant":
        """The same segment and precision plan with another compression, named after that."""
        return Variant(compression.name + self._suffix, self.segment_samples, self.plan, None, compression)

    @property
    def _suffix(self) -> str:
        return SHORT_SUFFIX if self.name.endswith(SHORT_SUFFIX) else ""


@functools.cache
def variants() -> Mapping[str, Variant]:
    """Every variant by its name."""
    return MappingProxyType({name: _variant(name, fields) for name, fields in _table().items()})


def _variant(name: str, fields: Mapping[str, Any]) -> Variant:
    compression = fields.get("compression")
    return Variant(
        name=name,
        segment_samples=fields["segment_samples"],
        plan=shipped_plans()[fields["plan"]],
        stem_floor_db=fields["stem_floor_db"],
        compression=None if compression is None else shipped_compression_plans()[compression],
    )


def default_variant(*, short: bool = False) -> Variant:
    """Return the variant that is taken unless another is asked for; with segments of 7.8 s where `short`."""
    (name,) = (name for name, fields in _table().items() if fields.get("default", False))
    return variants()[name + SHORT_SUFFIX if short else name]


def find_variant(name: str) -> Variant:
    """Look a variant up by its name.

    Raises
    ------
    UnknownVariantError
        If there is no such variant; the message lists those that there are.
    """
    variant = variants().get(name)
    if variant is None:
        raise UnknownVariantError(f"there is no variant {name!r}; choose one of {', '.join(variants())}")
    return variant


@functools.cache
def _table() -> Mapping[str, dict[str, Any]]:
    return tomllib.loads(resources.files(__package__).joinpath("variants.toml").read_text(encoding="utf-8"))
