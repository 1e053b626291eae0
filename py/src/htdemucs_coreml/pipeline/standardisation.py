"""The shift and scale by which plan ``demucs`` standardises a track, from one pass over it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

_EPSILON = 1e-8


@dataclass(frozen=True)
class Standardisation:
    """An affine map of samples, the same for both channels.

    Attributes
    ----------
    shift : float
        Mean of the track's mono mix.
    scale : float
        Its standard deviation + 1e-8, with which silence stays silence.
    """

    shift: float
    scale: float

    def apply(self, samples: Tensor) -> Tensor:
        """Return ``(samples - shift) / scale``."""
        return (samples - self._scalar(self.shift, samples)) / self._scalar(self.scale, samples)

    def undo(self, samples: Tensor) -> Tensor:
        """Return ``samples * scale + shift``."""
        return samples * self._scalar(self.scale, samples) + self._scalar(self.shift, samples)

    @staticmethod
    def _scalar(value: float, like: Tensor) -> Tensor:
        return torch.tensor(value, dtype=like.dtype)


IDENTITY = Standardisation(shift=0.0, scale=1.0)
"""Leaves the values of samples as they are."""


def standardisation_of(blocks: Iterable[Tensor]) -> Standardisation:
    """Take mean and unbiased standard deviation of a track's mono mix, in one pass and in float64.

    Parameters
    ----------
    blocks : iterable of Tensor [2, n], float32
        The track in order.

    Returns
    -------
    Standardisation
        Of fewer than two samples the deviation is taken as 0, where upstream's would be NaN.

    Notes
    -----
    What is computed: demucs 4.1.0, ``api.Separator.separate_tensor``. How: Chan, Golub and LeVeque, "Updating
    Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979: the update of count, mean and sum of
    squared deviations by a block, which does not lose figures where the mean is large.
    """
    count, mean, squared_deviations = 0, 0.0, 0.0
    for block in blocks:
        mono = block.mean(dim=0).to(torch.float64)
        added = mono.numel()
        if not added:
            continue
        block_mean = float(mono.mean())
        difference = block_mean - mean
        squared_deviations += float((mono - block_mean).square().sum())
        squared_deviations += difference**2 * count * added / (count + added)
        mean += difference * added / (count + added)
        count += added
    deviation = math.sqrt(squared_deviations / (count - 1)) if count > 1 else 0.0
    return Standardisation(shift=mean, scale=deviation + _EPSILON)
