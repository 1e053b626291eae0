"""Changing the sample rate of a stream, with an exact number of frames at the end."""

from collections.abc import Iterable, Iterator

import numpy as np
import soxr
import torch
from torch import Tensor

from htdemucs_coreml.audio.errors import AudioError

# soxr's best: 28 bits, a linear phase, the pass band kept to 91.3 % of the lower rate's Nyquist frequency.
_QUALITY = "VHQ"

SUPPORTED_RATES_HZ = range(8_000, 192_001)
"""Rates that files may have. One that states 1 Hz would grow by a factor of 44,100."""


def require_supported_rate(rate_hz: int) -> None:
    """Check that audio of a rate can be brought to the core's and back.

    Raises
    ------
    AudioError
        If it is not among `SUPPORTED_RATES_HZ`; the message does not name the file.
    """
    if rate_hz not in SUPPORTED_RATES_HZ:
        lowest, highest = SUPPORTED_RATES_HZ[0], SUPPORTED_RATES_HZ[-1]
        raise AudioError(
            f"audio at {rate_hz} Hz cannot be resampled: rates from {lowest} to {highest} Hz are supported; give a "
            "file at a usual rate, such as 44100 or 48000 Hz"
        )


def resampled_frames(frames: int, from_hz: int, to_hz: int) -> int:
    """Return the number of frames at another rate, ``ceil(frames * to_hz / from_hz)``."""
    return -(-frames * to_hz // from_hz)


class StreamResampler:
    """Resamples blocks of a stream; where both rates are equal, blocks pass unchanged.

    Between usual rates no time is lost or gained. Where the ratio is not one of small numbers (44,056 Hz) soxr
    rounds it, and the stream drifts by up to a fiftieth of a frame an hour.

    The filter's delay is compensated, and the stream ends as if silence followed. What comes out does not
    depend on how the stream is cut into blocks.

    Parameters
    ----------
    from_hz, to_hz : int
        Rates of input and output.
    channels : int
        Channels of both.
    output_frames : int
        Frames that come out in all: the stream's length at the other rate, which may be a few off from
        rounding.

    Raises
    ------
    AudioError
        If the resampler does not support the rates.
    """

    def __init__(self, from_hz: int, to_hz: int, channels: int, output_frames: int) -> None:
        self._channels = channels
        self._remaining_frames = output_frames
        # Left to itself the resampler ends at the nearest frame to the stream's end, which may be one too
        # early.
        self._trailing_silence = torch.zeros(channels, 1 + 4 * (from_hz // to_hz + 1) if to_hz else 0)
        self._stream: soxr.ResampleStream | None = None
        if from_hz != to_hz:
            try:
                self._stream = soxr.ResampleStream(from_hz, to_hz, channels, dtype="float32", quality=_QUALITY)
            except (RuntimeError, ValueError) as error:
                raise AudioError(f"samples at {from_hz} Hz cannot be resampled to {to_hz} Hz: {error}") from error

    def push(self, block: Tensor) -> Tensor:
        """Take float32 ``[channels, n]`` and return what is ready, ``[channels, m]``; m may be 0."""
        if self._stream is None:
            return self._taken(block)
        return self._taken(_resampled_chunk(self._stream, block, last=False))

    def finish(self) -> Tensor:
        """Return the rest, ``[channels, m]``; after this all of `output_frames` have come out."""
        rest = torch.zeros(self._channels, 0)
        if self._stream is not None:
            rest = self._taken(_resampled_chunk(self._stream, self._trailing_silence, last=True))
        missing, self._remaining_frames = self._remaining_frames, 0
        return torch.nn.functional.pad(rest, (0, missing))

    def _taken(self, block: Tensor) -> Tensor:
        taken = block[:, : self._remaining_frames]
        self._remaining_frames -= taken.shape[1]
        return taken


def resampled(
    blocks: Iterable[Tensor], from_hz: int, to_hz: int, channels: int, output_frames: int
) -> Iterator[Tensor]:
    """Resample a whole stream: see `StreamResampler`. Empty blocks are left out.

    Raises
    ------
    AudioError
        If the resampler does not support the rates.
    """
    resampler = StreamResampler(from_hz, to_hz, channels, output_frames)
    for block in blocks:
        ready = resampler.push(block)
        if ready.shape[1]:
            yield ready
    rest = resampler.finish()
    if rest.shape[1]:
        yield rest


def _resampled_chunk(stream: soxr.ResampleStream, block: Tensor, *, last: bool) -> Tensor:
    frames = np.ascontiguousarray(block.numpy().T)
    return torch.from_numpy(np.ascontiguousarray(stream.resample_chunk(frames, last=last).T))
