"""A small model of the same architecture, and a segment that is as short as every operation allows."""

from fractions import Fraction
from types import MappingProxyType

import numpy as np
import torch

from htdemucs_coreml.convert.variants import Variant
from htdemucs_coreml.models.registry import ModelEntry
from htdemucs_coreml.weights.checkpoint import Checkpoint, canonical_sha256
from htdemucs_coreml.weights.fixture import fixture_tensors

SHORT_SEGMENT_SAMPLES = 11264
"""Eleven hops: the shortest segment that reaches every operation of the core."""

SMALL_ENTRY = ModelEntry(
    name="fixture",
    summary="The architecture of htdemucs_6s with 8 channels and 3 transformer layers",
    sources=("drums", "bass", "other", "vocals", "guitar", "piano"),
    architecture=MappingProxyType(
        {"dconv_mode": 3, "segment": Fraction(39, 5), "channels": 8, "t_layers": 3, "t_hidden_scale": 2.0}
    ),
    weights=None,
)

SHORT_VARIANT = Variant(name="float32", segment_samples=SHORT_SEGMENT_SAMPLES, precision="float32")


def make_small_checkpoint() -> Checkpoint:
    """Fixture weights of the small model."""
    tensors = {name: tensor.astype(np.float32) for name, tensor in fixture_tensors(SMALL_ENTRY).items()}
    return Checkpoint(
        entry=SMALL_ENTRY,
        sources=SMALL_ENTRY.sources,
        tensors={name: torch.from_numpy(tensor) for name, tensor in tensors.items()},
        sha256=canonical_sha256(tensors),
    )
