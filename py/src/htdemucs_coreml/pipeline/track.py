"""A track as the pipeline reads it: stereo blocks at the core's rate, as often as needed, never at once."""

from collections.abc import Iterable, Iterator
from typing import Protocol

import torch
from torch import Tensor

from htdemucs_coreml.core.contract import AUDIO_CHANNELS
from htdemucs_coreml.errors import HTDemucsCoreMLError

BLOCK_SAMPLES = 1 << 16
"""Samples of each block of a track but the last, so that sums over blocks are the same for every source."""


class TrackError(HTDemucsCoreMLError):
    """A track's samples are not what a track must be."""


class Track(Protocol):
    """Stereo samples that can be read from the start more than once."""

    @property
    def samples(self) -> int:
        """Length, in samples at the core's rate."""
        ...

    def blocks(self) -> Iterator[Tensor]:
        """Read from the start: float32 ``[2, n]``, finite, `BLOCK_SAMPLES` each, what remains in the last."""
        ...


class TensorTrack:
    """A track that is in memory.

    Parameters
    ----------
    samples : Tensor [2, n], float32
        At the core's rate, finite.

    Raises
    ------
    TrackError
        If the shape or type is another or a sample is NaN or infinite.
    """

    def __init__(self, samples: Tensor) -> None:
        if samples.ndim != 2 or samples.shape[0] != AUDIO_CHANNELS or samples.dtype != torch.float32:
            raise TrackError(
                f"a track of shape {tuple(samples.shape)} and type {samples.dtype} cannot be separated; "
                f"give float32 of shape [{AUDIO_CHANNELS}, samples]"
            )
        if not bool(torch.isfinite(samples).all()):
            raise TrackError("the track has samples that are NaN or infinite")
        self._samples = samples

    @property
    def samples(self) -> int:
        """Length in samples."""
        return self._samples.shape[1]

    def blocks(self) -> Iterator[Tensor]:
        """Read from the start in views of `BLOCK_SAMPLES`."""
        for start in range(0, self.samples, BLOCK_SAMPLES):
            yield self._samples[:, start : start + BLOCK_SAMPLES]


class ForwardReader:
    """Windows of a stream of blocks, at positions that never move back; zeros outside of the stream.

    Holds no more than a window and a block.

    Parameters
    ----------
    blocks : iterable of Tensor [channels, n]
        The stream; blocks of any length.
    channels : int
        Their first axis.
    """

    def __init__(self, blocks: Iterable[Tensor], channels: int = AUDIO_CHANNELS) -> None:
        self._blocks = iter(blocks)
        self._held = torch.zeros(channels, 0)
        self._held_start = 0

    def read(self, start: int, stop: int) -> Tensor:
        """Return a copy of the samples in ``[start, stop)``, float32 ``[channels, stop - start]``.

        Raises
        ------
        TrackError
            If `start` lies before that of an earlier call.
        """
        if max(start, 0) < self._held_start:
            raise TrackError(f"samples from {start} on have been let go: the reader is at {self._held_start}")
        self._advance(max(start, 0), stop)
        window = torch.zeros(self._held.shape[0], stop - start)
        first = max(start, 0)
        available = self._held[:, : max(stop - first, 0)]
        window[:, first - start : first - start + available.shape[1]] = available
        return window

    def _advance(self, start: int, stop: int) -> None:
        """Let go of what lies before `start` and read on until `stop` or the end."""
        pieces = [self._held]
        held_stop = self._held_start + self._held.shape[1]
        while held_stop < stop and (block := next(self._blocks, None)) is not None:
            pieces.append(block)
            held_stop += block.shape[1]
        joined = torch.cat(pieces, dim=1)
        self._held = joined[:, start - self._held_start :].clone()
        self._held_start = start
