"""The state of a run: everything that the next step depends on, in a file that is whole or not there.

Examples and learning rates are functions of a step's number, so that there is no random state to keep.
"""

import copy
import dataclasses
import pickle
from pathlib import Path
from typing import Any

import torch
from demucs.htdemucs import HTDemucs
from torch import Tensor

from htdemucs_coreml.files import atomic_file
from training.configuration import Configuration, TrainingError


@dataclasses.dataclass
class TrainingState:
    """A run between two steps.

    Attributes
    ----------
    step : int
        How many steps were made.
    network : HTDemucs
        What is trained.
    average : HTDemucs
        Moving average of its weights, which is what is exported.
    optimiser : AdamW
        With its moments.
    """

    step: int
    network: HTDemucs
    average: HTDemucs
    optimiser: torch.optim.AdamW


def new_state(configuration: Configuration, device: torch.device) -> TrainingState:
    """A run before its first step; its weights depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(configuration.seed)
        network = new_network(configuration)
    network.to(device)
    average = copy.deepcopy(network).requires_grad_(False).eval()
    optimiser = torch.optim.AdamW(
        network.parameters(),
        lr=configuration.optimiser.rate,
        betas=(configuration.optimiser.betas[0], configuration.optimiser.betas[1]),
        weight_decay=configuration.optimiser.weight_decay,
    )
    return TrainingState(0, network, average, optimiser)


def new_network(configuration: Configuration) -> HTDemucs:
    """Demucs' network with random weights, in training mode, taking segments of any length."""
    network = HTDemucs(**{**configuration.architecture, "sources": list(configuration.sources)})
    network.use_train_segment = False
    network.train()
    trained: HTDemucs = network
    return trained


def save_state(path: Path, state: TrainingState, configuration: Configuration) -> None:
    """Write the state; a file that is there is replaced at once.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    content = {
        "identity": configuration.identity,
        "step": state.step,
        "network": state.network.state_dict(),
        "average": state.average.state_dict(),
        "optimiser": state.optimiser.state_dict(),
    }
    with atomic_file(path) as partial:
        torch.save(content, partial)


def load_state(path: Path, configuration: Configuration, device: torch.device) -> TrainingState:
    """Read a state that `save_state` wrote.

    Raises
    ------
    TrainingError
        If the file cannot be read, or is of a run with another seed, architecture or data.
    """
    content = _content(path)
    if content["identity"] != configuration.identity:
        raise TrainingError(f"{path} is of a run with another seed, architecture or data; give another folder")
    state = new_state(configuration, device)
    state.network.load_state_dict(content["network"])
    state.average.load_state_dict(content["average"])
    state.optimiser.load_state_dict(content["optimiser"])
    state.step = content["step"]
    return state


def load_average(path: Path) -> dict[str, Tensor]:
    """The averaged weights of a state, by name.

    Raises
    ------
    TrainingError
        If the file cannot be read.
    """
    average: dict[str, Tensor] = _content(path)["average"]
    return average


def _content(path: Path) -> dict[str, Any]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise TrainingError(f"{path} cannot be read as a training state: {error}") from error
    if not isinstance(content, dict) or content.keys() != {"identity", "step", "network", "average", "optimiser"}:
        raise TrainingError(f"{path} is no training state")
    return content
