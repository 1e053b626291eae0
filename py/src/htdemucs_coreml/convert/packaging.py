"""From weights to a canonical package, in one call."""

from pathlib import Path

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


def convert_checkpoint(checkpoint: Checkpoint, variant: Variant, output: Path) -> None:
    """Convert a model to a package.

    Parameters
    ----------
    checkpoint : Checkpoint
        The model's weights.
    variant : Variant
        Precision plan, compression and segment length.
    output : Path
        The ``.mlpackage`` to write, whole or not at all.

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
    core = extract_inner_model(build_network(entry, checkpoint.tensors), variant.segment_samples)
    program = convert_core(rewritten(core), variant.plan, entry.name, variant.compression)
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
