"""Building demucs' network for a model of the registry."""

import inspect
from collections.abc import Mapping

import torch
from demucs.htdemucs import HTDemucs

from htdemucs_coreml.models.registry import ModelEntry


def network_arguments(entry: ModelEntry) -> dict[str, object]:
    """Every argument of ``HTDemucs`` for a model, its defaults filled in from demucs' signature."""
    parameters = inspect.signature(HTDemucs.__init__).parameters
    defaults = {
        name: parameter.default
        for name, parameter in parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }
    return {**defaults, "sources": list(entry.sources), **entry.architecture}


def parameter_shapes(entry: ModelEntry) -> dict[str, tuple[int, ...]]:
    """Shape of every parameter and buffer of a model by its name in the state dictionary, without allocating them."""
    with torch.device("meta"):
        model = HTDemucs(**network_arguments(entry))
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def build_network(entry: ModelEntry, tensors: Mapping[str, torch.Tensor]) -> HTDemucs:
    """Demucs' network with the given weights, frozen and in evaluation mode.

    Parameters
    ----------
    entry : ModelEntry
        The model.
    tensors : Mapping[str, Tensor]
        Exactly the model's parameters and buffers, float32.

    Returns
    -------
    HTDemucs
        With ``use_train_segment`` off, so that ``forward`` takes segments of any length.
    """
    with torch.device("meta"):
        model = HTDemucs(**network_arguments(entry))
    model.load_state_dict(dict(tensors), strict=True, assign=True)
    model.use_train_segment = False
    model.eval()
    model.requires_grad_(False)
    network: HTDemucs = model
    return network
