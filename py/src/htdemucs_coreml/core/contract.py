"""Names and shapes of the core's inputs and outputs: the network between STFT and iSTFT.

All tensors are float32 in every variant::

    in   spectrogram_real  [1, 2, bins, frames]       bins = n_fft / 2 (Nyquist dropped), frames = ceil(L / hop)
    in   spectrogram_imag  [1, 2, bins, frames]
    in   waveform          [1, 2, L]                  L = segment_samples
    out  stems_real        [1, S, 2, bins, frames]    S = len(sources)
    out  stems_imag        [1, S, 2, bins, frames]
    out  stems_waveform    [1, S, 2, L]

``stem = istft(stems_real + i stems_imag) + stems_waveform``.
"""

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

AUDIO_CHANNELS = 2
N_FFT = 4096
HOP_LENGTH = 1024
SAMPLE_RATE_HZ = 44100
BINS = N_FFT // 2

INPUT_NAMES = ("spectrogram_real", "spectrogram_imag", "waveform")
OUTPUT_NAMES = ("stems_real", "stems_imag", "stems_waveform")


class CoreOutputs(NamedTuple):
    """What the core returns, in the order of `OUTPUT_NAMES`."""

    stems_real: Tensor
    stems_imag: Tensor
    stems_waveform: Tensor


@dataclass(frozen=True)
class CoreContract:
    """What a host must know of a core: its stems and the length of its segment.

    Attributes
    ----------
    sources : tuple of str
        Names of the stems, in the order of the outputs' second axis.
    segment_samples : int
        Length of one network input in samples at `SAMPLE_RATE_HZ`.
    """

    sources: tuple[str, ...]
    segment_samples: int

    @property
    def frames(self) -> int:
        """Number of STFT frames of a segment, ``ceil(segment_samples / HOP_LENGTH)``."""
        return -(-self.segment_samples // HOP_LENGTH)

    @property
    def input_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each input by its name."""
        spectrogram = (1, AUDIO_CHANNELS, BINS, self.frames)
        return {
            "spectrogram_real": spectrogram,
            "spectrogram_imag": spectrogram,
            "waveform": (1, AUDIO_CHANNELS, self.segment_samples),
        }

    @property
    def output_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each output by its name."""
        stems = len(self.sources)
        spectrogram = (1, stems, AUDIO_CHANNELS, BINS, self.frames)
        return {
            "stems_real": spectrogram,
            "stems_imag": spectrogram,
            "stems_waveform": (1, stems, AUDIO_CHANNELS, self.segment_samples),
        }
