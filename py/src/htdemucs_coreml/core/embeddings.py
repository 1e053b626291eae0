"""Positional embeddings computed in float64 and rounded once, so that they are the same bits on every machine.

Left to the converter, they are folded with float32 sine, cosine and exponential functions whose last bits depend on the
CPU's vector width. The formulas are upstream's: facebookresearch/demucs 4.1.0, ``demucs/transformer.py``,
``create_sin_embedding`` and ``create_2d_sin_embedding``.
"""

import math

import numpy as np
from numpy.typing import NDArray


def time_embedding(steps: int, channels: int, max_period: float) -> NDArray[np.float32]:
    """One-dimensional embedding, cosines then sines.

    ``phase[t, j] = t / max_period ** (j / (channels / 2 - 1))``.

    Parameters
    ----------
    steps : int
        Number of positions.
    channels : int
        Width of the embedding, even.
    max_period : float
        Longest period divided by 2 pi.

    Returns
    -------
    NDArray[np.float32] [steps, channels]
    """
    half = channels // 2
    phase = _phases(steps, [math.pow(max_period, -(index / (half - 1))) for index in range(half)])
    embedding: NDArray[np.float32] = np.concatenate([np.cos(phase), np.sin(phase)], axis=1).astype(np.float32)
    return embedding


def frequency_embedding(bins: int, frames: int, channels: int, max_period: float) -> NDArray[np.float32]:
    """Two-dimensional embedding: the first half of the channels encodes the frame, the second half the bin.

    In each half sines (even channels) and cosines (odd channels) alternate, with
    ``phase[p, j] = p * max_period ** (-2 j / (channels / 2))``.

    Parameters
    ----------
    bins, frames : int
        Number of positions along each axis.
    channels : int
        Width of the embedding, a multiple of 4.
    max_period : float
        Longest period divided by 2 pi.

    Returns
    -------
    NDArray[np.float32] [frames, bins, channels]
    """
    half = channels // 2
    rates = [math.pow(max_period, -(index / half)) for index in range(0, half, 2)]
    embedding = np.empty((frames, bins, channels), np.float32)
    embedding[:, :, :half] = _interleaved(_phases(frames, rates))[:, None, :]
    embedding[:, :, half:] = _interleaved(_phases(bins, rates))[None, :, :]
    return embedding


def _phases(positions: int, rates: list[float]) -> NDArray[np.float64]:
    phases: NDArray[np.float64] = np.outer(np.arange(positions, dtype=np.float64), np.array(rates, dtype=np.float64))
    return phases


def _interleaved(phase: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.stack([np.sin(phase), np.cos(phase)], axis=-1).reshape(len(phase), -1).astype(np.float32)
