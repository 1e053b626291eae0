"""Resampling keeps lengths exact, adds no delay and does not depend on blocks."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from htdemucs_coreml.audio.errors import AudioError
from htdemucs_coreml.audio.resampling import SUPPORTED_RATES_HZ, resampled, resampled_frames
from htdemucs_coreml.metrics import snr_db

RATES_HZ = [8_000, 11_025, 22_050, 32_000, 37_800, 44_056, 48_000, 88_200, 96_000, 176_400, 192_000]

supported_rates = st.integers(SUPPORTED_RATES_HZ[0], SUPPORTED_RATES_HZ[-1])


def resample(samples: Tensor, from_hz: int, to_hz: int, output_frames: int, block_frames: int = 4096) -> Tensor:
    blocks = samples.split(block_frames, dim=1)
    return torch.cat(list(resampled(blocks, from_hz, to_hz, samples.shape[0], output_frames)), dim=1)


def swelling_tone(rate_hz: int, frames: int) -> Tensor:
    seconds = torch.arange(frames, dtype=torch.float64) / rate_hz
    swell = torch.sin(math.pi * seconds * rate_hz / frames) ** 4
    return torch.stack([torch.sin(2 * math.pi * hz * seconds) * swell for hz in (440, 1500)]).float()


@settings(deadline=None, max_examples=60)
@given(
    frames=st.integers(1, 20_000),
    rate_hz=st.sampled_from(RATES_HZ) | supported_rates,
    seed=st.integers(0, 9),
)
def test_there_and_back_has_the_length_of_the_input(frames: int, rate_hz: int, seed: int) -> None:
    samples = torch.randn(2, frames, generator=torch.Generator().manual_seed(seed))
    model_frames = resampled_frames(frames, rate_hz, 44_100)
    there = resample(samples, rate_hz, 44_100, model_frames)
    assert there.shape == (2, model_frames)
    back = resample(there, 44_100, rate_hz, frames)
    assert back.shape == (2, frames)
    assert back.isfinite().all()


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_a_tone_comes_out_as_the_same_tone_at_the_other_rate(rate_hz: int) -> None:
    tone = resample(swelling_tone(rate_hz, 2 * rate_hz), rate_hz, 44_100, 88_200)
    assert snr_db(tone, swelling_tone(44_100, 88_200)) >= 120
    assert snr_db(resample(tone, 44_100, rate_hz, 2 * rate_hz), swelling_tone(rate_hz, 2 * rate_hz)) >= 120


def pulses(rate_hz: int, centres: list[float], seconds: float) -> Tensor:
    """Bells of height 1 at some times, too wide to have anything above 3 kHz: float32 ``[1, n]``."""
    times = torch.arange(resampled_frames(int(seconds * 192_000), 192_000, rate_hz), dtype=torch.float64) / rate_hz
    bells = [torch.exp(-0.5 * ((times - centre) / 0.0004).square()) for centre in centres]
    return torch.stack(bells).sum(dim=0, keepdim=True).float()


@settings(deadline=None, max_examples=10)
@given(rate_hz=st.sampled_from(RATES_HZ) | supported_rates, offset=st.floats(0, 1))
def test_pulses_keep_their_time_and_their_height_from_the_first_to_the_last(rate_hz: int, offset: float) -> None:
    """A delay of a hundredth of a frame would make a difference of 3e-4 here."""
    seconds = 3.0
    centres = [0.01 + offset, 1.5 + offset / 7, 2.98 - offset / 3]
    given_pulses = pulses(rate_hz, centres, seconds)
    expected = pulses(44_100, centres, seconds)
    there = resample(given_pulses, rate_hz, 44_100, expected.shape[1], block_frames=1 << 16)
    assert (there - expected).abs().max() <= 1e-5
    back = resample(there, 44_100, rate_hz, given_pulses.shape[1], block_frames=1 << 16)
    assert (back - given_pulses).abs().max() <= 1e-5


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_constant_level_is_kept(rate_hz: int) -> None:
    there = resample(torch.full((2, rate_hz), 0.5), rate_hz, 44_100, 44_100)
    # The filter rings where the stream begins and ends.
    assert (there[:, 2000:-2000] - 0.5).abs().max() <= 1e-6


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("extra_frames", range(5))
def test_a_stream_ends_as_if_silence_followed(rate_hz: int, extra_frames: int) -> None:
    frames = rate_hz // 10 + extra_frames
    model_frames = resampled_frames(frames, rate_hz, 44_100)
    step = resample(torch.ones(2, frames), rate_hz, 44_100, model_frames)
    followed = torch.nn.functional.pad(torch.ones(2, frames), (0, 1000))
    torch.testing.assert_close(step, resample(followed, rate_hz, 44_100, model_frames), rtol=0, atol=1e-6)
    assert step[:, -1].abs().min() > 0
    back = resample(step, 44_100, rate_hz, frames)
    assert back[:, -1].abs().min() > 0


@settings(deadline=None, max_examples=30)
@given(block_frames=st.integers(1, 9000), rate_hz=st.sampled_from([8_000, 48_000, 96_000]))
def test_the_samples_do_not_depend_on_the_blocks(block_frames: int, rate_hz: int) -> None:
    samples = torch.randn(2, 9000, generator=torch.Generator().manual_seed(0))
    output_frames = resampled_frames(9000, rate_hz, 44_100)
    at_once = resample(samples, rate_hz, 44_100, output_frames, block_frames=9000)
    assert torch.equal(resample(samples, rate_hz, 44_100, output_frames, block_frames), at_once)


def test_equal_rates_change_nothing() -> None:
    samples = torch.randn(2, 10_000)
    assert torch.equal(resample(samples, 44_100, 44_100, 10_000), samples)


@pytest.mark.parametrize("to_hz", [44_100, 48_000])
def test_an_announced_length_is_kept_by_cutting_and_by_zeros(to_hz: int) -> None:
    samples = torch.ones(2, 1000)
    assert resample(samples, 44_100, to_hz, 500).shape == (2, 500)
    longer = resample(samples, 44_100, to_hz, 2000)
    assert longer.shape == (2, 2000)
    assert not longer[:, 1500:].any()


def test_rates_that_cannot_be_are_an_error() -> None:
    with pytest.raises(AudioError, match="0 Hz cannot be resampled"):
        resample(torch.ones(2, 10), 0, 44_100, 10)
