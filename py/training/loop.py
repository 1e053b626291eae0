"""The training loop."""

import dataclasses
import os
import time
from collections.abc import Callable
from pathlib import Path

import torch
from demucs.htdemucs import HTDemucs
from torch import Tensor

from training.configuration import Configuration, TrainingError
from training.examples import examples_of
from training.records import append_record
from training.schedule import phase_of, rate_factor
from training.scores import mean_sdr_db, medians
from training.song_cache import SongCache
from training.state import TrainingState, load_state, new_state, save_state
from training.validation import ValidationSongs

STATE_NAME = "state.pt"
MAIN_STATE_NAME = "end-of-main.pt"
_SONGS_NAME = "songs"
_QUIETEST_MIX = 1e-3
_WARM_UP_OF_AVERAGE = 10


def train(
    folder: Path,
    configuration: Configuration,
    device: torch.device,
    say: Callable[[str], None],
    stop_after: int | None = None,
) -> TrainingState:
    """Start a run in a folder, or continue the one that is there, to the end of its schedule.

    Parameters
    ----------
    folder : Path
        Holds ``state.pt``, ``end-of-main.pt`` (the state before the rate falls, from which a run can be prolonged),
        ``log.jsonl`` and the rendered songs.
    configuration : Configuration
        The run's.
    device : torch.device
        Where the network is trained.
    say : callable
        Is given each line for the terminal.
    stop_after : int or None
        Step after which the run is left, as if it were interrupted there.

    Raises
    ------
    TrainingError
        If the folder's run is another one, songs cannot be rendered, or the loss is no number any more.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / STATE_NAME
    state = load_state(path, configuration, device) if path.exists() else new_state(configuration, device)
    parameters = sum(parameter.numel() for parameter in state.network.parameters())
    append_record(
        folder,
        {
            "kind": "start",
            "step": state.step,
            "parameters": parameters,
            "device": str(device),
            "schedule": dataclasses.asdict(configuration.schedule),
            "optimiser": dataclasses.asdict(configuration.optimiser),
        },
    )
    say(f"{parameters} parameters, step {state.step} of {configuration.schedule.steps}, on {device}")
    _steps(folder, state, configuration, say, stop_after)
    return state


def _steps(
    folder: Path,
    state: TrainingState,
    configuration: Configuration,
    say: Callable[[str], None],
    stop_after: int | None,
) -> None:
    records, schedule = configuration.records, configuration.schedule
    validation = ValidationSongs(configuration)
    cache = SongCache(folder / _SONGS_NAME, configuration.data, configuration.sources)
    losses: list[float] = []
    began = time.perf_counter()
    try:
        while state.step < schedule.steps and state.step != stop_after:
            losses.append(_step(state, configuration, cache))
            if not losses[-1] < float("inf"):
                raise TrainingError(f"the loss of step {state.step} is {losses[-1]}: lower the learning rate")
            if state.step % records.log_every == 0:
                _log_progress(folder, state, losses, (time.perf_counter() - began) / len(losses), say)
                losses.clear()
                began = time.perf_counter()
            is_last = state.step == schedule.steps
            if state.step % records.save_every == 0 or is_last:
                save_state(folder / STATE_NAME, state, configuration)
            if state.step == schedule.main.steps:
                save_state(folder / MAIN_STATE_NAME, state, configuration)
            if state.step % records.validate_every == 0 or is_last:
                _log_validation(folder, state, validation, say)
    finally:
        cache.close()


def _step(state: TrainingState, configuration: Configuration, cache: SongCache) -> float:
    """Make one step; returns its loss."""
    settings = configuration.optimiser
    phase = phase_of(state.step, configuration.schedule)
    examples = examples_of(configuration.seed, state.step, phase, configuration.data, cache.songs_of(state.step))
    truth = torch.from_numpy(examples).to(next(state.network.parameters()).device)
    for group in state.optimiser.param_groups:
        group["lr"] = settings.rate * rate_factor(state.step, configuration.schedule)
    loss = loss_of(state.network, truth, settings.bfloat16)
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(state.network.parameters(), settings.largest_gradient)
    state.optimiser.step()
    state.step += 1
    _follow(state.average, state.network, min(settings.average, state.step / (_WARM_UP_OF_AVERAGE + state.step)))
    return loss.item()


def loss_of(network: HTDemucs, truth: Tensor, bfloat16: bool) -> Tensor:
    """Mean absolute error of the stems, each example's relative to its mix.

    Parameters
    ----------
    network : HTDemucs
        In training mode.
    truth : Tensor [batch, sources, 2, samples], float32
        True stems.
    bfloat16 : bool
        Whether products are computed in bfloat16 where PyTorch holds that to be safe.
    """
    mix = truth.sum(dim=1)
    with torch.autocast(truth.device.type, torch.bfloat16, enabled=bfloat16):
        stems = network(mix)
    errors = (stems.float() - truth).abs().mean(dim=(1, 2, 3))
    loss: Tensor = (errors / mix.abs().mean(dim=(1, 2)).clamp(min=_QUIETEST_MIX)).mean()
    return loss


@torch.no_grad()
def _follow(average: HTDemucs, network: HTDemucs, weight: float) -> None:
    """Move averaged weights towards those of the network."""
    for mean, value in zip(average.parameters(), network.parameters(), strict=True):
        mean.lerp_(value, 1 - weight)


def _log_progress(
    folder: Path, state: TrainingState, losses: list[float], seconds: float, say: Callable[[str], None]
) -> None:
    record = {
        "kind": "progress",
        "step": state.step,
        "loss": round(sum(losses) / len(losses), 5),
        "rate": state.optimiser.param_groups[0]["lr"],
        "seconds_per_step": round(seconds, 3),
        "processor_seconds": round(sum(os.times()[:2]), 1),
    }
    append_record(folder, record)
    say(f"step {state.step}: loss {record['loss']}, {record['seconds_per_step']} s a step")


def _log_validation(folder: Path, state: TrainingState, songs: ValidationSongs, say: Callable[[str], None]) -> None:
    stems = medians(songs.scores_of(state.average))
    append_record(
        folder,
        {
            "kind": "validation",
            "step": state.step,
            "mean_sdr_db": round(mean_sdr_db(stems), 3),
            "stems": {name: dataclasses.asdict(stem) for name, stem in stems.items()},
        },
    )
    say(
        f"step {state.step}: SDR {mean_sdr_db(stems):.2f} dB; "
        + ", ".join(f"{name} {stem.sdr_db:.1f}" for name, stem in stems.items() if stem.sdr_db is not None)
    )
