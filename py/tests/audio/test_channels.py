"""Every layout of channels becomes stereo, and none by accident."""

import pytest
import torch

from htdemucs_coreml.audio.channels import StereoMixer
from htdemucs_coreml.audio.errors import AudioError


def mixed(channels: int, container: str = "WAV") -> torch.Tensor:
    """What each channel alone gives: ``[2, channels]``."""
    return StereoMixer(channels, downmix=True, container=container).stereo(torch.eye(channels))


@pytest.mark.parametrize("downmix", [False, True])
def test_mono_is_duplicated(downmix: bool) -> None:
    block = torch.randn(1, 100)
    stereo = StereoMixer(1, downmix=downmix, container="WAV").stereo(block)
    assert torch.equal(stereo, torch.cat([block, block]))


@pytest.mark.parametrize("downmix", [False, True])
def test_stereo_is_left_alone(downmix: bool) -> None:
    block = torch.randn(2, 100)
    assert torch.equal(StereoMixer(2, downmix=downmix, container="WAV").stereo(block), block)


@pytest.mark.parametrize("channels", [3, 4, 5, 6, 7, 8, 64])
def test_more_than_two_channels_are_refused_unless_asked_for(channels: int) -> None:
    with pytest.raises(AudioError, match=f"there are {channels} channels.*--downmix"):
        StereoMixer(channels, downmix=False, container="WAV")


@pytest.mark.parametrize("channels", [7, 8, 64])
def test_a_layout_that_is_not_known_is_refused(channels: int) -> None:
    with pytest.raises(AudioError, match="no known layout"):
        StereoMixer(channels, downmix=True, container="WAV")


def test_5_1_is_mixed_by_the_recommendation() -> None:
    left, right = mixed(6) * (1 + 2 * 0.5**0.5)
    torch.testing.assert_close(left, torch.tensor([1, 0, 0.5**0.5, 0, 0.5**0.5, 0]))
    torch.testing.assert_close(right, torch.tensor([0, 1, 0.5**0.5, 0, 0, 0.5**0.5]))


@pytest.mark.parametrize("channels", [3, 5, 6])
def test_ogg_has_the_centre_in_second_place(channels: int) -> None:
    centre = mixed(channels, "OGG")[:, 1]
    assert centre[0] == centre[1] > 0
    assert mixed(channels, "OGG")[0, 2] == 0


@pytest.mark.parametrize("container", ["WAV", "OGG"])
@pytest.mark.parametrize("channels", [3, 4, 5, 6])
def test_sides_are_treated_alike_and_full_scale_stays_full_scale(channels: int, container: str) -> None:
    weights = mixed(channels, container)
    assert sorted(weights[0].tolist()) == pytest.approx(sorted(weights[1].tolist()))
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(2))
