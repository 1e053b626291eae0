"""Cores that cost nothing and whose stems are known, for tests of what surrounds a core."""

from collections.abc import Callable

import torch
from torch import Tensor

from htdemucs_coreml.core.contract import CoreContract, CoreOutputs

WaveformToStems = Callable[[Tensor], Tensor]
"""Maps a segment's waveform ``[2, L]`` to its stems ``[S, 2, L]``."""


class FakeCore:
    """A `CoreBackend` whose stems are a function of the waveform; its spectrograms are zero."""

    def __init__(self, sources: tuple[str, ...], segment_samples: int, stems_of: WaveformToStems) -> None:
        self.contract = CoreContract(sources, segment_samples)
        self.identity = "fake"
        self.predictions = 0
        self._stems_of = stems_of

    def predict(self, spectrogram_real: Tensor, spectrogram_imag: Tensor, waveform: Tensor) -> CoreOutputs:
        given = {
            "spectrogram_real": spectrogram_real,
            "spectrogram_imag": spectrogram_imag,
            "waveform": waveform,
        }
        assert {name: tuple(tensor.shape) for name, tensor in given.items()} == self.contract.input_shapes
        assert all(tensor.dtype == torch.float32 and tensor.is_contiguous() for tensor in given.values())
        self.predictions += 1
        zeros = torch.zeros(self.contract.output_shapes["stems_real"])
        return CoreOutputs(zeros, zeros, self._stems_of(waveform[0])[None])


class BothWaysCore:
    """A `CoreBackend` that gives multiples of the mix as spectrograms, and the mix as every waveform."""

    def __init__(self, gains: dict[str, float], segment_samples: int) -> None:
        self.contract = CoreContract(tuple(gains), segment_samples)
        self.identity = "fake, both ways"
        self._gains = torch.tensor(list(gains.values())).reshape(1, -1, 1, 1, 1)

    def predict(self, spectrogram_real: Tensor, spectrogram_imag: Tensor, waveform: Tensor) -> CoreOutputs:
        return CoreOutputs(
            self._gains * spectrogram_real[:, None],
            self._gains * spectrogram_imag[:, None],
            waveform[:, None].expand(self.contract.output_shapes["stems_waveform"]),
        )


def gains_core(gains: dict[str, float], segment_samples: int) -> FakeCore:
    """A core whose stems are multiples of the mix."""
    factors = torch.tensor(list(gains.values()))[:, None, None]
    return FakeCore(tuple(gains), segment_samples, lambda waveform: factors * waveform)


def context_dependent_stems(waveform: Tensor) -> Tensor:
    """Two stems that depend on where in the segment a sample lies and on all else in the segment.

    With them, a segment that is placed, padded or trimmed in any other way gives other stems.
    """
    samples = waveform.shape[-1]
    position = torch.linspace(0.5, 1.5, samples)
    first = waveform * position + 0.25 * waveform.flip(-1)
    second = waveform.flip(0) * position.flip(0) - 0.125 * waveform.roll(samples // 3, dims=-1)
    return torch.stack([first, second])


def context_dependent_core(segment_samples: int) -> FakeCore:
    """A core with the stems of `context_dependent_stems`."""
    return FakeCore(("first", "second"), segment_samples, context_dependent_stems)
