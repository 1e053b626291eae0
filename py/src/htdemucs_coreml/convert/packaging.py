"""From weights to a canonical package, in one call."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from htdemucs_coreml.compress.plans import Block, CompressionPlan
from htdemucs_coreml.convert.calibration import CALIBRATION_SAMPLES, input_moments
from htdemucs_coreml.convert.program import convert_core
from htdemucs_coreml.convert.variants import Variant
from htdemucs_coreml.core.contract import HOP_LENGTH, N_FFT, SAMPLE_RATE_HZ
from htdemucs_coreml.core.inner import extract_inner_model
from htdemucs_coreml.core.rewrites import rewritten
from htdemucs_coreml.models.architecture import build_network
from htdemucs_coreml.package.canonical import canonical_model, write_package
from htdemucs_coreml.package.digests import UNSIGNED
from htdemucs_coreml.package.metadata import PackageMetadata
from htdemucs_coreml.weights.checkpoint import Checkpoint

Moments = Mapping[Block, NDArray[np.float64]]
"""Second moments of what every weight is multiplied with, by its block."""


def convert_checkpoint(checkpoint: Checkpoint, variant: Variant, output: Path, moments: Moments | None = None) -> None:
    """Convert a model to a package.

    Parameters
    ----------
    checkpoint : Checkpoint
        The model's weights.
    variant : Variant
        Precision plan, compression and segment length.
    output : Path
        The ``.mlpackage`` to write, whole or not at all.
    moments : Mapping of tuple of str to array, optional
        What `moments_for` gives for the variant's compression; computed if left out.

    Raises
    ------
    ModelExtractionError, ConversionError, PlanError, ElementTypeError
        If the model cannot be extracted or converted, or the plan does not fit it.
    CompressionError
        If the compression plan does not fit the model.
    PackageError
        If the package cannot be written; `htdemucs_coreml.package.canonical.require_target` tells beforehand.
    """
    entry = checkpoint.entry
    if moments is None:
        moments = moments_for(checkpoint, variant.compression)
    core = extract_inner_model(build_network(entry, checkpoint.tensors), variant.segment_samples)
    program = convert_core(rewritten(core), variant.plan, entry.name, variant.compression, moments)
    metadata = PackageMetadata(
        model=entry.name,
        variant=variant.name,
        sources=checkpoint.sources,
        sample_rate=SAMPLE_RATE_HZ,
        segment_samples=variant.segment_samples,
        n_fft=N_FFT,
        hop_length=HOP_LENGTH,
        weights_sha256=checkpoint.sha256,
        weight_bin_sha256=program.weights.sha256(),
        model_sha256=UNSIGNED,
    )
    write_package(output, canonical_model(program.model, metadata, entry.summary, entry.licence), program.weights)


def moments_for(checkpoint: Checkpoint, compression: CompressionPlan | None) -> Moments | None:
    """What a calibrated plan has to know of a model; None for other plans."""
    if compression is None or not compression.calibrated:
        return None
    network = build_network(checkpoint.entry, checkpoint.tensors)
    return input_moments(rewritten(extract_inner_model(network, CALIBRATION_SAMPLES)))
