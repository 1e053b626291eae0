"""A track's mean and deviation are those of its mono mix, however it is cut into blocks."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from htdemucs_coreml.pipeline.standardisation import IDENTITY, standardisation_of


@given(
    lengths=st.lists(st.integers(0, 50), min_size=2, max_size=10).filter(lambda lengths: sum(lengths) >= 2),
    offset=st.floats(-100, 100),
    seed=st.integers(0, 100),
)
def test_blocks_give_the_mean_and_unbiased_deviation_of_the_whole(lengths: list[int], offset: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    samples = torch.randn(2, sum(lengths), generator=generator) + offset
    found = standardisation_of(samples.split(lengths, dim=1))
    mono = samples.mean(0).double()
    assert found.shift == pytest.approx(float(mono.mean()), rel=1e-12, abs=1e-12)
    assert found.scale == pytest.approx(float(mono.std()) + 1e-8, rel=1e-9)


def test_a_standardised_track_has_mean_0_and_deviation_1_and_comes_back() -> None:
    samples = 0.05 * torch.randn(2, 10_000, generator=torch.Generator().manual_seed(0)) + 0.3
    standardisation = standardisation_of([samples])
    standardised = standardisation.apply(samples)
    assert float(standardised.mean()) == pytest.approx(0, abs=1e-5)
    assert float(standardised.mean(0).std()) == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(standardisation.undo(standardised), samples, rtol=0, atol=1e-7)


@pytest.mark.parametrize("samples", [torch.zeros(2, 1000), torch.full((2, 1), 0.7)])
def test_silence_and_a_single_sample_have_no_deviation(samples: torch.Tensor) -> None:
    standardisation = standardisation_of([samples])
    assert standardisation.scale == 1e-8
    assert not standardisation.apply(samples).any()


def test_identity_changes_no_value() -> None:
    samples = torch.randn(2, 1000)
    assert torch.equal(IDENTITY.undo(IDENTITY.apply(samples)), samples)
