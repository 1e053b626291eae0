"""How near a package of the small model comes to PyTorch."""

from pathlib import Path

import torch

from htdemucs_coreml.backends.interpreted import InterpreterBackend
from htdemucs_coreml.backends.pytorch import TorchBackend
from htdemucs_coreml.metrics import snr_db
from htdemucs_coreml.signals import synthetic_song
from htdemucs_coreml.spectrogram import spectrogram
from htdemucs_coreml.weights.checkpoint import Checkpoint
from small_model import SHORT_SEGMENT_SAMPLES


def nearest_to_pytorch_db(checkpoint: Checkpoint, package: Path) -> float:
    """SNR of the worst output of a package against PyTorch, on a piece of the song."""
    mix = torch.from_numpy(synthetic_song(SHORT_SEGMENT_SAMPLES))[None]
    mixed = spectrogram(mix)
    inputs = mixed.real.contiguous(), mixed.imag.contiguous(), mix
    expected = TorchBackend(checkpoint, SHORT_SEGMENT_SAMPLES).predict(*inputs)
    actual = InterpreterBackend(package).predict(*inputs)
    return min(snr_db(one, other) for one, other in zip(actual, expected, strict=True))
