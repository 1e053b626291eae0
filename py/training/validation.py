"""Scores of songs of the training's own genres, which are not trained on, to be watched while a run goes on."""

import numpy as np
import torch
from demucs.htdemucs import HTDemucs
from torch import Tensor

from htdemucs_coreml.core.contract import SAMPLE_RATE_HZ
from htdemucs_coreml.songs.quality import SongScore, score_song
from training.configuration import Configuration
from training.song_cache import Stems, rendered_stems

_FULL_SCALE = np.float32(32768)
_SEGMENT_SAMPLES = SAMPLE_RATE_HZ * 39 // 5


class ValidationSongs:
    """The middle of each song, one model segment long, rendered once."""

    def __init__(self, configuration: Configuration) -> None:
        settings, data = configuration.validation, configuration.data
        self._sources = configuration.sources
        self._segments = [
            _middle(rendered_stems(seed, data.genres[at % len(data.genres)], data.song_seconds, self._sources))
            for at, seed in enumerate(settings.seeds)
        ]

    def scores_of(self, network: HTDemucs) -> list[SongScore]:
        """A score for each song; the network has to be in evaluation mode."""
        device = next(network.parameters()).device
        scores = []
        with torch.inference_mode():
            for at, truth in enumerate(self._segments):
                estimates = network(truth.sum(dim=0, keepdim=True).to(device))[0].cpu()
                scores.append(score_song(str(at), self._named(estimates), self._named(truth)))
        return scores

    def _named(self, stems: Tensor) -> dict[str, Tensor]:
        return dict(zip(self._sources, stems, strict=True))


def _middle(stems: Stems) -> Tensor:
    samples = min(stems.shape[2], _SEGMENT_SAMPLES)
    start = (stems.shape[2] - samples) // 2
    return torch.from_numpy(stems[:, :, start : start + samples].astype(np.float32) / _FULL_SCALE)
