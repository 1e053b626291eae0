"""A small model of the same architecture, and a segment that is as short as every operation allows."""

from dataclasses import replace
from fractions import Fraction
from types import MappingProxyType

from htdemucs_coreml.convert.variants import Variant
from htdemucs_coreml.models.registry import ModelEntry
from htdemucs_coreml.precision.plans import FLOAT32_PLAN

SHORT_SEGMENT_SAMPLES = 11264
"""Eleven hops: the shortest segment that reaches every operation of the core."""

SMALL_ENTRY = ModelEntry(
    name="fixture",
    summary="The architecture of htdemucs_6s with 8 channels and 3 transformer layers",
    sources=("drums", "bass", "other", "vocals", "guitar", "piano"),
    architecture=MappingProxyType(
        {"dconv_mode": 3, "segment": Fraction(39, 5), "channels": 8, "t_layers": 3, "t_hidden_scale": 2.0}
    ),
    licence="MIT",
)

SMALL_FOUR_STEM_ENTRY = replace(
    SMALL_ENTRY,
    summary="The architecture of htdemucs with 8 channels, 24 in the transformer, and 3 transformer layers",
    sources=("drums", "bass", "other", "vocals"),
    architecture=MappingProxyType({**SMALL_ENTRY.architecture, "bottom_channels": 24}),
)

SHORT_VARIANT = Variant(name="float32", segment_samples=SHORT_SEGMENT_SAMPLES, plan=FLOAT32_PLAN, stem_floor_db=110)

FULL_SIZE_VARIANTS = ("float32", "float32-7_8s", "mixed", "mixed-7_8s")
"""Variants whose full-size packages tests have at hand."""
