"""Weighted sum of overlapping segments, given out as soon as no later segment can change it."""

import torch
from torch import Tensor

from htdemucs_coreml.core.contract import AUDIO_CHANNELS
from htdemucs_coreml.pipeline.chunk_plan import Segment


class OverlapAdd:
    """Accumulates stems of segments in order and divides by the sum of their weights.

    Every sample goes through the same float32 additions in the same order as in demucs 4.1.0,
    ``apply.apply_model``, so that the same stems of segments give the same bits. Holds no more than one
    segment's length.

    Parameters
    ----------
    stems : int
        Number of stems.
    """

    def __init__(self, stems: int) -> None:
        self._sums = torch.zeros(stems, AUDIO_CHANNELS, 0)
        self._weights = torch.zeros(0)
        self._start = 0

    def add(self, segment: Segment, stems: Tensor) -> None:
        """Add stems of a segment, cut to ``[segment.start, segment.stop)``: float32 ``[stems, 2, n]``."""
        missing = segment.stop - self._start - self._weights.shape[0]
        if missing > 0:
            self._sums = torch.nn.functional.pad(self._sums, (0, missing))
            self._weights = torch.nn.functional.pad(self._weights, (0, missing))
        covered = slice(segment.start - self._start, segment.stop - self._start)
        self._sums[..., covered] += segment.weights * stems
        self._weights[covered] += segment.weights

    def take_until(self, position: int) -> Tensor:
        """Give out what lies before `position`, the start of the next segment: float32 ``[stems, 2, n]``."""
        count = position - self._start
        finished = self._sums[..., :count] / self._weights[:count]
        self._sums = self._sums[..., count:].clone()
        self._weights = self._weights[count:].clone()
        self._start = position
        return finished
