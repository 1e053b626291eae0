"""The STFT is demucs' own, bit for bit, and its inverse undoes it."""

import math

import pytest
import torch
from demucs.htdemucs import HTDemucs
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from htdemucs_coreml.spectrogram import (
    SpectrogramError,
    frame_count,
    spectrogram,
    waveform_from_spectrogram,
)

SHORT_AND_AWKWARD_LENGTHS = [
    *(1, 2, 511, 512, 1023, 1024, 1025, 1535, 1536, 1537, 2047, 2048),
    *(2559, 2560, 2561, 3071, 3072, 4095, 4096, 4097, 44_100),
]


class Upstream:
    """demucs' two methods, which ask nothing of a model but its transform's size and hop."""

    nfft = 4096
    hop_length = 1024

    def spectrogram(self, mix: Tensor) -> Tensor:
        transformed: Tensor = HTDemucs.__dict__["_spec"](self, mix)
        return transformed

    def waveform(self, spectrogram: Tensor, length: int) -> Tensor:
        waveform: Tensor = HTDemucs.__dict__["_ispec"](self, spectrogram, length)
        return waveform


UPSTREAM = Upstream()


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def complex_noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.complex(noise(*shape, seed=seed), noise(*shape, seed=seed + 1))


@pytest.mark.parametrize("length", [*SHORT_AND_AWKWARD_LENGTHS, 343_980, 441_000])
def test_a_spectrogram_is_bit_identical_to_upstream(length: int) -> None:
    mix = noise(1, 2, length, seed=length)
    assert torch.equal(spectrogram(mix), UPSTREAM.spectrogram(mix))


@pytest.mark.parametrize("length", [*SHORT_AND_AWKWARD_LENGTHS, 343_980])
def test_a_waveform_is_bit_identical_to_upstream(length: int) -> None:
    stems = complex_noise(1, 3, 2, 2048, frame_count(length), seed=length)
    assert torch.equal(waveform_from_spectrogram(stems, length), UPSTREAM.waveform(stems, length))


@settings(max_examples=25, deadline=None)
@given(length=st.integers(1, 20_000), batch=st.integers(1, 3))
def test_both_directions_are_bit_identical_to_upstream_at_any_length(length: int, batch: int) -> None:
    mix = noise(batch, 2, length, seed=length)
    transformed = spectrogram(mix)
    assert torch.equal(transformed, UPSTREAM.spectrogram(mix))
    assert torch.equal(waveform_from_spectrogram(transformed, length), UPSTREAM.waveform(transformed, length))


@settings(max_examples=25, deadline=None)
@given(length=st.integers(1, 20_000))
def test_there_is_a_frame_for_every_hop_begun(length: int) -> None:
    assert spectrogram(noise(length)).shape == (2048, math.ceil(length / 1024))


def test_leading_axes_are_kept_and_do_not_mix() -> None:
    mix = noise(3, 2, 2, 5000)
    together = spectrogram(mix)
    assert together.shape == (3, 2, 2, 2048, 5)
    for stem in range(3):
        assert torch.equal(together[stem], spectrogram(mix[stem]))
    back = waveform_from_spectrogram(together, 5000)
    assert back.shape == mix.shape
    assert torch.equal(back[1, 0], waveform_from_spectrogram(together[1, 0], 5000))


@pytest.mark.parametrize("length", [8192, 10_000, 44_100])
def test_the_inverse_undoes_a_waveform_with_nothing_at_the_nyquist_frequency(length: int) -> None:
    # A swelling tone: a kink at a waveform's end has a part in the Nyquist bin, which is cut away. The frames
    # that are cut cost accuracy within a window's reach of both ends.
    seconds = torch.arange(length, dtype=torch.float64) / 44_100
    tone = torch.sin(2 * math.pi * 440 * seconds) * torch.hann_window(length, dtype=torch.float64)
    back = waveform_from_spectrogram(spectrogram(tone), length)
    assert (back - tone)[2048 : length - 2048].abs().max() <= 1e-9


def test_a_tone_appears_in_its_bin_with_the_documented_scale() -> None:
    bin_index = 100
    samples = torch.arange(44_100, dtype=torch.float64)
    tone = torch.cos(2 * math.pi * bin_index * samples / 4096)
    frame = spectrogram(tone)[:, 20].abs()
    assert int(frame.argmax()) == bin_index
    # A Hann window's mean is 1/2, half of a cosine lies at the positive frequency, the scale is 1 / 64.
    assert float(frame[bin_index]) == pytest.approx(4096 * 0.5 * 0.5 / 64, rel=1e-6)


@pytest.mark.parametrize(
    "waveform",
    [
        torch.zeros(2, 0),
        torch.zeros(8, dtype=torch.int16),
        torch.zeros(8, dtype=torch.complex64),
        torch.tensor(1.0),
    ],
)
def test_what_is_no_waveform_is_refused(waveform: Tensor) -> None:
    with pytest.raises(SpectrogramError, match="has no spectrogram"):
        spectrogram(waveform)


@pytest.mark.parametrize("tensor", [torch.zeros(2, 2048, 3), complex_noise(2, 2049, 3), complex_noise(2048)])
def test_what_is_no_spectrogram_is_refused(tensor: Tensor) -> None:
    with pytest.raises(SpectrogramError, match="is not a spectrogram"):
        waveform_from_spectrogram(tensor, 3 * 1024)


@pytest.mark.parametrize("length", [0, 2048, 3073])
def test_a_length_of_other_frames_is_refused(length: int) -> None:
    with pytest.raises(SpectrogramError, match="3 frames cannot become"):
        waveform_from_spectrogram(complex_noise(2048, 3), length)
