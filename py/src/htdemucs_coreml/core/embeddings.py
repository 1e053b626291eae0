"""Positional embeddings computed in float64 and rounded once, so that they are the same bits on every machine.

Left to the converter, they are folded with float32 sine, cosine and exponential functions whose last bits depend on the
CPU's vector width. The formulas are upstream's: facebookresearch/demucs 4.1.0, ``demucs/transformer.py``,
``create_sin_embedding`` and ``create_2d_sin_embedding``.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class TimeEmbedding(NamedTuple):
    """Factors of the one-dimensional embedding, cosines then sines, of phases ``t / max_period ** (j / (half - 1))``.

    A position is ``t = coarse + fine``, and by the angle-addition theorem its embedding is
    ``turned * cosines + turned_quarter * sines``, flattened and cut to the number of positions.

    Attributes
    ----------
    turned, turned_quarter : NDArray[np.float32] [coarse positions, 1, 2, half]
        Cosines and sines of the coarse phases, and of those phases a quarter of a turn on.
    cosines, sines : NDArray[np.float32] [1, fine positions, 1, half]
        Of the fine phases.
    """

    turned: NDArray[np.float32]
    turned_quarter: NDArray[np.float32]
    cosines: NDArray[np.float32]
    sines: NDArray[np.float32]


def time_embedding(steps: int, channels: int, max_period: float) -> TimeEmbedding:
    """One-dimensional embedding as factors that together are as small as they can be.

    Parameters
    ----------
    steps : int
        Number of positions. The factors are always those of a few more.
    channels : int
        Width of the embedding, twice `half`.
    max_period : float
        Longest period divided by 2 pi.
    """
    half = channels // 2
    rates = [math.pow(max_period, -(index / (half - 1))) for index in range(half)]
    # The coarse factors hold twice as many numbers a position as the fine ones.
    fine = math.isqrt(2 * steps) + 1
    coarse_phases = _phases(range(0, steps + 1, fine), rates)[:, None]
    fine_phases = _phases(range(fine), rates)[None, :, None]
    cosines, sines = np.cos(coarse_phases), np.sin(coarse_phases)
    return TimeEmbedding(
        np.stack([cosines, sines], axis=2).astype(np.float32),
        np.stack([-sines, cosines], axis=2).astype(np.float32),
        np.cos(fine_phases).astype(np.float32),
        np.sin(fine_phases).astype(np.float32),
    )


def axis_embedding(positions: int, channels: int, max_period: float) -> NDArray[np.float32]:
    """One axis of the two-dimensional embedding, whose first half encodes the frame and whose second half the bin.

    Sines (even channels) and cosines (odd channels) alternate, with phases ``p * max_period ** (-2 j / channels)``.

    Parameters
    ----------
    positions : int
        Number of positions along the axis.
    channels : int
        Width of this axis' half, even.
    max_period : float
        Longest period divided by 2 pi.

    Returns
    -------
    NDArray[np.float32] [positions, channels]
    """
    phase = _phases(range(positions), [math.pow(max_period, -(index / channels)) for index in range(0, channels, 2)])
    embedding = np.stack([np.sin(phase), np.cos(phase)], axis=-1).reshape(positions, channels)
    return embedding.astype(np.float32)


def _phases(positions: range, rates: list[float]) -> NDArray[np.float64]:
    phases: NDArray[np.float64] = np.outer(np.array(positions, dtype=np.float64), np.array(rates, dtype=np.float64))
    return phases
