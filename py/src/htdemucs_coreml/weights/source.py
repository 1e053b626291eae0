"""Where the weights of a model come from: a file, or integer arithmetic."""

from pathlib import Path

import numpy as np

from htdemucs_coreml.models.registry import ModelEntry
from htdemucs_coreml.weights.cache import fetched_weights
from htdemucs_coreml.weights.checkpoint import Checkpoint, checkpoint_of, load_checkpoint
from htdemucs_coreml.weights.content import MissingWeightsError, WeightsError
from htdemucs_coreml.weights.fixture import fixture_tensors


def load_weights(entry: ModelEntry, path: Path | None, sha256: str | None = None) -> Checkpoint:
    """Weights of a model.

    Parameters
    ----------
    entry : ModelEntry
        The model.
    path : Path or None
        A weights file; None takes the file that was fetched for the model or, where the model has no published weights,
        generates them.
    sha256 : str or None
        Hexadecimal sha256 that the file must have, in place of the registry's.

    Raises
    ------
    WeightsError
        If the file is not the model's, or if none is given for a model with published weights and none was fetched.
    """
    if path is None and entry.weights:
        path = fetched_weights(entry)
        if path is None:
            raise _missing(entry)
    if path is not None:
        return load_checkpoint(path, entry, sha256)
    if sha256 is not None:
        raise WeightsError(f"the weights of {entry.name} are generated, so that no file has a sha256; leave it out")
    tensors = {name: tensor.astype(np.float32) for name, tensor in fixture_tensors(entry).items()}
    return checkpoint_of(tensors, entry, "this program")


def _missing(entry: ModelEntry) -> MissingWeightsError:
    published = entry.weights[0]
    pin = f"not pinned, {published.open}" if published.sha256 is None else f"sha256 {published.sha256}"
    return MissingWeightsError(
        f"{entry.name} needs its published weights: run `htdemucs-coreml fetch {entry.name}` or, where there is no "
        f"network, get {published.url} ({pin}) elsewhere and give it with --weights {published.file}"
    )
