"""Where the weights of a model come from: a file, or integer arithmetic."""

from pathlib import Path

import numpy as np

from htdemucs_coreml.models.registry import ModelEntry
from htdemucs_coreml.weights.checkpoint import Checkpoint, checkpoint_of, load_checkpoint
from htdemucs_coreml.weights.content import WeightsError
from htdemucs_coreml.weights.fixture import fixture_tensors


def load_weights(entry: ModelEntry, path: Path | None, sha256: str | None = None) -> Checkpoint:
    """Weights of a model.

    Parameters
    ----------
    entry : ModelEntry
        The model.
    path : Path or None
        A weights file; None generates the weights of a model that has no published ones.
    sha256 : str or None
        Hexadecimal sha256 that the file must have, in place of the registry's.

    Raises
    ------
    WeightsError
        If the file is not the model's, or if none is given for a model with published weights.
    """
    if path is not None:
        return load_checkpoint(path, entry, sha256)
    if entry.weights:
        published = entry.weights[0]
        pin = f"not pinned, {published.open}" if published.sha256 is None else f"sha256 {published.sha256}"
        raise WeightsError(
            f"{entry.name} needs its published weights: get {published.url} ({pin}) "
            f"and give it with --weights {published.file}"
        )
    tensors = {name: tensor.astype(np.float32) for name, tensor in fixture_tensors(entry).items()}
    return checkpoint_of(tensors, entry, "this program")
