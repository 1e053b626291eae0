"""Upstream's own chunking, to compare with."""

from demucs.apply import apply_model
from torch import Tensor

from htdemucs_coreml.models.architecture import build_network
from htdemucs_coreml.models.registry import find_model
from htdemucs_coreml.weights.source import load_weights


def through_apply_model(mix: Tensor) -> Tensor:
    """Separate a mix with the fixture's weights as upstream's ``api.Separator.separate_tensor`` does.

    Parameters
    ----------
    mix : Tensor [2, n], float32
        At 44.1 kHz.

    Returns
    -------
    Tensor [stems, 2, n], float32
        What ``apply_model(shifts=0, split=True, overlap=0.25)`` gives, standardised before and scaled back after.
    """
    entry = find_model("fixture")
    network = build_network(entry, load_weights(entry, None).tensors)
    network.use_train_segment = True
    mono = mix.mean(0)
    mean, std = mono.mean(), mono.std() + 1e-8
    stems: Tensor = apply_model(network, ((mix - mean) / std)[None], shifts=0, split=True, overlap=0.25)[0]
    return stems * std + mean
