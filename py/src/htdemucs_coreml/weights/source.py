"""Where the weights of a model come from: a file, or integer arithmetic."""

from pathlib import Path

import numpy as np

from htdemucs_coreml.models.registry import ModelEntry
from htdemucs_coreml.weights.checkpoint import Checkpoint, checkpoint_of, load_checkpoint
from htdemucs_coreml.weights.fixture import fixture_tensors
from htdemucs_coreml.weights.safetensors_file import WeightsError


def load_weights(entry: ModelEntry, path: Path | None) -> Checkpoint:
    """Weights of a model.

    Parameters
    ----------
    entry : ModelEntry
        The model.
    path : Path or None
        A weights file; None generates the weights of a model that has no published ones.

    Raises
    ------
    WeightsError
        If the file is not the model's, or if none is given for a model with published weights.
    """
    if path is not None:
        return load_checkpoint(path, entry)
    if entry.weights is not None:
        raise WeightsError(
            f"{entry.name} needs its published weights: get {entry.weights.url} (sha256 {entry.weights.sha256}) "
            f"and give it with --weights {entry.weights.file}"
        )
    tensors = {name: tensor.astype(np.float32) for name, tensor in fixture_tensors(entry).items()}
    return checkpoint_of(tensors, entry, "this program")
